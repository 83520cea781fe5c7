/* SPDX-License-Identifier: MIT */
#include "guest/common/pe_load.h"
#include "core/bytes.h"

enum {
	MAX_IMPORT_DLLS = 64,
	MAX_IMPORT_NAMES = 4096,
	MAX_NAME = 256,
	IMPORT_DESC_SIZE = 20,
	SECTION_SIZE = 40,
	RELOC_ABSOLUTE = 0,
	RELOC_HIGHLOW = 3,
	RELOC_DIR64 = 10,
};

static bool in_range(size_t size, uint64_t off, uint64_t n)
{
	return off <= size && n <= size - off;
}

NTSTATUS pe_headers_read(const uint8_t *data, size_t size, struct pe_headers *ret)
{
	struct pe_headers pe = { 0 };
	uint32_t nt, opt, opt_size, dirs, n_dirs, plus;

	if (size < 0x40 || kd_get16(data) != 0x5A4D)
		return STATUS_INVALID_IMAGE_FORMAT;
	nt = kd_get32(data + 0x3C);
	if (nt > 0x1000 || !in_range(size, nt, 24 + 2) || kd_get32(data + nt) != 0x4550)
		return STATUS_INVALID_IMAGE_FORMAT;
	opt = nt + 24;
	opt_size = kd_get16(data + nt + 20);
	if (!in_range(size, opt, opt_size) || opt_size < 0x60)
		return STATUS_INVALID_IMAGE_FORMAT;
	plus = kd_get16(data + opt) == 0x20B;
	if (!plus && kd_get16(data + opt) != 0x10B)
		return STATUS_INVALID_IMAGE_FORMAT;
	dirs = plus ? 0x70 : 0x60;
	if (opt_size < dirs)
		return STATUS_INVALID_IMAGE_FORMAT;

	pe.machine = kd_get16(data + nt + 4);
	pe.n_sections = kd_get16(data + nt + 6);
	pe.time_date_stamp = kd_get32(data + nt + 8);
	pe.entry_rva = kd_get32(data + opt + 0x10);
	pe.image_base = plus ? kd_get64(data + opt + 0x18) : kd_get32(data + opt + 0x1C);
	pe.image_size = kd_get32(data + opt + 0x38);
	pe.headers_size = kd_get32(data + opt + 0x3C);
	pe.checksum = kd_get32(data + opt + 0x40);
	pe.section_off = opt + opt_size;

	n_dirs = kd_get32(data + opt + dirs - 4);
	for (uint32_t i = 0; i < n_dirs && i < 16 && dirs + 8 * i + 8 <= opt_size; i++) {
		uint32_t rva = kd_get32(data + opt + dirs + 8 * i);
		uint32_t n = kd_get32(data + opt + dirs + 8 * i + 4);

		if (in_range(pe.image_size, rva, n)) {
			pe.dir[i].rva = rva;
			pe.dir[i].size = n;
		}
	}
	if (kd_get32(data + opt + 0x20) != 0x1000 || (pe.image_size & 0xFFF) != 0 ||
	    pe.image_size == 0 || pe.image_size > PE_MAX_IMAGE_SIZE ||
	    pe.headers_size > pe.image_size || pe.entry_rva >= pe.image_size ||
	    pe.n_sections == 0 || pe.n_sections > PE_MAX_SECTIONS ||
	    !in_range(size, pe.section_off, (uint64_t)pe.n_sections * SECTION_SIZE))
		return STATUS_INVALID_IMAGE_FORMAT;
	*ret = pe;
	return STATUS_SUCCESS;
}

NTSTATUS pe_section_read(const uint8_t *data, size_t size, const struct pe_headers *pe, unsigned i,
			 struct pe_section *ret)
{
	const uint8_t *raw = data + pe->section_off + (size_t)i * SECTION_SIZE;
	struct pe_section s = { 0 };

	if (i >= pe->n_sections ||
	    !in_range(size, pe->section_off + (uint64_t)i * SECTION_SIZE, SECTION_SIZE))
		return STATUS_INVALID_IMAGE_FORMAT;
	for (unsigned k = 0; k < 8; k++)
		s.name[k] = (char)raw[k];
	s.virtual_size = kd_get32(raw + 8);
	s.rva = kd_get32(raw + 12);
	s.file_size = kd_get32(raw + 16);
	s.file_off = kd_get32(raw + 20);
	s.flags = kd_get32(raw + 36);
	if (s.virtual_size == 0)
		s.virtual_size = s.file_size;
	if (s.file_size > s.virtual_size)
		s.file_size = s.virtual_size;
	if (s.virtual_size == 0 || (s.rva & 0xFFF) != 0 ||
	    !in_range(pe->image_size, s.rva, s.virtual_size))
		return STATUS_INVALID_IMAGE_FORMAT;
	*ret = s;
	return STATUS_SUCCESS;
}

