/* SPDX-License-Identifier: MIT */
/* Listens for announcements of a ring in what comes over a line between packets. */
#ifndef KD_LIB_IO_RING_EAR_H
#define KD_LIB_IO_RING_EAR_H

#include "core/ring/ring_announce.h"

struct kd_ring_ear {
	char heard[KD_RING_LINE_MAX];
	size_t n_heard;
};

/*
 * Take a piece of text, of any size; *size is what is left of it. KD_OK: *ret is an announcement;
 * call again with the rest. KD_E_NOT_FOUND: no more in it. KD_E_UNSUPPORTED: an announcement of
 * another version, ret->version; call again.
 */
enum kd_status kd_ring_ear_take(struct kd_ring_ear *e, const uint8_t **text, size_t *size,
				struct kd_ring_announcement *ret);

#endif
