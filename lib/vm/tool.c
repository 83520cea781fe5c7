/* SPDX-License-Identifier: MIT */
#include "lib/vm/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vm/qmp_message.h"
#include "lib/wait.h"

extern char **environ;

static int spawn(const char *const *argv, int out, pid_t *pid_ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int failed;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, out, 2);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	failed = posix_spawnp(pid_ret, argv[0], &actions, &attributes, (char *const *)argv,
			      environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return failed;
}

/* Everything it says, until it ends or the time is over. */
static enum kd_status collect(int fd, uint64_t deadline, char *text, struct kd_error *err)
{
	size_t n = 0;
	enum kd_status s;

	for (;;) {
		struct kd_wait_fd w = { .fd = fd, .want_read = true };
		char rest[1024];
		size_t room = KD_TOOL_OUTPUT_MAX - n;
		ssize_t r;

		s = kd_wait(&w, 1, deadline, NULL, err);
		if (s != KD_OK)
			break;
		r = read(fd, room ? text + n : rest, room ? room : sizeof rest);
		if (r < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (r <= 0)
			break;
		n += room ? (size_t)r : 0;
	}
	text[n] = '\0';
	return s;
}

static enum kd_status result_of(const char *program, int status, const char *text,
				struct kd_error *err)
{
	char line[KD_ERROR_TEXT_SIZE];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return KD_OK;
	snprintf(line, sizeof line, "%.*s", (int)KD_MIN(strcspn(text, "\r\n"), sizeof line - 1),
		 text);
	kd__vm_printable(line[0] ? line : "it says nothing", line, sizeof line);
	return kd_error_set(err, KD_E_TARGET, 0, "%s: %s", program, line);
}

enum kd_status kd__tool_run(const char *const *argv, uint64_t deadline, char **text_ret,
			    struct kd_error *err)
{
	char *text = malloc(KD_TOOL_OUTPUT_MAX + 1);
	int ends[2] = { -1, -1 }, failed, status = 0;
	enum kd_status s;
	pid_t pid = 0;

	*text_ret = text;
	if (!text)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	text[0] = '\0';
	if (pipe2(ends, O_CLOEXEC) != 0)
		return kd_error_set(err, KD_E_IO, 0, "pipe: %s", strerror(errno));
	failed = spawn(argv, ends[1], &pid);
	close(ends[1]);
	if (failed) {
		close(ends[0]);
		return kd_error_set(err, failed == ENOENT ? KD_E_UNSUPPORTED : KD_E_IO, 0, "%s: %s",
				    argv[0],
				    failed == ENOENT ? "not installed, and nothing else controls "
						       "this VM"
						     : strerror(failed));
	}
	s = collect(ends[0], deadline, text, err);
	close(ends[0]);
	if (s != KD_OK) /* only ours: it has a process group of its own */
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (s != KD_OK)
		return kd_error_set(err, s, 0, "%s did not come to an end in time", argv[0]);
	return result_of(argv[0], status, text, err);
}
