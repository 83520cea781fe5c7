/* SPDX-License-Identifier: MIT */
/* d and all that begins with it, and the physical forms. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/expression.h>
#include <openkd/memory.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/memory.h"

enum { STRING_DEFAULT = 256, STRING_MAX = 65536, LIST_DEFAULT = 32, LIST_MAX = 65536 };

/* What every d command begins with: [/cN] [RANGE] */
struct dump_call {
	struct dump_options o;
	struct range range;
};

static enum kd_status take_columns(struct call *call, struct dump_call *d)
{
	char word[16], *end;

	while (args_switch(&call->args, '/', word, sizeof(word))) {
		unsigned long n = strtoul(word + 1, &end, 10);

		if (word[0] != 'c' || *end || n == 0 || n > 64)
			return call_fail(call, KD_E_SYNTAX,
					 "/%s: only /cN is known, N 1 to 64 columns", word);
		d->o.columns = (unsigned)n;
	}
	return KD_OK;
}

static enum kd_status take_range(struct call *call, size_t unit, uint64_t count,
				 struct dump_call *d)
{
	enum kd_status s = take_columns(call, d);

	d->o.pointer_size = call->con->pointer_size;
	if (s == KD_OK)
		s = args_range(&call->args, unit, count, &d->range);
	if (s != KD_OK)
		return s;
	if (!d->range.has_start)
		d->range.start = call->con->next_data;
	return args_done(&call->args);
}

static void note_end(struct call *call, uint64_t end)
{
	call->con->next_data = end;
	app_copy(call->con->last_dump, sizeof(call->con->last_dump), call->name,
		 strlen(call->name));
}

/* --- numbers --- */

static void put_values(struct call *call, const struct dump_format *f, const struct dump_block *b,
		       unsigned unit)
{
	json_t *o = call_object(call), *values;
	char format[4] = { 'd', 0 };

	if (!o)
		return;
	values = json_array();
	app_copy(format + 1, sizeof(format) - 1, f->name, strlen(f->name));
	data_address(o, "address", b->address);
	data_string(o, "format", format);
	data_integer(o, "unit", unit);
	for (size_t at = 0; at + unit <= b->size; at += unit) {
		if (!dump_is_valid(b, at, unit))
			json_array_append_new(values, json_null());
		else if (f->style == DUMP_FLOAT)
			json_array_append_new(
				values,
				json_real(unit == 4 ? (double)value_float((uint32_t)value_load(
							      b->bytes + at, 4))
						    : value_double(value_load(b->bytes + at, 8))));
		else
			json_array_append_new(
				values, json_string(value_json(value_load(b->bytes + at, unit)).s));
	}
	json_object_set_new(o, "values", values);
}

/* `$p`: the last value shown. */
static void note_value(struct call *call, const struct dump_block *b, unsigned unit)
{
	size_t n = b->size / unit;

	if (n && dump_is_valid(b, (n - 1) * unit, unit))
		kd_pseudo_note(call->session, "$p", value_load(b->bytes + (n - 1) * unit, unit));
}

static enum kd_status check_any(struct call *call, const struct memory_block *b)
{
	if (b->n_valid || b->view.size == 0)
		return KD_OK;
	return call_fail(call, KD_E_UNREADABLE, "the memory at %s is not readable",
			 addr(call->con, b->view.address).s);
}

static enum kd_status dump_numbers(struct call *call, const struct dump_format *f,
				   struct dump_call *d)
{
	unsigned unit = dump_unit(f, call->con->pointer_size);
	struct memory_block b;
	struct text t = TEXT_INIT;
	enum kd_status s = take_range(call, unit, f->count, d);

	if (s != KD_OK)
		return s;
	s = memory_block_read(call, d->range.start, d->range.count * unit, d->o.is_physical, &b);
	if (s == KD_OK) {
		dump_lines(&t, f, &b.view, &d->o);
		out_text(call->out, text_string(&t), t.size);
		put_values(call, f, &b.view, unit);
		note_value(call, &b.view, unit);
		note_end(call, d->range.start + b.view.size);
		s = check_any(call, &b);
	}
	text_free(&t);
	memory_block_free(&b);
	return s;
}

static enum kd_status run_numbers(struct call *call)
{
	struct dump_call d = { 0 };

