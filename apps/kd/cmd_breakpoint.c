/* SPDX-License-Identifier: MIT */
/* bp bu bm ba bl bc bd be */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/breakpoint.h>
#include <openkd/expression.h>
#include <openkd/register.h>
#include <openkd/symbol.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"

enum { BM_MAX = 1000 };

/* A specification with the strings it borrows. */
struct spec {
	struct kd_breakpoint_spec s;
	int id;
	char *expression, *condition, *command;
};

static void free_spec(struct spec *spec)
{
	free(spec->expression);
	free(spec->condition);
	free(spec->command);
}

/* The id glued to the name: bp3. -1: none. */
static int glued_id(struct call *call)
{
	int id = -1;

	if (isdigit((unsigned char)*call->args.at)) {
		char *end;

		id = (int)APP_MIN(strtoul(call->args.at, &end, 10), 100000UL);
		call->args.at = end;
	}
	return id;
}

/* --- options before the address --- */

static enum kd_status one_shot(struct call *call, struct spec *spec)
{
	(void)call;
	spec->s.is_one_shot = true;
	return KD_OK;
}

static enum kd_status of_process(struct call *call, struct spec *spec)
{
	return args_value(&call->args, &spec->s.process);
}

static enum kd_status of_thread(struct call *call, struct spec *spec)
{
	return args_value(&call->args, &spec->s.thread);
}

static enum kd_status on_condition(struct call *call, struct spec *spec)
{
	free(spec->condition);
	spec->condition = args_quoted(&call->args);
	if (!spec->condition)
		return call_fail(call, KD_E_SYNTAX, "/w wants a \"condition\" in quotes");
	return KD_OK;
}

static const struct {
	const char *name;
	enum kd_status (*take)(struct call *call, struct spec *spec);
} options[] = {
	{ "1", one_shot },
	{ "p", of_process },
	{ "t", of_thread },
	{ "w", on_condition },
};

static enum kd_status take_options(struct call *call, struct spec *spec)
{
	char name[16];

	while (args_switch(&call->args, '/', name, sizeof(name))) {
		enum kd_status s;
		size_t i = 0;

		while (i < APP_ARRAY_LEN(options) && strcmp(options[i].name, name) != 0)
			i++;
		if (i == APP_ARRAY_LEN(options))
			return call_fail(call, KD_E_SYNTAX,
					 "no option /%s here; there are /1 /p /t /w", name);
		s = options[i].take(call, spec);
		if (s != KD_OK)
			return s;
	}
	return KD_OK;
}

/* --- the address --- */

static bool looks_like_symbol(const char *word)
{
	return strchr(word, '!') || isalpha((unsigned char)*word) || *word == '_';
}

/* What cannot be evaluated now may come with a module: the word is kept. */
static enum kd_status take_deferred(struct call *call, struct spec *spec, const char *start,
				    enum kd_status s)
{
	struct args a = call->args;
	char word[256];

	a.at = start;
	if (s != KD_E_NOT_FOUND || !args_word(&a, word, sizeof(word)) || !looks_like_symbol(word))
		return s;
	if (strcmp(call->name, "bu") != 0)
		out_printf(call->out, "'%s' is not known yet: the breakpoint is deferred\n", word);
	*call->err = (struct kd_error){ 0 };
	spec->expression = app_strdup(word);
	call->args.at = a.at;
	return KD_OK;
}

static enum kd_status take_address(struct call *call, struct spec *spec, bool keeps_expression)
{
	const char *start;
	enum kd_status s;
	size_t size;

	if (args_at_end(&call->args) || strchr("\"/", *call->args.at))
		return kd_register_pc(call->session, &spec->s.address, call->err);
	start = call->args.at;
	s = args_value(&call->args, &spec->s.address);
	if (s != KD_OK)
		return take_deferred(call, spec, start, s);
	if (keeps_expression) {
		size = (size_t)(call->args.at - start);
		while (size > 0 && isspace((unsigned char)start[size - 1]))
			size--;
		spec->expression = app_strndup(start, size);
	}
	return KD_OK;
}

/* [ADDRESS [PASSES]] ["COMMANDS"] */
static enum kd_status take_place(struct call *call, struct spec *spec, bool keeps_expression)
{
	uint64_t passes = 1;
	enum kd_status s = take_address(call, spec, keeps_expression);

