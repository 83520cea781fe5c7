/* SPDX-License-Identifier: MIT */
#include "lib/engine/module_image.h"

#include <stdlib.h>
#include <string.h>

enum {
	BLOCK = 2048,      /* of read-only data: one request */
	BLOCKS_MAX = 1024, /* per image: 2 MiB */
	ENTRY = 12,        /* RUNTIME_FUNCTION */
	SECTION_EXECUTE = 0x20000000,
	SECTION_WRITE = (int)0x80000000,
	PATH_SIZE = 2048,
};

struct block {
	uint32_t rva;
	uint32_t size; /* bytes that could be read */
	uint8_t bytes[BLOCK];
};

struct kd__image {
	enum kd_status status; /* of opening; KD_OK: `pe` is good */
	struct kd_error err;
	struct kd_pe pe;
	bool file_tried, has_file;
	struct kd_mapping mapping;
	struct kd_pe file;
	struct block **blocks; /* read-only data of target memory */
	size_t n_blocks;
};

uint32_t kd__image_size(struct kd_session *s, uint64_t base)
{
	struct kd_pe pe;

	if (s->state != KD_SESSION_STOPPED ||
	    kd_pe_open(&pe, kd__sym_read, s, base, false, NULL) != KD_OK)
		return 0;
	return pe.size_of_image <= KD__MODULE_SIZE_MAX ? pe.size_of_image : 0;
}

void kd__image_close(struct kd__module *m)
{
	struct kd__image *image = m->image;

	if (!image)
		return;
	if (image->has_file)
		kd_mapping_close(&image->mapping);
	for (size_t i = 0; i < image->n_blocks; i++)
		free(image->blocks[i]);
	free(image->blocks);
	free(image);
	m->image = NULL;
}

/* --- opening --- */

/* The image's file, by name, time stamp and size. */
static void find_file(struct kd_session *s, struct kd__module *m)
{
	struct kd__image *image = m->image;
	char path[PATH_SIZE];

	if (image->file_tried)
		return;
	image->file_tried = true;
	if (!m->pub.timestamp ||
	    kd_symstore_find_image(s->modules->symbol_path, m->image_name, m->pub.timestamp,
				   m->pub.size, path, sizeof path, NULL) != KD_OK ||
	    kd_mapping_open(path, &image->mapping, NULL) != KD_OK)
		return;
	image->has_file = kd_pe_open(&image->file, kd_mapping_read, &image->mapping, 0, true,
				     NULL) == KD_OK;
	if (!image->has_file)
		kd_mapping_close(&image->mapping);
}

static bool is_final(enum kd_status status)
{
	return status == KD_OK || status == KD_E_MALFORMED || status == KD_E_UNREADABLE ||
	       status == KD_E_NOT_FOUND;
}

static enum kd_status open_memory(struct kd_session *s, struct kd__module *m,
				  struct kd__image *image, struct kd_error *err)
{
	enum kd_status status = kd_pe_open(&image->pe, kd__sym_read, s, m->pub.base, false, err);

	if (status != KD_OK)
		return status;
	m->pub.timestamp = image->pe.timestamp;
	if (image->pe.checksum)
		m->pub.checksum = image->pe.checksum;
	if (!m->pub.entry_point && image->pe.entry_rva)
		m->pub.entry_point = m->pub.base + image->pe.entry_rva;
	return KD_OK;
}

enum kd_status kd__image_open(struct kd_session *s, struct kd__module *m,
			      const struct kd_pe **pe_ret, struct kd_error *err)
{
	struct kd__image *image = m->image;

	if (!image) {
		enum kd_status status = kd__need_memory(s, err);

		if (status != KD_OK)
			return status;
		image = calloc(1, sizeof *image);
		if (!image)
			return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
		image->status = open_memory(s, m, image, &image->err);
		if (!is_final(image->status)) {
			status = image->status;
			if (err)
				*err = image->err;
			free(image);
			return status;
		}
		m->image = image;
		if (image->status != KD_OK)
			find_file(s, m);
	}
	if (image->status == KD_OK) {
		*pe_ret = &image->pe;
	} else if (image->has_file) {
		*pe_ret = &image->file;
	} else {
		return kd_error_set(err, KD_E_NOT_FOUND, m->pub.base,
				    "%s, and the symbol path has no %s with time stamp %08x",
				    image->err.text, m->image_name, m->pub.timestamp);
	}
	return KD_OK;
}

enum kd_status kd__image_codeview(struct kd_session *s, struct kd__module *m,
				  struct kd_pe_codeview *ret, struct kd_error *err)
{
	const struct kd_pe *pe;
	enum kd_status status = kd__image_open(s, m, &pe, err);

	if (status != KD_OK)
		return status;
	status = kd_pe_codeview(pe, ret, err);
	if (status != KD_E_UNREADABLE || pe->is_file)
		return status;
	find_file(s, m); /* the debug directory is paged out */
	return m->image->has_file ? kd_pe_codeview(&m->image->file, ret, err) : status;
}

const struct kd_pe_section *kd__image_section(struct kd_session *s, struct kd__module *m,
					      uint32_t rva)
{
	const struct kd_pe *pe;

	return kd__image_open(s, m, &pe, NULL) == KD_OK ? kd_pe_section_at(pe, rva) : NULL;
}

/* --- read-only data --- */

/* Blocks are few and asked for again and again: those used last are at the end. */
static struct block *block_find(struct kd__image *image, uint32_t rva)
{
	for (size_t i = image->n_blocks; i-- > 0;) {
		struct block *b = image->blocks[i];

		if (b->rva != rva)
			continue;
		memmove(&image->blocks[i], &image->blocks[i + 1],
			(image->n_blocks - i - 1) * sizeof b);
		image->blocks[image->n_blocks - 1] = b;
		return b;
	}
	return NULL;
}

