/* SPDX-License-Identifier: MIT */
/* Telling what the target did: as text, as JSON, to clients; running what belongs to a stop. */
#include "apps/kd/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/breakpoint.h>
#include <openkd/expression.h>
#include <openkd/memory.h>
#include <openkd/module.h>
#include <openkd/register.h>
#include <openkd/symbol.h>

#include "apps/kd/crash_filter.h"
#include "apps/kd/input.h"
#include "apps/kd/registers.h"
#include "apps/kd/traffic.h"
#include "apps/kd/serve.h"
#include "apps/kd/signals.h"

/* clang-format off */
static const char *const reason_names[] = {
	[KD_STOP_EXCEPTION] = "exception",   [KD_STOP_BREAKPOINT] = "breakpoint",
	[KD_STOP_STEP] = "step",             [KD_STOP_BREAK_IN] = "break-in",
	[KD_STOP_HARDCODED] = "hardcoded",   [KD_STOP_MODULE] = "module",
	[KD_STOP_BUGCHECK] = "bugcheck",     [KD_STOP_ASSERTION] = "assertion",
	[KD_STOP_INITIAL] = "initial",       [KD_STOP_PROCESSOR] = "processor",
};

static const char *const event_names[] = {
	[KD_EVENT_CONNECTED] = "connected",     [KD_EVENT_STOP] = "stop",
	[KD_EVENT_PRINT] = "print",             [KD_EVENT_PROMPT] = "prompt",
	[KD_EVENT_MODULE_LOAD] = "module-load", [KD_EVENT_MODULE_UNLOAD] = "module-unload",
	[KD_EVENT_COMMAND] = "command",         [KD_EVENT_RESTART] = "restart",
	[KD_EVENT_LOST] = "lost",               [KD_EVENT_REJOIN] = "rejoin",
	[KD_EVENT_NOTICE] = "notice",
};
/* clang-format on */

/* --- the banner of a stop --- */

static const char *exception_name(struct console *c, uint32_t code)
{
	size_t n;
	const struct kd_filter *f = kd_filter_table(c->session, &n);

	for (size_t i = 0; i < n; i++)
		if (f[i].code == code)
			return f[i].description;
	return "Unknown exception";
}

static void show_exception(struct console *c, const struct kd_stop *s)
{
	out_printf(&c->out, "%s - code %08x (%s)\n", exception_name(c, s->code), s->code,
		   s->first_chance ? "first chance" : "!!! second chance !!!");
	if (s->code == 0xC0000005 && s->n_parameters >= 2)
		out_printf(&c->out, "Attempt to %s address %s\n",
			   s->parameters[0] == 1   ? "write to"
			   : s->parameters[0] == 8 ? "execute at"
						   : "read from",
			   addr(c, s->parameters[1]).s);
}

static void show_bugcheck(struct console *c)
{
	uint64_t v[5];

	if (kd_session_bugcheck(c->session, v, NULL) != KD_OK) {
		out_printf(&c->out, "The target crashed; its bugcheck data cannot be read.\n");
		return;
	}
	out_styled(&c->out, OUT_ERROR, "*** Fatal System Error: 0x%08x\n", (unsigned)v[0]);
	out_printf(&c->out, "    (0x%s,0x%s,0x%s,0x%s)\n", value_register(v[1], c->pointer_size).s,
		   value_register(v[2], c->pointer_size).s, value_register(v[3], c->pointer_size).s,
		   value_register(v[4], c->pointer_size).s);
	out_printf(&c->out,
		   "The target crashed and waits: .bugcheck tells the code, k the way there, "
		   ".reboot restarts it.\n");
}

static void show_reason(struct console *c, const struct kd_stop *s)
{
	switch (s->reason) {
	case KD_STOP_BREAKPOINT:
		out_printf(&c->out, "Breakpoint %d hit\n", s->breakpoint_id);
		break;
	case KD_STOP_BREAK_IN:
		show_exception(c, s);
		out_printf(&c->out, "Stopped as asked for; g lets the target run.\n");
		break;
	case KD_STOP_EXCEPTION:
	case KD_STOP_HARDCODED:
	case KD_STOP_ASSERTION: show_exception(c, s); break;
	case KD_STOP_BUGCHECK: show_bugcheck(c); break;
	case KD_STOP_INITIAL: out_printf(&c->out, "The target was stopped already.\n"); break;
	case KD_STOP_PROCESSOR:
		out_printf(&c->out, "Switched to processor %u\n", s->processor);
		break;
	case KD_STOP_STEP:
	case KD_STOP_MODULE: break;
	}
}

