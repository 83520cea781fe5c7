/* SPDX-License-Identifier: MIT */
/* What the files of the guest's end share. */
#ifndef KD_CORE_PROBE_PROBE_GUEST_PRIVATE_H
#define KD_CORE_PROBE_PROBE_GUEST_PRIVATE_H

#include "core/probe/probe_guest.h"
#include "core/probe/probe_ring.h"

/* Where a host's wishes end. */
enum {
	KD_PROBE_HOLD_MS_MAX = 24 * 3600 * 1000,
	KD_PROBE_SILENCE_MS_MIN = 200,
	KD_PROBE_SILENCE_MS_MAX = 60 * 1000,
	KD_PROBE_FLOW_HELD_MAX_MAX = 16 * 1024 * 1024,
	KD_PROBE_HELD_MAX_MAX = 128 * 1024 * 1024,
	KD_PROBE_ITEMS_MAX = 32768, /* that wait, or wait to be sent on */
	KD_PROBE_PER_MS = 10000,    /* units of time in a millisecond */
	KD_PROBE_TCP = 6,
};

static inline uint32_t kd_probe_load(const struct kd_probe *p, uint32_t offset)
{
	return __atomic_load_n((const uint32_t *)(const void *)(p->memory + offset),
			       __ATOMIC_ACQUIRE);
}

static inline void kd_probe_store(const struct kd_probe *p, uint32_t offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)(p->memory + offset), value, __ATOMIC_RELEASE);
}

/* --- probe_guest_tell.c: records to the host --- */

/* A host listens: records have a reader. */
bool kd_probe_is_heard(const struct kd_probe *p);

/*
 * Room for a record with `payload` bytes, `spare` more staying free; *index_ret is where. NULL: the
 * ring is full, or nobody listens.
 */
uint8_t *kd_probe_tell_begin(struct kd_probe *p, uint32_t payload, uint32_t spare,
			     uint32_t *index_ret);
/* The payload is in its place: make the record visible. */
void kd_probe_tell_end(struct kd_probe *p, struct kd_probe_w_record *record, uint32_t index);

/* Of the ring, kept for records that are not data. */
uint32_t kd_probe_tell_spare(const struct kd_probe *p);

/* The flow is announced, with what waits in it. False: no room; all is announced anew later. */
bool kd_probe_tell_flow(struct kd_probe *p, struct kd_probe_flow *flow, uint64_t now);
void kd_probe_tell_close(struct kd_probe *p, struct kd_probe_flow *flow, enum kd_probe_close reason,
			 uint64_t now);
/* The item's bytes as a DATA record with these flags beside the item's. False: no room. */
bool kd_probe_tell_item(struct kd_probe *p, struct kd_probe_item *item, uint16_t flags,
			uint64_t now);
struct kd_probe_outcome kd_probe_outcome_of(const struct kd_probe_item *item);
void kd_probe_tell_applied(struct kd_probe *p, uint64_t flow,
			   const struct kd_probe_outcome *outcome, uint32_t nt_status,
			   uint64_t now);
void kd_probe_tell_filter(struct kd_probe *p, const struct kd_probe_w_filter_state *state,
			  uint64_t now);
void kd_probe_tell_loss(struct kd_probe *p, uint32_t bytes);
/* Forget what this host was told and tell all again; goes on in kd_probe_tell_more(). */
void kd_probe_tell_anew(struct kd_probe *p);
void kd_probe_tell_more(struct kd_probe *p, uint64_t now);

/* --- probe_guest_flow.c --- */

struct kd_probe_flow *kd_probe_flow_find(struct kd_probe *p, uint64_t id);
/* At the end of its lane; the caller decides whether it waits. */
void kd_probe_lane_append(struct kd_probe *p, struct kd_probe_item *item);
/* A decided one, before the FIN that waits. False: none does. */
bool kd_probe_lane_insert_before_end(struct kd_probe *p, struct kd_probe_item *item);
void kd_probe_lane_remove_first(struct kd_probe *p, struct kd_probe_lane *lane);
/* A waiting item is decided. */
void kd_probe_decide(struct kd_probe *p, struct kd_probe_item *item, enum kd_probe_verdict verdict,
		     enum kd_probe_by by);
/* All of a flow, or of all flows, that waits passes. */
void kd_probe_release_flow(struct kd_probe *p, struct kd_probe_flow *flow, enum kd_probe_by by);
void kd_probe_release_all(struct kd_probe *p, enum kd_probe_by by);
void kd_probe_make_ready(struct kd_probe *p, struct kd_probe_flow *flow);
struct kd_probe_lane *kd_probe_lane_of(const struct kd_probe_item *item);
/* NULL: the flow has no such item that waits for a verdict (any more). */
struct kd_probe_item *kd_probe_find_waiting(struct kd_probe *p, const struct kd_probe_flow *flow,
					    uint64_t id);

#endif
