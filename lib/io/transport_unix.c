/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets, both ways round: `unix:` connects (QEMU's -serial unix:PATH,server=on,wait=off, a
 * VirtualBox host pipe), `unix-listen:` makes the socket and waits (QEMU as the client).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/io/transport_private.h"

struct unix_transport {
	struct kd__stream stream; /* first */
	struct sockaddr_un address;
};

struct unix_listener {
	struct kd__listener listener; /* first */
	struct sockaddr_un address;
	dev_t device; /* of the socket that we made: only that one is removed again */
	ino_t inode;
};

/* The parser limits the path to sun_path. */
static struct sockaddr_un address_of(const struct kd_endpoint *ep)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	memcpy(a.sun_path, ep->path, KD_MIN(strlen(ep->path), sizeof a.sun_path - 1));
	return a;
}

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static enum kd_status connect_failure(const struct kd_transport *t, int number,
				      struct kd_error *err)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR:
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "%s: there is no such socket: start the VM, with "
				    "\"-serial unix:PATH,server=on,wait=off\" if it is QEMU",
				    t->name);
	case ECONNREFUSED:
		return kd_error_set(err, KD_E_CLOSED, 0,
				    "%s: nobody listens there (the socket was left behind): start "
				    "the VM",
				    t->name);
	case EACCES:
	case EPERM:
		return kd_error_set(err, KD_E_DENIED, 0,
				    "%s: permission denied: run as the VM's user or open the "
				    "socket and its folder to you",
				    t->name);
	case EAGAIN:
		return kd_error_set(err, KD_E_EXISTS, 0,
				    "%s: its queue is full: another program is connected", t->name);
	default: return kd__transport_failed(t, KD_E_IO, "connect", number, err);
	}
}

static enum kd_status unix_connect(struct kd_transport *t, struct kd_error *err)
{
	struct unix_transport *u = (struct unix_transport *)t;
	int fd, r;

	kd__stream_down(&u->stream);
	fd = new_socket();
	if (fd < 0)
		return kd__transport_failed(t, KD_E_IO, "socket", errno, err);
	do
		r = connect(fd, (const struct sockaddr *)&u->address, sizeof u->address);
	while (r < 0 && errno == EINTR);
	if (r < 0) {
		int number = errno;

		close(fd);
		return connect_failure(t, number, err);
	}
	kd__stream_up(&u->stream, fd);
	return KD_OK;
}

static void unix_destroy(struct kd_transport *t)
{
	kd__stream_down((struct kd__stream *)t);
	free(t);
}

static const struct kd_transport_ops unix_ops = {
	.scheme = "unix",
	.connect = unix_connect,
	.read = kd__stream_read,
	.write = kd__stream_write,
	.poll = kd__stream_poll,
	.destroy = unix_destroy,
};

enum kd_status kd__unix_create(const struct kd_endpoint *ep, const struct kd_open_options *options,
			       struct kd_transport **t_ret, struct kd_error *err)
{
	struct kd_transport *t = kd__transport_new(sizeof(struct unix_transport), &unix_ops, ep);
	struct unix_transport *u = (struct unix_transport *)t;

	(void)options;
	if (!t)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	u->address = address_of(ep);
	u->stream.fd = -1;
	u->stream.is_socket = true;
	t->info.is_vm_socket = true;
	*t_ret = t;
	return KD_OK;
}

/* --- listening --- */

/* A socket file that nobody serves was left by a process that died. */
static bool is_stale(const struct sockaddr_un *address)
{
	struct stat st;
	bool refused;
	int fd;

	if (lstat(address->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = new_socket();
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 &&
		  errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static int bind_fresh(int fd, const struct sockaddr_un *address)
{
	/* On Linux the mode of the unbound socket becomes that of the file: no moment of 0777. */
	if (fchmod(fd, 0600) != 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)address, sizeof *address) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -1;
	if (!is_stale(address) || unlink(address->sun_path) != 0) {
		errno = EADDRINUSE;
		return -1;
	}
	return bind(fd, (const struct sockaddr *)address, sizeof *address);
}

static enum kd_status bind_failure(const struct kd_transport *t, int number, struct kd_error *err)
{
	if (number == EADDRINUSE)
		return kd_error_set(err, KD_E_EXISTS, 0,
				    "%s: another process listens there, or the path is no socket: "
				    "choose another path",
				    t->name);
	if (number == ENOENT || number == ENOTDIR)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "%s: there is no such folder", t->name);
	if (number == EACCES || number == EPERM)
		return kd_error_set(err, KD_E_DENIED, 0, "%s: permission denied", t->name);
	return kd__transport_failed(t, KD_E_IO, "bind", number, err);
}

static enum kd_status start_listening(struct unix_listener *u, struct kd_error *err)
{
	struct kd_transport *t = &u->listener.stream.base;
	struct stat st;
	int fd = new_socket();

	if (fd < 0)
		return kd__transport_failed(t, KD_E_IO, "socket", errno, err);
	if (bind_fresh(fd, &u->address) != 0 || listen(fd, 1) != 0 ||
	    lstat(u->address.sun_path, &st) != 0) {
		int number = errno;

		close(fd);
		return bind_failure(t, number, err);
	}
	u->device = st.st_dev;
	u->inode = st.st_ino;
	u->listener.listen_fd = fd;
	return KD_OK;
}

static enum kd_status unix_listen_connect(struct kd_transport *t, struct kd_error *err)
{
	struct unix_listener *u = (struct unix_listener *)t;

	kd__stream_down(&u->listener.stream);
	return u->listener.listen_fd >= 0 ? KD_OK : start_listening(u, err);
}

static void unix_listen_destroy(struct kd_transport *t)
{
	struct unix_listener *u = (struct unix_listener *)t;
	struct stat st;

	kd__stream_down(&u->listener.stream);
	if (u->listener.listen_fd >= 0) {
		close(u->listener.listen_fd);
		if (lstat(u->address.sun_path, &st) == 0 && st.st_dev == u->device &&
		    st.st_ino == u->inode)
			unlink(u->address.sun_path);
	}
	free(u);
}

static const struct kd_transport_ops unix_listen_ops = {
	.scheme = "unix-listen",
	.connect = unix_listen_connect,
	.read = kd__listener_read,
	.write = kd__stream_write,
	.poll = kd__listener_poll,
	.destroy = unix_listen_destroy,
};

enum kd_status kd__unix_listen_create(const struct kd_endpoint *ep,
				      const struct kd_open_options *options,
				      struct kd_transport **t_ret, struct kd_error *err)
{
	struct kd_transport *t = kd__transport_new(sizeof(struct unix_listener), &unix_listen_ops,
						   ep);
	struct unix_listener *u = (struct unix_listener *)t;

	(void)options;
	if (!t)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	u->address = address_of(ep);
	u->listener.stream.fd = -1;
	u->listener.stream.is_socket = true;
	u->listener.listen_fd = -1;
	t->info.is_vm_socket = true;
	t->info.is_listening = true;
	*t_ret = t;
	return KD_OK;
}
