/* SPDX-License-Identifier: MIT */
#include "lib/sym/pe.h"

#include <stdio.h>
#include <string.h>

#include "core/bytes.h"

enum {
	HEADERS = 0x1000,     /* one read: DOS, NT and section headers of all images seen */
	HEADERS_MAX = 0x3000, /* as far as they could reach: a second read */
	LFANEW_MAX = 0x1000,
	FILE_HEADER = 4, /* from the NT signature */
	OPTIONAL_HEADER = 0x18,
	SECTION_SIZE = 40,
	MAGIC_PE32 = 0x10B,
	MAGIC_PE32_PLUS = 0x20B,
	DEBUG_ENTRY = 28,
	DEBUG_ENTRIES_MAX = 64,
	DEBUG_CODEVIEW = 2,
	RSDS = 0x53445352,
	RSDS_HEADER = 24,
	NB10 = 0x3031424E,
	NB10_HEADER = 16,
};

/* Offsets in the optional header that differ: {PE32, PE32+}. */
static const struct {
	uint16_t image_base, n_dirs, dirs;
} optional[2] = { { 0x1C, 0x5C, 0x60 }, { 0x18, 0x6C, 0x70 } };

struct headers {
	uint8_t bytes[HEADERS_MAX];
	size_t size;
	size_t nt; /* offset of the signature */
};

static bool has(const struct headers *h, size_t at, size_t size)
{
	return at <= h->size && size <= h->size - at;
}

/* Where the section table ends; 0: that cannot be said yet. */
static size_t headers_end(const struct headers *h)
{
	const uint8_t *f = h->bytes + h->nt + FILE_HEADER;

	if (!has(h, h->nt, OPTIONAL_HEADER))
		return 0;
	return h->nt + OPTIONAL_HEADER + kd_get16(f + 16) +
	       KD_MIN(kd_get16(f + 2), KD_PE_SECTIONS_MAX) * (size_t)SECTION_SIZE;
}

/* Headers of more than a page: rare, so it costs a request of its own. What fails is left out. */
static void read_rest(const struct kd_pe *pe, struct headers *h)
{
	size_t end = headers_end(h), done = 0;

	if (h->size < HEADERS || (end && end <= h->size))
		return;
	if (pe->read(pe->context, pe->base + HEADERS, h->bytes + HEADERS, HEADERS_MAX - HEADERS,
		     &done) == KD_OK)
		h->size += KD_MIN(done, (size_t)(HEADERS_MAX - HEADERS));
}

static enum kd_status read_headers(struct kd_pe *pe, struct headers *h, struct kd_error *err)
{
	enum kd_status status = pe->read(pe->context, pe->base, h->bytes, HEADERS, &h->size);

	if (status != KD_OK)
		return kd_error_set(err, status, pe->base, "the image's headers cannot be read");
	if (h->size < 0x40)
		return kd_error_set(err, KD_E_UNREADABLE, pe->base,
				    "the image's headers are not in memory");
	h->nt = kd_get32(h->bytes + 0x3C);
	if (kd_get16(h->bytes) != 0x5A4D || h->nt > LFANEW_MAX || h->nt % 4)
		return kd_error_set(err, KD_E_MALFORMED, pe->base, "no PE image is there");
	read_rest(pe, h);
	if (!has(h, h->nt, OPTIONAL_HEADER + 0x60) || kd_get32(h->bytes + h->nt) != 0x4550)
		return kd_error_set(err, KD_E_MALFORMED, pe->base, "no PE image is there");
	return KD_OK;
}

static enum kd_status parse_optional(struct kd_pe *pe, const struct headers *h,
				     struct kd_error *err)
{
	const uint8_t *o = h->bytes + h->nt + OPTIONAL_HEADER;
	uint16_t magic = kd_get16(o);
	uint32_t n_dirs;

