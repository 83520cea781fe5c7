/* SPDX-License-Identifier: MIT */
/* The QMP client: against a scripted monitor that misbehaves, and against QEMU itself. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/link/link.h"
#include "lib/vm/qmp_message.h"
#include "tests/vm/vm_check.h"

static struct kd_error err;

static uint64_t soon(void)
{
	return kd_deadline_after_ms(LIMIT_MS);
}

static struct kd_qmp *open_monitor(const char *path)
{
	struct kd_qmp *q = NULL;

	assert_status(KD_OK, kd_qmp_open(path, soon(), NULL, &q, &err));
	return q;
}

/* --- messages --- */

static enum kd_status first_message(const char *text, struct kd__qmp_message *m)
{
	struct kd__qmp_reader r = { 0 };
	enum kd_status s = kd__qmp_feed(&r, text, strlen(text), &err);

	if (s == KD_OK)
		s = kd__qmp_next(&r, m, &err);
	kd__qmp_reader_deinit(&r);
	return s;
}

static void test_message_kinds(void **state)
{
	struct kd__qmp_message m;

	(void)state;
	assert_status(KD_OK, first_message(MONITOR_GREETING, &m));
	assert_int_equal(m.kind, KD__QMP_GREETING);
	kd__qmp_message_deinit(&m);
	assert_status(KD_OK, first_message("\r\n\n{\"return\": [1], \"id\": \"a\"}\r\n", &m));
	assert_int_equal(m.kind, KD__QMP_RETURN);
	assert_string_equal(m.id, "a");
	assert_true(json_is_array(m.value));
	kd__qmp_message_deinit(&m);
	assert_status(KD_OK,
		      first_message("{\"error\": {\"class\": \"C\", \"desc\": \"d\"}}\n", &m));
	assert_int_equal(m.kind, KD__QMP_ERROR);
	assert_string_equal(m.name, "C");
	assert_string_equal(m.text, "d");
	assert_null(m.id);
	kd__qmp_message_deinit(&m);
	assert_status(KD_OK, first_message("{\"timestamp\": {\"seconds\": 2, \"microseconds\": 3}, "
					   "\"event\": \"STOP\"}\n",
					   &m));
	assert_int_equal(m.kind, KD__QMP_EVENT);
	assert_int_equal(m.time_us, 2000003);
	kd__qmp_message_deinit(&m);
}

