/* SPDX-License-Identifier: MIT */
/*
 * The type stream: records by index and definitions by name. The linker's marks and hash values
 * answer single questions at once; an index of record offsets and a hash of names (a few bytes a
 * type) are built when more is asked. Nothing is allocated per type.
 */
#include "lib/sym/types.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/bytes.h"
#include "lib/sym/types_private.h"

enum {
	TPI_STREAM = 2,
	TPI_HEADER = 56,
	TYPES_MAX = 1 << 24,
	WALKS_MAX = 512,          /* an index pays from here on */
	WALK_RECORDS_MAX = 16384, /* between two marks; about 8 KiB in real files */
};

/* --- records --- */

static enum kd_status damaged(struct kd_error *err)
{
	return kd_error_set(err, KD_E_MALFORMED, 0, "the PDB's type stream is damaged");
}

/* Size of the record at an offset, its length field included; 0: none is there. */
static uint32_t record_size(const struct kd_types *t, uint32_t at)
{
	uint32_t length;

	if (at > t->size || t->size - at < 4)
		return 0;
	length = kd_get16(t->bytes + at);
	return length >= 2 && t->size - at - 2 >= length ? length + 2 : 0;
}

enum kd_status kd__types_index(struct kd_types *t, struct kd_error *err)
{
	uint32_t at = 0, n = 0, size;

	if (!t->offsets) {
		t->offsets = malloc(((size_t)t->n + 1) * sizeof *t->offsets);
		if (!t->offsets)
			return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
		while (n < t->n && (size = record_size(t, at))) {
			t->offsets[n++] = at;
			at += size;
		}
		t->is_damaged = n < t->n;
		t->n = n;
	}
	return t->is_damaged ? damaged(err) : KD_OK;
}

/* From the last mark at or below a type forward; UINT32_MAX: no way. */
static uint32_t walk_to(const struct kd_types *t, uint32_t type)
{
	uint32_t low = 0, high = t->n_marks, at, size;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (kd_get32(t->marks + 8 * (size_t)mid) <= type)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || type - kd_get32(t->marks + 8 * (size_t)(low - 1)) > WALK_RECORDS_MAX)
		return UINT32_MAX;
	at = kd_get32(t->marks + 8 * (size_t)(low - 1) + 4);
	for (uint32_t n = type - kd_get32(t->marks + 8 * (size_t)(low - 1)); n > 0; n--) {
		size = record_size(t, at);
		if (!size)
			return UINT32_MAX;
		at += size;
	}
	return record_size(t, at) ? at : UINT32_MAX;
}

static uint32_t offset_of(struct kd_types *t, uint32_t type)
{
	uint32_t at;

	if (!t->offsets && t->n_walks++ < WALKS_MAX) {
		at = walk_to(t, type);
		if (at != UINT32_MAX)
			return at;
	}
	kd__types_index(t, NULL);
	return t->offsets && type - t->first < t->n ? t->offsets[type - t->first] : UINT32_MAX;
}

bool kd__types_record(struct kd_types *t, uint32_t type, uint16_t *kind_ret,
		      struct kd_cursor *body_ret)
{
	const uint8_t *p;
	uint32_t at;

	if (type < t->first || type - t->first >= t->n)
		return false;
	at = offset_of(t, type);
	if (at == UINT32_MAX)
		return false;
	p = t->bytes + at;
	*kind_ret = kd_get16(p + 2);
	*body_ret = kd__cursor(p + 4, (size_t)kd_get16(p) - 2);
	return true;
}

/* --- parts of records --- */

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

/* --- the stream --- */

/* The linker's accelerators; a PDB without them, or with damaged ones, is read all the same. */
static void find_accelerators(struct kd_pdb *pdb, struct kd_types *t, const uint8_t *header)
{
	uint32_t values = kd_get32(header + 0x20), values_size = kd_get32(header + 0x24);
	uint32_t marks = kd_get32(header + 0x28), marks_size = kd_get32(header + 0x2C), size;
	const uint8_t *bytes;

	if (kd_msf_stream(&pdb->msf, kd_get16(header + 0x14), &bytes, &size, NULL) != KD_OK ||
	    size == 0)
		return;
	if (marks <= size && marks_size <= size - marks) {
		t->marks = bytes + marks;
		t->n_marks = marks_size / 8;
	}
	if (values <= size && values_size <= size - values && values_size / 4 == t->n &&
	    kd_get32(header + 0x18) == 4 && kd_get32(header + 0x1C)) {
		t->hashes = bytes + values;
		t->n_hash_buckets = kd_get32(header + 0x1C);
	}
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
	t->n = end - begin;
	find_accelerators(pdb, t, bytes);
	return KD_OK;
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
	enum kd_status status = KD_OK;

	if (!pdb->types) {
		pdb->types = calloc(1, sizeof *pdb->types);
		if (!pdb->types)
			return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
		status = load(pdb, pdb->types, err);
	}
	*ret = pdb->types;
	if (status != KD_OK || pdb->types->n)
		return status;
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "the PDB has no types");
}

