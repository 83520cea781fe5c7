/* SPDX-License-Identifier: MIT */
/*
 * A PDB and an image, damaged in every way a byte can be: cut short and with bits flipped. lib/sym
 * must answer or refuse, never crash (run under sanitizers too) and never loop.
 *	sym_hostile PDB IMAGE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/sym/pdb.h"
#include "lib/sym/pe.h"
#include "lib/sym/types.h"

struct file {
	uint8_t *bytes;
	size_t size;
};

static struct file load(const char *path)
{
	struct kd_mapping m;
	struct file f;

	if (kd_mapping_open(path, &m, NULL) != KD_OK)
		exit(2);
	f.size = m.size;
	f.bytes = malloc(m.size);
	memcpy(f.bytes, m.bytes, m.size);
	kd_mapping_close(&m);
	return f;
}

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
	while (n++ < 10000 && kd_types_next(context, &d, &at, &field) == KD_OK)
		kd_types_format(context, field.type, text, sizeof text);
	return n < 10000;
}

static void use_pdb(const char *path)
{
	const struct kd_pdb_symbol *list;
	struct kd_pdb_line line;
	struct kd_pdb *pdb;
	uint32_t type;
	size_t n;

	if (kd_pdb_open(path, &pdb, NULL) != KD_OK)
		return;
	if (kd_pdb_symbols(pdb, &list, &n, NULL) == KD_OK)
		for (size_t i = 0; i < n && i < 2000; i += 7) {
			kd_pdb_line_at(pdb, list[i].rva, &line);
			look(pdb, list[i].name, list[i].type);
		}
	kd_pdb_find(pdb, "SelfMap");
	kd_pdb_line_find(pdb, "shapes.c", 50, &line);
	kd_types_find(pdb, "_SHAPE", &type, NULL);
	kd_types_each(pdb, look, pdb);
	kd_pdb_close(pdb);
}

static void use_image(const uint8_t *bytes, size_t size)
{
	struct kd_mapping m = { bytes, size };
	struct kd_pe_exports exports;
	struct kd_pe_codeview cv;
	struct kd_pe pe;

	for (int is_file = 0; is_file < 2; is_file++) {
		if (kd_pe_open(&pe, kd_mapping_read, &m, 0, is_file, NULL) != KD_OK)
			continue;
		kd_pe_codeview(&pe, &cv, NULL);
		if (kd_pe_exports_load(&pe, &exports, NULL) == KD_OK)
			kd_pe_exports_free(&exports);
	}
}

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
	FILE *f = fopen(path, "we");

	if (!f || fwrite(bytes, 1, size, f) != size || fclose(f))
		exit(2);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void damage_pdb(struct file f)
{
	char path[] = "/tmp/openkd-hostile-XXXXXX";
	int fd = mkstemp(path);
	uint32_t random = 1;

	if (fd < 0)
		exit(2);
	close(fd);
	for (size_t size = 1; size < f.size; size += 1 + f.size / 97) {
		write_file(path, f.bytes, size);
		use_pdb(path);
	}
	for (int i = 0; i < 400; i++) {
		size_t at = next_random(&random) * (uint64_t)256 % f.size;
		uint8_t before;

		at = i % 2 ? at : at % 4096; /* half of them in the headers */
		before = f.bytes[at];
		f.bytes[at] = (uint8_t)(before ^ 1u << i % 8);
		write_file(path, f.bytes, f.size);
		use_pdb(path);
		f.bytes[at] = before;
	}
	unlink(path);
}

static void damage_image(struct file f)
{
	for (size_t size = 0; size < f.size && size < 4096; size++)
		use_image(f.bytes, size);
	for (size_t bit = 0; bit < 8 * KD_MIN(f.size, (size_t)2048); bit++) {
		f.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		use_image(f.bytes, f.size);
		f.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

int main(int argc, char **argv)
{
	struct file pdb, image;

	if (argc != 3)
		return 2;
	pdb = load(argv[1]);
	image = load(argv[2]);
	damage_pdb(pdb);
	damage_image(image);
	free(pdb.bytes);
	free(image.bytes);
	return 0;
}
