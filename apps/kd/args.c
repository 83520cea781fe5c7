/* SPDX-License-Identifier: MIT */
#include "apps/kd/args.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kd/split.h"

enum kd_status app_error(struct kd_error *err, enum kd_status status, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return status;
	*err = (struct kd_error){ .status = status };
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return status;
}

bool args_at_end(struct args *a)
{
	a->at = split_skip_space(a->at);
	return *a->at == '\0';
}

bool args_take(struct args *a, const char *word)
{
	size_t size = strlen(word);

	if (args_at_end(a) || strncmp(a->at, word, size) != 0)
		return false;
	if (a->at[size] && !isspace((unsigned char)a->at[size]))
		return false;
	a->at += size;
	return true;
}

bool args_take_char(struct args *a, char c)
{
	if (args_at_end(a) || *a->at != c)
		return false;
	a->at++;
	return true;
}

static size_t word_size(const char *text, const char *ends)
{
	return strcspn(text, ends);
}

bool args_switch(struct args *a, char lead, char *text, size_t size)
{
	if (args_at_end(a) || *a->at != lead)
		return false;
	size_t n = word_size(a->at + 1, " \t\r\n\"");
	app_copy(text, size, a->at + 1, n);
	a->at += 1 + n;
	return true;
}

bool args_word(struct args *a, char *text, size_t size)
{
	if (args_at_end(a))
		return false;
	size_t n = word_size(a->at, " \t\r\n");
	app_copy(text, size, a->at, n);
	a->at += n;
	return true;
}

bool args_item(struct args *a, char *text, size_t size)
{
	if (args_at_end(a))
		return false;
	size_t n = word_size(a->at, " \t\r\n,");
	app_copy(text, size, a->at, n);
	a->at += n;
	args_take_char(a, ',');
	return true;
}

static char unescape(char c)
{
	return c == 'n' ? '\n' : c == 't' ? '\t' : c;
}

char *args_quoted(struct args *a)
{
	struct text t = TEXT_INIT;

	if (args_at_end(a) || *a->at != '"')
		return NULL;
	for (a->at++; *a->at && *a->at != '"'; a->at++) {
		char c = *a->at;

		if (c == '\\' && a->at[1] && strchr("\\\"nt", a->at[1]))
			c = unescape(*++a->at);
		text_append(&t, &c, 1);
	}
	if (*a->at)
		a->at++;
	return text_take(&t);
}

char *args_string(struct args *a)
{
	if (args_at_end(a))
		return NULL;
	if (*a->at == '"')
		return args_quoted(a);
	size_t n = word_size(a->at, " \t\r\n");
	char *s = app_strndup(a->at, n);
	a->at += n;
	return s;
}

char *args_rest(struct args *a)
{
	size_t n;

	args_at_end(a);
	n = strlen(a->at);
	while (n > 0 && isspace((unsigned char)a->at[n - 1]))
		n--;
	char *s = app_strndup(a->at, n);
	a->at += strlen(a->at);
	return s;
}

/*
 * Where a switch begins after an expression, `4 /w "..."`: an evaluator would divide. A blank, `/`,
 * one to three letters or digits, and a blank, a quote or the end. Brackets and quotes are opaque.
 */
static const char *switch_after(const char *text)
{
	unsigned depth = 0;

	for (const char *p = text; *p; p++) {
		size_t n = 0;

		if (*p == '"')
			return p;
		depth += *p == '(';
		depth -= *p == ')' && depth > 0;
		if (depth || *p != '/' || p == text || !isspace((unsigned char)p[-1]))
			continue;
		while (isalnum((unsigned char)p[1 + n]))
			n++;
		if (n > 0 && n <= 3 &&
		    (!p[1 + n] || isspace((unsigned char)p[1 + n]) || p[1 + n] == '"'))
			return p;
	}
	return NULL;
}

enum kd_status args_value(struct args *a, uint64_t *ret)
{
	const char *end, *limit;
	enum kd_status s;

	if (args_at_end(a))
		return app_error(a->err, KD_E_SYNTAX, "a value is missing at the end");
	limit = switch_after(a->at);
	char *text = limit ? app_strndup(a->at, (size_t)(limit - a->at)) : app_strdup(a->at);
	s = a->evaluate(a->context, text, &end, ret, a->err);
	if (s == KD_OK)
		a->at += end - text;
	free(text);
	return s;
}

enum kd_status args_value_or(struct args *a, uint64_t fallback, uint64_t *ret)
{
	*ret = fallback;
	return args_at_end(a) ? KD_OK : args_value(a, ret);
}

