/* SPDX-License-Identifier: MIT */
/* The container of a PDB 7: numbered streams in blocks. Bytes in, streams out. */
#ifndef KD_LIB_SYM_MSF_H
#define KD_LIB_SYM_MSF_H

#include "lib/base.h"

struct kd_msf_stream {
	const uint8_t *bytes;  /* in the file's bytes, or in `copy` */
	uint32_t size;         /* 0 also for nil streams */
	uint8_t *copy;         /* owned: a stream in several runs, put together */
	const uint8_t *blocks; /* its block numbers, u32 each, in the directory */
	bool is_loaded;
};

struct kd_msf {
	const uint8_t *bytes; /* borrowed */
	size_t size;
	uint32_t block_size, n_blocks;
	uint8_t *directory; /* owned */
	uint32_t directory_size;
	uint32_t n_streams;
	struct kd_msf_stream *streams; /* owned */
};

/*
 * KD_OK; KD_E_UNSUPPORTED: another format (err names it: PDB 2.0, portable PDB, cabinet...);
 * KD_E_MALFORMED: damaged, with the file offset. `bytes` must live as long as the object.
 */
enum kd_status kd_msf_open(struct kd_msf *m, const uint8_t *bytes, size_t size,
			   struct kd_error *err);
void kd_msf_close(struct kd_msf *m);

/*
 * A stream's bytes, contiguous. KD_E_NOT_FOUND: no such stream; KD_E_MALFORMED: a block number
 * outside of the file; KD_E_NO_MEMORY.
 */
enum kd_status kd_msf_stream(struct kd_msf *m, uint32_t n, const uint8_t **bytes_ret,
			     uint32_t *size_ret, struct kd_error *err);

#endif
