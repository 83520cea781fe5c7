/* SPDX-License-Identifier: MIT */
/* Reading the arguments of a command: words, switches, strings, values, ranges. */
#ifndef APPS_KD_ARGS_H
#define APPS_KD_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

#include "apps/kd/text.h"

/* As kd_expression_evaluate(): the longest expression at the start of `text`. */
typedef enum kd_status (*args_evaluate_fn)(void *context, const char *text, const char **end_ret,
					   uint64_t *value_ret, struct kd_error *err);

struct args {
	const char *at; /* what is left */
	args_evaluate_fn evaluate;
	void *context;
	struct kd_error *err;
};

/* A part of the address space as commands take it. */
struct range {
	uint64_t start;
	uint64_t count;  /* objects of the command's unit */
	bool has_start;  /* else `start` is 0: the caller has a default */
	bool has_length; /* an end or an L was given */
};

enum { RANGE_GUARD = 256 << 20 }; /* bytes; `L?` lifts it */

/* Fill *err and return the status. */
enum kd_status app_error(struct kd_error *err, enum kd_status status, const char *fmt, ...)
	APP_PRINTF(3, 4);

bool args_at_end(struct args *a); /* skips blanks */
/* Takes `word` if it stands next, whole. */
bool args_take(struct args *a, const char *word);
/* Takes `c` if it is the next character after blanks. */
bool args_take_char(struct args *a, char c);
/*
 * A switch: `/` or `-` (as `lead` says) and what follows up to a blank. Copied without the lead.
 * False: none stands next.
 */
bool args_switch(struct args *a, char lead, char *text, size_t size);
/* Up to the next blank. False: nothing left. */
bool args_word(struct args *a, char *text, size_t size);
/* Up to the next blank or comma; skips the comma after it. */
bool args_item(struct args *a, char *text, size_t size);
/* "quoted", with \" \\ \n \t inside, or a word. Returned in malloc'ed memory, NULL: nothing left.
 */
char *args_string(struct args *a);
/* Only if a quote stands next; NULL otherwise. */
char *args_quoted(struct args *a);
/* All that is left, without blanks around it. malloc'ed; "" when nothing is. */
char *args_rest(struct args *a);

enum kd_status args_value(struct args *a, uint64_t *ret);
/* args_value(), or `fallback` when nothing is left. */
enum kd_status args_value_or(struct args *a, uint64_t fallback, uint64_t *ret);
/*
 * A B, A Ln, A L-n, A L?n, Ln, A; n counts objects of `unit` bytes. Without a length `count` is
 * `default_count`. KD_E_INVALID: end before start, or beyond the guard.
 */
enum kd_status args_range(struct args *a, size_t unit, uint64_t default_count, struct range *ret);
/* The same, start and length demanded. */
enum kd_status args_range_needed(struct args *a, size_t unit, struct range *ret);
/* KD_E_SYNTAX unless nothing is left. */
enum kd_status args_done(struct args *a);

/*
 * Breakpoint ids: `1`, `1 3`, `1,3`, `2-5`, `*`. Decimal. Calls `fn` for each id of [0, limit) that
 * is named; KD_E_SYNTAX when nothing or something else stands there.
 */
typedef enum kd_status (*args_id_fn)(void *context, int id, bool is_explicit);
enum kd_status args_ids(struct args *a, int limit, args_id_fn fn, void *context);

#endif
