/* SPDX-License-Identifier: MIT */
#include "lib/vm/fault_guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

enum { PAGE = 4096 };

struct guard {
	sigjmp_buf env;
	uintptr_t start, size;
	struct guard *outer;
};

/* initial-exec: the handler must not be what allocates a thread's storage. */
static __thread struct guard *volatile current __attribute__((tls_model("initial-exec")));

static struct sigaction before;

/* A handler that was set over ours may pass on to us what we pass on to it: once is enough. */
static __thread volatile sig_atomic_t is_passing __attribute__((tls_model("initial-exec")));

static void pass_on(int number, siginfo_t *info, void *context)
{
	bool again = is_passing;

	is_passing = 1;
	if (again) {
		signal(number, SIG_DFL);
		raise(number);
	} else if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(number, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(number);
	} else {
		/* Ends the process, as it would have without us. */
		signal(number, SIG_DFL);
		raise(number);
	}
	is_passing = again;
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	for (struct guard *g = current; g; g = g->outer) {
		if ((uintptr_t)info->si_addr - g->start >= g->size)
			continue;
		current = g;
		siglongjmp(g->env, 1);
	}
	pass_on(number, info, context);
}

void kd__fault_guard_install(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	/* SA_NODEFER: after the jump the signal is not left blocked. */
	struct sigaction now, action = { .sa_sigaction = on_sigbus,
					 .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

	pthread_mutex_lock(&mutex);
	sigaction(SIGBUS, NULL, &now);
	if (!(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != on_sigbus) {
		before = now;
		sigaction(SIGBUS, &action, NULL);
	}
	pthread_mutex_unlock(&mutex);
}

bool kd__fault_guarded(const void *memory, size_t size, void (*action)(void *context),
		       void *context)
{
	struct guard g = { .start = (uintptr_t)memory, .size = size, .outer = current };

	if (sigsetjmp(g.env, 0) != 0) {
		current = g.outer;
		return false;
	}
	current = &g;
	action(context);
	current = g.outer;
	return true;
}

struct copy {
	void *to;
	const void *from;
	size_t size;
};

static void copy(void *context)
{
	const struct copy *c = context;

	memcpy(c->to, c->from, c->size);
}

bool kd__guarded_memcpy(const void *memory, size_t memory_size, void *to, const void *from,
			size_t size)
{
	struct copy c = { to, from, size };

	return kd__fault_guarded(memory, memory_size, copy, &c);
}

size_t kd__guarded_copy(void *to, const void *from, size_t size)
{
	size_t done = 0;

	if (kd__guarded_memcpy(from, size, to, from, size))
		return size;
	/* Somewhere a page is missing: which is the first? */
	while (done < size) {
		const char *at = (const char *)from + done;
		size_t n = KD_MIN(PAGE - (uintptr_t)at % PAGE, size - done);

		if (!kd__guarded_memcpy(at, n, (char *)to + done, at, n))
			break;
		done += n;
	}
	return done;
}
