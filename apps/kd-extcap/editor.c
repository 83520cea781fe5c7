/* SPDX-License-Identifier: MIT */
#include "apps/kd-extcap/editor.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/kd/payload.h"
#include "apps/kd/program_path.h"
#include "apps/kd/text.h"

extern char **environ;

/* With windows, and not gone before the file is closed. */
static const struct {
	const char *program, *command;
} known[] = {
	{ "okteta", "okteta" },     { "ghex", "ghex" },
	{ "bless", "bless" },       { "wxHexEditor", "wxHexEditor" },
	{ "kate", "kate -b" },      { "gvim", "gvim -f -b" },
	{ "emacs", "emacs" },       { "gedit", "gedit -s" },
	{ "mousepad", "mousepad" },
};

static const char *choose(const struct editors *e)
{
	const char *own = getenv("OPENKD_EDITOR");

	if (e->program && *e->program)
		return e->program;
	if (own && *own)
		return own;
	for (size_t i = 0; i < APP_ARRAY_LEN(known); i++)
		if (program_is_in_path(known[i].program))
			return known[i].command;
	return NULL;
}

static bool write_file(struct editing *one, const uint8_t *bytes, size_t size)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	ssize_t n;
	int fd;

	snprintf(one->path, sizeof(one->path), "%.200s/openkd-item-%llu.XXXXXX",
		 base && base[0] == '/' ? base : "/tmp", (unsigned long long)one->item);
	fd = mkstemp(one->path); /* 0600 */
	if (fd < 0)
		return false;
	n = write(fd, bytes, size);
	close(fd);
	if (n != (ssize_t)size)
		unlink(one->path);
	return n == (ssize_t)size;
}

static int spawn(struct editing *one, const char *command)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, usual;
	char line[600];
	const char *const argv[] = { "sh", "-c", line, "sh", one->path, NULL };
	int failed;

	snprintf(line, sizeof(line), "exec %.500s \"$1\"", command);
	posix_spawn_file_actions_init(&files);
	for (int fd = 0; fd < 3; fd++)
		posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
	/* what we do with signals is no affair of an editor's */
	sigemptyset(&none);
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &usual);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	failed = posix_spawn(&one->pid, "/bin/sh", &files, &attributes, (char *const *)argv,
			     environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return failed;
}

bool editor_start(struct editors *e, uint64_t item, const uint8_t *bytes, size_t size,
		  char *message, size_t message_size)
{
	const char *command = choose(e);
	struct editing *one = NULL;
	int failed;

	for (size_t i = 0; i < EDITORS_MAX && !one; i++)
		one = e->one[i].pid ? NULL : &e->one[i];
	if (!command || !one) {
		snprintf(message, message_size, "%s",
			 one ? "no editor with a window was found: set Editor in the interface's "
			       "options or $OPENKD_EDITOR, or use !packet in kd"
			     : "too many editors are open");
		return false;
	}
	*one = (struct editing){ .item = item, .size = size, .before = app_alloc(size + 1) };
	memcpy(one->before, bytes, size);
	if (!write_file(one, bytes, size)) {
		snprintf(message, message_size, "%s: %s", one->path, strerror(errno));
		free(one->before);
		*one = (struct editing){ 0 };
		return false;
	}
	failed = spawn(one, command);
	if (failed) {
		snprintf(message, message_size, "%s: %s", command, strerror(failed));
		unlink(one->path);
		free(one->before);
		*one = (struct editing){ 0 };
	}
	return !failed;
}

/* What the file holds now; NULL: as before, or not to be read. */
static uint8_t *take_result(const struct editing *one, size_t *size_ret, char *message, size_t size)
{
	struct kd_error err = { 0 };
	struct payload p;

	if (payload_from_file(one->path, &p, &err) != KD_OK) {
		snprintf(message, size, "%s", err.text);
		return NULL;
	}
	if (p.size == one->size && memcmp(p.bytes, one->before, p.size) == 0)
		payload_free(&p);
	*size_ret = p.size;
	return p.bytes;
}

static void forget(struct editing *one)
{
	unlink(one->path);
	free(one->before);
	*one = (struct editing){ 0 };
}

bool editor_ended(struct editors *e, uint64_t *item_ret, uint8_t **bytes_ret, size_t *size_ret,
		  char *message, size_t message_size)
{
	message[0] = '\0';
	for (size_t i = 0; i < EDITORS_MAX; i++) {
		struct editing *one = &e->one[i];

		if (!one->pid || waitpid(one->pid, NULL, WNOHANG) != one->pid)
			continue;
		*item_ret = one->item;
		*bytes_ret = take_result(one, size_ret, message, message_size);
		forget(one);
		return true;
	}
	return false;
}

void editors_close(struct editors *e)
{
	for (size_t i = 0; i < EDITORS_MAX; i++)
		if (e->one[i].pid)
			forget(&e->one[i]);
}
