/* SPDX-License-Identifier: MIT */
#include "lib/sym/msf.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

enum {
	MAGIC_SIZE = 32,
	SUPERBLOCK = 0x34,
	BLOCK_MIN = 512,
	BLOCK_MAX = 65536,
	STREAMS_MAX = 65536,
	PREVIOUS_DIRECTORY = 0, /* stream 0: its blocks may be in use again */
};

#define NIL 0xFFFFFFFFu

static const char magic[] = "Microsoft C/C++ MSF 7.00\r\n\032DS\0\0";

static const struct {
	const char *bytes;
	size_t size;
	const char *what;
} others[] = {
	{ "Microsoft C/C++ program database 2.00", 37, "a PDB of the old format 2.0" },
	{ "BSJB", 4, "a portable (.NET) PDB" },
	{ "Microsoft MSFZ Container", 24, "a compressed PDB (MSFZ)" },
	{ "MSCF", 4, "a cabinet: expand it first (cabextract)" },
};

static enum kd_status refuse(const uint8_t *bytes, size_t size, struct kd_error *err)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(others); i++)
		if (size >= others[i].size && !memcmp(bytes, others[i].bytes, others[i].size))
			return kd_error_set(err, KD_E_UNSUPPORTED, 0, "it is %s", others[i].what);
	return kd_error_set(err, KD_E_MALFORMED, 0, "it is no PDB");
}

static uint32_t blocks_of(const struct kd_msf *m, uint32_t size)
{
	return (uint32_t)(((uint64_t)size + m->block_size - 1) / m->block_size);
}

static const uint8_t *block(const struct kd_msf *m, uint32_t n)
{
	uint64_t at = (uint64_t)n * m->block_size;

	return n < m->n_blocks && at + m->block_size <= m->size ? m->bytes + at : NULL;
}

static enum kd_status damaged(uint64_t where, const char *what, struct kd_error *err)
{
	return kd_error_set(err, KD_E_MALFORMED, where, "the PDB is damaged: %s", what);
}

/* Put blocks together; numbers are u32 at `numbers`. */
static enum kd_status gather(const struct kd_msf *m, const uint8_t *numbers, uint32_t size,
			     uint8_t *out, struct kd_error *err)
{
	for (uint32_t i = 0; i < blocks_of(m, size); i++) {
		const uint8_t *from = block(m, kd_get32(numbers + 4 * (size_t)i));
		uint32_t at = i * m->block_size;

		if (!from)
			return damaged(kd_get32(numbers + 4 * (size_t)i),
				       "a block lies outside of the file", err);
		memcpy(out + at, from, KD_MIN(m->block_size, size - at));
	}
	return KD_OK;
}

/* The directory's block numbers are themselves in blocks, listed behind the superblock. */
static enum kd_status load_directory(struct kd_msf *m, struct kd_error *err)
{
	uint32_t n = blocks_of(m, m->directory_size);
	uint32_t map_size = n * 4;
	KD_CLEANUP(kd_freep) uint8_t *map = NULL;
	enum kd_status status;

	if (m->directory_size < 4 || m->directory_size > m->size ||
	    SUPERBLOCK + (uint64_t)blocks_of(m, map_size) * 4 >
		    KD_MIN(m->size, (size_t)m->block_size))
		return damaged(0x2C, "its directory has an impossible size", err);
	map = malloc(map_size);
	m->directory = malloc(m->directory_size);
	if (!map || !m->directory)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	status = gather(m, m->bytes + SUPERBLOCK, map_size, map, err);
	return status == KD_OK ? gather(m, map, m->directory_size, m->directory, err) : status;
}

static enum kd_status parse_directory(struct kd_msf *m, struct kd_error *err)
{
	uint64_t at, n_used = 0;

