/* SPDX-License-Identifier: MIT */
/* sx sxe sxd sxn sxi sxr */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openkd/event.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/pattern.h"

static const struct {
	const char *name;
	enum kd_filter_action action;
	const char *word;
} actions[] = {
	{ "sxe", KD_FILTER_BREAK, "break" },
	{ "sxd", KD_FILTER_SECOND_CHANCE, "second-chance break" },
	{ "sxn", KD_FILTER_OUTPUT, "output" },
	{ "sxi", KD_FILTER_IGNORE, "ignore" },
};

static const char *action_word(enum kd_filter_action action)
{
	for (size_t i = 0; i < APP_ARRAY_LEN(actions); i++)
		if (actions[i].action == action)
			return actions[i].word;
	return "?";
}

static struct filter_command *find_command(struct console *c, const char *name)
{
	struct filter_command *free_one = NULL;

	for (size_t i = 0; i < FILTER_COMMANDS_MAX; i++) {
		struct filter_command *f = &c->filter_commands[i];

		if (f->command && strcasecmp(f->name, name) == 0)
			return f;
		if (!f->command && !free_one)
			free_one = f;
	}
	return free_one;
}

static void put_filter(struct call *call, json_t *list, const struct kd_filter *f)
{
	json_t *o = data_append_object(list);
	const struct filter_command *fc = find_command(call->con, f->name);

	data_string(o, "name", f->name);
	data_string(o, "description", f->description);
	data_address(o, "code", f->code);
	data_string(o, "action", action_word(f->action));
	data_bool(o, "handled", f->handled);
	data_string(o, "argument", f->argument);
	data_string(o, "command", fc && fc->command ? fc->command : "");
}

static void show_filter(struct call *call, const struct kd_filter *f)
{
	const struct filter_command *fc = find_command(call->con, f->name);

	out_printf(call->out, "%8s - %s - %s%s", f->name, f->description, action_word(f->action),
		   f->code ? (f->handled ? " - handled" : " - not handled") : "");
	if (f->argument[0])
		out_printf(call->out, " (only %s)", f->argument);
	if (fc && fc->command)
		out_printf(call->out, "\n           Command: \"%s\"", fc->command);
	out_printf(call->out, "\n");
}

static void show_table(struct call *call, bool exceptions)
{
	size_t n;
	const struct kd_filter *f = kd_filter_table(call->session, &n);

	for (size_t i = 0; i < n; i++)
		if ((f[i].code != 0) == exceptions)
			show_filter(call, &f[i]);
}

static enum kd_status run_sx(struct call *call)
{
	size_t n;
	const struct kd_filter *f = kd_filter_table(call->session, &n);
	json_t *list = call_array(call);
	enum kd_status s = args_done(&call->args);

	if (s != KD_OK)
		return s;
	show_table(call, false);
	out_printf(call->out, "\n");
	show_table(call, true);
	for (size_t i = 0; list && i < n; i++)
		put_filter(call, list, &f[i]);
	return KD_OK;
}

static enum kd_status set_command(struct call *call, const char *name, char *command)
{
	struct filter_command *fc = find_command(call->con, name);

	if (!fc) {
		free(command);
		return call_fail(call, KD_E_FULL, "more than %d filters with commands",
				 FILTER_COMMANDS_MAX);
	}
	free(fc->command);
	fc->command = *command ? command : NULL;
	if (!*command)
		free(command);
	app_copy(fc->name, sizeof(fc->name), name, strlen(name));
	return KD_OK;
}

/* First chances other than breakpoint, step and assertion reach us only with a global flag. */
static void warn_if_never(struct call *call, const char *name, enum kd_filter_action action)
{
	static const char *const forwarded[] = { "bpe", "sse", "asrt", "wkd", "wob", "wos" };
	size_t n;
	const struct kd_filter *f = kd_filter_table(call->session, &n);

	for (size_t i = 0; i < APP_ARRAY_LEN(forwarded); i++)
		if (strcasecmp(forwarded[i], name) == 0)
			return;
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(f[i].name, name) == 0 && f[i].code && action == KD_FILTER_BREAK)
			out_printf(
				call->out,
				"Note: a kernel reports this exception at its second chance only, "
				"unless NtGlobalFlag has \"stop on exception\" (bit 0).\n");
}

