/* SPDX-License-Identifier: MIT */
/* Files that commands write: beside their place, to be put there when they are complete. */
#ifndef KD_APPS_KD_ASIDE_H
#define KD_APPS_KD_ASIDE_H

#include <stdbool.h>
#include <stdio.h>

struct aside {
	FILE *file;
	char *path, *name; /* owned; where it belongs, where it is. `name` NULL: written directly */
};

/*
 * Begin: what is at `path` stays until aside_end(). A link to a file is followed, pipes and devices
 * are written to directly. False: errno says why.
 */
bool aside_begin(struct aside *a, const char *path);

/*
 * Close it, and put it in its place when it `is_complete`; else it is thrown away. False: errno
 * says why, and what was there before is still there.
 */
bool aside_end(struct aside *a, bool is_complete);

#endif
