/* SPDX-License-Identifier: MIT */
/* x, ln, .sympath, .symfix, !sym */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openkd/module.h>
#include <openkd/symbol.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"

enum { SYMBOLS_MAX = 1 << 20, TYPE_TEXT_MAX = 1024 };

/* --- x --- */

struct found {
	char *name; /* with the module */
	uint64_t address;
	uint32_t size;
	bool is_function, is_export_only;
};

struct listing {
	struct call *call;
	struct found *items;
	size_t n, capacity;
	bool functions_only, data_only, by_name, is_cut;
	char columns; /* '0' addresses, '1' names, '2' both, 0: all */
};

static bool keep_symbol(void *context, const struct kd_symbol *symbol)
{
	struct listing *l = context;
	struct text t = TEXT_INIT;

	if ((l->functions_only && !symbol->is_function) || (l->data_only && symbol->is_function))
		return true;
	if (l->n == SYMBOLS_MAX || console_interrupted(l->call->con)) {
		l->is_cut = true;
		return false;
	}
	if (l->n == l->capacity) {
		l->capacity = l->capacity ? 2 * l->capacity : 256;
		struct found *more = realloc(l->items, l->capacity * sizeof(*more));

		if (!more) {
			l->is_cut = true;
			return false;
		}
		l->items = more;
	}
	text_printf(&t, "%s!%s", symbol->module ? symbol->module->name : "", symbol->name);
	l->items[l->n++] = (struct found){ text_take(&t), symbol->address, symbol->size,
					   symbol->is_function, symbol->is_export_only };
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcasecmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

/* "(void*, unsigned long)" */
static void take_parameters(struct call *call, struct kd_type type, char *text, size_t size)
{
	char prototype[TYPE_TEXT_MAX];
	const char *begin;

	kd_type_prototype(call->session, type, prototype, sizeof(prototype));
	begin = strchr(prototype, '(');
	snprintf(text, size, "%s", begin ? begin : "");
}

/* What x says in parentheses: the type where private symbols tell it. */
static void describe(struct call *call, const struct found *f, char *text, size_t size)
{
	struct kd_type type;
	uint64_t address;

	bool has_type = !f->is_export_only &&
			kd_type_of_symbol(call->session, f->name, &type, &address, NULL) == KD_OK;

	text[0] = '\0';
	if (f->is_export_only)
		snprintf(text, size, "(export)");
	else if (has_type && f->is_function)
		take_parameters(call, type, text, size);
	else if (has_type)
		kd_type_format(call->session, type, text, size);
	if (!text[0])
		snprintf(text, size,
			 f->is_function ? "(<no parameter info>)" : "= <no type information>");
	/* A pointer to a function ends in blanks. */
	for (size_t n = strlen(text); n > 0 && text[n - 1] == ' ';)
		text[--n] = '\0';
}

static void show_found(struct listing *l, const struct found *f)
{
	struct call *call = l->call;
	json_t *o = data_append_object(call_array(call));
	char type[TYPE_TEXT_MAX] = "";

	if (!l->columns)
		describe(call, f, type, sizeof(type));
	if (l->columns != '1')
		out_printf(call->out, "%s%s", addr(call->con, f->address).s,
			   l->columns == '0' ? "" : " ");
	if (l->columns != '0')
		out_styled(call->out, OUT_SYMBOL, "%s", f->name);
	out_printf(call->out, "%s%s\n", type[0] ? " " : "", type);
	data_address(o, "address", f->address);
	data_string(o, "symbol", f->name);
	data_integer(o, "size", f->size);
	data_bool(o, "is_function", f->is_function);
}

static enum kd_status take_x_options(struct call *call, struct listing *l)
{
	char word[8];

	while (args_switch(&call->args, '/', word, sizeof(word))) {
		switch (word[1] ? 0 : word[0]) {
		case '0':
		case '1':
		case '2': l->columns = word[0]; break;
		case 'f': l->functions_only = true; break;
		case 'd': l->data_only = true; break;
		case 'n': l->by_name = true; break;
		case 'a': l->by_name = false; break;
		default:
			return call_fail(call, KD_E_SYNTAX,
					 "/%s is not known; there are /0 /1 /2 /a /d /f /n", word);
		}
	}
	return KD_OK;
}

static enum kd_status list_symbols(struct call *call, struct listing *l)
{
	char *pattern = args_rest(&call->args);
	enum kd_status s;

	if (!*pattern) {
		free(pattern);
		return call_fail(call, KD_E_SYNTAX, "which symbols? x nt!Ke*");
	}
	s = kd_symbol_enumerate(call->session, pattern, keep_symbol, l, call->err);
	if (s == KD_OK && l->n == 0)
		out_printf(call->out, "No symbol matches '%s'\n", pattern);
	free(pattern);
	return s;
}

static enum kd_status run_x(struct call *call)
{
	struct listing l = { .call = call };
	enum kd_status s = take_x_options(call, &l);

	call_array(call);
	if (s == KD_OK)
		s = list_symbols(call, &l);
	if (l.by_name)
		qsort(l.items, l.n, sizeof(*l.items), by_name);
	for (size_t i = 0; i < l.n; i++) {
		if (s == KD_OK)
			show_found(&l, &l.items[i]);
		free(l.items[i].name);
	}
	free(l.items);
	if (s == KD_OK && l.is_cut)
		return console_interrupted(call->con)
			       ? call_fail(call, KD_E_CANCELLED, "cancelled")
			       : call_fail(call, KD_E_TOO_BIG, "more than %d symbols match",
					   SYMBOLS_MAX);
	return s;
}

/* --- ln --- */

static void qualified(const struct kd_symbol *s, char *text, size_t size)
{
	snprintf(text, size, "%s!%s", s->module ? s->module->name : "", s->name);
}

static enum kd_status nearest(struct call *call, uint64_t address, struct kd_symbol *at,
			      struct kd_symbol *after)
{
	char name[600], next[600] = "";
	uint64_t displacement;
	json_t *o = call_object(call);
	enum kd_status s = kd_symbol_at(call->session, address, at, &displacement, call->err);
	bool has_next = kd_symbol_after(call->session, address, after, NULL) == KD_OK;

	if (s != KD_OK)
		return s;
	qualified(at, name, sizeof(name));
	out_printf(call->out, "(%s)   %s", addr(call->con, at->address).s, name);
	if (displacement)
		out_printf(call->out, "+0x%llx", (unsigned long long)displacement);
	if (has_next) {
		qualified(after, next, sizeof(next));
		out_printf(call->out, "   |  (%s)   %s", addr(call->con, after->address).s, next);
	}
	out_printf(call->out, "\n");
	if (displacement == 0)
		out_printf(call->out, "Exact matches:\n    %s\n", name);
	data_address(o, "address", at->address);
	data_string(o, "symbol", name);
	data_address(o, "displacement", displacement);
	data_string(o, "next_symbol", next);
	data_address(o, "next_address", has_next ? after->address : 0);
	return KD_OK;
}

static enum kd_status run_ln(struct call *call)
{
	struct kd_symbol *at, *after;
	uint64_t address;
	enum kd_status s = args_value_or(&call->args, call->con->next_code, &address);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s != KD_OK)
		return s;
	at = app_alloc(sizeof(*at));
	after = app_alloc(sizeof(*after));
	s = nearest(call, address, at, after);
	free(at);
	free(after);
	return s;
}

