/* SPDX-License-Identifier: MIT */
/*
 * The type stream: an index of record offsets (one u32 a type), a hash of definition names, and
 * decoding of records on demand. Nothing is allocated per type.
 */
#include "lib/sym/types.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/sym/types_private.h"

enum { TPI_STREAM = 2, TPI_HEADER = 56, TYPES_MAX = 1 << 24, S_UDT = 0x1108 };

static enum kd_status damaged(struct kd_error *err)
{
	return kd_error_set(err, KD_E_MALFORMED, 0, "the PDB's type stream is damaged");
}

static enum kd_status index_records(struct kd_types *t, uint32_t n, struct kd_error *err)
{
	uint32_t at = 0;

	t->offsets = malloc(((size_t)n + 1) * sizeof *t->offsets);
	if (!t->offsets)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	for (t->n = 0; t->n < n; t->n++) {
		uint32_t length;

		if (t->size - at < 4)
			return damaged(err);
		length = kd_get16(t->bytes + at);
		if (length < 2 || t->size - at - 2 < length)
			return damaged(err);
		t->offsets[t->n] = at;
		at += 2 + length;
	}
	return KD_OK;
}

bool kd__types_record(const struct kd_types *t, uint32_t type, uint16_t *kind_ret,
		      struct kd_cursor *body_ret)
{
	const uint8_t *p;

	if (type < t->first || type - t->first >= t->n)
		return false;
	p = t->bytes + t->offsets[type - t->first];
	*kind_ret = kd_get16(p + 2);
	*body_ret = kd__cursor(p + 4, (size_t)kd_get16(p) - 2);
	return true;
}

uint64_t kd__types_numeric(struct kd_cursor *c)
{
	uint16_t leaf = kd__cursor_u16(c);

	if (leaf < 0x8000)
		return leaf;
	switch (leaf) {
	case 0x8000: return (uint64_t)(int64_t)(int8_t)kd__cursor_u8(c);
	case 0x8001: return (uint64_t)(int64_t)(int16_t)kd__cursor_u16(c);
	case 0x8002: return kd__cursor_u16(c);
	case 0x8003: return (uint64_t)(int64_t)(int32_t)kd__cursor_u32(c);
	case 0x8004: return kd__cursor_u32(c);
	case 0x8009:
	case 0x800A: return kd__cursor_u64(c);
	default: c->ok = false; return 0;
	}
}

static bool is_definition(uint16_t kind)
{
	return kind == LF_CLASS || kind == LF_STRUCTURE || kind == LF_INTERFACE ||
	       kind == LF_UNION || kind == LF_ENUM;
}

bool kd__types_definition(uint16_t kind, struct kd_cursor body, struct kd_definition *ret)
{
	if (!is_definition(kind))
		return false;
	memset(ret, 0, sizeof *ret);
	ret->count = kd__cursor_u16(&body);
	ret->properties = kd__cursor_u16(&body);
	if (kind == LF_ENUM)
		ret->underlying = kd__cursor_u32(&body);
	ret->fields = kd__cursor_u32(&body);
	if (kind != LF_ENUM && kind != LF_UNION)
		kd__cursor_skip(&body, 8); /* derived from, vtable shape */
	if (kind != LF_ENUM)
		ret->size = kd__types_numeric(&body);
	ret->name = kd__cursor_text(&body);
	return body.ok;
}

static bool build_names(struct kd_types *t)
{
	t->n_buckets = 256;
	while (t->n_buckets < t->n / 4)
		t->n_buckets *= 2;
	t->buckets = calloc(t->n_buckets, sizeof *t->buckets);
	t->chain = calloc((size_t)t->n + 1, sizeof *t->chain);
	if (!t->buckets || !t->chain)
		return false;
	for (uint32_t i = t->n; i-- > 0;) {
		struct kd_definition d;
		struct kd_cursor body;
		uint32_t *bucket;
		uint16_t kind;

		if (!kd__types_record(t, t->first + i, &kind, &body) ||
		    !kd__types_definition(kind, body, &d) || !d.name[0])
			continue;
		bucket = &t->buckets[kd__pdb_hash(d.name) & (t->n_buckets - 1)];
		t->chain[i] = *bucket;
		*bucket = i + 1;
	}
	return true;
}

static enum kd_status load(struct kd_pdb *pdb, struct kd_types *t, struct kd_error *err)
{
	const uint8_t *bytes;
	uint32_t size, header, begin, end, n_bytes;
	enum kd_status status = kd_msf_stream(&pdb->msf, TPI_STREAM, &bytes, &size, err);

