/* SPDX-License-Identifier: MIT */
/*
 * A symbol by its name: the linker's hash of global symbols (private information), then that of
 * public ones, with the decorations of x86; our own index when neither knows it.
 *
 * A miss of the linker's tables is not the last word: lld files a public of exactly eight
 * characters under a hash of other bytes (facts: symbols 2.9), and static locals are in no table.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/bytes.h"
#include "lib/sym/types_private.h"

enum {
	STDCALL_BYTES_MAX = 128, /* of parameters: 32 words */
	NAME_SIZE_MAX = 4096,    /* longer names are found by the index */
};

struct search {
	struct kd_pdb *pdb;
	const char *name;                   /* as asked for */
	const struct kd_pdb_symbol *folded; /* equal but for case */
};

/* One symbol object a record, however often it is asked for. */
static const struct kd_pdb_symbol *keep(struct kd_pdb *pdb, const struct kd_pdb_symbol *s,
					const uint8_t *record)
{
	struct pdb_found **bucket = &pdb->found[((uintptr_t)record >> 2) % PDB_FOUND_BUCKETS], *f;

	for (f = *bucket; f; f = f->next)
		if (f->record == record)
			return &f->symbol;
	f = kd__pdb_alloc(pdb, sizeof *f);
	if (!f)
		return NULL;
	f->symbol = *s;
	f->record = record;
	f->next = *bucket;
	*bucket = f;
	return &f->symbol;
}

/* A reference names a record of a module's stream: 1-based module, offset in its stream. */
static bool follow(struct kd_pdb *pdb, struct kd_cursor *body, uint16_t *kind)
{
	uint32_t offset = kd_get32(body->p + 4), size, at;
	uint16_t module = kd_get16(body->p + 8);
	const uint8_t *bytes;
	struct kd_cursor c;

	if (module == 0 || module > pdb->n_modules ||
	    !kd__pdb_module_bytes(pdb, &pdb->modules[module - 1], &bytes, &size) || offset >= size)
		return false;
	c = kd__cursor(bytes + offset, size - offset);
	return kd__pdb_record(&c, kind, body, &at, bytes) && *kind != S_PROCREF &&
	       *kind != S_LPROCREF;
}

static const struct kd_pdb_symbol *symbol_of(struct kd_pdb *pdb, uint16_t kind,
					     struct kd_cursor body)
{
	struct kd_pdb_symbol s;

	if ((kind == S_PROCREF || kind == S_LPROCREF) && !follow(pdb, &body, &kind))
		return NULL;
	return kd__pdb_symbol(pdb, kind, body, &s) ? keep(pdb, &s, body.p) : NULL;
}

/* Look one spelling up in one table. `plain`: without decoration, as the case is compared. */
static const struct kd_pdb_symbol *probe(struct search *x, const struct pdb_hash *table,
					 const char *spelled, size_t n)
{
	struct kd_pdb *pdb = x->pdb;
	struct pdb_bucket b;
	uint32_t offset, at;

	if (!kd__pdb_hash_bucket(table, kd__pdb_name_hash(spelled, n), &b))
		return NULL;
	while (kd__pdb_hash_next(pdb, table, &b, &offset)) {
		struct kd_cursor c = kd__cursor(pdb->records + offset, pdb->records_size - offset);
		struct kd_cursor body;
		const char *name;
		uint16_t kind;

		if (!kd__pdb_record(&c, &kind, &body, &at, pdb->records) ||
		    !kd__pdb_symbol_name(kind, body, &name) || strncasecmp(name, spelled, n) ||
		    name[n])
			continue;
		if (!memcmp(name, spelled, n)) {
			const struct kd_pdb_symbol *s = symbol_of(pdb, kind, body);

			if (s)
				return s;
		} else if (!x->folded) {
			x->folded = symbol_of(pdb, kind, body);
		}
	}
	return NULL;
}

