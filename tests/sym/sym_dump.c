/* SPDX-License-Identifier: MIT */
/*
 * What lib/sym reads from a file, as text that compare_llvm.py holds against LLVM's tools:
 *	sym_dump symbols|types|places|constants|exports|imports|functions|codeview FILE
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sym/pdb.h"
#include "lib/sym/pe.h"
#include "lib/sym/types.h"
#include "lib/sym/unwind_x64.h"

static int fail(const struct kd_error *err)
{
	fprintf(stderr, "sym_dump: %s: %s\n", "failed", err->text);
	return 1;
}

static int dump_symbols(struct kd_pdb *pdb)
{
	static const char *const kinds[] = { "function", "data", "public-function", "public-data" };
	const struct kd_pdb_symbol *list;
	struct kd_error err;
	size_t n;

	if (kd_pdb_symbols(pdb, &list, &n, &err) != KD_OK)
		return fail(&err);
	for (size_t i = 0; i < n; i++) {
		const struct kd_pdb_symbol *found = kd_pdb_find(pdb, list[i].name);

		printf("%08x %x %s %s\n", list[i].rva, list[i].size, kinds[list[i].kind],
		       list[i].name);
		if (!found || (strcmp(found->name, list[i].name) && found->rva != list[i].rva)) {
			fprintf(stderr, "sym_dump: %s is not found by its name\n", list[i].name);
			return 1;
		}
	}
	return 0;
}

struct types {
	struct kd_pdb *pdb;
};

static bool dump_type(void *context, const char *name, uint32_t type)
{
	struct kd_pdb *pdb = ((struct types *)context)->pdb;
	struct kd_type_iter at = { 0 };
	struct kd_type_field f;
	struct kd_type_desc d;

	if (kd_types_describe(pdb, type, &d) != KD_OK)
		return false;
	printf("%x\t%" PRIu64 "\t%s\n", type, d.size, name);
	while (kd_types_next(pdb, &d, &at, &f) == KD_OK) {
		struct kd_type_desc member;
		char text[256];

		kd_types_format(pdb, f.type, text, sizeof text);
		kd_types_describe(pdb, f.type, &member);
		if (f.is_enumerator)
			printf("\tenumerator\t%" PRId64 "\t%s\n", (int64_t)f.value, f.name);
		else
			printf("\t%s\t%" PRIu64 "\t%x\t%u\t%u\t%s\t%s\n",
			       f.is_base     ? "base"
			       : f.is_static ? "static"
					     : "member",
			       f.offset, f.type, member.bit_position, member.bit_length, f.name,
			       text);
	}
	return true;
}

/* RVAs from standard input, a line of answers each: symbol, displacement, place in the source. */
static int dump_places(struct kd_pdb *pdb)
{
	char text[64];

	while (fgets(text, sizeof text, stdin)) {
		uint32_t rva = (uint32_t)strtoul(text, NULL, 16);
		const struct kd_pdb_symbol *symbol = kd_pdb_at(pdb, rva);
		struct kd_pdb_line line = { .file = "" };

		if (kd_pdb_line_at(pdb, rva, &line) == KD_OK &&
		    (rva < line.rva || (rva >= line.end && line.end != line.rva))) {
			fprintf(stderr, "sym_dump: the line of %x is elsewhere\n", rva);
			return 1;
		}
		printf("%x\t%u\t%s\t%x\t%s\n", rva, line.line, line.file,
		       symbol ? rva - symbol->rva : 0, symbol ? symbol->name : "");
	}
	return 0;
}

/* Names from standard input: value of the constant. */
static int dump_constants(struct kd_pdb *pdb)
{
	char text[4096];

	while (fgets(text, sizeof text, stdin)) {
		uint64_t value = 0;
		uint32_t type = 0;

		text[strcspn(text, "\n")] = '\0';
		if (kd_pdb_constant(pdb, text, &value, &type) == KD_OK)
			printf("%" PRId64 "\t%x\t%s\n", (int64_t)value, type, text);
	}
	return 0;
}

static int dump_pdb(const char *what, const char *path)
{
	struct kd_pdb *pdb;
	struct kd_error err;
	int status = 2;

	if (kd_pdb_open(path, &pdb, &err) != KD_OK)
		return fail(&err);
	if (!strcmp(what, "symbols"))
		status = dump_symbols(pdb);
	else if (!strcmp(what, "types"))
		status = kd_types_each(pdb, dump_type, &(struct types){ pdb }) != KD_OK;
	else if (!strcmp(what, "places"))
		status = dump_places(pdb);
	else if (!strcmp(what, "constants"))
		status = dump_constants(pdb);
	kd_pdb_close(pdb);
	return status;
}

static int dump_exports(const struct kd_pe *pe)
{
	struct kd_pe_exports e;
	struct kd_error err;

	if (kd_pe_exports_load(pe, &e, &err) != KD_OK)
		return fail(&err);
	for (size_t i = 0; i < e.n; i++)
		printf("%x\t%u\t%s\n", e.list[i].rva, e.list[i].ordinal, e.list[i].name);
	kd_pe_exports_free(&e);
	return 0;
}

static int dump_imports(const struct kd_pe *pe)
{
	struct kd_pe_imports list;
	struct kd_error err;

	if (kd_pe_imports_load(pe, &list, &err) != KD_OK)
		return fail(&err);
	for (size_t i = 0; i < list.n; i++)
		printf("%s\t%u\t%s\n", list.list[i].dll, list.list[i].ordinal, list.list[i].name);
	kd_pe_imports_free(&list);
	return 0;
}

static int dump_functions(const struct kd_pe *pe)
{
	struct kd_x64_functions f;
	struct kd_error err;

	if (kd_x64_functions_load(pe, &f, &err) != KD_OK)
		return fail(&err);
	for (size_t i = 0; i < f.n; i++)
		printf("%x %x %x\n", f.list[i].begin, f.list[i].end, f.list[i].unwind);
	kd_x64_functions_free(&f);
	return 0;
}

static int dump_codeview(const struct kd_pe *pe)
{
	struct kd_pe_codeview cv;
	struct kd_error err;

	if (kd_pe_codeview(pe, &cv, &err) != KD_OK)
		return fail(&err);
	printf("%s %s\n", cv.name, cv.id);
	return 0;
}

static const struct {
	const char *name;
	int (*dump)(const struct kd_pe *pe);
} image_dumps[] = {
	{ "exports", dump_exports },
	{ "imports", dump_imports },
	{ "functions", dump_functions },
	{ "codeview", dump_codeview },
};

static int dump_image(int (*dump)(const struct kd_pe *pe), const char *path)
{
	struct kd_mapping map;
	struct kd_error err;
	struct kd_pe pe;
	int status;

	if (kd_mapping_open(path, &map, &err) != KD_OK)
		return fail(&err);
	if (kd_pe_open(&pe, kd_mapping_read, &map, 0, true, &err) != KD_OK)
		status = fail(&err);
	else
		status = dump(&pe);
	kd_mapping_close(&map);
	return status;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: sym_dump WHAT FILE\n");
		return 2;
	}
	for (size_t i = 0; i < KD_ARRAY_LEN(image_dumps); i++)
		if (!strcmp(argv[1], image_dumps[i].name))
			return dump_image(image_dumps[i].dump, argv[2]);
	return dump_pdb(argv[1], argv[2]);
}
