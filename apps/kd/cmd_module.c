/* SPDX-License-Identifier: MIT */
/* lm, .reload */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/module.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/pattern.h"

/* --- lm --- */

/* Words of a symbol state: in lm's brackets, in JSON. */
static const char *const state_words[] = {
	[KD_SYMBOLS_DEFERRED] = "deferred",
	[KD_SYMBOLS_PDB] = "pdb symbols",
	[KD_SYMBOLS_PRIVATE] = "private pdb symbols",
	[KD_SYMBOLS_EXPORT] = "export symbols",
	[KD_SYMBOLS_NONE] = "no symbols",
};

struct listing {
	bool is_verbose, names_only, has_pattern, has_address, loaded_only, user_only, kernel_only;
	bool shows_image, shows_time;
	char pattern[128];
	uint64_t address;
};

/* Which lm letters are followed by an argument of their own. */
static enum kd_status take_letter(struct call *call, struct listing *l, char letter)
{
	switch (letter) {
	case 'v': l->is_verbose = true; return KD_OK;
	case 'k': l->kernel_only = true; return KD_OK;
	case 'u': l->user_only = true; return KD_OK;
	case 'o': l->loaded_only = true; return KD_OK;
	case 'n': l->shows_image = true; return KD_OK;
	case 't': l->shows_time = true; return KD_OK;
	case 'm':
		l->has_pattern = args_word(&call->args, l->pattern, sizeof(l->pattern));
		return l->has_pattern
			       ? KD_OK
			       : call_fail(call, KD_E_SYNTAX, "lm m wants a pattern: lm m nt*");
	case 'a': l->has_address = true; return args_value(&call->args, &l->address);
	default:
		return call_fail(call, KD_E_SYNTAX,
				 "lm %c is not known; there are 1m a k m n o t u v", letter);
	}
}

/* Letters glued to the name or standing alone: lmvm nt, lm v m nt, lm1m. */
static enum kd_status take_letters(struct call *call, struct listing *l)
{
	enum kd_status s = KD_OK;

	while (s == KD_OK && !args_at_end(&call->args)) {
		char letter = *call->args.at;

		if (strncmp(call->args.at, "1m", 2) == 0) {
			l->names_only = true;
			call->args.at += 2;
			continue;
		}
		call->args.at++;
		s = take_letter(call, l, letter);
	}
	return s;
}

static bool is_user(const struct call *call, uint64_t address)
{
	return call->con->pointer_size == 8 ? address >> 63 == 0 : (uint32_t)address >> 31 == 0;
}

static bool is_listed(const struct call *call, const struct listing *l, const struct kd_module *m)
{
	if (l->has_pattern && !pattern_matches(l->pattern, m->name) &&
	    !pattern_matches(l->pattern, m->image_name))
		return false;
	if (l->has_address && (l->address < m->base || l->address - m->base >= m->size))
		return false;
	if (l->loaded_only && m->is_unloaded)
		return false;
	if (l->user_only && !is_user(call, m->base))
		return false;
	return !l->kernel_only || !is_user(call, m->base);
}

static void put_module(json_t *list, const struct kd_module *m)
{
	json_t *o = data_append_object(list);

	data_string(o, "name", m->name);
	data_string(o, "image_name", m->image_name);
	data_string(o, "image_path", m->image_path);
	data_address(o, "base", m->base);
	data_address(o, "end", m->base + m->size);
	data_address(o, "size", m->size);
	data_address(o, "timestamp", m->timestamp);
	data_address(o, "checksum", m->checksum);
	data_address(o, "entry_point", m->entry_point);
	data_string(o, "symbols", state_words[m->symbols]);
	data_string(o, "symbol_file", m->symbol_file);
	data_string(o, "symbol_note", m->symbol_note);
	data_string(o, "pdb_name", m->pdb_name);
	data_string(o, "pdb_id", m->pdb_id);
	data_bool(o, "is_unloaded", m->is_unloaded);
}

struct stamp {
	char s[64];
};

/* The link time, if it is one (reproducible builds put a hash there). */
static struct stamp stamp(const struct kd_module *m)
{
	struct stamp t = { "unavailable" };