	return dump_numbers(call, dump_format_find(call->name + 1), &d);
}

static enum kd_status run_physical(struct call *call)
{
	struct dump_call d = { .o.is_physical = true };

	return dump_numbers(call, dump_format_find(call->name + 2), &d);
}

static enum kd_status run_d(struct call *call)
{
	char again[8] = "db"; /* note_end() overwrites last_dump */
	const char *name = call->name;
	enum kd_status s;

	if (call->con->last_dump[0])
		app_copy(again, sizeof(again), call->con->last_dump, strlen(call->con->last_dump));
	call->name = again;
	s = command_find(again)->run(call);
	call->name = name;
	return s;
}

/* --- values with symbols --- */

static enum kd_status dump_symbols(struct call *call, unsigned unit)
{
	struct dump_call d = { 0 };
	struct memory_block b;
	json_t *list;
	enum kd_status s = take_range(call, unit, 128 / unit, &d);

	if (s != KD_OK)
		return s;
	list = call_array(call);
	s = memory_block_read(call, d.range.start, d.range.count * unit, false, &b);
	for (size_t at = 0; s == KD_OK && at < b.view.size; at += unit) {
		json_t *o = data_append_object(list);
		uint64_t value = value_load(b.bytes + at, unit);
		bool is_valid = dump_is_valid(&b.view, at, unit);
		struct symbol_text name = { "" };

		if (is_valid)
			name = symbol_of(call->con, value_extend(value, unit));
		out_printf(call->out, "%s  %s%s%s\n", addr(call->con, d.range.start + at).s,
			   !is_valid   ? unit == 8 ? "????????`????????" : "????????"
			   : unit == 8 ? value_hex64(value).s
				       : value_register(value, 4).s,
			   name.s[0] ? " " : "", name.s);
		data_address(o, "address", d.range.start + at);
		if (o)
			json_object_set_new(
				o, "value",
				is_valid ? json_string(value_json(value).s) : json_null());
		data_string(o, "symbol", name.s);
	}
	if (s == KD_OK) {
		note_end(call, d.range.start + b.view.size);
		s = check_any(call, &b);
	}
	memory_block_free(&b);
	return s;
}

static enum kd_status run_symbols(struct call *call)
{
	unsigned unit = call->name[1] == 'd'   ? 4
			: call->name[1] == 'q' ? 8
					       : call->con->pointer_size;

	return dump_symbols(call, unit);
}

/* --- strings --- */

static void put_string(struct call *call, uint64_t address, const char *string)
{
	json_t *o = call_object(call);

	data_address(o, "address", address);
	data_string(o, "string", string);
}

static enum kd_status show_string(struct call *call, uint64_t address, bool wide, size_t max)
{
	struct dump_options o = { .pointer_size = call->con->pointer_size };
	size_t size = max * 3 + 1;
	char *string = app_alloc(size);
	struct text t = TEXT_INIT;
	enum kd_status s = kd_memory_read_string(call->session, address, wide, max * (wide ? 2 : 1),
						 string, size, call->err);

	if (s == KD_OK) {
		dump_string(&t, address, string, wide ? 2 : 1, &o);
		out_text(call->out, text_string(&t), t.size);
		put_string(call, address, string);
	}
	text_free(&t);
	free(string);
	return s;
}

static enum kd_status run_string(struct call *call)
{
	bool wide = call->name[1] == 'u';
	struct dump_call d = { 0 };
	enum kd_status s = take_range(call, wide ? 2 : 1, STRING_DEFAULT, &d);

	if (s != KD_OK)
		return s;
	if (d.range.count > STRING_MAX)
		return call_fail(call, KD_E_TOO_BIG, "a string of at most 0x%x characters",
				 STRING_MAX);
	s = show_string(call, d.range.start, wide, (size_t)d.range.count);
	if (s == KD_OK)
		note_end(call, d.range.start + d.range.count * (wide ? 2 : 1));
	return s;
}

