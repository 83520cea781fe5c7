/* SPDX-License-Identifier: MIT */
/* Lines into commands, brackets, wildcards. */
#include "tests/console/console_check.h"

#include "apps/kd/pattern.h"
#include "apps/kd/split.h"

static void test_commands(void **state)
{
	static const struct {
		const char *text;
		size_t end;
	} rows[] = {
		{ "k", 1 },
		{ "k; lm", 1 },
		{ "bp a \"k; g\"; lm", 11 },
		{ "bp a \"say \\\"x;y\\\"; g\"; lm", 21 },
		{ ".if (1) { k; g } ; lm", 17 },
		{ ".if (1) { .if (2) { a; b }; c } ; lm", 32 },
		{ "k\nlm", 1 },
		{ "bp \"open; quote", 15 },
		{ "a } ; b", 4 },
		{ "", 0 },
		{ ";", 0 },
	};

	(void)state;
	for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++)
		assert_int_equal(split_command_end(rows[i].text) - rows[i].text, rows[i].end);
}

static void test_brackets(void **state)
{
	struct split_part part;
	const char *text = "(a (b) \")\" c) rest";

	(void)state;
	assert_string_equal(split_bracket(text, '(', ')', &part), " rest");
	assert_int_equal(part.size, strlen("a (b) \")\" c"));
	assert_memory_equal(part.start, "a (b) \")\" c", part.size);
	assert_null(split_bracket("(a", '(', ')', &part));
	assert_null(split_bracket("a)", '(', ')', &part));
	assert_null(split_bracket("{ \"} ", '{', '}', &part));
	assert_string_equal(split_bracket("{}", '{', '}', &part), "");
	assert_int_equal(part.size, 0);
}

static void check_conditional(const char *text, const char *a, const char *b, const char *rest)
{
	struct split_part first, second;
	const char *end = split_conditional(text, &first, &second);

	assert_int_equal(first.size, strlen(a));
	assert_memory_equal(first.start, a, first.size);
	assert_int_equal(second.size, strlen(b));
	assert_memory_equal(second.start, b, second.size);
	assert_string_equal(end, rest);
}

static void test_conditional(void **state)
{
	(void)state;
	check_conditional(" 'k; r' ; 'gc'; lm", "k; r", "gc", "; lm");
	check_conditional("''; 'gc'", "", "gc", "");
	check_conditional("'k'", "k", "", "");
	check_conditional("k ; g ; lm", "k ", "g ", "; lm");
	check_conditional("'never closed", "never closed", "", "");
	check_conditional("", "", "", "");
}

static void test_words(void **state)
{
	(void)state;
	assert_true(split_is_word(".else {", ".else"));
	assert_true(split_is_word(".else{", ".else"));
	assert_true(split_is_word("as", "as"));
	assert_false(split_is_word("assume", "as"));
	assert_false(split_is_word("a", "as"));
}

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
		{ "*", "", true },
		{ "*", "anything", true },
		{ "nt", "NT", true },
		{ "nt", "nto", false },
		{ "n?", "nt", true },
		{ "n?", "n", false },
		{ "Ke*Ex", "KeBugCheckEx", true },
		{ "Ke*Ex", "KeBugCheck2", false },
		{ "[a-c]x", "bx", true },
		{ "[a-c]x", "dx", false },
		{ "[^a-c]x", "dx", true },
		{ "ab#c", "ac", true },
		{ "ab#c", "abbbc", true },
		{ "ab+c", "ac", false },
		{ "ab+c", "abbc", true },
		{ "[ab]+", "abba", true },
		{ "[ab]+", "abca", false },
		{ "a\\*b", "a*b", true },
		{ "a\\*b", "axb", false },
		{ "[open", "[open", true },
		{ "**a**", "bab", true },
		{ "", "", true },
		{ "", "a", false },
	};

	(void)state;
	for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++)
		if (pattern_matches(rows[i].pattern, rows[i].text) != rows[i].matches)
			fail_msg("'%s' against '%s'", rows[i].pattern, rows[i].text);
}

/* Patterns that take other matchers exponential time. */
static void test_pattern_work(void **state)
{
	char text[20001], long_pattern[400];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(pattern_matches("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
	memset(long_pattern, 'a', sizeof(long_pattern) - 1);
	long_pattern[sizeof(long_pattern) - 1] = '\0';
	assert_false(pattern_matches(long_pattern, long_pattern));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),    cmocka_unit_test(test_brackets),
		cmocka_unit_test(test_conditional), cmocka_unit_test(test_words),
		cmocka_unit_test(test_patterns),    cmocka_unit_test(test_pattern_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
