/* SPDX-License-Identifier: MIT */
/* The built-in mutations, and records of mutations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/shark/mutation_record.h"

static const char page[] =
	"HTTP/1.0 200 OK\r\nContent-Length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz";

static struct kd__bytes copy(const void *from, size_t size)
{
	struct kd__bytes b = { malloc(size + 1), size };

	memcpy(b.data, from, size);
	return b;
}

static bool run(const char *name, struct kd__bytes *b, uint64_t seed, struct kd__words *words)
{
	struct kd__random random = { seed };

	return kd__mutation_find(name)->run(b, &random, words);
}

/* --- mutations --- */

static void the_same_seed_does_the_same(void **state)
{
	struct kd__words *words = kd__words_create();

	(void)state;
	kd__words_learn(words, (const uint8_t *)page, sizeof page - 1);
	for (const struct kd__mutation *m = kd__mutations; m->name; m++)
		for (uint64_t seed = 0; seed < 200; seed++) {
			struct kd__bytes a = copy(page, sizeof page - 1),
					 b = copy(page, sizeof page - 1);
			bool did = run(m->name, &a, seed, words);

			assert_int_equal(run(m->name, &b, seed, words), did);
			assert_int_equal(a.size, b.size);
			assert_memory_equal(a.data, b.data, a.size);
			free(a.data);
			free(b.data);
		}
	kd__words_destroy(words);
}

static void each_does_something_mostly(void **state)
{
	struct kd__words *words = kd__words_create();

	(void)state;
	kd__words_learn(words, (const uint8_t *)page, sizeof page - 1);
	for (const struct kd__mutation *m = kd__mutations; m->name; m++) {
		unsigned changed = 0;

		for (uint64_t seed = 0; seed < 200; seed++) {
			struct kd__bytes a = copy(page, sizeof page - 1);

			changed += run(m->name, &a, seed, words) &&
				   (a.size != sizeof page - 1 || memcmp(a.data, page, a.size) != 0);
			free(a.data);
		}
		if (changed < 150)
			fail_msg("%s changed %u of 200 payloads", m->name, changed);
	}
	kd__words_destroy(words);
}

/* Of every size, and again what came out: never too large, never a byte too far (ASan sees). */
static void sizes_stay_in_bounds(void **state)
{
	static const size_t sizes[] = {
		0, 1, 2, 3, 7, 8, 9, 1000, KD__MUTATE_MAX - 1, KD__MUTATE_MAX
	};
	struct kd__words *words = kd__words_create();
	uint8_t *bytes = calloc(1, KD__MUTATE_MAX);

	(void)state;
	kd__words_learn(words, (const uint8_t *)page, sizeof page - 1);
	for (const struct kd__mutation *m = kd__mutations; m->name; m++)
		for (size_t i = 0; i < KD_ARRAY_LEN(sizes); i++) {
			struct kd__bytes a = copy(bytes, sizes[i]);

			for (uint64_t seed = 0; seed < 40; seed++) {
				run(m->name, &a, seed, words);
				assert_true(a.size <= KD__MUTATE_MAX);
			}
			free(a.data);
		}
	free(bytes);
	kd__words_destroy(words);
}

static void lengths_are_found(void **state)
{
	/* big-endian 16 bits: what follows */
	static const uint8_t framed[] = { 0, 10, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j' };
	struct kd__bytes a;

	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		a = copy(framed, sizeof framed);
		assert_true(run("length", &a, seed, NULL));
		assert_int_equal(a.size, sizeof framed);
		assert_memory_equal(a.data + 2, framed + 2, 10); /* only the length changes */
		free(a.data);
		a = copy(page, sizeof page - 1);
		assert_true(run("length", &a, seed, NULL));
		assert_int_equal(a.size, sizeof page - 1);
		assert_memory_not_equal(a.data, page, 37);       /* in the head ... */
		assert_memory_equal(a.data + 37, page + 37, 26); /* ... not behind it */
		free(a.data);
	}
	a = copy("no length in here: #########", 28);
	assert_false(run("length", &a, 1, NULL));
	free(a.data);
}

/* --- records --- */

static struct kd_traffic_flow flow_of(uint64_t id, const char *process, uint16_t port)
{
	struct kd_traffic_flow f = {
		.id = id, .protocol = 6, .local_port = 50000, .remote_port = port
	};

	snprintf(f.process, sizeof f.process, "%s", process);
	return f;
}