/* `_name`, `_name@N` and `@name@N`: the hash needs the whole spelling, so each N is tried. */
static const struct kd_pdb_symbol *probe_decorated(struct search *x)
{
	size_t n = strlen(x->name);
	char text[NAME_SIZE_MAX + 16];
	const struct kd_pdb_symbol *s;

	if (x->pdb->info.machine != PDB_MACHINE_X86)
		return NULL;
	memcpy(text + 1, x->name, n);
	text[0] = '_';
	s = probe(x, &x->pdb->psi, text, n + 1);
	for (int bytes = 0; !s && bytes <= STDCALL_BYTES_MAX; bytes += 4) {
		int digits = snprintf(text + 1 + n, 8, "@%d", bytes);

		for (int i = 0; !s && i < 2; i++) {
			text[0] = "_@"[i];
			s = probe(x, &x->pdb->psi, text, n + 1 + (size_t)digits);
		}
	}
	return s;
}

static const struct kd_pdb_symbol *by_index(struct search *x, const char *name)
{
	struct kd_pdb *pdb = x->pdb;

	if (kd__pdb_name_index(pdb, NULL) != KD_OK)
		return NULL;
	for (uint32_t i = pdb->buckets[kd__pdb_hash(name) & (pdb->n_buckets - 1)]; i;
	     i = pdb->chain[i - 1]) {
		const struct kd_pdb_symbol *s = &pdb->list.items[i - 1];

		if (!strcmp(s->name, name))
			return s;
		if (!x->folded && !strcasecmp(s->name, name))
			x->folded = s;
	}
	return NULL;
}

/* A decorated name that the linker misfiled: it stands undecorated in the index. */
static const struct kd_pdb_symbol *by_plain_name(struct search *x)
{
	char text[NAME_SIZE_MAX];
	size_t n = kd__pdb_plain_name(x->pdb, x->name);

	if (!n)
		return NULL;
	memcpy(text, x->name + 1, n);
	text[n] = '\0';
	return by_index(x, text);
}

const struct kd_pdb_symbol *kd_pdb_find(struct kd_pdb *pdb, const char *name)
{
	struct search x = { .pdb = pdb, .name = name };
	const struct kd_pdb_symbol *s = NULL;
	size_t n = strlen(name);

	if (n == 0)
		return NULL;
	kd__pdb_hash_load(pdb);
	if (n < NAME_SIZE_MAX) {
		s = probe(&x, &pdb->gsi, name, n);
		if (!s)
			s = probe(&x, &pdb->psi, name, n);
		if (!s)
			s = probe_decorated(&x);
	}
	if (!s && !x.folded) {
		s = by_index(&x, name);
		if (!s && n < NAME_SIZE_MAX)
			s = by_plain_name(&x);
	}
	return s ? s : x.folded;
}

/* --- typedefs and constants, which stand among the global symbols --- */

/* The body of the first record of this kind of this name. */
static bool find_global(struct kd_pdb *pdb, uint16_t wanted, const char *name,
			struct kd_cursor *body_ret)
{
	struct pdb_bucket b;
	uint32_t offset, at;
	uint16_t kind;

	kd__pdb_hash_load(pdb);
	if (!kd__pdb_hash_bucket(&pdb->gsi, kd__pdb_name_hash(name, strlen(name)), &b))
		return false;
	while (kd__pdb_hash_next(pdb, &pdb->gsi, &b, &offset)) {
		struct kd_cursor c = kd__cursor(pdb->records + offset, pdb->records_size - offset);
		struct kd_cursor body, text;

		if (!kd__pdb_record(&c, &kind, &body, &at, pdb->records) || kind != wanted)
			continue;
		text = body;
		kd__cursor_skip(&text, 4);
		if (wanted == S_CONSTANT)
			kd__types_numeric(&text);
		if (!strcmp(kd__cursor_text(&text), name) && text.ok) {
			*body_ret = body;
			return true;
		}
	}
	return false;
}

uint32_t kd__pdb_typedef(struct kd_pdb *pdb, const char *name)
{
	struct kd_cursor body;

	return find_global(pdb, S_UDT, name, &body) ? kd__cursor_u32(&body) : 0;
}

enum kd_status kd_pdb_constant(struct kd_pdb *pdb, const char *name, uint64_t *value_ret,
			       uint32_t *type_ret)
{
	struct kd_cursor body;

	if (!find_global(pdb, S_CONSTANT, name, &body))
		return KD_E_NOT_FOUND;
	*type_ret = kd__cursor_u32(&body);
	*value_ret = kd__types_numeric(&body);
	return body.ok ? KD_OK : KD_E_MALFORMED;
}
