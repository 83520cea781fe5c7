/* SPDX-License-Identifier: MIT */
/*
 * One flat list over all symbols in the order of their addresses, and one hash over their names.
 * Both are built when something asks that the PDB's own tables cannot answer: the neighbour of an
 * address, all symbols, a name that the linker's hash does not lead to.
 */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/sym/pdb_private.h"

enum {
	KIND_BITS = 2,
	INDEX_BITS = 30,
	DIGIT_BITS = 12, /* three of them cover RVA and kind */
	DIGITS = 1 << DIGIT_BITS,
	REPEATED_MAX = 16,
};

static bool scan_records(struct kd_pdb *pdb, struct pdb_symbols *all)
{
	struct kd_cursor c = kd__cursor(pdb->records, pdb->records_size), body;
	struct kd_pdb_symbol s;
	uint32_t offset;
	uint16_t kind;

	while (kd__pdb_record(&c, &kind, &body, &offset, pdb->records))
		if (kd__pdb_symbol(pdb, kind, body, &s) && !kd__pdb_symbols_add(all, &s))
			return false;
	return true;
}

static bool scan_modules(struct kd_pdb *pdb, struct pdb_symbols *all)
{
	for (size_t i = 0; i < pdb->n_modules; i++) {
		struct pdb_module *m = &pdb->modules[i];

		if (!kd__pdb_module_load(pdb, m))
			return false;
		for (size_t j = 0; j < m->symbols.n; j++)
			if (!kd__pdb_symbols_add(all, &m->symbols.items[j]))
				return false;
	}
	return true;
}

/* One pass of a radix sort; the keys carry the index of what they stand for in their low bits. */
static void sort_digit(const uint64_t *from, uint64_t *to, size_t n, unsigned shift)
{
	uint32_t starts[DIGITS] = { 0 }, sum = 0;

	for (size_t i = 0; i < n; i++)
		starts[from[i] >> shift & (DIGITS - 1)]++;
	for (size_t i = 0; i < DIGITS; i++) {
		uint32_t count = starts[i];

		starts[i] = sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[starts[from[i] >> shift & (DIGITS - 1)]++] = from[i];
}

/* By RVA, then kind (private before public), then the order in the file. */
static bool sort_symbols(struct pdb_symbols *all)
{
	KD_CLEANUP(kd_freep) uint64_t *keys = malloc((all->n + 1) * sizeof *keys);
	KD_CLEANUP(kd_freep) uint64_t *other = malloc((all->n + 1) * sizeof *other);
	struct kd_pdb_symbol *sorted = malloc((all->n + 1) * sizeof *sorted);

	if (!keys || !other || !sorted) {
		free(sorted);
		return false;
	}
	for (size_t i = 0; i < all->n; i++)
		keys[i] = (uint64_t)all->items[i].rva << (KIND_BITS + INDEX_BITS) |
			  (uint64_t)all->items[i].kind << INDEX_BITS | i;
	sort_digit(keys, other, all->n, INDEX_BITS);
	sort_digit(other, keys, all->n, INDEX_BITS + DIGIT_BITS);
	sort_digit(keys, other, all->n, INDEX_BITS + 2 * DIGIT_BITS);
	for (size_t i = 0; i < all->n; i++)
		sorted[i] = all->items[other[i] & ((1u << INDEX_BITS) - 1)];
	free(all->items);
	all->items = sorted;
	all->cap = all->n + 1;
	return true;
}

/* The same name at the same place, public beside private or listed twice, says nothing new. */
static void drop_repeated(struct pdb_symbols *all)
{
	size_t out = 0;

	for (size_t i = 0; i < all->n; i++) {
		const struct kd_pdb_symbol *s = &all->items[i];
		bool repeated = false;

		for (size_t j = out;
		     j-- > 0 && all->items[j].rva == s->rva && !repeated && out - j < REPEATED_MAX;)
			repeated = all->items[j].name == s->name ||
				   !strcmp(all->items[j].name, s->name);
		if (!repeated)
			all->items[out++] = *s;
	}
	all->n = out;
}

enum kd_status kd__pdb_list(struct kd_pdb *pdb, struct kd_error *err)
{
	struct pdb_symbols all = { 0 };

	if (pdb->has_list)
		return KD_OK;
	kd__pdb_hash_load(pdb);
	if (!scan_modules(pdb, &all) || !scan_records(pdb, &all) || !sort_symbols(&all)) {
		free(all.items);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory for the symbol index");
	}
	drop_repeated(&all);
	pdb->list = all;
	pdb->has_list = true;
	return KD_OK;
}

/* --- names --- */

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

enum kd_status kd__pdb_name_index(struct kd_pdb *pdb, struct kd_error *err)
{
	enum kd_status status = kd__pdb_list(pdb, err);

	if (status != KD_OK || pdb->buckets)
		return status;
	pdb->n_buckets = 64;
	while (pdb->n_buckets < pdb->list.n)
		pdb->n_buckets *= 2;
	pdb->chain = calloc(pdb->list.n + 1, sizeof *pdb->chain);
	pdb->buckets = pdb->chain ? calloc(pdb->n_buckets, sizeof *pdb->buckets) : NULL;
	if (!pdb->buckets) {
		free(pdb->chain);
		pdb->chain = NULL;
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory for the symbol index");
	}
	for (size_t i = pdb->list.n; i-- > 0;) {
		uint32_t *bucket =
			&pdb->buckets[kd__pdb_hash(pdb->list.items[i].name) & (pdb->n_buckets - 1)];

		pdb->chain[i] = *bucket;
		*bucket = (uint32_t)i + 1;
	}
	return KD_OK;
}

void kd__pdb_index_free(struct kd_pdb *pdb)
{
	free(pdb->list.items);
	free(pdb->buckets);
	free(pdb->chain);
}

/* --- for callers --- */

enum kd_status kd_pdb_symbols(struct kd_pdb *pdb, const struct kd_pdb_symbol **list_ret,
			      size_t *n_ret, struct kd_error *err)
{
	enum kd_status status = kd__pdb_list(pdb, err);

	*list_ret = pdb->list.items;
	*n_ret = pdb->list.n;
	return status;
}

/* Index of the first symbol above an RVA. */
static size_t above(const struct kd_pdb *pdb, uint32_t rva)
{
	size_t low = 0, high = pdb->list.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (pdb->list.items[mid].rva <= rva)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct kd_pdb_symbol *kd_pdb_at(struct kd_pdb *pdb, uint32_t rva)
{
	const struct kd_pdb_symbol *function = kd__pdb_function_at(pdb, rva);
	size_t i;

	if (function || kd__pdb_list(pdb, NULL) != KD_OK)
		return function;
	i = above(pdb, rva);
	if (i == 0)
		return NULL;
	i--;
	while (i > 0 && pdb->list.items[i - 1].rva == pdb->list.items[i].rva)
		i--; /* the first of several at one place is the private one */
	return &pdb->list.items[i];
}

const struct kd_pdb_symbol *kd_pdb_after(struct kd_pdb *pdb, uint32_t rva)
{
	size_t i;

	if (kd__pdb_list(pdb, NULL) != KD_OK)
		return NULL;
	i = above(pdb, rva);
	return i < pdb->list.n ? &pdb->list.items[i] : NULL;
}