/* STRING and UNICODE_STRING: Length, MaximumLength, Buffer. Length is in bytes. */
static enum kd_status read_counted(struct call *call, uint64_t address, bool wide, char *string,
				   size_t size)
{
	uint64_t length, buffer;
	unsigned pointer = call->con->pointer_size;
	enum kd_status s = kd_memory_read_uint(call->session, address, 2, &length, call->err);

	if (s == KD_OK)
		s = kd_memory_read_pointer(call->session, address + pointer, &buffer, call->err);
	string[0] = '\0';
	if (s != KD_OK || length < (wide ? 2 : 1))
		return s;
	return kd_memory_read_string(call->session, buffer, wide, (size_t)length, string, size,
				     call->err);
}

static enum kd_status run_counted(struct call *call)
{
	bool wide = strcmp(call->name, "dS") == 0;
	uint64_t address;
	size_t size = 0x10000 * 3 + 1;
	char *string;
	enum kd_status s = args_value_or(&call->args, call->con->next_data, &address);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s != KD_OK)
		return s;
	string = app_alloc(size);
	s = read_counted(call, address, wide, string, size);
	if (s == KD_OK) {
		out_printf(call->out, "%s  \"%s\"\n", addr(call->con, address).s, string);
		put_string(call, address, string);
		call->con->next_data = address + 2 * call->con->pointer_size;
	}
	free(string);
	return s;
}

/* --- lists --- */

static bool was_seen(const uint64_t *seen, size_t n, uint64_t address)
{
	for (size_t i = 0; i < n; i++)
		if (seen[i] == address)
			return true;
	return false;
}

/* One element: `size` pointers. */
static enum kd_status show_element(struct call *call, uint64_t address, uint64_t size, json_t *list)
{
	struct dump_options o = { .pointer_size = call->con->pointer_size };
	struct memory_block b;
	struct text t = TEXT_INIT;
	json_t *element = data_append_object(list), *values = element ? json_array() : NULL;
	enum kd_status s = memory_block_read(call, address, size * o.pointer_size, false, &b);

	if (s == KD_OK) {
		dump_lines(&t, dump_format_find("p"), &b.view, &o);
		out_text(call->out, text_string(&t), t.size);
		s = check_any(call, &b);
	}
	data_address(element, "address", address);
	for (size_t at = 0; values && at < b.view.size; at += o.pointer_size)
		json_array_append_new(
			values,
			dump_is_valid(&b.view, at, o.pointer_size)
				? json_string(
					  value_json(value_load(b.bytes + at, o.pointer_size)).s)
				: json_null());
	if (element)
		json_object_set_new(element, "values", values);
	text_free(&t);
	memory_block_free(&b);
	return s;
}

static enum kd_status walk(struct call *call, uint64_t start, uint64_t max, uint64_t size,
			   unsigned link)
{
	uint64_t *seen = app_alloc((size_t)max * sizeof(*seen)), at = start;
	json_t *list = call_array(call);
	enum kd_status s = KD_OK;
	size_t n = 0;

	while (n < max && at && !was_seen(seen, n, at) && s == KD_OK) {
		seen[n++] = at;
		s = show_element(call, at, size, list);
		if (s == KD_OK)
			s = kd_memory_read_pointer(call->session, at + link, &at, call->err);
		if (console_interrupted(call->con))
			s = call_fail(call, KD_E_CANCELLED, "cancelled");
	}
	if (s == KD_OK && at && at != start && n < max)
		out_printf(call->out, "(the list returns to %s)\n", addr(call->con, at).s);
	free(seen);
	return s;
}

static enum kd_status run_list(struct call *call)
{
	uint64_t start, max, size;
	bool backwards = *call->args.at == 'b';
	enum kd_status s;

	call->args.at += backwards;
	s = args_value(&call->args, &start);
	if (s == KD_OK)
		s = args_value_or(&call->args, LIST_DEFAULT, &max);
	if (s == KD_OK)
		s = args_value_or(&call->args, 2, &size);
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s != KD_OK)
		return s;
	if (max == 0 || max > LIST_MAX || size == 0 || size > 64)
		return call_fail(call, KD_E_INVALID,
				 "at most 0x%x elements of 1 to 0x40 pointers each", LIST_MAX);
	return walk(call, start, max, size, backwards ? call->con->pointer_size : 0);
}

#define DUMP_FLAGS (CMD_STOPPED | CMD_CONTINUES)
#define DUMP(name, help, example)                                                       \
	{                                                                               \
		name, name " [/cCOLUMNS] [RANGE]", help, example, "memory", DUMP_FLAGS, \
			WORDS_SYMBOLS, run_numbers, NULL, NULL                          \
	}
