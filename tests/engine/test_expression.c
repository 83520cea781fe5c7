/* SPDX-License-Identifier: MIT */
/* The expression language over a host of five symbols, three registers and one page of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "lib/base.h"
#include "lib/engine/expression_eval.h"
#include "lib/engine/symbol_pattern.h"

struct pair {
	const char *name;
	uint64_t value;
};

static const struct pair symbols[] = {
	{ "nt", 0xfffff80100000000 },
	{ "nt!Foo", 0xfffff80100001000 },
	{ "Foo", 0xfffff80100001000 },
	{ "beef", 0x1111 },
	{ "nt!beef", 0x1111 },
	{ "nt!A::~A", 0x2222 },
	{ "operator new(int)", 0x3333 },
	{ "nt!?X@@YAXXZ", 0x4444 },
	{ "_Bar@8", 0x5555 },
	{ "low_level", 0x6666 },
};
static const struct pair registers[] = { { "rax", 0x10 }, { "rsp", 0x1008 }, { "nt", 1 } };
static const struct pair pseudos[] = { { "t0", 7 }, { "ip", 0xfffff80100001000 }, { "p", 3 } };

static enum kd_status find(const struct pair *table, size_t n, const char *name, uint64_t *ret,
			   struct kd_error *err)
{
	for (size_t i = 0; i < n; i++)
		if (!strcasecmp(table[i].name, name)) {
			*ret = table[i].value;
			return KD_OK;
		}
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "'%s' is not known", name);
}

static enum kd_status symbol(void *context, const char *name, uint64_t *ret, struct kd_error *err)
{
	return find(symbols, KD_ARRAY_LEN(symbols), name, ret, err);
}

static enum kd_status reg(void *context, const char *name, uint64_t *ret, struct kd_error *err)
{
	return find(registers, KD_ARRAY_LEN(registers), name, ret, err);
}

static enum kd_status word(void *context, const char *name, uint64_t *ret, struct kd_error *err)
{
	if (symbol(context, name, ret, NULL) == KD_OK)
		return KD_OK;
	return reg(context, name, ret, err);
}

static enum kd_status pseudo(void *context, const char *name, uint64_t *ret, struct kd_error *err)
{
	return find(pseudos, KD_ARRAY_LEN(pseudos), name, ret, err);
}

/* Byte at address a of [0x1000, 0x2000) is the low byte of a, +0x80 in physical memory. */
static enum kd_status read_memory(void *context, uint64_t address, size_t size, bool is_physical,
				  uint64_t *ret, struct kd_error *err)
{
	*ret = 0;
	for (size_t i = size; i-- > 0;) {
		if (address + i < 0x1000 || address + i >= 0x2000)
			return kd_error_set(err, KD_E_UNREADABLE, address + i, "not readable");
		*ret = *ret << 8 | ((address + i + (is_physical ? 0x80 : 0)) & 0xFF);
	}
	return KD_OK;
}

static enum kd_status line(void *context, const char *module, const char *file, uint32_t number,
			   uint64_t *ret, struct kd_error *err)
{
	if (strcmp(file, "ke\\bug.c") || (module && strcmp(module, "nt")))
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "no line");
	*ret = number;
	return KD_OK;
}

static enum kd_status entry(void *context, uint64_t base, uint64_t *ret, struct kd_error *err)
{
	*ret = base + 0x20;
	return KD_OK;
}

static bool is_valid(void *context, uint64_t address, uint64_t size)
{
	return address >= 0x1000 && size <= 0x1000 && address + size <= 0x2000;
}

static const struct kd__expr_host host64 = { NULL,   16,          8,    word,  symbol,  reg,
					     pseudo, read_memory, line, entry, is_valid };

