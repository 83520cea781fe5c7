/* SPDX-License-Identifier: MIT */
/* Breakpoints and steps where they are easily lost, doubled or left behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/engine/memory.h"
#include "tests/engine/session_fixture.h"

static void go(struct fixture *f)
{
	OK(kd_session_go(f->session, KD_GO, &err));
}

static struct kd_stop step(struct fixture *f)
{
	OK(kd_session_step(f->session, KD_STEP_INTO, true, 0, &err));
	return fixture_wait(f->session, KD_EVENT_STOP).stop;
}

/* As after a WriteBreakPoint whose answer was lost and that was issued twice. */
static void test_table_has_it_already(void **state)
{
	struct fixture *f = *state;
	uint64_t data = f->code + DATA;

	fixture_break(f, f->code + FUNCTION, 0);
	fixture_break(f, data, 0);
	fake_host_lock(f->host);
	f->host->fake->target.breakpoints[31] = (struct kd_target_breakpoint){
		.state = KD_TARGET_BP_INSERTED, .size = 1, .address = data, .instruction = { 0xCC }
	};
	fake_host_unlock(f->host);
	fixture_poke(f, data, 0xCC);
	go(f);
	assert_int_equal(fixture_wait(f->session, KD_EVENT_STOP).stop.pc, f->code + FUNCTION);
	assert_int_equal(fixture_raw_byte(f, data), 0xCC);
	OK(kd_session_detach(f->session, true, &err));
	assert_int_equal(fixture_raw_byte(f, data), 0);
	assert_int_equal(fixture_raw_byte(f, f->code + FUNCTION), 0x90);
}

/* We stand at an int3 of the target's own. */
static void test_on_a_hardcoded_one(void **state)
{
	struct fixture *f = *state;
	struct kd_event event;

	fixture_break(f, fixture_pc(f), 0);
	go(f);
	assert_int_equal(kd_session_wait(f->session, 300, &event, NULL), KD_E_TIMEOUT);
}

static bool is_journalled(struct fixture *f, uint64_t address)
{
	char command[200];

	snprintf(command, sizeof command, "cat %s/openkd/journal-* 2>/dev/null | grep -q %016llx",
		 f->host->folder, (unsigned long long)address);
	return system(command) == 0;
}

static void test_journal_covers_what_is_planted(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[8];

	fixture_break(f, f->code + DATA, 0);
	assert_false(is_journalled(f, f->code + DATA));
	step(f);
	assert_true(is_journalled(f, f->code + DATA));
	OK(kd_memory_read_physical(f->session, 0x1000, bytes, sizeof bytes, NULL, &err));
	step(f);
	assert_int_equal(fixture_raw_byte(f, f->code + DATA), 0xCC);
	assert_true(is_journalled(f, f->code + DATA));
	OK(kd_session_detach(f->session, true, &err));
	assert_false(is_journalled(f, f->code + DATA));
}

/* What the target sees of the journal at the moment when a breakpoint is written into it. */
static struct {
	struct kd_target_ops ops;
	struct fixture *fixture;
	unsigned n_planted, n_journalled;
} watch;

static size_t watched_write(void *user, const struct kd_target_memory *at, const uint8_t *bytes,
			    size_t size)
{
	if (size == 1 && *bytes == 0xCC && at->address == watch.fixture->code + DATA) {
		watch.n_planted++;
		watch.n_journalled += is_journalled(watch.fixture, at->address);
	}
	return kd_fake_ops.write_memory(user, at, bytes, size);
}

static void test_journal_comes_first(void **state)
{
	struct fixture *f = *state;

	watch.fixture = f;
	watch.n_planted = watch.n_journalled = 0;
	watch.ops = kd_fake_ops;
	watch.ops.write_memory = watched_write;
	fake_host_lock(f->host);
	f->host->fake->target.ops = &watch.ops;
	fake_host_unlock(f->host);
	fixture_break(f, f->code + DATA, 0);
	step(f);
	fake_host_lock(f->host);
	f->host->fake->target.ops = &kd_fake_ops;
	fake_host_unlock(f->host);
	assert_int_equal(watch.n_planted, 1);
	assert_int_equal(watch.n_journalled, 1);
}

