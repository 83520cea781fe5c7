/* SPDX-License-Identifier: MIT */
/*
 * The linker's own hash tables over global symbols (GSI) and public ones (PSI), read where they
 * lie: a bitmap of the buckets in use, then one start for each of those. One probe answers a name
 * in microseconds without any index of ours. Facts: symbols 2.8, 2.9.
 */
#include <string.h>

#include "core/bytes.h"
#include "lib/sym/pdb_private.h"

enum {
	HASH_HEADER = 16,
	HASH_RECORD = 8,
	START_UNIT = 12, /* starts count in units of the record's size in the linker's memory */
	PSI_HEADER = 28,
	BUCKETS_NORMAL = 4096,
	BUCKETS_MINIMAL = 0x3FFFF,
};

#define HASH_SIGNATURE 0xFFFFFFFFu
#define HASH_VERSION   0xF12F091Au

uint32_t kd__pdb_name_hash(const char *name, size_t n)
{
	const uint8_t *p = (const uint8_t *)name;
	uint32_t h = 0;

	for (; n >= 4; n -= 4, p += 4)
		h ^= kd_get32(p);
	if (n >= 2) {
		h ^= kd_get16(p);
		p += 2;
		n -= 2;
	}
	if (n)
		h ^= *p;
	h |= 0x20202020u; /* ASCII letters fold: names equal but for case share a bucket */
	h ^= h >> 11;
	return h ^ h >> 16;
}

static uint32_t count_bits(const uint8_t *words, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (uint32_t)__builtin_popcount(kd_get32(words + 4 * (size_t)i));
	return sum;
}

/* The bitmap's length is not stored: the one of both possible that explains the size is it. */
static bool parse_buckets(struct pdb_hash *h, const uint8_t *bytes, uint32_t size, uint32_t n)
{
	uint32_t n_words = (n + 32) / 32, n_starts;

	if (size / 4 < n_words)
		return false;
	n_starts = count_bits(bytes, n_words);
	if (size / 4 - n_words < n_starts)
		return false;
	h->bitmap = bytes;
	h->starts = bytes + 4 * (size_t)n_words;
	h->n_starts = n_starts;
	h->n_buckets = n;
	return true;
}

static void parse_table(struct pdb_hash *h, const uint8_t *bytes, uint32_t size)
{
	uint32_t records, buckets;

	if (size < HASH_HEADER || kd_get32(bytes) != HASH_SIGNATURE ||
	    kd_get32(bytes + 4) != HASH_VERSION)
		return;
	records = kd_get32(bytes + 8);
	buckets = kd_get32(bytes + 12);
	if (records > size - HASH_HEADER || buckets > size - HASH_HEADER - records)
		return;
	h->records = bytes + HASH_HEADER;
	h->n_records = records / HASH_RECORD;
	bytes += HASH_HEADER + records;
	if (buckets / 4 >= (BUCKETS_MINIMAL + 32) / 32 &&
	    parse_buckets(h, bytes, buckets, BUCKETS_MINIMAL))
		return;
	if (!parse_buckets(h, bytes, buckets, BUCKETS_NORMAL))
		h->n_records = 0;
}

void kd__pdb_hash_load(struct kd_pdb *pdb)
{
	const uint8_t *bytes;
	uint32_t size, hash_size, map_size;

	if (pdb->has_hash)
		return;
	pdb->has_hash = true;
	if (pdb->symbols_stream == PDB_STREAM_NONE ||
	    kd_msf_stream(&pdb->msf, pdb->symbols_stream, &pdb->records, &pdb->records_size,
			  NULL) != KD_OK)
		return;
	if (kd_msf_stream(&pdb->msf, pdb->gsi_stream, &bytes, &size, NULL) == KD_OK)
		parse_table(&pdb->gsi, bytes, size);
	if (kd_msf_stream(&pdb->msf, pdb->psi_stream, &bytes, &size, NULL) != KD_OK ||
	    size < PSI_HEADER)
		return;
	hash_size = kd_get32(bytes);
	map_size = kd_get32(bytes + 4);
	if (hash_size > size - PSI_HEADER || map_size > size - PSI_HEADER - hash_size)
		return;
	parse_table(&pdb->psi, bytes + PSI_HEADER, hash_size);
}

bool kd__pdb_hash_bucket(const struct pdb_hash *h, uint32_t hash, struct pdb_bucket *ret)
{
	uint32_t b, word, rank, first, last;

	if (!h->n_records || !h->n_buckets)
		return false;
	b = hash % h->n_buckets;
	word = kd_get32(h->bitmap + 4 * (size_t)(b / 32));
	if (!(word >> (b % 32) & 1))
		return false;
	rank = count_bits(h->bitmap, b / 32) +
	       (uint32_t)__builtin_popcount(word & ((1u << (b % 32)) - 1));
	first = kd_get32(h->starts + 4 * (size_t)rank) / START_UNIT;
	last = rank + 1 < h->n_starts ? kd_get32(h->starts + 4 * (size_t)(rank + 1)) / START_UNIT
				      : h->n_records;
	ret->at = first;
	ret->end = KD_MIN(last, h->n_records);
	return first < ret->end;
}

bool kd__pdb_hash_next(const struct kd_pdb *pdb, const struct pdb_hash *h, struct pdb_bucket *b,
		       uint32_t *record_ret)
{
	while (b->at < b->end) {
		uint32_t offset = kd_get32(h->records + HASH_RECORD * (size_t)b->at++);

		if (offset && offset - 1 < pdb->records_size) {
			*record_ret = offset - 1;
			return true;
		}
	}
	return false;
}