	if (s == KD_OK && !args_at_end(&call->args) && !strchr("\"/", *call->args.at))
		s = args_value(&call->args, &passes);
	if (s != KD_OK)
		return s;
	if (passes == 0 || passes > UINT32_MAX)
		return call_fail(call, KD_E_INVALID, "a pass count is 1 to 0xffffffff");
	spec->s.passes = (uint32_t)passes;
	s = take_options(call, spec); /* people write them here too */
	if (s != KD_OK)
		return s;
	spec->command = args_quoted(&call->args);
	return args_done(&call->args);
}

/* --- setting --- */

/* The breakpoint that this one would double. */
static int find_double(struct call *call, const struct spec *spec)
{
	const struct kd_breakpoint *b;

	for (size_t i = 0; (b = kd_breakpoint_nth(call->session, i)); i++) {
		if (b->kind != spec->s.kind || b->process != spec->s.process ||
		    b->thread != spec->s.thread)
			continue;
		if (spec->expression ? b->expression && !strcmp(b->expression, spec->expression)
				     : !b->is_deferred && b->address == spec->s.address)
			return b->id;
	}
	return -1;
}

static enum kd_status add(struct call *call, struct spec *spec, int *id_ret)
{
	enum kd_status s;

	spec->s.expression = spec->expression;
	spec->s.condition = spec->condition;
	spec->s.command = spec->command;
	if (spec->id < 0) {
		spec->id = find_double(call, spec);
		if (spec->id >= 0)
			out_printf(call->out, "breakpoint %d redefined\n", spec->id);
	}
	s = kd_breakpoint_add(call->session, spec->id, &spec->s, id_ret, call->err);
	return s;
}

static void put_breakpoint(struct call *call, json_t *o, const struct kd_breakpoint *b);

static enum kd_status set_and_tell(struct call *call, struct spec *spec)
{
	int id;
	enum kd_status s = add(call, spec, &id);

	if (s == KD_OK)
		put_breakpoint(call, call_object(call), kd_breakpoint_find(call->session, id));
	return s;
}

static enum kd_status run_bp(struct call *call)
{
	struct spec spec = { .s = KD_BREAKPOINT_SPEC_INIT };
	enum kd_status s;

	spec.id = glued_id(call);
	s = take_options(call, &spec);
	if (s == KD_OK)
		s = take_place(call, &spec, strcmp(call->name, "bu") == 0);
	if (s == KD_OK)
		s = set_and_tell(call, &spec);
	free_spec(&spec);
	return s;
}

static const struct {
	char letter;
	enum kd_breakpoint_kind kind;
} access_kinds[] = {
	{ 'e', KD_BREAKPOINT_EXECUTE },
	{ 'w', KD_BREAKPOINT_WRITE },
	{ 'r', KD_BREAKPOINT_ACCESS },
	{ 'i', KD_BREAKPOINT_IO },
};

static char access_letter(enum kd_breakpoint_kind kind)
{
	for (size_t i = 0; i < APP_ARRAY_LEN(access_kinds); i++)
		if (access_kinds[i].kind == kind)
			return access_kinds[i].letter;
	return 0;
}

static enum kd_status take_access(struct call *call, struct spec *spec)
{
	uint64_t size;
	size_t i = 0;
	enum kd_status s;

	args_at_end(&call->args);
	while (i < APP_ARRAY_LEN(access_kinds) && access_kinds[i].letter != *call->args.at)
		i++;
	if (i == APP_ARRAY_LEN(access_kinds))
		return call_fail(call, KD_E_SYNTAX,
				 "ba wants e, r, w or i and a size: ba w4 ADDRESS");
	call->args.at++;
	spec->s.kind = access_kinds[i].kind;
	s = args_value(&call->args, &size);
	if (s == KD_OK && size != 1 && size != 2 && size != 4 && size != 8)
		return call_fail(call, KD_E_INVALID, "a size is 1, 2, 4 or 8");
	spec->s.access_size = (uint8_t)size;
	return s;
}

static enum kd_status run_ba(struct call *call)
{
	struct spec spec = { .s = KD_BREAKPOINT_SPEC_INIT };
	enum kd_status s;