static const struct {
	const char *text;
	uint64_t value;
} good[] = {
	/* numbers */
	{ "10", 0x10 },
	{ "0x10", 0x10 },
	{ "0n10", 10 },
	{ "0t17", 15 },
	{ "0y1011", 11 },
	{ "10h", 0x10 },
	{ "0N10", 10 },
	{ "fffff801`00001234", 0xfffff80100001234 },
	{ "1`2", 0x100000002 },
	{ "0x1`00000002", 0x100000002 },
	{ "ffffffffffffffff", UINT64_MAX },
	{ "80000000", 0x80000000 },
	{ "dead", 0xdead },
	{ "beef", 0xbeef },
	{ "\t 1 \n", 1 },
	/* names */
	{ "nt", 0xfffff80100000000 },
	{ "@nt", 1 },
	{ "!beef", 0x1111 },
	{ "nt!beef", 0x1111 },
	{ "NT!fOO+4", 0xfffff80100001004 },
	{ "Foo+4", 0xfffff80100001004 },
	{ "rax", 0x10 },
	{ "@rax", 0x10 },
	{ "@RAX+1", 0x11 },
	{ "nt!A::~A", 0x2222 },
	{ "@!\"operator new(int)\"", 0x3333 },
	{ "nt!?X@@YAXXZ", 0x4444 },
	{ "_Bar@8", 0x5555 },
	{ "low_level", 0x6666 },
	{ "$t0", 7 },
	{ "@$t0", 7 },
	{ "@$ip-nt", 0x1000 },
	/* operators: precedence and direction */
	{ "1+2*3", 7 },
	{ "(1+2)*3", 9 },
	{ "[1+2]*3", 9 },
	{ "10-4-3", 9 },
	{ "0n100/0n10/2", 5 },
	{ "0n17%5", 2 },
	{ "0n17 mod 5", 2 },
	{ "1<<4+1", 0x20 },
	{ "1<<4|1", 0x11 },
	{ "f0&3c^1|100", 0x131 },
	{ "f0 and 3c xor 1 or 100", 0x131 },
	{ "1 | 2 ^ 2 & 0", 3 },
	{ "2=2", 1 },
	{ "2==3", 0 },
	{ "2!=3", 1 },
	{ "nt!Foo!=nt", 1 },
	{ "1<2", 1 },
	{ "2<=1", 0 },
	{ "2>1", 1 },
	{ "2>=3", 0 },
	{ "-1>1", 1 }, /* all unsigned */
	{ "1+1=2", 1 },
	{ "3&1=1", 1 }, /* comparisons bind tighter than & */
	{ "8000000000000000>>>3f", UINT64_MAX },
	{ "8000000000000000>>3f", 1 },
	{ "8000000000000000>>>40", UINT64_MAX },
	{ "1<<40", 0 },
	{ "1>>40", 0 },
	{ "-1", UINT64_MAX },
	{ "- -1", 1 },
	{ "+5", 5 },
	{ "2*-1", (uint64_t)-2 },
	{ "not 0", 1 },
	{ "not 5", 0 },
	{ "not(1)+1", 1 },
	{ "hi(12345678)", 0x1234 },
	{ "low(12345678)", 0x5678 },
	{ "low 12345678+1", 0x5679 },
	{ "by(1010)", 0x10 },
	{ "by 1010", 0x10 },
	{ "wo(1010)", 0x1110 },
	{ "dwo(1010)", 0x13121110 },
	{ "qwo(1010)", 0x1716151413121110 },
	{ "poi(@rsp)", 0x0f0e0d0c0b0a0908 },
	{ "poi(rsp)+1", 0x0f0e0d0c0b0a0909 },
	{ "poi rsp + 1", 0x0f0e0d0c0b0a0909 },
	{ "$pby(1010)", 0x90 },
	{ "$pwo(1010)", 0x9190 },
	{ "$pqwo(1010)", 0x9796959493929190 },
	{ "POI(1010)", 0x1716151413121110 },
	/* functions */
	{ "$iment(nt)", 0xfffff80100000020 },
	{ "$scmp(\"a\", \"b\")", UINT64_MAX },
	{ "$scmp(\"b\",\"a\")", 1 },
	{ "$scmp(\"a\\\"\",\"a\\\"\")", 0 },
	{ "$sicmp(\"ABC\",\"abc\")", 0 },
	{ "$spat(\"ntoskrnl.exe\",\"NT*.[a-f]x?\")", 1 },
	{ "$spat(\"ntoskrnl.exe\",\"*.sys\")", 0 },
	{ "$vvalid(1000,1000)", 1 },
	{ "$vvalid(1000,1001)", 0 },
	{ "@@masm(1+1)*2", 4 },
	/* source lines */
	{ "`ke\\bug.c:123`", 123 },
	{ "`nt!ke\\bug.c:123+`+1", 124 },
};

