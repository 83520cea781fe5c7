/* SPDX-License-Identifier: MIT */
#include "apps/kd-extcap/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPEN_MS = 5000, OPEN_STEP_MS = 20 };

int control_take(const uint8_t *bytes, size_t n, struct control_message *ret)
{
	size_t size;

	if (n > 0 && bytes[0] != 'T')
		return -1;
	if (n < CONTROL_HEAD)
		return 0;
	size = (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
	if (size < 2 || size - 2 > CONTROL_PAYLOAD_MAX)
		return -1;
	if (n < 4 + size)
		return 0;
	*ret = (struct control_message){ bytes[4], bytes[5], bytes + CONTROL_HEAD, size - 2 };
	return (int)(4 + size);
}

size_t control_put(uint8_t *to, uint8_t control, enum control_command command, const void *payload,
		   size_t size)
{
	size_t rest = size + 2;

	to[0] = 'T';
	to[1] = (uint8_t)(rest >> 16);
	to[2] = (uint8_t)(rest >> 8);
	to[3] = (uint8_t)rest;
	to[4] = control;
	to[5] = (uint8_t)command;
	if (size)
		memcpy(to + CONTROL_HEAD, payload, size);
	return CONTROL_HEAD + size;
}

/* --- pipes --- */

void control_open(struct control_pipes *p, const char *in, const char *out)
{
	*p = (struct control_pipes){ .in = -1, .out = -1 };
	/* for both: no end of file when Wireshark's end is not there yet */
	if (in)
		p->in = open(in, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	for (int ms = 0; out && p->out < 0 && ms < OPEN_MS; ms += OPEN_STEP_MS) {
		p->out = open(out, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (p->out < 0 && errno != ENXIO && errno != EINTR)
			break;
		if (p->out < 0)
			poll(NULL, 0, OPEN_STEP_MS);
	}
}

static void end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void control_close(struct control_pipes *p)
{
	control_flush(p);
	end(&p->in);
	end(&p->out);
	free(p->waiting);
	p->waiting = NULL;
	p->n_waiting = 0;
}

void control_flush(struct control_pipes *p)
{
	while (p->out >= 0 && p->n_waiting) {
		ssize_t n = write(p->out, p->waiting, p->n_waiting);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			end(&p->out);
			return;
		}
		p->n_waiting -= (size_t)n;
		memmove(p->waiting, p->waiting + n, p->n_waiting);
	}
}

void control_send(struct control_pipes *p, uint8_t control, enum control_command command,
		  const void *payload, size_t size)
{
	uint8_t *more;

	if (size > CONTROL_PAYLOAD_MAX)
		size = CONTROL_PAYLOAD_MAX;
	if (p->out < 0 || p->n_waiting + CONTROL_HEAD + size > CONTROL_OUTPUT_MAX)
		return;
	more = realloc(p->waiting, p->n_waiting + CONTROL_HEAD + size);
	if (!more)
		return;
	p->waiting = more;
	p->n_waiting += control_put(more + p->n_waiting, control, command, payload, size);
	control_flush(p);
}

bool control_read(struct control_pipes *p,
		  void (*fn)(void *context, const struct control_message *m), void *context)
{
	struct control_message m;
	ssize_t n;
	int taken;

	if (p->in < 0)
		return false;
	n = read(p->in, p->got + p->n_got, sizeof(p->got) - p->n_got);
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	p->n_got += (size_t)n;
	while ((taken = control_take(p->got, p->n_got, &m)) > 0) {
		fn(context, &m);
		p->n_got -= (size_t)taken;
		memmove(p->got, p->got + taken, p->n_got);
	}
	if (taken < 0)
		end(&p->in);
	return taken == 0;
}