#define PHYSICAL(name, help, example)                                                   \
	{                                                                               \
		name, name " [/cCOLUMNS] [RANGE]", help, example, "memory", DUMP_FLAGS, \
			WORDS_NONE, run_physical, NULL, NULL                            \
	}

/* clang-format off */
static const struct command commands[] = {
	{ "d", "d [RANGE]", "Go on with the last kind of d command", "d", "dump", DUMP_FLAGS,
	  WORDS_SYMBOLS, run_d, NULL, NULL },
	DUMP("db", "Show bytes and characters", "db @rsp L40"),
	DUMP("dw", "Show 2-byte numbers", "dw nt!NtGlobalFlag"),
	DUMP("dW", "Show 2-byte numbers and characters", "dW @rsp"),
	DUMP("dd", "Show 4-byte numbers", "dd demo!DemoCounter L1"),
	DUMP("dc", "Show 4-byte numbers and characters", "dc @rsp"),
	DUMP("dq", "Show 8-byte numbers", "dq @rsp L8"),
	DUMP("dp", "Show pointers", "dp nt!PsActiveProcessHead L2"),
	DUMP("df", "Show single-precision numbers", "df @rsp L4"),
	DUMP("dD", "Show double-precision numbers", "dD @rsp L4"),
	DUMP("dyb", "Show bytes as bits", "dyb @rsp L4"),
	DUMP("dyd", "Show 4-byte numbers as bits", "dyd @rsp L2"),
	{ "da", "da [RANGE]", "Show a string of 1-byte characters, to its NUL or the range's end",
	  "da nt!NtBuildLab", "string", DUMP_FLAGS, WORDS_SYMBOLS, run_string, NULL, NULL },
	{ "du", "du [RANGE]", "Show a string of UTF-16", "du poi(@rcx+8)", "string", DUMP_FLAGS,
	  WORDS_SYMBOLS, run_string, NULL, NULL },
	{ "ds", "ds [ADDRESS]", "Show what a STRING (ANSI_STRING) holds", "ds @rcx", "string",
	  DUMP_FLAGS, WORDS_SYMBOLS, run_counted, NULL, NULL },
	{ "dS", "dS [ADDRESS]", "Show what a UNICODE_STRING holds", "dS @rdx", "string", DUMP_FLAGS,
	  WORDS_SYMBOLS, run_counted, NULL, NULL },
	{ "dds", "dds [RANGE]", "Show 4-byte numbers with the symbols they point at", "dds @esp",
	  "symbol-values", DUMP_FLAGS, WORDS_SYMBOLS, run_symbols, NULL, NULL },
	{ "dqs", "dqs [RANGE]", "Show 8-byte numbers with the symbols they point at", "dqs @rsp L10",
	  "symbol-values", DUMP_FLAGS, WORDS_SYMBOLS, run_symbols, NULL, NULL },
	{ "dps", "dps [RANGE]", "Show pointers with the symbols they point at", "dps @rsp L10",
	  "symbol-values", DUMP_FLAGS, WORDS_SYMBOLS, run_symbols, NULL, NULL },
	{ "dl", "dl[b] ADDRESS [COUNT [SIZE]]",
	  "Walk a linked list; SIZE pointers of each element are shown\n"
	  "dlb walks LIST_ENTRYs backwards. A list that returns to an element ends there.",
	  "dl nt!PsLoadedModuleList 10 2", "list", CMD_STOPPED, WORDS_SYMBOLS, run_list, "b", NULL },
	PHYSICAL("!db", "Show bytes of physical memory", "!db 1000 L20"),
	PHYSICAL("!dc", "Show 4-byte numbers and characters of physical memory", "!dc 1000"),
	PHYSICAL("!dd", "Show 4-byte numbers of physical memory", "!dd 1000 L4"),
	PHYSICAL("!dp", "Show pointers of physical memory", "!dp 1000"),
	PHYSICAL("!dq", "Show 8-byte numbers of physical memory", "!dq @cr3 L4"),
	PHYSICAL("!dw", "Show 2-byte numbers of physical memory", "!dw 1000"),
};
/* clang-format on */

FAMILY(family_dump, "Showing memory");
