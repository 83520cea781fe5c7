/* SPDX-License-Identifier: MIT */
/*
 * One flat index over all symbols: sorted by address, hashed by name. Built on first use from the
 * global symbol records and the module streams; the PDB's own hash tables are not used (lld puts
 * some public names into the wrong bucket, and one table of ours serves both directions).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/bytes.h"
#include "lib/sym/pdb_private.h"

enum {
	S_PUB32 = 0x110E,
	S_LDATA32 = 0x110C,
	S_GDATA32 = 0x110D,
	S_LPROC32 = 0x110F,
	S_GPROC32 = 0x1110,
	S_LPROC32_ID = 0x1146,
	S_GPROC32_ID = 0x1147,
	PUB_CODE = 1,
	PUB_FUNCTION = 2,
	MACHINE_X86 = 0x14C,
	CHUNK = 64 * 1024,
	SYMBOLS_MAX = 1 << 26,
};

struct pdb_chunk {
	struct pdb_chunk *next;
	char bytes[CHUNK];
};

char *kd__pdb_keep(struct kd_pdb *pdb, const char *text, size_t n)
{
	struct pdb_arena *a = &pdb->arena;
	char *out;

	if (n + 1 > CHUNK)
		return NULL;
	if (!a->chunks || a->used + n + 1 > CHUNK) {
		struct pdb_chunk *c = malloc(sizeof *c);

		if (!c)
			return NULL;
		c->next = a->chunks;
		a->chunks = c;
		a->used = 0;
	}
	out = a->chunks->bytes + a->used;
	memcpy(out, text, n);
	out[n] = '\0';
	a->used += n + 1;
	return out;
}

bool kd__pdb_record(struct kd_cursor *c, uint16_t *kind_ret, struct kd_cursor *body_ret,
		    uint32_t *offset_ret, const uint8_t *start)
{
	uint16_t length;

	*offset_ret = (uint32_t)(c->p - start);
	if ((size_t)(c->end - c->p) < 4)
		return false;
	length = kd__cursor_u16(c);
	if (length < 2 || (size_t)(c->end - c->p) < length)
		return false;
	*kind_ret = kd_get16(c->p);
	*body_ret = kd__cursor(c->p + 2, (size_t)length - 2);
	c->p += length;
	return true;
}

struct builder {
	struct kd_pdb *pdb;
	size_t cap;
	bool failed;
};

static void add(struct builder *b, const struct kd_pdb_symbol *symbol)
{
	struct kd_pdb *pdb = b->pdb;

	if (b->failed || !symbol->name[0])
		return;
	if (pdb->n_list == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 4096;
		struct kd_pdb_symbol *list = cap > SYMBOLS_MAX
						     ? NULL
						     : realloc(pdb->list, cap * sizeof *list);

		if (!list) {
			b->failed = true;
			return;
		}
		pdb->list = list;
		b->cap = cap;
	}
	pdb->list[pdb->n_list++] = *symbol;
}

/* x86 decorations: _name, _name@N, @name@N. Others as they are. */
static const char *undecorate(struct kd_pdb *pdb, const char *name)
{
	size_t n;
	const char *at, *kept;

	if (pdb->info.machine != MACHINE_X86 || (name[0] != '_' && name[0] != '@'))
		return name;
	name++;
	at = strrchr(name, '@');
	n = at && at != name && strspn(at + 1, "0123456789") == strlen(at + 1) && at[1]
		    ? (size_t)(at - name)
		    : strlen(name);
	if (n == strlen(name))
		return name;
	kept = kd__pdb_keep(pdb, name, n);
	return kept ? kept : name;
}

static void add_public(struct builder *b, struct kd_cursor body)
{
	struct kd_pdb_symbol s = { .kind = KD_PDB_PUBLIC_DATA };
	uint32_t flags = kd__cursor_u32(&body), offset = kd__cursor_u32(&body);
	uint16_t section = kd__cursor_u16(&body);

	s.name = kd__cursor_text(&body);
	if (!body.ok || !kd__pdb_rva(b->pdb, section, offset, &s.rva))
		return;
	if (flags & (PUB_CODE | PUB_FUNCTION))
		s.kind = KD_PDB_PUBLIC_FUNCTION;
	s.name = undecorate(b->pdb, s.name);
	add(b, &s);
}