	if (status != KD_OK)
		return status;
	if (size < TPI_HEADER)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "the PDB has no types");
	header = kd_get32(bytes + 4);
	begin = kd_get32(bytes + 8);
	end = kd_get32(bytes + 12);
	n_bytes = kd_get32(bytes + 16);
	if (header < TPI_HEADER || header > size || n_bytes > size - header || begin < 0x1000 ||
	    end < begin || end - begin > TYPES_MAX || end - begin > n_bytes / 4)
		return damaged(err);
	t->bytes = bytes + header;
	t->size = n_bytes;
	t->first = begin;
	status = index_records(t, end - begin, err);
	if (status == KD_OK && !build_names(t))
		status = kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	return status;
}

void kd__types_free(struct kd_types *t)
{
	if (!t)
		return;
	free(t->offsets);
	free(t->buckets);
	free(t->chain);
	free(t);
}

enum kd_status kd__types_get(struct kd_pdb *pdb, struct kd_types **ret, struct kd_error *err)
{
	enum kd_status status;

	*ret = pdb->types;
	if (pdb->types)
		return pdb->types->n ? KD_OK : KD_E_NOT_FOUND;
	pdb->types = calloc(1, sizeof *pdb->types);
	if (!pdb->types)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	*ret = pdb->types;
	status = load(pdb, pdb->types, err);
	if (status != KD_OK)
		pdb->types->n = 0; /* asked for again: not found, without another try */
	return status;
}

/* The complete definition of this name, or a forward reference, or 0. */
uint32_t kd__types_by_name(const struct kd_types *t, const char *name)
{
	uint32_t forward = 0;

	if (!t->buckets)
		return 0;
	for (uint32_t i = t->buckets[kd__pdb_hash(name) & (t->n_buckets - 1)]; i;
	     i = t->chain[i - 1]) {
		uint32_t type = t->first + i - 1;
		struct kd_definition d;
		struct kd_cursor body;
		uint16_t kind;

		if (!kd__types_record(t, type, &kind, &body) ||
		    !kd__types_definition(kind, body, &d) || strcmp(d.name, name))
			continue;
		if (!(d.properties & PROPERTY_FORWARD))
			return type;
		forward = type;
	}
	return forward;
}

/* typedefs stand among the global symbols. */
static uint32_t by_typedef(struct kd_pdb *pdb, const char *name)
{
	const uint8_t *bytes;
	struct kd_cursor c, body;
	uint32_t size, offset;
	uint16_t kind;

	if (pdb->symbols_stream == PDB_STREAM_NONE ||
	    kd_msf_stream(&pdb->msf, pdb->symbols_stream, &bytes, &size, NULL) != KD_OK)
		return 0;
	c = kd__cursor(bytes, size);
	while (kd__pdb_record(&c, &kind, &body, &offset, bytes)) {
		uint32_t type;

		if (kind != S_UDT)
			continue;
		type = kd__cursor_u32(&body);
		if (!strcmp(kd__cursor_text(&body), name) && body.ok)
			return type;
	}
	return 0;
}

enum kd_status kd_types_find(struct kd_pdb *pdb, const char *name, uint32_t *type_ret,
			     struct kd_error *err)
{
	struct kd_types *t;
	enum kd_status status = kd__types_get(pdb, &t, err);

	if (status != KD_OK)
		return status;
	*type_ret = kd__types_by_name(t, name);
	if (!*type_ret)
		*type_ret = by_typedef(pdb, name);
	return *type_ret ? KD_OK
			 : kd_error_set(err, KD_E_NOT_FOUND, 0, "the PDB has no type '%s'", name);
}

enum kd_status kd_types_each(struct kd_pdb *pdb, kd_types_fn fn, void *context)
{
	struct kd_types *t;
	enum kd_status status = kd__types_get(pdb, &t, NULL);

	if (status != KD_OK)
		return status;
	for (uint32_t i = 0; i < t->n; i++) {
		struct kd_definition d;
		struct kd_cursor body;
		uint16_t kind;

		if (kd__types_record(t, t->first + i, &kind, &body) &&
		    kd__types_definition(kind, body, &d) && d.name[0] && d.name[0] != '<' &&
		    !(d.properties & PROPERTY_FORWARD) && !fn(context, d.name, t->first + i))
			return KD_OK;
	}
	return KD_OK;
}
