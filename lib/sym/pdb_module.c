/* SPDX-License-Identifier: MIT */
/*
 * Modules (what one object file gave to the image): which one an address belongs to, and its
 * private symbols, read when they are first asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/sym/pdb_private.h"

enum { CONTRIBUTION_V60 = 28, CONTRIBUTION_V2 = 32, SIGNATURE = 4 };

#define CONTRIBUTIONS_V60 0xF12EBA2Du
#define CONTRIBUTIONS_V2  0xF13151E4u

/* --- contributions --- */

static int contribution_by_rva(const void *a, const void *b)
{
	const struct pdb_contribution *x = a, *y = b;

	return x->rva < y->rva ? -1 : x->rva > y->rva;
}

/* They are sorted by section and offset, so by RVA unless code was moved (OMAP). */
static void sort_contributions(struct kd_pdb *pdb)
{
	for (size_t i = 1; i < pdb->n_contributions; i++)
		if (pdb->contributions[i].rva < pdb->contributions[i - 1].rva) {
			qsort(pdb->contributions, pdb->n_contributions, sizeof *pdb->contributions,
			      contribution_by_rva);
			return;
		}
}

static void load_contributions(struct kd_pdb *pdb)
{
	const uint8_t *bytes = pdb->raw_contributions;
	uint32_t size = pdb->raw_contributions_size, version = size >= 4 ? kd_get32(bytes) : 0;
	uint32_t each = version == CONTRIBUTIONS_V2 ? CONTRIBUTION_V2 : CONTRIBUTION_V60, n;

	if (pdb->has_contributions)
		return;
	pdb->has_contributions = true;
	if (version != CONTRIBUTIONS_V60 && version != CONTRIBUTIONS_V2)
		return;
	n = (size - 4) / each;
	pdb->contributions = calloc((size_t)n + 1, sizeof *pdb->contributions);
	for (uint32_t i = 0; pdb->contributions && i < n; i++) {
		const uint8_t *p = bytes + 4 + (size_t)i * each;
		struct pdb_contribution *out = &pdb->contributions[pdb->n_contributions];

		if (!kd__pdb_rva(pdb, kd_get16(p), kd_get32(p + 4), &out->rva))
			continue;
		out->size = kd_get32(p + 8);
		out->module = kd_get16(p + 0x10);
		pdb->n_contributions++;
	}
	sort_contributions(pdb);
}

const struct pdb_contribution *kd__pdb_contribution_at(struct kd_pdb *pdb, uint32_t rva)
{
	const struct pdb_contribution *c;
	size_t low = 0, high;

	load_contributions(pdb);
	high = pdb->n_contributions;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (pdb->contributions[mid].rva <= rva)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return NULL;
	c = &pdb->contributions[low - 1];
	return rva - c->rva < c->size && c->module < pdb->n_modules ? c : NULL;
}

/* --- symbols --- */

bool kd__pdb_module_bytes(struct kd_pdb *pdb, const struct pdb_module *m, const uint8_t **bytes_ret,
			  uint32_t *size_ret)
{
	uint32_t size;

	if (m->stream == PDB_STREAM_NONE || m->symbols_size <= SIGNATURE ||
	    kd_msf_stream(&pdb->msf, m->stream, bytes_ret, &size, NULL) != KD_OK ||
	    size <= SIGNATURE)
		return false;
	*size_ret = KD_MIN(m->symbols_size, size);
	return true;
}

bool kd__pdb_symbols_add(struct pdb_symbols *list, const struct kd_pdb_symbol *symbol)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 64;
		struct kd_pdb_symbol *items = cap > PDB_SYMBOLS_MAX
						      ? NULL
						      : realloc(list->items, cap * sizeof *items);

		if (!items)
			return false;
		list->items = items;
		list->cap = cap;
	}
	list->items[list->n++] = *symbol;
	return true;
}

static int symbol_by_rva(const void *a, const void *b)
{
	const struct kd_pdb_symbol *x = a, *y = b;

	if (x->rva != y->rva)
		return x->rva < y->rva ? -1 : 1;
	return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1)
				  : (x->name > y->name) - (x->name < y->name);
}

static void sort_symbols(struct pdb_symbols *list)
{
	for (size_t i = 1; i < list->n; i++)
		if (symbol_by_rva(&list->items[i - 1], &list->items[i]) > 0) {
			qsort(list->items, list->n, sizeof *list->items, symbol_by_rva);
			return;
		}
}

bool kd__pdb_module_load(struct kd_pdb *pdb, struct pdb_module *m)
{
	struct kd_cursor c, body;
	struct kd_pdb_symbol s;
	const uint8_t *bytes;
	uint32_t size, offset;
	uint16_t kind;

	if (m->has_symbols)
		return true;
	if (!kd__pdb_module_bytes(pdb, m, &bytes, &size)) {
		m->has_symbols = true;
		return true;
	}
	c = kd__cursor(bytes + SIGNATURE, size - SIGNATURE);
	while (kd__pdb_record(&c, &kind, &body, &offset, bytes))
		if (kind != S_PUB32 && kd__pdb_symbol(pdb, kind, body, &s) &&
		    !kd__pdb_symbols_add(&m->symbols, &s)) {
			free(m->symbols.items);
			m->symbols = (struct pdb_symbols){ 0 };
			return false;
		}
	sort_symbols(&m->symbols);
	m->has_symbols = true;
	return true;
}

void kd__pdb_modules_free(struct kd_pdb *pdb)
{
	for (size_t i = 0; pdb->modules && i < pdb->n_modules; i++) {
		free(pdb->modules[i].lines);
		free(pdb->modules[i].symbols.items);
	}
	free(pdb->modules);
	free(pdb->contributions);
}

/* The function of this module that an address lies in; of nested ones the innermost. */
static const struct kd_pdb_symbol *function_in(const struct pdb_module *m, uint32_t rva)
{
	size_t low = 0, high = m->symbols.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->symbols.items[mid].rva <= rva)
			low = mid + 1;
		else
			high = mid;
	}
	for (size_t n = 0; low-- > 0 && n < PDB_NEIGHBOURS_MAX; n++) {
		const struct kd_pdb_symbol *s = &m->symbols.items[low];

		if (s->kind == KD_PDB_FUNCTION && rva - s->rva < s->size) {
			/* several names at one place (thunks, folded code): the first in order */
			while (low > 0 && s[-1].rva == s->rva && s[-1].kind == KD_PDB_FUNCTION &&
			       s[-1].size == s->size) {
				s--;
				low--;
			}
			return s;
		}
		if (s->kind == KD_PDB_FUNCTION && s->size)
			break;
	}
	return NULL;
}

const struct kd_pdb_symbol *kd__pdb_function_at(struct kd_pdb *pdb, uint32_t rva)
{
	const struct pdb_contribution *c = kd__pdb_contribution_at(pdb, rva);

	if (!c || !kd__pdb_module_load(pdb, &pdb->modules[c->module]))
		return NULL;
	return function_in(&pdb->modules[c->module], rva);
}
