/* SPDX-License-Identifier: MIT */
/*
 * From a text to commands to calls. A text is run to its first failure. A command that lets the
 * target run returns at once; the next command of the text waits for the stop first, so that a
 * text that ends in `g` or `gc` leaves nothing waiting behind (a breakpoint's command may do so
 * any number of times).
 */
#include "apps/kd/console.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/error.h>
#include <openkd/expression.h>
#include <openkd/module.h>

#include "apps/kd/signals.h"
#include "apps/kd/split.h"

bool console_interrupted(struct console *c)
{
	return c->is_leaving || c->was_interrupted || signals_pending();
}

/* `.` at the start of an expression is the current instruction. */
static enum kd_status evaluate_dot(struct console *c, const char *text, const char **end_ret,
				   uint64_t *value_ret, struct kd_error *err)
{
	static const char ip[] = "@$ip";
	struct text t = TEXT_INIT;
	const char *end = NULL;
	enum kd_status s;

	text_printf(&t, "%s%s", ip, text + 1);
	s = kd_expression_evaluate(c->session, text_string(&t), end_ret ? &end : NULL, value_ret,
				   err);
	if (s == KD_OK && end_ret)
		*end_ret = text + 1 + (end - text_string(&t) - (sizeof(ip) - 1));
	text_free(&t);
	return s;
}

enum kd_status console_evaluate(void *console, const char *text, const char **end_ret,
				uint64_t *value_ret, struct kd_error *err)
{
	struct console *c = console;
	const char *start = split_skip_space(text);
	bool is_dot = *start == '.' && !isalnum((unsigned char)start[1]) && start[1] != '_';
	enum kd_status s = is_dot ? evaluate_dot(c, start, end_ret, value_ret, err)
				  : kd_expression_evaluate(c->session, text, end_ret, value_ret,
							   err);

	if (s == KD_OK)
		kd_pseudo_note(c->session, "$exp", *value_ret);
	return s;
}

/* --- one command --- */

/* `!sym noisy`: show where symbols were looked for, once. */
static void show_searches(struct console *c)
{
	const char *log;

	if (!c->symbols_are_noisy)
		return;
	log = kd_symbol_search_log(c->session);
	if (!log || !*log || (c->noted_search && strcmp(c->noted_search, log) == 0))
		return;
	free(c->noted_search);
	c->noted_search = app_strdup(log);
	out_fresh_line(&c->out);
	out_printf(&c->out, "%s%s", log, log[strlen(log) - 1] == '\n' ? "" : "\n");
}

static enum kd_status call_command(struct console *c, const struct command_match *m,
				   const char *args, struct result *r)
{
	struct call call = {
		.con = c,
		.session = c->session,
		.out = &c->out,
		.command = m->command,
		.name = m->name,
		.wants_data = c->report && (c->command_depth == 1 || c->live),
		.err = &r->err,
	};
	enum kd_status s;

	call.args = (struct args){ args, console_evaluate, c, &r->err };
	/* What was printed so far is seen before something that may take its time. */
	if (c->command_depth == 1)
		out_flush(&c->out);
	s = m->command->run(&call);
	/* Of a failure only lists are kept: as far as they went. */
	if (s != KD_OK && !json_is_array(call.data)) {
		json_decref(call.data);
		call.data = NULL;
	}
	r->data = call.data;
	show_searches(c);
	return s;
}

/* `2k`: with another processor selected. */
static enum kd_status call_on_processor(struct console *c, const struct command_match *m,
					const char *args, struct result *r)
{
	uint32_t before = kd_session_processor(c->session);
	enum kd_status s;

	if (m->processor < 0 || (uint32_t)m->processor == before)
		return call_command(c, m, args, r);
	if (m->command->flags & (CMD_RESUMES | CMD_CHANGES))
		return app_error(&r->err, KD_E_SYNTAX,
				 "another processor is looked at only: select it with ~%ds first",
				 m->processor);
	s = kd_session_select_processor(c->session, (uint32_t)m->processor, &r->err);
	if (s != KD_OK)
		return s;
	s = call_command(c, m, args, r);
	kd_session_select_processor(c->session, before, NULL);
	return s;
}

static uint64_t wire_bytes(const struct kd_session_counters *n)
{
	return n->rx_bytes + n->tx_bytes;
}

/* Run it and note what it cost. */
static void measure(struct console *c, const struct command_match *m, const char *args,
		    struct result *r)
{
	struct kd_session_counters before, after;

