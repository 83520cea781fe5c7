/* SPDX-License-Identifier: MIT */
/* Reading a part of the target's memory of which some bytes may not be readable. */
#ifndef APPS_KD_MEMORY_H
#define APPS_KD_MEMORY_H

#include "apps/kd/console.h"
#include "apps/kd/dump.h"

enum { MEMORY_BLOCK_MAX = 16 << 20 };

struct memory_block {
	struct dump_block view; /* points into what follows */
	uint8_t *bytes, *valid;
	size_t n_valid;
};

/*
 * Fails only when the target cannot be asked (KD_E_TIMEOUT, KD_E_CANCELLED...); unreadable bytes
 * are marked. memory_block_free() is needed in any case.
 */
enum kd_status memory_block_read(struct call *call, uint64_t address, size_t size, bool is_physical,
				 struct memory_block *ret);
void memory_block_free(struct memory_block *b);

/* Reads or writes, virtual or physical: the rows of a table of two. */
enum kd_status memory_read(struct call *call, bool is_physical, uint64_t address, void *buffer,
			   size_t size, size_t *done_ret);
enum kd_status memory_write(struct call *call, bool is_physical, uint64_t address,
			    const void *buffer, size_t size);

/* Progress of long work on a terminal; `done` of `total` bytes since `started_ns`. */
void show_progress(struct console *c, const char *what, uint64_t done, uint64_t total,
		   uint64_t started_ns);

#endif
