/* SPDX-License-Identifier: MIT */
/*
 * Symbols come from what is loaded (kd_symbol_complete never asks the target). Types, registers and
 * modules may ask; a timer cancels that when it takes too long.
 */
#include "apps/kd/complete.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>

#include <openkd/module.h>
#include <openkd/register.h>
#include <openkd/symbol.h>

#include "apps/kd/console.h"

struct candidates {
	const char *prefix; /* what the cursor stands behind */
	size_t prefix_size;
	char *names[COMPLETE_LIST_MAX];
	size_t n;
	bool is_cut;
};

static bool add(void *context, const char *name)
{
	struct candidates *list = context;

	if (strncasecmp(name, list->prefix, list->prefix_size) != 0)
		return true;
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->names[i], name) == 0)
			return true;
	if (list->n == COMPLETE_LIST_MAX) {
		list->is_cut = true;
		return false;
	}
	list->names[list->n++] = app_strdup(name);
	return true;
}

static void add_commands(struct candidates *list)
{
	char name[40];

	for (size_t f = 0; command_families[f]; f++)
		for (size_t i = 0; i < command_families[f]->n; i++)
			for (unsigned k = 0;
			     command_name(&command_families[f]->commands[i], k, name, sizeof(name));
			     k++)
				add(list, name);
}

static void add_registers(struct console *c, struct candidates *list)
{
	size_t n = 0;
	const struct kd_register_info *r = kd_register_table(c->session, &n);

	for (size_t i = 0; i < n; i++)
		add(list, r[i].name);
}

static void add_modules(struct console *c, struct candidates *list)
{
	const struct kd_module *const *modules = NULL;
	size_t n = 0;

	if (c->is_stopped && kd_module_list(c->session, &modules, &n, NULL) == KD_OK)
		for (size_t i = 0; i < n; i++)
			add(list, modules[i]->name);
}

/* Only in modules whose symbols are there already: completion never loads. */
static bool symbols_are_loaded(struct console *c, const char *prefix)
{
	const char *bang = strchr(prefix, '!');
	char name[64] = "nt";
	const struct kd_module *m;

	if (bang)
		app_copy(name, sizeof(name), prefix, (size_t)(bang - prefix));
	m = c->is_stopped ? kd_module_find(c->session, name) : NULL;
	return m && (m->symbols == KD_SYMBOLS_PDB || m->symbols == KD_SYMBOLS_PRIVATE);
}

static void add_types(struct console *c, struct candidates *list)
{
	struct text pattern = TEXT_INIT;

	if (symbols_are_loaded(c, list->prefix)) {
		text_printf(&pattern, "%s*", list->prefix);
		kd_type_enumerate(c->session, text_string(&pattern), add, list, NULL);
	}
	text_free(&pattern);
}

static void add_files(struct candidates *list)
{
	const char *slash = strrchr(list->prefix, '/');
	struct text folder = TEXT_INIT;
	struct dirent *entry;
	DIR *dir;

	if (slash)
		text_append(&folder, list->prefix, (size_t)(slash - list->prefix) + 1);
	dir = opendir(folder.size ? text_string(&folder) : ".");
	while (dir && (entry = readdir(dir))) {
		struct text path = TEXT_INIT;

		text_printf(&path, "%s%s", text_string(&folder), entry->d_name);
		if (entry->d_name[0] != '.')
			add(list, text_string(&path));
		text_free(&path);
	}
	if (dir)
		closedir(dir);
	text_free(&folder);
}

/* --- the time limit --- */

static struct kd_session *volatile timed_session;

static void on_alarm(int number)
{
	(void)number;
	kd_session_cancel(timed_session);
}

static void limit_time(struct kd_session *session, unsigned ms)
{
	struct itimerval timer = { .it_value.tv_usec = (suseconds_t)ms * 1000 };

	timed_session = session;
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void end_limit(struct kd_session *session)
{
	struct itimerval timer = { 0 };

	setitimer(ITIMER_REAL, &timer, NULL);
	kd_session_cancel_clear(session);
}

/* --- a line --- */

static bool ends_word(char c)
{
	return strchr(" \t;,({[+*/@\"`", c) != NULL;
}

/* Start of the command the cursor is in. */
static const char *command_start(const char *line)
{
	for (;;) {
		const char *end;

		line += strspn(line, " \t;{");
		end = line + strcspn(line, ";{");
		if (!*end)
			return line;
		line = end;
	}
}

static void add_words(struct console *c, enum command_words words, struct candidates *list)
{
	switch (words) {
	case WORDS_SYMBOLS:
		add_registers(c, list);
		kd_symbol_complete(c->session, list->prefix, COMPLETE_LIST_MAX, add, list);
		break;
	case WORDS_TYPES:
		kd_symbol_complete(c->session, list->prefix, COMPLETE_LIST_MAX, add, list);
		add_types(c, list);
		break;
	case WORDS_REGISTERS: add_registers(c, list); break;
	case WORDS_MODULES: add_modules(c, list); break;
	case WORDS_COMMANDS: add_commands(list); break;
	case WORDS_FILES: add_files(list); break;
	case WORDS_NONE: break;
	}
}

static size_t common_size(const struct candidates *list)
{
	size_t size = strlen(list->names[0]);

	for (size_t i = 1; i < list->n; i++) {
		size_t k = 0;

		while (k < size && tolower((unsigned char)list->names[i][k]) ==
					   tolower((unsigned char)list->names[0][k]))
			k++;
		size = k;
	}
	return size;
}

static void make_answer(const struct candidates *list, bool is_command, struct text *insert,
			struct text *out)
{
	size_t common;

	if (list->n == 0)
		return;
	common = common_size(list);
	if (common > list->prefix_size)
		text_append(insert, list->names[0] + list->prefix_size, common - list->prefix_size);
	if (list->n == 1 && is_command)
		text_add(insert, " ");
	if (list->n > 1 && insert->size == 0) {
		for (size_t i = 0; i < list->n; i++)
			text_printf(out, "%s\n", list->names[i]);
		if (list->is_cut)
			text_printf(out, "... more than %d\n", COMPLETE_LIST_MAX);
	}
}

void complete_line(struct console *c, const char *line, size_t size, struct text *insert,
		   struct text *list)
{
	char *copy = app_strndup(line, size);
	const char *command = command_start(copy);
	struct candidates found = { 0 };
	struct command_match m = { 0 };
	size_t at = strlen(copy);

	if (*command)
		command_lookup(command, &m);
	bool is_command = !strpbrk(command, " \t");
	while (copy + at > command && !ends_word(copy[at - 1]))
		at--;
	found.prefix = is_command ? command : copy + at;
	found.prefix_size = strlen(found.prefix);
	limit_time(c->session, COMPLETE_LIMIT_MS - 10);
	if (is_command)
		add_commands(&found);
	else if (m.command)
		add_words(c, m.command->words, &found);
	end_limit(c->session);
	make_answer(&found, is_command, insert, list);
	for (size_t i = 0; i < found.n; i++)
		free(found.names[i]);
	free(copy);
}
