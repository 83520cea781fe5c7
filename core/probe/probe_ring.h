/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of the probe's rings, for both of their ends: where the next record goes, and
 * whether what lies at an index is one. Nothing here touches the memory.
 *
 * A record carries its place, its index in units: what a reader finds after the memory went back in
 * time, or from an earlier lap, does not fit to its index.
 */
#ifndef KD_CORE_PROBE_PROBE_RING_H
#define KD_CORE_PROBE_PROBE_RING_H

#include "core/probe/probe.h"

/* Bytes between two indices. False: no two sides that follow the rules leave indices like these. */
bool kd_probe_used(uint32_t head, uint32_t tail, uint32_t ring_size, uint32_t *used_ret);

struct kd_probe_slot {
	uint32_t skip;  /* bytes at `head` that stay unused: a skip mark goes there; 0: none */
	uint32_t index; /* of the record: head + skip */
	uint32_t next;  /* the head after it */
};

/*
 * The place of a record of `room` bytes (kd_probe_record_room()), which leaves `spare` bytes free.
 * KD_OK; KD_E_FULL: not now; KD_E_TOO_BIG: never; KD_E_MALFORMED: the other side's index makes no
 * sense.
 */
enum kd_status kd_probe_slot_find(uint32_t head, uint32_t tail, uint32_t ring_size, uint32_t room,
				  uint32_t spare, struct kd_probe_slot *ret);

/* A record's header for its place. `v->size` and `v->place` are filled in. */
void kd_probe_hdr_encode(uint8_t out[KD_AT_LEAST(KD_PROBE_HDR)], struct kd_probe_w_record *v,
			 uint32_t index);
/* The mark at the head that sends the reader to the ring's beginning. */
void kd_probe_skip_encode(uint8_t out[KD_AT_LEAST(KD_PROBE_HDR)], uint32_t index);

/*
 * Look at KD_PROBE_HDR bytes that were copied from `tail`; `used` bytes are there in all.
 * KD_OK: a record, whole inside what is used and inside the ring; *advance_ret is its room.
 * KD_E_AGAIN: a skip mark; *advance_ret leads to the ring's beginning.
 * KD_E_MALFORMED: neither: nothing that follows can be trusted.
 */
enum kd_status kd_probe_hdr_decode(struct kd_probe_w_record *ret,
				   const uint8_t in[KD_AT_LEAST(KD_PROBE_HDR)], uint32_t tail,
				   uint32_t used, uint32_t ring_size, uint32_t *advance_ret);

#endif
