/* SPDX-License-Identifier: MIT */
/*
 * Expressions from anywhere: no crash, no endless loop, and what the result must obey. The first
 * byte chooses radix and pointer size.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base.h"
#include "lib/engine/expression_eval.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* A name is worth its hash; names with a 'z' in them are unknown. */
static enum kd_status name(void *context, const char *text, uint64_t *ret, struct kd_error *err)
{
	uint64_t h = 14695981039346656037u;

	require(strlen(text) < 512);
	if (strchr(text, 'z'))
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "'%s' is not known", text);
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 1099511628211u;
	*ret = h;
	return KD_OK;
}

static enum kd_status read_memory(void *context, uint64_t address, size_t size, bool is_physical,
				  uint64_t *ret, struct kd_error *err)
{
	require(size == 1 || size == 2 || size == 4 || size == 8);
	if (address % 7 == 0)
		return kd_error_set(err, KD_E_UNREADABLE, address, "not readable");
	*ret = (address * 0x9E3779B97F4A7C15u + is_physical) >> (64 - 8 * size);
	return KD_OK;
}

static enum kd_status line(void *context, const char *module, const char *file, uint32_t number,
			   uint64_t *ret, struct kd_error *err)
{
	require(number && *file);
	*ret = number;
	return KD_OK;
}

static enum kd_status entry(void *context, uint64_t base, uint64_t *ret, struct kd_error *err)
{
	*ret = base + 1;
	return KD_OK;
}

static bool is_valid(void *context, uint64_t address, uint64_t size)
{
	return address > size;
}

/* "(text)" has the value of text, and so has the value written as a number. */
static void same_again(const struct kd__expr_host *h, const char *text, size_t n, uint64_t value)
{
	char *again = malloc(n + 3);
	char number[40];
	uint64_t v = 0;

	require(again != NULL);
	sprintf(again, "(%.*s)", (int)n, text);
	if (kd__expr_evaluate(h, again, NULL, &v, NULL) == KD_OK)
		require(v == value);
	free(again);
	snprintf(number, sizeof number, "%08x`%08x", (uint32_t)(value >> 32), (uint32_t)value);
	require(kd__expr_evaluate(h, number, NULL, &v, NULL) == KD_OK && v == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned radixes[] = { 16, 10, 8, 16 };
	struct kd__expr_host h = { NULL, 16,          8,    name,  name,    name,
				   name, read_memory, line, entry, is_valid };
	struct kd_error err = { 0 };
	uint64_t v = 0, whole = 0;
	const char *end = NULL;
	enum kd_status s;
	char *text;

	if (!size)
		return 0;
	h.radix = radixes[data[0] & 3];
	h.pointer_size = data[0] & 4 ? 4 : 8;
	text = malloc(size);
	require(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = 0;
	s = kd__expr_evaluate(&h, text, &end, &v, &err);
	if (s == KD_OK) {
		require(end > text && end <= text + strlen(text));
		same_again(&h, text, (size_t)(end - text), v);
		if (kd__expr_evaluate(&h, text, NULL, &whole, NULL) == KD_OK)
			require(whole == v);
	} else {
		require(err.status == s && err.text[0] && strlen(err.text) < sizeof err.text);
		require(s == KD_E_UNREADABLE || err.where <= strlen(text));
		require(kd__expr_evaluate(&h, text, NULL, &v, &err) == s);
	}
	free(text);
	return 0;
}
