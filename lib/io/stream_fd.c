/* SPDX-License-Identifier: MIT */
/* What transports on one descriptor have in common, and the one that is given its descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io/transport_private.h"

void kd__stream_up(struct kd__stream *s, int fd)
{
	s->fd = fd;
	s->is_blocked = false;
	s->over.status = s->write_over.status = KD_OK;
	s->base.trouble[0] = '\0';
	s->base.info.is_up = true;
	s->base.info.generation++;
}

void kd__stream_down(struct kd__stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->is_blocked = false;
	s->over.status = s->write_over.status = KD_OK;
	s->base.trouble[0] = '\0';
	s->base.info.is_up = false;
}

enum kd_status kd__stream_end(struct kd__stream *s, const struct kd_error *why,
			      struct kd_error *err)
{
	struct kd_error copy = *why; /* may be s->over itself */

	kd__stream_down(s);
	s->over = copy;
	kd__transport_note_trouble(&s->base, &copy);
	if (err)
		*err = copy;
	return copy.status;
}

/* These mean that the peer or the cable went away, not that we did something wrong. */
static bool is_hangup(int number)
{
	return number == ECONNRESET || number == EPIPE || number == EIO || number == ENXIO ||
	       number == ENODEV || number == ETIMEDOUT || number == ENOTCONN;
}

static enum kd_status failure(const struct kd__stream *s, const char *what, int number,
			      struct kd_error *err)
{
	if (is_hangup(number))
		return kd_error_set(err, KD_E_CLOSED, 0, "%s: the connection was lost (%s)",
				    s->base.name, strerror(number));
	return kd__transport_failed(&s->base, KD_E_IO, what, number, err);
}

enum kd_status kd__stream_read(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
			       struct kd_error *err)
{
	struct kd__stream *s = (struct kd__stream *)t;
	struct kd_error why;
	ssize_t n;

	if (s->over.status != KD_OK)
		return kd__stream_end(s, &s->over, err);
	if (s->fd < 0)
		return kd_error_set(err, KD_E_AGAIN, 0, "%s: not connected", t->name);
	do
		n = read(s->fd, buf, size);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		*n_ret = (size_t)n;
		t->info.rx_bytes += (size_t)n;
		return KD_OK;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		if (s->write_over.status != KD_OK)
			return kd__stream_end(s, &s->write_over, err);
		return KD_E_AGAIN;
	}
	if (n == 0)
		kd_error_set(&why, KD_E_CLOSED, 0, "%s: the other side closed the connection",
			     t->name);
	else
		failure(s, "read", errno, &why);
	return kd__stream_end(s, &why, err);
}

static enum kd_status say_again(const struct kd_error *what, struct kd_error *err)
{
	if (err)
		*err = *what;
	return what->status;
}

enum kd_status kd__stream_write(struct kd_transport *t, const uint8_t *buf, size_t size,
				size_t *n_ret, struct kd_error *err)
{
	struct kd__stream *s = (struct kd__stream *)t;
	ssize_t n;

	if (s->over.status != KD_OK)
		return say_again(&s->over, err);
	if (s->write_over.status != KD_OK)
		return say_again(&s->write_over, err);
	s->is_blocked = true;
	if (s->fd < 0)
		return kd_error_set(err, KD_E_AGAIN, 0, "%s: not connected", t->name);
	do
		n = s->is_socket ? send(s->fd, buf, size, MSG_NOSIGNAL) : write(s->fd, buf, size);
	while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)))
		return KD_E_AGAIN;
	s->is_blocked = false;
	/* The connection stays until all that the peer sent before it left has been read. */
	if (n < 0) {
		failure(s, "write", errno, &s->write_over);
		return say_again(&s->write_over, err);
	}
	*n_ret = (size_t)n;
	t->info.tx_bytes += (size_t)n;
	return KD_OK;
}

void kd__stream_poll(const struct kd_transport *t, struct kd_poll *ret)
{
	const struct kd__stream *s = (const struct kd__stream *)t;

	ret->fd = s->fd;
	ret->want_read = s->fd >= 0;
	ret->want_write = s->fd >= 0 && s->is_blocked;
	ret->is_ready = s->over.status != KD_OK || s->write_over.status != KD_OK;
}

/* --- a descriptor of the caller's --- */

static enum kd_status fd_connect(struct kd_transport *t, struct kd_error *err)
{
	return kd_error_set(err, KD_E_CLOSED, 0, "%s: cannot be opened again", t->name);
}

static void fd_destroy(struct kd_transport *t)
{
	kd__stream_down((struct kd__stream *)t);
	free(t);
}

static const struct kd_transport_ops fd_ops = {
	.scheme = "fd",
	.connect = fd_connect,
	.read = kd__stream_read,
	.write = kd__stream_write,
	.poll = kd__stream_poll,
	.destroy = fd_destroy,
};

enum kd_status kd_transport_fd_create(int fd, const char *name, struct kd_transport **t_ret,
				      struct kd_error *err)
{
	struct kd__stream *s = calloc(1, sizeof *s);
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (!s || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fstat(fd, &st) < 0) {
		enum kd_status status = s ? KD_E_IO : KD_E_NO_MEMORY;

		kd_error_set(err, status, 0, "%s: %s", name, strerror(errno));
		free(s);
		close(fd);
		return status;
	}
	s->base.ops = &fd_ops;
	s->is_socket = S_ISSOCK(st.st_mode);
	snprintf(s->base.name, sizeof s->base.name, "%s", name);
	kd__stream_up(s, fd);
	*t_ret = &s->base;
	return KD_OK;
}
