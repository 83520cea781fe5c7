/* SPDX-License-Identifier: MIT */
/*
 * Load PE images: from file bytes to a mapped, relocated, bound image. Used by the boot loader for
 * the first modules and by the kernel for drivers and programs. Files are not trusted: every offset
 * is checked against the buffer it points into before it is used.
 */
#ifndef KD_GUEST_PE_LOAD_H
#define KD_GUEST_PE_LOAD_H

#include "guest/common/nt_base.h"

/* clang-format off */
#define PE_MACHINE_AMD64    0x8664
#define PE_MACHINE_I386     0x014C
#define PE_MACHINE_OURS     NT_CPU(PE_MACHINE_I386, PE_MACHINE_AMD64)
#define PE_SCN_DISCARDABLE  0x02000000u
#define PE_SCN_EXECUTE      0x20000000u
#define PE_SCN_WRITE        0x80000000u
#define PE_MAX_SECTIONS     96
#define PE_MAX_IMAGE_SIZE   0x4000000u
/* clang-format on */

enum pe_directory {
	PE_DIR_EXPORT = 0,
	PE_DIR_IMPORT = 1,
	PE_DIR_EXCEPTION = 3,
	PE_DIR_RELOC = 5,
};

struct pe_headers {
	uint64_t image_base;
	uint32_t image_size; /* multiple of the page size */
	uint32_t headers_size;
	uint32_t entry_rva;
	uint32_t checksum;
	uint32_t time_date_stamp;
	uint32_t section_off; /* of the section table, from the start of the headers */
	uint16_t machine;
	uint16_t n_sections;
	struct {
		uint32_t rva;
		uint32_t size; /* 0: absent */
	} dir[16];
};

struct pe_section {
	char name[9];
	uint32_t rva;
	uint32_t virtual_size; /* never 0 */
	uint32_t file_off;
	uint32_t file_size; /* bytes really in the file, <= virtual_size */
	uint32_t flags;
};

/** Read the headers at the start of `data`; `size` is that of the file or of the mapped image. */
NTSTATUS pe_headers_read(const uint8_t *data, size_t size, struct pe_headers *ret);

/** Section `i` (< n_sections). STATUS_INVALID_IMAGE_FORMAT if it does not fit the image. */
NTSTATUS pe_section_read(const uint8_t *data, size_t size, const struct pe_headers *pe, unsigned i,
			 struct pe_section *ret);

/** Copy headers and sections to `image` (pe->image_size bytes, zeroed by the caller). */
NTSTATUS pe_image_map(const uint8_t *file, size_t size, const struct pe_headers *pe,
		      uint8_t *image);

/** Apply base relocations to a mapped image that will run at `base`. */
NTSTATUS pe_image_relocate(uint8_t *image, const struct pe_headers *pe, uint64_t base);

/** RVA of an exported name in a mapped image, 0 if there is none. Forwarders are not supported. */
uint32_t pe_export_find(const uint8_t *image, const struct pe_headers *pe, const char *name);

/** Give the address of `name` in module `dll`, 0 if there is none (then *status says why). */
typedef uint64_t pe_resolve_fn(void *context, const char *dll, const char *name, NTSTATUS *status);

/** Fill the import tables of a mapped image; the first name without address ends it. */
NTSTATUS pe_imports_bind(uint8_t *image, const struct pe_headers *pe, pe_resolve_fn *resolve,
			 void *context);

/** DLL name of import descriptor `i`, NULL after the last one. */
const char *pe_import_name(const uint8_t *image, const struct pe_headers *pe, unsigned i);

/** Case-insensitive comparison of ASCII names. */
bool pe_name_equal(const char *a, const char *b);

#endif