	kd_session_counters(c->session, &before);
	r->started_ns = console_now_ns();
	r->status = call_on_processor(c, m, args, r);
	r->elapsed_ns = console_now_ns() - r->started_ns;
	kd_session_counters(c->session, &after);
	r->round_trips = after.requests - before.requests;
	r->wire_bytes = wire_bytes(&after) - wire_bytes(&before);
}

/* The status' own words when the call left none. */
static void complete_error(struct result *r)
{
	if (r->status != KD_OK && !r->err.text[0]) {
		r->err.status = r->status;
		app_copy(r->err.text, sizeof(r->err.text), kd_status_text(r->status),
			 strlen(kd_status_text(r->status)));
	}
}

static void note_figures(struct console *c, const struct result *r)
{
	free(c->last.command);
	c->last.command = app_strdup(r->command);
	c->last.elapsed_ns = r->elapsed_ns;
	c->last.round_trips = r->round_trips;
	c->last.wire_bytes = r->wire_bytes;
	if (!c->report)
		console_verbose(c, "[%s: %llu round trips, %llu bytes, %.1f ms]", r->command,
				(unsigned long long)r->round_trips,
				(unsigned long long)r->wire_bytes, (double)r->elapsed_ns / 1e6);
}

/* --json: a command that resumed is reported with the stop it leads to. */
static bool hold(struct console *c, struct result *r, bool resumed)
{
	if (!resumed || c->held || c->report != result_print_json || c->is_leaving)
		return false;
	c->held = app_alloc(sizeof(*c->held));
	*c->held = *r;
	return true;
}

static void finish(struct console *c, struct result *r, bool resumed)
{
	note_figures(c, r);
	if (hold(c, r, resumed))
		return;
	if (c->report)
		c->report(c, c->report_context, r);
	result_free(r);
}

/* Books after a command: it may have let the target run. */
static void look_at_state(struct console *c)
{
	if (c->is_stopped && kd_session_state(c->session) != KD_SESSION_STOPPED)
		console_note_resumed(c);
}

static enum kd_status run_reported(struct console *c, const struct command_match *m,
				   const char *args, struct result *r)
{
	bool is_reported = c->report != NULL, resumed;
	struct text *before = NULL;
	enum kd_status s;

	if (!c->stop_commands)
		console_release_held(c, false);
	if (is_reported)
		before = out_capture_begin(&c->out, &r->text);
	measure(c, m, args, r);
	look_at_state(c);
	complete_error(r);
	if (is_reported)
		out_capture_end(&c->out, before);
	else if (r->status != KD_OK && !c->error_was_told)
		console_error(c, &r->err);
	s = r->status;
	resumed = c->was_stopped && !c->is_stopped;
	finish(c, r, resumed);
	return s;
}

static enum kd_status run_nested(struct console *c, const struct command_match *m, const char *args,
				 struct result *r)
{
	enum kd_status s = call_on_processor(c, m, args, r);

	r->status = s;
	if (c->live && c->live->data && r->data)
		json_object_set(c->live->data, "data", r->data);
	look_at_state(c);
	complete_error(r);
	if (s != KD_OK && !c->error_was_told) {
		console_error(c, &r->err);
		c->error_was_told = true;
	}
	result_free(r);
	return s;
}

static enum kd_status run_match(struct console *c, const struct command_match *m, const char *text,
				const char *end)
{
	char *command = app_strndup(text, (size_t)(end - text));
	char *args = app_strndup(m->args, (size_t)(end - m->args));
	struct result r = { .command = command };
	enum kd_status s;

	signals_set_doing(DOING_COMMAND);
	c->command_depth++;
	if (c->command_depth == 1) {
		c->was_stopped = c->is_stopped;
		c->error_was_told = false;
		s = run_reported(c, m, args, &r);
	} else {
		s = run_nested(c, m, args, &r);
	}
	c->command_depth--;
	free(args);
	return s;
}

static enum kd_status report_unknown(struct console *c, const struct command_match *m,
				     const char *text, const char *end)
{
	struct result r = { .command = app_strndup(text, (size_t)(end - text)) };

	if (!c->stop_commands)
		console_release_held(c, false);
	r.status = app_error(&r.err, KD_E_NOT_FOUND, "no such command '%s'; see .help", m->name);
	if (c->report && c->command_depth == 0) {
		c->report(c, c->report_context, &r);
	} else {
		console_error(c, &r.err);
		c->error_was_told = true;
	}
	result_free(&r);
	return KD_E_NOT_FOUND;
}

