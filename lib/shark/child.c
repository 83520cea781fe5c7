/* SPDX-License-Identifier: MIT */
#include "lib/shark/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COMPLAINTS_MAX = 128 /* half KBs in one go */ };

/* --- starting --- */

static bool make_pipes(int pipes[4][2])
{
	for (int i = 0; i < 4; i++)
		if (pipe2(pipes[i], O_CLOEXEC) != 0) {
			while (i-- > 0) {
				close(pipes[i][0]);
				close(pipes[i][1]);
			}
			return false;
		}
	return true;
}

/* In the child, after fork(): only what is safe there. The number of a failure goes to `report`. */
static void become(int pipes[4][2], pid_t parent, const char *const *argv, char *const *environment)
{
	sigset_t none;
	int number;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_IGN); /* Ctrl-C is for the console */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	dup2(pipes[0][0], STDIN_FILENO);
	dup2(pipes[1][1], STDOUT_FILENO);
	dup2(pipes[2][1], STDERR_FILENO);
	execvpe(argv[0], (char *const *)(uintptr_t)argv, environment);
	number = errno;
	if (write(pipes[3][1], &number, sizeof number) < 0)
		_exit(126);
	_exit(127);
}

/* Ours and these: the first of a name counts. malloc'ed, the strings are borrowed. */
static char **join(const char *const *more)
{
	size_t n = 0, n_more = 0;
	char **all;

	while (environ[n])
		n++;
	while (more && more[n_more])
		n_more++;
	all = malloc((n + n_more + 1) * sizeof *all);
	if (!all)
		return NULL;
	if (n_more)
		memcpy(all, more, n_more * sizeof *all);
	memcpy(all + n_more, environ, (n + 1) * sizeof *all);
	return all;
}

static void take_ends(struct kd__child *c, int pipes[4][2])
{
	c->in = pipes[0][1];
	c->out = pipes[1][0];
	c->err = pipes[2][0];
	close(pipes[0][0]);
	close(pipes[1][1]);
	close(pipes[2][1]);
	close(pipes[3][1]);
	fcntl(c->in, F_SETFL, O_NONBLOCK);
	fcntl(c->out, F_SETFL, O_NONBLOCK);
	fcntl(c->err, F_SETFL, O_NONBLOCK);
}

enum kd_status kd__child_start(struct kd__child *c, const char *const *argv,
			       const char *const *environment, struct kd_error *err)
{
	KD_CLEANUP(kd_freep) char **all = join(environment);
	pid_t parent = getpid();
	int pipes[4][2], number = 0;
	ssize_t n;

	*c = (struct kd__child){ .in = -1, .out = -1, .err = -1 };
	if (!all)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	if (!make_pipes(pipes))
		return kd_error_set(err, KD_E_IO, 0, "no pipes for %s: %s", argv[0],
				    strerror(errno));
	c->pid = fork();
	if (c->pid == 0)
		become(pipes, parent, argv, all);
	take_ends(c, pipes);
	if (c->pid < 0) {
		c->pid = 0;
		number = errno;
	} else {
		do /* closed when it runs */
			n = read(pipes[3][0], &number, sizeof number);
		while (n < 0 && errno == EINTR);
	}
	close(pipes[3][0]);
	if (number == 0)
		return KD_OK;
	kd__child_kill(c);
	return kd_error_set(err, number == ENOENT ? KD_E_NOT_FOUND : KD_E_IO, 0,
			    "cannot start %s: %s", argv[0], strerror(number));
}

/* --- talking --- */

static bool is_skipped(const struct kd__child *c)
{
	size_t n = c->skip ? strlen(c->skip) : 0;

	return n && c->first_size >= n && memcmp(c->first, c->skip, n) == 0;
}

static void keep_complaints(struct kd__child *c)
{
	char bytes[512];
	ssize_t n;

	/* one that never stops complaining does not keep us */
	for (int turn = 0;
	     turn < COMPLAINTS_MAX && c->err >= 0 && (n = read(c->err, bytes, sizeof bytes)) > 0;
	     turn++) {
		for (ssize_t i = 0; i < n; i++) {
			bool is_line = bytes[i] == '\n';

			if (is_line && !c->has_first && is_skipped(c))
				c->first_size = 0;
			c->has_first |= is_line && c->first_size;
			if (!is_line && !c->has_first && c->first_size + 1 < sizeof c->first)
				c->first[c->first_size++] = bytes[i];
			if (is_line && c->complaint_size == 0)
				continue;
			/* a new line takes the place of the one before */
			if (c->complaint_size && c->complaint[c->complaint_size - 1] == '\n')
				c->complaint_size = 0;
			if (c->complaint_size + 2 < sizeof c->complaint)
				c->complaint[c->complaint_size++] = bytes[i];
		}
	}
}

