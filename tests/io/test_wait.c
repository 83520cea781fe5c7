/* SPDX-License-Identifier: MIT */
/* Waiting: deadlines, cancels from threads and signal handlers, descriptors of all kinds. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/link/link.h"
#include "tests/io/io_check.h"

static struct kd_cancel cancel;
static struct kd_error err;

static double ms_since(uint64_t start)
{
	return (double)(kd_now_ns() - start) / 1e6;
}

static int setup(void **state)
{
	(void)state;
	return kd_cancel_init(&cancel, &err) == KD_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	kd_cancel_deinit(&cancel);
	return 0;
}

static void test_deadline_passes(void **state)
{
	int pair[2];
	struct kd_wait_fd fd = { .want_read = true };
	uint64_t start = kd_now_ns();

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fd.fd = pair[0];
	assert_status(KD_E_TIMEOUT, kd_wait(&fd, 1, kd_deadline_after_ms(30), &cancel, &err));
	assert_true(ms_since(start) >= 30);
	assert_true(ms_since(start) < 30 + LATE_MS);
	start = kd_now_ns();
	assert_status(KD_E_TIMEOUT, kd_wait(&fd, 1, 0, NULL, &err));
	assert_true(ms_since(start) < LATE_MS);
	close(pair[0]);
	close(pair[1]);
}

static void test_nothing_to_wait_for_is_a_pause(void **state)
{
	uint64_t start = kd_now_ns();

	(void)state;
	assert_status(KD_E_TIMEOUT, kd_wait(NULL, 0, kd_deadline_after_ms(20), &cancel, &err));
	assert_true(ms_since(start) >= 20);
}

static void test_readiness(void **state)
{
	int pair[2];
	struct kd_wait_fd fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fds[0] = (struct kd_wait_fd){ .fd = pair[0], .want_read = true };
	fds[1] = (struct kd_wait_fd){ .fd = -1, .want_read = true };
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_status(KD_OK, kd_wait(fds, 2, KD_TIME_NEVER, NULL, &err));
	assert_true(fds[0].can_read_ret && !fds[0].can_write_ret && !fds[1].can_read_ret);

	fds[0].want_read = false;
	fds[0].want_write = true;
	assert_status(KD_OK, kd_wait(fds, 2, KD_TIME_NEVER, NULL, &err));
	assert_true(fds[0].can_write_ret && !fds[0].can_read_ret);

	/* Ready descriptors win over a deadline in the past. */
	assert_status(KD_OK, kd_wait(fds, 2, 0, NULL, &err));

	/* A hangup wakes readers and writers, and nobody who wants nothing. */
	close(pair[1]);
	fds[0] = (struct kd_wait_fd){ .fd = pair[0], .want_read = true, .want_write = true };
	assert_status(KD_OK, kd_wait(fds, 1, KD_TIME_NEVER, NULL, &err));
	assert_true(fds[0].can_read_ret && fds[0].can_write_ret);
	fds[0].want_read = fds[0].want_write = false;
	assert_status(KD_E_TIMEOUT, kd_wait(fds, 1, kd_deadline_after_ms(5), NULL, &err));
	close(pair[0]);
}

static void test_bad_arguments(void **state)
{
	struct kd_wait_fd fds[KD_WAIT_MAX_FDS + 1] = { { .fd = 999, .want_read = true } };

	(void)state;
	assert_status(KD_E_INVALID, kd_wait(fds, 1, KD_TIME_NEVER, NULL, &err));
	assert_says("999");
	assert_status(KD_E_INVALID, kd_wait(fds, KD_WAIT_MAX_FDS + 1, 0, NULL, &err));
}

static enum kd_status wait_for_ever(void *context)
{
	return kd_wait(NULL, 0, KD_TIME_NEVER, context, &err);
}

static void test_cancel_from_a_thread(void **state)
{
	(void)state;
	io_assert_cancel_is_quick(&cancel, wait_for_ever, &cancel);
	/* Sticky, until it is taken. */
	assert_status(KD_E_CANCELLED, kd_wait(NULL, 0, KD_TIME_NEVER, &cancel, &err));
	assert_true(kd_cancel_is_set(&cancel));
	assert_true(kd_cancel_take(&cancel));
	assert_false(kd_cancel_take(&cancel));
	assert_status(KD_E_TIMEOUT, kd_wait(NULL, 0, kd_deadline_after_ms(5), &cancel, &err));
}

static volatile uint64_t alarm_at;

static void on_alarm(int number)
{
	(void)number;
	alarm_at = kd_now_ns();
	kd_cancel_trigger(&cancel);
}

static void test_cancel_from_a_signal_handler(void **state)
{
	struct sigaction action = { .sa_handler = on_alarm }, before;
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec when = { .it_value.tv_nsec = 20000000 };
	double best = 1e9;

	(void)state;
	sigaction(SIGUSR1, &action, &before);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	for (int i = 0; i < 5 && best >= SOON_MS; i++) {
		kd_cancel_clear(&cancel);
		assert_int_equal(timer_settime(timer, 0, &when, NULL), 0);
		assert_status(KD_E_CANCELLED, wait_for_ever(&cancel));
		best = KD_MIN(best, ms_since(alarm_at));
	}
	assert_true(best < SOON_MS);
	timer_delete(timer);
	sigaction(SIGUSR1, &before, NULL);
}

static void ignore(int number)
{
	(void)number;
}

/* A signal that is nothing to us must neither end the wait nor lengthen it. */
static void test_other_signals(void **state)
{
	struct sigaction action = { .sa_handler = ignore }, before;
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec when = { { 0, 5000000 }, { 0, 5000000 } };
	uint64_t start = kd_now_ns();

	(void)state;
	sigaction(SIGUSR1, &action, &before);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &when, NULL), 0);
	assert_status(KD_E_TIMEOUT, kd_wait(NULL, 0, kd_deadline_after_ms(60), &cancel, &err));
	assert_true(ms_since(start) >= 60);
	assert_true(ms_since(start) < 60 + LATE_MS);
	timer_delete(timer);
	sigaction(SIGUSR1, &before, NULL);
}

/* The flag goes first: a cancel taken between flag and descriptor leaves a readable descriptor. */
static void test_stale_wake_up_does_not_spin(void **state)
{
	const uint64_t one = 1;
	struct kd_wait_fd fd;

	(void)state;
	assert_int_equal(write(cancel.fd, &one, sizeof one), sizeof one);
	assert_status(KD_E_TIMEOUT, kd_wait(NULL, 0, kd_deadline_after_ms(20), &cancel, &err));
	fd = (struct kd_wait_fd){ .fd = cancel.fd, .want_read = true };
	assert_status(KD_E_TIMEOUT, kd_wait(&fd, 1, 0, NULL, &err));
}

static void test_never(void **state)
{
	(void)state;
	assert_true(kd_deadline_after_ms(UINT32_MAX) == KD_TIME_NEVER);
	assert_false(kd_cancel_is_set(NULL));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_deadline_passes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_to_wait_for_is_a_pause, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_readiness, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel_from_a_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel_from_a_signal_handler, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_signals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_wake_up_does_not_spin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never, setup, teardown),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
