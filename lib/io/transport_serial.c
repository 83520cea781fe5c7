/* SPDX-License-Identifier: MIT */
/* A serial line: any terminal device, any baud rate the device can do. 8N1, no flow control. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/io/transport_private.h"
#include "lib/io/tty_line.h"

struct serial_transport {
	struct kd__stream stream; /* first */
	char device[KD_ENDPOINT_PATH_SIZE];
	uint32_t baud;
	struct kd__tty_saved saved;
};

static enum kd_status open_failure(const struct kd_transport *t, int number, struct kd_error *err)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR:
	case ENXIO:
	case ENODEV:
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "%s: there is no such device: is the cable plugged in? (ls "
				    "/dev/tty*)",
				    t->name);
	case EACCES:
	case EPERM:
		return kd_error_set(err, KD_E_DENIED, 0,
				    "%s: permission denied: join the group \"dialout\" and log in "
				    "again, or use sudo",
				    t->name);
	case EBUSY:
		return kd_error_set(err, KD_E_EXISTS, 0,
				    "%s: another program has it for itself: end that program",
				    t->name);
	default: return kd__transport_failed(t, KD_E_IO, "open", number, err);
	}
}

static enum kd_status settings_failure(const struct serial_transport *p, int number, uint32_t got,
				       struct kd_error *err)
{
	const struct kd_transport *t = &p->stream.base;

	if (number == ERANGE)
		return kd_error_set(err, KD_E_INVALID, 0,
				    "%s: the device can't do %u baud (it offers %u): choose "
				    "another rate, here and in the target",
				    t->name, p->baud, got);
	/* A UART that the driver knows but the machine has not answers EIO. */
	if (number == EIO)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "%s: there is no serial port behind this device", t->name);
	if (number == ENOTTY || number == EINVAL)
		return kd_error_set(err, KD_E_INVALID, 0, "%s: this is no serial line", t->name);
	return kd__transport_failed(t, KD_E_IO, "terminal settings", number, err);
}

static void hang_up(struct serial_transport *p)
{
	if (p->stream.fd >= 0) {
		(void)ioctl(p->stream.fd, TIOCNXCL);
		kd__tty_restore(p->stream.fd, &p->saved);
	}
	kd__stream_down(&p->stream);
}

static enum kd_status serial_connect(struct kd_transport *t, struct kd_error *err)
{
	struct serial_transport *p = (struct serial_transport *)t;
	uint32_t got = 0;
	int fd, number;

	hang_up(p);
	fd = open(p->device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return open_failure(t, errno, err);
	number = kd__tty_make_raw(fd, p->baud, &p->saved, &got);
	if (number != 0) {
		close(fd);
		return settings_failure(p, number, got, err);
	}
	/* Keeps other programs of the same user out; what came before us is nobody's any more. */
	(void)ioctl(fd, TIOCEXCL);
	kd__tty_discard_input(fd);
	kd__stream_up(&p->stream, fd);
	return KD_OK;
}

static void serial_destroy(struct kd_transport *t)
{
	hang_up((struct serial_transport *)t);
	free(t);
}

static const struct kd_transport_ops serial_ops = {
	.scheme = "serial",
	.connect = serial_connect,
	.read = kd__stream_read,
	.write = kd__stream_write,
	.poll = kd__stream_poll,
	.destroy = serial_destroy,
};

enum kd_status kd__serial_create(const struct kd_endpoint *ep,
				 const struct kd_open_options *options, struct kd_transport **t_ret,
				 struct kd_error *err)
{
	struct kd_transport *t = kd__transport_new(sizeof(struct serial_transport), &serial_ops,
						   ep);
	struct serial_transport *p = (struct serial_transport *)t;

	(void)options;
	if (!t)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	p->stream.fd = -1;
	p->baud = ep->baud;
	snprintf(p->device, sizeof p->device, "%s", ep->path);
	t->info.is_serial_line = true;
	t->info.baud = ep->baud;
	*t_ret = t;
	return KD_OK;
}
