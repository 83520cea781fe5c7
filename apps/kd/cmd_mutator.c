/* SPDX-License-Identifier: MIT */
/* !mutator */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/error.h>
#include <openkd/mutator.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/program_path.h"
#include "apps/kd/traffic.h"
#include "apps/kd/traffic_ops.h"

static const char *const kind_names[] = { "builtin", "python", "program" };
static const char *const filter_names[] = { "bpf", "display" };

/* --- the list --- */

static void show(struct call *call, json_t *list, const struct kd_mutator *m)
{
	json_t *o = data_append_object(list);

	out_printf(call->out, "%3d  %-8s %-24s seed=%" PRIu64, m->id, kind_names[m->kind],
		   m->source, m->seed);
	if (m->one_in > 1)
		out_printf(call->out, " one=%u", m->one_in);
	if (m->filter[0])
		out_printf(call->out, " %s %s", filter_names[m->filter_kind], m->filter);
	out_printf(call->out,
		   "\n     %" PRIu64 " seen, %" PRIu64 " changed, %" PRIu64 " dropped, %" PRIu64
		   " failed, %" PRIu64 " late%s\n",
		   m->seen, m->changed, m->dropped, m->failed, m->late,
		   m->is_disabled ? "; not asked any more" : "");
	if (m->last_error[0])
		out_printf(call->out, "     %s\n", m->last_error);
	data_integer(o, "id", m->id);
	data_string(o, "kind", kind_names[m->kind]);
	data_string(o, "source", m->source);
	data_string(o, "filter_kind", filter_names[m->filter_kind]);
	data_string(o, "filter", m->filter);
	data_string(o, "seed", value_json(m->seed).s);
	data_integer(o, "one_in", m->one_in);
	data_integer(o, "seen", (long long)m->seen);
	data_integer(o, "changed", (long long)m->changed);
	data_integer(o, "dropped", (long long)m->dropped);
	data_integer(o, "failed", (long long)m->failed);
	data_integer(o, "late", (long long)m->late);
	data_bool(o, "is_disabled", m->is_disabled);
	data_string(o, "last_error", m->last_error);
}

static enum kd_status list(struct call *call)
{
	struct kd_mutators *all = call->con->traffic.mutators;
	json_t *data = call_array(call);
	struct kd_mutator m;
	uint64_t done, left;
	size_t n = 0;

	while (all && kd_mutator_nth(all, n, &m)) {
		show(call, data, &m);
		n++;
	}
	if (n == 0)
		out_printf(call->out, "There are no mutators\n");
	if (!all)
		return KD_OK;
	kd_mutators_replay_state(all, &done, &left);
	if (done + left)
		out_printf(call->out, "Replay: %" PRIu64 " done, %" PRIu64 " to come\n", done,
			   left);
	return KD_OK;
}

static enum kd_status names(struct call *call)
{
	for (const char *const *n = kd_mutator_builtins(); *n; n += 2)
		out_printf(call->out, "%-12s %s\n", n[0], n[1]);
	return KD_OK;
}

/* --- adding --- */

static enum kd_status need(struct call *call, struct kd_mutators **ret)
{
	struct traffic *ours = &call->con->traffic;
	struct kd_traffic *t;
	enum kd_status s = traffic_get(call, &t);

	if (s == KD_OK && !ours->mutators)
		s = kd_mutators_create(t, &ours->mutators, call->err);
	*ret = ours->mutators;
	return s;
}

/* Mutators see what is held from now on: told where that is not what one may think. */
static void tell_what_is_seen(struct call *call, struct kd_mutators *all)
{
	struct kd_traffic_counters n;
	struct kd_mutator m;

	kd_traffic_counters(call->con->traffic.t, &n);
	if (n.mode != KD_TRAFFIC_INTERCEPT)
		out_printf(call->out,
			   "Nothing is held in the mode %s: !traffic intercept begins it\n",
			   traffic_mode_name(n.mode));
	else if (n.held_now && !kd_mutator_nth(all, 1, &m)) /* others may have it just now */
		out_printf(call->out, "What is held already waits for !pass all\n");
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), k = strlen(end);

	return n >= k && strcmp(text + n - k, end) == 0;
}

static bool is_builtin(const char *name)
{
	for (const char *const *n = kd_mutator_builtins(); *n; n += 2)
		if (strcmp(name, *n) == 0)
			return true;
	return false;
}

