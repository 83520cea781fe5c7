/* SPDX-License-Identifier: MIT */
/*
 * Questions that a debugger asks of a PDB: the one of shapes.c, which says what the answers are.
 * Arguments: the PDB, shapes.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/sym/pdb.h"
#include "lib/sym/pe.h"
#include "lib/sym/types.h"

enum { MACHINE_X86 = 0x14C };

static const char *pdb_path;
static struct kd_pdb *pdb;
static bool is_x86;

static int setup(void **state)
{
	struct kd_pdb_info info;

	if (kd_pdb_open(pdb_path, &pdb, NULL) != KD_OK)
		return -1;
	kd_pdb_info(pdb, &info);
	is_x86 = info.machine == MACHINE_X86;
	return 0;
}

static int teardown(void **state)
{
	kd_pdb_close(pdb);
	return 0;
}

/* Every spelling leads to the function; SelfMap is what lld files under a wrong hash on x86. */
static void test_find_by_name(void **state)
{
	static const char *const spellings[] = { "SelfMap", "selfmap", "SELFMAP" };
	const struct kd_pdb_symbol *first = kd_pdb_find(pdb, "SelfMap"), *s;

	assert_non_null(first);
	assert_int_equal(first->kind, KD_PDB_FUNCTION);
	assert_true(first->size > 0 && first->type != 0);
	for (size_t i = 0; i < KD_ARRAY_LEN(spellings); i++) {
		s = kd_pdb_find(pdb, spellings[i]);
		assert_non_null(s);
		assert_int_equal(s->rva, first->rva);
		assert_ptr_equal(s, kd_pdb_find(pdb, spellings[i])); /* nothing grows */
	}
	s = kd_pdb_find(pdb, "_SelfMap");
	if (is_x86)
		assert_int_equal(s->rva, first->rva);
	else
		assert_null(s);
	assert_null(kd_pdb_find(pdb, "SelfMa"));
	assert_null(kd_pdb_find(pdb, "SelfMapp"));
	assert_null(kd_pdb_find(pdb, ""));
}

static void test_find_data(void **state)
{
	const struct kd_pdb_symbol *s = kd_pdb_find(pdb, "hidden"); /* static */
	struct kd_type_desc d;

	assert_non_null(s);
	assert_int_equal(s->kind, KD_PDB_DATA);
	assert_int_equal(kd_types_describe(pdb, s->type, &d), KD_OK);
	assert_int_equal(d.class_, KD_CLASS_INTEGER);
	s = kd_pdb_find(pdb, "shapes");
	assert_int_equal(kd_types_describe(pdb, s->type, &d), KD_OK);
	assert_int_equal(d.class_, KD_CLASS_ARRAY);
	assert_int_equal(d.count, 4);
}

static void check_prototype(const char *name, const char *expected)
{
	const struct kd_pdb_symbol *s = kd_pdb_find(pdb, name);
	struct kd_type_desc d;
	char text[64];

	assert_non_null(s);
	assert_int_equal(kd_types_describe(pdb, s->type, &d), KD_OK);
	kd_types_prototype(pdb, &d, text, sizeof text);
	assert_string_equal(text, expected);
	/* Cut where there is no room, and always ended. */
	for (size_t size = 1; size <= strlen(expected); size++) {
		kd_types_prototype(pdb, &d, text, size);
		assert_int_equal(strlen(text), size - 1);
		assert_memory_equal(text, expected, size - 1);
	}
}

static void test_prototypes(void **state)
{
	check_prototype("paged", "int (_SHAPE*, int)");
	check_prototype("deep", "int64 (int, int64, int64, int64)");
	check_prototype("NtEntry", "int (void*, void*)");
	check_prototype("hidden", "");
}

static void test_by_address(void **state)
{
	const struct kd_pdb_symbol *s = kd_pdb_find(pdb, "paged"), *list, *after;
	size_t n;

	assert_string_equal(kd_pdb_at(pdb, s->rva)->name, "paged");
	assert_string_equal(kd_pdb_at(pdb, s->rva + s->size - 1)->name, "paged");
	after = kd_pdb_after(pdb, s->rva);
	assert_true(!after || after->rva > s->rva);
	s = kd_pdb_find(pdb, "counter");
	assert_string_equal(kd_pdb_at(pdb, s->rva)->name, "counter");
	assert_null(kd_pdb_at(pdb, 0));
	assert_int_equal(kd_pdb_symbols(pdb, &list, &n, NULL), KD_OK);
	for (size_t i = 0; i < n; i++) {
		const struct kd_pdb_symbol *at = kd_pdb_at(pdb, list[i].rva);

		assert_int_equal(at->rva, list[i].rva);
		assert_true(i == 0 || list[i - 1].rva <= list[i].rva);
	}
}

