/* SPDX-License-Identifier: MIT */
#include "lib/io/pty_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/io/tty_line.h"

static int open_slave(struct kd_pty_pair *p)
{
	struct kd__tty_saved unused;
	int number;

	if (grantpt(p->master) != 0 || unlockpt(p->master) != 0)
		return errno;
	number = ptsname_r(p->master, p->name, sizeof p->name);
	if (number != 0)
		return number;
	p->slave = open(p->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return p->slave < 0 ? errno : kd__tty_make_raw(p->slave, 0, &unused, NULL);
}

int kd_pty_pair_open(struct kd_pty_pair *ret)
{
	int number;

	ret->slave = -1;
	ret->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (ret->master < 0)
		return errno;
	number = open_slave(ret);
	if (number == 0)
		return 0;
	if (ret->slave >= 0)
		close(ret->slave);
	close(ret->master);
	return number;
}
