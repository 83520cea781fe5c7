/* SPDX-License-Identifier: MIT */
/* A debugger that sends nonsense: cut, turned, absurd, with real addresses in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "tests/core/target_oracle.h"
#include "tests/core/wire_rows.h"

static struct kd_fake *fake;

static void give(const uint8_t *payload, size_t size, size_t cap)
{
	const char *wrong = target_oracle_request(fake, payload, size, cap);

	if (wrong)
		fail_msg("api 0x%x, %zu bytes, room %zu: %s", size >= 4 ? kd_get32(payload) : 0,
			 size, cap, wrong);
}

static size_t row_request(uint8_t *out, const struct wire_row *row)
{
	return wire_row_payload(out, row, 0);
}

static int setup(void **state)
{
	(void)state;
	fake = target_oracle_create(KD_MACHINE_AMD64);
	return 0;
}

static int setup_x86(void **state)
{
	(void)state;
	fake = target_oracle_create(KD_MACHINE_X86);
	return 0;
}

static int teardown(void **state)
{
	const char *wrong = target_oracle_leaves_no_trace(fake);

	(void)state;
	kd_fake_destroy(fake);
	if (wrong)
		fail_msg("%s", wrong);
	return 0;
}

static void test_truncations(void **state)
{
	uint8_t payload[WIRE_ROW_MAX];

	(void)state;
	for (size_t i = 0; i < n_wire_rows; i++) {
		const size_t size = row_request(payload, &wire_rows[i]);

		for (size_t n = 0; n <= size; n++) {
			/* A block of its own: reading on is seen by a sanitizer. */
			uint8_t cut[WIRE_ROW_MAX];

			memcpy(cut, payload, n);
			give(cut, n, KD_PAYLOAD_MAX);
		}
	}
}

static void test_small_rooms(void **state)
{
	static const size_t caps[] = { 0, 1, 55, 56, 57, 64, 100, 1287, 1288, 3999, 4000 };
	uint8_t payload[WIRE_ROW_MAX];

	(void)state;
	for (size_t i = 0; i < n_wire_rows; i++)
		for (size_t j = 0; j < sizeof(caps) / sizeof(caps[0]); j++)
			give(payload, row_request(payload, &wire_rows[i]), caps[j]);
}

static void test_turned_bits(void **state)
{
	uint8_t payload[WIRE_ROW_MAX];

	(void)state;
	for (size_t i = 0; i < n_wire_rows; i++) {
		const size_t size = row_request(payload, &wire_rows[i]);
		const size_t n_bits = 8 * (size < 80 ? size : 80);

		for (size_t bit = 0; bit < n_bits; bit++) {
			payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
			give(payload, size, KD_PAYLOAD_MAX);
			payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Values at which arithmetic goes wrong, and addresses that mean something here. */
static uint64_t interesting(uint64_t *seed)
{
	const uint64_t values[] = {
		0,
		1,
		2,
		8,
		0x4D0,
		0xFFF,
		0x1000,
		3944,
		INT32_MAX,
		UINT32_MAX,
		UINT64_MAX,
		UINT64_MAX - 7,
		0x7FFFFFFFFFFF,
		0x8000000000000000,
		fake->kernel_base,
		fake->kernel_base + 0xFFD,
		fake->kdbg,
		fake->idle,
		fake->ram_size - 3,
		fake->cr3,
	};

	return values[next_random(seed) % (sizeof(values) / sizeof(values[0]))] +
	       next_random(seed) % 3;
}

static void test_absurd_values(void **state)
{
	uint8_t payload[KD_MANIPULATE_SIZE + 64];
	uint64_t seed = 88172645463325252u;
	size_t n_apis;
	const struct kd_api_info *apis = kd_api_table(&n_apis);

	(void)state;
	for (int round = 0; round < 60000; round++) {
		const uint32_t api = apis[next_random(&seed) % n_apis].number;

		for (size_t i = 0; i + 8 <= sizeof(payload); i += 4)
			kd_put64(payload + i, interesting(&seed));
		kd_put32(payload, api);
		kd_put16(payload + 6, (uint16_t)(next_random(&seed) % 4));
		/* Filling gigabytes of holes is slow, not wrong: keep it to what can succeed. */
		if (api == KD_API_FILL_MEMORY)
			kd_put32(payload + 24, kd_get32(payload + 24) % 0x10000);
		give(payload, sizeof(payload) - next_random(&seed) % 64, KD_PAYLOAD_MAX);
	}
}

#define ON(name, f) cmocka_unit_test_setup_teardown(name, f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_truncations, setup),   ON(test_truncations, setup_x86),
		ON(test_small_rooms, setup),   ON(test_small_rooms, setup_x86),
		ON(test_turned_bits, setup),   ON(test_turned_bits, setup_x86),
		ON(test_absurd_values, setup), ON(test_absurd_values, setup_x86),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
