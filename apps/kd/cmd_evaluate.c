/* SPDX-License-Identifier: MIT */
/* ?, .formats, n */
#include <string.h>

#include <openkd/expression.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"

static void put_value(struct call *call, uint64_t value)
{
	data_address(call_object(call), "value", value);
	data_integer(call_object(call), "signed", (long long)value);
}

static enum kd_status take_all(struct call *call, uint64_t *value)
{
	enum kd_status s = args_value(&call->args, value);

	return s == KD_OK ? args_done(&call->args) : s;
}

/* A 32-bit target's values have 32 bits, or are those with their sign extended. */
static bool fits_pointer(struct call *call, uint64_t value)
{
	return call->con->pointer_size == 4 &&
	       (value <= UINT32_MAX || (uint64_t)(int64_t)(int32_t)value == value);
}

static enum kd_status run_evaluate(struct call *call)
{
	uint64_t value;
	enum kd_status s = take_all(call, &value);

	if (s != KD_OK)
		return s;
	out_printf(call->out, "Evaluate expression: %lld = %s\n", (long long)value,
		   fits_pointer(call, value) ? addr(call->con, value).s : value_hex64(value).s);
	put_value(call, value);
	return KD_OK;
}

static enum kd_status run_formats(struct call *call)
{
	struct text t = TEXT_INIT;
	uint64_t value;
	enum kd_status s = take_all(call, &value);

	if (s != KD_OK)
		return s;
	value_formats(&t, value, call->con->pointer_size);
	out_printf(call->out, "Evaluate expression:\n%s", text_string(&t));
	put_value(call, value);
	text_free(&t);
	return KD_OK;
}

/* The number is decimal whatever the radix is, so that one gets out of any. */
static enum kd_status run_radix(struct call *call)
{
	static const struct {
		const char *word;
		unsigned radix;
	} radixes[] = { { "8", 8 }, { "10", 10 }, { "16", 16 } };
	char word[16];

	if (args_word(&call->args, word, sizeof(word))) {
		size_t i = 0;

		while (i < APP_ARRAY_LEN(radixes) && strcmp(radixes[i].word, word) != 0)
			i++;
		if (i == APP_ARRAY_LEN(radixes))
			return call_fail(call, KD_E_INVALID, "n 8, n 10 or n 16");
		kd_expression_set_radix(call->session, radixes[i].radix);
	}
	out_printf(call->out, "base is %u\n", kd_expression_radix(call->session));
	return args_done(&call->args);
}

/* clang-format off */
static const struct command commands[] = {
	{ "?", "? EXPRESSION", "Evaluate an expression", "? nt!KeBugCheckEx + 10",
	  "value", 0, WORDS_SYMBOLS, run_evaluate, NULL, NULL },
	{ ".formats", ".formats EXPRESSION", "Show a value in all formats", ".formats @rcx",
	  "value", 0, WORDS_SYMBOLS, run_formats, NULL, NULL },
	{ "n", "n [8|10|16]", "Show or set the radix of numbers without a prefix", "n 10",
	  NULL, 0, WORDS_NONE, run_radix, NULL, NULL },
};
/* clang-format on */

FAMILY(family_evaluate, "Expressions");
