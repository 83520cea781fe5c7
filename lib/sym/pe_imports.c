/* SPDX-License-Identifier: MIT */
/*
 * Imports: which function each slot of the import address table is for. Descriptors, names and
 * thunks lie in one section with all linkers; it is read at once. In memory they are often gone
 * after the start (INIT): then an image file has them.
 */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/sym/pe.h"

enum {
	DESCRIPTOR = 20,
	DESCRIPTORS_MAX = 1024,
	IMPORTS_MAX = 65536,
	SECTION_MAX = 16 << 20,
	HINT = 2,
};

struct part { /* the section, as far as it can be read */
	const uint8_t *bytes;
	size_t size;
	uint32_t rva; /* of bytes[0] */
};

static const uint8_t *at(const struct part *t, uint32_t rva, uint64_t size)
{
	uint32_t in = rva - t->rva;

	return rva >= t->rva && in <= t->size && size <= t->size - in ? t->bytes + in : NULL;
}

static const char *text_at(const struct part *t, uint32_t rva)
{
	const uint8_t *p = at(t, rva, 1);

	return p && memchr(p, 0, t->size - (size_t)(p - t->bytes)) ? (const char *)p : NULL;
}

static bool add(struct kd_pe_imports *ret, const struct kd_pe_import *import)
{
	if (ret->n == ret->cap) {
		size_t cap = ret->cap ? ret->cap * 2 : 64;
		struct kd_pe_import *list = realloc(ret->list, cap * sizeof *list);

		if (!list)
			return false;
		ret->list = list;
		ret->cap = cap;
	}
	ret->list[ret->n++] = *import;
	return true;
}

/* One DLL's thunks, up to the zero at the end. false: out of memory. */
static bool add_thunks(const struct kd_pe *pe, const struct part *t, const char *dll,
		       uint32_t names, uint32_t slots, struct kd_pe_imports *ret)
{
	uint32_t width = pe->is_64 ? 8 : 4;
	uint64_t by_ordinal = pe->is_64 ? 1ull << 63 : 1ull << 31;

	for (uint32_t i = 0; ret->n < IMPORTS_MAX; i++) {
		const uint8_t *p = at(t, names + i * width, width);
		uint64_t thunk = p ? kd_get_sized(p, width) : 0;
		struct kd_pe_import import = { .dll = dll,
					       .name = "",
					       .slot_rva = slots + i * width };

		if (!thunk)
			break;
		if (thunk & by_ordinal)
			import.ordinal = (uint16_t)thunk;
		else
			import.name = text_at(t, (uint32_t)thunk + HINT);
		if (import.name && !add(ret, &import))
			return false;
	}
	return true;
}

static bool parse(const struct kd_pe *pe, const struct part *t, struct kd_pe_imports *ret)
{
	uint32_t rva = pe->dirs[KD_PE_DIR_IMPORT].rva;

	for (uint32_t i = 0; i < DESCRIPTORS_MAX; i++) {
		const uint8_t *d = at(t, rva + i * DESCRIPTOR, DESCRIPTOR);
		uint32_t names = d ? kd_get32(d) : 0, slots = d ? kd_get32(d + 16) : 0;
		const char *dll = d ? text_at(t, kd_get32(d + 12)) : NULL;

		if (!dll || !slots)
			break;
		/* in a file the table itself holds the names until it is bound */
		if (!names && pe->is_file)
			names = slots;
		if (names && !add_thunks(pe, t, dll, names, slots, ret))
			return false;
	}
	return true;
}

enum kd_status kd_pe_imports_load(const struct kd_pe *pe, struct kd_pe_imports *ret,
				  struct kd_error *err)
{
	uint32_t rva = pe->dirs[KD_PE_DIR_IMPORT].rva;
	const struct kd_pe_section *s = kd_pe_section_at(pe, rva);
	struct part t = { .size = 0 };
	enum kd_status status;

	memset(ret, 0, sizeof *ret);
	if (!rva || !s)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "the image imports nothing");
	t.rva = s->rva;
	t.size = KD_MIN((size_t)KD_MAX(s->virtual_size, s->file_size), (size_t)SECTION_MAX);
	t.size = KD_MIN(t.size, (size_t)pe->size_of_image);
	ret->bytes = malloc(t.size + 1);
	if (!ret->bytes)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	t.bytes = (const uint8_t *)ret->bytes;
	status = kd_pe_read(pe, t.rva, ret->bytes, t.size, &t.size);
	if (status == KD_OK && !at(&t, rva, DESCRIPTOR))
		status = KD_E_UNREADABLE;
	if (status != KD_OK)
		kd_error_set(err, status, rva, "the import directory cannot be read");
	else if (!parse(pe, &t, ret))
		status = kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	if (status != KD_OK)
		kd_pe_imports_free(ret);
	return status;
}

void kd_pe_imports_free(struct kd_pe_imports *imports)
{
	free(imports->list);
	free(imports->bytes);
	memset(imports, 0, sizeof *imports);
}
