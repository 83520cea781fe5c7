/* SPDX-License-Identifier: MIT */
/*
 * TCP, both ways round. Connecting never blocks: connect() starts it, read() looks how far it is,
 * goes on to the next address of the host when one fails, and gives up at the deadline.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/link/link.h"
#include "lib/io/name_lookup.h"
#include "lib/io/transport_private.h"

struct tcp_transport {
	struct kd__stream stream; /* first */
	struct kd__addresses addresses;
	size_t current;      /* being tried */
	int pending_fd;      /* a connection on its way, or -1 */
	uint32_t timeout_ms; /* for all addresses together */
	uint64_t deadline;   /* of the attempt */
};

struct tcp_listener {
	struct kd__listener listener; /* first */
	struct kd__addresses addresses;
};

static void set_int(int fd, int level, int option, int value)
{
	/* None of these is needed for being right: a failure costs speed or notices only. */
	(void)setsockopt(fd, level, option, &value, sizeof value);
}

/*
 * Small packets at once; and a machine that vanishes without a word (host suspended, cable cut) is
 * noticed within half a minute.
 */
static void set_connected_options(int fd)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 10);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
}

static enum kd_status connect_failure(const struct kd_transport *t, int number,
				      struct kd_error *err)
{
	if (number == ECONNREFUSED)
		return kd_error_set(err, KD_E_CLOSED, 0,
				    "%s: nobody listens there: start the VM, with \"-serial "
				    "tcp:HOST:PORT,server=on,wait=off\" if it is QEMU",
				    t->name);
	if (number == ETIMEDOUT)
		return kd_error_set(err, KD_E_TIMEOUT, 0, "%s: the host does not answer", t->name);
	return kd__transport_failed(t, KD_E_IO, "connect", number, err);
}

static void drop_pending(struct tcp_transport *c)
{
	if (c->pending_fd >= 0)
		close(c->pending_fd);
	c->pending_fd = -1;
}

static void established(struct tcp_transport *c)
{
	int fd = c->pending_fd;

	c->pending_fd = -1;
	set_connected_options(fd);
	kd__stream_up(&c->stream, fd);
}

/* KD_OK: established or on its way. */
static int start_address(struct tcp_transport *c)
{
	const struct kd__address *a = &c->addresses.row[c->current];
	int number;

	c->pending_fd = socket(a->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->pending_fd < 0)
		return errno;
	if (connect(c->pending_fd, (const struct sockaddr *)&a->address, a->size) == 0) {
		established(c);
		return 0;
	}
	number = errno;
	if (number == EINPROGRESS || number == EINTR)
		return 0;
	drop_pending(c);
	return number;
}

/* From c->current on, until one is under way. `number`: what failed last, 0 at the beginning. */
static enum kd_status start_any(struct tcp_transport *c, int number, struct kd_error *err)
{
	for (; c->current < c->addresses.n; c->current++) {
		number = start_address(c);
		if (number == 0)
			return KD_OK;
	}
	return connect_failure(&c->stream.base, number, err);
}

static enum kd_status tcp_connect(struct kd_transport *t, struct kd_error *err)
{
	struct tcp_transport *c = (struct tcp_transport *)t;

	kd__stream_down(&c->stream);
	drop_pending(c);
	c->current = 0;
	c->deadline = kd_deadline_after_ms(c->timeout_ms);
	return start_any(c, 0, err);
}

/* How far is the pending connection? KD_E_AGAIN: up now, or still on its way. */
static enum kd_status look_after_pending(struct tcp_transport *c, struct kd_error *err)
{
	struct kd_wait_fd fd = { .fd = c->pending_fd, .want_write = true };
	int number = 0;
	socklen_t size = sizeof number;
	enum kd_status s;
	struct kd_error why;

	if (kd_wait(&fd, 1, 0, NULL, NULL) != KD_OK) {
		if (kd_now_ns() < c->deadline)
			return KD_E_AGAIN;
		drop_pending(c);
		connect_failure(&c->stream.base, ETIMEDOUT, &why);
		return kd__stream_end(&c->stream, &why, err);
	}
	if (getsockopt(c->pending_fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0)
		number = errno;
	if (number == 0) {
		established(c);
		return KD_E_AGAIN;
	}
	drop_pending(c);
	c->current++;
	s = start_any(c, number, &why);
	return s == KD_OK ? KD_E_AGAIN : kd__stream_end(&c->stream, &why, err);
}

static enum kd_status tcp_read(struct kd_transport *t, uint8_t *buf, size_t size, size_t *n_ret,
			       struct kd_error *err)
{
	struct tcp_transport *c = (struct tcp_transport *)t;

