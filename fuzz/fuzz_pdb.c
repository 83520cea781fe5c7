/* SPDX-License-Identifier: MIT */
/* PDBs from hostile bytes: symbols, lines, types; what is found by address is found by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/sym/pdb.h"
#include "lib/sym/types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool look(void *context, const char *name, uint32_t type)
{
	struct kd_type_iter at = { 0 };
	struct kd_type_field field;
	struct kd_type_desc d;
	char text[128];
	int n = 0;

	(void)name;
	kd_types_describe(context, type, &d);
	kd_types_prototype(context, &d, text, sizeof text);
	while (n++ < 1000 && kd_types_next(context, &d, &at, &field) == KD_OK)
		kd_types_format(context, field.type, text, sizeof text);
	return true;
}

static bool check_line(void *context, const struct kd_pdb_line *line)
{
	struct kd_pdb_line at;

	if (line->end < line->rva || !line->line)
		__builtin_trap();
	kd_pdb_line_at(context, line->rva, &at);
	return true;
}

/* What is listed is found: by its name, and its address leads to something at that address. */
static void check_symbols(struct kd_pdb *pdb)
{
	const struct kd_pdb_symbol *list, *at;
	struct kd_pdb_line line;
	size_t n;

	if (kd_pdb_symbols(pdb, &list, &n, NULL) != KD_OK)
		return;
	for (size_t i = 0; i < n && i < 200; i++) {
		if (i && list[i].rva < list[i - 1].rva)
			__builtin_trap();
		if (!kd_pdb_find(pdb, list[i].name))
			__builtin_trap();
		look(pdb, list[i].name, list[i].type);
		at = kd_pdb_at(pdb, list[i].rva);
		if (!at || at->rva > list[i].rva)
			__builtin_trap();
		if (kd_pdb_line_at(pdb, list[i].rva, &line) == KD_OK && line.rva > list[i].rva)
			__builtin_trap();
	}
}

static void use(struct kd_pdb *pdb)
{
	struct kd_pdb_line line;
	uint64_t value;
	uint32_t type;

	/* by the linker's tables first, before there is an index of ours */
	kd_pdb_find(pdb, "SelfMap");
	kd_pdb_find(pdb, "_NtEntry");
	kd_pdb_constant(pdb, "GREEN", &value, &type);
	kd_types_find(pdb, "_SHAPE", &type, NULL);
	kd_types_find(pdb, "SHAPE", &type, NULL);
	kd_pdb_at(pdb, 0x1010);
	check_symbols(pdb);
	kd_pdb_line_find(pdb, "shapes.c", 1, &line);
	kd_pdb_line_each(pdb, "shapes.c", 50, check_line, pdb);
	kd_types_each(pdb, look, pdb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kd_pdb *pdb;
	char path[64];
	int fd = memfd_create("pdb", MFD_CLOEXEC);

	if (fd < 0)
		abort();
	if (write(fd, data, size) == (ssize_t)size) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		if (kd_pdb_open(path, &pdb, NULL) == KD_OK) {
			use(pdb);
			kd_pdb_close(pdb);
		}
	}
	close(fd);
	return 0;
}
