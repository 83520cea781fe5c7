/* SPDX-License-Identifier: MIT */
/* struct termios2 (any baud rate) is the kernel's; its header excludes <termios.h>. */
#include "lib/io/tty_line.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

_Static_assert(sizeof(struct termios2) <= sizeof(struct kd__tty_saved),
	       "kd__tty_saved is too small");

/* UART dividers are coarse; a receiver samples ten bits and tolerates about this much. */
enum { TOLERANCE_PERCENT = 3 };

static int is_near(uint32_t wanted, uint32_t got)
{
	uint32_t difference = wanted > got ? wanted - got : got - wanted;

	return (uint64_t)difference * 100 <= (uint64_t)wanted * TOLERANCE_PERCENT;
}

static void set_raw(struct termios2 *t)
{
	t->c_iflag = IGNBRK; /* a line break is what a target that is switched off looks like */
	t->c_oflag = 0;
	t->c_lflag = 0;
	t->c_cflag &= ~(tcflag_t)(CSIZE | PARENB | CSTOPB | CRTSCTS);
	t->c_cflag |= CS8 | CREAD | CLOCAL;
	/* With O_NONBLOCK: EAGAIN when there is nothing, so that 0 means hangup. */
	t->c_cc[VMIN] = 1;
	t->c_cc[VTIME] = 0;
}

static void set_baud(struct termios2 *t, uint32_t baud)
{
	t->c_cflag &= ~(tcflag_t)(CBAUD | CBAUD << IBSHIFT);
	t->c_cflag |= BOTHER | (tcflag_t)BOTHER << IBSHIFT;
	t->c_ispeed = t->c_ospeed = baud;
}

int kd__tty_make_raw(int fd, uint32_t baud, struct kd__tty_saved *saved_ret, uint32_t *baud_ret)
{
	struct termios2 t;

	if (ioctl(fd, TCGETS2, &t) != 0)
		return errno;
	memcpy(saved_ret->bytes, &t, sizeof t);
	set_raw(&t);
	if (baud)
		set_baud(&t, baud);
	if (ioctl(fd, TCSETS2, &t) != 0 || ioctl(fd, TCGETS2, &t) != 0) {
		int number = errno;

		kd__tty_restore(fd, saved_ret);
		return number;
	}
	if (baud_ret)
		*baud_ret = t.c_ospeed;
	if (baud && !is_near(baud, t.c_ospeed)) {
		kd__tty_restore(fd, saved_ret);
		return ERANGE;
	}
	return 0;
}

void kd__tty_restore(int fd, const struct kd__tty_saved *saved)
{
	struct termios2 t;

	memcpy(&t, saved->bytes, sizeof t);
	(void)ioctl(fd, TCSETS2, &t);
}

void kd__tty_discard_input(int fd)
{
	(void)ioctl(fd, TCFLSH, TCIFLUSH);
}