static struct block *block_add(struct kd__image *image, uint32_t rva)
{
	struct block *b;

	if (!image->blocks)
		image->blocks = calloc(BLOCKS_MAX, sizeof *image->blocks);
	if (!image->blocks)
		return NULL;
	if (image->n_blocks == BLOCKS_MAX) {
		free(image->blocks[0]);
		memmove(image->blocks, image->blocks + 1,
			--image->n_blocks * sizeof *image->blocks);
	}
	b = malloc(sizeof *b);
	if (!b)
		return NULL;
	b->rva = rva;
	b->size = 0;
	image->blocks[image->n_blocks++] = b;
	return b;
}

/* One block of target memory. KD_E_UNREADABLE is not kept: it may be paged in later. */
static enum kd_status block_get(struct kd_session *s, struct kd__module *m, uint32_t rva,
				struct block **ret)
{
	struct block *b = block_find(m->image, rva);
	uint8_t bytes[BLOCK];
	size_t done = 0;
	enum kd_status status;

	if (!b) {
		status = kd_memory_read(s, m->pub.base + rva, bytes, BLOCK, &done, NULL);
		if (status != KD_OK)
			return status;
		b = block_add(m->image, rva);
		if (!b)
			return KD_E_NO_MEMORY;
		memcpy(b->bytes, bytes, done);
		b->size = (uint32_t)done;
	}
	*ret = b;
	return KD_OK;
}

/* From the file if there is one: it costs no request and is never paged out. */
static enum kd_status read_constant(struct kd_session *s, struct kd__module *m, uint32_t rva,
				    uint8_t *out, size_t size, size_t *done_ret)
{
	struct block *b;

	*done_ret = 0;
	find_file(s, m);
	if (m->image->has_file && kd_pe_read(&m->image->file, rva, out, size, done_ret) == KD_OK &&
	    *done_ret == size)
		return KD_OK;
	*done_ret = 0;
	while (*done_ret < size) {
		uint32_t at = rva + (uint32_t)*done_ret, in = at % BLOCK;
		enum kd_status status = block_get(s, m, at - in, &b);
		size_t n;

		if (status != KD_OK)
			return *done_ret ? KD_OK : status;
		if (b->size <= in)
			break;
		n = KD_MIN(size - *done_ret, (size_t)(b->size - in));
		memcpy(out + *done_ret, b->bytes + in, n);
		*done_ret += n;
		if (b->size < BLOCK)
			break;
	}
	return *done_ret ? KD_OK : KD_E_UNREADABLE;
}

bool kd__image_read(struct kd_session *s, struct kd__module *m, uint32_t rva, void *buffer,
		    size_t size, size_t *done_ret)
{
	const struct kd_pe_section *section = kd__image_section(s, m, rva);

	*done_ret = 0;
	if (rva >= m->pub.size || !section ||
	    section->characteristics & (uint32_t)(SECTION_WRITE | SECTION_EXECUTE))
		return false;
	size = KD_MIN(size, (size_t)(m->pub.size - rva));
	return read_constant(s, m, rva, buffer, size, done_ret) == KD_OK;
}

/* --- the function table --- */

static enum kd_status entry_at(struct kd_session *s, struct kd__module *m, uint32_t table,
			       uint32_t i, struct kd_x64_function *ret)
{
	uint8_t bytes[ENTRY];
	size_t done = 0;
	enum kd_status status = read_constant(s, m, table + i * ENTRY, bytes, sizeof bytes, &done);

	if (status == KD_OK && done < sizeof bytes)
		return KD_E_UNREADABLE;
	if (status == KD_OK)
		*ret = (struct kd_x64_function){ kd_get32(bytes), kd_get32(bytes + 4),
						 kd_get32(bytes + 8) };
	return status;
}

/*
 * The table is sorted and about evenly filled, and may be large (half a megabyte in a kernel): the
 * next guess is where the address should be, so that two or three blocks are read and not nine.
 * Every second guess halves, against tables that are not even.
 */
static uint32_t guess(uint32_t low, uint32_t high, uint32_t low_rva, uint32_t high_rva,
		      uint32_t rva, unsigned n)
{
	if (n % 2 || high_rva <= low_rva || rva <= low_rva)
		return low + (high - low) / 2;
	return KD_MIN(
		low + (uint32_t)((uint64_t)(rva - low_rva) * (high - low) / (high_rva - low_rva)),
		high - 1);
}

enum kd_status kd__image_function(struct kd_session *s, struct kd__module *m, uint32_t rva,
				  struct kd_x64_function *ret)
{
	const struct kd_pe *pe;
	uint32_t low = 0, high, low_rva = 0, high_rva;
	enum kd_status status = kd__image_open(s, m, &pe, NULL);

	if (status != KD_OK)
		return status == KD_E_NOT_FOUND ? KD_E_UNREADABLE : status;
	high = pe->dirs[KD_PE_DIR_EXCEPTION].size / ENTRY;
	high_rva = pe->size_of_image;
	for (unsigned n = 0; low < high; n++) {
		uint32_t i = guess(low, high, low_rva, high_rva, rva, n);
		struct kd_x64_function f;

		status = entry_at(s, m, pe->dirs[KD_PE_DIR_EXCEPTION].rva, i, &f);
		if (status != KD_OK)
			return status;
		if (!f.begin || rva < f.begin) { /* zeroes pad the end */
			high = i;
			high_rva = f.begin ? f.begin : high_rva;
		} else if (rva >= f.end) {
			low = i + 1;
			low_rva = f.end;
		} else {
			*ret = f;
			return KD_OK;
		}
	}
	return KD_E_NOT_FOUND;
}