	spec.id = glued_id(call);
	s = take_access(call, &spec);
	if (s == KD_OK)
		s = take_options(call, &spec);
	if (s == KD_OK)
		s = take_place(call, &spec, false);
	if (s == KD_OK)
		s = set_and_tell(call, &spec);
	free_spec(&spec);
	return s;
}

/* --- bm --- */

struct matches {
	char *names[BM_MAX];
	uint64_t addresses[BM_MAX];
	size_t n;
	bool takes_data, is_cut;
};

static bool collect(void *context, const struct kd_symbol *symbol)
{
	struct matches *m = context;
	struct text t = TEXT_INIT;

	if (!symbol->is_function && !m->takes_data)
		return true;
	if (m->n == BM_MAX) {
		m->is_cut = true;
		return false;
	}
	text_printf(&t, "%s!%s", symbol->module ? symbol->module->name : "", symbol->name);
	m->addresses[m->n] = symbol->address;
	m->names[m->n++] = text_take(&t);
	return true;
}

static enum kd_status set_matches(struct call *call, const struct matches *m,
				  const struct spec *model, bool by_address)
{
	json_t *list = call_array(call);

	for (size_t i = 0; i < m->n; i++) {
		struct spec one = *model;
		int id;
		enum kd_status s;

		one.s.address = m->addresses[i];
		one.expression = by_address ? NULL : m->names[i];
		s = add(call, &one, &id);
		if (s != KD_OK)
			return s;
		out_printf(call->out, "%3d: %s @!\"%s\"\n", id, addr(call->con, m->addresses[i]).s,
			   m->names[i]);
		put_breakpoint(call, data_append_object(list),
			       kd_breakpoint_find(call->session, id));
	}
	return KD_OK;
}

/* /a and /d are bm's own; the rest is bp's. */
static void take_bm_options(struct call *call, bool *takes_data, bool *by_address)
{
	for (;;) {
		if (args_take(&call->args, "/a"))
			*takes_data = true;
		else if (args_take(&call->args, "/d"))
			*by_address = true;
		else
			return;
	}
}

static enum kd_status find_and_set(struct call *call, struct spec *spec, struct matches *m,
				   bool by_address)
{
	char pattern[256];
	enum kd_status s = take_options(call, spec);

	if (s != KD_OK)
		return s;
	if (!args_word(&call->args, pattern, sizeof(pattern)))
		return call_fail(call, KD_E_SYNTAX, "bm wants a pattern: bm nt!KeBug*");
	if (!args_at_end(&call->args) && *call->args.at != '"') {
		uint64_t passes;

		s = args_value(&call->args, &passes);
		if (s != KD_OK)
			return s;
		spec->s.passes = (uint32_t)APP_MIN(passes, (uint64_t)UINT32_MAX);
	}
	spec->command = args_quoted(&call->args);
	s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_symbol_enumerate(call->session, pattern, collect, m, call->err);
	if (s != KD_OK)
		return s;
	if (m->n == 0)
		return call_fail(call, KD_E_NOT_FOUND, "no function matches '%s'", pattern);
	if (m->is_cut)
		return call_fail(call, KD_E_TOO_BIG, "more than %d symbols match '%s'", BM_MAX,
				 pattern);
	return set_matches(call, m, spec, by_address);
}

static enum kd_status run_bm(struct call *call)
{
	struct spec spec = { .s = KD_BREAKPOINT_SPEC_INIT, .id = -1 };
	struct matches *m = app_alloc(sizeof(*m));
	bool by_address = false;
	enum kd_status s;

	take_bm_options(call, &m->takes_data, &by_address);
	s = find_and_set(call, &spec, m, by_address);
	for (size_t i = 0; i < m->n; i++)
		free(m->names[i]);
	free(m);
	free_spec(&spec);
	return s;
}

/* --- bl --- */

