/* SPDX-License-Identifier: MIT */
/*
 * Transports that wait for their peer. One connection at a time; a further peer waits in the
 * kernel's queue until the present one is gone and connect() was called again.
 */
#include <errno.h>
#include <sys/socket.h>

#include "lib/io/transport_private.h"

/* A peer that gave up before we looked is not an error: the next one may come. */
static bool is_peers_problem(int number)
{
	return number == EAGAIN || number == EWOULDBLOCK || number == EINTR ||
	       number == ECONNABORTED || number == EPROTO;
}

enum kd_status kd__listener_read(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
				 struct kd_error *err)
{
	struct kd__listener *l = (struct kd__listener *)t;
	int fd;

	if (t->info.is_up || l->stream.over.status != KD_OK || l->listen_fd < 0)
		return kd__stream_read(t, buf, size, n_ret, err);
	fd = accept4(l->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && is_peers_problem(errno))
		return KD_E_AGAIN;
	if (fd < 0) {
		struct kd_error why;

		kd__transport_failed(t, KD_E_IO, "accept", errno, &why);
		return kd__stream_end(&l->stream, &why, err);
	}
	if (l->on_accept)
		l->on_accept(fd);
	kd__stream_up(&l->stream, fd);
	return KD_E_AGAIN;
}

void kd__listener_poll(const struct kd_transport *t, struct kd_poll *ret)
{
	const struct kd__listener *l = (const struct kd__listener *)t;

	kd__stream_poll(t, ret);
	if (t->info.is_up || ret->is_ready)
		return;
	ret->fd = l->listen_fd;
	ret->want_read = l->listen_fd >= 0;
	ret->want_write = false;
}
