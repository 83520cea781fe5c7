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

enum { MEMBERS_MAX = 8192 };

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

/* Fields of the type that `dt` was given before: "Header.Ty" stands for what is in Header. */
static void add_fields(struct console *c, const char *type_name, struct candidates *list)
{
	const char *dot = strrchr(list->prefix, '.');
	struct text path = TEXT_INIT;
	struct kd_field_info *f = app_alloc(sizeof(*f));
	struct kd_type type;
	bool found = symbols_are_loaded(c, type_name) &&
		     kd_type_find(c->session, type_name, &type, NULL) == KD_OK;

	if (dot)
		text_append(&path, list->prefix, (size_t)(dot - list->prefix));
	if (found && dot) {
		found = kd_type_field(c->session, type, text_string(&path), f, NULL) == KD_OK;
		type = f->type;
		text_add(&path, ".");
	}
	for (uint32_t n = 0; found && n < MEMBERS_MAX; n++) {
		struct text name = TEXT_INIT;

		if (kd_type_member(c->session, type, n, f) != KD_OK)
			break;
		text_printf(&name, "%s%s", text_string(&path), f->name);
		add(list, text_string(&name));
		text_free(&name);
	}
	text_free(&path);
	free(f);
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

/* The type that stands before the word at the cursor, if any: behind `dt` and its options. */
static bool type_before(const char *command, const char *cursor_word, struct text *ret)
{
	const char *p = command + strcspn(command, " \t");

	while (p < cursor_word) {
		size_t size;

		p += strspn(p, " \t");
		size = strcspn(p, " \t");
		if (p < cursor_word && *p != '-') {
			text_append(ret, p, APP_MIN(size, (size_t)(cursor_word - p)));
			return true;
		}
		p += size;
	}
	return false;
}

static void add_types_or_fields(struct console *c, const char *command, struct candidates *list)
{
	struct text type = TEXT_INIT;

	if (type_before(command, list->prefix, &type)) {
		add_fields(c, text_string(&type), list);
		kd_symbol_complete(c->session, list->prefix, COMPLETE_LIST_MAX, add, list);
	} else {
		kd_symbol_complete(c->session, list->prefix, COMPLETE_LIST_MAX, add, list);
		add_types(c, list);
	}
	text_free(&type);
}

static void add_words(struct console *c, const char *command, enum command_words words,
		      struct candidates *list)
{
	switch (words) {
	case WORDS_SYMBOLS:
		add_registers(c, list);
		kd_symbol_complete(c->session, list->prefix, COMPLETE_LIST_MAX, add, list);
		break;
	case WORDS_TYPES: add_types_or_fields(c, command, list); break;
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
		add_words(c, command, m.command->words, &found);
	end_limit(c->session);
	make_answer(&found, is_command, insert, list);
	for (size_t i = 0; i < found.n; i++)
		free(found.names[i]);
	free(copy);
}