	if (c->pending_fd >= 0)
		return look_after_pending(c, err);
	return kd__stream_read(t, buf, size, n_ret, err);
}

static void tcp_poll(const struct kd_transport *t, struct kd_poll *ret)
{
	const struct tcp_transport *c = (const struct tcp_transport *)t;

	kd__stream_poll(t, ret);
	if (c->pending_fd < 0)
		return;
	ret->fd = c->pending_fd;
	ret->want_read = false;
	ret->want_write = true;
	ret->deadline = c->deadline;
}

static void tcp_destroy(struct kd_transport *t)
{
	struct tcp_transport *c = (struct tcp_transport *)t;

	drop_pending(c);
	kd__stream_down(&c->stream);
	free(c);
}

static const struct kd_transport_ops tcp_ops = {
	.scheme = "tcp",
	.connect = tcp_connect,
	.read = tcp_read,
	.write = kd__stream_write,
	.poll = tcp_poll,
	.destroy = tcp_destroy,
};

static enum kd_status lookup(const struct kd_transport *t, const struct kd_endpoint *ep,
			     const struct kd_open_options *options, struct kd__addresses *ret,
			     struct kd_error *err)
{
	enum kd_status s = kd__name_lookup(ep->path, ep->port,
					   kd_deadline_after_ms(kd__connect_timeout_ms(options)),
					   options ? options->cancel : NULL, ret, err);

	return s == KD_OK ? s : kd_error_prefix(err, s, "%s", t->name);
}

enum kd_status kd__tcp_create(const struct kd_endpoint *ep, const struct kd_open_options *options,
			      struct kd_transport **t_ret, struct kd_error *err)
{
	struct kd_transport *t = kd__transport_new(sizeof(struct tcp_transport), &tcp_ops, ep);
	struct tcp_transport *c = (struct tcp_transport *)t;
	enum kd_status s;

	if (!t)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	c->stream.fd = c->pending_fd = -1;
	c->stream.is_socket = true;
	c->timeout_ms = kd__connect_timeout_ms(options);
	t->info.is_vm_socket = true;
	s = lookup(t, ep, options, &c->addresses, err);
	if (s != KD_OK) {
		tcp_destroy(t);
		return s;
	}
	*t_ret = t;
	return KD_OK;
}

/* --- listening --- */

static enum kd_status bind_failure(const struct kd_transport *t, int number, struct kd_error *err)
{
	if (number == EADDRINUSE)
		return kd_error_set(err, KD_E_EXISTS, 0,
				    "%s: the port is taken by another process: choose another one",
				    t->name);
	if (number == EACCES)
		return kd_error_set(err, KD_E_DENIED, 0,
				    "%s: ports below 1024 are for root: choose another one",
				    t->name);
	return kd__transport_failed(t, KD_E_IO, "bind", number, err);
}

/* With port 0 the system chose one: the name has to say which. */
static void name_after_socket(struct kd_transport *t, int fd)
{
	struct sockaddr_storage a = { 0 };
	socklen_t size = sizeof a;
	char host[128], port[16];
	int family;

	if (getsockname(fd, (struct sockaddr *)&a, &size) != 0 ||
	    getnameinfo((struct sockaddr *)&a, size, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	family = a.ss_family;
	snprintf(t->name, sizeof t->name, family == AF_INET6 ? "%s:[%s]:%s" : "%s:%s:%s",
		 t->ops->scheme, host, port);
}

static enum kd_status start_listening(struct tcp_listener *l, struct kd_error *err)
{
	struct kd_transport *t = &l->listener.stream.base;
	const struct kd__address *a = &l->addresses.row[0];
	int fd = socket(a->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return kd__transport_failed(t, KD_E_IO, "socket", errno, err);
	/* Otherwise the port stays taken for a minute after a connection ended. */
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(fd, (const struct sockaddr *)&a->address, a->size) != 0 || listen(fd, 1) != 0) {
		int number = errno;

		close(fd);
		return bind_failure(t, number, err);
	}
	name_after_socket(t, fd);
	l->listener.listen_fd = fd;
	return KD_OK;
}

static enum kd_status tcp_listen_connect(struct kd_transport *t, struct kd_error *err)
{
	struct tcp_listener *l = (struct tcp_listener *)t;

	kd__stream_down(&l->listener.stream);
	return l->listener.listen_fd >= 0 ? KD_OK : start_listening(l, err);
}

static void tcp_listen_destroy(struct kd_transport *t)
{
	struct tcp_listener *l = (struct tcp_listener *)t;

	kd__stream_down(&l->listener.stream);
	if (l->listener.listen_fd >= 0)
		close(l->listener.listen_fd);
	free(l);
}

static const struct kd_transport_ops tcp_listen_ops = {
	.scheme = "tcp-listen",
	.connect = tcp_listen_connect,
	.read = kd__listener_read,
	.write = kd__stream_write,
	.poll = kd__listener_poll,
	.destroy = tcp_listen_destroy,
};

enum kd_status kd__tcp_listen_create(const struct kd_endpoint *ep,
				     const struct kd_open_options *options,
				     struct kd_transport **t_ret, struct kd_error *err)
{
	struct kd_transport *t = kd__transport_new(sizeof(struct tcp_listener), &tcp_listen_ops,
						   ep);
	struct tcp_listener *l = (struct tcp_listener *)t;
	enum kd_status s;

	if (!t)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	l->listener.stream.fd = l->listener.listen_fd = -1;
	l->listener.stream.is_socket = true;
	l->listener.on_accept = set_connected_options;
	t->info.is_vm_socket = true;
	t->info.is_listening = true;
	s = lookup(t, ep, options, &l->addresses, err);
	if (s != KD_OK) {
		tcp_listen_destroy(t);
		return s;
	}
	*t_ret = t;
	return KD_OK;
}
