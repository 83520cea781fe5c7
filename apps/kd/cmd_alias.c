/* SPDX-License-Identifier: MIT */
/* as aS ad al */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/memory.h>

#include "apps/kd/console.h"
#include "apps/kd/families.h"
#include "apps/kd/split.h"

enum { STRING_MAX = 4096 };

/* --- where a value comes from: /x, /ma ... --- */

static enum kd_status from_value(struct call *call, struct text *t)
{
	uint64_t value;
	enum kd_status s = args_value(&call->args, &value);

	if (s == KD_OK)
		text_printf(t, "0x%llx", (unsigned long long)value);
	return s;
}

static enum kd_status from_memory(struct call *call, struct text *t, bool wide)
{
	char string[STRING_MAX];
	uint64_t address;
	enum kd_status s = args_value(&call->args, &address);

	if (s == KD_OK)
		s = kd_memory_read_string(call->session, address, wide, STRING_MAX / 3, string,
					  sizeof(string), call->err);
	if (s == KD_OK)
		text_add(t, string);
	return s;
}

static enum kd_status from_string(struct call *call, struct text *t)
{
	return from_memory(call, t, false);
}

static enum kd_status from_wide_string(struct call *call, struct text *t)
{
	return from_memory(call, t, true);
}

static enum kd_status from_environment(struct call *call, struct text *t)
{
	char *name = args_rest(&call->args);
	const char *value = getenv(name);
	enum kd_status s = KD_OK;

	if (value)
		text_add(t, value);
	else
		s = call_fail(call, KD_E_NOT_FOUND, "no environment variable '%s'", name);
	free(name);
	return s;
}

static enum kd_status from_commands(struct call *call, struct text *t)
{
	char *commands = args_rest(&call->args);
	enum kd_status s = console_run_captured(call->con, commands, t);

	free(commands);
	return s;
}

static enum kd_status from_file(struct call *call, struct text *t)
{
	char *path = args_rest(&call->args), bytes[4096];
	FILE *f = fopen(path, "re");
	size_t n;
	enum kd_status s = KD_OK;

	while (f && t->size <= ALIAS_TEXT_MAX && (n = fread(bytes, 1, sizeof(bytes), f)) > 0)
		text_append(t, bytes, n);
	if (!f || ferror(f))
		s = call_fail(call, KD_E_IO, "%s: %s", path, strerror(errno));
	if (f)
		fclose(f);
	free(path);
	return s;
}

static enum kd_status from_text(struct call *call, struct text *t)
{
	char *rest = args_rest(&call->args);

	text_add(t, rest);
	free(rest);
	return KD_OK;
}

static const struct {
	const char *name;
	enum kd_status (*take)(struct call *call, struct text *t);
} sources[] = {
	{ "x", from_value },       { "ma", from_string },  { "mu", from_wide_string },
	{ "e", from_environment }, { "c", from_commands }, { "f", from_file },
};

static enum kd_status take_value(struct call *call, const char *option, struct text *t)
{
	for (size_t i = 0; i < APP_ARRAY_LEN(sources); i++)
		if (strcmp(sources[i].name, option) == 0)
			return sources[i].take(call, t);
	return *option ? call_fail(call, KD_E_SYNTAX,
				   "/%s is not known; there are /c /e /f /ma /mu /x", option)
		       : from_text(call, t);
}

static enum kd_status run_as(struct call *call)
{
	char option[8] = "", name[128];
	struct text value = TEXT_INIT;
	enum kd_status s;

	args_switch(&call->args, '/', option, sizeof(option));
	if (!args_word(&call->args, name, sizeof(name)))
		return call_fail(call, KD_E_SYNTAX, "%s NAME TEXT", call->name);
	s = take_value(call, option, &value);
	if (s == KD_OK && value.size > ALIAS_TEXT_MAX)
		s = call_fail(call, KD_E_TOO_BIG, "above %d KB", ALIAS_TEXT_MAX >> 10);
	if (s == KD_OK && !alias_set(&call->con->aliases, name, text_string(&value)))
		s = call_fail(call, KD_E_FULL, "more than %d aliases", ALIASES_MAX);
	text_free(&value);
	return s;
}

static enum kd_status run_ad(struct call *call)
{
	char name[128];

	if (!args_word(&call->args, name, sizeof(name)))
		return call_fail(call, KD_E_SYNTAX, "which alias? ad NAME, or ad *");
	if (strcmp(name, "*") == 0)
		alias_clear(&call->con->aliases);
	else if (!alias_remove(&call->con->aliases, name))
		return call_fail(call, KD_E_NOT_FOUND, "no alias '%s'; al lists them", name);
	return args_done(&call->args);
}

static enum kd_status run_al(struct call *call)
{
	const struct alias_table *t = &call->con->aliases;
	json_t *o = call_object(call);
	enum kd_status s = args_done(&call->args);

	if (s != KD_OK)
		return s;
	if (t->n == 0)
		out_printf(call->out, "No aliases\n");
	for (size_t i = 0; i < t->n; i++) {
		out_printf(call->out, "  %-16s %s\n", t->entries[i].name, t->entries[i].value);
		data_string(o, t->entries[i].name, t->entries[i].value);
	}
	return KD_OK;
}

/* clang-format off */
static const struct command commands[] = {
	{ "as", "as [/x|/ma|/mu|/e|/c|/f] NAME TEXT",
	  "Set an alias to the rest of the line\n"
	  "It is replaced where NAME stands as a word of its own, and ${NAME} everywhere. /x: an "
	  "expression's value. /ma, /mu: a string of the target. /e: an environment variable. /c: the "
	  "output of commands. /f: a file.",
	  "as /x self @$proc", NULL, 0, WORDS_NONE, run_as, NULL, split_line_end },
	{ "aS", "aS [/x|/ma|/mu|/e|/c|/f] NAME TEXT", "As `as`, to the next `;`", "aS n 4; .block { k n }",
	  NULL, 0, WORDS_NONE, run_as, NULL, NULL },
	{ "ad", "ad NAME|*", "Remove an alias, or all", "ad *", NULL, 0, WORDS_NONE, run_ad, NULL, NULL },
	{ "al", "al", "List aliases", "al", "aliases", 0, WORDS_NONE, run_al, NULL, NULL },
};
/* clang-format on */

FAMILY(family_alias, "Aliases");
