/* SPDX-License-Identifier: MIT */
/*
 * The debugger's end of the ring. The memory is the guest's and the guest is hostile: whatever it
 * writes leads to a status here, never to a read outside or a loop without an end.
 *
 * One context at a time, except kd_ring_host_beat(), kd_ring_host_break_in() and
 * kd_ring_host_wake(), which only touch fields of their own and may run beside the others.
 */
#ifndef KD_CORE_RING_RING_HOST_H
#define KD_CORE_RING_RING_HOST_H

#include "core/ring/ring.h"

struct kd_ring_host {
	uint64_t boot_nonce;
	uint32_t tail, head; /* our indices: guest to host, host to guest */
	uint32_t breaks;
	uint64_t nonce; /* as we wrote it last; its low half counts */
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes;
};

/*
 * Take the ring over. `boot_nonce` is that of the announcement, `nonce` is random. Packets that
 * wait in the ring from before (the last state change, prints) are delivered, requests of the
 * host before us may still be answered; ask for a resync to know where the guest stands.
 * KD_E_NOT_FOUND: no ring is there (any more), or one of another boot: wait for an announcement;
 * KD_E_UNSUPPORTED: another version; KD_E_MALFORMED: its indices make no sense.
 */
enum kd_status kd_ring_host_attach(struct kd_ring_host *h, const struct kd_ring_memory *m,
				   uint64_t boot_nonce, uint64_t nonce);

/*
 * Every KD_RING_BEAT_NS: say that we live, and see that the memory is what we left.
 * KD_OK; KD_E_RESET: it went back in time (a snapshot was taken back): kd_ring_host_recover();
 * KD_E_NOT_FOUND: the guest started anew, or gave the ring up: wait for its announcement.
 */
enum kd_status kd_ring_host_beat(struct kd_ring_host *h, const struct kd_ring_memory *m);

/* After KD_E_RESET: take over what the memory says now, and ask the guest to repeat itself. */
enum kd_status kd_ring_host_recover(struct kd_ring_host *h, const struct kd_ring_memory *m,
				    uint64_t nonce);

/* What the guest says of its side. */
enum kd_ring_guest_state kd_ring_host_guest_state(const struct kd_ring_memory *m);

/*
 * The next packet; `payload` has room for KD_RING_PAYLOAD_MAX bytes.
 * KD_OK; KD_E_AGAIN; KD_E_RESET: the memory went back in time: kd_ring_host_recover();
 * KD_E_MALFORMED: leave the ring.
 */
enum kd_status kd_ring_host_take(struct kd_ring_host *h, const struct kd_ring_memory *m,
				 struct kd_ring_record *ret, uint8_t *payload);

/*
 * KD_OK; KD_E_FULL: the guest does not read; KD_E_TOO_BIG; KD_E_RESET: as kd_ring_host_take(), the
 * packet is not in it; KD_E_MALFORMED: leave the ring.
 */
enum kd_status kd_ring_host_put(struct kd_ring_host *h, const struct kd_ring_memory *m,
				uint16_t type, const void *header, size_t header_size,
				const void *data, size_t data_size);

/* The guest repeats its last packet, if it waits for one of ours. */
enum kd_status kd_ring_host_resync(struct kd_ring_host *h, const struct kd_ring_memory *m);

/* A running guest stops at its next look. */
void kd_ring_host_break_in(struct kd_ring_host *h, const struct kd_ring_memory *m);

/* The boot that we attached to: else its memory is another's, and not to be written to. */
bool kd_ring_host_is_there(const struct kd_ring_host *h, const struct kd_ring_memory *m);

/*
 * About to wait for a doorbell. False: something is there already, don't; no doorbell will come for
 * it. After either, kd_ring_host_wake() when awake. Both write into the guest's memory: not without
 * kd_ring_host_is_there().
 */
bool kd_ring_host_may_sleep(const struct kd_ring_host *h, const struct kd_ring_memory *m);
void kd_ring_host_wake(const struct kd_ring_memory *m);

/*
 * Say goodbye: the guest goes back to its serial line when it looks next, which a running one does
 * at its clock tick: wait for kd_ring_host_guest_state() a little before the memory is let go.
 */
void kd_ring_host_detach(struct kd_ring_host *h, const struct kd_ring_memory *m);

#endif
