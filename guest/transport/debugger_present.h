/* SPDX-License-Identifier: MIT */
/* Who wants to know whether a debugger listens: the kernel's variable and the shared page. */
#ifndef KD_GUEST_DEBUGGER_PRESENT_H
#define KD_GUEST_DEBUGGER_PRESENT_H

#include <stdbool.h>

/**
 * Find out how the shared page is to be written on this release.
 * @param loader_block  NULL: keep what is known.
 */
void debugger_present_init(const void *loader_block);

/** Tell them. Cheap when nothing changes. */
void debugger_present_set(bool is_present);

#endif
