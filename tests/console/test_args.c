/* SPDX-License-Identifier: MIT */
/* Arguments: words, strings, values, ranges, ids. */
#include "tests/console/console_check.h"

static void test_words(void **state)
{
	struct kd_error err;
	struct args a = CHECK_ARGS("  /c4  word -b \"x;\\\"y\\\"\\n\" rest of it  ", &err);
	char word[16];
	char *s;

	(void)state;
	assert_true(args_switch(&a, '/', word, sizeof(word)));
	assert_string_equal(word, "c4");
	assert_false(args_switch(&a, '/', word, sizeof(word)));
	assert_false(args_take(&a, "wor"));
	assert_true(args_take(&a, "word"));
	assert_true(args_switch(&a, '-', word, sizeof(word)));
	assert_string_equal(word, "b");
	s = args_quoted(&a);
	assert_string_equal(s, "x;\"y\"\n");
	free(s);
	assert_null(args_quoted(&a));
	s = args_rest(&a);
	assert_string_equal(s, "rest of it");
	free(s);
	assert_true(args_at_end(&a));
	assert_false(args_word(&a, word, sizeof(word)));
	assert_null(args_string(&a));
	assert_int_equal(args_done(&a), KD_OK);
}

static void test_long_word(void **state)
{
	struct kd_error err;
	struct args a = CHECK_ARGS("abcdefghij k", &err);
	char word[4];

	(void)state;
	assert_true(args_word(&a, word, sizeof(word)));
	assert_string_equal(word, "abc");
	assert_true(args_word(&a, word, sizeof(word)));
	assert_string_equal(word, "k");
}

static void test_values(void **state)
{
	struct kd_error err;
	struct args a = CHECK_ARGS("10 + 2 20 /w \"x\"", &err);
	uint64_t v;

	(void)state;
	assert_int_equal(args_value(&a, &v), KD_OK);
	assert_int_equal(v, 0x12);
	assert_int_equal(args_value(&a, &v), KD_OK);
	assert_int_equal(v, 0x20);
	assert_false(args_at_end(&a));
	assert_string_equal(a.at, "/w \"x\"");
	a = CHECK_ARGS("", &err);
	assert_int_equal(args_value(&a, &v), KD_E_SYNTAX);
	assert_int_equal(args_value_or(&a, 7, &v), KD_OK);
	assert_int_equal(v, 7);
	a = CHECK_ARGS("bad", &err);
	assert_int_equal(args_value_or(&a, 7, &v), KD_E_NOT_FOUND);
	a = CHECK_ARGS("5 x", &err);
	assert_int_equal(args_value(&a, &v), KD_OK);
	assert_int_equal(args_done(&a), KD_E_SYNTAX);
	assert_non_null(strstr(err.text, "'x'"));
}

