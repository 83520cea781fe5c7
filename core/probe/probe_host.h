/* SPDX-License-Identifier: MIT */
/*
 * The debugger's end of the probe's memory: records in, orders out, signs of life. It works over
 * any memory (core/ring/ring.h): mapped guest RAM while the guest runs, or KD requests while it
 * stands. The guest is not believed: all indices and sizes are copied, then checked.
 *
 * No function blocks or allocates. One thread at a time.
 */
#ifndef KD_CORE_PROBE_PROBE_HOST_H
#define KD_CORE_PROBE_PROBE_HOST_H

#include "core/probe/probe.h"
#include "core/ring/ring.h"

enum { KD_PROBE_HOST_BUFFER_MIN = 2 * KD_PROBE_PAYLOAD_MAX };

struct kd_probe_host {
	struct kd_ring_memory memory;
	struct kd_probe_shape shape;
	enum kd_probe_host_state state;
	uint32_t nonce, beat;
	uint32_t up_tail, down_head; /* our indices, as the memory has them */
	/* records that were copied: [at, filled) of the buffer begin at up_tail + at */
	uint8_t *buffer;
	uint32_t capacity, filled, at;
};

/* The shape of a probe's memory. KD_E_MALFORMED: there is none, or of another version. */
enum kd_status kd_probe_host_shape(const struct kd_ring_memory *memory, uint32_t memory_size,
				   struct kd_probe_shape *ret);

/*
 * Become the host: what lies in the rings from before is skipped, and the guest announces all its
 * flows. `nonce` is not 0 and differs from attachment to attachment. `buffer`, of at least
 * KD_PROBE_HOST_BUFFER_MIN bytes, is borrowed until the detach.
 * KD_E_MALFORMED: the guest's indices make no sense.
 */
enum kd_status kd_probe_host_attach(struct kd_probe_host *h, const struct kd_ring_memory *memory,
				    const struct kd_probe_shape *shape,
				    enum kd_probe_host_state state, uint32_t nonce, uint8_t *buffer,
				    uint32_t capacity);
/* Say that nobody is there any more: what is held passes. */
void kd_probe_host_detach(struct kd_probe_host *h);

/* A sign of life, several times a second (STOPS: at every stop). */
void kd_probe_host_beat(struct kd_probe_host *h);

/* Ask for calls of the stubs: KD_PROBE_CALL_*. */
void kd_probe_host_calls(struct kd_probe_host *h, uint32_t calls);

/*
 * Is this still the memory that we wrote to? KD_E_STALE: no, it went back in time (a snapshot was
 * restored) or the driver started anew: look at the shape and attach again.
 */
enum kd_status kd_probe_host_check(const struct kd_probe_host *h);

/*
 * The next record; its payload lies in the buffer until the next call. Places in the ring are given
 * back when the buffer is read to its end.
 * KD_OK; KD_E_AGAIN: none now; KD_E_MALFORMED: nonsense: nothing that follows can be trusted,
 * attach anew or leave.
 */
enum kd_status kd_probe_host_next(struct kd_probe_host *h, struct kd_probe_w_record *ret,
				  const uint8_t **payload_ret);

/* Give back at once what was read: for hosts that will not look again soon. */
void kd_probe_host_give_back(struct kd_probe_host *h);

/*
 * Append an order: a record of this type for a flow and an item, with `head` and `bytes` behind one
 * another. KD_OK; KD_E_FULL: not now; KD_E_TOO_BIG; KD_E_MALFORMED as above.
 */
struct kd_probe_order {
	uint16_t type; /* enum kd_probe_type */
	uint64_t flow, item;
	const uint8_t *head;
	uint32_t head_size;
	const uint8_t *bytes;
	uint32_t size;
};
enum kd_status kd_probe_host_put(struct kd_probe_host *h, const struct kd_probe_order *order);

void kd_probe_host_counters(const struct kd_probe_host *h,
			    uint64_t ret[KD_AT_LEAST(KD_PROBE_N_COUNTERS)]);

#endif
