/* SPDX-License-Identifier: MIT */
/* Text that grows, up to a limit. */
#ifndef APPS_KD_TEXT_H
#define APPS_KD_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define APP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define APP_CLEANUP(fn)       __attribute__((cleanup(fn)))
#define APP_ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
#define APP_MIN(a, b)         ((a) < (b) ? (a) : (b))
#define APP_MAX(a, b)         ((a) > (b) ? (a) : (b))

enum { TEXT_LIMIT = 64 << 20 };

/*
 * `data` is always NUL-terminated once something was appended; text_string() is never NULL. What
 * does not fit the limit (or the memory there is) is dropped and `is_cut` set.
 */
struct text {
	char *data;
	size_t size, capacity;
	bool is_cut;
};

#define TEXT_INIT                 \
	{                         \
		NULL, 0, 0, false \
	}

void text_append(struct text *t, const char *bytes, size_t size);
void text_add(struct text *t, const char *string);
void text_printf(struct text *t, const char *fmt, ...) APP_PRINTF(2, 3);
void text_vprintf(struct text *t, const char *fmt, va_list ap);
void text_clear(struct text *t);
void text_free(struct text *t); /* also for APP_CLEANUP */
/* Hand the string over (malloc'ed, never NULL unless memory is out); the text is empty then. */
char *text_take(struct text *t);
/* Its first line, without the end of it, is taken out (malloc'ed); NULL: no line is complete. */
char *text_take_line(struct text *t);
const char *text_string(const struct text *t);

/* For APP_CLEANUP(app_freep): free() what the variable points at. */
void app_freep(void *pointer_to_pointer);
/* malloc, strdup: the program ends with a message when there is no memory. */
void *app_alloc(size_t size);
char *app_strdup(const char *string);
char *app_strndup(const char *string, size_t size);

/* Copies and cuts, always terminates. */
void app_copy(char *to, size_t size, const char *from, size_t n);

#endif
