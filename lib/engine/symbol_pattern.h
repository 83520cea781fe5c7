/* SPDX-License-Identifier: MIT */
/*
 * Wildcards as WinDbg's `x`, `lm m`, `bm` and `dt` take them: `*` any text, `?` one character,
 * `[a-z]` one of, `x#` none or more of x, `x+` one or more of x, `\x` x itself. A symbol pattern's
 * leading `_` stands for any number of underscores, none included.
 *
 * Matching takes time in proportion to pattern times text, whatever the pattern.
 */
#ifndef KD_LIB_ENGINE_SYMBOL_PATTERN_H
#define KD_LIB_ENGINE_SYMBOL_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

enum {
	KD__PATTERN_MAX = 320, /* elements */
	KD__PATTERN_WORDS = KD__PATTERN_MAX / 64 + 1,
};

struct kd__pattern_element {
	uint64_t set[4]; /* a bit per character */
	bool is_repeated;
};

struct kd__pattern {
	size_t n;
	bool is_literal; /* no wildcard: at most a few names match */
	bool is_any;     /* "*" */
	struct kd__pattern_element elements[KD__PATTERN_MAX];
};

enum kd__pattern_flags {
	KD__PATTERN_CASE = 1,   /* case matters */
	KD__PATTERN_SYMBOL = 2, /* a leading `_` is any number of them */
};

/* KD_E_SYNTAX: an open `[`, a `#` or `+` at the start; KD_E_TOO_BIG. err->where is the offset. */
enum kd_status kd__pattern_compile(struct kd__pattern *ret, const char *text, size_t size,
				   unsigned flags, struct kd_error *err);
bool kd__pattern_match(const struct kd__pattern *pattern, const char *text);

/* Both at once; a pattern that does not compile matches nothing. */
bool kd__wildcard_match(const char *pattern, const char *text);

#endif
