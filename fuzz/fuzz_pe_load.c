/* SPDX-License-Identifier: MIT */
/* The demo guest's image loading: whatever the file says, nothing outside image and file is
 * touched, and relocating there and back gives the same image. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/common/pe_load.h"

enum { MAX_IMAGE = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t resolve(void *context, const char *dll, const char *name, NTSTATUS *status)
{
	*status = STATUS_ENTRYPOINT_NOT_FOUND;
	return strlen(dll) + strlen(name); /* both must be terminated inside the image */
}

/* What callers rely on without looking again. */
static void check_headers(const uint8_t *data, size_t size, const struct pe_headers *pe)
{
	struct pe_section s;

	for (unsigned i = 0; i < 16; i++) {
		if ((uint64_t)pe->dir[i].rva + pe->dir[i].size > pe->image_size)
			abort();
	}
	for (unsigned i = 0; i < pe->n_sections + 1u; i++) {
		NTSTATUS status = pe_section_read(data, size, pe, i, &s);

		if (NT_SUCCESS(status) &&
		    (i >= pe->n_sections || s.virtual_size == 0 || s.file_size > s.virtual_size ||
		     (uint64_t)s.rva + s.virtual_size > pe->image_size))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pe_headers pe;
	uint8_t *image;

	if (!NT_SUCCESS(pe_headers_read(data, size, &pe)) || pe.image_size > MAX_IMAGE)
		return 0;
	check_headers(data, size, &pe);
	image = calloc(1, pe.image_size);
	if (NT_SUCCESS(pe_image_map(data, size, &pe, image))) {
		pe_image_relocate(image, &pe, pe.image_base + 0x10000);
		pe_imports_bind(image, &pe, resolve, NULL);
		if (pe_export_find(image, &pe, "KeBugCheckEx") >= pe.image_size)
			abort();
		for (unsigned i = 0; pe_import_name(image, &pe, i) != NULL; i++)
			;
	}
	free(image);
	return 0;
}
