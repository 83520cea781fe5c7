/* SPDX-License-Identifier: MIT */
/*
 * The evaluator of MASM expressions (docs/expressions.md) over a host that knows names and memory.
 * Evaluates while it parses; nothing is kept.
 */
#ifndef KD_LIB_ENGINE_EXPRESSION_EVAL_H
#define KD_LIB_ENGINE_EXPRESSION_EVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

/* Every function fills err when it fails; KD_E_NOT_FOUND for names that are not known. */
struct kd__expr_host {
	void *context;
	unsigned radix;        /* of numbers without prefix: 8, 10, 16 */
	unsigned pointer_size; /* 4 or 8 */

	/* A bare word: symbol or register, whichever comes first. */
	enum kd_status (*word)(void *context, const char *name, uint64_t *ret,
			       struct kd_error *err);
	/* "mod!name", or "name" in any module. */
	enum kd_status (*symbol)(void *context, const char *name, uint64_t *ret,
				 struct kd_error *err);
	enum kd_status (*reg)(void *context, const char *name, uint64_t *ret, struct kd_error *err);
	/* Without the dollar. */
	enum kd_status (*pseudo)(void *context, const char *name, uint64_t *ret,
				 struct kd_error *err);
	/* size 1, 2, 4, 8; not sign-extended. KD_E_UNREADABLE. */
	enum kd_status (*read)(void *context, uint64_t address, size_t size, bool is_physical,
			       uint64_t *ret, struct kd_error *err);
	/* module NULL: any. */
	enum kd_status (*line)(void *context, const char *module, const char *file, uint32_t line,
			       uint64_t *ret, struct kd_error *err);
	/* $iment: entry point of the image at `base`. */
	enum kd_status (*entry)(void *context, uint64_t base, uint64_t *ret, struct kd_error *err);
	/* $vvalid */
	bool (*is_valid)(void *context, uint64_t address, uint64_t size);
};

enum {
	KD__EXPR_DEPTH_MAX = 100, /* brackets and signs inside each other */
};

/*
 * The longest expression at the start of `text`. end_ret NULL: nothing but blanks may follow.
 * KD_E_SYNTAX, KD_E_INVALID (division by zero): err->where is the offset in the text. Errors of the
 * host: KD_E_NOT_FOUND with the offset in err->where, others as they are.
 */
enum kd_status kd__expr_evaluate(const struct kd__expr_host *host, const char *text,
				 const char **end_ret, uint64_t *value_ret, struct kd_error *err);

#endif