/* One line that can be shown. */
static const char *clean(char *text, size_t n)
{
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	text[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20)
			text[i] = ' ';
	return text;
}

const char *kd__child_complaint(struct kd__child *c)
{
	keep_complaints(c);
	return clean(c->complaint, c->complaint_size);
}

const char *kd__child_first_complaint(struct kd__child *c)
{
	keep_complaints(c);
	return clean(c->first, c->first_size);
}

/* Until `fd` is ready; its complaints are read meanwhile, so that it does not wait for us. */
static enum kd_status wait_for(struct kd__child *c, int fd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = fd, .events = events },
				       { .fd = c->err, .events = POLLIN } };
		uint64_t now = kd_now_ns();
		struct timespec left = { 0 };

		if (now < deadline) {
			left.tv_sec = (time_t)((deadline - now) / 1000000000);
			left.tv_nsec = (long)((deadline - now) % 1000000000);
		}
		if (ppoll(p, 2, &left, NULL) < 0 && errno != EINTR)
			return KD_E_IO;
		if (p[1].revents & POLLIN)
			keep_complaints(c);
		else if (p[1].revents & (POLLHUP | POLLERR)) {
			close(c->err);
			c->err = -1;
		}
		if (p[0].revents)
			return KD_OK;
		if (now >= deadline)
			return KD_E_TIMEOUT;
	}
}

enum kd_status kd__child_write(struct kd__child *c, const void *bytes, size_t size,
			       uint64_t deadline)
{
	const char *at = bytes;
	enum kd_status s = c->in < 0 ? KD_E_CLOSED : KD_OK;
	sigset_t pipe_only, before;
	const struct timespec no_time = { 0 };

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
	while (size && s == KD_OK) {
		ssize_t n = write(c->in, at, size);

		if (n > 0) {
			at += n;
			size -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			s = wait_for(c, c->in, POLLOUT, deadline);
		} else if (n < 0 && errno != EINTR) {
			s = KD_E_CLOSED;
			sigtimedwait(&pipe_only, NULL, &no_time);
		}
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return s;
}

enum kd_status kd__child_read(struct kd__child *c, void *buffer, size_t size, size_t *n_ret,
			      uint64_t deadline)
{
	for (;;) {
		ssize_t n = c->out < 0 ? 0 : read(c->out, buffer, size);
		enum kd_status s;

		*n_ret = n > 0 ? (size_t)n : 0;
		if (n > 0)
			return KD_OK;
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return KD_E_CLOSED;
		s = wait_for(c, c->out, POLLIN, deadline);
		if (s != KD_OK)
			return s;
	}
}

enum kd_status kd__child_read_all(struct kd__child *c, void *buffer, size_t size, uint64_t deadline)
{
	char *at = buffer;
	enum kd_status s = KD_OK;
	size_t n;

	for (; size && s == KD_OK; at += n, size -= n)
		s = kd__child_read(c, at, size, &n, deadline);
	return s;
}

/* --- ending --- */

void kd__child_end_input(struct kd__child *c)
{
	if (c->in >= 0)
		close(c->in);
	c->in = -1;
}

enum kd_status kd__child_wait(struct kd__child *c, int *status_ret, uint64_t deadline)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	int status;

	while (c->pid && waitpid(c->pid, &status, WNOHANG) == 0) {
		if (kd_now_ns() >= deadline)
			return KD_E_TIMEOUT;
		keep_complaints(c);
		nanosleep(&pause, NULL);
	}
	if (!c->pid)
		return KD_E_CLOSED;
	*status_ret = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	kill(-c->pid, SIGKILL); /* what it left behind */
	c->pid = 0;
	return KD_OK;
}

void kd__child_kill(struct kd__child *c)
{
	if (c->pid) {
		kill(-c->pid, SIGKILL);
		kill(c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
		c->pid = 0;
	}
	kd__child_end_input(c);
	if (c->out >= 0)
		close(c->out);
	if (c->err >= 0)
		close(c->err);
	c->out = c->err = -1;
}
