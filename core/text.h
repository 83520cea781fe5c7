/* SPDX-License-Identifier: MIT */
/* The little that core/ needs of strings. */
#ifndef KD_CORE_TEXT_H
#define KD_CORE_TEXT_H

#include <stdbool.h>

static inline bool kd_text_is_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

#endif
