/* SPDX-License-Identifier: MIT */
/*
 * The demo guest's PE loading on the host: real images of the build are loaded whole, then every
 * truncation and every bit flip of their headers must be refused or stay inside the buffers (run
 * under ASan to see the latter).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "guest/common/pe_load.h"

enum { HEADER_BYTES = 0x400 };

static const char *folder;

struct file {
	uint8_t *data;
	size_t size;
};

static struct file read_file(const char *name)
{
	struct file f = { NULL, 0 };
	char path[1024];
	FILE *in;
	long size;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	in = fopen(path, "rb");
	assert_non_null(in);
	assert_int_equal(fseek(in, 0, SEEK_END), 0);
	size = ftell(in);
	assert_true(size > 0);
	rewind(in);
	f.data = malloc((size_t)size);
	f.size = (size_t)size;
	assert_int_equal(fread(f.data, 1, f.size, in), f.size);
	fclose(in);
	return f;
}

static uint64_t count_names(void *context, const char *dll, const char *name, NTSTATUS *status)
{
	unsigned *count = context;

	assert_true(strlen(dll) + strlen(name) < 600); /* read to their ends: they are bounded */
	(*count)++;
	return 0x1122334455667788;
}

static uint64_t know_nothing(void *context, const char *dll, const char *name, NTSTATUS *status)
{
	*status = STATUS_ENTRYPOINT_NOT_FOUND;
	return 0;
}

/* All the steps a loader takes; the image is exactly as large as its headers say. */
static NTSTATUS load(const uint8_t *data, size_t size, uint64_t base, unsigned *n_imports)
{
	struct pe_headers pe;
	uint8_t *image;
	NTSTATUS status = pe_headers_read(data, size, &pe);

	if (!NT_SUCCESS(status))
		return status;
	image = calloc(1, pe.image_size);
	assert_non_null(image);
	status = pe_image_map(data, size, &pe, image);
	if (NT_SUCCESS(status))
		status = pe_image_relocate(image, &pe, base);
	if (NT_SUCCESS(status))
		status = pe_imports_bind(image, &pe, count_names, n_imports);
	pe_export_find(image, &pe, "KeBugCheckEx");
	free(image);
	return status;
}

static void real_images_load(void **state)
{
	static const struct {
		const char *name;
		unsigned min_imports;
	} images[] = {
		{ "ntoskrnl.exe", 8 }, { "hal.dll", 3 },   { "null.sys", 4 },
		{ "demo.sys", 10 },    { "ntdll.dll", 0 }, { "worker.exe", 4 },
	};

	for (size_t i = 0; i < RTL_NUMBER_OF(images); i++) {
		struct file f = read_file(images[i].name);
		unsigned n = 0;

		assert_int_equal(load(f.data, f.size, 0xFFFFF88000010000, &n), STATUS_SUCCESS);
		assert_true(n >= images[i].min_imports);
		free(f.data);
	}
}

static void exports_are_found(void **state)
{
	static const char *const names[] = { "DbgBreakPoint", "KeBugCheckEx", "PsLoadedModuleList",
					     "ZwUnloadDriver", "ExAllocatePoolWithTag" };
	struct file f = read_file("ntoskrnl.exe");
	struct pe_headers pe;
	uint8_t *image;

	assert_int_equal(pe_headers_read(f.data, f.size, &pe), STATUS_SUCCESS);
	image = calloc(1, pe.image_size);
	assert_int_equal(pe_image_map(f.data, f.size, &pe, image), STATUS_SUCCESS);
	for (size_t i = 0; i < RTL_NUMBER_OF(names); i++) {
		uint32_t rva = pe_export_find(image, &pe, names[i]);

		assert_true(rva != 0 && rva < pe.image_size);
	}
	assert_int_equal(pe_export_find(image, &pe, "KeBugCheckE"), 0);
	assert_int_equal(pe_export_find(image, &pe, "KeBugCheckEx2"), 0);
	assert_int_equal(pe_export_find(image, &pe, ""), 0);
	assert_int_equal(pe_export_find(image, &pe, "~"), 0);
	free(image);
	free(f.data);
}

static void relocation_moves_pointers(void **state)
{
	struct file f = read_file("demo.sys");
	const uint64_t delta = 0x12340000;
	struct pe_headers pe;
	uint8_t *a, *b;
	unsigned moved = 0;

	assert_int_equal(pe_headers_read(f.data, f.size, &pe), STATUS_SUCCESS);
	a = calloc(1, pe.image_size);
	b = calloc(1, pe.image_size);
	assert_int_equal(pe_image_map(f.data, f.size, &pe, a), STATUS_SUCCESS);
	memcpy(b, a, pe.image_size);
	assert_int_equal(pe_image_relocate(b, &pe, pe.image_base + delta), STATUS_SUCCESS);
	/* The low half of delta is 0, so the first byte that differs is the third of a pointer. */
	for (uint32_t at = 2; at + 6 <= pe.image_size; at++) {
		const size_t width = pe.machine == PE_MACHINE_AMD64 ? 8 : 4;
		const uint32_t off = at - 2;

		if (a[at] == b[at])
			continue;
		assert_int_equal(kd_get_sized(b + off, width) - kd_get_sized(a + off, width),
				 delta);
		assert_in_range(kd_get_sized(a + off, width) - pe.image_base, 0, pe.image_size);
		moved++;
		at = off + (uint32_t)width + 1;
	}
	assert_true(moved >= 10); /* at least the command table */
	free(a);
	free(b);
	free(f.data);
}

static void missing_imports_are_named(void **state)
{
	struct file f = read_file("null.sys");
	struct pe_headers pe;
	uint8_t *image;

	assert_int_equal(pe_headers_read(f.data, f.size, &pe), STATUS_SUCCESS);
	image = calloc(1, pe.image_size);
	assert_int_equal(pe_image_map(f.data, f.size, &pe, image), STATUS_SUCCESS);
	assert_string_equal(pe_import_name(image, &pe, 0), "ntoskrnl.exe");
	assert_null(pe_import_name(image, &pe, 1000));
	assert_int_equal(pe_imports_bind(image, &pe, know_nothing, NULL),
			 STATUS_ENTRYPOINT_NOT_FOUND);
	free(image);
	free(f.data);
}

static void every_truncation_is_refused(void **state)
{
	struct file f = read_file("null.sys");
	unsigned n = 0;

	for (size_t size = 0; size < f.size; size++) {
		uint8_t *cut = malloc(size == 0 ? 1 : size); /* exact, for ASan */
		NTSTATUS status;

		memcpy(cut, f.data, size);
		status = load(cut, size, 0x180000000, &n);
		/* Padding at the end of the last section may be missing without harm. */
		if (size + 0x200 <= f.size)
			assert_int_not_equal(status, STATUS_SUCCESS);
		free(cut);
	}
	free(f.data);
}

static void no_flipped_bit_leaves_the_buffers(void **state)
{
	struct file f = read_file("null.sys");
	unsigned n = 0, refused = 0;

	for (size_t bit = 0; bit < f.size * 8; bit++) {
		if (bit >= HEADER_BYTES * 8 && bit % 7 != 0)
			continue; /* all of the headers, a sample of the rest */
		f.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		refused += !NT_SUCCESS(load(f.data, f.size, 0x180000000, &n));
		f.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(refused > 100);
	free(f.data);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_images_load),
		cmocka_unit_test(exports_are_found),
		cmocka_unit_test(relocation_moves_pointers),
		cmocka_unit_test(missing_imports_are_named),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(no_flipped_bit_leaves_the_buffers),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER-OF-IMAGES\n", argv[0]);
		return 2;
	}
	folder = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
