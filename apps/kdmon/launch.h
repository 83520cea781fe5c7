/* SPDX-License-Identifier: MIT */
/* Debuggers by template: words, "{vm}" and "{endpoint}" put in after the cutting; never a shell. */
#ifndef APPS_KDMON_LAUNCH_H
#define APPS_KDMON_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { LAUNCH_WORDS_MAX = 64 };

#define LAUNCH_DEFAULT "kd -k {endpoint}"

/*
 * Cut `template` at blanks; '...' and "..." keep them, a backslash keeps the next character. NULL:
 * message_ret says why (an open quote, no word). free() with launch_free().
 */
char **launch_words(const char *template, const char *vm, const char *endpoint, char *message_ret,
		    size_t size);
void launch_free(char **words);

/*
 * Run it beside us, in a session of its own, without our terminal when `is_detached`. The pid, or
 * -1 and message_ret.
 */
pid_t launch_start(char *const *words, bool is_detached, char *message_ret, size_t size);

#endif