static void test_what_is_no_message(void **state)
{
	static const struct {
		const char *text, *says;
		enum kd_status status;
	} rows[] = {
		{ "{\"return\": {}", "", KD_E_AGAIN },
		{ "hello\n", "hello", KD_E_MALFORMED },
		{ "QEMU 7.2.22 monitor - type 'help' for more information\r\n", "add -qmp",
		  KD_E_MALFORMED },
		{ "{\r\n", "-qmp-pretty", KD_E_MALFORMED },
		{ "[]\n", "not a message", KD_E_MALFORMED },
		{ "{}\n", "not a message", KD_E_MALFORMED },
		{ "{\"event\": 1}\n", "not a message", KD_E_MALFORMED },
		{ "{\"event\": \"X\", \"data\": 3}\n", "not a message", KD_E_MALFORMED },
		{ "{\"error\": \"x\"}\n", "not a message", KD_E_MALFORMED },
		{ "{\"error\": {\"class\": \"C\"}}\n", "not a message", KD_E_MALFORMED },
		{ "{\"QMP\": 7}\n", "not a message", KD_E_MALFORMED },
		{ "{\"id\": \"1\", \"id\": \"2\", \"return\": 1}\n", "duplicate", KD_E_MALFORMED },
		{ "\x1B[2Jevil\n", "?[2Jevil", KD_E_MALFORMED },
		{ "{\"return\": 1e999}\n", "", KD_E_MALFORMED },
		{ "{\"return\": 1}\x1D\n", "near '?'", KD_E_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		struct kd__qmp_message m;

		memset(&err, 0, sizeof err);
		assert_status(rows[i].status, first_message(rows[i].text, &m));
		assert_says(rows[i].says);
	}
}

static void test_nesting_and_length_are_bounded(void **state)
{
	size_t size = KD_QMP_LINE_MAX + 2;
	char *text = malloc(size + 1);
	struct kd__qmp_message m;

	(void)state;
	assert_non_null(text);
	memset(text, '[', size);
	text[size] = '\0';
	assert_status(KD_E_TOO_BIG, first_message(text, &m));
	/* A line that is long enough to be refused is refused with or without its end. */
	text[size - 1] = '\n';
	assert_status(KD_E_TOO_BIG, first_message(text, &m));
	text[KD_QMP_LINE_MAX] = '\n';
	assert_status(KD_E_MALFORMED, first_message(text, &m));
	free(text);
}

/* However the stream is cut, the same messages come out. */
static void test_cuts(void **state)
{
	static const char stream[] = MONITOR_GREETING "{\"event\": \"A\"}\r\n\r\n{\"return\": 1, "
						      "\"id\": \"kd-1\"}\r\n{\"event\": \"B\"}\n";
	static const char kinds[] = "GERE";

	(void)state;
	for (size_t step = 1; step < sizeof stream; step++) {
		struct kd__qmp_reader r = { 0 };
		char got[8] = "";
		size_t n = 0;

		for (size_t at = 0; at < sizeof stream - 1; at += step) {
			struct kd__qmp_message m;

			assert_status(KD_OK,
				      kd__qmp_feed(&r, stream + at,
						   KD_MIN(step, sizeof stream - 1 - at), &err));
			while (kd__qmp_next(&r, &m, &err) == KD_OK) {
				assert_true(n < 4);
				got[n++] = "GRXE"[m.kind];
				kd__qmp_message_deinit(&m);
			}
		}
		assert_int_equal(n, 4);
		assert_memory_equal(got, kinds, 4);
		kd__qmp_reader_deinit(&r);
	}
}

/* --- conversations --- */

static void test_commands_and_events(void **state)
{
	static const struct monitor_step steps[] = {
		MONITOR_HELLO,
		{ "\"execute\":\"query-name\"",
		  "{\"event\": \"STOP\", \"data\": {\"a\": 1}}\r\n"
		  "{\"return\": \"not this\", \"id\": \"other\"}\r\n{\"event\": \"RESUME\"}\r\n"
		  "{\"return\": {\"name\": \"vm\"}, \"id\": \"$ID\"}\r\n",
		  NULL },
		{ "\"arguments\":{\"path\":\"/x\"}",
		  "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"no /x\"}, "
		  "\"id\": \"$ID\"}\r\n",
		  NULL },
		{ "frob", "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"?\"}}\r\n",
		  NULL },
		{ "info x", "{\"return\": \"line\\r\\n\", \"id\": \"$ID\"}\r\n", NULL },
		{ "info y", "{\"return\": 5, \"id\": \"$ID\"}\r\n", NULL },
	};
	struct kd_qmp *q = open_monitor(MONITOR_START(steps));
	struct kd_qmp_event e;
	json_t *value;
	char *text;

	(void)state;
	assert_string_equal(kd_qmp_version(q), "7.2.22");
	assert_int_equal(kd_qmp_peer(q).pid, getpid());
	assert_status(KD_OK, kd_qmp_execute(q, "query-name", NULL, soon(), NULL, &value, &err));
	assert_string_equal(json_string_value(json_object_get(value, "name")), "vm");
	json_decref(value);
	assert_status(KD_OK, kd_qmp_next_event(q, 0, NULL, &e, &err));
	assert_string_equal(e.name, "STOP");
	assert_int_equal(json_integer_value(json_object_get(e.data, "a")), 1);
	kd_qmp_event_deinit(&e);
	assert_status(KD_OK, kd_qmp_next_event(q, 0, NULL, &e, &err));
	assert_string_equal(e.name, "RESUME");
	assert_null(e.data);
	kd_qmp_event_deinit(&e);
	assert_status(KD_E_TIMEOUT, kd_qmp_next_event(q, 0, NULL, &e, &err));

	assert_status(KD_E_NOT_FOUND, kd_qmp_execute(q, "qom-get", json_pack("{s:s}", "path", "/x"),
						     soon(), NULL, &value, &err));
	assert_says("no /x");
	assert_null(value);
	assert_status(KD_E_UNSUPPORTED, kd_qmp_execute(q, "frob", NULL, soon(), NULL, NULL, &err));
	assert_status(KD_OK, kd_qmp_monitor_command(q, "info x", soon(), NULL, &text, &err));
	assert_string_equal(text, "line\r\n");
	free(text);
	assert_status(KD_E_MALFORMED,
		      kd_qmp_monitor_command(q, "info y", soon(), NULL, &text, &err));
	assert_null(text);

	/* The script is over: it hung up, and that stays so. */
	for (int i = 0; i < 2; i++) {
		assert_status(KD_E_CLOSED,
			      kd_qmp_execute(q, "stop", json_object(), soon(), NULL, NULL, &err));
		assert_says("the VM ended");
	}
	assert_status(KD_E_CLOSED, kd_qmp_next_event(q, soon(), NULL, &e, &err));
	kd_qmp_close(q);
	assert_int_equal(monitor_stop(), 0);
}

static void test_late_answers_are_thrown_away(void **state)
{
	static const struct monitor_step steps[] = {
		MONITOR_HELLO,
		{ "slow", NULL, NULL },
		{ "quick",
		  "{\"return\": \"slow's\", \"id\": \"kd-2\"}\r\n"
		  "{\"return\": \"quick's\", \"id\": \"$ID\"}\r\n",
		  NULL },
	};
	struct kd_qmp *q = open_monitor(MONITOR_START(steps));
	json_t *value;

	(void)state;
	assert_status(KD_E_TIMEOUT, kd_qmp_execute(q, "slow", NULL, kd_deadline_after_ms(20), NULL,
						   &value, &err));
	assert_says("slow");
	assert_status(KD_OK, kd_qmp_execute(q, "quick", NULL, soon(), NULL, &value, &err));
	assert_string_equal(json_string_value(value), "quick's");
	json_decref(value);
	kd_qmp_close(q);
	assert_int_equal(monitor_stop(), 0);
}

static void many_events(int fd)
{
	for (int i = 0; i < KD_QMP_EVENTS_MAX + 10; i++) {
		char line[64];
		int n = snprintf(line, sizeof line, "{\"event\": \"E%d\"}\n", i);

		send(fd, line, (size_t)n, MSG_NOSIGNAL);
	}
	send(fd, "{\"return\": 1, \"id\": \"kd-2\"}\n", 29, MSG_NOSIGNAL);
}

static void test_events_are_bounded(void **state)
{
	static const struct monitor_step steps[] = { MONITOR_HELLO, { "x", NULL, many_events } };
	struct kd_qmp *q = open_monitor(MONITOR_START(steps));
	struct kd_qmp_event e;

	(void)state;
	assert_status(KD_OK, kd_qmp_execute(q, "x", NULL, soon(), NULL, NULL, &err));
	assert_int_equal(kd_qmp_n_lost_events(q), 10);
	for (int i = 0; i < KD_QMP_EVENTS_MAX; i++) {
		assert_status(KD_OK, kd_qmp_next_event(q, 0, NULL, &e, &err));
		assert_string_equal(e.name, io_text("E%d", i + 10));
		kd_qmp_event_deinit(&e);
	}
	assert_status(KD_E_CLOSED, kd_qmp_next_event(q, soon(), NULL, &e, &err));
	kd_qmp_close(q);
	assert_int_equal(monitor_stop(), 0);
}

static void talk_for_ever(int fd)
{
	static const char line[] = "{\"return\": 0, \"id\": \"nobody's\"}\n";

	while (send(fd, line, sizeof line - 1, MSG_NOSIGNAL) > 0)
		;
}

/* Somebody who never stops talking can't keep us beyond the deadline. */
static void test_flood_ends_at_the_deadline(void **state)
{
	static const struct monitor_step steps[] = { MONITOR_HELLO, { "x", NULL, talk_for_ever } };
	struct kd_qmp *q = open_monitor(MONITOR_START(steps));
	uint64_t start = kd_now_ns();

	(void)state;
	assert_status(KD_E_TIMEOUT,
		      kd_qmp_execute(q, "x", NULL, kd_deadline_after_ms(100), NULL, NULL, &err));
	assert_in_range(kd_now_ns() - start, 90 * KD_NS_PER_MS, 3000 * (uint64_t)KD_NS_PER_MS);
	kd_qmp_close(q);
	monitor_stop();
}

static void stay_silent(int fd)
{
	char byte;

	while (recv(fd, &byte, 1, 0) == 1)
		;
}

static enum kd_status execute_for_ever(void *context)
{
	void **c = context;

	return kd_qmp_execute(c[0], "x", NULL, KD_TIME_NEVER, c[1], NULL, &err);
}

static void test_cancel(void **state)
{
	static const struct monitor_step steps[] = { MONITOR_HELLO, { NULL, NULL, stay_silent } };
	struct kd_qmp *q = open_monitor(MONITOR_START(steps));
	struct kd_cancel cancel;
	void *context[2] = { q, &cancel };

	(void)state;
	assert_status(KD_OK, kd_cancel_init(&cancel, &err));
	io_assert_cancel_is_quick(&cancel, execute_for_ever, context);
	kd_cancel_deinit(&cancel);
	kd_qmp_close(q);
	assert_int_equal(monitor_stop(), 0);
}

static void test_unread_commands_are_bounded(void **state)
{
	int listener = io_unix_listen(io_path("deaf.sock"));
	struct kd_qmp *q = NULL;
	char *big = malloc(512 << 10);
	enum kd_status s = KD_OK;
	pid_t deaf;

	(void)state;
	assert_non_null(big);
	memset(big, 'x', 512 << 10);
	big[(512 << 10) - 1] = '\0';
	/* Everything it has to say is said at once; then it never reads again. */
	deaf = fork();
	if (deaf == 0) {
		static const char hello[] = MONITOR_GREETING "{\"return\": {}, \"id\": \"kd-1\"}\n";

		alarm(20);
		send(io_accept(listener), hello, sizeof hello - 1, MSG_NOSIGNAL);
		pause();
		_exit(0);
	}
	close(listener);
	q = open_monitor(io_path("deaf.sock"));
	for (int i = 0; i < 8 && s != KD_E_FULL; i++) {
		s = kd_qmp_execute(q, "x", json_pack("{s:s}", "a", big), kd_deadline_after_ms(20),
				   NULL, NULL, &err);
		assert_true(s == KD_E_TIMEOUT || s == KD_E_FULL);
	}
	assert_int_equal(s, KD_E_FULL);
	kill(deaf, SIGKILL);
	waitpid(deaf, NULL, 0);
	kd_qmp_close(q);
	free(big);
}

/* --- opening --- */

static void test_no_monitor_there(void **state)
{
	static const char long_path[] =
		"/tmp/"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	static const struct monitor_step human[] = {
		{ NULL, "QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ", NULL },
	};
	static const struct monitor_step rude[] = { { NULL, "{\"return\": {}}\r\n", NULL } };
	struct kd_qmp *q = NULL;
	int fd;

	(void)state;
	assert_status(KD_E_NOT_FOUND, kd_qmp_open(io_path("none"), soon(), NULL, &q, &err));
	assert_says("-qmp unix:");
	assert_status(KD_E_TOO_BIG, kd_qmp_open(long_path, soon(), NULL, &q, &err));
	fd = io_unix_listen(io_path("left"));
	close(fd);
	assert_status(KD_E_CLOSED, kd_qmp_open(io_path("left"), soon(), NULL, &q, &err));
	assert_says("not running");
	assert_status(KD_E_MALFORMED, kd_qmp_open(MONITOR_START(human), soon(), NULL, &q, &err));
	assert_says("add -qmp");
	monitor_stop();
	assert_status(KD_E_MALFORMED, kd_qmp_open(MONITOR_START(rude), soon(), NULL, &q, &err));
	assert_says("greeting");
	monitor_stop();
	assert_null(q);
}

/* Without a place in the queue, and with one but no greeting: the same words. */
static void test_busy_monitor(void **state)
{
	int listener = io_unix_listen(io_path("busy")), waiting[16];
	struct kd_qmp *q = NULL;
	size_t n = 0;

	(void)state;
	for (int round = 0; round < 2; round++) {
		uint64_t start = kd_now_ns();

		assert_status(KD_E_TIMEOUT, kd_qmp_open(io_path("busy"), kd_deadline_after_ms(60),
							NULL, &q, &err));
		assert_says("another client");
		assert_says("-qmp unix:PATH,server=on,wait=off");
		assert_true(kd_now_ns() - start >= 60 * (uint64_t)KD_NS_PER_MS);
		/* The queue of io_unix_listen() has 8 places. */
		for (; round == 0 && n < KD_ARRAY_LEN(waiting); n++) {
			struct sockaddr_un a = { .sun_family = AF_UNIX };

			waiting[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
			strcpy(a.sun_path, io_path("busy"));
			if (connect(waiting[n], (struct sockaddr *)&a, sizeof a) != 0)
				assert_int_equal(errno, EAGAIN);
		}
	}
	while (n)
		close(waiting[--n]);
	close(listener);
}

/* --- QEMU --- */

static void test_real_monitor(void **state)
{
	struct kd_qmp *second = NULL;
	struct kd_qmp_event e;
	json_t *value;
	struct vm vm;
	char *text;

	(void)state;
	NEED_QEMU();
	vm = VM_START("-name", "guest=real,debug-threads=on");
	assert_int_equal(kd_qmp_peer(vm.qmp).pid, vm.child.pid);
	assert_int_equal(kd_qmp_peer(vm.qmp).uid, getuid());
	assert_true(kd_qmp_version(vm.qmp)[0] >= '4');
	assert_status(KD_OK,
		      kd_qmp_execute(vm.qmp, "query-name", NULL, soon(), NULL, &value, &err));
	assert_string_equal(json_string_value(json_object_get(value, "name")), "real");
	json_decref(value);
	assert_status(KD_OK,
		      kd_qmp_monitor_command(vm.qmp, "info status", soon(), NULL, &text, &err));
	assert_non_null(strstr(text, "prelaunch"));
	free(text);
	assert_status(KD_E_UNSUPPORTED,
		      kd_qmp_execute(vm.qmp, "no-such-command", NULL, soon(), NULL, NULL, &err));
	assert_status(KD_E_TIMEOUT,
		      kd_qmp_open(vm.qmp_path, kd_deadline_after_ms(150), NULL, &second, &err));
	assert_says("another client");

	assert_status(KD_OK, kd_qmp_execute(vm.qmp, "cont", NULL, soon(), NULL, NULL, &err));
	for (bool resumed = false; !resumed;) {
		assert_status(KD_OK, kd_qmp_next_event(vm.qmp, soon(), NULL, &e, &err));
		resumed = strcmp(e.name, "RESUME") == 0;
		assert_true(e.time_us > 0);
		kd_qmp_event_deinit(&e);
	}
	kill(vm.child.pid, SIGKILL);
	while (kd_qmp_next_event(vm.qmp, soon(), NULL, &e, &err) == KD_OK)
		kd_qmp_event_deinit(&e);
	assert_int_equal(err.status, KD_E_CLOSED);
	vm_stop(&vm);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_kinds),
		cmocka_unit_test(test_what_is_no_message),
		cmocka_unit_test(test_nesting_and_length_are_bounded),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_commands_and_events),
		cmocka_unit_test(test_late_answers_are_thrown_away),
		cmocka_unit_test(test_events_are_bounded),
		cmocka_unit_test(test_flood_ends_at_the_deadline),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_unread_commands_are_bounded),
		cmocka_unit_test(test_no_monitor_there),
		cmocka_unit_test(test_busy_monitor),
		cmocka_unit_test(test_real_monitor),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
