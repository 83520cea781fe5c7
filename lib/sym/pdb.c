/* SPDX-License-Identifier: MIT */
/* The fixed streams: info, DBI, section headers, string table. */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/sym/pdb_private.h"

enum {
	STREAM_INFO = 1,
	STREAM_DBI = 3,
	DBI_HEADER = 64,
	MODULE_FIXED = 0x40,
	DBG_OMAP_FROM_SOURCE = 4,
	DBG_SECTIONS = 5,
	DBG_ORIGINAL_SECTIONS = 10,
	SECTION_HEADER = 40,
};

#define NAMES_SIGNATURE 0xEFFEEFFEu

/* --- cursor --- */

struct kd_cursor kd__cursor(const uint8_t *bytes, size_t size)
{
	return (struct kd_cursor){ bytes, bytes ? bytes + size : NULL, bytes || !size };
}

static const uint8_t *take(struct kd_cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (!c->ok || (size_t)(c->end - c->p) < n) {
		c->ok = false;
		return NULL;
	}
	c->p += n;
	return p;
}

uint8_t kd__cursor_u8(struct kd_cursor *c)
{
	const uint8_t *p = take(c, 1);

	return p ? *p : 0;
}

uint16_t kd__cursor_u16(struct kd_cursor *c)
{
	const uint8_t *p = take(c, 2);

	return p ? kd_get16(p) : 0;
}

uint32_t kd__cursor_u32(struct kd_cursor *c)
{
	const uint8_t *p = take(c, 4);

	return p ? kd_get32(p) : 0;
}

uint64_t kd__cursor_u64(struct kd_cursor *c)
{
	const uint8_t *p = take(c, 8);

	return p ? kd_get64(p) : 0;
}

void kd__cursor_skip(struct kd_cursor *c, size_t n)
{
	take(c, n);
}

const char *kd__cursor_text(struct kd_cursor *c)
{
	const uint8_t *start = c->p;
	const uint8_t *nul = c->ok && c->p < c->end ? memchr(c->p, 0, (size_t)(c->end - c->p))
						    : NULL;

	if (!nul) {
		c->ok = false;
		return "";
	}
	c->p = nul + 1;
	return (const char *)start;
}

/* --- info and names --- */

static enum kd_status damaged(const char *what, struct kd_error *err)
{
	return kd_error_set(err, KD_E_MALFORMED, 0, "the PDB is damaged: %s", what);
}

/* The named stream map: "/names" is what we look for. */
static uint32_t find_named(struct kd_cursor c, const char *wanted)
{
	uint32_t keys_size = kd__cursor_u32(&c), n, words;
	const uint8_t *keys = c.p;

	kd__cursor_skip(&c, keys_size);
	n = kd__cursor_u32(&c);
	kd__cursor_u32(&c);
	for (int map = 0; map < 2; map++) {
		words = kd__cursor_u32(&c);
		kd__cursor_skip(&c, 4 * (size_t)words);
	}
	for (uint32_t i = 0; c.ok && i < n; i++) {
		uint32_t key = kd__cursor_u32(&c), stream = kd__cursor_u32(&c);
		struct kd_cursor text;

		if (!c.ok || key >= keys_size)
			break;
		text = kd__cursor(keys + key, keys_size - key);
		if (!strcmp(kd__cursor_text(&text), wanted) && text.ok)
			return stream;
	}
	return PDB_STREAM_NONE;
}

static void load_names(struct kd_pdb *pdb, uint32_t stream)
{
	const uint8_t *bytes;
	uint32_t size;

	if (kd_msf_stream(&pdb->msf, stream, &bytes, &size, NULL) != KD_OK || size < 12 ||
	    kd_get32(bytes) != NAMES_SIGNATURE)
		return;
	pdb->names = bytes + 12;
	pdb->names_size = KD_MIN(kd_get32(bytes + 8), size - 12);
}

const char *kd__pdb_name(const struct kd_pdb *pdb, uint32_t offset)
{
	struct kd_cursor c;
	const char *text;

	if (offset >= pdb->names_size)
		return "";
	c = kd__cursor(pdb->names + offset, pdb->names_size - offset);
	text = kd__cursor_text(&c);
	return c.ok ? text : "";
}

static enum kd_status load_info(struct kd_pdb *pdb, struct kd_error *err)
{
	const uint8_t *bytes;
	uint32_t size;
	enum kd_status status = kd_msf_stream(&pdb->msf, STREAM_INFO, &bytes, &size, err);

	if (status != KD_OK)
		return status;
	if (size < 0x1C)
		return damaged("its info stream is too short", err);
	pdb->info.age = kd_get32(bytes + 8);
	memcpy(pdb->info.guid, bytes + 0xC, 16);
	load_names(pdb, find_named(kd__cursor(bytes + 0x1C, size - 0x1C), "/names"));
	return KD_OK;
}

