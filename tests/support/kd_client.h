/* SPDX-License-Identifier: MIT */
/*
 * A small KD debugger for tests: the wire and the link, one request at a time, nothing cached or
 * repaired, so that a test sees what a target really says. Over the fake target with a virtual
 * clock, or over a socket (QEMU's serial port).
 *
 * Functions return false when the answer did not come in time (limit_ms); the statuses of answers
 * are the test's business.
 */
#ifndef KD_TESTS_CLIENT_H
#define KD_TESTS_CLIENT_H

#include "core/link/link.h"
#include "core/wire/context.h"
#include "core/wire/message.h"

struct kd_fake;

enum { KD_CLIENT_TEXT_SIZE = 1 << 16 };

struct kd_client {
	struct kd_link link;
	uint16_t machine;
	unsigned limit_ms;

	/* One exchange with the other side: write what is to be written, take what comes within
	 * `wait` nanoseconds. Time only passes in here. False: the connection is gone. */
	bool (*exchange)(struct kd_client *c, uint64_t wait);
	uint64_t now;
	struct kd_fake *fake;
	int fd;

	/* Where the target stands. Valid until the next stop. */
	bool is_stopped;
	struct kd_state_change stop;
	uint8_t stop_bytes[KD_PAYLOAD_ACCEPT];
	unsigned n_stops, n_restarts, n_prompts, n_resets;

	/* The last reply, and its data. */
	bool has_reply;
	struct kd_manipulate reply;
	uint8_t reply_bytes[KD_PAYLOAD_ACCEPT];

	/* What it printed, NUL-terminated, and everything that was no packet. */
	char text[KD_CLIENT_TEXT_SIZE];
	size_t text_size;
	char noise[KD_CLIENT_TEXT_SIZE];
	size_t noise_size;

	const char *answer; /* to prompts; NULL: none, leave the target waiting */
	char prompt[512];
	char file_name[256]; /* last file asked for; answered with NO_SUCH_FILE */

	uint32_t first_id; /* id of the first data packet as it was on the wire */
	bool has_first_id;
};

void kd_client_init_fake(struct kd_client *c, struct kd_fake *fake);
/* Takes the descriptor over; non-blocking. */
void kd_client_init_fd(struct kd_client *c, int fd);
/* Connect to a unix socket, trying again for limit_ms. -1: could not. */
int kd_client_connect(const char *path, unsigned limit_ms);
void kd_client_deinit(struct kd_client *c);

/* Let `ms` pass, serving prints and the like. */
bool kd_client_idle(struct kd_client *c, unsigned ms);
/* Until the target has stopped (at once if it has). */
bool kd_client_wait_stop(struct kd_client *c);
/* Until `text` has been printed. */
bool kd_client_wait_text(struct kd_client *c, const char *text);

/* Send *m and wait for its reply, which is in c->reply. Only to a stopped target. */
bool kd_client_request(struct kd_client *c, const struct kd_manipulate *m);
/* Send *m, which is only acknowledged, and wait for the ACK. */
bool kd_client_command(struct kd_client *c, const struct kd_manipulate *m);

bool kd_client_is_exception(const struct kd_client *c, uint32_t code);
/* Continue2 with DBG_CONTINUE and the report's Dr7 (AMD64). */
bool kd_client_go(struct kd_client *c, bool trace);
bool kd_client_go_with(struct kd_client *c, uint32_t status, bool trace, uint64_t dr7);
/* A break-in byte, and the stop. */
bool kd_client_break_in(struct kd_client *c);

/* Whole reads and writes of memory in requests of at most KD_READ_MAX; false also if it is not all
 * there. */
bool kd_client_read(struct kd_client *c, uint64_t address, void *out, size_t size);
bool kd_client_write(struct kd_client *c, uint64_t address, const void *bytes, size_t size);
uint64_t kd_client_read64(struct kd_client *c, uint64_t address);
uint32_t kd_client_read32(struct kd_client *c, uint64_t address);

bool kd_client_get_context(struct kd_client *c, uint16_t processor, uint8_t *out);
bool kd_client_set_context(struct kd_client *c, uint16_t processor, const uint8_t *bytes);
uint64_t kd_client_get_register(struct kd_client *c, uint16_t processor, const char *name);
bool kd_client_set_register(struct kd_client *c, uint16_t processor, const char *name,
			    uint64_t value);
/* Control space `selector`. */
bool kd_client_read_control(struct kd_client *c, uint16_t processor, uint64_t selector, void *out,
			    size_t size);
bool kd_client_write_control(struct kd_client *c, uint16_t processor, uint64_t selector,
			     const void *bytes, size_t size);

uint32_t kd_client_set_breakpoint(struct kd_client *c, uint64_t address); /* handle, 0: refused */
bool kd_client_clear_breakpoint(struct kd_client *c, uint32_t handle);

#endif
