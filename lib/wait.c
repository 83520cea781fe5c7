/* SPDX-License-Identifier: MIT */
#include "lib/wait.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/link/link.h"

enum { NS_PER_S = 1000000000 };

enum kd_status kd_cancel_init(struct kd_cancel *c, struct kd_error *err)
{
	atomic_init(&c->is_set, false);
	c->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (c->fd < 0)
		return kd_error_set(err, KD_E_IO, 0, "no descriptor for a cancel: %s",
				    strerror(errno));
	return KD_OK;
}

void kd_cancel_deinit(struct kd_cancel *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void kd_cancel_trigger(struct kd_cancel *c)
{
	const uint64_t one = 1;
	int saved = errno;

	/* The flag first: whoever is woken by the descriptor must see it. */
	atomic_store(&c->is_set, true);
	while (write(c->fd, &one, sizeof one) < 0 && errno == EINTR)
		;
	errno = saved;
}

bool kd_cancel_is_set(const struct kd_cancel *c)
{
	return c && atomic_load(&c->is_set);
}

/* The counter of an eventfd goes to 0 with one read. */
static void drain(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
		;
}

bool kd_cancel_take(struct kd_cancel *c)
{
	/*
	 * A trigger between the two lines leaves the flag set and the descriptor empty; waits look
	 * at the flag first, so it is not lost.
	 */
	bool was_set = atomic_exchange(&c->is_set, false);

	drain(c->fd);
	return was_set;
}

void kd_cancel_clear(struct kd_cancel *c)
{
	kd_cancel_take(c);
}

uint64_t kd_deadline_after_ms(uint32_t ms)
{
	if (ms == UINT32_MAX)
		return KD_TIME_NEVER;
	return kd_now_ns() + (uint64_t)ms * KD_NS_PER_MS;
}

/* How long ppoll may sleep; NULL for ever. */
static const struct timespec *time_left(uint64_t deadline, struct timespec *storage)
{
	uint64_t now, left;

	if (deadline == KD_TIME_NEVER)
		return NULL;
	now = kd_now_ns();
	left = deadline > now ? deadline - now : 0;
	storage->tv_sec = (time_t)(left / NS_PER_S);
	storage->tv_nsec = (long)(left % NS_PER_S);
	return storage;
}

static void to_pollfds(struct pollfd *out, struct kd_wait_fd *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		fds[i].can_read_ret = fds[i].can_write_ret = false;
		/* Somebody who wants nothing must not be woken by a hangup again and again. */
		out[i].fd = fds[i].want_read || fds[i].want_write ? fds[i].fd : -1;
		out[i].events = (short)((fds[i].want_read ? POLLIN : 0) |
					(fds[i].want_write ? POLLOUT : 0));
		out[i].revents = 0;
	}
}

/* How many became ready; *bad_ret: a descriptor that is not open, or -1. */
static size_t from_pollfds(struct kd_wait_fd *fds, const struct pollfd *in, size_t n, int *bad_ret)
{
	const short over = POLLHUP | POLLERR;
	size_t n_ready = 0;

	*bad_ret = -1;
	for (size_t i = 0; i < n; i++) {
		if (in[i].revents & POLLNVAL)
			*bad_ret = fds[i].fd;
		fds[i].can_read_ret = fds[i].want_read && in[i].revents & (POLLIN | over);
		fds[i].can_write_ret = fds[i].want_write && in[i].revents & (POLLOUT | over);
		n_ready += fds[i].can_read_ret || fds[i].can_write_ret;
	}
	return n_ready;
}

enum kd_status kd_wait(struct kd_wait_fd *fds, size_t n, uint64_t deadline,
		       const struct kd_cancel *cancel, struct kd_error *err)
{
	struct pollfd p[KD_WAIT_MAX_FDS + 1];
	struct timespec storage;

	if (n > KD_WAIT_MAX_FDS)
		return kd_error_set(err, KD_E_INVALID, 0, "more than %d descriptors to wait for",
				    KD_WAIT_MAX_FDS);
	to_pollfds(p, fds, n);
	p[n] = (struct pollfd){ .fd = cancel ? cancel->fd : -1, .events = POLLIN };
	for (;;) {
		int n_events, bad;

		if (kd_cancel_is_set(cancel))
			return kd_error_set(err, KD_E_CANCELLED, 0, "cancelled");
		n_events = ppoll(p, n + 1, time_left(deadline, &storage), NULL);
		if (n_events < 0 && errno != EINTR)
			return kd_error_set(err, KD_E_IO, 0, "ppoll: %s", strerror(errno));
		if (n_events < 0)
			continue;
		if (n_events == 0)
			return kd_error_set(err, KD_E_TIMEOUT, 0, "nothing happened in time");
		if (kd_cancel_is_set(cancel))
			continue;
		if (from_pollfds(fds, p, n, &bad) > 0)
			return KD_OK;
		if (bad >= 0)
			return kd_error_set(err, KD_E_INVALID, 0, "descriptor %d is not open", bad);
		/* The trigger of a cancel that was taken before its write: see kd_cancel_take(). */
		if (cancel && p[n].revents)
			drain(cancel->fd);
	}
}
