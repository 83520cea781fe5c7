/* SPDX-License-Identifier: MIT */
/* The ring's pages, and where they lie: the DLL's own in RAM, or those of an ivshmem device. */
#ifndef KD_GUEST_RING_PLACE_H
#define KD_GUEST_RING_PLACE_H

#include <stdbool.h>

#include "core/ring/ring_announce.h"

/** Once, before all else: the device's memory instead of our own. */
void ring_place_choose(bool is_pci);

/** NULL: not found yet. */
void *ring_place_pages(void);

/**
 * Fill in an announcement; its nonce stays.
 * @return false: the pages cannot be told from here, or not yet.
 */
bool ring_place_find(struct kd_ring_announcement *where);

/** Is the first page elsewhere than announced? */
bool ring_place_has_moved(const struct kd_ring_announcement *where);

#endif
