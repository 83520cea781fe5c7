/* SPDX-License-Identifier: MIT */
/* What commands print, apart from targets: dumps, numbers, .printf, aliases, trap frames. */
#include "tests/console/console_check.h"

#include <stdio.h>

#include "apps/kd/alias.h"
#include "apps/kd/dump.h"
#include "apps/kd/print_format.h"
#include "apps/kd/trap_frame.h"
#include "apps/kd/value.h"

/* --- text --- */

static void test_text(void **state)
{
	struct text t = TEXT_INIT;
	char *s;

	(void)state;
	assert_string_equal(text_string(&t), "");
	text_printf(&t, "%s-%d", "a", 5);
	text_add(&t, "!");
	assert_string_equal(text_string(&t), "a-5!");
	assert_int_equal(t.size, 4);
	text_clear(&t);
	assert_string_equal(text_string(&t), "");
	s = text_take(&t);
	assert_string_equal(s, "");
	free(s);
	s = text_take(&t);
	assert_string_equal(s, "");
	free(s);
}

static void test_text_limit(void **state)
{
	struct text t = TEXT_INIT;
	char *block = app_alloc(1 << 20);

	(void)state;
	memset(block, 'x', 1 << 20);
	for (int i = 0; i < 70; i++)
		text_append(&t, block, 1 << 20);
	assert_true(t.is_cut);
	assert_true(t.size < TEXT_LIMIT);
	text_free(&t);
	free(block);
}

/* --- dumps --- */

static const uint8_t bytes[20] = { 0x41, 0x42, 0x00, 0x7f, 0x80, 0xff, 0x20, 0x7e, 0x01, 0x02,
				   0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x43, 0x44, 0x45, 0x46 };

static void check_dump(const char *format, size_t size, size_t bad, const struct dump_options *o,
		       const char *want)
{
	uint8_t valid[sizeof(bytes)];
	struct dump_block b = { 0xfffff80012345670, bytes, valid, size };
	struct text t = TEXT_INIT;

	memset(valid, 1, sizeof(valid));
	if (bad < sizeof(valid))
		valid[bad] = 0;
	dump_lines(&t, dump_format_find(format), &b, o);
	if (strcmp(text_string(&t), want))
		fail_msg("d%s:\n%s\nnot\n%s", format, text_string(&t), want);
	text_free(&t);
}

static void test_dumps(void **state)
{
	const struct dump_options o = { .pointer_size = 8 }, o32 = { .pointer_size = 4 };
	const struct dump_options physical = { .pointer_size = 8, .is_physical = true };
	const struct dump_options two = { .pointer_size = 8, .columns = 2 };

	(void)state;
	check_dump("b", 18, 99, &o,
		   "fffff800`12345670  41 42 00 7f 80 ff 20 7e-01 02 03 04 05 06 07 08  AB.... "
		   "~........\n"
		   "fffff800`12345680  43 44                                            CD\n");
	check_dump("b", 4, 1, &o,
		   "fffff800`12345670  41 ?? 00 7f                                      A?..\n");
	check_dump("b", 3, 99, &two, "fffff800`12345670  41 42  AB\nfffff800`12345672  00     .\n");
	check_dump("w", 6, 99, &o, "fffff800`12345670  4241 7f00 ff80\n");
	check_dump("d", 20, 17, &o,
		   "fffff800`12345670  7f004241 7e20ff80 04030201 08070605\n"
		   "fffff800`12345680  ????????\n");
	check_dump("c", 8, 99, &o,
		   "fffff800`12345670  7f004241 7e20ff80                    AB.... ~\n");
	check_dump("q", 16, 15, &o, "fffff800`12345670  7e20ff80`7f004241 ????????`????????\n");
	check_dump("p", 8, 99, &o32, "12345670  7f004241 7e20ff80\n");
	check_dump("p", 8, 99, &o, "fffff800`12345670  7e20ff80`7f004241\n");
	check_dump("b", 2, 99, &physical,
		   "#fffff80012345670  41 42                                            AB\n");
	check_dump("yb", 2, 1, &o,
		   "                   76543210 76543210 76543210 76543210\n"
		   "                   -------- -------- -------- --------\n"
		   "fffff800`12345670  01000001 ????????                    41 ??\n");
	check_dump("yd", 4, 99, &o,
		   "                   10987654 32109876 54321098 76543210\n"
		   "                   -------- -------- -------- --------\n"
		   "fffff800`12345670  01111111 00000000 01000010 01000001  7f004241\n");
	assert_null(dump_format_find("z"));
}

