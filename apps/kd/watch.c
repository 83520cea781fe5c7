/* SPDX-License-Identifier: MIT */
/*
 * IDLE --watch_wait()--> ARMED --a descriptor is ready--> FIRED (the session was cancelled)
 *   ^                      |                                 |
 *   +------ disarm() ------+------------ disarm() -----------+
 *
 * The cancel and the change to FIRED happen under the lock, and only from ARMED: once disarm() has
 * returned no late cancel can reach the command that follows.
 */
#include "apps/kd/watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "apps/kd/text.h"

enum { WATCH_MAX = 64 };
enum phase { IDLE, ARMED, FIRED };

struct entry {
	watch_fn fn;
	void *context;
};

struct watch {
	struct pollfd fds[WATCH_MAX]; /* the caller's thread */
	struct entry entries[WATCH_MAX];
	nfds_t n;

	pthread_t thread;
	int control; /* eventfd: armed, or to end */

	pthread_mutex_t lock; /* for what follows */
	enum phase phase;
	bool is_ending;
	struct kd_session *session;
	struct pollfd armed[WATCH_MAX];
	nfds_t n_armed;
};

/* The thread's copy of what to poll; the control descriptor comes first. False: end. */
static bool take_armed(struct watch *w, struct pollfd *fds, nfds_t *n_ret)
{
	bool is_ending;

	fds[0] = (struct pollfd){ .fd = w->control, .events = POLLIN };
	*n_ret = 1;
	pthread_mutex_lock(&w->lock);
	if (w->phase == ARMED) {
		memcpy(fds + 1, w->armed, w->n_armed * sizeof(*fds));
		*n_ret += w->n_armed;
	}
	is_ending = w->is_ending;
	pthread_mutex_unlock(&w->lock);
	return !is_ending;
}

static void fire(struct watch *w)
{
	pthread_mutex_lock(&w->lock);
	if (w->phase == ARMED) {
		w->phase = FIRED;
		kd_session_cancel(w->session);
	}
	pthread_mutex_unlock(&w->lock);
}

static void *watch_thread(void *context)
{
	struct watch *w = context;
	struct pollfd fds[WATCH_MAX + 1];
	uint64_t count;
	nfds_t n;

	while (take_armed(w, fds, &n)) {
		if (poll(fds, n, -1) < 0)
			continue;
		if (fds[0].revents) {
			/* Armed anew, disarmed or told to end: look again. */
			if (read(w->control, &count, sizeof(count)) < 0 && errno != EAGAIN)
				break;
			continue;
		}
		fire(w);
	}
	return NULL;
}

static void poke(struct watch *w)
{
	uint64_t one = 1;
	ssize_t n = write(w->control, &one, sizeof(one));

	(void)n; /* it cannot fill up: the thread reads it */
}

struct watch *watch_create(void)
{
	struct watch *w = app_alloc(sizeof(*w));
	sigset_t all, before;
	int failed;

	w->control = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->control < 0) {
		free(w);
		return NULL;
	}
	pthread_mutex_init(&w->lock, NULL);
	/* Signals are the main thread's: a handler's cancel must find it in its wait. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&w->thread, NULL, watch_thread, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		close(w->control);
		free(w);
		return NULL;
	}
	return w;
}

void watch_destroy(struct watch *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->is_ending = true;
	pthread_mutex_unlock(&w->lock);
	poke(w);
	pthread_join(w->thread, NULL);
	pthread_mutex_destroy(&w->lock);
	close(w->control);
	free(w);
}

static nfds_t find(const struct watch *w, int fd)
{
	nfds_t i = 0;

	while (i < w->n && w->fds[i].fd != fd)
		i++;
	return i;
}

bool watch_add(struct watch *w, int fd, short events, watch_fn fn, void *context)
{
	nfds_t i = find(w, fd);

	if (i == WATCH_MAX)
		return false;
	if (i == w->n)
		w->n++;
	w->fds[i] = (struct pollfd){ .fd = fd, .events = events };
	w->entries[i] = (struct entry){ fn, context };
	return true;
}

void watch_remove(struct watch *w, int fd)
{
	nfds_t i = find(w, fd);

	if (i == w->n)
		return;
	w->n--;
	w->fds[i] = w->fds[w->n];
	w->entries[i] = w->entries[w->n];
}

static bool any_ready(struct watch *w)
{
	return poll(w->fds, w->n, 0) > 0;
}

static void arm(struct watch *w, struct kd_session *session)
{
	pthread_mutex_lock(&w->lock);
	w->session = session;
	memcpy(w->armed, w->fds, w->n * sizeof(*w->fds));
	w->n_armed = w->n;
	w->phase = ARMED;
	pthread_mutex_unlock(&w->lock);
	poke(w);
}

static void disarm(struct watch *w, struct kd_session *session)
{
	bool was_fired;

	pthread_mutex_lock(&w->lock);
	was_fired = w->phase == FIRED;
	w->phase = IDLE;
	pthread_mutex_unlock(&w->lock);
	if (was_fired)
		kd_session_cancel_clear(session);
	else
		poke(w); /* stop polling what may be closed now */
}

enum kd_status watch_wait(struct watch *w, struct kd_session *session, int timeout_ms,
			  struct kd_event *event_ret, struct kd_error *err)
{
	enum kd_status status;

	/* What is there already needs no thread: bursts of output stay cheap. */
	status = kd_session_wait(session, 0, event_ret, err);
	if (status != KD_E_TIMEOUT || timeout_ms == 0)
		return status;
	if (any_ready(w))
		return KD_E_CANCELLED;
	arm(w, session);
	status = kd_session_wait(session, timeout_ms, event_ret, err);
	disarm(w, session);
	return status;
}

void watch_dispatch(struct watch *w)
{
	struct pollfd ready[WATCH_MAX];
	nfds_t n = w->n;

	memcpy(ready, w->fds, n * sizeof(*ready));
	if (poll(ready, n, 0) <= 0)
		return;
	for (nfds_t i = 0; i < n; i++) {
		nfds_t at = ready[i].revents ? find(w, ready[i].fd) : w->n;

		/* A handler before may have removed it. */
		if (at < w->n)
			w->entries[at].fn(w->entries[at].context, ready[i].fd, ready[i].revents);
	}
}