static void add_data(struct builder *b, struct kd_cursor body)
{
	struct kd_pdb_symbol s = { .kind = KD_PDB_DATA };
	uint32_t offset;
	uint16_t section;

	s.type = kd__cursor_u32(&body);
	offset = kd__cursor_u32(&body);
	section = kd__cursor_u16(&body);
	s.name = kd__cursor_text(&body);
	if (body.ok && kd__pdb_rva(b->pdb, section, offset, &s.rva))
		add(b, &s);
}

static void add_procedure(struct builder *b, struct kd_cursor body)
{
	struct kd_pdb_symbol s = { .kind = KD_PDB_FUNCTION };
	uint32_t offset;
	uint16_t section;

	kd__cursor_skip(&body, 12); /* parent, end, next */
	s.size = kd__cursor_u32(&body);
	kd__cursor_skip(&body, 8); /* debug start and end */
	s.type = kd__cursor_u32(&body);
	offset = kd__cursor_u32(&body);
	section = kd__cursor_u16(&body);
	kd__cursor_u8(&body);
	s.name = kd__cursor_text(&body);
	if (body.ok && kd__pdb_rva(b->pdb, section, offset, &s.rva))
		add(b, &s);
}

static void scan(struct builder *b, const uint8_t *bytes, size_t size)
{
	struct kd_cursor c = kd__cursor(bytes, size), body;
	uint32_t offset;
	uint16_t kind;

	while (kd__pdb_record(&c, &kind, &body, &offset, bytes)) {
		switch (kind) {
		case S_PUB32: add_public(b, body); break;
		case S_LDATA32:
		case S_GDATA32: add_data(b, body); break;
		case S_LPROC32:
		case S_GPROC32:
		case S_LPROC32_ID:
		case S_GPROC32_ID: add_procedure(b, body); break;
		default: break;
		}
	}
}

static void scan_modules(struct builder *b)
{
	struct kd_pdb *pdb = b->pdb;

	for (size_t i = 0; i < pdb->n_modules; i++) {
		const struct pdb_module *m = &pdb->modules[i];
		const uint8_t *bytes;
		uint32_t size;

		if (m->stream == PDB_STREAM_NONE || m->symbols_size <= 4 ||
		    kd_msf_stream(&pdb->msf, m->stream, &bytes, &size, NULL) != KD_OK || size < 4)
			continue;
		scan(b, bytes + 4, KD_MIN(m->symbols_size, size) - 4);
	}
}

static int by_address(const void *a, const void *b)
{
	const struct kd_pdb_symbol *x = a, *y = b;

	if (x->rva != y->rva)
		return x->rva < y->rva ? -1 : 1;
	return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) : strcmp(x->name, y->name);
}

/* A public beside the private symbol of the same name and place says nothing new. */
static void drop_repeated(struct kd_pdb *pdb)
{
	size_t out = 0;

	for (size_t i = 0; i < pdb->n_list; i++) {
		const struct kd_pdb_symbol *s = &pdb->list[i];
		bool repeated = false;

		for (size_t j = out;
		     j-- > 0 && pdb->list[j].rva == s->rva && !repeated && out - j < 16;)
			repeated = !strcmp(pdb->list[j].name, s->name);
		if (!repeated)
			pdb->list[out++] = *s;
	}
	pdb->n_list = out;
}

uint32_t kd__pdb_hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++) {
		uint8_t c = (uint8_t)*name;

		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c + 32);
		h = (h ^ c) * 16777619u;
	}
	return h;
}

