/* SPDX-License-Identifier: MIT */
/* .printf's formats. */
#ifndef APPS_KD_PRINT_FORMAT_H
#define APPS_KD_PRINT_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include <openkd/status.h>

#include "apps/kd/text.h"

/* What formats need of the world. Each may fail; the text then says so in its place. */
struct print_source {
	void *context;
	unsigned pointer_size;
	/* The next argument. */
	enum kd_status (*value)(void *context, uint64_t *ret);
	/* %s: the next argument if it is a "quoted string"; malloc'ed, NULL: it is none. */
	char *(*quoted)(void *context);
	/* %ma %mu %msa %msu: a string of the target; `counted`: a STRING. Appended. */
	void (*string)(void *context, uint64_t address, bool wide, bool counted, struct text *t);
	/* %y, %ly: a symbol, with its source line. Appended. */
	void (*symbol)(void *context, uint64_t address, bool with_line, struct text *t);
};

/*
 * Append `format` with its escapes (\n \t \" \\) and formats (%d %i %u %x %X %o %c %p %N %s %I64d
 * %I64x... %ma %mu %msa %msu %y %ly %%, with flags, width and precision) replaced. KD_E_SYNTAX: an
 * unknown format; otherwise what a value's evaluation came to.
 */
enum kd_status print_format(struct text *t, const char *format, const struct print_source *source,
			    struct kd_error *err);

#endif
