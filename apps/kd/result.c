/* SPDX-License-Identifier: MIT */
/* What a command came to, as JSON or as words; notes and errors beside it. */
#include "apps/kd/console.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/error.h>
#include <openkd/symbol.h>

#include "apps/kd/folder.h"

json_t *result_to_json(const struct result *r)
{
	json_t *o = json_object();

	json_object_set_new(o, "cmd", data_text(r->command, strlen(r->command)));
	data_bool(o, "ok", r->status == KD_OK);
	if (r->status == KD_OK) {
		json_object_set_new(o, "error", json_null());
	} else {
		json_t *e = json_object();

		data_string(e, "status", kd_status_name(r->status));
		data_string(e, "text", r->err.text);
		if (r->status == KD_E_TARGET)
			data_address(e, "nt_status", r->err.nt_status);
		json_object_set_new(o, "error", e);
	}
	json_object_set_new(o, "text", data_text(text_string(&r->text), r->text.size));
	json_object_set(o, "data", r->data ? r->data : json_null());
	json_object_set(o, "stop", r->stop ? r->stop : json_null());
	json_object_set_new(o, "elapsed_ms", json_real((double)r->elapsed_ns / 1e6));
	data_integer(o, "round_trips", (long long)r->round_trips);
	data_integer(o, "wire_bytes", (long long)r->wire_bytes);
	return o;
}

void console_print_json(struct console *c, json_t *value)
{
	char *line = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(6));

	if (line) {
		fprintf(c->out.stream, "%s\n", line);
		if (c->out.log)
			fprintf(c->out.log, "%s\n", line);
	}
	free(line);
	json_decref(value);
	out_flush(&c->out);
}

void result_print_json(struct console *c, void *context, struct result *r)
{
	(void)context;
	console_print_json(c, result_to_json(r));
}

void result_free(struct result *r)
{
	free(r->command);
	text_free(&r->text);
	json_decref(r->data);
	json_decref(r->stop);
	*r = (struct result){ 0 };
}

/* Errors go to standard error so that output can be piped; the log and captures get them in order.
 */
void console_error(struct console *c, const struct kd_error *err)
{
	const char *what = err->text[0] ? err->text : kd_status_text(err->status);
	bool is_colored = c->out.has_color && c->out.is_terminal;

	if (c->out.capture) {
		out_printf(&c->out, "error: %s\n", what);
		return;
	}
	out_transient(&c->out, NULL);
	out_fresh_line(&c->out);
	out_flush(&c->out);
	fprintf(stderr, "%serror: %s%s\n", is_colored ? "\033[31m" : "", what,
		is_colored ? "\033[0m" : "");
	if (c->out.log)
		fprintf(c->out.log, "error: %s\n", what);
}

static void note(struct console *c, const char *fmt, va_list ap)
{
	struct text t = TEXT_INIT;

	text_vprintf(&t, fmt, ap);
	if (c->out.is_silent && !c->out.capture) {
		json_t *o = json_object();

		data_string(o, "event", "notice");
		json_object_set_new(o, "text", data_text(text_string(&t), t.size));
		console_print_json(c, o);
	} else {
		out_fresh_line(&c->out);
		out_styled(&c->out, OUT_NOTICE, "%s", text_string(&t));
		out_printf(&c->out, "\n");
	}
	out_flush(&c->out);
	text_free(&t);
}

void console_note(struct console *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(c, fmt, ap);
	va_end(ap);
}

void console_verbose(struct console *c, const char *fmt, ...)
{
	va_list ap;

	if (!c->options->is_verbose)
		return;
	va_start(ap, fmt);
	note(c, fmt, ap);
	va_end(ap);
}

struct short_text addr(const struct console *c, uint64_t value)
{
	return value_address(value, c->pointer_size);
}

struct symbol_text symbol_of(struct console *c, uint64_t address)
{
	struct symbol_text t = { "" };

	kd_symbol_format(c->session, address, t.s, sizeof(t.s));
	return t;
}

/* "a/../b" is "b": PDBs hold paths as the compiler was called. */
static void shorten_path(char *path)
{
	char *up;

	while ((up = strstr(path, "/../"))) {
		char *start = up;

		while (start > path && start[-1] != '/')
			start--;
		if (start == path || (up - start == 2 && !strncmp(start, "..", 2)))
			return;
		memmove(start, up + 4, strlen(up + 4) + 1);
	}
}

bool source_of(struct console *c, uint64_t address, struct source_line *ret)
{
	uint64_t displacement;

	if (kd_symbol_line(c->session, address, ret->file, sizeof(ret->file), &ret->line,
			   &displacement, NULL) != KD_OK)
		return false;
	shorten_path(ret->file);
	return true;
}

void text_instruction(struct text *t, const struct console *c, const struct kd_instruction *i)
{
	char bytes[32] = "";

	for (unsigned n = 0; n < i->size; n++)
		snprintf(bytes + 2 * n, 3, "%02x", i->bytes[n]);
	text_printf(t, "%s %-15s ", addr(c, i->address).s, bytes);
	if (i->operands[0])
		text_printf(t, "%-7s %s", i->mnemonic, i->operands);
	else
		text_add(t, i->mnemonic);
}

bool console_folder(const char *variable, const char *fallback, char *path_ret, size_t size)
{
	char *end;

	if (!config_path(variable, fallback, "", path_ret, size))
		return false;
	end = path_ret + strlen(path_ret) - 1;
	*end = '\0'; /* the slash */
	return folder_make(path_ret, 0700);
}
