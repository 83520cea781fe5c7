/* SPDX-License-Identifier: MIT */
#include "lib/shark/conversation.h"

#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"

struct kd__conversation *kd__conversation_create(const struct kd_probe_facts *facts)
{
	struct kd__conversation *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->references = 1;
	c->facts = *facts;
	c->facts.path_size = (uint16_t)KD_MIN(facts->path_size, sizeof c->path);
	kd_copy(c->path, facts->path, c->facts.path_size);
	c->facts.path = c->path;
	kd__image_name(c->path, c->facts.path_size, c->process, sizeof c->process);
	return c;
}

void kd__conversation_unref(struct kd__conversation *c)
{
	if (c && --c->references == 0)
		free(c);
}

/* The size of the character at the beginning; 0: no UTF-8, or one that terminals obey. */
static size_t character(const uint8_t *p, size_t size)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = { { 0x80, 0x00, 0x20 },
		      { 0xE0, 0xC0, 0xA0 }, /* below: control characters */
		      { 0xF0, 0xE0, 0x800 },
		      { 0xF8, 0xF0, 0x10000 } };
	size_t n = 0;
	uint32_t c;

	while (n < KD_ARRAY_LEN(forms) && (p[0] & forms[n].mask) != forms[n].lead)
		n++;
	if (n == KD_ARRAY_LEN(forms) || n >= size)
		return 0;
	c = p[0] & ~forms[n].mask & 0xFFu;
	for (size_t i = 1; i <= n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3Fu);
	}
	if (c < forms[n].least || c == 0x7F || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
		return 0;
	return n + 1;
}

void kd__clean_text(const uint8_t *text, size_t size, char *ret, size_t ret_size)
{
	size_t n = 0;

	for (size_t i = 0; i < size;) {
		size_t one = character(text + i, size - i);

		if (n + KD_MAX(one, (size_t)1) >= ret_size)
			break;
		if (one)
			memcpy(ret + n, text + i, one);
		else
			ret[n] = '?';
		n += KD_MAX(one, (size_t)1);
		i += KD_MAX(one, (size_t)1);
	}
	ret[n] = '\0';
}

void kd__image_name(const uint8_t *path, size_t size, char *name_ret, size_t name_size)
{
	size_t from = size;

	while (from > 0 && path[from - 1] != '\\')
		from--;
	kd__clean_text(path + from, size - from, name_ret, name_size);
	if (!*name_ret)
		memcpy(name_ret, "?", 2);
}