/* The other one has nothing at all in its address space: the target plants in the running one. */
static void test_while_another_process_is_looked_at(void **state)
{
	enum { USER = 0x10000 };
	struct fixture *f = *state;
	uint64_t directory = 0;
	bool is_mapped;

	fake_host_lock(f->host);
	kd_fake_map(f->host->fake, USER, 4096, true);
	is_mapped = kd_fake_translate(f->host->fake, kd_fake_alloc(f->host->fake, 4096),
				      &directory);
	fake_host_unlock(f->host);
	assert_true(is_mapped);
	fixture_break(f, f->code + FUNCTION, 0);
	fixture_break(f, USER, 0);
	kd__memory_set_directory(f->session, directory);
	go(f);
	assert_int_equal(fixture_raw_byte(f, USER), 0xCC);
	assert_true(is_journalled(f, USER));
	assert_int_equal(fixture_wait(f->session, KD_EVENT_STOP).stop.pc, f->code + FUNCTION);
}

static void test_step_of_another_processor(void **state)
{
	struct fixture *f = *state;
	struct kd_stop stop;
	uint64_t value;

	fixture_go_to(f, 1, f->code);
	OK(kd_register_get(f->session, "rax", &value, &err));
	OK(kd_session_select_processor(f->session, 1, &err));
	stop = step(f);
	assert_int_equal(stop.reason, KD_STOP_STEP);
	assert_int_equal(stop.processor, 1);
	assert_true(stop.pc == f->code + 1);
}

/*
 * Its report takes what is planted in its instruction stream out of the target. The step leaves
 * that stream by a jump, so the report of the step does not tell of it once more.
 */
static void test_stream_of_another_processor(void **state)
{
	struct fixture *f = *state;
	uint64_t ahead = f->code + LOOP + 18; /* of AFTER's 16 bytes, and not of LOOP's */
	struct kd_stop stop;

	fixture_break(f, ahead, 0);
	step(f); /* plants */
	assert_int_equal(fixture_raw_byte(f, ahead), 0xCC);
	fixture_go_to(f, 1, f->code + AFTER);
	OK(kd_session_select_processor(f->session, 1, &err));
	stop = step(f);
	assert_int_equal(stop.processor, 1);
	assert_true(stop.pc == f->code + LOOP);
	assert_int_equal(fixture_raw_byte(f, ahead), 0xCC);
}

/* A break-in is sent again after 1.5 seconds: the one that was asked for too late must not be. */
static void test_break_in_while_stopped(void **state)
{
	struct fixture *f = *state;
	struct kd_event event;

	kd_session_break_in(f->session);
	go(f);
	assert_int_equal(kd_session_wait(f->session, 2000, &event, NULL), KD_E_TIMEOUT);
}

/* The stop that was there when we came is the one that attaching asks for: no break-in follows. */
static void test_attaching_to_a_halted_target(void **state)
{
	struct fixture *f = *state;
	struct kd_event event;

	fake_host_lock(f->host);
	shutdown(f->host->peer, SHUT_RDWR);
	fake_host_unlock(f->host);
	kd_session_destroy(f->session);
	assert_true(fixture_is_stopped(f));
	fixture_attach(f, "");
	go(f);
	assert_int_equal(kd_session_wait(f->session, 1500, &event, NULL), KD_E_TIMEOUT);
}

struct canceller {
	struct kd_session *session;
	atomic_bool quit;
};

static void *cancel_always(void *context)
{
	struct canceller *c = context;

	while (!atomic_load(&c->quit)) {
		kd_session_cancel(c->session);
		usleep(50);
	}
	return NULL;
}