/* --- names --- */

/* What a search by name has seen: the best of several candidates. */
struct candidate {
	const char *name;
	uint32_t exact, exact_forward, folded, folded_forward; /* type indices or 0 */
};

static void consider(struct kd_types *t, struct candidate *c, uint32_t type)
{
	struct kd_definition d;
	struct kd_cursor body;
	uint16_t kind;
	bool forward;
	uint32_t *slot;

	if (!kd__types_record(t, type, &kind, &body) || !kd__types_definition(kind, body, &d) ||
	    strcasecmp(d.name, c->name))
		return;
	forward = d.properties & PROPERTY_FORWARD;
	if (!strcmp(d.name, c->name))
		slot = forward ? &c->exact_forward : &c->exact;
	else
		slot = forward ? &c->folded_forward : &c->folded;
	if (!*slot)
		*slot = type;
}

static bool build_names(struct kd_types *t)
{
	if (t->buckets)
		return true;
	kd__types_index(t, NULL);
	t->n_buckets = 256;
	while (t->n_buckets < t->n / 4)
		t->n_buckets *= 2;
	t->chain = calloc((size_t)t->n + 1, sizeof *t->chain);
	t->buckets = t->chain ? calloc(t->n_buckets, sizeof *t->buckets) : NULL;
	if (!t->buckets) {
		free(t->chain);
		t->chain = NULL;
		return false;
	}
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

/* Complete definitions outside of functions hash by their name: a scan of one u32 a type. */
static void by_linker_hash(struct kd_types *t, struct candidate *c)
{
	uint32_t wanted;

	if (!t->hashes)
		return;
	wanted = kd__pdb_name_hash(c->name, strlen(c->name)) % t->n_hash_buckets;
	for (uint32_t i = 0; i < t->n && !c->exact; i++)
		if (kd_get32(t->hashes + 4 * (size_t)i) == wanted)
			consider(t, c, t->first + i);
}

uint32_t kd__types_by_name(struct kd_types *t, const char *name)
{
	struct candidate c = { .name = name };

	if (!name[0])
		return 0;
	if (!t->buckets)
		by_linker_hash(t, &c);
	if (!c.exact && build_names(t))
		for (uint32_t i = t->buckets[kd__pdb_hash(name) & (t->n_buckets - 1)];
		     i && !c.exact; i = t->chain[i - 1])
			consider(t, &c, t->first + i - 1);
	return c.exact           ? c.exact
	       : c.folded        ? c.folded
	       : c.exact_forward ? c.exact_forward
				 : c.folded_forward;
}

enum kd_status kd_types_find(struct kd_pdb *pdb, const char *name, uint32_t *type_ret,
			     struct kd_error *err)
{
	struct kd_types *t = NULL;
	enum kd_status status = kd__types_get(pdb, &t, err);

	if (status != KD_OK)
		return status;
	*type_ret = kd__types_by_name(t, name);
	if (!*type_ret)
		*type_ret = kd__pdb_typedef(pdb, name);
	if (*type_ret)
		return KD_OK;
	if (t->is_damaged)
		return damaged(err);
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "the PDB has no type '%s'", name);
}

enum kd_status kd_types_each(struct kd_pdb *pdb, kd_types_fn fn, void *context)
{
	struct kd_types *t = NULL;
	enum kd_status status = kd__types_get(pdb, &t, NULL);

	if (status == KD_E_NOT_FOUND)
		return KD_OK;
	if (status == KD_OK)
		status = kd__types_index(t, NULL);
	for (uint32_t i = 0; t && t->offsets && i < t->n; i++) {
		struct kd_definition d;
		struct kd_cursor body;
		uint16_t kind;

		if (kd__types_record(t, t->first + i, &kind, &body) &&
		    kd__types_definition(kind, body, &d) && d.name[0] && d.name[0] != '<' &&
		    !(d.properties & PROPERTY_FORWARD) && !fn(context, d.name, t->first + i))
			return KD_OK;
	}
	return status;
}