void console_show_place(struct console *c, uint64_t pc)
{
	struct kd_instruction i;
	struct symbol_text name = symbol_of(c, pc);
	struct text t = TEXT_INIT;

	if (name.s[0])
		out_styled(&c->out, OUT_SYMBOL, "%s:\n", name.s);
	if (kd_code_decode(c->session, pc, &i, NULL) == KD_OK)
		text_instruction(&t, c, &i);
	else
		text_printf(&t, "%s ??              ???", addr(c, pc).s);
	out_printf(&c->out, "%s\n", text_string(&t));
	text_free(&t);
}

static void show_stop(struct console *c)
{
	out_fresh_line(&c->out);
	show_reason(c, &c->stop);
	if (c->stop.reason == KD_STOP_STEP && c->steps_show_registers)
		registers_show(c, c->register_mask);
	else
		console_show_place(c, c->stop.pc);
}

json_t *console_stop_json(struct console *c)
{
	const struct kd_stop *s = &c->stop;
	json_t *o = json_object();

	data_string(o, "reason", reason_names[s->reason]);
	data_integer(o, "processor", s->processor);
	data_address(o, "thread", s->thread);
	data_address(o, "pc", s->pc);
	data_string(o, "symbol", symbol_of(c, s->pc).s);
	json_object_set_new(o, "breakpoint",
			    s->breakpoint_id >= 0 ? json_integer(s->breakpoint_id) : json_null());
	data_address(o, "code", s->code);
	data_bool(o, "first_chance", s->first_chance);
	if (s->reason == KD_STOP_BUGCHECK) {
		uint64_t v[5];
		json_t *list = json_array();

		for (unsigned i = 0; kd_session_bugcheck(c->session, v, NULL) == KD_OK && i < 5;
		     i++)
			json_array_append_new(list, json_string(value_json(v[i]).s));
		json_object_set_new(o, "bugcheck", list);
	}
	return o;
}

/* --- what belongs to a stop --- */

/* The command of a filter (`sxe -c`), NULL: none. */
static const char *filter_command(struct console *c, const char *name)
{
	for (size_t i = 0; i < FILTER_COMMANDS_MAX; i++)
		if (c->filter_commands[i].command && !strcmp(c->filter_commands[i].name, name))
			return c->filter_commands[i].command;
	return NULL;
}

static const char *exception_command(struct console *c, uint32_t code)
{
	size_t n;
	const struct kd_filter *f = kd_filter_table(c->session, &n);

	for (size_t i = 0; i < n; i++)
		if (f[i].code == code && f[i].code)
			return filter_command(c, f[i].name);
	return NULL;
}

static const char *stop_command(struct console *c)
{
	const struct kd_breakpoint *b;

	switch (c->stop.reason) {
	case KD_STOP_BREAKPOINT:
		b = kd_breakpoint_find(c->session, c->stop.breakpoint_id);
		return b ? b->command : NULL;
	case KD_STOP_MODULE:
		return filter_command(c,
				      c->last_module_event == KD_EVENT_MODULE_UNLOAD ? "ud" : "ld");
	case KD_STOP_EXCEPTION:
	case KD_STOP_HARDCODED:
	case KD_STOP_ASSERTION: return exception_command(c, c->stop.code);
	default: return NULL;
	}
}

/* bp /1: gone after its hit. */
static void drop_one_shot(struct console *c)
{
	const struct kd_breakpoint *b = kd_breakpoint_find(c->session, c->stop.breakpoint_id);

	if (c->stop.reason == KD_STOP_BREAKPOINT && b && b->is_one_shot)
		kd_breakpoint_remove(c->session, b->id, NULL);
}

/*
 * The text is copied: the command may change or clear its own breakpoint. When a command is held
 * for this stop (--json), what runs here belongs to its text; else each is reported by itself.
 */
static void run_stop_command(struct console *c)
{
	const char *command = stop_command(c);
	bool belongs = c->held && c->command_depth == 0;
	struct text *before = NULL;
	char *copy = command && *command ? app_strdup(command) : NULL;

	drop_one_shot(c);
	if (!copy)
		return;
	if (belongs)
		before = out_capture_begin(&c->out, &c->held->text);
	c->command_depth += belongs;
	c->stop_commands++;
	console_run(c, copy);
	c->stop_commands--;
	c->command_depth -= belongs;
	if (belongs)
		out_capture_end(&c->out, before);
	free(copy);
}

/* How wide its addresses are, as soon as it is known: boot tells of modules before the first stop.
 */
static bool learn_machine(struct console *c)
{
	struct kd_target_info info;

	if (kd_session_target(c->session, &info, NULL) != KD_OK)
		return false;
	c->machine = info.machine;
	c->pointer_size = info.pointer_size == 4 ? 4 : 8;
	return true;
}