/* --- sections --- */

bool kd__pdb_rva(const struct kd_pdb *pdb, uint16_t section, uint32_t offset, uint32_t *rva_ret)
{
	uint32_t rva;
	size_t low = 0, high = pdb->n_omap;

	if (section == 0 || section > pdb->n_sections)
		return false;
	rva = pdb->sections[section - 1].rva + offset;
	if (!pdb->omap) {
		*rva_ret = rva;
		return true;
	}
	while (low < high) { /* the last entry at or below */
		size_t mid = low + (high - low) / 2;

		if (pdb->omap[mid].from <= rva)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || pdb->omap[low - 1].to == 0)
		return false;
	*rva_ret = pdb->omap[low - 1].to + (rva - pdb->omap[low - 1].from);
	return true;
}

static enum kd_status load_sections(struct kd_pdb *pdb, uint32_t stream, struct kd_error *err)
{
	const uint8_t *bytes;
	uint32_t size;
	enum kd_status status = kd_msf_stream(&pdb->msf, stream, &bytes, &size, err);

	if (status != KD_OK)
		return status;
	pdb->n_sections = KD_MIN(size / SECTION_HEADER, 0xFFFEu);
	pdb->sections = calloc(pdb->n_sections + 1, sizeof *pdb->sections);
	if (!pdb->sections)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	for (size_t i = 0; i < pdb->n_sections; i++) {
		pdb->sections[i].size = kd_get32(bytes + i * SECTION_HEADER + 8);
		pdb->sections[i].rva = kd_get32(bytes + i * SECTION_HEADER + 12);
	}
	return KD_OK;
}

static enum kd_status load_omap(struct kd_pdb *pdb, uint32_t stream, struct kd_error *err)
{
	const uint8_t *bytes;
	uint32_t size;

	if (kd_msf_stream(&pdb->msf, stream, &bytes, &size, NULL) != KD_OK || size < 8)
		return KD_OK;
	pdb->omap = calloc(size / 8, sizeof *pdb->omap);
	if (!pdb->omap)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	for (size_t i = 0; i < size / 8; i++) {
		struct pdb_omap *o = &pdb->omap[pdb->n_omap];

		o->from = kd_get32(bytes + 8 * i);
		o->to = kd_get32(bytes + 8 * i + 4);
		/* Not ascending: not a map. What came before it stays in use. */
		if (pdb->n_omap && o->from < o[-1].from)
			break;
		pdb->n_omap++;
	}
	return KD_OK;
}

static uint16_t debug_stream(const uint8_t *table, uint32_t size, uint32_t index)
{
	return 2 * (index + 1) <= size ? kd_get16(table + 2 * (size_t)index) : PDB_STREAM_NONE;
}

static enum kd_status load_debug_header(struct kd_pdb *pdb, const uint8_t *table, uint32_t size,
					struct kd_error *err)
{
	uint16_t original = debug_stream(table, size, DBG_ORIGINAL_SECTIONS);
	uint16_t omap = debug_stream(table, size, DBG_OMAP_FROM_SOURCE);
	uint16_t sections = debug_stream(table, size, DBG_SECTIONS);
	enum kd_status status;

	if (omap != PDB_STREAM_NONE && original != PDB_STREAM_NONE) {
		status = load_omap(pdb, omap, err);
		if (status != KD_OK)
			return status;
		if (pdb->omap)
			sections = original;
	}
	if (sections == PDB_STREAM_NONE)
		return KD_OK;
	return load_sections(pdb, sections, err);
}

/* --- modules --- */

/*
 * A stream belongs to one module. Damaged files give one stream to thousands; reading it once for
 * each would take forever.
 */
static uint16_t claim(uint8_t *claimed, uint16_t stream)
{
	uint8_t bit = (uint8_t)(1u << stream % 8);

	if (stream == PDB_STREAM_NONE || (claimed[stream / 8] & bit))
		return PDB_STREAM_NONE;
	claimed[stream / 8] |= bit;
	return stream;
}

static enum kd_status load_modules(struct kd_pdb *pdb, const uint8_t *bytes, uint32_t size,
				   struct kd_error *err)
{
	struct kd_cursor c = kd__cursor(bytes, size);
	size_t cap = KD_MIN((size_t)size / (MODULE_FIXED + 2) + 1, (size_t)PDB_MODULES_MAX);
	uint8_t claimed[65536 / 8] = { 0 };

