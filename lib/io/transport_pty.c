/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-terminals. `pty:` makes one: its name, which the other program (QEMU's -serial
 * /dev/pts/N) needs, is in the transport's name. `pty:/dev/pts/N` opens one that somebody else made
 * (QEMU's -serial pty). No line is behind it: no baud rate, no wire time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/io/pty_pair.h"
#include "lib/io/transport_private.h"
#include "lib/io/tty_line.h"

struct pty_transport {
	struct kd__stream stream;           /* first */
	char device[KD_ENDPOINT_PATH_SIZE]; /* "": make one */
	/*
	 * The other end of the one we made, held open: without it the master would report a hangup
	 * whenever the other program is not there. It is a line: peers come and go unnoticed.
	 */
	int slave_fd;
};

static void pty_close(struct pty_transport *p)
{
	kd__stream_down(&p->stream);
	if (p->slave_fd >= 0)
		close(p->slave_fd);
	p->slave_fd = -1;
}

static enum kd_status make_pty(struct pty_transport *p, struct kd_error *err)
{
	struct kd_transport *t = &p->stream.base;
	struct kd_pty_pair pair;
	int number = kd_pty_pair_open(&pair);

	if (number != 0)
		return kd__transport_failed(t, KD_E_IO, "make a pseudo-terminal", number, err);
	p->slave_fd = pair.slave;
	snprintf(t->name, sizeof t->name, "pty:%s", pair.name);
	kd__stream_up(&p->stream, pair.master);
	return KD_OK;
}

static enum kd_status open_pty(struct pty_transport *p, struct kd_error *err)
{
	struct kd_transport *t = &p->stream.base;
	struct kd__tty_saved unused;
	int number, fd = open(p->device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		enum kd_status s = errno == ENOENT   ? KD_E_NOT_FOUND
				   : errno == EACCES ? KD_E_DENIED
						     : KD_E_IO;

		return kd__transport_failed(t, s, "open", errno, err);
	}
	number = kd__tty_make_raw(fd, 0, &unused, NULL);
	if (number != 0) {
		close(fd);
		return kd__transport_failed(t, KD_E_INVALID, "not a pseudo-terminal", number, err);
	}
	kd__tty_discard_input(fd);
	kd__stream_up(&p->stream, fd);
	return KD_OK;
}

static enum kd_status pty_connect(struct kd_transport *t, struct kd_error *err)
{
	struct pty_transport *p = (struct pty_transport *)t;

	pty_close(p);
	return p->device[0] ? open_pty(p, err) : make_pty(p, err);
}

static void pty_destroy(struct kd_transport *t)
{
	pty_close((struct pty_transport *)t);
	free(t);
}

static const struct kd_transport_ops pty_ops = {
	.scheme = "pty",
	.connect = pty_connect,
	.read = kd__stream_read,
	.write = kd__stream_write,
	.poll = kd__stream_poll,
	.destroy = pty_destroy,
};

enum kd_status kd__pty_create(const struct kd_endpoint *ep, const struct kd_open_options *options,
			      struct kd_transport **t_ret, struct kd_error *err)
{
	struct kd_transport *t = kd__transport_new(sizeof(struct pty_transport), &pty_ops, ep);
	struct pty_transport *p = (struct pty_transport *)t;

	(void)options;
	if (!t)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	p->stream.fd = p->slave_fd = -1;
	snprintf(p->device, sizeof p->device, "%s", ep->path);
	*t_ret = t;
	return KD_OK;
}
