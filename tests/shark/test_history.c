/* SPDX-License-Identifier: MIT */
/* The history: the last entries, whole, in order, in bounded memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/shark/history.h"
#include "lib/shark/traffic_private.h"

static uint8_t bytes[KD_PROBE_BYTES_MAX];

static void add(struct kd__history *h, struct kd__conversation *c, uint64_t number, size_t size)
{
	char by[KD__BY_SIZE], verdict[16];
	struct kd__entry entry = { .kind = number % 64 == 0 ? KD__ENTRY_CLOSE : KD__ENTRY_DATA,
				   .conversation = c,
				   .item = number,
				   .bytes = bytes,
				   .size = size,
				   .verdict = verdict,
				   .by = number % 3 ? by : NULL,
				   .process = "a.exe" };

	memset(bytes, (uint8_t)number, size);
	snprintf(by, sizeof by, "by %u", (unsigned)number);
	snprintf(verdict, sizeof verdict, "v%u", (unsigned)number);
	kd__history_add(h, &entry);
}

/* From the oldest that is there to `last`; how many bytes of payload. */
static size_t check(const struct kd__history *h, uint64_t last)
{
	const struct kd__history_entry *at = kd__history_first(h);
	uint64_t number = kd__history_entry(at)->item;
	size_t sum = 0;

	for (; at; at = kd__history_next(at), number++) {
		const struct kd__entry *e = kd__history_entry(at);
		char words[16];

		assert_int_equal(e->item, number);
		for (size_t i = 0; i < e->size; i++)
			if (e->bytes[i] != (uint8_t)number)
				fail_msg("entry %u, byte %zu", (unsigned)number, i);
		snprintf(words, sizeof words, "v%u", (unsigned)number);
		assert_string_equal(e->verdict, words);
		assert_string_equal(e->process, "a.exe");
		assert_int_equal(e->by != NULL, number % 3 != 0);
		sum += e->size;
	}
	assert_int_equal(number, last + 1);
	return sum;
}

static void the_last_entries_are_there(void **unused)
{
	static const uint32_t sizes[] = { 1, 100, 1500, KD_PROBE_BYTES_MAX };
	struct kd_probe_facts facts = { .family = 4, .protocol = 6 };
	struct kd__conversation *c = kd__conversation_create(&facts);
	struct kd__history *h = kd__history_create();
	uint64_t n = 0;

	(void)unused;
	assert_null(kd__history_first(h));
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t sent = 0;

		while (sent < 2 * KD__HISTORY_MAX) {
			size_t size = (size_t)rand() % (sizes[i] + 1);

			add(h, c, ++n, size);
			sent += size + 200;
			if (n % 20000 == 0)
				check(h, n);
		}
		sent = check(h, n);
		assert_true(sent <= KD__HISTORY_MAX);
		/* of large ones little is lost between entries, or at the ring's end */
		if (sizes[i] == KD_PROBE_BYTES_MAX)
			assert_true(sent > KD__HISTORY_MAX / 10 * 9);
	}
	kd__history_clear(h);
	assert_null(kd__history_first(h));
	assert_int_equal(c->references, 1);
	add(h, c, ++n, 10);
	check(h, n);
	kd__history_destroy(h);
	assert_int_equal(c->references, 1);
	kd__conversation_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_last_entries_are_there) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
