/* SPDX-License-Identifier: MIT */
/*
 * A program that works for us: bytes to its standard input, bytes from its standard output, what it
 * complains about kept. Every wait has a deadline. It ends with us, and all it started with it.
 */
#ifndef KD_LIB_SHARK_CHILD_H
#define KD_LIB_SHARK_CHILD_H

#include <sys/types.h>

#include "lib/base.h"

struct kd__child {
	pid_t pid; /* 0: none runs */
	int in, out, err;
	/* of its standard error: the first line and the last one */
	char first[200], complaint[400];
	size_t first_size, complaint_size;
	bool has_first;
	const char *skip; /* lines that begin so are no complaint; NULL: none */
};

/* `environment` (may be NULL): NAME=VALUE strings beside ours. KD_E_NOT_FOUND: no such program. */
enum kd_status kd__child_start(struct kd__child *c, const char *const *argv,
			       const char *const *environment, struct kd_error *err);

/* All bytes, until the deadline (kd_now_ns()). KD_E_TIMEOUT; KD_E_CLOSED: it has ended. */
enum kd_status kd__child_write(struct kd__child *c, const void *bytes, size_t size,
			       uint64_t deadline);
/* What is there, at least one byte. */
enum kd_status kd__child_read(struct kd__child *c, void *buffer, size_t size, size_t *n_ret,
			      uint64_t deadline);
/* Exactly so many. */
enum kd_status kd__child_read_all(struct kd__child *c, void *buffer, size_t size,
				  uint64_t deadline);
/* No more input comes. */
void kd__child_end_input(struct kd__child *c);
/* Its exit status, 128 + the signal that ended it. KD_E_TIMEOUT. */
enum kd_status kd__child_wait(struct kd__child *c, int *status_ret, uint64_t deadline);
/* What it said on standard error last, and first; "" when nothing. */
const char *kd__child_complaint(struct kd__child *c);
const char *kd__child_first_complaint(struct kd__child *c);
/* Kill it and what it started. Fine when none runs. */
void kd__child_kill(struct kd__child *c);

#endif
