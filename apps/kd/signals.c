/* SPDX-License-Identifier: MIT */
#include "apps/kd/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <openkd/session.h>

#include "apps/kd/option.h"

static struct kd_session *volatile session;
static volatile sig_atomic_t doing, interrupts, ending;
static int pipe_fds[2] = { -1, -1 };

static void wake(void)
{
	ssize_t n = write(pipe_fds[1], "!", 1);

	(void)n; /* full: it is readable already */
}

static void on_interrupt(int number)
{
	int saved = errno;

	(void)number;
	if (!session)
		_exit(EXIT_INTERRUPTED);
	interrupts++;
	if (doing == DOING_RUN)
		kd_session_break_in(session);
	else
		kd_session_cancel(session);
	wake();
	errno = saved;
}

static void on_end(int number)
{
	int saved = errno;

	if (!session)
		_exit(128 + number);
	ending = number;
	kd_session_cancel(session);
	wake();
	errno = saved;
}

static void install(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

void signals_start(void)
{
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) != 0)
		abort();
	install(SIGINT, on_interrupt);
	install(SIGTERM, on_end);
	install(SIGHUP, on_end);
	install(SIGPIPE, SIG_IGN);
}

int signals_fd(void)
{
	return pipe_fds[0];
}

void signals_drain(void)
{
	char bytes[64];

	while (read(pipe_fds[0], bytes, sizeof(bytes)) > 0)
		;
}

void signals_set_session(struct kd_session *s)
{
	session = s;
}

void signals_set_doing(enum doing what)
{
	doing = (sig_atomic_t)what;
}

unsigned signals_take_interrupts(void)
{
	unsigned n = (unsigned)interrupts;

	interrupts = 0;
	return n;
}

bool signals_pending(void)
{
	return interrupts || ending;
}

int signals_ending(void)
{
	return ending;
}
