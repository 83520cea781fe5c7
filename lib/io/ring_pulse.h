/* SPDX-License-Identifier: MIT */
/*
 * The pulse of a ring's host: a thread that tells the guest every KD_RING_BEAT_NS that we live, and
 * us when the memory went back in time or the guest left.
 */
#ifndef KD_LIB_IO_RING_PULSE_H
#define KD_LIB_IO_RING_PULSE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/ring/ring_host.h"
#include "lib/base.h"

enum kd_ring_finding { KD_RING_FINE, KD_RING_WENT_BACK, KD_RING_GUEST_LEFT };

struct kd_ring_pulse {
	struct kd_ring_host
		*host; /* borrowed between start and stop; under `lock` where it says so */
	struct kd_ring_memory memory;
	pthread_t thread;
	pthread_mutex_t lock; /* for whoever attaches anew while the pulse goes on */
	int stop_fd;          /* eventfd: to the thread */
	int news_fd;          /* eventfd, readable: there is a finding */
	_Atomic(enum kd_ring_finding) finding;
};

/* KD_E_IO: no descriptors. deinit() is fine after that, too. */
enum kd_status kd_ring_pulse_init(struct kd_ring_pulse *p, struct kd_error *err);
void kd_ring_pulse_deinit(struct kd_ring_pulse *p);

/* KD_E_IO: no thread to be had. */
enum kd_status kd_ring_pulse_start(struct kd_ring_pulse *p, struct kd_ring_host *host,
				   const struct kd_ring_memory *memory, struct kd_error *err);
void kd_ring_pulse_stop(struct kd_ring_pulse *p);

/* What the thread found; it stays so until kd_ring_pulse_clear(). */
enum kd_ring_finding kd_ring_pulse_finding(const struct kd_ring_pulse *p);
void kd_ring_pulse_clear(struct kd_ring_pulse *p);

#endif
