/* SPDX-License-Identifier: MIT */
/* .help */
#include <string.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"

static void first_line(const char *text, char *line, size_t size)
{
	app_copy(line, size, text, strcspn(text, "\n"));
}

static void list_family(struct call *call, const struct command_family *f, json_t *list)
{
	out_styled(call->out, OUT_BANNER, "\n%s\n", f->title);
	for (size_t i = 0; i < f->n; i++) {
		json_t *o = data_append_object(list);
		char help[240];

		first_line(f->commands[i].help, help, sizeof(help));
		out_printf(call->out, "  %-12s %s\n", f->commands[i].names, help);
		data_string(o, "names", f->commands[i].names);
		data_string(o, "family", f->title);
		data_string(o, "syntax", f->commands[i].syntax);
		data_string(o, "help", f->commands[i].help);
		data_string(o, "example", f->commands[i].example);
		data_string(o, "schema", f->commands[i].schema ? f->commands[i].schema : "");
	}
}

static void show_indented(struct call *call, const char *heading, const char *text)
{
	for (const char *line = text; *line; heading = "") {
		int n = (int)strcspn(line, "\n");

		out_printf(call->out, "%-9s %.*s\n", heading, n, line);
		line += n;
		line += *line == '\n';
	}
}

static void show_command(struct call *call, const struct command *c)
{
	json_t *o = data_append_object(call_array(call));
	char help[240];

	first_line(c->help, help, sizeof(help));
	out_printf(call->out, "%s\n", help);
	show_indented(call, "Syntax:", c->syntax);
	if (strchr(c->help, '\n'))
		show_indented(call, "", strchr(c->help, '\n') + 1);
	show_indented(call, "Example:", c->example);
	if (c->flags & CMD_STOPPED)
		show_indented(call, "", "Needs a stopped target.");
	if (c->schema) {
		struct text t = TEXT_INIT;

		text_printf(&t, "docs/schema/%s.schema.json", c->schema);
		show_indented(call, "JSON:", text_string(&t));
		text_free(&t);
	}
	data_string(o, "names", c->names);
	data_string(o, "syntax", c->syntax);
	data_string(o, "help", c->help);
	data_string(o, "example", c->example);
	data_string(o, "schema", c->schema ? c->schema : "");
}

static enum kd_status run_help(struct call *call)
{
	struct command_match m;
	char name[40];

	if (args_word(&call->args, name, sizeof(name))) {
		command_lookup(name, &m);
		if (!m.command)
			return call_fail(call, KD_E_NOT_FOUND, "no such command '%s'; see .help",
					 name);
		show_command(call, m.command);
		return args_done(&call->args);
	}
	for (size_t f = 0; command_families[f]; f++)
		list_family(call, command_families[f], call_array(call));
	out_printf(call->out,
		   "\n.help NAME tells syntax and an example. Ctrl-C stops a running target.\n");
	return KD_OK;
}

/* clang-format off */
static const struct command commands[] = {
	{ ".help", ".help [COMMAND]", "List the commands, or tell about one", ".help bp",
	  "help", 0, WORDS_COMMANDS, run_help, NULL, NULL },
};
/* clang-format on */

FAMILY(family_help, "Help");