static const char *source; /* shapes.c itself: the line of a function is where its text is */

static uint32_t line_of_text(const char *text)
{
	FILE *f = fopen(source, "re");
	char line[256];
	uint32_t n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof line, f) && ++n)
		if (strstr(line, text))
			break;
	fclose(f);
	return n;
}

static bool count(void *context, const struct kd_pdb_line *line)
{
	++*(size_t *)context;
	return true;
}

static void test_lines(void **state)
{
	const struct kd_pdb_symbol *s = kd_pdb_find(pdb, "SelfMap");
	uint32_t begin = line_of_text("int SelfMap(int x)") + 1; /* its brace */
	struct kd_pdb_line line;
	size_t n = 0;

	assert_int_equal(kd_pdb_line_at(pdb, s->rva, &line), KD_OK);
	assert_int_equal(line.line, begin);
	assert_int_equal(line.rva, s->rva);
	assert_true(line.end > line.rva);
	assert_non_null(strstr(line.file, "shapes.c"));
	assert_int_equal(kd_pdb_line_find(pdb, "shapes.c", begin, &line), KD_OK);
	assert_int_equal(line.rva, s->rva);
	assert_int_equal(kd_pdb_line_find(pdb, "SYM\\SHAPES.C", begin - 1, &line), KD_OK);
	assert_int_equal(line.line, begin); /* the next line with code */
	assert_int_equal(kd_pdb_line_find(pdb, "hapes.c", begin, &line), KD_E_NOT_FOUND);
	assert_int_equal(kd_pdb_line_find(pdb, "shapes.c", 100000, &line), KD_E_NOT_FOUND);
	assert_int_equal(kd_pdb_line_each(pdb, "shapes.c", begin, count, &n), KD_OK);
	assert_int_equal(n, 1);
	/* no line behind the end of the last function */
	assert_int_equal(kd_pdb_line_at(pdb, 0x10, &line), KD_E_NOT_FOUND);
}

static void test_padding_has_no_line(void **state)
{
	const struct kd_pdb_symbol *list;
	struct kd_pdb_line line;
	size_t n, n_gaps = 0;

	assert_int_equal(kd_pdb_symbols(pdb, &list, &n, NULL), KD_OK);
	for (size_t i = 0; i < n; i++) {
		uint32_t end = list[i].rva + list[i].size;

		if (list[i].kind != KD_PDB_FUNCTION || kd_pdb_at(pdb, end)->rva == end)
			continue;
		n_gaps++;
		assert_int_equal(kd_pdb_line_at(pdb, end, &line), KD_E_NOT_FOUND);
	}
	assert_true(n_gaps > 0);
}

/* As `dt` would print them; x86 has other pointers. */
static const struct {
	const char *name, *x64, *x86;
	uint32_t offset64, offset32;
} fields[] = {
	{ "links", "_LIST", "_LIST", 0, 0 },
	{ "flags", "_SHAPE::<unnamed-tag>", "_SHAPE::<unnamed-tag>", 16, 8 },
	{ "color", "color", "color", 20, 12 },
	{ "name", "[16] UChar", "[16] UChar", 24, 16 },
	{ "grid", "[2] [3] Uint4B", "[2] [3] Uint4B", 40, 32 },
	{ "handler", "Ptr64     int ", "Ptr32     int ", 64, 56 },
	{ "names", "Ptr64 Ptr64 Char", "Ptr32 Ptr32 Char", 72, 60 },
	{ "wide", "Int2B", "Int2B", 80, 64 },
};