	if (m->timestamp)
		value_filetime(t.s, sizeof(t.s),
			       (uint64_t)m->timestamp * 10000000 + UINT64_C(116444736000000000));
	return t;
}

static void show_verbose(struct call *call, const struct kd_module *m)
{
	struct out *o = call->out;

	if (m->symbol_file[0])
		out_printf(o, "    Loaded symbol image file: %s\n", m->symbol_file);
	out_printf(o, "    Image path: %s\n    Image name: %s\n", m->image_path, m->image_name);
	out_printf(o, "    Timestamp:        %s (%08X)\n", stamp(m).s, m->timestamp);
	out_printf(o, "    CheckSum:         %08X\n    ImageSize:        %08X\n", m->checksum,
		   m->size);
	if (m->entry_point)
		out_printf(o, "    Entry point:      %s\n", addr(call->con, m->entry_point).s);
	out_printf(o, "    PDB:              %s %s\n", m->pdb_name[0] ? m->pdb_name : "unknown",
		   m->pdb_id);
	if (m->symbol_note[0])
		out_printf(o, "    Symbols:          %s\n", m->symbol_note);
}

static void show_row(struct call *call, const struct listing *l, const struct kd_module *m)
{
	struct out *o = call->out;

	if (l->names_only) {
		out_printf(o, "%s\n", m->name);
		return;
	}
	out_printf(o, "%s %s   ", addr(call->con, m->base).s, addr(call->con, m->base + m->size).s);
	out_styled(o, OUT_SYMBOL, "%-10s", m->name);
	if (l->shows_time)
		out_printf(o, " %s (%08X)", stamp(m).s, m->timestamp);
	if (l->shows_image)
		out_printf(o, " %s", m->image_name);
	else if (!m->is_unloaded)
		out_printf(o, " (%s)%s%s", state_words[m->symbols],
			   m->symbol_file[0] ? "          " : "", m->symbol_file);
	out_printf(o, "\n");
	if (l->is_verbose)
		show_verbose(call, m);
}

static size_t show_rows(struct call *call, const struct listing *l,
			const struct kd_module *const *modules, size_t n, bool unloaded)
{
	json_t *list = call_array(call);
	size_t shown = 0;

	for (size_t i = 0; i < n; i++) {
		if (modules[i]->is_unloaded != unloaded || !is_listed(call, l, modules[i]))
			continue;
		if (unloaded && shown == 0 && !l->names_only)
			out_printf(call->out, "\nUnloaded modules:\n");
		show_row(call, l, modules[i]);
		put_module(list, modules[i]);
		shown++;
	}
	return shown;
}

static enum kd_status run_lm(struct call *call)
{
	struct listing l = { 0 };
	const struct kd_module *const *modules = NULL;
	size_t n = 0, shown;
	int width = call->con->pointer_size == 8 ? 17 : 8;
	enum kd_status s = take_letters(call, &l);

	if (s != KD_OK)
		return s;
	s = kd_module_list(call->session, &modules, &n, call->err);
	/* A damaged list: what could be read is there, and the error says where it ends. */
	if (s != KD_OK && s != KD_E_MALFORMED)
		return s;
	if (!l.names_only)
		out_printf(call->out, "%-*s %-*s   module name\n", width, "start", width, "end");
	shown = show_rows(call, &l, modules, n, false);
	shown += show_rows(call, &l, modules, n, true);
	if (s == KD_OK && shown == 0 && (l.has_pattern || l.has_address))
		return call_fail(call, KD_E_NOT_FOUND, "no module matches");
	return s;
}

/* --- .reload --- */

struct reload {
	bool forces, unloads, user_only;
	char name[128];
	bool has_base;
	uint64_t base, size;
};

static enum kd_status take_reload(struct call *call, struct reload *r)
{
	char word[128], *equals;

