/* SPDX-License-Identifier: MIT */
/*
 * A carrier that takes the ring of a VM (core/ring) as soon as its guest says where one is, and
 * goes by the serial line before, after, and whenever the ring ends: docs/protocol/ring.md. The
 * line stays open all the while: as doorbell, for the announcement of the next boot, for its close.
 */
#ifndef KD_LIB_IO_CARRIER_RING_H
#define KD_LIB_IO_CARRIER_RING_H

#include "core/ring/ring_announce.h"
#include "lib/io/carrier.h"

/* Who can lay hands on the pages of a ring: lib/vm, in a test anybody. */
struct kd_ring_mapper {
	void *context;
	/* Is a VM of this machine at the other end? Nobody else is asked for a ring. */
	bool (*is_vm)(void *context);
	/*
	 * Make announced pages accessible, in their order, writable; nothing else of the guest
	 * becomes writable. At most one ring at a time. KD_OK: *ret is good until unmap(). Else
	 * *err says why not and what to do about it.
	 */
	enum kd_status (*map)(void *context, const struct kd_ring_announcement *a,
			      struct kd_ring_memory *ret, struct kd_error *err);
	void (*unmap)(void *context);
};

/*
 * Takes `line` over, also when it fails; borrows the mapper's context, and `cancel`, the one of
 * `line`. KD_E_NO_MEMORY, KD_E_IO.
 */
enum kd_status kd_carrier_ring_create(struct kd_carrier *line, struct kd_cancel *cancel,
				      const struct kd_ring_mapper *mapper,
				      struct kd_carrier **c_ret, struct kd_error *err);

#endif