static void test_good(void **state)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(good); i++) {
		struct kd_error err = { 0 };
		uint64_t v = 0;
		enum kd_status s = kd__expr_evaluate(&host64, good[i].text, NULL, &v, &err);

		if (s != KD_OK || v != good[i].value)
			print_error("%s -> %d 0x%llx (%s)\n", good[i].text, s,
				    (unsigned long long)v, err.text);
		assert_int_equal(s, KD_OK);
		assert_int_equal(v, good[i].value);
	}
}

static const struct {
	const char *text;
	enum kd_status status;
	uint64_t where;
	const char *says; /* part of the error's text */
} bad[] = {
	{ "", KD_E_SYNTAX, 0, "column 1: expected a number" },
	{ "1+", KD_E_SYNTAX, 2, "column 3: expected a number" },
	{ "1+ *2", KD_E_SYNTAX, 3, "found '*2'" },
	{ "(1", KD_E_SYNTAX, 2, "expected ')', found the end" },
	{ "[1)", KD_E_SYNTAX, 2, "expected ']', found ')'" },
	{ "1 2", KD_E_SYNTAX, 2, "expected an operator or the end, found '2'" },
	{ "1g", KD_E_SYNTAX, 0, "'1g' is not a number in base 16" },
	{ "0n1f", KD_E_SYNTAX, 0, "not a number" },
	{ "10000000000000000", KD_E_SYNTAX, 0, "does not fit" },
	{ "1`123456789", KD_E_SYNTAX, 0, "backtick" },
	{ "fffff801`0000123g", KD_E_SYNTAX, 0, "not a 64-bit number" },
	{ "5/0", KD_E_INVALID, 1, "column 2: division by zero" },
	{ "5 mod (1-1)", KD_E_INVALID, 2, "division by zero" },
	{ "1+nosuch", KD_E_NOT_FOUND, 2, "'nosuch' is not known" },
	{ "nt!nosuch", KD_E_NOT_FOUND, 0, "'nt!nosuch' is not known" },
	{ "@nosuch", KD_E_NOT_FOUND, 0, "'nosuch'" },
	{ "$nosuch", KD_E_NOT_FOUND, 0, "'nosuch'" },
	{ "poi(0)", KD_E_UNREADABLE, 7, "not readable" },
	{ "@@c++(1)", KD_E_UNSUPPORTED, 0, "C++" },
	{ "@@(1)", KD_E_UNSUPPORTED, 0, "C++" },
	{ "@", KD_E_SYNTAX, 0, "expected a number" },
	{ "@!\"open", KD_E_SYNTAX, 0, "closing quote" },
	{ "$scmp(\"a)", KD_E_SYNTAX, 6, "closing quote" },
	{ "$scmp(\"a\")", KD_E_SYNTAX, 9, "expected ','" },
	{ "$scmp(1,2)", KD_E_SYNTAX, 6, "a string in quotes" },
	{ "$spat(\"a\",\"[\")", KD_E_SYNTAX, 10, "']'" },
	{ "$vvalid(1)", KD_E_SYNTAX, 9, "expected ','" },
	{ "`a.c:1", KD_E_SYNTAX, 0, "backtick at its end" },
	{ "`a.c`", KD_E_SYNTAX, 0, "source line" },
	{ "`a.c:`", KD_E_SYNTAX, 0, "source line" },
	{ "`a.c:1x`", KD_E_SYNTAX, 0, "source line" },
	{ "`nt!:1`", KD_E_SYNTAX, 0, "source line" },
	{ "`b.c:1`", KD_E_NOT_FOUND, 0, "no line" },
	{ "\"text\"", KD_E_SYNTAX, 0, "expected a number" },
	{ "?", KD_E_SYNTAX, 0, "expected a number" },
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(bad); i++) {
		struct kd_error err = { 0 };
		uint64_t v = 0x55;
		enum kd_status s = kd__expr_evaluate(&host64, bad[i].text, NULL, &v, &err);

		if (s != bad[i].status || err.where != bad[i].where ||
		    !strstr(err.text, bad[i].says))
			print_error("%s -> %d at %llu: %s\n", bad[i].text, s,
				    (unsigned long long)err.where, err.text);
		assert_int_equal(s, bad[i].status);
		assert_int_equal(err.status, s);
		assert_int_equal(err.where, bad[i].where);
		assert_non_null(strstr(err.text, bad[i].says));
		assert_int_equal(v, 0x55);
		assert_int_equal(kd__expr_evaluate(&host64, bad[i].text, NULL, &v, NULL), s);
	}
}