static void names_do_not_depend_on_ids(void **state)
{
	struct kd__payload_names *n = kd__payload_names_create();
	const struct kd_traffic_flow flows[] = { flow_of(900, "a.exe", 80),
						 flow_of(17, "b.exe", 80), flow_of(44, "a.exe", 80),
						 flow_of(45, "a.exe", 81) };
	static const struct {
		size_t flow;
		bool inbound;
		uint32_t number, item;
	} rows[] = { { 0, false, 1, 1 }, { 1, true, 1, 1 },  { 0, false, 1, 2 }, { 0, true, 1, 1 },
		     { 2, false, 2, 1 }, { 0, false, 1, 3 }, { 3, true, 1, 1 } };

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
			struct kd_traffic_item item = { .is_inbound = rows[i].inbound };
			struct kd__payload_name name;

			kd__payload_name_of(n, &item, &flows[rows[i].flow], &name);
			assert_int_equal(name.flow, rows[i].number);
			assert_int_equal(name.item, rows[i].item);
		}
		kd__payload_names_reset(n);
	}
	kd__payload_names_destroy(n);
}

static void what_is_written_is_found_again(void **state)
{
	char path[] = "/tmp/kd-mutations-XXXXXX";
	struct kd__payload_name name = { "a b.exe", 17, 53, 3, true, 7 }, other = name;
	struct kd__mutation_entry entry = { .name = &name,
					    .mutator = "cut \"it\"",
					    .seed = UINT64_MAX,
					    .outcome = KD__CHANGED,
					    .before = (const uint8_t *)"\0before\xff",
					    .before_size = 8,
					    .after = (const uint8_t *)"",
					    .after_size = 0 };
	struct kd__mutation_writer *w;
	struct kd__mutation_replay *r;
	struct kd__mutation_entry found;
	struct kd_error err;
	uint64_t line, done, left;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(kd__mutation_writer_create(path, &w, &err), KD_E_EXISTS);
	unlink(path);
	assert_int_equal(kd__mutation_writer_create(path, &w, &err), KD_OK);
	kd__mutation_write(w, &entry);
	other.item = 8;
	entry.name = &other;
	entry.outcome = KD__DROPPED;
	entry.is_any = true;
	kd__mutation_write(w, &entry);
	assert_int_equal(kd__mutation_writer_close(w, &err), KD_OK);

	assert_int_equal(kd__mutation_replay_load(path, &r, &err), KD_OK);
	assert_false(
		kd__mutation_replay_find(r, &name, (const uint8_t *)"other", 5, &found, &line));
	assert_true(kd__mutation_replay_find(r, &name, entry.before, 8, &found, &line));
	assert_int_equal(found.outcome, KD__CHANGED);
	assert_int_equal(found.after_size, 0);
	assert_int_equal(line, 1);
	assert_false(kd__mutation_replay_find(r, &name, entry.before, 8, &found, &line)); /* once */
	assert_true(
		kd__mutation_replay_find(r, &other, (const uint8_t *)"whatever", 8, &found, &line));
	assert_int_equal(found.outcome, KD__DROPPED);
	kd__mutation_replay_state(r, &done, &left);
	assert_int_equal(done, 2);
	assert_int_equal(left, 0);
	kd__mutation_replay_free(r);
	unlink(path);
}

static void a_bad_record_is_told_with_its_line(void **state)
{
	static const char *const bad[] = {
		"nonsense",
		"{}",
		"{\"process\":\"a\",\"protocol\":\"tcp\",\"direction\":\"in\",\"outcome\":"
		"\"explode\","
		"\"after\":\"\"}",
		"{\"process\":\"a\",\"protocol\":\"tcp\",\"direction\":\"in\",\"outcome\":"
		"\"change\","
		"\"after\":\"0g\"}",
		"{\"process\":\"a\",\"protocol\":\"tcp\",\"direction\":\"in\",\"outcome\":"
		"\"change\","
		"\"after\":\"012\"}",
	};

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(bad); i++) {
		char path[] = "/tmp/kd-mutations-XXXXXX";
		FILE *f = fdopen(mkstemp(path), "w");
		struct kd__mutation_replay *r;
		struct kd_error err;

		fprintf(f,
			"{\"process\":\"a\",\"protocol\":\"tcp\",\"direction\":\"in\","
			"\"outcome\":\"drop\",\"after\":\"\"}\n%s\n",
			bad[i]);
		fclose(f);
		assert_int_equal(kd__mutation_replay_load(path, &r, &err), KD_E_MALFORMED);
		assert_int_equal(err.where, 2);
		assert_non_null(strstr(err.text, "line 2"));
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_seed_does_the_same),
		cmocka_unit_test(each_does_something_mostly),
		cmocka_unit_test(sizes_stay_in_bounds),
		cmocka_unit_test(lengths_are_found),
		cmocka_unit_test(names_do_not_depend_on_ids),
		cmocka_unit_test(what_is_written_is_found_again),
		cmocka_unit_test(a_bad_record_is_told_with_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
