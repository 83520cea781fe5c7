/* SPDX-License-Identifier: MIT */
/*
 * Messages of a Wireshark toolbar, both ways:
 *
 *	'T' | length of the rest, 3 bytes, big-endian | control | command | payload
 */
#ifndef APPS_KD_EXTCAP_CONTROL_H
#define APPS_KD_EXTCAP_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum control_command {
	COMMAND_INITIALIZED = 0,
	COMMAND_SET = 1,
	COMMAND_ADD = 2,
	COMMAND_REMOVE = 3,
	COMMAND_ENABLE = 4,
	COMMAND_DISABLE = 5,
	COMMAND_STATUS = 6,
	COMMAND_INFORM = 7,
	COMMAND_WARN = 8,
	COMMAND_FAIL = 9,
};

enum {
	CONTROL_HEAD = 6, /* what comes before the payload */
	CONTROL_PAYLOAD_MAX = 32767,
	CONTROL_OUTPUT_MAX = 1 << 20, /* what Wireshark may leave unread */
};

struct control_message {
	uint8_t control, command;
	const uint8_t *payload; /* in the buffer it was taken from */
	size_t size;
};

/*
 * The first message of `n` bytes: how many it takes; 0: it is not all there; -1: that is none.
 */
int control_take(const uint8_t *bytes, size_t n, struct control_message *ret);
/* Write one; `to` has room for CONTROL_HEAD + size, which is at most CONTROL_PAYLOAD_MAX. */
size_t control_put(uint8_t *to, uint8_t control, enum control_command command, const void *payload,
		   size_t size);

/* The pipes of a capture. */
struct control_pipes {
	int in, out; /* -1: there is none */
	uint8_t got[CONTROL_HEAD + CONTROL_PAYLOAD_MAX];
	size_t n_got;
	uint8_t *waiting; /* what Wireshark has not taken yet */
	size_t n_waiting;
};

/* Open them; a pipe that is NULL or has nobody at its other end within a few seconds is none. */
void control_open(struct control_pipes *p, const char *in, const char *out);
void control_close(struct control_pipes *p);
/* Never waits: what does not fit is dropped. */
void control_send(struct control_pipes *p, uint8_t control, enum control_command command,
		  const void *payload, size_t size);
void control_flush(struct control_pipes *p);
/*
 * Read what is there and hand out whole messages. False: what came is none; the pipe is closed.
 */
bool control_read(struct control_pipes *p,
		  void (*fn)(void *context, const struct control_message *m), void *context);

#endif