static void test_floats(void **state)
{
	const uint8_t one[8] = { 0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0 };
	const uint8_t valid[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	const struct dump_options o = { .pointer_size = 4 };
	struct dump_block b = { 0x1000, one, valid, 8 };
	struct text t = TEXT_INIT;

	(void)state;
	dump_lines(&t, dump_format_find("f"), &b, &o);
	assert_string_equal(text_string(&t), "00001000                 1             -2.5\n");
	text_free(&t);
}

static void test_strings(void **state)
{
	const struct dump_options o = { .pointer_size = 4 };
	struct text t = TEXT_INIT;

	(void)state;
	dump_string(&t, 0x1000, "abc\n\xc3\xa9", 2, &o);
	assert_string_equal(text_string(&t), "00001000  \"abc.\xc3\xa9\"\n");
	text_clear(&t);
	dump_string(&t, 0x1000, "0123456789012345678901234567890123456789012345678", 1, &o);
	assert_string_equal(text_string(&t),
			    "00001000  \"012345678901234567890123456789012345678901234567\"\n"
			    "00001030  \"8\"\n");
	text_clear(&t);
	dump_string(&t, 0x1000, "", 1, &o);
	assert_string_equal(text_string(&t), "00001000  \"\"\n");
	text_free(&t);
}

/* --- numbers --- */

static void test_numbers(void **state)
{
	char line[96];
	uint8_t stored[8] = { 0 };

	(void)state;
	assert_string_equal(value_address(0xfffff80012345678, 8).s, "fffff800`12345678");
	assert_string_equal(value_address(0xffffffff80001234, 4).s, "80001234");
	assert_string_equal(value_hex64(0x123).s, "00000000`00000123");
	assert_string_equal(value_json(0xfffff80012345678).s, "0xfffff80012345678");
	assert_string_equal(value_register(0xffffffff80001234, 4).s, "80001234");
	assert_int_equal(value_extend(0x80001234, 4), 0xffffffff80001234);
	assert_int_equal(value_extend(0x80001234, 8), 0x80001234);
	value_store(stored, 4, 0x11223344);
	assert_int_equal(stored[0], 0x44);
	assert_int_equal(value_load(stored, 4), 0x11223344);
	assert_int_equal(value_load(stored, 8), 0x11223344);
	value_filetime(line, sizeof(line), UINT64_C(116444736000000000) + 10000000 + 5000000);
	assert_string_equal(line, "Thu Jan  1 00:00:01.500 1970 (UTC)");
	value_interval(line, sizeof(line), UINT64_C(10000000) * 93784 + 5670000);
	assert_string_equal(line, "1 days 2:03:04.567");
}

static void test_formats(void **state)
{
	struct text t = TEXT_INIT;

	(void)state;
	value_formats(&t, 0x41424344, 8);
	assert_string_equal(
		text_string(&t),
		"  Hex:     00000000`41424344\n"
		"  Decimal: 1094861636\n"
		"  Octal:   0000000000010120441504\n"
		"  Binary:  00000000 00000000 00000000 00000000 01000001 01000010 01000011 "
		"01000100\n"
		"  Chars:   ....ABCD\n"
		"  Time:    Sat Sep 11 00:13:56.000 2004 (UTC)\n"
		"  Float:   low 12.1414 high 0\n"
		"  Double:  5.40934e-315\n");
	text_clear(&t);
	value_formats(&t, 0xffffffff, 4);
	assert_non_null(strstr(text_string(&t), "  Decimal: -1\n  Octal:   37777777777\n"));
	text_free(&t);
}

/* --- .printf --- */

struct feed {
	uint64_t values[4];
	size_t n, next;
	const char *quoted;
};

static enum kd_status feed_value(void *context, uint64_t *ret)
{
	struct feed *f = context;

	if (f->next == f->n)
		return KD_E_SYNTAX;
	*ret = f->values[f->next++];
	return KD_OK;
}

static char *feed_quoted(void *context)
{
	struct feed *f = context;

	return f->quoted ? app_strdup(f->quoted) : NULL;
}

static void feed_string(void *context, uint64_t address, bool wide, bool counted, struct text *t)
{
	(void)context;
	text_printf(t, "<%s%s %llx>", wide ? "wide" : "narrow", counted ? " counted" : "",
		    (unsigned long long)address);
}

static void feed_symbol(void *context, uint64_t address, bool with_line, struct text *t)
{
	(void)context;
	text_printf(t, "<symbol %llx%s>", (unsigned long long)address, with_line ? " line" : "");
}

static void test_print_format(void **state)
{
	static const struct {
		const char *format, *want;
		uint64_t value;
	} rows[] = {
		{ "%d|", "-1|", UINT64_MAX },
		{ "%u|", "4294967295|", UINT64_MAX },
		{ "%I64d|", "-1|", UINT64_MAX },
		{ "%I64u|", "18446744073709551615|", UINT64_MAX },
		{ "%x|", "5678abcd|", 0x12345678abcd },
		{ "%I64x|", "12345678abcd|", 0x12345678abcd },
		{ "%llx|", "12345678abcd|", 0x12345678abcd },
		{ "%08x|%%", "0000002a|%", 42 },
		{ "%-5d|", "42   |", 42 },
		{ "%5d|", "   42|", 42 },
		{ "%X|", "2A|", 42 },
		{ "%o|", "52|", 42 },
		{ "%c|", "*|", 42 },
		{ "%c|", ".|", 1 },
		{ "%p|", "00000000`0000002a|", 42 },
		{ "%N|", "000000000000002a|", 42 },
		{ "%ma|", "<narrow 2a>|", 42 },
		{ "%mu|", "<wide 2a>|", 42 },
		{ "%msa|", "<narrow counted 2a>|", 42 },
		{ "%msu|", "<wide counted 2a>|", 42 },
		{ "%y|", "<symbol 2a>|", 42 },
		{ "%ly|", "<symbol 2a line>|", 42 },
		{ "%30y|", "                   <symbol 2a>|", 42 },
		{ "%.3y|", "<sy|", 42 },
		{ "%s|", "<narrow 2a>|", 42 },
		{ "no format", "no format", 0 },
	};

	(void)state;
	for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++) {
		struct feed feed = { { rows[i].value }, 1, 0, NULL };
		struct print_source source = { &feed,       8,           feed_value,
					       feed_quoted, feed_string, feed_symbol };
		struct text t = TEXT_INIT;
		struct kd_error err;

		assert_int_equal(print_format(&t, rows[i].format, &source, &err), KD_OK);
		if (strcmp(text_string(&t), rows[i].want))
			fail_msg("%s: '%s' not '%s'", rows[i].format, text_string(&t),
				 rows[i].want);
		text_free(&t);
	}
}

