/* SPDX-License-Identifier: MIT */
/*
 * Passes bytes between two transports, and treats them as badly as it is told: for testing what a
 * session survives. "Up" is from the first end (the debugger) to the second (the target).
 *
 * A line has no memory: bytes for an end that is not connected are dropped and counted. An end
 * that connects again (`reconnect`) is served again.
 */
#ifndef KD_LIB_IO_PROXY_H
#define KD_LIB_IO_PROXY_H

#include "lib/io/impair.h"
#include "lib/io/transport.h"
#include "lib/wait.h"

enum kd_proxy_direction { KD_PROXY_UP, KD_PROXY_DOWN, KD_PROXY_DIRECTIONS };

struct kd_proxy_counters {
	struct kd_impair_counters bytes;
	uint64_t dropped;     /* nobody was connected at the other end */
	uint64_t connections; /* of the end that the bytes come from */
};

struct kd_proxy;

/* Owns the two ends from the call on, also when it fails (KD_E_NO_MEMORY). */
enum kd_status kd_proxy_create(struct kd_transport *first, struct kd_transport *second,
			       uint64_t seed, struct kd_proxy **p_ret, struct kd_error *err);
void kd_proxy_destroy(struct kd_proxy *p);

/* From the next byte on. */
void kd_proxy_set_rates(struct kd_proxy *p, enum kd_proxy_direction d,
			const struct kd_impair_rates *rates);
/* How long bytes are held; what is held already keeps its time. */
void kd_proxy_set_delay(struct kd_proxy *p, enum kd_proxy_direction d, uint64_t delay_ns);

void kd_proxy_counters(const struct kd_proxy *p, enum kd_proxy_direction d,
		       struct kd_proxy_counters *ret);

/*
 * Move what can be moved without waiting.
 * KD_OK; KD_E_CLOSED, KD_E_IO: an end that does not reconnect is gone, and what came from it was
 * passed on as far as possible.
 */
enum kd_status kd_proxy_step(struct kd_proxy *p, struct kd_error *err);

/* What to wait for before the next step: two rows for kd_wait() and its deadline. */
void kd_proxy_poll(const struct kd_proxy *p, struct kd_wait_fd fds_ret[2], uint64_t *deadline_ret);

/* Steps until `deadline`, `cancel` or an end is gone; KD_E_TIMEOUT, KD_E_CANCELLED or as step. */
enum kd_status kd_proxy_run(struct kd_proxy *p, uint64_t deadline, const struct kd_cancel *cancel,
			    struct kd_error *err);

#endif
