/* SPDX-License-Identifier: MIT */
/*
 * Whole sessions against the fake target: attach, look, break, step, and above all leave: whatever
 * happens, the target runs on without a breakpoint of ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <openkd/breakpoint.h>
#include <openkd/event.h>
#include <openkd/memory.h>
#include <openkd/module.h>
#include <openkd/register.h>

#include "tests/engine/session_fixture.h"

static void test_identifies(void **state)
{
	struct fixture *f = *state;
	struct kd_target_info info;
	uint64_t value;

	OK(kd_session_target(f->session, &info, &err));
	assert_int_equal(info.machine, 0x8664);
	assert_int_equal(info.pointer_size, 8);
	assert_true(info.kernel_base == f->host->fake->kernel_base);
	assert_true(strlen(info.build_lab) > 5);
	OK(kd_session_kdbg(f->session, "PsLoadedModuleList", &value, &err));
	assert_true(value == f->host->fake->module_list);
	assert_int_equal(kd_session_kdbg(f->session, "NoSuchField", &value, NULL), KD_E_NOT_FOUND);
}

static void test_break_in_is_told_as_such(void **state)
{
	struct fixture *f = *state;
	struct kd_stop stop;

	assert_int_equal(kd_session_last_stop(f->session, &stop), KD_OK);
	assert_int_equal(stop.reason, KD_STOP_BREAK_IN);
}

static void test_memory_is_cached(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[64];
	uint64_t before;

	OK(kd_memory_read(f->session, f->code, bytes, 16, NULL, &err));
	assert_memory_equal(bytes, fixture_program, sizeof fixture_program);
	before = fixture_counters(f->session).requests;
	OK(kd_memory_read(f->session, f->code + 40, bytes, 64, NULL, &err));
	assert_int_equal(fixture_counters(f->session).requests, before);
	OK(kd_session_step(f->session, KD_STEP_INTO, true, 0, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	before = fixture_counters(f->session).requests;
	OK(kd_memory_read(f->session, f->code, bytes, 16, NULL, &err));
	assert_true(fixture_counters(f->session).requests > before);
}

static void test_large_read_takes_few_requests(void **state)
{
	struct fixture *f = *state;
	uint64_t address, before;
	uint8_t *bytes = malloc(65536);

	fake_host_lock(f->host);
	address = kd_fake_alloc(f->host->fake, 65536);
	for (unsigned i = 0; i < 65536; i += 8)
		kd_fake_put_word(f->host->fake, address + i, i * UINT64_C(0x9E3779B97F4A7C15));
	fake_host_unlock(f->host);
	before = fixture_counters(f->session).requests;
	OK(kd_memory_read(f->session, address, bytes, 65536, NULL, &err));
	assert_in_range(fixture_counters(f->session).requests - before, 17, 18);
	for (unsigned i = 0; i < 65536; i += 8) {
		uint64_t value;

		memcpy(&value, bytes + i, 8);
		assert_true(value == i * UINT64_C(0x9E3779B97F4A7C15));
	}
	free(bytes);
}

static void test_unreadable_memory(void **state)
{
	struct fixture *f = *state;
	struct kd_error refusal = { 0 };
	uint8_t bytes[8192];
	uint64_t address;
	size_t done = 1;

	assert_int_equal(kd_memory_read(f->session, 0x10, bytes, 4, &done, &refusal),
			 KD_E_UNREADABLE);
	assert_true(refusal.where == 0x10);
	fake_host_lock(f->host);
	address = kd_fake_alloc(f->host->fake, 8192);
	kd_fake_unmap(f->host->fake, address + 4096, 4096);
	fake_host_unlock(f->host);
	OK(kd_memory_read(f->session, address + 4000, bytes, sizeof bytes, &done, &err));
	assert_int_equal(done, 96);
}

static void test_memory_written_is_seen(void **state)
{
	struct fixture *f = *state;
	uint32_t value = 0x11223344, back = 0;

	OK(kd_memory_write(f->session, f->code + DATA, &value, 4, NULL, &err));
	OK(kd_memory_read(f->session, f->code + DATA, &back, 4, NULL, &err));
	assert_int_equal(back, value);
	fake_host_lock(f->host);
	assert_int_equal((uint32_t)kd_fake_get_word(f->host->fake, f->code + DATA), value);
	fake_host_unlock(f->host);
}

static void test_registers(void **state)
{
	struct fixture *f = *state;
	uint64_t value;

	OK(kd_register_set(f->session, "rbx", UINT64_C(0x1122334455667788), &err));
	OK(kd_register_get(f->session, "rbx", &value, &err));
	assert_true(value == UINT64_C(0x1122334455667788));
	OK(kd_register_get(f->session, "bh", &value, &err));
	assert_int_equal(value, 0x77);
	OK(kd_register_set(f->session, "bl", 0xAA, &err));
	OK(kd_register_get(f->session, "rbx", &value, &err));
	assert_true(value == UINT64_C(0x11223344556677AA));
	OK(kd_register_set(f->session, "ebx", 1, &err)); /* clears the upper half */
	OK(kd_register_get(f->session, "rbx", &value, &err));
	assert_true(value == 1);
	fake_host_lock(f->host);
	assert_true(kd_fake_get_register(f->host->fake, 0, "rbx") == 1);
	fake_host_unlock(f->host);
	OK(kd_register_get(f->session, "cr3", &value, &err));
	assert_true(value == f->host->fake->cr3);
	assert_int_equal(kd_register_get(f->session, "nonsense", &value, NULL), KD_E_NOT_FOUND);
}

