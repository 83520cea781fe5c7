/* SPDX-License-Identifier: MIT */
/* Connections that end and begin again: VMs that restart, cables that are pulled. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/link/link.h"
#include "tests/io/io_check.h"

static struct kd_error err;
static uint8_t buf[64];

static void expect(struct kd_transport *t, int peer, const char *text)
{
	assert_int_equal(write(peer, text, strlen(text)), strlen(text));
	io_read_all(t, buf, strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

static void test_server_restarts(void **state)
{
	int listener = io_unix_listen(io_path("vm"));
	struct kd_transport *t = io_open(io_text("unix:%s,reconnect", io_path("vm")));
	const struct kd_transport_info *info = kd_transport_info(t);
	int peer = io_accept(listener);
	char text[300];
	uint64_t start;
	size_t n;

	(void)state;
	assert_true(info->is_up && info->is_reconnecting && info->is_vm_socket);
	assert_int_equal(info->generation, 1);
	expect(t, peer, "one");

	/* Its end is told once; then it is only not there. */
	assert_int_equal(write(peer, "x", 1), 1);
	close(peer);
	close(listener);
	io_read_all(t, buf, 1);
	assert_status(KD_E_CLOSED, io_read_to_end(t, &err));
	assert_false(info->is_up);
	assert_status(KD_E_AGAIN, kd_transport_read(t, buf, sizeof buf, &n, &err));
	assert_status(KD_E_AGAIN, kd_transport_write(t, buf, 1, &n, &err));

	/* While nobody listens, the description says what is in the way. */
	start = kd_now_ns();
	while (kd_now_ns() - start < 250 * (uint64_t)KD_NS_PER_MS) {
		assert_status(KD_E_AGAIN, kd_transport_read(t, buf, sizeof buf, &n, &err));
		kd_transport_wait(t, kd_deadline_after_ms(50), NULL, NULL);
	}
	kd_transport_describe(t, text, sizeof text);
	assert_non_null(strstr(text, "nobody listens"));
	assert_non_null(strstr(text, "trying to connect"));

	listener = io_unix_listen(io_path("vm"));
	io_until_up(t, true);
	peer = io_accept(listener);
	assert_int_equal(info->generation, 2);
	expect(t, peer, "two");
	assert_int_equal(info->rx_bytes, 7);
	kd_transport_destroy(t);
	close(peer);
	close(listener);
}

/* Attempts become rarer, and cost nothing between them. */
static void test_pauses(void **state)
{
	struct kd_open_options options = { .may_be_absent = true };
	struct kd_transport *t = NULL;
	uint64_t start = kd_now_ns();
	unsigned n_waits = 0;
	size_t n;

	(void)state;
	assert_status(KD_OK, kd_transport_open_text(io_text("unix:%s,reconnect", io_path("never")),
						    &options, &t, &err));
	assert_false(kd_transport_info(t)->is_up);
	assert_int_equal(kd_transport_info(t)->generation, 0);
	while (kd_now_ns() - start < 1500 * (uint64_t)KD_NS_PER_MS) {
		struct kd_poll p;

		assert_status(KD_E_AGAIN, kd_transport_read(t, buf, sizeof buf, &n, &err));
		kd_transport_poll(t, &p);
		assert_false(p.is_ready);
		assert_true(p.deadline != KD_TIME_NEVER);
		assert_true(p.deadline < kd_now_ns() + 1001 * (uint64_t)KD_NS_PER_MS);
		kd_transport_wait(t, kd_deadline_after_ms(1000), NULL, NULL);
		n_waits++;
	}
	/* 100 + 200 + 400 + 800 ms */
	assert_in_range(n_waits, 3, 6);
	kd_transport_destroy(t);
}

static void test_absence(void **state)
{
	struct kd_open_options options = { .may_be_absent = true };
	struct kd_transport *t = NULL;
	char text[300];
	int listener, peer;

	(void)state;
	/* Without leave, and without `reconnect`, it is an error. */
	assert_status(KD_E_NOT_FOUND,
		      kd_transport_open_text(io_text("unix:%s,reconnect", io_path("late")), NULL,
					     &t, &err));
	assert_status(KD_E_NOT_FOUND, kd_transport_open_text(io_text("unix:%s", io_path("late")),
							     &options, &t, &err));
	assert_status(KD_OK, kd_transport_open_text(io_text("unix:%s,reconnect", io_path("late")),
						    &options, &t, &err));
	kd_transport_describe(t, text, sizeof text);
	assert_non_null(strstr(text, "there is no such socket"));
	listener = io_unix_listen(io_path("late"));
	io_until_up(t, true);
	peer = io_accept(listener);
	expect(t, peer, "hello");
	kd_transport_describe(t, text, sizeof text);
	assert_non_null(strstr(text, "(connected)"));
	kd_transport_destroy(t);
	close(peer);
	close(listener);
}

static void test_tcp_server_restarts(void **state)
{
	struct kd_transport *server = io_open("tcp-listen:127.0.0.1:0,reconnect");
	const char *port = strrchr(server->name, ':');
	struct kd_transport *client = io_open(io_text("tcp:127.0.0.1%s,reconnect", port));

	(void)state;
	io_until_up(server, true);
	/* Both ends find each other again after one of them hung up. */
	for (uint32_t turn = 2; turn < 5; turn++) {
		struct kd_poll p;

		kd_transport_poll(turn % 2 ? server : client, &p);
		assert_int_equal(shutdown(p.fd, SHUT_RDWR), 0);
		assert_status(KD_E_CLOSED, io_read_to_end(server, &err));
		assert_status(KD_E_CLOSED, io_read_to_end(client, &err));
		io_until_up(client, true);
		io_until_up(server, true);
		assert_int_equal(kd_transport_info(client)->generation, turn);
		assert_int_equal(kd_transport_info(server)->generation, turn);
		io_write_all(client, (const uint8_t *)"ping", 4);
		io_read_all(server, buf, 4);
		assert_memory_equal(buf, "ping", 4);
	}
	kd_transport_destroy(client);
	kd_transport_destroy(server);
}

static void test_listener_serves_one_after_the_other(void **state)
{
	struct kd_transport *server = io_open(io_text("unix-listen:%s,reconnect", io_path("l")));
	struct kd_open_options no_lock = { .no_lock = true };
	struct kd_transport *a, *b;

	(void)state;
	a = io_open(io_text("unix:%s", io_path("l")));
	io_until_up(server, true);
	/* The second one waits in the queue... */
	assert_status(KD_OK,
		      kd_transport_open_text(io_text("unix:%s", io_path("l")), &no_lock, &b, &err));
	io_write_all(b, (const uint8_t *)"bbb", 3);
	io_write_all(a, (const uint8_t *)"aaa", 3);
	io_read_all(server, buf, 3);
	assert_memory_equal(buf, "aaa", 3);
	/* ...until the first one is gone. */
	kd_transport_destroy(a);
	assert_status(KD_E_CLOSED, io_read_to_end(server, &err));
	io_until_up(server, true);
	io_read_all(server, buf, 3);
	assert_memory_equal(buf, "bbb", 3);
	assert_int_equal(kd_transport_info(server)->generation, 2);
	kd_transport_destroy(b);
	kd_transport_destroy(server);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_restarts),
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_absence),
		cmocka_unit_test(test_tcp_server_restarts),
		cmocka_unit_test(test_listener_serves_one_after_the_other),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