/* A cancel ends waits. It does not stop the counting of hits in its middle. */
static void test_cancels_while_hits_are_counted(void **state)
{
	enum { PASSES = 50 };
	struct fixture *f = *state;
	struct canceller context = { .session = f->session };
	struct kd_breakpoint_spec spec = KD_BREAKPOINT_SPEC_INIT;
	struct kd_event event = { .kind = KD_EVENT_NOTICE };
	char condition[64];
	pthread_t thread;
	int id;

	/* True; the target is asked for it each time. */
	snprintf(condition, sizeof condition, "poi(0x%llx) == 0",
		 (unsigned long long)(f->code + DATA));
	spec.address = f->code + FUNCTION;
	spec.passes = PASSES;
	spec.condition = condition;
	OK(kd_breakpoint_add(f->session, -1, &spec, &id, &err));

	go(f);
	assert_int_equal(pthread_create(&thread, NULL, cancel_always, &context), 0);
	for (;;) {
		enum kd_status status = kd_session_wait(f->session, 5000, &event, NULL);

		if (status == KD_OK)
			break; /* the first event is the stop: no notice, nothing else */
		if (status != KD_E_CANCELLED)
			break;
	}
	atomic_store(&context.quit, true);
	pthread_join(thread, NULL);
	kd_session_cancel_clear(f->session);
	assert_int_equal(event.kind, KD_EVENT_STOP);
	assert_int_equal(event.stop.reason, KD_STOP_BREAKPOINT);
	assert_int_equal(kd_breakpoint_find(f->session, id)->hits, PASSES);
}

/*
 * Both processors run through the same two breakpoints. While one steps off one of them the other
 * may hit the other: an arrival counts once, whoever is late. (That some arrivals are missed, while
 * a breakpoint is out for the other processor, is in the nature of stepping off.)
 */
static void test_two_processors_and_two_breakpoints(void **state)
{
	enum { ROUNDS = 300, DEC = DATA, NOP = DATA + 2 };
	static const uint8_t countdown[] = { 0xFF, 0xC9, 0x90, 0xEB, 0xFB }; /* dec ecx; nop; jmp */
	struct fixture *f = *state;
	int ids[] = { fixture_break(f, f->code + DEC, 0), fixture_break(f, f->code + NOP, 0) };
	struct {
		uint64_t pc, count;
		unsigned n;
	} last[2] = { 0 };

	fake_host_lock(f->host);
	kd_fake_write(f->host->fake, f->code + DATA, countdown, sizeof countdown);
	kd_fake_go_to(f->host->fake, 1, f->code + DATA);
	fake_host_unlock(f->host);
	OK(kd_register_set(f->session, "rip", f->code + DATA, &err));
	for (int i = 0; i < ROUNDS; i++) {
		struct kd_stop stop;
		uint64_t count;

		go(f);
		stop = fixture_wait(f->session, KD_EVENT_STOP).stop;
		assert_int_equal(stop.reason, KD_STOP_BREAKPOINT);
		assert_in_range(stop.processor, 0, 1);
		OK(kd_register_get(f->session, "ecx", &count, &err));
		assert_false(stop.pc == last[stop.processor].pc &&
			     count == last[stop.processor].count);
		last[stop.processor].pc = stop.pc;
		last[stop.processor].count = count;
		last[stop.processor].n++;
	}
	assert_int_equal(kd_breakpoint_find(f->session, ids[0])->hits +
				 kd_breakpoint_find(f->session, ids[1])->hits,
			 ROUNDS);
	assert_true(last[0].n > ROUNDS / 10 && last[1].n > ROUNDS / 10);
}

/* A step of one processor ends by its own step, not by one that the other still had to make. */
static void test_steps_in_turns(void **state)
{
	struct fixture *f = *state;
	unsigned n_steps = 0;

	fixture_break(f, f->code + FUNCTION, 0);
	fixture_go_to(f, 1, f->code);
	for (int i = 0; i < 100; i++) {
		struct kd_stop before, after;

		OK(kd_session_last_stop(f->session, &before));
		after = step(f);
		n_steps += after.reason == KD_STOP_STEP;
		if (after.reason == KD_STOP_STEP)
			assert_int_equal(after.processor, before.processor);
		if (i % 5 == 4) {
			go(f);
			after = fixture_wait(f->session, KD_EVENT_STOP).stop;
			assert_int_equal(after.reason, KD_STOP_BREAKPOINT);
		}
	}
	assert_true(n_steps > 10);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_table_has_it_already),
		T(test_on_a_hardcoded_one),
		T(test_journal_covers_what_is_planted),
		T(test_journal_comes_first),
		T(test_while_another_process_is_looked_at),
		T(test_step_of_another_processor),
		T(test_stream_of_another_processor),
		T(test_break_in_while_stopped),
		T(test_attaching_to_a_halted_target),
		T(test_cancels_while_hits_are_counted),
		T(test_two_processors_and_two_breakpoints),
		T(test_steps_in_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
