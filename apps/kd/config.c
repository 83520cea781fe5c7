/* SPDX-License-Identifier: MIT */
#include "apps/kd/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kd/text.h"

/* Keys: of the top (offset in struct config) and of a target. */
static const struct key {
	const char *name;
	size_t offset;
} top_keys[] = {
	{ "sympath", offsetof(struct config, symbol_path) },
	{ "color", offsetof(struct config, color) },
	{ "startup", offsetof(struct config, startup) },
	{ "connect", offsetof(struct config, connections) },
	{ "attach", offsetof(struct config, attach) },
}, target_keys[] = {
	{ "endpoint", offsetof(struct config_target, endpoint) },
	{ "sympath", offsetof(struct config_target, symbol_path) },
	{ "startup", offsetof(struct config_target, startup) },
	{ "proxy", offsetof(struct config_target, proxy) },
	{ "attach", offsetof(struct config_target, attach) },
};

static char *trim(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	n = strlen(s);
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';
	return s;
}

const struct config_target *config_target(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_targets; i++)
		if (strcmp(c->targets[i].name, name) == 0)
			return &c->targets[i];
	return NULL;
}

/* `[target NAME]` */
static bool heading(struct config *c, struct config_target **section, char *line, char *message,
		    size_t size)
{
	char *end = strchr(line, ']'), *name;

	if (!end || *trim(end + 1)) {
		snprintf(message, size, "a heading is [target NAME]");
		return false;
	}
	*end = '\0';
	name = trim(line + 1);
	if (strncmp(name, "target", 6) != 0 || !isspace((unsigned char)name[6]) ||
	    !*(name = trim(name + 6))) {
		snprintf(message, size, "a heading is [target NAME]");
		return false;
	}
	if (config_target(c, name)) {
		snprintf(message, size, "target '%s' is there already", name);
		return false;
	}
	if (c->n_targets == CONFIG_TARGETS_MAX) {
		snprintf(message, size, "more than %d targets", CONFIG_TARGETS_MAX);
		return false;
	}
	*section = &c->targets[c->n_targets++];
	(*section)->name = app_strdup(name);
	return true;
}

static bool set_key(void *base, const struct key *keys, size_t n, const char *name,
		    const char *value, char *message, size_t size)
{
	struct text known = TEXT_INIT;

	for (size_t i = 0; i < n; i++) {
		char **field = (char **)((char *)base + keys[i].offset);

		if (strcmp(keys[i].name, name) == 0) {
			free(*field);
			*field = app_strdup(value);
			text_free(&known);
			return true;
		}
		text_printf(&known, "%s%s", i ? ", " : "", keys[i].name);
	}
	snprintf(message, size, "no key '%s' here; there are %s", name, text_string(&known));
	text_free(&known);
	return false;
}

bool config_line(struct config *c, struct config_target **section, char *line, char *message_ret,
		 size_t size)
{
	char *equals, *name, *value;

	line = trim(line);
	if (!*line || *line == '#' || *line == ';')
		return true;
	if (*line == '[')
		return heading(c, section, line, message_ret, size);
	equals = strchr(line, '=');
	if (!equals) {
		snprintf(message_ret, size, "a line is KEY = VALUE, [target NAME] or # comment");
		return false;
	}
	*equals = '\0';
	name = trim(line);
	value = trim(equals + 1);
	if (*section)
		return set_key(*section, target_keys, APP_ARRAY_LEN(target_keys), name, value,
			       message_ret, size);
	if (strcmp(name, "color") == 0 && strcmp(value, "auto") != 0 &&
	    strcmp(value, "always") != 0 && strcmp(value, "never") != 0) {
		snprintf(message_ret, size, "color is auto, always or never");
		return false;
	}
	return set_key(c, top_keys, APP_ARRAY_LEN(top_keys), name, value, message_ret, size);
}

static bool read_lines(struct config *c, FILE *f, const char *path, char *message, size_t size)
{
	struct config_target *section = NULL;
	char line[CONFIG_LINE_MAX], what[200];
	unsigned number = 0;

	while (fgets(line, sizeof(line), f)) {
		number++;
		if (!strchr(line, '\n') && !feof(f)) {
			snprintf(message, size, "%s:%u: longer than %d characters", path, number,
				 CONFIG_LINE_MAX - 2);
			return false;
		}
		if (!config_line(c, &section, line, what, sizeof(what))) {
			snprintf(message, size, "%s:%u: %s", path, number, what);
			return false;
		}
	}
	if (ferror(f)) {
		snprintf(message, size, "%s: cannot be read: %s", path, strerror(errno));
		return false;
	}
	return true;
}

bool config_read(struct config *c, const char *path, bool must_exist, char *message_ret,
		 size_t size)
{
	FILE *f = fopen(path, "re");
	bool is_good;

	*c = (struct config){ 0 };
	if (!f) {
		if ((errno == ENOENT || errno == ENOTDIR) && !must_exist)
			return true;
		snprintf(message_ret, size, "%s: %s", path, strerror(errno));
		return false;
	}
	is_good = read_lines(c, f, path, message_ret, size);
	fclose(f);
	return is_good;
}

void config_free(struct config *c)
{
	free(c->symbol_path);
	free(c->color);
	free(c->startup);
	free(c->connections);
	free(c->attach);
	for (size_t i = 0; i < c->n_targets; i++) {
		free(c->targets[i].name);
		free(c->targets[i].endpoint);
		free(c->targets[i].symbol_path);
		free(c->targets[i].startup);
		free(c->targets[i].proxy);
		free(c->targets[i].attach);
	}
	*c = (struct config){ 0 };
}

size_t config_connections(char *text, const char *words[CONFIG_CONNECTIONS_MAX])
{
	char *word;
	size_t n = 0;

	while ((word = strsep(&text, " \t,")))
		if (*word && n < CONFIG_CONNECTIONS_MAX)
			words[n++] = word;
	return n;
}

bool config_path(const char *variable, const char *fallback, const char *file, char *path_ret,
		 size_t size)
{
	const char *base = getenv(variable), *home = getenv("HOME");
	int n;

	if (base && base[0] == '/')
		n = snprintf(path_ret, size, "%s/openkd/%s", base, file);
	else if (home && home[0] == '/')
		n = snprintf(path_ret, size, "%s/%s/openkd/%s", home, fallback, file);
	else
		return false;
	return n > 0 && (size_t)n < size;
}
