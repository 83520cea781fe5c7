/* SPDX-License-Identifier: MIT */
#include "tests/engine/session_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const uint8_t fixture_program[PROGRAM_SIZE] = {
	0x90, /* LOOP: nop */
	0xE8, FUNCTION - AFTER,
	0,    0,
	0,                                  /* CALL: call FUNCTION */
	0xEB, (uint8_t)(LOOP - (AFTER + 2)) /* AFTER: jmp LOOP */
};
static const uint8_t function[] = { 0x90, 0x90, 0xC3 };

static void place_program(struct fixture *f)
{
	fake_host_lock(f->host);
	f->code = kd_fake_alloc(f->host->fake, CODE_SIZE);
	kd_fake_write(f->host->fake, f->code, fixture_program, PROGRAM_SIZE);
	kd_fake_write(f->host->fake, f->code + FUNCTION, function, sizeof function);
	kd_fake_go_to(f->host->fake, 0, f->code);
	fake_host_unlock(f->host);
}

struct kd_event fixture_wait(struct kd_session *s, enum kd_event_kind kind)
{
	struct kd_event event;
	struct kd_error err = { 0 };

	do {
		if (kd_session_wait(s, 5000, &event, &err) != KD_OK)
			fail_msg("waiting for event %d: %s", kind, err.text);
	} while (event.kind != kind);
	return event;
}

void fixture_attach(struct fixture *f, const char *suffix)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	struct kd_error err = { 0 };
	char endpoint[160];

	options.initial_break = true;
	snprintf(endpoint, sizeof endpoint, "%s%s", f->host->endpoint, suffix);
	if (kd_session_create(endpoint, &options, &f->session, &err) != KD_OK)
		fail_msg("%s", err.text);
	fixture_wait(f->session, KD_EVENT_STOP);
}

int fixture_set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->host = fake_host_start(&(struct kd_fake_config){ .n_processors = 2 });
	setenv("XDG_STATE_HOME", f->host->folder, 1);
	setenv("XDG_RUNTIME_DIR", f->host->folder, 1);
	place_program(f);
	fixture_attach(f, "");
	*state = f;
	return 0;
}

int fixture_tear_down(void **state)
{
	struct fixture *f = *state;

	kd_session_destroy(f->session);
	fake_host_stop(f->host);
	free(f);
	return 0;
}

void fixture_ok(enum kd_status status, const struct kd_error *err)
{
	if (status != KD_OK)
		fail_msg("call failed: %s", err->text);
}

struct kd_session_counters fixture_counters(struct kd_session *s)
{
	struct kd_session_counters c;

	kd_session_counters(s, &c);
	return c;
}

int fixture_break(struct fixture *f, uint64_t address, uint32_t passes)
{
	struct kd_breakpoint_spec spec = KD_BREAKPOINT_SPEC_INIT;
	int id = -1;

	spec.address = address;
	spec.passes = passes;
	OK(kd_breakpoint_add(f->session, -1, &spec, &id, &err));
	return id;
}

uint64_t fixture_pc(struct fixture *f)
{
	uint64_t value = 0;

	OK(kd_register_pc(f->session, &value, &err));
	return value;
}

uint8_t fixture_raw_byte(struct fixture *f, uint64_t address)
{
	uint8_t byte = 0;

	fake_host_lock(f->host);
	kd_fake_read(f->host->fake, address, &byte, 1);
	fake_host_unlock(f->host);
	return byte;
}

void fixture_poke(struct fixture *f, uint64_t address, uint8_t byte)
{
	fake_host_lock(f->host);
	kd_fake_write(f->host->fake, address, &byte, 1);
	fake_host_unlock(f->host);
}

void fixture_go_to(struct fixture *f, uint16_t processor, uint64_t address)
{
	fake_host_lock(f->host);
	kd_fake_go_to(f->host->fake, processor, address);
	fake_host_unlock(f->host);
}

bool fixture_is_stopped(struct fixture *f)
{
	bool result;

	fake_host_lock(f->host);
	result = kd_fake_is_stopped(f->host->fake);
	fake_host_unlock(f->host);
	return result;
}
