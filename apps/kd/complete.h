/* SPDX-License-Identifier: MIT */
/* Completion of a line: commands, then what the command's arguments name. */
#ifndef APPS_KD_COMPLETE_H
#define APPS_KD_COMPLETE_H

#include <stddef.h>

#include "apps/kd/text.h"

struct console;

enum { COMPLETE_LIST_MAX = 200, COMPLETE_LIMIT_MS = 50 };

/*
 * What to insert at the cursor (`size` bytes of the line stand before it), and when nothing more
 * can be said for sure, the candidates as lines. Takes COMPLETE_LIMIT_MS at most.
 */
void complete_line(struct console *c, const char *line, size_t size, struct text *insert,
		   struct text *list);

#endif