/* --- a text --- */

/* A target that this text let run must stop before the text goes on. */
static enum kd_status wait_first(struct console *c, const struct command *command)
{
	struct kd_error err = { 0 };
	enum kd_status s;

	if (c->is_stopped || (!c->resumed_in_job && !(command->flags & CMD_STOPPED)))
		return KD_OK;
	if (c->live || command->flags & CMD_LIVE)
		return KD_OK;
	if (!c->resumed_in_job && c->running_job && c->running_job->origin == JOB_CLIENT)
		return KD_OK; /* the engine's own words: it is running */
	s = console_wait_stop(c, &err);
	if (s != KD_OK && s != KD_E_CANCELLED)
		console_error(c, &err);
	return s;
}

static enum kd_status run_one(struct console *c, const char *text, const char **end_ret)
{
	struct command_match m;
	enum kd_status s;

	command_lookup(text, &m);
	*end_ret = m.command ? command_args_end(m.command, m.args) : split_command_end(text);
	if (!m.command)
		return report_unknown(c, &m, text, *end_ret);
	if (!m.command->run)
		return KD_OK; /* a comment */
	s = wait_first(c, m.command);
	if (s != KD_OK)
		return s;
	if (console_interrupted(c))
		return KD_E_CANCELLED;
	return run_match(c, &m, text, *end_ret);
}

static bool goes_on(struct console *c, enum kd_status s)
{
	if (c->breaks_loop || c->continues_loop || console_interrupted(c))
		return false;
	if (s == KD_OK)
		return true;
	if (!c->running_job || c->running_job->origin != JOB_CLIENT)
		c->a_command_failed = true;
	return c->options->keep_going && c->is_batch && s != KD_E_CANCELLED && s != KD_E_CLOSED;
}

static enum kd_status run_commands(struct console *c, const char *text)
{
	enum kd_status first = KD_OK;

	for (;;) {
		enum kd_status s;

		text += strspn(text, " \t\r\n;");
		if (!*text)
			return first;
		s = run_one(c, text, &text);
		first = first == KD_OK ? s : first;
		if (!goes_on(c, s))
			return console_interrupted(c) && s == KD_OK ? KD_E_CANCELLED : first;
	}
}

enum kd_status console_run(struct console *c, const char *text)
{
	struct text expanded = TEXT_INIT;
	enum kd_status s;

	if (c->depth >= RUN_DEPTH_MAX) {
		struct kd_error err;

		s = app_error(&err, KD_E_TOO_BIG,
			      "commands are nested more than %d deep (a breakpoint's command that "
			      "ends in `g` or `gc` does not nest)",
			      RUN_DEPTH_MAX);
		console_error(c, &err);
		c->error_was_told = true;
		return s;
	}
	c->depth++;
	if (!alias_applies(text)) {
		s = run_commands(c, text);
	} else if (alias_expand(&c->aliases, text, &expanded)) {
		s = run_commands(c, text_string(&expanded));
	} else {
		struct kd_error err;

		s = app_error(&err, KD_E_TOO_BIG,
			      "the text is above %d KB with its aliases replaced",
			      ALIAS_TEXT_MAX >> 10);
		console_error(c, &err);
		c->error_was_told = true;
	}
	c->depth--;
	text_free(&expanded);
	return s;
}

enum kd_status console_run_part(struct console *c, const char *text, size_t size)
{
	char *copy = app_strndup(text, size);
	enum kd_status s = console_run(c, copy);

	free(copy);
	return s;
}

enum kd_status console_run_captured(struct console *c, const char *text, struct text *t)
{
	struct text *before = out_capture_begin(&c->out, t);
	enum kd_status s = console_run(c, text);

	out_capture_end(&c->out, before);
	return s;
}

bool console_runs_live(const char *text)
{
	struct command_match m;

	command_lookup(text + strspn(text, " \t\r\n;"), &m);
	return m.command && m.command->flags & CMD_LIVE;
}

bool console_runs_anytime(const char *text)
{
	for (;;) {
		struct command_match m;

		text += strspn(text, " \t\r\n;");
		if (!*text)
			return true;
		command_lookup(text, &m);
		if (m.command && m.command->flags & CMD_STOPPED)
			return false;
		text = m.command ? command_args_end(m.command, m.args) : split_command_end(text);
	}
}