/* A word that could be a mutation mistyped: no command of the shell's, no program. */
static bool is_unknown(const char *source)
{
	return !source[strspn(source, "abcdefghijklmnopqrstuvwxyz0123456789-_")] &&
	       !program_is_in_path(source);
}

/* NAME=NUMBER; KD_E_NOT_FOUND: it is none of them. */
static enum kd_status take_setting(struct call *call, struct kd_mutator_spec *spec,
				   const char *word)
{
	static const struct {
		const char *name;
		size_t size;
	} settings[] = { { "seed=", 5 }, { "one=", 4 }, { "timeout=", 8 } };
	char *end;

	for (size_t i = 0; i < APP_ARRAY_LEN(settings); i++) {
		unsigned long long v;

		if (strncmp(word, settings[i].name, settings[i].size) != 0)
			continue;
		v = strtoull(word + settings[i].size, &end, 0);
		if (*end || end == word + settings[i].size || (i > 0 && (v == 0 || v > UINT32_MAX)))
			return call_fail(call, KD_E_SYNTAX, "%s: a number%s is expected", word,
					 i == 0 ? "" : " from 1 on");
		if (i == 0)
			spec->seed = v;
		else if (i == 1)
			spec->one_in = (unsigned)v;
		else
			spec->timeout_ms = (unsigned)v;
		return KD_OK;
	}
	return KD_E_NOT_FOUND;
}

/* The rest of the line; quotes around all of it, which no filter has, may be there for the eye. */
static char *take_filter(struct call *call)
{
	char *text = args_rest(&call->args);
	size_t n = strlen(text);

	if (n < 2 || text[0] != '"' || strchr(text + 1, '"') != text + n - 1)
		return text;
	text[n - 1] = '\0';
	memmove(text, text + 1, n - 1);
	return text;
}

/* Settings, then bpf or display and the filter, which takes the rest. */
static enum kd_status take_rest(struct call *call, struct kd_mutator_spec *spec, char **filter)
{
	char word[64];
	enum kd_status s;

	while (!args_at_end(&call->args)) {
		bool is_display = args_take(&call->args, "display");

		if (is_display || args_take(&call->args, "bpf")) {
			spec->filter_kind = is_display ? KD_MUTATOR_DISPLAY : KD_MUTATOR_BPF;
			*filter = take_filter(call);
			return **filter ? KD_OK
					: call_fail(call, KD_E_SYNTAX, "a filter is missing");
		}
		args_word(&call->args, word, sizeof(word));
		s = take_setting(call, spec, word);
		if (s == KD_E_NOT_FOUND)
			return call_fail(
				call, KD_E_SYNTAX,
				"%s: seed=N, one=N, timeout=MS, then bpf FILTER or display "
				"FILTER are expected (a command with blanks stands in quotes)",
				word);
		if (s != KD_OK)
			return s;
	}
	return KD_OK;
}

static enum kd_status add(struct call *call)
{
	APP_CLEANUP(app_freep) char *source = args_string(&call->args);
	APP_CLEANUP(app_freep) char *filter = NULL;
	struct kd_mutator_spec spec = KD_MUTATOR_SPEC_INIT;
	struct kd_mutators *all;
	enum kd_status s = need(call, &all);
	int id;

	if (s != KD_OK)
		return s;
	if (!source)
		return call_fail(call, KD_E_SYNTAX,
				 "what shall be added: a name (!mutator names), FILE.py, or a "
				 "command in quotes");
	spec.source = source;
	spec.kind = is_builtin(source)       ? KD_MUTATOR_BUILTIN
		    : ends_in(source, ".py") ? KD_MUTATOR_PYTHON
					     : KD_MUTATOR_PROGRAM;
	if (spec.kind == KD_MUTATOR_PROGRAM && is_unknown(source))
		return call_fail(call, KD_E_NOT_FOUND,
				 "neither a mutation (!mutator names) nor a program is called %s",
				 source);
	s = take_rest(call, &spec, &filter);
	spec.filter = filter;
	if (s == KD_OK)
		s = kd_mutator_add(all, &spec, &id, call->err);
	if (s != KD_OK)
		return s;
	out_printf(call->out, "Mutator %d: %s %s\n", id, kind_names[spec.kind], source);
	tell_what_is_seen(call, all);
	return KD_OK;
}

