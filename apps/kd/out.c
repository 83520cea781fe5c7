/* SPDX-License-Identifier: MIT */
#include "apps/kd/out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const codes[OUT_STYLES] = {
	[OUT_PROMPT] = "\033[1;32m", [OUT_BANNER] = "\033[1m",  [OUT_ERROR] = "\033[31m",
	[OUT_NOTICE] = "\033[33m",   [OUT_SYMBOL] = "\033[36m",
};

void out_init(struct out *o, FILE *stream, const char *color)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	*o = (struct out){ .stream = stream };
	o->is_terminal = isatty(fileno(stream));
	o->has_color = o->is_terminal && !(no_color && *no_color) && term &&
		       strcmp(term, "dumb") != 0;
	if (strcmp(color, "always") == 0)
		o->has_color = true;
	if (strcmp(color, "never") == 0)
		o->has_color = false;
}

void out_close(struct out *o)
{
	out_transient(o, NULL);
	fflush(o->stream);
	if (o->log)
		fclose(o->log);
	free(o->log_path);
	o->log = NULL;
	o->log_path = NULL;
}

static void to_stream(struct out *o, const char *text, size_t size)
{
	if (o->is_silent || size == 0)
		return;
	if (o->has_transient) {
		fputs("\r\033[K", o->stream);
		o->has_transient = false;
	}
	fwrite(text, 1, size, o->stream);
	o->is_mid_line = text[size - 1] != '\n';
}

void out_text(struct out *o, const char *text, size_t size)
{
	if (o->capture) {
		text_append(o->capture, text, size);
		return;
	}
	to_stream(o, text, size);
	if (o->log)
		fwrite(text, 1, size, o->log);
}

static void put(struct out *o, enum out_style style, const char *fmt, va_list ap)
{
	struct text t = TEXT_INIT;
	bool is_colored = o->has_color && !o->capture && !o->is_silent && codes[style];

	text_vprintf(&t, fmt, ap);
	if (is_colored) {
		out_transient(o, NULL);
		fputs(codes[style], o->stream);
	}
	out_text(o, text_string(&t), t.size);
	if (is_colored)
		fputs("\033[0m", o->stream);
	text_free(&t);
}

void out_printf(struct out *o, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(o, OUT_PLAIN, fmt, ap);
	va_end(ap);
}

void out_styled(struct out *o, enum out_style style, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(o, style, fmt, ap);
	va_end(ap);
}

void out_fresh_line(struct out *o)
{
	if (o->capture ? o->capture->size && o->capture->data[o->capture->size - 1] != '\n'
		       : o->is_mid_line)
		out_text(o, "\n", 1);
}

void out_transient(struct out *o, const char *fmt, ...)
{
	va_list ap;

	if (!o->is_terminal || o->is_silent || o->capture || o->is_mid_line)
		return;
	if (o->has_transient)
		fputs("\r\033[K", o->stream);
	o->has_transient = fmt != NULL;
	if (fmt) {
		va_start(ap, fmt);
		vfprintf(o->stream, fmt, ap);
		va_end(ap);
	}
	fflush(o->stream);
}

void out_flush(struct out *o)
{
	fflush(o->stream);
	if (o->log)
		fflush(o->log);
}

struct text *out_capture_begin(struct out *o, struct text *t)
{
	struct text *before = o->capture;

	o->capture = t;
	return before;
}

void out_capture_end(struct out *o, struct text *before)
{
	o->capture = before;
}

void out_log_only(struct out *o, const char *text)
{
	if (o->log)
		fprintf(o->log, "%s\n", text);
}