static void put_breakpoint(struct call *call, json_t *o, const struct kd_breakpoint *b)
{
	static const char *const kinds[] = { "code", "execute", "write", "access", "io" };

	if (!o || !b)
		return;
	data_integer(o, "id", b->id);
	data_string(o, "kind", kinds[b->kind]);
	data_bool(o, "enabled", b->is_enabled);
	data_bool(o, "deferred", b->is_deferred);
	data_bool(o, "one_shot", b->is_one_shot);
	data_address(o, "address", b->address);
	data_string(o, "symbol",
		    b->expression ? b->expression : symbol_of(call->con, b->address).s);
	data_integer(o, "size", b->access_size);
	data_integer(o, "passes", b->passes);
	data_integer(o, "passes_left", b->passes_left);
	data_integer(o, "hits", (long long)b->hits);
	data_address(o, "process", b->process);
	data_address(o, "thread", b->thread);
	data_string(o, "condition", b->condition ? b->condition : "");
	data_string(o, "command", b->command ? b->command : "");
}

static void list_one(struct call *call, const struct kd_breakpoint *b)
{
	struct out *o = call->out;
	char letter = access_letter(b->kind);

	out_printf(o, "%3d %c%s", b->id, b->is_enabled ? 'e' : 'd', b->is_deferred ? "u" : " ");
	if (b->is_deferred)
		out_printf(o, " %*s", call->con->pointer_size == 8 ? 17 : 8, "");
	else
		out_printf(o, " %s", addr(call->con, b->address).s);
	if (letter)
		out_printf(o, " %c %u", letter, b->access_size);
	out_printf(o, " %s %04x (%04x)", letter ? "" : "   ", b->passes_left, b->passes);
	if (b->process || b->thread)
		out_printf(o, " %s:%s", b->process ? addr(call->con, b->process).s : "*",
			   b->thread ? addr(call->con, b->thread).s : "*");
	if (b->is_deferred)
		out_printf(o, " (%s)", b->expression ? b->expression : "");
	else
		out_printf(o, " %s", symbol_of(call->con, b->address).s);
	if (b->is_one_shot)
		out_printf(o, " /1");
	if (b->condition)
		out_printf(o, " /w \"%s\"", b->condition);
	if (b->command)
		out_printf(o, " \"%s\"", b->command);
	if (b->hits)
		out_printf(o, " [%llu hits]", (unsigned long long)b->hits);
	out_printf(o, "\n");
}

struct id_call {
	struct call *call;
	json_t *list;
	int n_missing, first_missing;
};

static int id_limit(struct call *call)
{
	const struct kd_breakpoint *b;
	int limit = 0;

	for (size_t i = 0; (b = kd_breakpoint_nth(call->session, i)); i++)
		limit = APP_MAX(limit, b->id + 1);
	return limit;
}

/* False: that id is not there; it is an error when it was named by itself. */
static bool exists(struct id_call *ic, int id, bool is_explicit)
{
	if (kd_breakpoint_find(ic->call->session, id))
		return true;
	if (is_explicit && ic->n_missing++ == 0)
		ic->first_missing = id;
	return false;
}

static enum kd_status list_id(void *context, int id, bool is_explicit)
{
	struct id_call *ic = context;

	if (exists(ic, id, is_explicit)) {
		list_one(ic->call, kd_breakpoint_find(ic->call->session, id));
		put_breakpoint(ic->call, data_append_object(ic->list),
			       kd_breakpoint_find(ic->call->session, id));
	}
	return KD_OK;
}

static enum kd_status clear_id(void *context, int id, bool is_explicit)
{
	struct id_call *ic = context;

	if (!exists(ic, id, is_explicit))
		return KD_OK;
	return kd_breakpoint_remove(ic->call->session, id, ic->call->err);
}

static enum kd_status disable_id(void *context, int id, bool is_explicit)
{
	struct id_call *ic = context;

	if (!exists(ic, id, is_explicit))
		return KD_OK;
	return kd_breakpoint_enable(ic->call->session, id, false, ic->call->err);
}

static enum kd_status enable_id(void *context, int id, bool is_explicit)
{
	struct id_call *ic = context;

	if (!exists(ic, id, is_explicit))
		return KD_OK;
	return kd_breakpoint_enable(ic->call->session, id, true, ic->call->err);
}

static enum kd_status for_ids(struct call *call, args_id_fn fn, json_t *list)
{
	struct id_call ic = { .call = call, .list = list };
	enum kd_status s = args_ids(&call->args, id_limit(call), fn, &ic);

