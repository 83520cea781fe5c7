/* SPDX-License-Identifier: MIT */
/* s, c */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/memory.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/memory.h"

enum { NEEDLE_MAX = 1024, SEARCH_CHUNK = 4 << 20, DIFFERENCES_MAX = 4096 };

/* --- s --- */

static const struct search_kind {
	char letter;
	uint8_t unit;
	bool is_text;
	const char *dump; /* how a hit is shown */
} kinds[] = {
	{ 'b', 1, false, "b" }, { 'w', 2, false, "w" }, { 'd', 4, false, "d" },
	{ 'q', 8, false, "q" }, { 'a', 1, true, "b" },  { 'u', 2, true, "w" },
};

struct search {
	const struct search_kind *kind;
	bool addresses_only;
	struct range range;
	uint8_t needle[NEEDLE_MAX];
	size_t size;
	uint64_t n_hits;
};

/* `-b`, `-[1]d`, ... */
static enum kd_status take_kind(struct call *call, struct search *s)
{
	char word[32], *p = word;

	s->kind = &kinds[0];
	if (!args_switch(&call->args, '-', word, sizeof(word)))
		return KD_OK;
	if (strncmp(p, "[1]", 3) == 0) {
		s->addresses_only = true;
		p += 3;
	}
	for (size_t i = 0; i < APP_ARRAY_LEN(kinds); i++) {
		if (p[0] == kinds[i].letter && !p[1]) {
			s->kind = &kinds[i];
			return KD_OK;
		}
	}
	if (!*p && s->addresses_only)
		return KD_OK;
	return call_fail(
		call, KD_E_SYNTAX,
		"-%s is no kind of search; there are -b -w -d -q -a -u, and -[1] before the "
		"letter for addresses only",
		word);
}

static enum kd_status add_needle(struct call *call, struct search *s, uint64_t value)
{
	if (s->size + s->kind->unit > NEEDLE_MAX)
		return call_fail(call, KD_E_TOO_BIG, "what is searched for is above %d bytes",
				 NEEDLE_MAX);
	value_store(s->needle + s->size, s->kind->unit, value);
	s->size += s->kind->unit;
	return KD_OK;
}

static enum kd_status add_text(struct call *call, struct search *s)
{
	char *text = args_string(&call->args);
	enum kd_status status = KD_OK;

	for (const char *p = text; p && *p && status == KD_OK; p++)
		status = add_needle(call, s, (unsigned char)*p);
	free(text);
	return status;
}

static enum kd_status take_needle(struct call *call, struct search *s)
{
	enum kd_status status = KD_OK;

	if (s->kind->is_text) {
		status = add_text(call, s);
	} else {
		while (status == KD_OK && !args_at_end(&call->args)) {
			uint64_t value;

			if (*call->args.at == '"') {
				status = add_text(call, s);
				continue;
			}
			status = args_value(&call->args, &value);
			if (status == KD_OK)
				status = add_needle(call, s, value);
		}
	}
	if (status == KD_OK && s->size == 0)
		return call_fail(call, KD_E_SYNTAX, "what is to be found? s -d START LCOUNT VALUE");
	return status == KD_OK ? args_done(&call->args) : status;
}

static enum kd_status show_hit(struct call *call, const struct search *s, uint64_t address)
{
	struct dump_options o = { .pointer_size = call->con->pointer_size };
	struct dump_format f = *dump_format_find(s->kind->dump);
	struct memory_block b;
	struct text t = TEXT_INIT;
	enum kd_status status;

	if (s->addresses_only) {
		out_printf(call->out, "0x%s\n", addr(call->con, address).s);
		return KD_OK;
	}
	f.has_text = true;
	status = memory_block_read(call, address, 16, false, &b);
	if (status == KD_OK) {
		dump_lines(&t, &f, &b.view, &o);
		out_text(call->out, text_string(&t), t.size);
	}
	text_free(&t);
	memory_block_free(&b);
	return status;
}

static enum kd_status on_hit(struct call *call, struct search *s, uint64_t address)
{
	json_t *list = call_array(call);

	if (list)
		json_array_append_new(list, json_string(value_json(address).s));
	s->n_hits++;
	return show_hit(call, s, address);
}

/* All hits that begin in [at, at + length). */
static enum kd_status search_part(struct call *call, struct search *s, uint64_t at, uint64_t length)
{
	uint64_t end = at + length;
	enum kd_status status = KD_OK;

