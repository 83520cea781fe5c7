/* SPDX-License-Identifier: MIT */
/* The ring's pages: the DLL's own, and where they lie in physical memory. */
#ifndef KD_GUEST_RING_PLACE_H
#define KD_GUEST_RING_PLACE_H

#include <stdbool.h>

#include "core/ring/ring_announce.h"

void *ring_place_pages(void);

/**
 * Fill in an announcement; its nonce stays.
 * @return false: the pages cannot be told from here.
 */
bool ring_place_find(struct kd_ring_announcement *where);

/** Is the first page elsewhere than announced? */
bool ring_place_has_moved(const struct kd_ring_announcement *where);

#endif
