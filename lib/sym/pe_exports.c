/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/sym/pe.h"

enum { DIRECTORY = 40, EXPORTS_MAX = 65536, DIRECTORY_MAX = 4 << 20 };

struct table {
	const uint8_t *bytes;
	size_t size;
	uint32_t rva; /* of bytes[0] */
};

/* The part of the directory at an RVA; NULL when `size` bytes are not inside. */
static const uint8_t *at(const struct table *t, uint32_t rva, uint64_t size)
{
	uint32_t in = rva - t->rva;

	return rva >= t->rva && in <= t->size && size <= t->size - in ? t->bytes + in : NULL;
}

static const char *text_at(const struct table *t, uint32_t rva)
{
	const uint8_t *p = at(t, rva, 1);

	return p && memchr(p, 0, t->size - (size_t)(p - t->bytes)) ? (const char *)p : NULL;
}

static int by_rva(const void *a, const void *b)
{
	const struct kd_pe_export *x = a, *y = b;

	return x->rva != y->rva ? (x->rva < y->rva ? -1 : 1)
				: (x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal);
}

static void name_them(const struct table *t, struct kd_pe_export *list, uint32_t n)
{
	uint32_t n_names = KD_MIN(kd_get32(t->bytes + 0x18), (uint32_t)EXPORTS_MAX);
	const uint8_t *names = at(t, kd_get32(t->bytes + 0x20), 4 * (uint64_t)n_names);
	const uint8_t *ordinals = at(t, kd_get32(t->bytes + 0x24), 2 * (uint64_t)n_names);

	for (uint32_t i = 0; names && ordinals && i < n_names; i++) {
		const char *name = text_at(t, kd_get32(names + 4 * (size_t)i));
		uint16_t index = kd_get16(ordinals + 2 * (size_t)i);

		if (name && index < n)
			list[index].name = name;
	}
}

static enum kd_status parse(const struct table *t, struct kd_pe_exports *ret, struct kd_error *err)
{
	uint32_t base = kd_get32(t->bytes + 0x10);
	uint32_t n = KD_MIN(kd_get32(t->bytes + 0x14), (uint32_t)EXPORTS_MAX);
	const uint8_t *functions = at(t, kd_get32(t->bytes + 0x1C), 4 * (uint64_t)n);
	size_t kept = 0;

	if (!functions && n)
		return kd_error_set(err, KD_E_MALFORMED, t->rva, "the export directory is damaged");
	ret->list = calloc((size_t)n + 1, sizeof *ret->list);
	if (!ret->list)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	for (uint32_t i = 0; i < n; i++) {
		ret->list[i].rva = kd_get32(functions + 4 * (size_t)i);
		ret->list[i].ordinal = base + i;
		ret->list[i].name = "";
		ret->list[i].forwarder = text_at(t, ret->list[i].rva);
	}
	name_them(t, ret->list, n);
	for (uint32_t i = 0; i < n; i++)
		if (ret->list[i].rva)
			ret->list[kept++] = ret->list[i];
	ret->n = kept;
	qsort(ret->list, kept, sizeof *ret->list, by_rva);
	return KD_OK;
}

enum kd_status kd_pe_exports_load(const struct kd_pe *pe, struct kd_pe_exports *ret,
				  struct kd_error *err)
{
	uint32_t rva = pe->dirs[KD_PE_DIR_EXPORT].rva;
	size_t size = KD_MIN((size_t)pe->dirs[KD_PE_DIR_EXPORT].size, (size_t)DIRECTORY_MAX);
	struct table t;
	enum kd_status status;

	memset(ret, 0, sizeof *ret);
	if (!rva || size < DIRECTORY)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "the image exports nothing");
	ret->bytes = malloc(size);
	if (!ret->bytes)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	t = (struct table){ (const uint8_t *)ret->bytes, 0, rva };
	status = kd_pe_read(pe, rva, ret->bytes, size, &t.size);
	if (status == KD_OK && t.size < DIRECTORY)
		status = KD_E_UNREADABLE;
	if (status != KD_OK)
		kd_error_set(err, status, rva, "the export directory cannot be read");
	else
		status = parse(&t, ret, err);
	if (status != KD_OK)
		kd_pe_exports_free(ret);
	return status;
}

void kd_pe_exports_free(struct kd_pe_exports *exports)
{
	free(exports->list);
	free(exports->bytes);
	memset(exports, 0, sizeof *exports);
}

const struct kd_pe_export *kd_pe_export_at(const struct kd_pe_exports *e, uint32_t rva)
{
	const struct kd_pe_export *best = NULL;
	size_t low = 0, high = e->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (e->list[mid].rva <= rva)
			low = mid + 1;
		else
			high = mid;
	}
	/* forwarders point at text; of several exports of one place the first with a name is taken
	 */
	for (; low-- > 0 && (!best || e->list[low].rva == best->rva);)
		if (!e->list[low].forwarder && (!best || e->list[low].name[0]))
			best = &e->list[low];
	return best;
}

const struct kd_pe_export *kd_pe_export_find(const struct kd_pe_exports *e, const char *name)
{
	for (size_t i = 0; i < e->n; i++)
		if (name[0] && !strcmp(e->list[i].name, name))
			return &e->list[i];
	return NULL;
}
