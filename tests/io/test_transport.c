/* SPDX-License-Identifier: MIT */
/* Unix and TCP transports with real peers, good and bad ones. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/link/link.h"
#include "tests/io/io_check.h"

enum { BIG = 3 * 1024 * 1024 };

static struct kd_error err;
static uint8_t sent[BIG], got[BIG];

static double ms_since(uint64_t start)
{
	return (double)(kd_now_ns() - start) / 1e6;
}

/* Small kernel buffers, so that they really fill up. */
static void make_narrow(struct kd_transport *t)
{
	const int size = 16384;
	struct kd_poll p;

	kd_transport_poll(t, &p);
	assert_int_equal(setsockopt(p.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

/* Both directions at once, more than the kernel buffers: partial writes, partial reads. */
static void exchange_big(struct kd_transport *a, struct kd_transport *b)
{
	struct {
		struct kd_transport *from, *to;
		size_t written, read;
		unsigned seed, n_partial;
	} lane[2] = { { a, b, 0, 0, 1, 0 }, { b, a, 0, 0, 2, 0 } };
	uint64_t deadline = kd_deadline_after_ms(20000);
	static uint8_t in[2][BIG], out[2][BIG];

	make_narrow(a);
	make_narrow(b);
	io_pattern(out[0], BIG, 1);
	io_pattern(out[1], BIG, 2);
	while (lane[0].read < BIG || lane[1].read < BIG) {
		assert_true(kd_now_ns() < deadline);
		for (int i = 0; i < 2; i++) {
			size_t n;

			/* Reads fall behind, so that writers find no room. */
			if (lane[i].written < BIG) {
				enum kd_status s = kd_transport_write(
					lane[i].from, out[i] + lane[i].written,
					BIG - lane[i].written, &n, &err);

				assert_true(s == KD_OK || s == KD_E_AGAIN);
				if (s == KD_OK) {
					lane[i].n_partial += n < BIG - lane[i].written;
					lane[i].written += n;
				} else {
					struct kd_poll p;

					kd_transport_poll(lane[i].from, &p);
					assert_true(p.want_write);
				}
			}
			if (kd_transport_read(lane[i].to, in[i] + lane[i].read, BIG - lane[i].read,
					      &n, &err) == KD_OK)
				lane[i].read += n;
		}
	}
	assert_memory_equal(in[0], out[0], BIG);
	assert_memory_equal(in[1], out[1], BIG);
	assert_true(lane[0].n_partial > 0);
	assert_int_equal(kd_transport_info(a)->tx_bytes, BIG);
	assert_int_equal(kd_transport_info(a)->rx_bytes, BIG);
}

static void test_unix_pair(void **state)
{
	struct kd_transport *server = io_open(io_text("unix-listen:%s", io_path("pair")));
	struct kd_transport *client = io_open(io_text("unix:%s", io_path("pair")));
	struct stat st;

	(void)state;
	assert_int_equal(stat(io_path("pair"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(kd_transport_info(client)->is_up);
	assert_true(kd_transport_info(client)->is_vm_socket);
	assert_false(kd_transport_info(server)->is_up);
	assert_true(kd_transport_info(server)->is_listening);
	io_until_up(server, true);
	assert_int_equal(kd_transport_info(server)->generation, 1);
	exchange_big(client, server);

	/* The end of the stream comes after the bytes, and stays. */
	io_write_all(client, (const uint8_t *)"bye", 3);
	kd_transport_destroy(client);
	io_read_all(server, got, 3);
	assert_memory_equal(got, "bye", 3);
	assert_status(KD_E_CLOSED, io_read_to_end(server, &err));
	assert_says("closed the connection");
	assert_says("pair");
	assert_false(kd_transport_info(server)->is_up);
	assert_status(KD_E_CLOSED, io_read_to_end(server, &err));
	kd_transport_destroy(server);
	assert_int_equal(access(io_path("pair"), F_OK), -1);
}

static void test_tcp_pair(void **state)
{
	struct kd_transport *server = io_open("tcp-listen:127.0.0.1:0");
	struct kd_transport *client;
	int value = 0;
	socklen_t size = sizeof value;
	struct kd_poll p;

	(void)state;
	/* The system chose the port: the name says which. */
	assert_null(strstr(server->name, ":0"));
	client = io_open(io_text("tcp:%s", server->name + strlen("tcp-listen:")));
	io_until_up(server, true);
	kd_transport_poll(client, &p);
	assert_int_equal(getsockopt(p.fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
	assert_true(value);
	kd_transport_poll(server, &p);
	assert_int_equal(getsockopt(p.fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
	assert_true(value);
	exchange_big(client, server);
	kd_transport_destroy(server);
	assert_status(KD_E_CLOSED, io_read_to_end(client, &err));
	kd_transport_destroy(client);
}

static void test_tcp_names_and_families(void **state)
{
	struct kd_transport *server = io_open("tcp-listen:localhost:0");
	const char *port = strrchr(server->name, ':');
	struct kd_transport *client = NULL;

	(void)state;
	/* localhost may be ::1 first, where nobody listens: the next address is tried. */
	client = io_open(io_text("tcp:localhost%s", port));
	assert_true(kd_transport_info(client)->is_up);
	kd_transport_destroy(client);
	kd_transport_destroy(server);
	assert_status(KD_E_NOT_FOUND,
		      kd_transport_open_text("tcp:no-such-host.invalid:1", NULL, &client, &err));
	assert_says("no-such-host.invalid");
}

static void test_nobody_there(void **state)
{
	struct kd_transport *t = NULL;
	int fd;

	(void)state;
	assert_status(KD_E_NOT_FOUND,
		      kd_transport_open_text(io_text("unix:%s", io_path("none")), NULL, &t, &err));
	assert_says("start the VM");
	fd = io_unix_listen(io_path("stale"));
	close(fd);
	assert_status(KD_E_CLOSED,
		      kd_transport_open_text(io_text("unix:%s", io_path("stale")), NULL, &t, &err));
	assert_says("nobody listens");
	io_write_file(io_path("file"), "x", 1);
	assert_status(KD_E_CLOSED,
		      kd_transport_open_text(io_text("unix:%s", io_path("file")), NULL, &t, &err));
	assert_status(KD_E_CLOSED, kd_transport_open_text("tcp:127.0.0.1:1", NULL, &t, &err));
	assert_says("nobody listens");
	assert_null(t);
}

static void test_listen_where_somebody_is(void **state)
{
	struct kd_transport *t = NULL, *first;
	int fd = io_unix_listen(io_path("taken"));

	(void)state;
	assert_status(KD_E_EXISTS,
		      kd_transport_open_text(io_text("unix-listen:%s", io_path("taken")), NULL, &t,
					     &err));
	assert_says("another process listens");
	close(fd);
	/* What a killed process left behind is replaced. */
	first = io_open(io_text("unix-listen:%s", io_path("taken")));
	kd_transport_destroy(first);
	/* A file that is no socket is not. */
	io_write_file(io_path("note"), "x", 1);
	assert_status(
		KD_E_EXISTS,
		kd_transport_open_text(io_text("unix-listen:%s", io_path("note")), NULL, &t, &err));
	assert_int_equal(access(io_path("note"), F_OK), 0);
	assert_status(
		KD_E_NOT_FOUND,
		kd_transport_open_text(io_text("unix-listen:%s", io_path("no/x")), NULL, &t, &err));
	first = io_open("tcp-listen:127.0.0.1:0");
	assert_status(KD_E_EXISTS, kd_transport_open_text(first->name, NULL, &t, &err));
	assert_says("taken by another process");
	kd_transport_destroy(first);
}

/* A port whose queue is full: connections neither succeed nor fail. */
static uint16_t deaf_port(int *fds, size_t n)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof a;

	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fds[0], (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fds[0], 0), 0);
	assert_int_equal(getsockname(fds[0], (struct sockaddr *)&a, &size), 0);
	for (size_t i = 1; i < n; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(fds[i], (struct sockaddr *)&a, sizeof a);
	}
	return ntohs(a.sin_port);
}

struct opening {
	const char *endpoint;
	struct kd_open_options options;
};

static enum kd_status open_it(void *context)
{
	const struct opening *o = context;
	struct kd_transport *t = NULL;

	return kd_transport_open_text(o->endpoint, &o->options, &t, &err);
}

static void test_silent_host(void **state)
{
	struct opening o = { .options.connect_timeout_ms = 150 };
	struct kd_cancel cancel;
	uint64_t start;
	int fds[5];

	(void)state;
	o.endpoint = io_text("tcp:127.0.0.1:%u", deaf_port(fds, 5));
	start = kd_now_ns();
	assert_status(KD_E_TIMEOUT, open_it(&o));
	assert_true(ms_since(start) >= 150 && ms_since(start) < 150 + LATE_MS);
	assert_says("127.0.0.1");

	assert_status(KD_OK, kd_cancel_init(&cancel, &err));
	o.options = (struct kd_open_options){ .cancel = &cancel };
	io_assert_cancel_is_quick(&cancel, open_it, &o);
	kd_cancel_deinit(&cancel);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
}

static struct kd_cancel silent_cancel;

static enum kd_status wait_for_transport(void *t)
{
	return kd_transport_wait(t, KD_TIME_NEVER, &silent_cancel, &err);
}

static void test_silent_peer(void **state)
{
	int listener = io_unix_listen(io_path("silent"));
	struct kd_transport *t = io_open(io_text("unix:%s", io_path("silent")));
	uint64_t start = kd_now_ns();
	size_t n;

	(void)state;
	assert_status(KD_E_AGAIN, kd_transport_read(t, got, sizeof got, &n, &err));
	assert_status(KD_E_TIMEOUT, kd_transport_wait(t, kd_deadline_after_ms(30), NULL, &err));
	assert_true(ms_since(start) >= 30 && ms_since(start) < 30 + LATE_MS);
	assert_status(KD_OK, kd_cancel_init(&silent_cancel, &err));
	io_assert_cancel_is_quick(&silent_cancel, wait_for_transport, t);
	kd_cancel_deinit(&silent_cancel);
	kd_transport_destroy(t);
	close(listener);
}

/* A peer that dies leaves its last words, and a way to go on without SIGPIPE. */
static void test_killed_peer(void **state)
{
	int listener = io_unix_listen(io_path("killed"));
	struct kd_transport *t = io_open(io_text("unix:%s", io_path("killed")));
	enum kd_status s = KD_OK;
	size_t n;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		int peer = io_accept(listener);

		if (write(peer, "last words", 10) != 10)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	close(listener);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* Writing fails... */
	for (int i = 0; i < 100 && s != KD_E_CLOSED; i++)
		s = kd_transport_write(t, sent, 4096, &n, &err);
	assert_status(KD_E_CLOSED, s);
	/* ...what was said can be read all the same... */
	io_read_all(t, got, 10);
	assert_memory_equal(got, "last words", 10);
	/* ...and then it is over. */
	assert_status(KD_E_CLOSED, io_read_to_end(t, &err));
	assert_status(KD_E_CLOSED, kd_transport_write(t, sent, 1, &n, &err));
	kd_transport_destroy(t);
}

/* A peer that closes its receiving half only: no end of the stream would ever come. */
static void test_half_closed_peer(void **state)
{
	struct kd_transport *t = NULL;
	int pair[2];
	size_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_status(KD_OK, kd_transport_fd_create(pair[0], "half", &t, &err));
	assert_int_equal(shutdown(pair[1], SHUT_RD), 0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_status(KD_E_CLOSED, kd_transport_write(t, sent, 1, &n, &err));
	io_read_all(t, got, 1);
	assert_status(KD_E_CLOSED, io_read_to_end(t, &err));
	kd_transport_destroy(t);
	close(pair[1]);
}

static void test_fd(void **state)
{
	struct kd_transport *t = NULL;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_status(KD_OK, kd_transport_fd_create(pipes[0], "a pipe", &t, &err));
	assert_int_equal(write(pipes[1], "abc", 3), 3);
	io_read_all(t, got, 3);
	close(pipes[1]);
	assert_status(KD_E_CLOSED, io_read_to_end(t, &err));
	assert_says("a pipe");
	kd_transport_destroy(t);
	assert_status(KD_E_IO, kd_transport_fd_create(999, "none", &t, &err));
	kd_transport_destroy(NULL);
}

static void test_describe(void **state)
{
	int listener = io_unix_listen(io_path("d"));
	struct kd_transport *t = io_open(io_text("unix:%s", io_path("d")));
	char text[256];
	int peer = io_accept(listener);

	(void)state;
	kd_transport_describe(t, text, sizeof text);
	assert_string_equal(text, io_text("unix:%s (connected)", io_path("d")));
	close(peer);
	assert_status(KD_E_CLOSED, io_read_to_end(t, &err));
	kd_transport_describe(t, text, sizeof text);
	assert_string_equal(text, io_text("unix:%s: the other side closed the connection (closed)",
					  io_path("d")));
	kd_transport_describe(t, text, 8);
	assert_int_equal(strlen(text), 7);
	kd_transport_destroy(t);
	close(listener);
	t = io_open(io_text("unix-listen:%s", io_path("w")));
	kd_transport_describe(t, text, sizeof text);
	assert_string_equal(text,
			    io_text("unix-listen:%s (waiting for a connection)", io_path("w")));
	kd_transport_destroy(t);
}

/* --- locks --- */

static void test_locked_by_another_process(void **state)
{
	int listener = io_unix_listen(io_path("vm.sock"));
	const char *endpoint = io_text("unix:%s", io_path("vm.sock"));
	struct kd_transport *t = NULL;
	struct kd_open_options no_lock = { .no_lock = true };
	int ready[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (kd_transport_open_text(endpoint, NULL, &t, NULL) != KD_OK ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_status(KD_E_EXISTS, kd_transport_open_text(endpoint, NULL, &t, &err));
	assert_says(io_text("in use by pid %d (test_transport)", (int)pid));
	/* Another way to write the same place. */
	assert_int_equal(symlink(io_path("vm.sock"), io_path("link.sock")), 0);
	assert_status(KD_E_EXISTS, kd_transport_open_text(io_text("unix:%s", io_path("link.sock")),
							  NULL, &t, &err));
	assert_status(KD_OK, kd_transport_open_text(endpoint, &no_lock, &t, &err));
	kd_transport_destroy(t);
	/* kill -9 frees it, whatever was left in the file. */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	t = io_open(endpoint);
	assert_status(KD_E_EXISTS, kd_transport_open_text(endpoint, NULL, &t, &err));
	assert_says("in use by this process");
	kd_transport_destroy(t);
	t = io_open(endpoint);
	kd_transport_destroy(t);
	assert_string_equal(io_shell(io_text("ls %s", io_path("openkd")), NULL), "");
	close(listener);
	close(ready[0]);
	close(ready[1]);
}

/* A failed open must not keep the lock. */
static void test_lock_of_a_failed_open(void **state)
{
	struct kd_transport *t = NULL;
	const char *endpoint = io_text("unix:%s", io_path("later"));
	int listener;

	(void)state;
	assert_status(KD_E_NOT_FOUND, kd_transport_open_text(endpoint, NULL, &t, &err));
	listener = io_unix_listen(io_path("later"));
	t = io_open(endpoint);
	kd_transport_destroy(t);
	close(listener);
}

/* Many want it, one at a time gets it. */
static void test_lock_race(void **state)
{
	enum { N = 8, ROUNDS = 60 };
	int listener = io_unix_listen(io_path("race"));
	const char *endpoint = io_text("unix:%s", io_path("race"));
	const char *flag = io_path("flag");
	pid_t pids[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] != 0)
			continue;
		for (int k = 0; k < ROUNDS; k++) {
			struct kd_transport *t;
			enum kd_status s = kd_transport_open_text(endpoint, NULL, &t, NULL);
			int fd;

			if (s != KD_OK) {
				if (s != KD_E_EXISTS)
					_exit(2);
				continue;
			}
			/* Whoever has it is alone. */
			fd = open(flag, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
			if (fd < 0)
				_exit(1);
			close(fd);
			usleep(200);
			unlink(flag);
			kd_transport_destroy(t);
		}
		_exit(0);
	}
	for (int i = 0, left = N; left > 0; i = (i + 1) % N) {
		int status, peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

		if (peer >= 0)
			close(peer);
		if (pids[i] && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
			assert_true(WIFEXITED(status));
			assert_int_equal(WEXITSTATUS(status), 0);
			pids[i] = 0;
			left--;
		}
	}
	close(listener);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unix_pair),
		cmocka_unit_test(test_tcp_pair),
		cmocka_unit_test(test_tcp_names_and_families),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_listen_where_somebody_is),
		cmocka_unit_test(test_silent_host),
		cmocka_unit_test(test_silent_peer),
		cmocka_unit_test(test_killed_peer),
		cmocka_unit_test(test_half_closed_peer),
		cmocka_unit_test(test_fd),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_locked_by_another_process),
		cmocka_unit_test(test_lock_of_a_failed_open),
		cmocka_unit_test(test_lock_race),
	};

	io_pattern(sent, sizeof sent, 0);
	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