/* A command takes the expression and goes on after it. */
static void test_prefix(void **state)
{
	static const struct {
		const char *text;
		size_t used;
	} rows[] = {
		{ "rsp L10", 3 },         { "1000 2000", 4 },  { "nt!Foo \"cmd\"", 6 },
		{ "nt!Foo+4,5", 8 },      { "(1 + 2)) x", 7 }, { "1;2", 1 },
		{ "@$t0 /c", 4 + 2 + 1 }, { "5 andy", 1 },     { "dead:beef", 4 },
	};

	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		const char *end = NULL;
		uint64_t v;
		enum kd_status s = kd__expr_evaluate(&host64, rows[i].text, &end, &v, NULL);

		assert_int_equal(s, KD_OK);
		assert_int_equal(end - rows[i].text, rows[i].used);
	}
}

static void test_radix(void **state)
{
	struct kd__expr_host h = host64;
	struct kd_error err;
	uint64_t v;

	h.radix = 10;
	assert_int_equal(kd__expr_evaluate(&h, "10+0x10+10h", NULL, &v, NULL), KD_OK);
	assert_int_equal(v, 42);
	assert_int_equal(kd__expr_evaluate(&h, "beef", NULL, &v, NULL), KD_OK);
	assert_int_equal(v, 0x1111); /* no number now: the symbol */
	assert_int_equal(kd__expr_evaluate(&h, "12`34", NULL, &v, NULL), KD_OK);
	assert_int_equal(v, 0x1200000034);
	h.radix = 8;
	assert_int_equal(kd__expr_evaluate(&h, "17", NULL, &v, NULL), KD_OK);
	assert_int_equal(v, 15);
	assert_int_equal(kd__expr_evaluate(&h, "18", NULL, &v, &err), KD_E_SYNTAX);
	assert_string_equal(err.text, "column 1: '18' is not a number in base 8");
}

static void test_32_bits(void **state)
{
	struct kd__expr_host h = host64;
	uint64_t v;

	h.pointer_size = 4;
	assert_int_equal(kd__expr_evaluate(&h, "80001000", NULL, &v, NULL), KD_OK);
	assert_int_equal(v, 0xFFFFFFFF80001000);
	assert_int_equal(kd__expr_evaluate(&h, "0`80001000", NULL, &v, NULL), KD_OK);
	assert_int_equal(v, 0x80001000);
	assert_int_equal(kd__expr_evaluate(&h, "7fffffff", NULL, &v, NULL), KD_OK);
	assert_int_equal(v, 0x7FFFFFFF);
	assert_int_equal(kd__expr_evaluate(&h, "100000000", NULL, &v, NULL), KD_OK);
	assert_int_equal(v, 0x100000000);
	assert_int_equal(kd__expr_evaluate(&h, "poi(1084)", NULL, &v, NULL), KD_OK);
	assert_int_equal(v, 0xFFFFFFFF87868584);
	assert_int_equal(kd__expr_evaluate(&h, "dwo(1084)", NULL, &v, NULL), KD_OK);
	assert_int_equal(v, 0x87868584);
}

static void test_depth(void **state)
{
	char text[3 * KD__EXPR_DEPTH_MAX + 2];
	struct kd_error err;
	uint64_t v;
	size_t n = KD__EXPR_DEPTH_MAX - 1;

	memset(text, '(', n);
	text[n] = '1';
	memset(text + n + 1, ')', n);
	text[2 * n + 1] = 0;
	assert_int_equal(kd__expr_evaluate(&host64, text, NULL, &v, NULL), KD_OK);
	assert_int_equal(v, 1);
	memset(text, '-', sizeof text - 1);
	text[sizeof text - 1] = 0;
	assert_int_equal(kd__expr_evaluate(&host64, text, NULL, &v, &err), KD_E_SYNTAX);
	assert_non_null(strstr(err.text, "inside each other"));
	/* Long is not deep: 1+1+...+1 */
	for (size_t i = 0; i + 1 < sizeof text; i++)
		text[i] = i % 2 ? '+' : '1';
	text[2 * n + 1] = 0;
	assert_int_equal(kd__expr_evaluate(&host64, text, NULL, &v, NULL), KD_OK);
	assert_int_equal(v, n + 1);
}