/*
 * Filters compare file names: a plain `late` stands for late.sys, late.dll... Without an argument
 * an event filter is for all.
 */
static void module_pattern(const char *argument, char *pattern, size_t size)
{
	bool is_plain = argument && *argument && pattern_is_literal(argument) &&
			!strchr(argument, '.');

	snprintf(pattern, size, "%s%s", argument ? argument : "", is_plain ? ".*" : "");
}

/* NAME[:ARGUMENT] */
static enum kd_status set_filter(struct call *call, enum kd_filter_action action, char *command)
{
	char name[160], pattern[64], *argument;
	enum kd_status s;

	if (!args_word(&call->args, name, sizeof(name))) {
		free(command);
		return call_fail(call, KD_E_SYNTAX,
				 "which event? %s ld:driver, av, c0000005...; sx lists them",
				 call->name);
	}
	argument = strchr(name, ':');
	if (argument)
		*argument++ = '\0';
	module_pattern(argument, pattern, sizeof(pattern));
	s = kd_filter_set(call->session, name, action, pattern, call->err);
	if (s == KD_OK)
		warn_if_never(call, name, action);
	if (s == KD_OK && command)
		return set_command(call, name, command);
	free(command);
	return s == KD_OK ? args_done(&call->args) : s;
}

static enum kd_status run_set(struct call *call)
{
	char *command = NULL;
	size_t i = 0;

	while (strcmp(actions[i].name, call->name) != 0)
		i++; /* the table of commands names no others */
	if (args_take(&call->args, "-c")) {
		command = args_quoted(&call->args);
		if (!command)
			return call_fail(call, KD_E_SYNTAX, "-c wants \"COMMANDS\" in quotes");
	}
	return set_filter(call, actions[i].action, command);
}

static enum kd_status run_sxr(struct call *call)
{
	enum kd_status s = args_done(&call->args);

	if (s != KD_OK)
		return s;
	kd_filter_reset(call->session);
	for (size_t i = 0; i < FILTER_COMMANDS_MAX; i++) {
		free(call->con->filter_commands[i].command);
		call->con->filter_commands[i].command = NULL;
	}
	return KD_OK;
}

/* clang-format off */
static const struct command commands[] = {
	{ "sx", "sx", "List what is done at events and exceptions", "sx",
	  "filters", 0, WORDS_NONE, run_sx, NULL, NULL },
	{ "sxe", "sxe [-c \"COMMANDS\"] EVENT[:PATTERN]",
	  "Stop at an event or at the first chance of an exception\n"
	  "EVENT: a name of sx's list or an exception code. ld and ud take a pattern of module names.",
	  "sxe ld:mydriver*", NULL, 0, WORDS_MODULES, run_set, NULL, NULL },
	{ "sxd", "sxd [-c \"COMMANDS\"] EVENT", "Stop at the second chance of an exception only", "sxd av",
	  NULL, 0, WORDS_NONE, run_set, NULL, NULL },
	{ "sxn", "sxn EVENT[:PATTERN]", "Tell about an event, don't stop", "sxn ld",
	  NULL, 0, WORDS_MODULES, run_set, NULL, NULL },
	{ "sxi", "sxi EVENT", "Ignore an event", "sxi ud", NULL, 0, WORDS_NONE, run_set, NULL, NULL },
	{ "sxr", "sxr", "Back to the defaults", "sxr", NULL, 0, WORDS_NONE, run_sxr, NULL, NULL },
};
/* clang-format on */

FAMILY(family_filter, "Events and exceptions");