static bool build_hash(struct kd_pdb *pdb)
{
	pdb->n_buckets = 64;
	while (pdb->n_buckets < pdb->n_list)
		pdb->n_buckets *= 2;
	pdb->buckets = calloc(pdb->n_buckets, sizeof *pdb->buckets);
	pdb->chain = calloc(pdb->n_list + 1, sizeof *pdb->chain);
	if (!pdb->buckets || !pdb->chain)
		return false;
	for (size_t i = pdb->n_list; i-- > 0;) {
		uint32_t *bucket =
			&pdb->buckets[kd__pdb_hash(pdb->list[i].name) & (pdb->n_buckets - 1)];

		pdb->chain[i] = *bucket;
		*bucket = (uint32_t)i + 1;
	}
	return true;
}

static enum kd_status build(struct kd_pdb *pdb, struct kd_error *err)
{
	struct builder b = { .pdb = pdb };
	const uint8_t *bytes;
	uint32_t size;

	if (pdb->has_index)
		return KD_OK;
	if (pdb->symbols_stream != PDB_STREAM_NONE &&
	    kd_msf_stream(&pdb->msf, pdb->symbols_stream, &bytes, &size, NULL) == KD_OK)
		scan(&b, bytes, size);
	scan_modules(&b);
	if (!b.failed && pdb->n_list)
		qsort(pdb->list, pdb->n_list, sizeof *pdb->list, by_address);
	if (!b.failed)
		drop_repeated(pdb);
	if (b.failed || !build_hash(pdb)) {
		kd__pdb_index_free(pdb);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory for the symbol index");
	}
	pdb->has_index = true;
	return KD_OK;
}

void kd__pdb_index_free(struct kd_pdb *pdb)
{
	while (pdb->arena.chunks) {
		struct pdb_chunk *c = pdb->arena.chunks;

		pdb->arena.chunks = c->next;
		free(c);
	}
	free(pdb->list);
	free(pdb->buckets);
	free(pdb->chain);
	pdb->list = NULL;
	pdb->buckets = pdb->chain = NULL;
	pdb->n_list = 0;
	pdb->has_index = false;
}

enum kd_status kd_pdb_symbols(struct kd_pdb *pdb, const struct kd_pdb_symbol **list_ret,
			      size_t *n_ret, struct kd_error *err)
{
	enum kd_status status = build(pdb, err);

	*list_ret = pdb->list;
	*n_ret = pdb->n_list;
	return status;
}

/* Index of the first symbol above an RVA. */
static size_t above(const struct kd_pdb *pdb, uint32_t rva)
{
	size_t low = 0, high = pdb->n_list;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (pdb->list[mid].rva <= rva)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct kd_pdb_symbol *kd_pdb_at(struct kd_pdb *pdb, uint32_t rva)
{
	size_t i;

	if (build(pdb, NULL) != KD_OK)
		return NULL;
	i = above(pdb, rva);
	if (i == 0)
		return NULL;
	i--;
	while (i > 0 && pdb->list[i - 1].rva == pdb->list[i].rva)
		i--; /* the first of several at one place is the private one */
	return &pdb->list[i];
}

const struct kd_pdb_symbol *kd_pdb_after(struct kd_pdb *pdb, uint32_t rva)
{
	size_t i;

	if (build(pdb, NULL) != KD_OK)
		return NULL;
	i = above(pdb, rva);
	return i < pdb->n_list ? &pdb->list[i] : NULL;
}

const struct kd_pdb_symbol *kd_pdb_find(struct kd_pdb *pdb, const char *name)
{
	const struct kd_pdb_symbol *folded = NULL;

	if (build(pdb, NULL) != KD_OK)
		return NULL;
	for (uint32_t i = pdb->buckets[kd__pdb_hash(name) & (pdb->n_buckets - 1)]; i;
	     i = pdb->chain[i - 1]) {
		const struct kd_pdb_symbol *s = &pdb->list[i - 1];

		if (!strcmp(s->name, name))
			return s;
		if (!folded && !strcasecmp(s->name, name))
			folded = s;
	}
	return folded;
}
