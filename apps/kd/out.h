/* SPDX-License-Identifier: MIT */
/*
 * Where text goes: standard output, the log (.logopen), or a capture (.foreach, --json, clients).
 * Captures nest; the innermost takes all.
 */
#ifndef APPS_KD_OUT_H
#define APPS_KD_OUT_H

#include <stdbool.h>
#include <stdio.h>

#include "apps/kd/text.h"

enum out_style { OUT_PLAIN, OUT_PROMPT, OUT_BANNER, OUT_ERROR, OUT_NOTICE, OUT_SYMBOL, OUT_STYLES };

struct out {
	FILE *stream;
	FILE *log;
	char *log_path;
	struct text *capture;
	bool is_terminal, has_color;
	bool is_mid_line;   /* the stream's cursor is not at the start of a line */
	bool has_transient; /* a progress line stands there */
	bool is_silent;     /* nothing goes to the stream (--json) */
};

void out_init(struct out *o, FILE *stream, const char *color);
void out_close(struct out *o);

void out_text(struct out *o, const char *text, size_t size);
void out_printf(struct out *o, const char *fmt, ...) APP_PRINTF(2, 3);
void out_styled(struct out *o, enum out_style style, const char *fmt, ...) APP_PRINTF(3, 4);
/* Make sure that what follows begins a line. */
void out_fresh_line(struct out *o);
/* A line that the next output replaces; terminals only. NULL: take it away. */
void out_transient(struct out *o, const char *fmt, ...) APP_PRINTF(2, 3);
void out_flush(struct out *o);

/* Send what follows into *t; returns what was there before for out_capture_end(). */
struct text *out_capture_begin(struct out *o, struct text *t);
void out_capture_end(struct out *o, struct text *before);

/* The log also gets what was typed. */
void out_log_only(struct out *o, const char *text);

#endif
