/* SPDX-License-Identifier: MIT */
#include "apps/kd/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct text *t, size_t more)
{
	size_t need = t->size + more + 1, capacity = t->capacity ? t->capacity : 128;

	if (need <= t->capacity)
		return true;
	if (need > TEXT_LIMIT)
		return false;
	while (capacity < need)
		capacity *= 2;

	char *data = realloc(t->data, capacity);
	if (!data)
		return false;
	t->data = data;
	t->capacity = capacity;
	return true;
}

void text_append(struct text *t, const char *bytes, size_t size)
{
	if (!reserve(t, size)) {
		t->is_cut = true;
		return;
	}
	memcpy(t->data + t->size, bytes, size);
	t->size += size;
	t->data[t->size] = '\0';
}

void text_add(struct text *t, const char *string)
{
	text_append(t, string, strlen(string));
}

void text_vprintf(struct text *t, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int size = vsnprintf(NULL, 0, fmt, ap);
	if (size >= 0 && reserve(t, (size_t)size)) {
		vsnprintf(t->data + t->size, (size_t)size + 1, fmt, again);
		t->size += (size_t)size;
	} else {
		t->is_cut = true;
	}
	va_end(again);
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_vprintf(t, fmt, ap);
	va_end(ap);
}

void text_clear(struct text *t)
{
	t->size = 0;
	t->is_cut = false;
	if (t->data)
		t->data[0] = '\0';
}

void text_free(struct text *t)
{
	free(t->data);
	*t = (struct text)TEXT_INIT;
}

char *text_take(struct text *t)
{
	char *data = t->data ? t->data : app_strdup("");

	*t = (struct text)TEXT_INIT;
	return data;
}

char *text_take_line(struct text *t)
{
	char *end = t->size ? memchr(t->data, '\n', t->size) : NULL, *line;
	size_t size;

	if (!end)
		return NULL;
	size = (size_t)(end - t->data);
	line = app_strndup(t->data, size);
	t->size -= size + 1;
	memmove(t->data, end + 1, t->size + 1); /* the terminator too */
	return line;
}

const char *text_string(const struct text *t)
{
	return t->data ? t->data : "";
}

void app_freep(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

void *app_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p) {
		fputs("kd: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

char *app_strndup(const char *string, size_t size)
{
	char *copy = app_alloc(size + 1);

	memcpy(copy, string, size);
	return copy;
}

char *app_strdup(const char *string)
{
	return app_strndup(string, strlen(string));
}

void app_copy(char *to, size_t size, const char *from, size_t n)
{
	if (n >= size)
		n = size - 1;
	memcpy(to, from, n);
	to[n] = '\0';
}
