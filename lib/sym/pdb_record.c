/* SPDX-License-Identifier: MIT */
/* Symbol records: walking them, what of them we hand out, names without x86 decoration. */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/sym/pdb_private.h"

enum {
	PUB_CODE = 1,
	PUB_FUNCTION = 2,
	CHUNK = 64 * 1024,
};

struct pdb_chunk {
	struct pdb_chunk *next;
	char bytes[CHUNK];
};

void *kd__pdb_alloc(struct kd_pdb *pdb, size_t n)
{
	struct pdb_arena *a = &pdb->arena;
	void *out;

	n = (n + 7) & ~(size_t)7;
	if (n > CHUNK)
		return NULL;
	if (!a->chunks || a->used + n > CHUNK) {
		struct pdb_chunk *c = malloc(sizeof *c);

		if (!c)
			return NULL;
		c->next = a->chunks;
		a->chunks = c;
		a->used = 0;
	}
	out = a->chunks->bytes + a->used;
	a->used += n;
	return out;
}

void kd__pdb_arena_free(struct kd_pdb *pdb)
{
	while (pdb->arena.chunks) {
		struct pdb_chunk *c = pdb->arena.chunks;

		pdb->arena.chunks = c->next;
		free(c);
	}
}

bool kd__pdb_record(struct kd_cursor *c, uint16_t *kind_ret, struct kd_cursor *body_ret,
		    uint32_t *offset_ret, const uint8_t *start)
{
	uint16_t length;

	*offset_ret = (uint32_t)(c->p - start);
	if ((size_t)(c->end - c->p) < 4)
		return false;
	length = kd_get16(c->p);
	if (length < 2 || (size_t)(c->end - c->p) - 2 < length)
		return false;
	*kind_ret = kd_get16(c->p + 2);
	*body_ret = (struct kd_cursor){ c->p + 4, c->p + 2 + length, true };
	c->p += 2 + (size_t)length;
	return true;
}

/* --- names --- */

/* Length of `_name`, `_name@N`, `@name@N` without its decoration; the name starts at 1. */
static size_t undecorated_length(const char *name)
{
	const char *at = strrchr(name, '@');
	size_t digits = at && at != name ? strspn(at + 1, "0123456789") : 0;

	return digits && !at[1 + digits] ? (size_t)(at - name) : strlen(name);
}

size_t kd__pdb_plain_name(const struct kd_pdb *pdb, const char *name)
{
	if (pdb->info.machine != PDB_MACHINE_X86 || (name[0] != '_' && name[0] != '@'))
		return 0;
	return undecorated_length(name + 1);
}

const char *kd__pdb_undecorate(struct kd_pdb *pdb, const char *name)
{
	size_t n = kd__pdb_plain_name(pdb, name);
	char *kept;

	if (!n)
		return name;
	name++;
	if (!name[n])
		return name;
	kept = kd__pdb_alloc(pdb, n + 1);
	if (!kept)
		return name;
	memcpy(kept, name, n);
	kept[n] = '\0';
	return kept;
}

/* --- layouts --- */

/* Where the parts of a record stand, from its body; 0xFF: it has none. */
static const struct layout {
	uint16_t kind;
	uint8_t flags, type, size, size_width, offset, section, name;
	enum kd_pdb_kind means;
} layouts[] = {
	/* clang-format off */
	{ S_PUB32,      0,    0xFF, 0xFF, 0,  4,  8, 10, KD_PDB_PUBLIC_DATA },
	{ S_LDATA32,    0xFF, 0,    0xFF, 0,  4,  8, 10, KD_PDB_DATA },
	{ S_GDATA32,    0xFF, 0,    0xFF, 0,  4,  8, 10, KD_PDB_DATA },
	{ S_LPROC32,    0xFF, 24,   12,   4, 28, 32, 35, KD_PDB_FUNCTION },
	{ S_GPROC32,    0xFF, 24,   12,   4, 28, 32, 35, KD_PDB_FUNCTION },
	/* the type field of these is an id of the IPI stream, of no use to anyone here */
	{ S_LPROC32_ID, 0xFF, 0xFF, 12,   4, 28, 32, 35, KD_PDB_FUNCTION },
	{ S_GPROC32_ID, 0xFF, 0xFF, 12,   4, 28, 32, 35, KD_PDB_FUNCTION },
	{ S_THUNK32,    0xFF, 0xFF, 18,   2, 12, 16, 21, KD_PDB_FUNCTION },
	/* clang-format on */
};

static const struct layout *layout_of(uint16_t kind)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(layouts); i++)
		if (layouts[i].kind == kind)
			return &layouts[i];
	return NULL;
}

bool kd__pdb_symbol_name(uint16_t kind, struct kd_cursor body, const char **name_ret)
{
	const struct layout *l = layout_of(kind);
	size_t at = l ? l->name : kind == S_PROCREF || kind == S_LPROCREF ? 10 : SIZE_MAX;

	if (at == SIZE_MAX)
		return false;
	kd__cursor_skip(&body, at);
	*name_ret = kd__cursor_text(&body);
	return body.ok;
}

bool kd__pdb_symbol(struct kd_pdb *pdb, uint16_t kind, struct kd_cursor body,
		    struct kd_pdb_symbol *ret)
{
	const struct layout *l = layout_of(kind);
	const uint8_t *p = body.p;
	struct kd_pdb_symbol s = { .name = "" };

	if (!l || (size_t)(body.end - p) <= l->name)
		return false;
	if (!memchr(p + l->name, 0, (size_t)(body.end - p) - l->name) || !p[l->name] ||
	    !kd__pdb_rva(pdb, kd_get16(p + l->section), kd_get32(p + l->offset), &s.rva))
		return false;
	s.name = (const char *)p + l->name;
	s.kind = l->means;
	if (l->type != 0xFF)
		s.type = kd_get32(p + l->type);
	/* code that was moved was cut up too: its size says nothing (facts: symbols 2.5) */
	if (l->size != 0xFF && !pdb->omap)
		s.size = (uint32_t)kd_get_sized(p + l->size, l->size_width);
	if (l->flags != 0xFF && (kd_get32(p + l->flags) & (PUB_CODE | PUB_FUNCTION)))
		s.kind = KD_PDB_PUBLIC_FUNCTION;
	if (kind == S_PUB32)
		s.name = kd__pdb_undecorate(pdb, s.name);
	*ret = s;
	return true;
}
