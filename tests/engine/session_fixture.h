/* SPDX-License-Identifier: MIT */
/* A session on a stopped fake target with two processors and a small program. */
#ifndef KD_TESTS_ENGINE_SESSION_FIXTURE_H
#define KD_TESTS_ENGINE_SESSION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openkd/breakpoint.h>
#include <openkd/event.h>
#include <openkd/memory.h>
#include <openkd/register.h>

#include "tests/engine/fake_host.h"

/* code: a loop that calls a function; both begin with nop. */
enum {
	LOOP = 0,
	CALL = 1,
	AFTER = 6,
	FUNCTION = 0x20,
	DATA = 0x100,
	CODE_SIZE = 0x200,
	PROGRAM_SIZE = 8
};

extern const uint8_t fixture_program[PROGRAM_SIZE];

struct fixture {
	struct fake_host *host;
	struct kd_session *session;
	uint64_t code;
};

/* For cmocka. The session is attached, the target stopped by our break-in. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);
/* A (further) session; `suffix`: options behind the endpoint, "" for none. */
void fixture_attach(struct fixture *f, const char *suffix);

/* Events until one of this kind; fails after five seconds. */
struct kd_event fixture_wait(struct kd_session *s, enum kd_event_kind kind);
void fixture_ok(enum kd_status status, const struct kd_error *err);

/* A call with `&err` as its last argument must succeed. */
#define OK(call)                             \
	do {                                 \
		struct kd_error err = { 0 }; \
		fixture_ok(call, &err);      \
	} while (0)

struct kd_session_counters fixture_counters(struct kd_session *s);
int fixture_break(struct fixture *f, uint64_t address, uint32_t passes);
uint64_t fixture_pc(struct fixture *f);
/* What is really in memory, breakpoints included. */
uint8_t fixture_raw_byte(struct fixture *f, uint64_t address);
void fixture_poke(struct fixture *f, uint64_t address, uint8_t byte);
/* Where a processor goes on. */
void fixture_go_to(struct fixture *f, uint16_t processor, uint64_t address);
bool fixture_is_stopped(struct fixture *f);
/* Until the condition holds, at most five seconds; fails then. */
#define UNTIL(condition)                                 \
	for (int tries_ = 0; !(condition); usleep(1000)) \
		if (++tries_ > 5000)                     \
	fail_msg("%s did not come true", #condition)

#endif