static void keep_target_facts(struct console *c)
{
	if (learn_machine(c) && !c->was_announced) {
		c->was_announced = true;
		console_describe_target(c);
	}
}

/*
 * A hit whose breakpoint has commands is told when these leave the target stopped: those that end
 * in `gc` are no stops. As a JSON object of its own (nothing is held for it) it is told always.
 */
static bool waits_with_banner(struct console *c)
{
	const char *command = c->stop.reason == KD_STOP_BREAKPOINT ? stop_command(c) : NULL;

	return command && *command && (!c->options->is_json || c->held);
}

/* Once: every command would fail on it, and few could say why. */
static void tell_unreachable_ram(struct console *c)
{
	struct kd_error err = { 0 };

	if (c->ram_was_told || !c->options->memory || strcmp(c->options->memory, "ram") != 0 ||
	    kd_memory_is_reachable(c->session, &err) == KD_OK)
		return;
	c->ram_was_told = true;
	console_note(c,
		     "%s. Without --memory ram, memory is read through the target; a VM's RAM is "
		     "found when kd is attached to the VM's own socket",
		     err.text);
}

static void on_stop(struct console *c, const struct kd_event *event)
{
	c->stop = event->stop;
	c->is_stopped = true;
	c->stopped_at_ns = event->time_ns;
	c->next_code = c->stop.pc;
	c->unanswered_interrupts = 0;
	c->n_stops++;
	tell_unreachable_ram(c);
	c->is_stop_untold = waits_with_banner(c);
	if (!c->is_stop_untold)
		show_stop(c);
}

static void show_untold_stop(struct console *c)
{
	struct text *before = NULL;
	bool belongs = c->held && c->command_depth == 0;

	c->is_stop_untold = false;
	if (belongs)
		before = out_capture_begin(&c->out, &c->held->text);
	show_stop(c);
	if (belongs)
		out_capture_end(&c->out, before);
}

static void after_stop(struct console *c)
{
	uint64_t serial = c->n_stops;

	crash_filter_look(c);
	run_stop_command(c);
	if (c->n_stops == serial && c->is_stopped && c->is_stop_untold)
		show_untold_stop(c);
	if (c->is_stopped && !c->stop_commands && c->command_depth == 0)
		console_release_held(c, true);
}

void console_note_resumed(struct console *c)
{
	c->is_stopped = false;
	c->resumed_in_job = true;
	c->run_since_ns = console_now_ns();
	traffic_target_runs(c);
}

void console_release_held(struct console *c, bool with_stop)
{
	struct result *r = c->held;

	if (!r)
		return;
	c->held = NULL;
	if (with_stop)
		r->stop = console_stop_json(c);
	r->elapsed_ns = console_now_ns() - r->started_ns;
	result_print_json(c, NULL, r);
	result_free(r);
	free(r);
}

/* --- the other events --- */

static void on_connected(struct console *c)
{
	c->is_connected = true;
	c->run_since_ns = console_now_ns();
	out_printf(&c->out, "Kernel debugger connection established: %s\n",
		   kd_session_endpoint(c->session));
}

static void on_restart(struct console *c, const struct kd_event *event)
{
	c->is_stopped = false;
	c->was_announced = false;
	c->run_since_ns = console_now_ns();
	out_fresh_line(&c->out);
	out_styled(&c->out, OUT_NOTICE, "%s\n",
		   event->text_size ? event->text : "the target restarted");
	if (c->startup_text) {
		struct job job = { .origin = JOB_STARTUP, .text = app_strdup(c->startup_text) };

		console_push_job(c, &job);
	}
}

static void on_lost(struct console *c, const struct kd_event *event)
{
	char why[512];

	c->is_stopped = false;
	c->is_connected = false;
	c->lost_since_ns = console_now_ns();
	kd_session_describe(c->session, why, sizeof(why));
	out_fresh_line(&c->out);
	out_styled(&c->out, OUT_ERROR, "The connection to the target is lost%s%s\n",
		   event->text_size ? ": " : "", event->text_size ? event->text : "");
	if (why[0])
		out_printf(&c->out, "%s\n", why);
}

/* It is where it is: commands wait until that is known. */
static void on_rejoin(struct console *c, const struct kd_event *event)
{
	c->is_stopped = false;
	c->run_since_ns = console_now_ns();
	out_fresh_line(&c->out);
	out_styled(&c->out, OUT_NOTICE, "%s\n", event->text);
}

