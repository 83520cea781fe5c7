/* SPDX-License-Identifier: MIT */
/**
 * @file
 * MASM expressions as WinDbg evaluates them: docs/expressions.md.
 */
#ifndef OPENKD_EXPRESSION_H
#define OPENKD_EXPRESSION_H

#include <openkd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Evaluate the longest expression at the start of `text`.
 *
 * @param[out] end_ret  first character after it; NULL: the whole text must be one expression.
 * @return KD_OK; KD_E_SYNTAX: err.where is the offset in the text, err.text what was expected;
 *         KD_E_NOT_FOUND: an unknown symbol or register; KD_E_UNREADABLE: poi() of nothing.
 */
enum kd_status kd_expression_evaluate(struct kd_session *session, const char *text,
				      const char **end_ret, uint64_t *value_ret,
				      struct kd_error *err);

/** Radix of numbers without prefix: 8, 10 or 16 (the default). KD_E_INVALID for others. */
enum kd_status kd_expression_set_radix(struct kd_session *session, unsigned radix);
unsigned kd_expression_radix(const struct kd_session *session);

/** Pseudo-registers of the user: $t0 to $t19. KD_E_NOT_FOUND: no such one. */
enum kd_status kd_pseudo_set(struct kd_session *session, const char *name, uint64_t value,
			     struct kd_error *err);

/** `$exp` and `$p`: the last expression's value, the last value a d* command printed. */
void kd_pseudo_note(struct kd_session *session, const char *name, uint64_t value);

#ifdef __cplusplus
}
#endif

#endif