/* --- paths --- */

static enum kd_status set_path(struct call *call, bool appends)
{
	char *rest = args_rest(&call->args);
	struct text path = TEXT_INIT;
	enum kd_status s = KD_OK;

	if (*rest) {
		if (appends && *kd_symbol_path(call->session))
			text_printf(&path, "%s;", kd_symbol_path(call->session));
		text_add(&path, rest);
		s = kd_symbol_path_set(call->session, text_string(&path), call->err);
	}
	text_free(&path);
	free(rest);
	return s;
}

static enum kd_status run_sympath(struct call *call)
{
	bool appends = *call->args.at == '+';
	enum kd_status s;

	call->args.at += appends;
	s = set_path(call, appends);
	if (s != KD_OK)
		return s;
	out_printf(call->out, "Symbol search path is: %s\n",
		   *kd_symbol_path(call->session) ? kd_symbol_path(call->session) : "<empty>");
	data_string(call_object(call), "path", kd_symbol_path(call->session));
	return KD_OK;
}

static enum kd_status run_symfix(struct call *call)
{
	return call_fail(
		call, KD_E_UNSUPPORTED,
		"symbol servers are not asked by this version: put the PDBs in a folder (as "
		"NAME.pdb, or NAME.pdb/GUIDAGE/NAME.pdb) and name it with .sympath; !sym noisy "
		"shows which are missing");
}

static enum kd_status run_sym(struct call *call)
{
	if (args_take(&call->args, "noisy"))
		call->con->symbols_are_noisy = true;
	else if (args_take(&call->args, "quiet"))
		call->con->symbols_are_noisy = false;
	else if (!args_at_end(&call->args))
		return call_fail(call, KD_E_SYNTAX, "!sym noisy or !sym quiet");
	out_printf(call->out, "%s mode - symbol searches are %s\n",
		   call->con->symbols_are_noisy ? "noisy" : "quiet",
		   call->con->symbols_are_noisy ? "shown" : "not shown");
	return args_done(&call->args);
}

/* clang-format off */
static const struct command commands[] = {
	{ "x", "x [/0|/1|/2] [/f|/d] [/n|/a] MODULE!PATTERN",
	  "List symbols that match\n/0 addresses only, /1 names only, /2 both; /f functions, /d data; /n by "
	  "name, /a by address. Wildcards: `*` `?` `[a-z]` `x#` `x+`.",
	  "x nt!KeBug*", "symbols", CMD_STOPPED, WORDS_SYMBOLS, run_x, NULL, NULL },
	{ "ln", "ln [ADDRESS]", "Show the symbols around an address", "ln @rip",
	  "nearest", CMD_STOPPED, WORDS_SYMBOLS, run_ln, NULL, NULL },
	{ ".sympath", ".sympath[+] [FOLDER[;FOLDER...]]",
	  "Show or set where PDB files are looked for; `+` appends", ".sympath+ /home/me/symbols",
	  "path", 0, WORDS_FILES, run_sympath, NULL, NULL },
	{ ".symfix", ".symfix", "Explains where symbols come from (symbol servers are not asked)",
	  ".symfix", NULL, 0, WORDS_NONE, run_symfix, NULL, NULL },
	{ "!sym", "!sym [noisy|quiet]", "Show where symbols are looked for, or stop showing it",
	  "!sym noisy", NULL, 0, WORDS_NONE, run_sym, NULL, NULL },
};
/* clang-format on */

FAMILY(family_symbol, "Symbols");