static void on_module(struct console *c, const struct kd_event *event)
{
	uint64_t end = event->module_base + event->module_size;

	c->last_module_event = event->kind;
	if (!c->machine)
		learn_machine(c);
	out_fresh_line(&c->out);
	if (event->kind == KD_EVENT_MODULE_LOAD)
		out_printf(&c->out, "ModLoad: %s %s   %s\n", addr(c, event->module_base).s,
			   addr(c, end).s, event->text_size ? event->text : "");
	else
		out_printf(&c->out, "Unload module %s at %s\n", event->text_size ? event->text : "",
			   addr(c, event->module_base).s);
}

static void on_prompt(struct console *c, const struct kd_event *event)
{
	c->is_prompt_open = true;
	c->prompt_max = event->max_answer;
	out_text(&c->out, event->text, event->text_size);
	out_flush(&c->out);
}

static void tell(struct console *c, const struct kd_event *event)
{
	switch (event->kind) {
	case KD_EVENT_CONNECTED: on_connected(c); break;
	case KD_EVENT_STOP:
		keep_target_facts(c);
		on_stop(c, event);
		break;
	case KD_EVENT_PRINT: out_text(&c->out, event->text, event->text_size); break;
	case KD_EVENT_PROMPT: on_prompt(c, event); break;
	case KD_EVENT_MODULE_LOAD:
	case KD_EVENT_MODULE_UNLOAD: on_module(c, event); break;
	case KD_EVENT_COMMAND:
		out_fresh_line(&c->out);
		out_printf(&c->out, "The target asks for a command (not run): %s\n", event->text);
		break;
	case KD_EVENT_RESTART: on_restart(c, event); break;
	case KD_EVENT_LOST: on_lost(c, event); break;
	case KD_EVENT_REJOIN: on_rejoin(c, event); break;
	case KD_EVENT_NOTICE: console_note(c, "%s", event->text); break;
	}
}

/* --- events as JSON --- */

static json_t *event_json(struct console *c, const struct kd_event *event, const struct text *told)
{
	json_t *o = json_object();

	data_string(o, "event", event_names[event->kind]);
	json_object_set_new(o, "text",
			    told ? data_text(text_string(told), told->size)
				 : data_text(event->text ? event->text : "", event->text_size));
	if (event->kind == KD_EVENT_STOP)
		json_object_set_new(o, "stop", console_stop_json(c));
	if (event->kind == KD_EVENT_MODULE_LOAD || event->kind == KD_EVENT_MODULE_UNLOAD) {
		data_address(o, "base", event->module_base);
		data_address(o, "size", event->module_size);
	}
	if (event->kind == KD_EVENT_PROMPT)
		data_integer(o, "max_answer", event->max_answer);
	return o;
}

/* The banner belongs to the command that led here, or is an event of its own. */
static void print_event_json(struct console *c, const struct kd_event *event, struct text *told)
{
	bool is_raw = event->kind == KD_EVENT_PRINT || event->kind == KD_EVENT_PROMPT ||
		      event->kind == KD_EVENT_NOTICE;

	if (event->kind == KD_EVENT_STOP && c->held)
		text_append(&c->held->text, text_string(told), told->size);
	else
		console_print_json(c, event_json(c, event, is_raw ? NULL : told));
}

/* Into the capture of the command that waits for it, else as an object. */
static void tell_as_json(struct console *c, const struct kd_event *event)
{
	struct text told = TEXT_INIT;
	struct text *before = out_capture_begin(&c->out, &told);

	tell(c, event);
	out_capture_end(&c->out, before);
	if (event->kind == KD_EVENT_STOP && before)
		text_append(before, text_string(&told), told.size);
	else
		print_event_json(c, event, &told);
	text_free(&told);
}

/* Output of the target is never part of a command's output. */
static void tell_as_text(struct console *c, const struct kd_event *event)
{
	struct text *before = c->out.capture;

	if (event->kind != KD_EVENT_STOP)
		c->out.capture = NULL;
	tell(c, event);
	c->out.capture = before;
}

void console_event(struct console *c, const struct kd_event *event)
{
	input_hide(c->input);
	if (c->options->is_json)
		tell_as_json(c, event);
	else
		tell_as_text(c, event);
	if (server_has_subscribers(c->server))
		server_publish(c->server, event_json(c, event, NULL));
	out_flush(&c->out);
	if (event->kind == KD_EVENT_STOP)
		after_stop(c);
}

/* --- the prompt and the target's description --- */

void console_prompt_text(const struct console *c, char *text, size_t size)
{
	if (kd_session_n_processors(c->session) > 1)
		snprintf(text, size, "%u: kd> ", kd_session_processor(c->session));
	else
		snprintf(text, size, "kd> ");
}