	pdb->modules = calloc(cap, sizeof *pdb->modules);
	if (!pdb->modules)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	while (pdb->n_modules < cap && (size_t)(c.end - c.p) >= MODULE_FIXED) {
		struct pdb_module *m = &pdb->modules[pdb->n_modules];

		m->stream = claim(claimed, kd_get16(c.p + 0x22));
		m->symbols_size = kd_get32(c.p + 0x24);
		m->c11_size = kd_get32(c.p + 0x28);
		m->c13_size = kd_get32(c.p + 0x2C);
		kd__cursor_skip(&c, MODULE_FIXED);
		kd__cursor_text(&c);
		kd__cursor_text(&c);
		if (!c.ok)
			break;
		kd__cursor_skip(&c, (size_t)(-(c.p - bytes) & 3));
		pdb->n_modules++;
		if (!c.ok)
			break;
	}
	return KD_OK;
}

/* Substreams follow the header in this order; EC comes before the debug header. */
enum { SUB_MODULES, SUB_CONTRIBUTIONS, SUB_MAP, SUB_FILES, SUB_SERVERS, SUB_EC, SUB_DEBUG, N_SUBS };

static enum kd_status find_substreams(const uint8_t *dbi, uint32_t size, uint32_t at[N_SUBS],
				      uint32_t sizes[N_SUBS], struct kd_error *err)
{
	static const uint8_t size_offsets[N_SUBS] = { 0x18, 0x1C, 0x20, 0x24, 0x28, 0x34, 0x30 };
	uint64_t offset = DBI_HEADER;

	for (int i = 0; i < N_SUBS; i++) {
		sizes[i] = kd_get32(dbi + size_offsets[i]);
		at[i] = (uint32_t)offset;
		offset += sizes[i];
		if (offset > size)
			return damaged("a part of its DBI stream is larger than the whole", err);
	}
	return KD_OK;
}

static enum kd_status load_dbi(struct kd_pdb *pdb, struct kd_error *err)
{
	uint32_t size, at[N_SUBS], sizes[N_SUBS];
	const uint8_t *dbi;
	enum kd_status status = kd_msf_stream(&pdb->msf, STREAM_DBI, &dbi, &size, err);

	if (status != KD_OK)
		return status;
	pdb->symbols_stream = PDB_STREAM_NONE;
	if (size == 0)
		return KD_OK; /* a PDB of types only */
	if (size < DBI_HEADER || kd_get32(dbi) != 0xFFFFFFFFu)
		return damaged("its DBI stream has no header", err);
	pdb->info.dbi_age = kd_get32(dbi + 8);
	pdb->info.is_stripped = kd_get16(dbi + 0x38) & 2;
	pdb->info.machine = kd_get16(dbi + 0x3A);
	pdb->gsi_stream = kd_get16(dbi + 0xC);
	pdb->psi_stream = kd_get16(dbi + 0x10);
	pdb->symbols_stream = kd_get16(dbi + 0x14);
	status = find_substreams(dbi, size, at, sizes, err);
	if (status == KD_OK)
		status = load_debug_header(pdb, dbi + at[SUB_DEBUG], sizes[SUB_DEBUG], err);
	if (status == KD_OK)
		status = load_modules(pdb, dbi + at[SUB_MODULES], sizes[SUB_MODULES], err);
	pdb->raw_contributions = dbi + at[SUB_CONTRIBUTIONS];
	pdb->raw_contributions_size = sizes[SUB_CONTRIBUTIONS];
	return status;
}

enum kd_status kd_pdb_open(const char *path, struct kd_pdb **pdb_ret, struct kd_error *err)
{
	struct kd_pdb *pdb = calloc(1, sizeof *pdb);
	const uint8_t *tpi;
	uint32_t tpi_size = 0;
	enum kd_status status;

	if (!pdb)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	status = kd_mapping_open(path, &pdb->mapping, err);
	if (status == KD_OK) {
		status = kd_msf_open(&pdb->msf, pdb->mapping.bytes, pdb->mapping.size, err);
		if (status == KD_OK)
			status = load_info(pdb, err);
		if (status == KD_OK)
			status = load_dbi(pdb, err);
		kd_error_prefix(err, status, "%s", path);
	}
	if (status != KD_OK) {
		kd_pdb_close(pdb);
		return status;
	}
	if (kd_msf_stream(&pdb->msf, 2, &tpi, &tpi_size, NULL) == KD_OK)
		pdb->info.has_types = tpi_size >= 20 && kd_get32(tpi + 16) > 0;
	*pdb_ret = pdb;
	return KD_OK;
}

void kd_pdb_close(struct kd_pdb *pdb)
{
	if (!pdb)
		return;
	kd__pdb_index_free(pdb);
	kd__pdb_arena_free(pdb);
	kd__pdb_modules_free(pdb);
	kd__types_free(pdb->types);
	free(pdb->sections);
	free(pdb->omap);
	kd_msf_close(&pdb->msf);
	kd_mapping_close(&pdb->mapping);
	free(pdb);
}

void kd_pdb_info(const struct kd_pdb *pdb, struct kd_pdb_info *ret)
{
	*ret = pdb->info;
}
