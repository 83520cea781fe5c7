/* SPDX-License-Identifier: MIT */
/*
 * What lib/sym reads from a file, as text that compare_llvm.py holds against LLVM's tools:
 *	sym_dump symbols|types|lines|exports|codeview FILE
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/sym/pdb.h"
#include "lib/sym/pe.h"
#include "lib/sym/types.h"

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

	kd_types_describe(pdb, type, &d);
	printf("%x %s size %" PRIu64 "\n", type, name, d.size);
	while (kd_types_next(pdb, &d, &at, &f) == KD_OK) {
		char text[256];

		kd_types_format(pdb, f.type, text, sizeof text);
		if (f.is_enumerator)
			printf("  %s = %" PRIu64 "\n", f.name, f.value);
		else
			printf("  +%" PRIu64 " %s : %s\n", f.offset, f.name, text);
	}
	return true;
}

static int dump_lines(struct kd_pdb *pdb)
{
	const struct kd_pdb_symbol *list;
	struct kd_pdb_line line;
	struct kd_error err;
	size_t n;

	if (kd_pdb_symbols(pdb, &list, &n, &err) != KD_OK)
		return fail(&err);
	for (size_t i = 0; i < n; i++)
		for (uint32_t in = 0; list[i].kind == KD_PDB_FUNCTION && in < list[i].size; in++)
			if (kd_pdb_line_at(pdb, list[i].rva + in, &line) == KD_OK)
				printf("%x %s:%u\n", list[i].rva + in, line.file, line.line);
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
	else if (!strcmp(what, "lines"))
		status = dump_lines(pdb);
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
		printf("%x %u %s\n", e.list[i].rva, e.list[i].ordinal, e.list[i].name);
	kd_pe_exports_free(&e);
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

static int dump_image(const char *what, const char *path)
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
		status = strcmp(what, "exports") ? dump_codeview(&pe) : dump_exports(&pe);
	kd_mapping_close(&map);
	return status;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: sym_dump symbols|types|lines|exports|codeview FILE\n");
		return 2;
	}
	if (!strcmp(argv[1], "exports") || !strcmp(argv[1], "codeview"))
		return dump_image(argv[1], argv[2]);
	return dump_pdb(argv[1], argv[2]);
}