	while (status == KD_OK && at < end) {
		uint64_t found;

		/* A hit may reach beyond the part, but not beyond the range. */
		uint64_t tail = APP_MIN((uint64_t)(s->size - 1),
					s->range.start + s->range.count * s->kind->unit - end);
		status = kd_memory_search(call->session, at, end - at + tail, s->needle, s->size,
					  s->kind->unit, &found, call->err);
		if (status == KD_OK) {
			status = on_hit(call, s, found);
			at = found + s->kind->unit;
		}
		if (status == KD_OK && console_interrupted(call->con))
			return call_fail(call, KD_E_CANCELLED, "cancelled");
	}
	if (status == KD_E_NOT_FOUND) {
		*call->err = (struct kd_error){ 0 };
		return KD_OK;
	}
	return status;
}

static enum kd_status search(struct call *call, struct search *s)
{
	uint64_t total = s->range.count * s->kind->unit, started = console_now_ns();
	enum kd_status status = KD_OK;

	for (uint64_t at = 0; at < total && status == KD_OK; at += SEARCH_CHUNK) {
		status = search_part(call, s, s->range.start + at,
				     APP_MIN((uint64_t)SEARCH_CHUNK, total - at));
		show_progress(call->con, "searched", APP_MIN(at + SEARCH_CHUNK, total), total,
			      started);
		if (status == KD_OK && console_interrupted(call->con))
			status = call_fail(call, KD_E_CANCELLED, "cancelled");
	}
	out_transient(call->out, NULL);
	return status;
}

static enum kd_status run_search(struct call *call)
{
	struct search *s = app_alloc(sizeof(*s));
	enum kd_status status = take_kind(call, s);

	call_array(call);
	if (status == KD_OK)
		status = args_range_needed(&call->args, s->kind->unit, &s->range);
	if (status == KD_OK)
		status = take_needle(call, s);
	if (status == KD_OK)
		status = search(call, s);
	free(s);
	return status;
}

/* --- c --- */

static void show_difference(struct call *call, uint64_t a, uint8_t byte_a, uint64_t b,
			    uint8_t byte_b)
{
	json_t *o = data_append_object(call_array(call));

	out_printf(call->out, "%s  %02x  -  %s  %02x\n", addr(call->con, a).s, byte_a,
		   addr(call->con, b).s, byte_b);
	data_address(o, "first", a);
	data_integer(o, "first_byte", byte_a);
	data_address(o, "second", b);
	data_integer(o, "second_byte", byte_b);
}

static void show_differences(struct call *call, uint64_t a, const uint8_t *first, uint64_t b,
			     const uint8_t *second, size_t size)
{
	unsigned n = 0;

	for (size_t i = 0; i < size; i++) {
		if (first[i] == second[i])
			continue;
		if (n++ == DIFFERENCES_MAX) {
			out_printf(call->out, "... more than %d differences\n", DIFFERENCES_MAX);
			return;
		}
		show_difference(call, a + i, first[i], b + i, second[i]);
	}
}

static enum kd_status run_compare(struct call *call)
{
	struct range r;
	uint64_t other;
	uint8_t *first, *second;
	enum kd_status s = args_range_needed(&call->args, 1, &r);

	if (s == KD_OK)
		s = args_value(&call->args, &other);
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s != KD_OK)
		return s;
	if (r.count > MEMORY_BLOCK_MAX)
		return call_fail(call, KD_E_TOO_BIG, "at most %d MB at once",
				 MEMORY_BLOCK_MAX >> 20);
	call_array(call);
	first = app_alloc((size_t)r.count);
	second = app_alloc((size_t)r.count);
	s = memory_read(call, false, r.start, first, (size_t)r.count, NULL);
	if (s == KD_OK)
		s = memory_read(call, false, other, second, (size_t)r.count, NULL);
	if (s == KD_OK)
		show_differences(call, r.start, first, other, second, (size_t)r.count);
	free(first);
	free(second);
	return s;
}

/* clang-format off */
static const struct command commands[] = {
	{ "s", "s [-[[1]]b|w|d|q|a|u] RANGE VALUE ...|\"STRING\"",
	  "Search memory\n"
	  "-b bytes (the default), -w -d -q numbers of 2, 4, 8 bytes, -a a string, -u a string as UTF-16. "
	  "`-[1]d`: addresses only. Pages that cannot be read are skipped.",
	  "s -a nt L100000 \"Fatal\"", "addresses", CMD_STOPPED, WORDS_SYMBOLS, run_search, NULL, NULL },
	{ "c", "c RANGE ADDRESS", "Compare two parts of memory", "c @rsp L20 @rsp+20",
	  "differences", CMD_STOPPED, WORDS_SYMBOLS, run_compare, NULL, NULL },
};
/* clang-format on */

FAMILY(family_search, "Searching and comparing");
