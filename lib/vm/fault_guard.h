/* SPDX-License-Identifier: MIT */
/*
 * Touching mapped files that others may truncate: a SIGBUS in guarded memory becomes a result.
 */
#ifndef KD_LIB_VM_FAULT_GUARD_H
#define KD_LIB_VM_FAULT_GUARD_H

#include "lib/base.h"

/*
 * Take SIGBUS for the process, and for good; signals that are not ours go on to who had it before.
 * Needed before guards catch anything; any thread. A program that sets a SIGBUS handler of its own
 * later on does without guards until the next call.
 */
void kd__fault_guard_install(void);

/*
 * Run `action(context)`. False: it touched a byte of [memory, memory + size) that has no backing
 * any more, and was left in its middle: it must hold no locks and own nothing. Nests.
 */
bool kd__fault_guarded(const void *memory, size_t size, void (*action)(void *context),
		       void *context);

/*
 * memcpy() with both sides in, or one of them in guarded memory: [memory, memory + memory_size).
 * False: some of it has no backing any more.
 */
bool kd__guarded_memcpy(const void *memory, size_t memory_size, void *to, const void *from,
			size_t size);

/* Copy out of guarded memory; how many bytes, from the start, could be read. */
size_t kd__guarded_copy(void *to, const void *from, size_t size);

#endif
