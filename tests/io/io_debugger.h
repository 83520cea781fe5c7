/* SPDX-License-Identifier: MIT */
/* The least debugger over a pump: stops, reads, continues. For tests of what carries its bytes. */
#ifndef KD_TESTS_IO_DEBUGGER_H
#define KD_TESTS_IO_DEBUGGER_H

#include "core/wire/message.h"
#include "lib/io/pump.h"
#include "tests/io/io_check.h"

struct io_debugger {
	struct kd_transport *transport;
	struct kd_link link;
	struct kd_pump pump;
	struct kd_cancel cancel;
	bool is_stopped, acked, has_reply;
	unsigned n_stops, n_connections;
	uint16_t processor; /* that stopped */
	struct kd_manipulate reply;
	uint8_t reply_bytes[KD_PAYLOAD_ACCEPT];
	char text[4096]; /* what the target printed, terminated */
	struct kd_error err;
};

/* Takes the transport over. */
void io_debugger_init(struct io_debugger *d, struct kd_transport *t);
void io_debugger_deinit(struct io_debugger *d);

/* One event of the pump, dealt with. As kd_pump_run(); KD_E_RESET is counted and KD_OK. */
enum kd_status io_debugger_step(struct io_debugger *d, uint64_t deadline);

/* RESET, and break in if that does not bring a state change. Fails the test after LIMIT_MS. */
void io_debugger_stop(struct io_debugger *d);
void io_debugger_go(struct io_debugger *d);
/* Until it printed `text`. */
void io_debugger_wait_text(struct io_debugger *d, const char *text);
/* The answer's status is the test's business; false: none came in time. */
bool io_debugger_request(struct io_debugger *d, const struct kd_manipulate *m, uint32_t limit_ms);
uint64_t io_debugger_kernel_base(struct io_debugger *d);
/* Up to KD_READ_MAX bytes. */
bool io_debugger_read(struct io_debugger *d, uint64_t address, void *out, uint32_t size);

/* kd-fake-target (argv of the test's first argument) listening at `path`. */
struct io_child io_fake_target(const char *path, const char *option);
extern const char *io_fake_target_program;

#endif