	if (magic != MAGIC_PE32 && magic != MAGIC_PE32_PLUS)
		return kd_error_set(err, KD_E_MALFORMED, pe->base,
				    "the image's optional header has magic 0x%x", magic);
	pe->is_64 = magic == MAGIC_PE32_PLUS;
	pe->entry_rva = kd_get32(o + 0x10);
	pe->image_base = pe->is_64 ? kd_get64(o + optional[1].image_base)
				   : kd_get32(o + optional[0].image_base);
	pe->size_of_image = kd_get32(o + 0x38);
	pe->size_of_headers = kd_get32(o + 0x3C);
	pe->checksum = kd_get32(o + 0x40);
	if (!has(h, h->nt + OPTIONAL_HEADER + optional[pe->is_64].n_dirs, 4))
		return KD_OK;
	n_dirs = KD_MIN(kd_get32(o + optional[pe->is_64].n_dirs), (uint32_t)KD_PE_DIRS);
	for (uint32_t i = 0; i < n_dirs; i++) {
		size_t at = optional[pe->is_64].dirs + 8 * (size_t)i;

		if (!has(h, h->nt + OPTIONAL_HEADER + at, 8))
			break;
		pe->dirs[i].rva = kd_get32(o + at);
		pe->dirs[i].size = KD_MIN(kd_get32(o + at + 4), pe->size_of_image);
	}
	return KD_OK;
}

static void parse_sections(struct kd_pe *pe, const struct headers *h)
{
	const uint8_t *f = h->bytes + h->nt + FILE_HEADER;
	size_t n = kd_get16(f + 2);
	size_t at = h->nt + OPTIONAL_HEADER + kd_get16(f + 16);

	pe->n_sections = 0;
	for (size_t i = 0; i < n && i < KD_PE_SECTIONS_MAX && has(h, at, SECTION_SIZE); i++) {
		const uint8_t *s = h->bytes + at;
		struct kd_pe_section *out = &pe->sections[pe->n_sections++];

		memcpy(out->name, s, 8);
		out->name[8] = '\0';
		out->virtual_size = kd_get32(s + 8);
		out->rva = kd_get32(s + 12);
		out->file_size = kd_get32(s + 16);
		out->file_offset = kd_get32(s + 20);
		out->characteristics = kd_get32(s + 36);
		at += SECTION_SIZE;
	}
}

enum kd_status kd_pe_open(struct kd_pe *pe, kd_sym_read_fn read, void *context, uint64_t base,
			  bool is_file, struct kd_error *err)
{
	struct headers h = { .size = 0 };
	enum kd_status status;

	memset(pe, 0, sizeof *pe);
	pe->read = read;
	pe->context = context;
	pe->base = base;
	pe->is_file = is_file;
	status = read_headers(pe, &h, err);
	if (status != KD_OK)
		return status;
	pe->machine = kd_get16(h.bytes + h.nt + FILE_HEADER);
	pe->timestamp = kd_get32(h.bytes + h.nt + FILE_HEADER + 4);
	status = parse_optional(pe, &h, err);
	if (status == KD_OK)
		parse_sections(pe, &h);
	return status;
}

const struct kd_pe_section *kd_pe_section_at(const struct kd_pe *pe, uint32_t rva)
{
	for (size_t i = 0; i < pe->n_sections; i++) {
		const struct kd_pe_section *s = &pe->sections[i];

		if (rva - s->rva < KD_MAX(s->virtual_size, s->file_size) && rva >= s->rva)
			return s;
	}
	return NULL;
}

/* File layout: how many bytes of `size` at rva come from one place, and from which offset. */
static size_t file_span(const struct kd_pe *pe, uint32_t rva, size_t size, uint64_t *offset_ret)
{
	const struct kd_pe_section *s = kd_pe_section_at(pe, rva);
	uint32_t in;

	if (!s) {
		*offset_ret = rva;
		return rva < pe->size_of_headers ? KD_MIN(size, (size_t)(pe->size_of_headers - rva))
						 : 0;
	}
	in = rva - s->rva;
	*offset_ret = (uint64_t)s->file_offset + in;
	return in < s->file_size ? KD_MIN(size, (size_t)(s->file_size - in)) : 0;
}

enum kd_status kd_pe_read(const struct kd_pe *pe, uint32_t rva, void *buffer, size_t size,
			  size_t *done_ret)
{
	uint64_t offset;
	size_t n;
	enum kd_status status;

	*done_ret = 0;
	if (rva >= pe->size_of_image)
		return KD_OK;
	size = KD_MIN(size, (size_t)(pe->size_of_image - rva));
	if (!pe->is_file)
		return pe->read(pe->context, pe->base + rva, buffer, size, done_ret);
	n = file_span(pe, rva, size, &offset);
	memset(buffer, 0, size);
	if (n) {
		status = pe->read(pe->context, pe->base + offset, buffer, n, done_ret);
		if (status != KD_OK || *done_ret < n)
			return status;
	}
	*done_ret = size; /* what a section has beyond its file bytes is zero */
	return KD_OK;
}

