/* SPDX-License-Identifier: MIT */
/*
 * A target that stands still with nobody there (its debugger was killed, or never came) is let go
 * on, what the debugger left in it taken out: no target stays frozen.
 */
#ifndef APPS_KDMON_RELEASE_H
#define APPS_KDMON_RELEASE_H

#include <stdbool.h>

/* Attach to `endpoint`, and leave. Blocks up to 4 s. False: it was not to be reached. */
bool release_target(const char *endpoint);

/* The same in a thread of its own; `done` is called there. False: no thread. */
bool release_target_async(const char *endpoint, void (*done)(void *context, bool is_released),
			  void *context);

#endif