	if (s == KD_OK && ic.n_missing)
		return call_fail(call, KD_E_NOT_FOUND, "no breakpoint %d; bl lists them",
				 ic.first_missing);
	return s;
}

static enum kd_status run_bl(struct call *call)
{
	json_t *list = call_array(call);

	if (args_at_end(&call->args))
		call->args.at = "*";
	return for_ids(call, list_id, list);
}

static enum kd_status run_bc(struct call *call)
{
	return for_ids(call, clear_id, NULL);
}

static enum kd_status run_bd(struct call *call)
{
	return for_ids(call, disable_id, NULL);
}

static enum kd_status run_be(struct call *call)
{
	return for_ids(call, enable_id, NULL);
}

/* clang-format off */
static const struct command commands[] = {
	{ "bp", "bp[ID] [/1] [/p EPROCESS] [/t ETHREAD] [/w \"CONDITION\"] [ADDRESS [PASSES]] [\"COMMANDS\"]",
	  "Set a breakpoint at an address\n"
	  "/1: gone after the first hit. /p, /t: only in that process or thread. /w: stop only when the "
	  "condition is true. PASSES: stop at the n-th hit. COMMANDS run at the stop; ending in `gc` they "
	  "let the target go on. A symbol that is not known yet makes the breakpoint deferred, as bu. "
	  "The target's table holds 32 of these. When the target restarts, breakpoints by name are set "
	  "again; those by number are disabled, for the address may mean something else.",
	  "bp nt!NtCreateFile \"k 3; gc\"",
	  "breakpoint", CMD_STOPPED | CMD_CHANGES, WORDS_SYMBOLS, run_bp, NULL, NULL },
	{ "bu", "bu[ID] [/1] [/p EPROCESS] [/t ETHREAD] [/w \"CONDITION\"] [ADDRESS [PASSES]] [\"COMMANDS\"]",
	  "Set a breakpoint at an expression, which is evaluated again whenever a module comes",
	  "bu mydriver!DriverEntry",
	  "breakpoint", CMD_STOPPED | CMD_CHANGES, WORDS_SYMBOLS, run_bp, NULL, NULL },
	{ "bm", "bm [/a] [/d] [/1] [/p EPROCESS] [/t ETHREAD] [/w \"CONDITION\"] PATTERN [PASSES] [\"COMMANDS\"]",
	  "Set breakpoints at all functions that match\n"
	  "/a: data symbols too. /d: at addresses instead of expressions.", "bm demo!Demo*",
	  "breakpoints", CMD_STOPPED | CMD_CHANGES, WORDS_SYMBOLS, run_bm, NULL, NULL },
	{ "ba", "ba[ID] e|r|w|i SIZE [/1] [/p EPROCESS] [/t ETHREAD] [/w \"CONDITION\"] [ADDRESS [PASSES]] [\"COMMANDS\"]",
	  "Set a breakpoint in a debug register: at execution (e 1), write (w), read or write (r), port "
	  "access (i)\n"
	  "SIZE is 1, 2, 4 or 8 bytes, and the address aligned to it. There are four.",
	  "ba w4 demo!DemoCounter",
	  "breakpoint", CMD_STOPPED | CMD_CHANGES, WORDS_SYMBOLS, run_ba, NULL, NULL },
	{ "bl", "bl [ID ...]",
	  "List breakpoints: id, enabled or disabled (u: deferred), address, access, passes left (passes), "
	  "place", "bl",
	  "breakpoints", 0, WORDS_NONE, run_bl, NULL, NULL },
	{ "bc", "bc ID ...|*", "Clear breakpoints\nIds: `1 3`, `2-5`, `*`.", "bc 0-3",
	  NULL, CMD_CHANGES, WORDS_NONE, run_bc, NULL, NULL },
	{ "bd", "bd ID ...|*", "Disable breakpoints", "bd *",
	  NULL, CMD_CHANGES, WORDS_NONE, run_bd, NULL, NULL },
	{ "be", "be ID ...|*", "Enable breakpoints", "be 1 2",
	  NULL, CMD_CHANGES, WORDS_NONE, run_be, NULL, NULL },
};
/* clang-format on */

FAMILY(family_breakpoint, "Breakpoints");