static void test_breakpoint_hits_again_and_again(void **state)
{
	struct fixture *f = *state;
	int id = fixture_break(f, f->code + FUNCTION, 0);
	uint8_t byte;

	for (int i = 0; i < 5; i++) {
		struct kd_event e;

		OK(kd_session_go(f->session, KD_GO, &err));
		e = fixture_wait(f->session, KD_EVENT_STOP);
		assert_int_equal(e.stop.reason, KD_STOP_BREAKPOINT);
		assert_int_equal(e.stop.breakpoint_id, id);
		assert_true(fixture_pc(f) == f->code + FUNCTION);
	}
	assert_int_equal(kd_breakpoint_find(f->session, id)->hits, 5);
	OK(kd_memory_read(f->session, f->code + FUNCTION, &byte, 1, NULL, &err));
	assert_int_equal(byte, 0x90); /* not visible to us */
}

static void test_pass_count(void **state)
{
	struct fixture *f = *state;
	int id = fixture_break(f, f->code + FUNCTION, 7);

	OK(kd_session_go(f->session, KD_GO, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	assert_int_equal(kd_breakpoint_find(f->session, id)->hits, 7);
}

static void test_adjacent_breakpoints(void **state)
{
	struct fixture *f = *state;
	uint64_t first = f->code + FUNCTION, second = first + 1;

	fixture_break(f, first, 0);
	fixture_break(f, second, 0);
	for (int i = 0; i < 3; i++) {
		OK(kd_session_go(f->session, KD_GO, &err));
		fixture_wait(f->session, KD_EVENT_STOP);
		assert_true(fixture_pc(f) == first);
		OK(kd_session_go(f->session, KD_GO, &err));
		fixture_wait(f->session, KD_EVENT_STOP);
		assert_true(fixture_pc(f) == second);
	}
}

static void go_to(struct fixture *f, uint64_t address)
{
	OK(kd_session_go_to(f->session, &address, 1, KD_GO, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	assert_true(fixture_pc(f) == address);
}

static void test_stepping(void **state)
{
	struct fixture *f = *state;

	go_to(f, f->code + CALL);
	OK(kd_session_step(f->session, KD_STEP_OVER, false, 0, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	assert_true(fixture_pc(f) == f->code + AFTER);
	go_to(f, f->code + CALL);
	OK(kd_session_step(f->session, KD_STEP_INTO, true, 0, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	assert_true(fixture_pc(f) == f->code + FUNCTION);
	OK(kd_session_step(f->session, KD_STEP_TO_RETURN, true, 0, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	assert_true(fixture_pc(f) == f->code + FUNCTION + 2);
	OK(kd_session_step(f->session, KD_STEP_TO_CALL, true, 0, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	assert_true(fixture_pc(f) == f->code + CALL);
}

static void test_step_over_breakpointed_call(void **state)
{
	struct fixture *f = *state;

	fixture_break(f, f->code + CALL, 0);
	OK(kd_session_go(f->session, KD_GO, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	for (int i = 0; i < 3; i++) {
		OK(kd_session_step(f->session, KD_STEP_OVER, false, 0, &err));
		fixture_wait(f->session, KD_EVENT_STOP);
		assert_true(fixture_pc(f) == f->code + AFTER);
		OK(kd_session_go(f->session, KD_GO, &err));
		fixture_wait(f->session, KD_EVENT_STOP);
		assert_true(fixture_pc(f) == f->code + CALL);
	}
}

static void test_thirty_third_is_refused(void **state)
{
	struct fixture *f = *state;
	struct kd_breakpoint_spec spec = KD_BREAKPOINT_SPEC_INIT;
	struct kd_error refusal = { 0 };

	for (uint64_t i = 0; i < 32; i++)
		fixture_break(f, f->code + 0x80 + i, 0);
	spec.address = f->code + 0x80 + 32;
	assert_int_equal(kd_breakpoint_add(f->session, -1, &spec, NULL, &refusal), KD_E_FULL);
	assert_non_null(strstr(refusal.text, "32"));
	OK(kd_breakpoint_remove(f->session, 5, &err));
	OK(kd_breakpoint_add(f->session, -1, &spec, NULL, &err));
	OK(kd_session_go(f->session, KD_GO, &err));
	assert_int_equal(kd_session_state(f->session), KD_SESSION_RUNNING);
}

static void test_leaves_no_breakpoint(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 10; i++)
		fixture_break(f, f->code + 0x80 + i, 0);
	fixture_break(f, f->code + FUNCTION, 0);
	OK(kd_session_go(f->session, KD_GO, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	OK(kd_session_detach(f->session, true, &err));
	assert_true(fake_host_runs_alone(f->host));
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(fixture_raw_byte(f, f->code + 0x80 + i), 0);
	assert_int_equal(fixture_raw_byte(f, f->code + FUNCTION), 0x90);
}

static void test_leaves_a_running_target(void **state)
{
	struct fixture *f = *state;

	fixture_break(f, f->code + DATA, 0); /* never reached */
	OK(kd_session_go(f->session, KD_GO, &err));
	usleep(50000);
	assert_int_equal(fixture_raw_byte(f, f->code + DATA), 0xCC);
	OK(kd_session_detach(f->session, true, &err));
	assert_true(fake_host_runs_alone(f->host));
	assert_int_equal(fixture_raw_byte(f, f->code + DATA), 0);
}

static void test_next_debugger_repairs(void **state)
{
	struct fixture *f = *state;
	struct kd_session *killed = f->session;

	fixture_break(f, f->code + DATA, 0);
	OK(kd_session_go(f->session, KD_GO, &err));
	usleep(50000);
	/* As if it had been killed: the socket closes, nothing is said. */
	fake_host_lock(f->host);
	shutdown(f->host->peer, 2);
	fake_host_unlock(f->host);
	usleep(50000);
	kd_session_destroy(killed);
	assert_int_equal(fixture_raw_byte(f, f->code + DATA), 0xCC);
	fixture_attach(f, "");
	assert_int_equal(fixture_raw_byte(f, f->code + DATA), 0);
}

static void test_prints_and_modules(void **state)
{
	struct fixture *f = *state;
	struct kd_event e;

	fake_host_lock(f->host);
	kd_fake_do(f->host->fake, KD_FAKE_PRINT, "hello from the target\n");
	fake_host_unlock(f->host);
	OK(kd_session_go(f->session, KD_GO, &err));
	e = fixture_wait(f->session, KD_EVENT_PRINT);
	assert_string_equal(e.text, "hello from the target\n");
	fake_host_lock(f->host);
	kd_fake_do(f->host->fake, KD_FAKE_PROMPT, "well? ");
	fake_host_unlock(f->host);
	e = fixture_wait(f->session, KD_EVENT_PROMPT);
	assert_string_equal(e.text, "well? ");
	OK(kd_session_answer(f->session, "yes", 3, &err));
	kd_session_break_in(f->session);
	fixture_wait(f->session, KD_EVENT_STOP);
	fake_host_lock(f->host);
	assert_string_equal(f->host->fake->answer, "yes");
	fake_host_unlock(f->host);
}

static void test_restart_is_followed(void **state)
{
	struct fixture *f = *state;
	uint64_t generation = kd_session_generation(f->session);

	fake_host_lock(f->host);
	kd_fake_do(f->host->fake, KD_FAKE_RESTART, "");
	fake_host_unlock(f->host);
	OK(kd_session_go(f->session, KD_GO, &err));
	fixture_wait(f->session, KD_EVENT_RESTART);
	kd_session_break_in(f->session);
	fixture_wait(f->session, KD_EVENT_CONNECTED);
	fixture_wait(f->session, KD_EVENT_STOP);
	assert_true(kd_session_generation(f->session) > generation);
}

static void *end_pause(void *context)
{
	usleep(1500000);
	atomic_store((atomic_bool *)context, false);
	return NULL;
}

/* A request in the middle of a pause of the VM is answered after it. */
static void test_pause_is_survived(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[64];
	pthread_t thread;

	atomic_store(&f->host->paused, true);
	pthread_create(&thread, NULL, end_pause, &f->host->paused);
	kd_memory_flush(f->session);
	OK(kd_memory_read(f->session, f->code, bytes, sizeof bytes, NULL, &err));
	assert_memory_equal(bytes, fixture_program, sizeof fixture_program);
	pthread_join(thread, NULL);
}

static void test_cancel_is_quick(void **state)
{
	struct fixture *f = *state;
	struct kd_event event;
	struct timespec a, b;

	OK(kd_session_go(f->session, KD_GO, &err));
	kd_session_cancel(f->session);
	clock_gettime(CLOCK_MONOTONIC, &a);
	while (kd_session_wait(f->session, 3000, &event, NULL) == KD_OK)
		;
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true(b.tv_sec - a.tv_sec < 2);
	kd_session_break_in(f->session);
	fixture_wait(f->session, KD_EVENT_STOP);
}

static void test_right_answers_on_a_lossy_line(void **state)
{
	struct fixture *f = *state;
	uint64_t address;

	fake_host_lock(f->host);
	address = kd_fake_alloc(f->host->fake, 65536);
	for (unsigned i = 0; i < 65536; i += 8)
		kd_fake_put_word(f->host->fake, address + i, i * UINT64_C(0x9E3779B97F4A7C15));
	fake_host_unlock(f->host);
	atomic_store(&f->host->lose, 1000); /* 0.1 % */
	for (unsigned i = 0; i < 200; i++) {
		unsigned at = i * 7919 * 8 % 65536;
		uint64_t value = 0;

		kd_memory_flush(f->session);
		OK(kd_memory_read_uint(f->session, address + at, 8, &value, &err));
		assert_true(value == at * UINT64_C(0x9E3779B97F4A7C15));
	}
	atomic_store(&f->host->lose, 0);
}

static void test_read_only_refuses(void **state)
{
	struct fixture *f = *state;
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	uint8_t byte = 1;

	kd_session_destroy(f->session);
	f->session = NULL;
	options.initial_break = options.read_only = true;
	OK(kd_session_create(f->host->endpoint, &options, &f->session, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	assert_int_equal(kd_memory_write(f->session, f->code, &byte, 1, NULL, NULL), KD_E_DENIED);
	assert_int_equal(fixture_raw_byte(f, f->code), 0x90);
	OK(kd_memory_read(f->session, f->code, &byte, 1, NULL, &err));
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(identifies),
		T(break_in_is_told_as_such),
		T(memory_is_cached),
		T(large_read_takes_few_requests),
		T(unreadable_memory),
		T(memory_written_is_seen),
		T(registers),
		T(breakpoint_hits_again_and_again),
		T(pass_count),
		T(adjacent_breakpoints),
		T(stepping),
		T(step_over_breakpointed_call),
		T(thirty_third_is_refused),
		T(leaves_no_breakpoint),
		T(leaves_a_running_target),
		T(next_debugger_repairs),
		T(prints_and_modules),
		T(restart_is_followed),
		T(pause_is_survived),
		T(cancel_is_quick),
		T(right_answers_on_a_lossy_line),
		T(read_only_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