static void copy(uint8_t *to, const uint8_t *from, size_t n)
{
	__builtin_memcpy(to, from, n);
}

NTSTATUS pe_image_map(const uint8_t *file, size_t size, const struct pe_headers *pe, uint8_t *image)
{
	struct pe_section s;
	NTSTATUS status;

	if (pe->headers_size > size)
		return STATUS_INVALID_IMAGE_FORMAT;
	copy(image, file, pe->headers_size);
	for (unsigned i = 0; i < pe->n_sections; i++) {
		status = pe_section_read(file, size, pe, i, &s);
		if (!NT_SUCCESS(status))
			return status;
		if (!in_range(size, s.file_off, s.file_size))
			return STATUS_INVALID_IMAGE_FORMAT;
		copy(image + s.rva, file + s.file_off, s.file_size);
	}
	return STATUS_SUCCESS;
}

static NTSTATUS relocate_one(uint8_t *image, uint32_t image_size, uint32_t rva, unsigned type,
			     uint64_t delta)
{
	switch (type) {
	case RELOC_ABSOLUTE: return STATUS_SUCCESS;
	case RELOC_DIR64:
		if (!in_range(image_size, rva, 8))
			return STATUS_INVALID_IMAGE_FORMAT;
		kd_put64(image + rva, kd_get64(image + rva) + delta);
		return STATUS_SUCCESS;
	case RELOC_HIGHLOW:
		if (!in_range(image_size, rva, 4))
			return STATUS_INVALID_IMAGE_FORMAT;
		kd_put32(image + rva, kd_get32(image + rva) + (uint32_t)delta);
		return STATUS_SUCCESS;
	default: return STATUS_INVALID_IMAGE_FORMAT;
	}
}

NTSTATUS pe_image_relocate(uint8_t *image, const struct pe_headers *pe, uint64_t base)
{
	uint64_t delta = base - pe->image_base;
	uint32_t off = pe->dir[PE_DIR_RELOC].rva;
	uint32_t end = off + pe->dir[PE_DIR_RELOC].size;

	if (delta == 0)
		return STATUS_SUCCESS;
	while (end - off >= 8) {
		uint32_t page = kd_get32(image + off);
		uint32_t n = kd_get32(image + off + 4);

		if (n < 8 || n > end - off)
			return STATUS_INVALID_IMAGE_FORMAT;
		for (uint32_t i = 8; i + 2 <= n; i += 2) {
			unsigned e = kd_get16(image + off + i);
			NTSTATUS status = relocate_one(image, pe->image_size, page + (e & 0xFFF),
						       e >> 12, delta);

			if (!NT_SUCCESS(status))
				return status;
		}
		off += n;
	}
	return STATUS_SUCCESS;
}

/* A NUL-terminated string inside the image, NULL if it is none. */
static const char *image_string(const uint8_t *image, const struct pe_headers *pe, uint32_t rva)
{
	for (uint32_t i = 0; i < MAX_NAME && in_range(pe->image_size, rva, i + 1); i++) {
		if (image[rva + i] == 0)
			return (const char *)image + rva;
	}
	return NULL;
}