static void test_members(void **state)
{
	struct kd_type_iter at = { 0 };
	struct kd_type_field f;
	struct kd_type_desc d;
	uint32_t type, folded;
	char text[64];
	size_t i = 0;

	assert_int_equal(kd_types_find(pdb, "_SHAPE", &type, NULL), KD_OK);
	assert_int_equal(kd_types_find(pdb, "_shape", &folded, NULL), KD_OK);
	assert_int_equal(type, folded);
	assert_int_equal(kd_types_describe(pdb, type, &d), KD_OK);
	assert_int_equal(d.size, is_x86 ? 68 : 88);
	for (; kd_types_next(pdb, &d, &at, &f) == KD_OK; i++) {
		assert_true(i < KD_ARRAY_LEN(fields));
		kd_types_format(pdb, f.type, text, sizeof text);
		assert_string_equal(f.name, fields[i].name);
		assert_int_equal(f.offset, is_x86 ? fields[i].offset32 : fields[i].offset64);
		if (strcmp(f.name, "flags")) /* its name is the compiler's affair */
			assert_string_equal(text, is_x86 ? fields[i].x86 : fields[i].x64);
	}
	assert_int_equal(i, KD_ARRAY_LEN(fields));
}

static void test_bit_fields(void **state)
{
	static const struct {
		const char *name, *text;
	} rows[] = { { "low", "Pos 0, 3 Bits" },
		     { "middle", "Pos 3, 1 Bit" },
		     { "rest", "Pos 4, 28 Bits" } };
	struct kd_type_iter at = { 0 };
	struct kd_type_desc d, flags = { .name = "" };
	struct kd_type_field f;
	char text[64];
	uint32_t type;

	assert_int_equal(kd_types_find(pdb, "_SHAPE", &type, NULL), KD_OK);
	assert_int_equal(kd_types_describe(pdb, type, &d), KD_OK);
	while (kd_types_next(pdb, &d, &at, &f) == KD_OK)
		if (!strcmp(f.name, "flags"))
			kd_types_describe(pdb, f.type, &flags);
	assert_true(flags.is_union);
	assert_int_equal(flags.size, 4);
	at = (struct kd_type_iter){ 0 };
	assert_int_equal(kd_types_next(pdb, &flags, &at, &f), KD_OK);
	assert_string_equal(f.name, "whole");
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) { /* members of the unnamed struct inside */
		assert_int_equal(kd_types_next(pdb, &flags, &at, &f), KD_OK);
		assert_string_equal(f.name, rows[i].name);
		kd_types_format(pdb, f.type, text, sizeof text);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(f.offset, 0);
	}
	assert_int_equal(kd_types_next(pdb, &flags, &at, &f), KD_E_NOT_FOUND);
	assert_int_equal(kd_types_next(pdb, &flags, &at, &f), KD_E_NOT_FOUND);
}

static void test_enum_and_typedef(void **state)
{
	struct kd_type_iter at = { 0 };
	struct kd_type_field f;
	struct kd_type_desc d;
	uint32_t type, shape, constant_type;
	uint64_t value;

	assert_int_equal(kd_types_find(pdb, "color", &type, NULL), KD_OK);
	assert_int_equal(kd_types_describe(pdb, type, &d), KD_OK);
	assert_int_equal(d.class_, KD_CLASS_ENUM);
	assert_int_equal(d.size, 4);
	for (int i = 0; i < 3; i++)
		assert_int_equal(kd_types_next(pdb, &d, &at, &f), KD_OK);
	assert_string_equal(f.name, "BLUE");
	assert_true(f.is_enumerator && (uint32_t)f.value == UINT32_MAX);
	assert_int_equal(kd_types_find(pdb, "SHAPE", &type, NULL), KD_OK); /* _SHAPE's typedef */
	assert_int_equal(kd_types_find(pdb, "_SHAPE", &shape, NULL), KD_OK);
	assert_int_equal(kd_types_describe(pdb, type, &d), KD_OK);
	assert_string_equal(d.name, "_SHAPE");
	assert_int_equal(kd_pdb_constant(pdb, "GREEN", &value, &constant_type), KD_OK);
	assert_int_equal(value, 7);
	assert_int_equal(kd_pdb_constant(pdb, "PURPLE", &value, &constant_type), KD_E_NOT_FOUND);
	assert_int_equal(kd_types_find(pdb, "_SHAPES", &type, NULL), KD_E_NOT_FOUND);
	assert_int_equal(kd_types_find(pdb, "", &type, NULL), KD_E_NOT_FOUND);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_find_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prototypes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_by_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_padding_has_no_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_members, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bit_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(test_enum_and_typedef, setup, teardown),
	};

	if (argc != 3)
		return 2;
	pdb_path = argv[1];
	source = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
