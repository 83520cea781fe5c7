/* SPDX-License-Identifier: MIT */
#include "apps/kdmon/launch.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/kd/program_path.h"
#include "apps/kd/text.h"

extern char **environ;

/* --- words --- */

static const char *put_in(struct text *t, const char *at, const char *vm, const char *endpoint)
{
	if (strncmp(at, "{vm}", 4) == 0) {
		text_add(t, vm);
		return at + 4;
	}
	if (strncmp(at, "{endpoint}", 10) == 0) {
		text_add(t, endpoint);
		return at + 10;
	}
	text_append(t, at, 1);
	return at + 1;
}

/* One word; NULL: a quote is open at the end. */
static const char *take_word(const char *at, struct text *t, const char *vm, const char *endpoint)
{
	char quote = 0;

	text_add(t, "");
	while (*at && (quote || !isspace((unsigned char)*at))) {
		if (quote ? *at == quote : *at == '\'' || *at == '"') {
			quote = quote ? 0 : *at;
			at++;
		} else if (*at == '\\' && quote != '\'' && at[1]) {
			text_append(t, at + 1, 1);
			at += 2;
		} else {
			at = put_in(t, at, vm, endpoint);
		}
	}
	return quote ? NULL : at;
}

char **launch_words(const char *template, const char *vm, const char *endpoint, char *message_ret,
		    size_t size)
{
	char **words = app_alloc((LAUNCH_WORDS_MAX + 1) * sizeof(*words));
	size_t n = 0;
	const char *why = NULL;

	for (const char *at = template; !why;) {
		struct text t = TEXT_INIT;

		while (isspace((unsigned char)*at))
			at++;
		if (!*at)
			break;
		at = take_word(at, &t, vm, endpoint);
		if (!at)
			why = "a quote is open at its end";
		else if (n == LAUNCH_WORDS_MAX)
			why = "it has more than 64 words";
		else
			words[n++] = text_take(&t);
		text_free(&t);
	}
	words[n] = NULL;
	if (!why && n == 0)
		why = "it is empty";
	if (!why)
		return words;
	snprintf(message_ret, size, "the command '%.100s': %s", template, why);
	launch_free(words);
	return NULL;
}

void launch_free(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

/* --- the program --- */

static bool is_program(const char *path)
{
	return access(path, X_OK) == 0;
}

/* A kd that is not in $PATH yet: the one beside this program, or in the build's folder. */
static const char *find_kd(char *path, size_t size)
{
	static const char *const places[] = { "kd", "../kd/kd" };
	char own[512];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	if (n <= 0)
		return "kd";
	own[n] = '\0';
	slash = strrchr(own, '/');
	for (size_t i = 0; slash && i < APP_ARRAY_LEN(places); i++) {
		snprintf(path, size, "%.*s/%s", (int)(slash - own), own, places[i]);
		if (is_program(path))
			return path;
	}
	return "kd";
}

pid_t launch_start(char *const *words, bool is_detached, char *message_ret, size_t size)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	const char *program = words[0];
	char path[1024];
	sigset_t none;
	pid_t pid = -1;
	int failed;

	if (strcmp(program, "kd") == 0 && !program_is_in_path("kd"))
		program = find_kd(path, sizeof(path));
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes,
				 POSIX_SPAWN_SETSIGMASK | (is_detached ? POSIX_SPAWN_SETSID : 0));
	if (is_detached)
		posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	failed = posix_spawnp(&pid, program, &actions, &attributes, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (failed) {
		snprintf(message_ret, size, "cannot run %.200s: %s", words[0], strerror(failed));
		return -1;
	}
	return pid;
}
