/* SPDX-License-Identifier: MIT */
/* A KTRAP_FRAME made into a CONTEXT. */
#ifndef APPS_KD_TRAP_FRAME_H
#define APPS_KD_TRAP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRAP_FRAME_SIZE_64 = 0x190, TRAP_FRAME_SIZE_32 = 0x7C };

/*
 * Are `size` bytes of a frame all that there is? On x86 a trap out of the kernel ends before esp,
 * and at the base of a stack nothing is above it.
 */
bool trap_frame_is_whole(unsigned pointer_size, const uint8_t *frame, size_t size);

/*
 * Write what the frame at `address` holds over a CONTEXT of the same machine; registers the frame
 * does not hold keep what `context` had. The context must be of its machine's full size.
 */
void trap_frame_apply(unsigned pointer_size, uint64_t address, const uint8_t *frame,
		      uint8_t *context);

#endif
