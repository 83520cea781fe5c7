/* SPDX-License-Identifier: MIT */
#include "apps/kd/print_format.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kd/args.h"
#include "apps/kd/value.h"

enum { WIDTH_MAX = 1000 };

/* One `%...`: flags, width, precision as typed, then what it is. */
struct directive {
	char flags[8];
	int width, precision; /* -1: none */
	bool is_64;
	const char *kind;
	size_t size; /* of all of it */
};

/* Longer ones before those they begin with. */
static const char *const kinds[] = { "msa", "msu", "ma", "mu", "ly", "y", "p", "N",
				     "s",   "c",   "d",  "i",  "u",  "x", "X", "o" };

static const char *number(const char *p, int *ret)
{
	*ret = 0;
	for (; isdigit((unsigned char)*p); p++)
		*ret = APP_MIN(*ret * 10 + (*p - '0'), WIDTH_MAX);
	return p;
}

static bool parse(const char *p, struct directive *d)
{
	const char *start = p;
	size_t flags;

	*d = (struct directive){ .width = -1, .precision = -1 };
	flags = strspn(++p, "-+ #0");
	app_copy(d->flags, sizeof(d->flags), p, flags);
	p += flags;
	if (isdigit((unsigned char)*p))
		p = number(p, &d->width);
	if (*p == '.')
		p = number(p + 1, &d->precision);
	if (strncmp(p, "I64", 3) == 0) {
		d->is_64 = true;
		p += 3;
	}
	while (*p == 'l' && p[1] != 'y') {
		d->is_64 |= p[1] == 'l';
		p++;
	}
	for (size_t i = 0; i < APP_ARRAY_LEN(kinds); i++) {
		size_t size = strlen(kinds[i]);

		if (strncmp(p, kinds[i], size) == 0) {
			d->kind = kinds[i];
			d->size = (size_t)(p + size - start);
			return true;
		}
	}
	return false;
}

static void add_padded(struct text *t, const struct directive *d, const char *s)
{
	int width = d->width < 0 ? 0 : d->width;
	int precision = d->precision < 0 ? (int)strlen(s) : d->precision;

	if (strchr(d->flags, '-'))
		text_printf(t, "%-*.*s", width, precision, s);
	else
		text_printf(t, "%*.*s", width, precision, s);
}

/* Through printf itself, with the directive built anew from what was understood. */
static void add_number(struct text *t, const struct directive *d, uint64_t value)
{
	char format[64], width[16] = "", precision[16] = "", shown[WIDTH_MAX + 128];
	bool is_signed = d->kind[0] == 'd' || d->kind[0] == 'i';

	if (d->width >= 0)
		snprintf(width, sizeof(width), "%d", d->width);
	if (d->precision >= 0)
		snprintf(precision, sizeof(precision), ".%d", APP_MIN(d->precision, WIDTH_MAX));
	snprintf(format, sizeof(format), "%%%s%s%sll%c", d->flags, width, precision, d->kind[0]);
	if (!d->is_64 && is_signed)
		value = (uint64_t)(int64_t)(int32_t)(uint32_t)value;
	else if (!d->is_64)
		value = (uint32_t)value;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(shown, sizeof(shown), format, (unsigned long long)value);
#pragma GCC diagnostic pop
	text_add(t, shown);
}

static void add_from_source(struct text *t, const struct directive *d, uint64_t value,
			    const struct print_source *source)
{
	struct text s = TEXT_INIT;
	const char *kind = d->kind;

	if (kind[0] == 'm')
		source->string(source->context, value, kind[strlen(kind) - 1] == 'u',
			       kind[1] == 's', &s);
	else if (kind[0] == 'y' || kind[0] == 'l')
		source->symbol(source->context, value, kind[0] == 'l', &s);
	else if (kind[0] == 's')
		source->string(source->context, value, false, false, &s);
	else if (kind[0] == 'p')
		text_add(&s, value_address(value, source->pointer_size).s);
	else if (kind[0] == 'N')
		text_add(&s, value_register(value, source->pointer_size).s);
	else
		text_printf(&s, "%c", isprint((int)(value & 0xff)) ? (int)(value & 0xff) : '.');
	add_padded(t, d, text_string(&s));
	text_free(&s);
}

static enum kd_status add_directive(struct text *t, const struct directive *d,
				    const struct print_source *source)
{
	uint64_t value;
	enum kd_status s;

	if (d->kind[0] == 's') {
		char *string = source->quoted(source->context);

		if (string) {
			add_padded(t, d, string);
			free(string);
			return KD_OK;
		}
	}
	s = source->value(source->context, &value);
	if (s != KD_OK)
		return s;
	if (strchr("diuxXo", d->kind[0]))
		add_number(t, d, value);
	else
		add_from_source(t, d, value, source);
	return KD_OK;
}

enum kd_status print_format(struct text *t, const char *format, const struct print_source *source,
			    struct kd_error *err)
{
	while (*format) {
		struct directive d;
		enum kd_status s;

		if (*format != '%') {
			text_append(t, format++, 1);
			continue;
		}
		if (format[1] == '%') {
			text_add(t, "%");
			format += 2;
			continue;
		}
		if (!parse(format, &d))
			return app_error(err, KD_E_SYNTAX, "'%.8s' is no format of .printf",
					 format);
		s = add_directive(t, &d, source);
		if (s != KD_OK)
			return s;
		format += d.size;
	}
	return KD_OK;
}
