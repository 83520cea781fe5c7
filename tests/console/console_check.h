/* SPDX-License-Identifier: MIT */
/* What the console's unit tests share. */
#ifndef TESTS_CONSOLE_CHECK_H
#define TESTS_CONSOLE_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apps/kd/args.h"
#include "apps/kd/text.h"

/*
 * An evaluator that needs no target: hexadecimal numbers with + and -, and `bad` that fails as an
 * unknown symbol does.
 */
static inline enum kd_status check_evaluate(void *context, const char *text, const char **end_ret,
					    uint64_t *value_ret, struct kd_error *err)
{
	uint64_t value = 0;
	int sign = 1;

	(void)context;
	for (;;) {
		char *end;
		uint64_t n;

		while (*text == ' ')
			text++;
		if (strncmp(text, "bad", 3) == 0)
			return app_error(err, KD_E_NOT_FOUND, "no symbol 'bad'");
		n = strtoull(text, &end, 16);
		if (end == text)
			return app_error(err, KD_E_SYNTAX, "a number is expected");
		value += sign > 0 ? n : -n;
		text = end;
		const char *next = text + strspn(text, " ");
		if (*next != '+' && *next != '-')
			break;
		sign = *next == '+' ? 1 : -1;
		text = next + 1;
	}
	if (end_ret)
		*end_ret = text;
	else if (*text)
		return app_error(err, KD_E_SYNTAX, "too much");
	*value_ret = value;
	return KD_OK;
}

#define CHECK_ARGS(text, err) ((struct args){ text, check_evaluate, NULL, err })

#endif