static void test_ranges(void **state)
{
	static const struct {
		const char *text;
		size_t unit;
		enum kd_status want;
		uint64_t start, count;
		bool has_start, has_length;
	} rows[] = {
		{ "", 4, KD_OK, 0, 9, false, false },
		{ "1000", 4, KD_OK, 0x1000, 9, true, false },
		{ "1000 L5", 4, KD_OK, 0x1000, 5, true, true },
		{ "1000 l5", 4, KD_OK, 0x1000, 5, true, true },
		{ "1000 L(5)", 4, KD_E_SYNTAX, 0, 0, false, false }, /* the test's evaluator */
		{ "L20", 1, KD_OK, 0, 0x20, false, true },
		{ "1000 1003", 1, KD_OK, 0x1000, 4, true, true },
		{ "1000 1007", 4, KD_OK, 0x1000, 2, true, true },
		{ "1000 100a", 4, KD_OK, 0x1000, 3, true, true },
		{ "1000 1000", 8, KD_OK, 0x1000, 1, true, true },
		{ "1000 L-4", 4, KD_OK, 0xff0, 4, true, true },
		{ "1000 fff", 1, KD_E_INVALID, 0, 0, false, false },
		{ "1000 L10000001", 1, KD_E_INVALID, 0, 0, false, false },
		{ "1000 L?10000001", 1, KD_OK, 0x1000, 0x10000001, true, true },
		{ "0 20000000", 1, KD_E_INVALID, 0, 0, false, false },
		{ "0 L?ffffffffffffffff", 8, KD_E_INVALID, 0, 0, false, false },
		{ "bad L5", 1, KD_E_NOT_FOUND, 0, 0, false, false },
		{ "1000 bad", 1, KD_E_NOT_FOUND, 0, 0, false, false },
		{ "1000 \"text\"", 1, KD_OK, 0x1000, 9, true, false },
	};

	(void)state;
	for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++) {
		struct kd_error err;
		struct args a = CHECK_ARGS(rows[i].text, &err);
		struct range r;
		enum kd_status s = args_range(&a, rows[i].unit, 9, &r);

		if (s != rows[i].want)
			fail_msg("'%s': %d", rows[i].text, (int)s);
		if (s != KD_OK)
			continue;
		if (r.start != rows[i].start || r.count != rows[i].count ||
		    r.has_start != rows[i].has_start || r.has_length != rows[i].has_length)
			fail_msg("'%s': 0x%llx, 0x%llx", rows[i].text, (unsigned long long)r.start,
				 (unsigned long long)r.count);
	}
}

static void test_range_needed(void **state)
{
	struct kd_error err;
	struct range r;
	struct args a = CHECK_ARGS("1000 L4 90", &err);
	uint64_t v;

	(void)state;
	assert_int_equal(args_range_needed(&a, 1, &r), KD_OK);
	assert_int_equal(r.count, 4);
	assert_int_equal(args_value(&a, &v), KD_OK);
	assert_int_equal(v, 0x90);
	a = CHECK_ARGS("1000", &err);
	assert_int_equal(args_range_needed(&a, 1, &r), KD_E_SYNTAX);
	a = CHECK_ARGS("", &err);
	assert_int_equal(args_range_needed(&a, 1, &r), KD_E_SYNTAX);
}

static enum kd_status note_id(void *context, int id, bool is_explicit)
{
	struct text *t = context;

	text_printf(t, "%d%s ", id, is_explicit ? "" : "~");
	return id == 66 ? KD_E_FULL : KD_OK;
}

static void test_ids(void **state)
{
	static const struct {
		const char *text, *want;
		enum kd_status status;
	} rows[] = {
		{ "0", "0 ", KD_OK },
		{ "0 2", "0 2 ", KD_OK },
		{ "0,2", "0 2 ", KD_OK },
		{ "0, 2", "0 2 ", KD_OK },
		{ "1-3", "1~ 2~ 3~ ", KD_OK },
		{ "*", "0~ 1~ 2~ 3~ 4~ ", KD_OK },
		{ "3-999999999", "3~ 4~ ", KD_OK }, /* only what there may be */
		{ "9", "9 ", KD_OK },
		{ "", "", KD_E_SYNTAX },
		{ "x", "", KD_E_SYNTAX },
		{ "3-1", "", KD_E_SYNTAX },
		{ "-1", "", KD_E_SYNTAX },
		{ "1-", "", KD_E_SYNTAX },
		{ "66 1", "66 ", KD_E_FULL },
	};

	(void)state;
	for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++) {
		struct kd_error err;
		struct args a = CHECK_ARGS(rows[i].text, &err);
		struct text t = TEXT_INIT;
		enum kd_status s = args_ids(&a, 5, note_id, &t);

		if (s != rows[i].status || strcmp(text_string(&t), rows[i].want))
			fail_msg("'%s': %d '%s'", rows[i].text, (int)s, text_string(&t));
		text_free(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),        cmocka_unit_test(test_long_word),
		cmocka_unit_test(test_values),       cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_range_needed), cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
