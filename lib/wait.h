/* SPDX-License-Identifier: MIT */
/*
 * Waiting. There is one place where this library blocks on descriptors, and it always has a
 * deadline and a cancel. Times are monotonic nanoseconds (kd_now_ns()); KD_TIME_NEVER of
 * core/link/link.h means "no deadline".
 */
#ifndef KD_LIB_WAIT_H
#define KD_LIB_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"

/*
 * Ends waits from elsewhere. Sticky: once triggered, every wait that is given it ends at once until
 * somebody clears it. Trigger from any thread and from signal handlers; clear and take from any
 * thread.
 */
struct kd_cancel {
	atomic_bool is_set;
	int fd; /* eventfd; -1 when not initialised */
};

/* KD_E_IO: no descriptor to be had. Zeroed storage without init must not be passed to the rest. */
enum kd_status kd_cancel_init(struct kd_cancel *c, struct kd_error *err);
void kd_cancel_deinit(struct kd_cancel *c);

/* Async-signal-safe; keeps errno. */
void kd_cancel_trigger(struct kd_cancel *c);

/* NULL is never set. */
bool kd_cancel_is_set(const struct kd_cancel *c);
void kd_cancel_clear(struct kd_cancel *c);

/* Was it set? It is clear afterwards. Of several callers one gets true per trigger. */
bool kd_cancel_take(struct kd_cancel *c);

enum { KD_WAIT_MAX_FDS = 16 };

struct kd_wait_fd {
	int fd; /* -1: ignored */
	bool want_read;
	bool want_write;
	bool can_read_ret;  /* also at end of stream and on errors: reading tells which */
	bool can_write_ret; /* also on errors */
};

/*
 * Wait until one of `n` descriptors (at most KD_WAIT_MAX_FDS) is ready, the deadline passes or
 * `cancel` (may be NULL) is triggered. A deadline in the past polls once. Ready descriptors win
 * over the deadline; the cancel wins over both.
 *
 * KD_OK: at least one *_ret is set; KD_E_TIMEOUT; KD_E_CANCELLED: still set; KD_E_INVALID: too many
 * descriptors, or one that is not open.
 */
enum kd_status kd_wait(struct kd_wait_fd *fds, size_t n, uint64_t deadline,
		       const struct kd_cancel *cancel, struct kd_error *err);

/* now + ms, saturating: KD_TIME_NEVER for UINT32_MAX. */
uint64_t kd_deadline_after_ms(uint32_t ms);

#endif