static void test_print_errors(void **state)
{
	struct feed feed = { { 0 }, 0, 0, "quoted" };
	struct print_source source = {
		&feed, 8, feed_value, feed_quoted, feed_string, feed_symbol
	};
	struct text t = TEXT_INIT;
	struct kd_error err;

	(void)state;
	assert_int_equal(print_format(&t, "%s and %5.2s|", &source, &err), KD_OK);
	assert_string_equal(text_string(&t), "quoted and    qu|");
	assert_int_equal(print_format(&t, "%d", &source, &err), KD_E_SYNTAX);
	assert_int_equal(print_format(&t, "%q", &source, &err), KD_E_SYNTAX);
	assert_int_equal(print_format(&t, "%", &source, &err), KD_E_SYNTAX);
	assert_int_equal(print_format(&t, "%99999999999999999999s|", &source, &err), KD_OK);
	text_free(&t);
}

/* --- aliases --- */

static void check_alias(const struct alias_table *table, const char *text, const char *want)
{
	struct text t = TEXT_INIT;

	assert_true(alias_expand(table, text, &t));
	assert_string_equal(text_string(&t), want);
	text_free(&t);
}

static void test_aliases(void **state)
{
	struct alias_table *t = app_alloc(sizeof(*t));

	(void)state;
	assert_true(alias_set(t, "n", "4"));
	assert_true(alias_set(t, "go", "g;k"));
	assert_true(alias_set(t, "$u0", "lm"));
	check_alias(t, "k n", "k 4");
	check_alias(t, "k no", "k no");
	check_alias(t, "go; go", "g;k; g;k");
	check_alias(t, ".echo \"n ${n}\"", ".echo \"n 4\"");
	check_alias(t, "x${n}y", "x4y");
	check_alias(t, "${/d:n}${/d:none}", "10");
	check_alias(t, "${/f:n}${/f:none}|", "4|");
	check_alias(t, "${/n:n} ${/v:n}", "n n");
	check_alias(t, "${none}", "${none}");
	check_alias(t, "${open", "${open");
	check_alias(t, "$u0; a$u0b $u0", "lm; a$u0b lm");
	check_alias(t, "{n}", "{4}");
	assert_true(alias_set(t, "n", "n n"));
	check_alias(t, "n", "n n"); /* not looked at again */
	assert_true(alias_remove(t, "n"));
	assert_false(alias_remove(t, "n"));
	check_alias(t, "n", "n");
	assert_false(alias_applies(" as n x"));
	assert_false(alias_applies("al"));
	assert_true(alias_applies("assume"));
	alias_clear(t);
	assert_int_equal(t->n, 0);
	free(t);
}