/* Whether an `L` that begins a length stands next: L10, L?10, L-10, L(expr), L@rcx, Lpoi(...). */
static bool at_length(struct args *a)
{
	if (args_at_end(a) || (*a->at != 'L' && *a->at != 'l'))
		return false;
	const char *p = a->at + 1 + strspn(a->at + 1, "?-");
	if (*p == '(' || *p == '@' || strncmp(p, "poi(", 4) == 0)
		return true;
	size_t n = strspn(p, "0123456789abcdefABCDEFxX`");
	return n > 0 && !isalnum((unsigned char)p[n]) && p[n] != '_' && p[n] != '!';
}

static enum kd_status read_length(struct args *a, size_t unit, struct range *r)
{
	bool is_unguarded = false, is_backwards = false;

	for (a->at++; *a->at == '?' || *a->at == '-'; a->at++) {
		is_unguarded |= *a->at == '?';
		is_backwards |= *a->at == '-';
	}
	enum kd_status s = args_value(a, &r->count);
	if (s != KD_OK)
		return s;
	if (!is_unguarded && r->count > RANGE_GUARD / unit)
		return app_error(
			a->err, KD_E_INVALID,
			"a range of 0x%llx objects is above 256 MB; write L? if it is meant",
			(unsigned long long)r->count);
	if (r->count > UINT64_MAX / unit)
		return app_error(a->err, KD_E_INVALID,
				 "the range is larger than the address space");
	if (is_backwards)
		r->start -= r->count * unit;
	r->has_length = true;
	return KD_OK;
}

static enum kd_status read_end(struct args *a, size_t unit, struct range *r)
{
	uint64_t end;
	enum kd_status s = args_value(a, &end);

	if (s != KD_OK)
		return s;
	if (end < r->start)
		return app_error(a->err, KD_E_INVALID, "the range ends before it begins");
	r->count = (end - r->start) / unit + 1;
	if (r->count > RANGE_GUARD / unit)
		return app_error(a->err, KD_E_INVALID,
				 "the range is above 256 MB; write START L?COUNT if it is meant");
	r->has_length = true;
	return KD_OK;
}

/* Whether what stands next can begin an expression (and not a "string" or a /switch). */
static bool at_value(struct args *a)
{
	return !args_at_end(a) && !strchr("\"/", *a->at);
}

enum kd_status args_range(struct args *a, size_t unit, uint64_t default_count, struct range *ret)
{
	*ret = (struct range){ .count = default_count };
	if (at_value(a) && !at_length(a)) {
		enum kd_status s = args_value(a, &ret->start);

		if (s != KD_OK)
			return s;
		ret->has_start = true;
	}
	if (at_length(a))
		return read_length(a, unit, ret);
	if (ret->has_start && at_value(a))
		return read_end(a, unit, ret);
	return KD_OK;
}

enum kd_status args_range_needed(struct args *a, size_t unit, struct range *ret)
{
	*ret = (struct range){ 0 };
	enum kd_status s = args_at_end(a) ? KD_OK : args_value(a, &ret->start);

	if (s != KD_OK)
		return s;
	if (args_at_end(a))
		return app_error(a->err, KD_E_SYNTAX,
				 "a range is needed: START LCOUNT or START END");
	ret->has_start = true;
	return at_length(a) ? read_length(a, unit, ret) : read_end(a, unit, ret);
}

enum kd_status args_done(struct args *a)
{
	if (args_at_end(a))
		return KD_OK;
	return app_error(a->err, KD_E_SYNTAX, "'%.60s' is too much here", a->at);
}

/* One of `3`, `2-5`, `*`. */
static bool parse_ids(const char *item, int limit, int *low, int *high)
{
	static const unsigned long ID_MAX = 1000000;
	unsigned long first, last;
	char *end;

	if (strcmp(item, "*") == 0) {
		*low = 0;
		*high = limit - 1;
		return true;
	}
	if (!isdigit((unsigned char)*item))
		return false;
	first = last = strtoul(item, &end, 10);
	if (*end == '-' && isdigit((unsigned char)end[1]))
		last = strtoul(end + 1, &end, 10);
	*low = (int)APP_MIN(first, ID_MAX);
	*high = (int)APP_MIN(last, ID_MAX);
	return *end == '\0' && last >= first;
}

enum kd_status args_ids(struct args *a, int limit, args_id_fn fn, void *context)
{
	char item[64];
	int low, high;

	if (args_at_end(a))
		return app_error(a->err, KD_E_SYNTAX, "which ones? Give ids (0, 1 3, 2-5) or *");
	while (args_item(a, item, sizeof(item))) {
		bool is_explicit = !strchr(item, '*') && !strchr(item, '-');

		if (!parse_ids(item, limit, &low, &high))
			return app_error(a->err, KD_E_SYNTAX,
					 "'%s' is no id; give ids (0, 1 3, 2-5) or *", item);
		for (int id = low; id <= high && (is_explicit || id < limit); id++) {
			enum kd_status s = fn(context, id, is_explicit);

			if (s != KD_OK)
				return s;
		}
	}
	return KD_OK;
}
