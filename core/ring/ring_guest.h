/* SPDX-License-Identifier: MIT */
/*
 * The guest's end of the ring: what a KD transport DLL (or an emulator's target) does with it. It
 * takes the memory with every call, because a boot driver's pages may move while nobody looks.
 *
 *            open                 the host's attach word         host detaches, dies, or talks
 *   SERIAL --------> ANNOUNCED --------------------------> RING ----- nonsense -----> SERIAL
 *
 * What is said on the serial line at these moments is the caller's: the announcement at open, and
 * again whenever is_live() turned false. All calls come from one context at a time (NT: interrupts
 * off, other processors frozen).
 */
#ifndef KD_CORE_RING_RING_GUEST_H
#define KD_CORE_RING_RING_GUEST_H

#include "core/ring/ring.h"

/* The host writes a new nonce this often; so long without one, seen waking, is death. */
#define KD_RING_BEAT_NS  UINT64_C(100000000)
#define KD_RING_DEATH_NS UINT64_C(600000000)

struct kd_ring_guest {
	enum kd_ring_guest_state state;
	uint32_t head, tail; /* our indices: guest to host, host to guest */
	uint32_t breaks;     /* host's break-in counter, as far as honoured */
	uint32_t beat;       /* low half of the host's nonce, as last seen */
	uint64_t last_look;  /* when we last looked at it */
	uint64_t silence;    /* how long it has stayed the same, as far as we were awake */
	bool is_host_dead;   /* why the ring was left: no nonce came any more */
};

/*
 * Prepare the pages and say so in them. Whatever a host had mapped before is void: announce.
 * `nonce` differs from boot to boot.
 */
void kd_ring_guest_open(struct kd_ring_guest *g, const struct kd_ring_memory *m, uint8_t arch,
			uint8_t pointer_size, uint64_t nonce);

/*
 * Look at the host. True: the ring is what carries packets now. Call before each use and while
 * waiting. When it was true and is false now, the host has left or died: go back to the serial line
 * with fresh ids, and announce again.
 */
bool kd_ring_guest_is_live(struct kd_ring_guest *g, const struct kd_ring_memory *m, uint64_t now);

/*
 * Append a packet. After KD_OK ask needs_doorbell().
 * KD_OK; KD_E_FULL: the host reads slowly, try again; KD_E_TOO_BIG; KD_E_MALFORMED: the host's
 * indices are nonsense, the ring is left (is_live() is false from now on).
 */
enum kd_status kd_ring_guest_send(struct kd_ring_guest *g, const struct kd_ring_memory *m,
				  uint16_t type, const void *header, size_t header_size,
				  const void *data, size_t data_size);

/*
 * Does the host sleep? Then one byte on the serial line wakes it. Contains the fence without which
 * a wake-up could be lost.
 */
bool kd_ring_guest_needs_doorbell(const struct kd_ring_memory *m);

/*
 * The next packet from the host, of any type.
 * KD_OK; KD_E_AGAIN: none yet; KD_E_RESET: the host asks for the last packet once more (it attached
 * anew, or the memory went back in time); KD_E_MALFORMED, KD_E_CLOSED: the ring is left.
 */
enum kd_status kd_ring_guest_receive(struct kd_ring_guest *g, const struct kd_ring_memory *m,
				     struct kd_ring_record *ret, uint8_t *payload);

/* The clock tick's question: is there a break-in that was not honoured yet? */
bool kd_ring_guest_poll(struct kd_ring_guest *g, const struct kd_ring_memory *m);

/* Leave the ring by ourselves: is_live() is false from now on. */
void kd_ring_guest_leave(struct kd_ring_guest *g, const struct kd_ring_memory *m);

#endif
