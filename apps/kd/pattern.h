/* SPDX-License-Identifier: MIT */
/* WinDbg's string wildcards: `*`, `?`, `[a-z]`, `x#` (zero or more of x), `x+` (one or more), `\`.
 */
#ifndef APPS_KD_PATTERN_H
#define APPS_KD_PATTERN_H

#include <stdbool.h>

/* The whole of `text` matches, case apart. Work is bounded: patterns beyond 256 characters never
 * do. */
bool pattern_matches(const char *pattern, const char *text);
bool pattern_is_literal(const char *pattern);

#endif