static void test_alias_limits(void **state)
{
	struct alias_table *t = app_alloc(sizeof(*t));
	char *huge = app_alloc(ALIAS_TEXT_MAX + 1), name[16];
	struct text out = TEXT_INIT;

	(void)state;
	memset(huge, 'x', ALIAS_TEXT_MAX);
	assert_true(alias_set(t, "huge", huge));
	assert_false(alias_expand(t, "huge huge huge", &out));
	for (int i = 0; i < ALIASES_MAX - 1; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		assert_true(alias_set(t, name, "x"));
	}
	assert_false(alias_set(t, "one-more", "x"));
	assert_true(alias_set(t, "a0", "y"));
	text_free(&out);
	alias_clear(t);
	free(huge);
	free(t);
}

/* --- trap frames --- */

static void test_trap_frame(void **state)
{
	uint8_t frame[TRAP_FRAME_SIZE_64], context[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i ^ i >> 8);
	memset(context, 0xee, sizeof(context));
	trap_frame_apply(8, 0x1000, frame, context);
	assert_int_equal(value_load(context + 0xF8, 8), value_load(frame + 0x168, 8)); /* rip */
	assert_int_equal(value_load(context + 0x98, 8), value_load(frame + 0x180, 8)); /* rsp */
	assert_int_equal(value_load(context + 0x78, 8), value_load(frame + 0x30, 8));  /* rax */
	assert_int_equal(context[0xD8], 0xee);                                         /* r12 */
	assert_int_equal(context[0x4D0], 0xee);                                        /* its end */
}

static void test_trap_frame_32(void **state)
{
	uint8_t frame[TRAP_FRAME_SIZE_32] = { 0 }, context[4096] = { 0 };

	(void)state;
	value_store(frame + 0x74, 4, 0x12345678);
	value_store(frame + 0x6C, 4, 8); /* out of the kernel: no esp was pushed */
	trap_frame_apply(4, 0x80001000, frame, context);
	assert_int_equal(value_load(context + 0xC4, 4), 0x80001074);
	value_store(frame + 0x6C, 4, 0x1B);
	trap_frame_apply(4, 0x80001000, frame, context);
	assert_int_equal(value_load(context + 0xC4, 4), 0x12345678);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),          cmocka_unit_test(test_text_limit),
		cmocka_unit_test(test_dumps),         cmocka_unit_test(test_floats),
		cmocka_unit_test(test_strings),       cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_formats),       cmocka_unit_test(test_print_format),
		cmocka_unit_test(test_print_errors),  cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_alias_limits),  cmocka_unit_test(test_trap_frame),
		cmocka_unit_test(test_trap_frame_32),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