	m->n_streams = kd_get32(m->directory);
	at = 4 + 4 * (uint64_t)m->n_streams;
	if (m->n_streams > STREAMS_MAX || at > m->directory_size)
		return damaged(0, "it has an impossible number of streams", err);
	m->streams = calloc(m->n_streams ? m->n_streams : 1, sizeof *m->streams);
	if (!m->streams)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	for (uint32_t i = 0; i < m->n_streams; i++) {
		uint32_t size = kd_get32(m->directory + 4 + 4 * (size_t)i);

		if (size == NIL)
			size = 0;
		if (size > m->size || at + 4 * (uint64_t)blocks_of(m, size) > m->directory_size)
			return damaged(at, "a stream is larger than the file", err);
		m->streams[i].size = size;
		m->streams[i].blocks = m->directory + at;
		at += 4 * (uint64_t)blocks_of(m, size);
		n_used += i == PREVIOUS_DIRECTORY ? 0 : blocks_of(m, size);
	}
	/* Streams share no blocks. So what is copied out of split ones stays below the file's size.
	 */
	if (n_used > m->n_blocks)
		return damaged(0, "its streams together are larger than the file", err);
	return KD_OK;
}

enum kd_status kd_msf_open(struct kd_msf *m, const uint8_t *bytes, size_t size,
			   struct kd_error *err)
{
	enum kd_status status;

	memset(m, 0, sizeof *m);
	if (size < SUPERBLOCK + 4 || memcmp(bytes, magic, MAGIC_SIZE))
		return refuse(bytes, size, err);
	m->bytes = bytes;
	m->size = size;
	m->block_size = kd_get32(bytes + 0x20);
	m->n_blocks = kd_get32(bytes + 0x28);
	m->directory_size = kd_get32(bytes + 0x2C);
	if (m->block_size < BLOCK_MIN || m->block_size > BLOCK_MAX ||
	    (m->block_size & (m->block_size - 1)))
		return damaged(0x20, "its block size is impossible", err);
	if ((uint64_t)m->n_blocks * m->block_size > size)
		return damaged(size, "the file is cut short", err);
	status = load_directory(m, err);
	if (status == KD_OK)
		status = parse_directory(m, err);
	if (status != KD_OK)
		kd_msf_close(m);
	return status;
}

void kd_msf_close(struct kd_msf *m)
{
	for (uint32_t i = 0; m->streams && i < m->n_streams; i++)
		free(m->streams[i].copy);
	free(m->streams);
	free(m->directory);
	memset(m, 0, sizeof *m);
}

static bool is_one_run(const struct kd_msf *m, const struct kd_msf_stream *s)
{
	uint32_t first = kd_get32(s->blocks);

	for (uint32_t i = 1; i < blocks_of(m, s->size); i++)
		if (kd_get32(s->blocks + 4 * (size_t)i) != first + i)
			return false;
	return true;
}

enum kd_status kd_msf_stream(struct kd_msf *m, uint32_t n, const uint8_t **bytes_ret,
			     uint32_t *size_ret, struct kd_error *err)
{
	struct kd_msf_stream *s;
	enum kd_status status;

	if (n >= m->n_streams)
		return kd_error_set(err, KD_E_NOT_FOUND, n, "the PDB has no stream %u", n);
	s = &m->streams[n];
	if (!s->is_loaded && s->size && is_one_run(m, s) && block(m, kd_get32(s->blocks)) &&
	    (uint64_t)kd_get32(s->blocks) * m->block_size + s->size <= m->size) {
		s->bytes = block(m, kd_get32(s->blocks));
	} else if (!s->is_loaded && s->size) {
		s->copy = malloc(s->size);
		if (!s->copy)
			return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
		status = gather(m, s->blocks, s->size, s->copy, err);
		if (status != KD_OK) {
			free(s->copy);
			s->copy = NULL;
			return status;
		}
		s->bytes = s->copy;
	}
	s->is_loaded = true;
	*bytes_ret = s->bytes;
	*size_ret = s->size;
	return KD_OK;
}