	while (args_switch(&call->args, '/', word, sizeof(word))) {
		if (strcmp(word, "f") == 0)
			r->forces = true;
		else if (strcmp(word, "u") == 0)
			r->unloads = true;
		else if (strcmp(word, "user") == 0)
			r->user_only = true;
		else
			return call_fail(call, KD_E_SYNTAX,
					 "/%s is not known; there are /f /u /user", word);
	}
	if (args_at_end(&call->args))
		return KD_OK;
	equals = strchr(call->args.at, '=');
	if (!equals) {
		args_word(&call->args, r->name, sizeof(r->name));
		return args_done(&call->args);
	}
	app_copy(r->name, sizeof(r->name), call->args.at, (size_t)(equals - call->args.at));
	call->args.at = equals + 1;
	r->has_base = true;
	enum kd_status s = args_value(&call->args, &r->base);
	if (s == KD_OK && args_take_char(&call->args, ','))
		s = args_value(&call->args, &r->size);
	return s == KD_OK ? args_done(&call->args) : s;
}

static enum kd_status add_by_hand(struct call *call, const struct reload *r)
{
	if (r->size == 0 || r->size > UINT32_MAX)
		return call_fail(call, KD_E_INVALID,
				 "a size is needed: .reload NAME=BASE,SIZE (SIZE below 4 GB)");
	return kd_module_add(call->session, r->name, r->base, (uint32_t)r->size, call->err);
}

/* Symbols of what matches, now; a missing PDB is told and does not end the rest. */
static enum kd_status load_matching(struct call *call, const char *pattern)
{
	const struct kd_module *const *modules;
	size_t n, matched = 0;
	enum kd_status s = kd_module_list(call->session, &modules, &n, call->err), first = KD_OK;
	struct kd_error err = { 0 };

	for (size_t i = 0; s == KD_OK && i < n; i++) {
		const struct kd_module *m = modules[i];

		if (m->is_unloaded || (!pattern_matches(pattern, m->name) &&
				       !pattern_matches(pattern, m->image_name)))
			continue;
		matched++;
		out_transient(call->out, "loading symbols of %s (%zu of %zu)", m->name, i + 1, n);
		s = kd_module_load_symbols(call->session, m, &err);
		if (s == KD_E_CANCELLED)
			break;
		if (s != KD_OK) {
			out_printf(call->out, "%s: %s\n", m->name, err.text);
			first = first == KD_OK ? s : first;
		}
		s = KD_OK;
	}
	out_transient(call->out, NULL);
	if (s == KD_OK && matched == 0)
		return call_fail(call, KD_E_NOT_FOUND, "no module matches '%s'", pattern);
	/* One module asked for by name: that it has no symbols is the command's failure. */
	if (s == KD_OK && first != KD_OK && pattern_is_literal(pattern)) {
		*call->err = err;
		return first;
	}
	return s;
}

static enum kd_status run_reload(struct call *call)
{
	struct reload r = { 0 };
	enum kd_status s = take_reload(call, &r);

	if (s != KD_OK)
		return s;
	if (r.has_base)
		return add_by_hand(call, &r);
	if (r.user_only)
		return kd_module_reload_user(call->session, call->err);
	s = kd_module_reload(call->session, r.name[0] ? r.name : r.unloads ? "*" : NULL, call->err);
	if (s == KD_OK && r.forces)
		s = load_matching(call, r.name[0] ? r.name : "*");
	return s;
}

/* clang-format off */
static const struct command commands[] = {
	{ "lm", "lm [v] [n] [t] [o] [k|u] [1m] [m PATTERN] [a ADDRESS]\nlmvm PATTERN",
	  "List loaded modules, the kernel first\n"
	  "v: all that is known of each. n: image names. t: time stamps. o: without unloaded ones. k, u: kernel or user "
	  "ones. 1m: names only. m: those that match. a: the one that holds an address.",
	  "lmvm nt", "modules", CMD_STOPPED, WORDS_MODULES, run_lm, "vnokumat", NULL },
	{ ".reload", ".reload [/f|/u] [PATTERN]\n.reload /user\n.reload NAME=BASE,SIZE",
	  "Read the module list anew; symbols of PATTERN are looked up again\n"
	  "/f: load symbols now and tell what is missing. /u: forget symbols. /user: the modules of the "
	  "process that .process set. With `=`: tell about a module that no list names.",
	  ".reload /f nt", NULL, CMD_STOPPED, WORDS_MODULES, run_reload, NULL, NULL },
};
/* clang-format on */

FAMILY(family_module, "Modules");