/* Without mutators what is held is the user's again. */
static void tell_if_last(struct call *call, struct kd_mutators *all)
{
	struct kd_traffic_counters n;
	struct kd_mutator m;
	uint64_t done, left;

	kd_traffic_counters(call->con->traffic.t, &n);
	kd_mutators_replay_state(all, &done, &left);
	if (!kd_mutator_nth(all, 0, &m) && !left && n.mode == KD_TRAFFIC_INTERCEPT)
		out_printf(call->out, "The last one: what is held waits for !pass from now on\n");
}

static enum kd_status remove_one(struct call *call)
{
	struct kd_mutators *all;
	uint64_t id;
	enum kd_status s = need(call, &all);

	if (s == KD_OK)
		s = traffic_take_number(call, 0, INT_MAX, &id);
	if (s == KD_OK && id == 0)
		return call_fail(call, KD_E_SYNTAX, "the number of a mutator is expected");
	if (s == KD_OK)
		s = args_done(&call->args);
	if (s != KD_OK)
		return s;
	s = kd_mutator_remove(all, (int)id, call->err);
	if (s == KD_OK)
		tell_if_last(call, all);
	return s;
}

/* --- records --- */

static enum kd_status record(struct call *call)
{
	APP_CLEANUP(app_freep) char *path = args_string(&call->args);
	struct kd_mutators *all;
	enum kd_status s = need(call, &all);

	if (s == KD_OK && !path)
		return call_fail(call, KD_E_SYNTAX, "!mutator record FILE, or off");
	if (s == KD_OK)
		s = args_done(&call->args);
	return s == KD_OK
		       ? kd_mutators_record(all, strcmp(path, "off") == 0 ? NULL : path, call->err)
		       : s;
}

static enum kd_status replay(struct call *call)
{
	APP_CLEANUP(app_freep) char *path = args_string(&call->args);
	struct kd_mutators *all;
	bool is_off;
	enum kd_status s = need(call, &all);

	if (s == KD_OK && !path)
		return call_fail(call, KD_E_SYNTAX, "!mutator replay FILE, or off");
	if (s == KD_OK)
		s = args_done(&call->args);
	is_off = path && strcmp(path, "off") == 0;
	if (s == KD_OK)
		s = kd_mutators_replay(all, is_off ? NULL : path, call->err);
	if (s == KD_OK && !is_off) {
		out_printf(call->out, "Recorded mutations are done again from now on; !mutator "
				      "tells how far it is\n");
		tell_what_is_seen(call, all);
	}
	return s;
}

static enum kd_status run_mutator(struct call *call)
{
	static const struct {
		const char *word;
		enum kd_status (*run)(struct call *call);
	} verbs[] = { { "list", list },         { "names", names },   { "add", add },
		      { "remove", remove_one }, { "record", record }, { "replay", replay } };

	if (args_at_end(&call->args))
		return list(call);
	for (size_t i = 0; i < APP_ARRAY_LEN(verbs); i++)
		if (args_take(&call->args, verbs[i].word))
			return verbs[i].run(call);
	if (args_take_char(&call->args, '-'))
		return remove_one(call);
	return add(call);
}

/* clang-format off */
static const struct command commands[] = {
	{ "!mutator", "!mutator [list]\n!mutator names\n"
	  "!mutator add NAME | FILE.py | \"COMMAND\" [seed=N] [one=N] [timeout=MS] [bpf FILTER | display FILTER]\n"
	  "!mutator remove ID\n!mutator record FILE | off\n!mutator replay FILE | off",
	  "Change payloads that are held, by themselves\n"
	  "In the mode intercept: what matches is changed and goes on at once. NAME is a built-in mutation, FILE.py has "
	  "a function mutate(payload, item), COMMAND gets the payload on standard input. display: a Wireshark display "
	  "filter. one=N: one payload in N. The same seed makes the same mutations. As in Windbgshark, add may be left "
	  "out, and -ID removes.",
	  "!mutator add bitflip seed=7 one=10 display http.request", "mutators", CMD_LIVE, WORDS_FILES, run_mutator,
	  NULL, NULL },
};
/* clang-format on */

FAMILY(family_mutator, "Mutators of traffic");
