/* SPDX-License-Identifier: MIT */
/* Leaving, at the worst moments: the target runs on, and nothing of ours is in it. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/engine/session_fixture.h"

enum { MANY = 20 };

static void leave(struct fixture *f)
{
	OK(kd_session_detach(f->session, true, &err));
	assert_true(fake_host_runs_alone(f->host));
}

static void go(struct fixture *f)
{
	OK(kd_session_go(f->session, KD_GO, &err));
}

static void test_after_a_break_in(void **state)
{
	struct fixture *f = *state;
	struct kd_event event;

	go(f);
	/* A second break-in is only sent 1.5 seconds after the first, that of attaching. */
	assert_int_equal(kd_session_wait(f->session, 1600, &event, NULL), KD_E_TIMEOUT);
	kd_session_break_in(f->session);
	kd_session_wait(f->session, 0, &event, NULL); /* hears of it */
	kd_session_wait(f->session, 0, &event, NULL); /* sends the byte */
	leave(f);
	for (int i = 0; i < 300; i++, usleep(1000))
		assert_false(fixture_is_stopped(f));
}

static void test_with_an_unread_stop(void **state)
{
	struct fixture *f = *state;

	go(f);
	fake_host_lock(f->host);
	kd_fake_add_module(f->host->fake, "x.sys", 0x2000);
	kd_fake_do_module(f->host->fake, KD_FAKE_LOAD, f->host->fake->n_modules - 1);
	fake_host_unlock(f->host);
	UNTIL(fixture_is_stopped(f));
	leave(f);
}

static void ask(struct fixture *f)
{
	go(f);
	fake_host_lock(f->host);
	kd_fake_do(f->host->fake, KD_FAKE_PROMPT, "boot? ");
	fake_host_unlock(f->host);
	fixture_wait(f->session, KD_EVENT_PROMPT);
}

static uint64_t instructions(struct fixture *f)
{
	uint64_t n;

	fake_host_lock(f->host);
	n = f->host->fake->n_instructions;
	fake_host_unlock(f->host);
	return n;
}

static void expect_progress(struct fixture *f)
{
	uint64_t before = instructions(f);

	UNTIL(instructions(f) > before);
}

static void test_at_a_prompt(void **state)
{
	struct fixture *f = *state;

	ask(f);
	leave(f);
	expect_progress(f);
}

static void test_after_an_answer(void **state)
{
	struct fixture *f = *state;

	ask(f);
	OK(kd_session_answer(f->session, "b", 1, &err));
	leave(f);
	expect_progress(f);
}

static void *cancel_again_and_again(void *session)
{
	for (int i = 0; i < 200; i++) {
		usleep(100);
		kd_session_cancel(session);
	}
	return NULL;
}

static void test_with_cancels(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	for (uint64_t i = 0; i < MANY; i++)
		fixture_break(f, f->code + DATA + i, 0);
	OK(kd_session_step(f->session, KD_STEP_INTO, true, 0, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	assert_int_equal(fixture_raw_byte(f, f->code + DATA), 0xCC);
	assert_int_equal(pthread_create(&thread, NULL, cancel_again_and_again, f->session), 0);
	leave(f);
	pthread_join(thread, NULL);
	for (uint64_t i = 0; i < MANY; i++)
		assert_int_equal(fixture_raw_byte(f, f->code + DATA + i), 0);
}

static bool is_dead(struct fixture *f, uint16_t processor)
{
	bool dead;

	fake_host_lock(f->host);
	dead = f->host->fake->processors[processor].is_halted;
	fake_host_unlock(f->host);
	return dead;
}

/* The stop of a fault that nobody handled: again and again, if it is continued as handled. */
static void test_at_a_fault(void **state)
{
	static const uint8_t load[] = { 0x48, 0x8B, 0x04, 0x25, 0, 0, 0, 0 }; /* mov rax,[0] */
	struct fixture *f = *state;
	struct kd_event event;

	fake_host_lock(f->host);
	kd_fake_write(f->host->fake, f->code + DATA, load, sizeof load);
	kd_fake_go_to(f->host->fake, 0, f->code + DATA);
	fake_host_unlock(f->host);
	OK(kd_register_set(f->session, "rip", f->code + DATA, &err));
	go(f);
	event = fixture_wait(f->session, KD_EVENT_STOP);
	assert_int_equal(event.stop.reason, KD_STOP_EXCEPTION);
	assert_false(event.stop.first_chance);
	leave(f);
	assert_true(is_dead(f, 0)); /* of the fault: it is not executed once more */
}

static void test_after_another_processor_was_stepped(void **state)
{
	struct fixture *f = *state;
	uint64_t value;

	fixture_go_to(f, 1, f->code);
	OK(kd_register_get(f->session, "rax", &value, &err));
	OK(kd_session_select_processor(f->session, 1, &err));
	OK(kd_session_step(f->session, KD_STEP_INTO, true, 0, &err));
	leave(f);
}

static void cut_the_line(struct fixture *f)
{
	fake_host_lock(f->host);
	shutdown(f->host->peer, SHUT_RDWR);
	fake_host_unlock(f->host);
}

static bool is_planted(struct fixture *f)
{
	return fixture_raw_byte(f, f->code + DATA) == 0xCC;
}

static void test_after_the_line_was_cut(void **state)
{
	struct fixture *f = *state;
	struct kd_event event;

	kd_session_destroy(f->session);
	assert_true(fake_host_runs_alone(f->host));
	fixture_attach(f, ",reconnect");
	fixture_break(f, f->code + DATA, 0);
	go(f);
	assert_true(is_planted(f));
	cut_the_line(f);
	fixture_wait(f->session, KD_EVENT_LOST);
	kd_session_wait(f->session, 500, &event, NULL); /* it is opened again */
	leave(f);
	assert_false(is_planted(f));
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_after_a_break_in),
		T(test_with_an_unread_stop),
		T(test_at_a_prompt),
		T(test_after_an_answer),
		T(test_with_cancels),
		T(test_at_a_fault),
		T(test_after_another_processor_was_stepped),
		T(test_after_the_line_was_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