static int name_compare(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (int)(unsigned char)*a - (int)(unsigned char)*b;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool pe_name_equal(const char *a, const char *b)
{
	while (*a != '\0' && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return lower(*a) == lower(*b);
}

uint32_t pe_export_find(const uint8_t *image, const struct pe_headers *pe, const char *name)
{
	uint32_t dir = pe->dir[PE_DIR_EXPORT].rva;
	uint32_t n_functions, n_names, functions, names, ordinals, lo, hi;

	if (pe->dir[PE_DIR_EXPORT].size < 40)
		return 0;
	n_functions = kd_get32(image + dir + 0x14);
	n_names = kd_get32(image + dir + 0x18);
	functions = kd_get32(image + dir + 0x1C);
	names = kd_get32(image + dir + 0x20);
	ordinals = kd_get32(image + dir + 0x24);
	if (!in_range(pe->image_size, functions, (uint64_t)n_functions * 4) ||
	    !in_range(pe->image_size, names, (uint64_t)n_names * 4) ||
	    !in_range(pe->image_size, ordinals, (uint64_t)n_names * 2))
		return 0;
	for (lo = 0, hi = n_names; lo < hi;) {
		uint32_t mid = lo + (hi - lo) / 2;
		const char *s = image_string(image, pe, kd_get32(image + names + 4 * mid));
		int order = s == NULL ? 1 : name_compare(name, s);
		uint32_t ordinal, rva;

		if (order > 0) {
			lo = mid + 1;
			continue;
		}
		if (order < 0) {
			hi = mid;
			continue;
		}
		ordinal = kd_get16(image + ordinals + 2 * mid);
		if (ordinal >= n_functions)
			return 0;
		rva = kd_get32(image + functions + 4 * ordinal);
		if (rva - dir < pe->dir[PE_DIR_EXPORT].size || rva >= pe->image_size)
			return 0;
		return rva;
	}
	return 0;
}

static uint32_t import_descriptor(const struct pe_headers *pe, unsigned i)
{
	if (i >= MAX_IMPORT_DLLS ||
	    (uint64_t)(i + 1) * IMPORT_DESC_SIZE > pe->dir[PE_DIR_IMPORT].size)
		return 0;
	return pe->dir[PE_DIR_IMPORT].rva + i * IMPORT_DESC_SIZE;
}

const char *pe_import_name(const uint8_t *image, const struct pe_headers *pe, unsigned i)
{
	uint32_t desc = import_descriptor(pe, i);
	uint32_t name = desc != 0 ? kd_get32(image + desc + 12) : 0;

	return name != 0 ? image_string(image, pe, name) : NULL;
}

static NTSTATUS bind_one(uint8_t *image, const struct pe_headers *pe, const char *dll,
			 uint64_t thunk, uint32_t slot, pe_resolve_fn *resolve, void *context)
{
	bool wide = pe->machine == PE_MACHINE_AMD64;
	NTSTATUS status = STATUS_ENTRYPOINT_NOT_FOUND;
	const char *name;
	uint64_t address;

	if (thunk >> (wide ? 63 : 31) != 0)
		return STATUS_ORDINAL_NOT_FOUND; /* by name only */
	name = thunk + 2 < pe->image_size ? image_string(image, pe, (uint32_t)thunk + 2) : NULL;
	if (name == NULL)
		return STATUS_INVALID_IMAGE_FORMAT;
	address = resolve(context, dll, name, &status);
	if (address == 0)
		return status;
	if (wide)
		kd_put64(image + slot, address);
	else
		kd_put32(image + slot, (uint32_t)address);
	return STATUS_SUCCESS;
}

static NTSTATUS bind_dll(uint8_t *image, const struct pe_headers *pe, uint32_t desc,
			 const char *dll, pe_resolve_fn *resolve, void *context)
{
	uint32_t width = pe->machine == PE_MACHINE_AMD64 ? 8 : 4;
	uint32_t iat = kd_get32(image + desc + 16);
	uint32_t names = kd_get32(image + desc) != 0 ? kd_get32(image + desc) : iat;

	for (uint32_t i = 0; i < MAX_IMPORT_NAMES; i++) {
		uint64_t thunk;
		NTSTATUS status;

		if (!in_range(pe->image_size, names, (uint64_t)(i + 1) * width) ||
		    !in_range(pe->image_size, iat, (uint64_t)(i + 1) * width))
			return STATUS_INVALID_IMAGE_FORMAT;
		thunk = width == 8 ? kd_get64(image + names + i * width)
				   : kd_get32(image + names + i * width);
		if (thunk == 0)
			return STATUS_SUCCESS;
		status = bind_one(image, pe, dll, thunk, iat + i * width, resolve, context);
		if (!NT_SUCCESS(status))
			return status;
	}
	return STATUS_INVALID_IMAGE_FORMAT;
}

NTSTATUS pe_imports_bind(uint8_t *image, const struct pe_headers *pe, pe_resolve_fn *resolve,
			 void *context)
{
	const char *dll;

	for (unsigned i = 0; (dll = pe_import_name(image, pe, i)) != NULL; i++) {
		NTSTATUS status = bind_dll(image, pe, import_descriptor(pe, i), dll, resolve,
					   context);

		if (!NT_SUCCESS(status))
			return status;
	}
	return STATUS_SUCCESS;
}