static void test_pattern(void **state)
{
	static const struct {
		const char *pattern, *text;
		unsigned flags;
		bool want;
	} rows[] = {
		{ "*", "", 0, true },
		{ "", "", 0, true },
		{ "", "a", 0, false },
		{ "abc", "ABC", 0, true },
		{ "abc", "ABC", KD__PATTERN_CASE, false },
		{ "a*c", "abbbc", 0, true },
		{ "a*c", "abbb", 0, false },
		{ "*Bug*Ex", "KeBugCheckEx", 0, true },
		{ "Ke?ug*", "KeBugCheckEx", 0, true },
		{ "Ke[a-c]ug*", "KeBugCheckEx", 0, true },
		{ "Ke[d-z]ug*", "KeBugCheckEx", 0, false },
		{ "ab#c", "ac", 0, true },
		{ "ab#c", "abbbc", 0, true },
		{ "ab+c", "ac", 0, false },
		{ "ab+c", "abbc", 0, true },
		{ "a[0-9]+z", "a123z", 0, true },
		{ "a[0-9]+z", "az", 0, false },
		{ "a\\*b", "a*b", 0, true },
		{ "a\\*b", "axb", 0, false },
		{ "_foo", "__foo", KD__PATTERN_SYMBOL, true },
		{ "_foo", "foo", KD__PATTERN_SYMBOL, true },
		{ "__foo", "_foo", KD__PATTERN_SYMBOL, true },
		{ "_foo", "foo", 0, false },
		{ "foo", "_foo", KD__PATTERN_SYMBOL, false },
		{ "*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0,
		  false },
	};
	struct kd__pattern p;

	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		assert_int_equal(kd__pattern_compile(&p, rows[i].pattern, strlen(rows[i].pattern),
						     rows[i].flags, NULL),
				 KD_OK);
		if (kd__pattern_match(&p, rows[i].text) != rows[i].want)
			print_error("%s on %s\n", rows[i].pattern, rows[i].text);
		assert_int_equal(kd__pattern_match(&p, rows[i].text), rows[i].want);
	}
	assert_int_equal(kd__pattern_compile(&p, "a[b", 3, 0, NULL), KD_E_SYNTAX);
	assert_int_equal(kd__pattern_compile(&p, "#", 1, 0, NULL), KD_E_SYNTAX);
	assert_int_equal(kd__pattern_compile(&p, "+a", 2, 0, NULL), KD_E_SYNTAX);
	assert_true(kd__wildcard_match("nt*", "NTOSKRNL"));
	assert_false(kd__wildcard_match("[", "["));
}

static void test_pattern_too_long(void **state)
{
	static char text[2 * KD__PATTERN_MAX];
	struct kd__pattern p;

	memset(text, 'a', sizeof text - 1);
	assert_int_equal(kd__pattern_compile(&p, text, KD__PATTERN_MAX, 0, NULL), KD_OK);
	assert_false(kd__pattern_match(&p, text));
	text[KD__PATTERN_MAX] = 0;
	assert_true(kd__pattern_match(&p, text));
	text[KD__PATTERN_MAX] = 'a';
	assert_int_equal(kd__pattern_compile(&p, text, KD__PATTERN_MAX + 1, 0, NULL), KD_E_TOO_BIG);
	text[KD__PATTERN_MAX] = '+';
	assert_int_equal(kd__pattern_compile(&p, text, KD__PATTERN_MAX + 1, 0, NULL), KD_E_TOO_BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),    cmocka_unit_test(test_bad),
		cmocka_unit_test(test_prefix),  cmocka_unit_test(test_radix),
		cmocka_unit_test(test_32_bits), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_pattern), cmocka_unit_test(test_pattern_too_long),
	};

	return cmocka_run_group_tests_name("expression", tests, NULL, NULL);
}
