/* SPDX-License-Identifier: MIT */
/* What a session's socket says, and who answers in the runtime folder. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/fleet/session_ask.h"
#include "tests/io/io_check.h"

static enum kd_status take(struct kd__session_state *s, const char *line)
{
	struct kd_error err;

	return kd__session_line_take(s, line, strlen(line), &err);
}

static void test_lines(void **state)
{
	struct kd__session_state s = { 0 };

	(void)state;
	assert_int_equal(take(&s, "{\"hello\":\"openkd\",\"protocol\":1,\"pid\":4711,"
				  "\"endpoint\":\"unix:/x\",\"state\":\"stopped\",\"new\":1}"),
			 KD_OK);
	assert_true(s.has_hello && !s.has_status);
	assert_int_equal(s.pid, 4711);
	assert_string_equal(s.endpoint, "unix:/x");
	assert_int_equal(take(&s, "{\"event\":\"stop\"}"), KD_OK);
	assert_false(s.has_status);
	assert_int_equal(
		take(&s, "{\"id\":1,\"ok\":true,\"state\":\"running\",\"os\":\"x\\u001b64\","
			 "\"counters\":{\"rx_packets\":7,\"stops\":-1,\"resends\":2,"
			 "\"retransmits\":3,\"prints\":\"x\"}}"),
		KD_OK);
	assert_true(s.has_status && s.counters.is_known);
	assert_string_equal(s.state, "running");
	assert_string_equal(s.os, "x?64");
	assert_int_equal(s.counters.rx_packets, 7);
	assert_int_equal(s.counters.stops, 0);
	assert_int_equal(s.counters.resends, 5);
}

static void test_nonsense(void **state)
{
	static const char *const lines[] = { "",
					     "x",
					     "[]",
					     "1",
					     "null",
					     "\"openkd\"",
					     "{\"hello\":\"other\"}",
					     "{\"a\":1,\"a\":2}" };
	struct kd__session_state s = { 0 };

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(lines); i++)
		assert_int_equal(take(&s, lines[i]), KD_E_MALFORMED);
	assert_int_equal(take(&s, "{\"hello\":\"openkd\",\"protocol\":2}"), KD_E_MISMATCH);
	assert_false(s.has_hello || s.has_status);
}

/* --- sockets --- */

static int listen_as(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", io_path(name));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* One session that answers in pieces. */
static void *answer(void *context)
{
	static const char *const pieces[] = { "{\"hello\":\"openkd\",\"protocol\":1,",
					      "\"pid\":5,\"endpoint\":\"unix:/y\"}\n{\"id\":1,",
					      "\"state\":\"running\",\"counters\":{}}\n" };
	int fd = accept(*(int *)context, NULL, NULL);

	for (size_t i = 0; i < KD_ARRAY_LEN(pieces); i++) {
		usleep(5000);
		assert_int_equal(write(fd, pieces[i], strlen(pieces[i])), strlen(pieces[i]));
	}
	usleep(100000);
	close(fd);
	return NULL;
}

static void test_sockets(void **state)
{
	struct kd__session_found *found;
	struct kd_error err;
	pthread_t thread;
	uint64_t start;
	int good, mute;
	size_t n;

	(void)state;
	setenv("XDG_RUNTIME_DIR", io_path("run"), 1);
	assert_int_equal(mkdir(io_path("run"), 0700), 0);
	assert_int_equal(mkdir(io_path("run/openkd"), 0700), 0);
	good = listen_as("run/openkd/good.sock");
	mute = listen_as("run/openkd/mute.sock"); /* never says a word */
	close(listen_as("run/openkd/dead.sock"));
	close(listen_as("run/openkd/kdmon.sock"));
	pthread_create(&thread, NULL, answer, &good);
	start = kd_now_ns();
	assert_status(KD_OK, kd__sessions_ask(kd_deadline_after_ms(200), &found, &n, &err));
	assert_true(kd_now_ns() - start < UINT64_C(1000000000));
	assert_int_equal(n, 1);
	assert_string_equal(found[0].path, io_path("run/openkd/good.sock"));
	assert_string_equal(found[0].state.endpoint, "unix:/y");
	assert_true(found[0].state.has_status);
	free(found);
	pthread_join(thread, NULL);
	assert_status(KD_E_TIMEOUT, kd__session_break_in(io_path("run/openkd/mute.sock"),
							 kd_deadline_after_ms(100), &err));
	assert_status(KD_E_CLOSED, kd__session_break_in(io_path("run/openkd/dead.sock"),
							kd_deadline_after_ms(100), &err));
	close(good);
	close(mute);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_sockets),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
