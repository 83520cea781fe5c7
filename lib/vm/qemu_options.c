/* SPDX-License-Identifier: MIT */
#include "lib/vm/qemu_options.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct kd__qemu_options *o, const char *key, const char *value)
{
	if (o->n == KD__QEMU_OPTIONS_MAX) {
		o->is_cut = true;
		return;
	}
	o->row[o->n].key = key;
	o->row[o->n++].value = value;
}

/* --- a=b,c=d --- */

/* Ends the part at `p` with a NUL, undoubles its commas; where the next one begins, or NULL. */
static char *cut_part(char *p)
{
	char *to = p;

	for (; *p; p++) {
		if (*p == ',' && p[1] != ',') {
			*to = '\0';
			return p + 1;
		}
		p += *p == ',';
		*to++ = *p;
	}
	*to = '\0';
	return NULL;
}

/* "server", "nowait": the old spelling of switches. */
static void add_switch(struct kd__qemu_options *o, char *part)
{
	static const char *const negated[] = { "nowait", "nodelay" };

	for (size_t i = 0; i < KD_ARRAY_LEN(negated); i++)
		if (!strcmp(part, negated[i])) {
			/* nodelay is a key of its own: delay=off. */
			add(o, part + 2, "off");
			return;
		}
	add(o, part, "on");
}

static void parse_text(struct kd__qemu_options *o, const char *implied)
{
	char *p = o->text, *next;

	for (; p; p = next) {
		char *equals;

		next = cut_part(p);
		equals = strchr(p, '=');
		if (equals) {
			*equals = '\0';
			add(o, p, equals + 1);
		} else if (p == o->text && implied) {
			add(o, implied, p);
		} else if (*p) {
			add_switch(o, p);
		}
		implied = NULL;
	}
}

/* --- {"a": "b"} --- */

/* The value as text, "" when it is a list or an object. */
static const char *scalar(const json_t *value, char *number, size_t size)
{
	switch (json_typeof(value)) {
	case JSON_STRING: return json_string_value(value);
	case JSON_TRUE: return "on";
	case JSON_FALSE: return "off";
	case JSON_INTEGER:
		snprintf(number, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return number;
	default: return "";
	}
}

static enum kd_status parse_object(struct kd__qemu_options *o, json_t *root)
{
	const char *key;
	char number[24];
	json_t *value;
	size_t size = 1;
	char *to;

	json_object_foreach(root, key, value)
		size += strlen(key) + strlen(scalar(value, number, sizeof number)) + 2;
	free(o->text);
	o->text = to = malloc(size);
	if (!to)
		return KD_E_NO_MEMORY;
	json_object_foreach(root, key, value)
	{
		char *at = to;

		to = stpcpy(to, key) + 1;
		add(o, at, to);
		to = stpcpy(to, scalar(value, number, sizeof number)) + 1;
	}
	return KD_OK;
}

enum kd_status kd__qemu_options_parse(const char *value, const char *implied,
				      struct kd__qemu_options *ret)
{
	json_t *root = *value == '{' ? json_loads(value, 0, NULL) : NULL;
	enum kd_status s = KD_OK;

	memset(ret, 0, sizeof *ret);
	if (root) {
		s = parse_object(ret, root);
		json_decref(root);
		return s;
	}
	ret->text = strdup(value);
	if (!ret->text)
		return KD_E_NO_MEMORY;
	parse_text(ret, implied);
	return KD_OK;
}

void kd__qemu_options_deinit(struct kd__qemu_options *o)
{
	free(o->text);
	memset(o, 0, sizeof *o);
}

const char *kd__qemu_option(const struct kd__qemu_options *o, const char *key)
{
	for (size_t i = o->n; i-- > 0;)
		if (!strcmp(o->row[i].key, key))
			return o->row[i].value;
	return "";
}

bool kd__qemu_option_bool(const struct kd__qemu_options *o, const char *key, bool otherwise)
{
	static const char *const yes[] = { "on", "yes", "true", "y" };
	const char *value = kd__qemu_option(o, key);

	if (!*value)
		return otherwise;
	for (size_t i = 0; i < KD_ARRAY_LEN(yes); i++)
		if (!strcmp(value, yes[i]))
			return true;
	return false;
}

uint64_t kd__qemu_size(const char *text, uint64_t unit)
{
	static const char suffixes[] = "bkmgtp";
	const char *at;
	char *end;
	double n;

	if (!isdigit((unsigned char)*text))
		return 0;
	n = strtod(text, &end);
	at = *end ? strchr(suffixes, tolower((unsigned char)*end)) : NULL;
	if (at)
		unit = UINT64_C(1) << 10 * (at - suffixes);
	n *= (double)unit;
	/* What a double holds exactly: 8 PB is enough. */
	return n > 0 && n < (double)(UINT64_C(1) << 53) ? (uint64_t)n : 0;
}