/* --- CodeView --- */

void kd_pe_format_id(char out[KD_PE_ID_SIZE], const uint8_t g[16], uint32_t age)
{
	snprintf(out, KD_PE_ID_SIZE, "%08X%04X%04X%02X%02X%02X%02X%02X%02X%02X%02X%X", kd_get32(g),
		 kd_get16(g + 4), kd_get16(g + 6), g[8], g[9], g[10], g[11], g[12], g[13], g[14],
		 g[15], age);
}

void kd_pe_file_name(char *out, size_t size, const char *path, size_t length)
{
	size_t start = 0, n = 0;

	length = strnlen(path, length);
	for (size_t i = 0; i < length; i++)
		if (path[i] == '/' || path[i] == '\\' || path[i] == ':')
			start = i + 1;
	for (size_t i = start; i < length && n + 1 < size; i++)
		if ((unsigned char)path[i] >= 0x20 && path[i] != 0x7F)
			out[n++] = path[i];
	out[n] = '\0';
	if (!strcmp(out, ".") || !strcmp(out, ".."))
		out[0] = '\0';
}

/* RSDS: GUID, age, path. NB10: offset, time stamp, age, path. */
static bool parse_codeview(const uint8_t *record, size_t size, struct kd_pe_codeview *ret)
{
	size_t header = kd_get32(record) == RSDS ? RSDS_HEADER : NB10_HEADER;

	if (size < header || (kd_get32(record) != RSDS && kd_get32(record) != NB10))
		return false;
	if (kd_get32(record) == RSDS) {
		memcpy(ret->guid, record + 4, sizeof ret->guid);
		ret->age = kd_get32(record + 20);
		kd_pe_format_id(ret->id, ret->guid, ret->age);
	} else {
		ret->signature = kd_get32(record + 8);
		ret->age = kd_get32(record + 12);
		snprintf(ret->id, sizeof ret->id, "%08X%X", ret->signature, ret->age);
	}
	kd_pe_file_name(ret->name, sizeof ret->name, (const char *)record + header, size - header);
	return true;
}

static enum kd_status read_codeview(const struct kd_pe *pe, const uint8_t *entry,
				    struct kd_pe_codeview *ret)
{
	uint8_t record[RSDS_HEADER + KD_PE_NAME_MAX];
	uint32_t rva = kd_get32(entry + 20), offset = kd_get32(entry + 24);
	size_t want = KD_MIN((size_t)kd_get32(entry + 16), sizeof record), done = 0;
	enum kd_status status;

	if (rva)
		status = kd_pe_read(pe, rva, record, want, &done);
	else if (pe->is_file)
		status = pe->read(pe->context, pe->base + offset, record, want, &done);
	else
		return KD_E_NOT_FOUND;
	if (status != KD_OK)
		return status;
	if (done < NB10_HEADER)
		return done ? KD_E_NOT_FOUND : KD_E_UNREADABLE;
	memset(ret, 0, sizeof *ret);
	return parse_codeview(record, done, ret) ? KD_OK : KD_E_NOT_FOUND;
}

enum kd_status kd_pe_codeview(const struct kd_pe *pe, struct kd_pe_codeview *ret,
			      struct kd_error *err)
{
	uint8_t entries[DEBUG_ENTRY * DEBUG_ENTRIES_MAX];
	size_t want = KD_MIN((size_t)pe->dirs[KD_PE_DIR_DEBUG].size, sizeof entries), done = 0;
	uint32_t rva = pe->dirs[KD_PE_DIR_DEBUG].rva;
	enum kd_status status;

	if (!rva || want < DEBUG_ENTRY)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "the image has no debug directory");
	status = kd_pe_read(pe, rva, entries, want, &done);
	if (status != KD_OK)
		return kd_error_set(err, status, rva, "the debug directory cannot be read");
	if (done < DEBUG_ENTRY)
		return kd_error_set(err, KD_E_UNREADABLE, rva, "the debug directory is paged out");
	status = KD_E_NOT_FOUND;
	for (size_t at = 0; at + DEBUG_ENTRY <= done; at += DEBUG_ENTRY) {
		if (kd_get32(entries + at + 12) != DEBUG_CODEVIEW)
			continue;
		status = read_codeview(pe, entries + at, ret);
		if (status == KD_OK)
			return KD_OK;
	}
	return kd_error_set(err, status, rva, "the image does not say which PDB belongs to it");
}
