/* SPDX-License-Identifier: MIT */
/* The pump: a whole KD target at the other end, and peers that do nothing good. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/io/io_debugger.h"

static struct io_debugger d;
static struct kd_error err;

static double ms_since(uint64_t start)
{
	return (double)(kd_now_ns() - start) / 1e6;
}

/* A debugger on one end of a socket pair; the other end. */
static int on_a_pair(void)
{
	struct kd_transport *t = NULL;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_status(KD_OK, kd_transport_fd_create(pair[0], "pair", &t, &err));
	io_debugger_init(&d, t);
	return pair[1];
}

/* --- with a target --- */

static void test_session(void **state)
{
	struct io_child target = io_fake_target(io_path("vm"), "--stop-at-boot");
	uint8_t page[2048];
	uint64_t base, start;

	(void)state;
	io_debugger_init(&d, io_open(io_text("unix:%s", io_path("vm"))));
	io_debugger_stop(&d);
	base = io_debugger_kernel_base(&d);
	start = kd_now_ns();
	for (int i = 0; i < 1000; i++) {
		assert_true(io_debugger_read(&d, base, page, sizeof page));
		assert_memory_equal(page, "MZ", 2);
	}
	print_message("1000 reads of 2 KB: %.0f ms\n", ms_since(start));
	assert_int_equal(kd_link_counters(&d.link)->retransmits, 0);
	assert_int_equal(kd_link_counters(&d.link)->checksum_errors, 0);
	assert_true(d.pump.rx_bytes > 2048000);
	assert_true(kd_now_ns() - d.pump.last_rx_ns < 100 * (uint64_t)KD_NS_PER_MS);

	io_debugger_go(&d);
	io_child_say(&target, "print hello from the target");
	io_debugger_wait_text(&d, "hello from the target");
	io_debugger_stop(&d);
	assert_true(io_debugger_read(&d, base, page, 2));

	/* kill -9 of the target: its end is told, and told again. */
	io_child_kill(&target, SIGKILL);
	assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(LIMIT_MS)), KD_E_CLOSED);
	assert_non_null(strstr(d.err.text, "connection"));
	assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(LIMIT_MS)), KD_E_CLOSED);
	io_debugger_deinit(&d);
}

static void test_target_restarts(void **state)
{
	struct io_child target = io_fake_target(io_path("re"), "--stop-at-boot");
	uint8_t mz[2];

	(void)state;
	io_debugger_init(&d, io_open(io_text("unix:%s,reconnect", io_path("re"))));
	io_debugger_stop(&d);
	assert_int_equal(d.n_connections, 0);
	for (unsigned turn = 1; turn < 4; turn++) {
		io_child_kill(&target, SIGKILL);
		assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(LIMIT_MS)), KD_E_CLOSED);
		target = io_fake_target(io_path("re"), "--stop-at-boot");
		while (d.n_connections < turn)
			assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(LIMIT_MS)),
					 KD_OK);
		io_debugger_stop(&d);
		assert_true(io_debugger_read(&d, io_debugger_kernel_base(&d), mz, 2));
		assert_memory_equal(mz, "MZ", 2);
	}
	io_debugger_deinit(&d);
	io_child_kill(&target, SIGTERM);
}

/* The debugger listens, the target's serial port is the client: socat plugs them together. */
static void test_first_connection_of_a_listener(void **state)
{
	struct io_child target, socat;
	const char *argv[4];

	(void)state;
	if (!io_has_program("socat")) {
		print_message("skipped: socat is not installed (package socat)\n");
		skip();
	}
	target = io_fake_target(io_path("inner"), "--stop-at-boot");
	io_debugger_init(&d, io_open(io_text("unix-listen:%s", io_path("outer"))));
	assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(20)), KD_E_TIMEOUT);
	argv[0] = "socat";
	argv[1] = io_text("unix-connect:%s", io_path("inner"));
	argv[2] = io_text("unix-connect:%s", io_path("outer"));
	argv[3] = NULL;
	socat = io_spawn(argv);
	while (d.n_connections == 0)
		assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(LIMIT_MS)), KD_OK);
	io_debugger_stop(&d);
	assert_true(io_debugger_kernel_base(&d) != 0);
	io_debugger_deinit(&d);
	io_child_kill(&socat, SIGTERM);
	io_child_kill(&target, SIGTERM);
}

/* --- with peers that are no targets --- */

static void test_silence(void **state)
{
	int peer = on_a_pair();
	uint64_t start = kd_now_ns();

	(void)state;
	assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(40)), KD_E_TIMEOUT);
	assert_true(ms_since(start) >= 40 && ms_since(start) < 40 + LATE_MS);
	start = kd_now_ns();
	assert_int_equal(io_debugger_step(&d, 0), KD_E_TIMEOUT);
	assert_true(ms_since(start) < LATE_MS);
	io_debugger_deinit(&d);
	close(peer);
}

static enum kd_status step_for_ever(void *unused)
{
	(void)unused;
	return io_debugger_step(&d, KD_TIME_NEVER);
}

static void test_cancel(void **state)
{
	int peer = on_a_pair();

	(void)state;
	io_assert_cancel_is_quick(&d.cancel, step_for_ever, NULL);
	assert_int_equal(io_debugger_step(&d, KD_TIME_NEVER), KD_E_CANCELLED);
	kd_cancel_clear(&d.cancel);
	assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(10)), KD_E_TIMEOUT);
	io_debugger_deinit(&d);
	close(peer);
}

/* ACKs for nothing: bytes without end that make no event. */
static void *flood(void *fd)
{
	uint8_t acks[16 * 64];
	const struct kd_packet_hdr ack = { KD_LEADER_CONTROL, KD_PACKET_ACKNOWLEDGE, 0, 0x80800000,
					   0 };

	for (size_t i = 0; i < sizeof acks; i += 16)
		kd_packet_hdr_encode(acks + i, &ack);
	while (send(*(int *)fd, acks, sizeof acks, MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

static void test_flood(void **state)
{
	int peer = on_a_pair();
	pthread_t flooder;
	uint64_t start = kd_now_ns();

	(void)state;
	assert_int_equal(pthread_create(&flooder, NULL, flood, &peer), 0);
	assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(60)), KD_E_TIMEOUT);
	assert_true(ms_since(start) >= 60 && ms_since(start) < 60 + LATE_MS);
	io_assert_cancel_is_quick(&d.cancel, step_for_ever, NULL);
	assert_true(d.pump.rx_bytes > KD_PUMP_BUFFER);
	io_debugger_deinit(&d);
	pthread_join(flooder, NULL);
	close(peer);
}

static size_t print_packet(uint8_t *out, uint32_t id, const char *text)
{
	const struct kd_debug_io io = {
		.hdr = { .api = KD_IO_PRINT_STRING, .length_of_string = (uint32_t)strlen(text) },
		.text = (const uint8_t *)text,
		.text_size = strlen(text),
	};
	struct kd_packet_hdr hdr = { .leader = KD_LEADER_DATA,
				     .type = KD_PACKET_DEBUG_IO,
				     .id = id };
	size_t size;

	assert_int_equal(kd_debug_io_encode(out + KD_HDR_SIZE, 1000, &size, &io), KD_OK);
	hdr.length = (uint16_t)size;
	hdr.checksum = kd_checksum(out + KD_HDR_SIZE, size);
	kd_packet_hdr_encode(out, &hdr);
	out[KD_HDR_SIZE + size] = KD_BYTE_TRAILER;
	return KD_HDR_SIZE + size + 1;
}

/*
 * Many packets in one read: the link gives them out one by one, and meanwhile the socket is drained
 * so that the sender is never stuck.
 */
static void test_back_pressure(void **state)
{
	enum { N = 400 };
	static uint8_t bytes[N * 64];
	int peer = on_a_pair();
	size_t size = 0, sent = 0;
	uint8_t ack[32];
	char want[16];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		char text[16];

		snprintf(text, sizeof text, "<%u>", i);
		size += print_packet(bytes + size, KD_PACKET_ID_INITIAL + i % 2, text);
	}
	while (sent < size) {
		ssize_t n = send(peer, bytes + sent, size - sent, MSG_DONTWAIT);

		assert_true(n > 0);
		sent += (size_t)n;
	}
	for (unsigned i = 0; i < N; i++) {
		memset(d.text, 0, sizeof d.text);
		assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(LIMIT_MS)), KD_OK);
		snprintf(want, sizeof want, "<%u>", i);
		assert_string_equal(d.text, want);
		/* It was acknowledged before it was handed out. */
		assert_int_equal(recv(peer, ack, sizeof ack, MSG_DONTWAIT), 16);
		assert_int_equal(kd_get32(ack), KD_LEADER_CONTROL);
		/* After the second event everything is out of the kernel's buffer. */
		if (i == 1)
			assert_int_equal(d.pump.rx_bytes, size);
	}
	/* The sender leaves: what it said before that comes first. */
	size = 0;
	for (unsigned i = 0; i < 3; i++)
		size += print_packet(bytes + size, KD_PACKET_ID_INITIAL + i % 2,
				     io_text("bye %u ", i));
	assert_int_equal(send(peer, bytes, size, 0), size);
	close(peer);
	memset(d.text, 0, sizeof d.text);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(LIMIT_MS)), KD_OK);
	assert_string_equal(d.text, "bye 0 bye 1 bye 2 ");
	assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(LIMIT_MS)), KD_E_CLOSED);
	io_debugger_deinit(&d);
}

/* A packet in pieces, one byte at a time; and a deadline in the past still lets bytes through. */
static void test_slow_peer(void **state)
{
	int peer = on_a_pair();
	uint8_t bytes[256];
	size_t size = print_packet(bytes, KD_PACKET_ID_INITIAL, "drop by drop");

	(void)state;
	for (size_t i = 0; i < size; i++) {
		assert_int_equal(send(peer, bytes + i, 1, 0), 1);
		if (i + 1 < size)
			assert_int_equal(io_debugger_step(&d, 0), KD_E_TIMEOUT);
	}
	assert_int_equal(io_debugger_step(&d, 0), KD_OK);
	assert_string_equal(d.text, "drop by drop");
	io_debugger_deinit(&d);
	close(peer);
}

/* A peer that does not read: output waits, input and time-outs are served, and it goes on. */
static void test_peer_does_not_read(void **state)
{
	int peer = on_a_pair();
	const int small = 4096;
	static uint8_t junk[1 << 20], in[1 << 20];
	uint8_t bytes[256], header[56] = { 0 };
	size_t n, size, filled = 0, drained = 0;
	struct kd_poll poll;

	(void)state;
	kd_transport_poll(d.transport, &poll);
	setsockopt(poll.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	while (kd_transport_write(d.transport, junk, sizeof junk, &n, &err) == KD_OK)
		filled += n;
	assert_int_equal(kd_link_send(&d.link, KD_PACKET_STATE_MANIPULATE, header, 56, NULL, 0,
				      false, kd_now_ns()),
			 KD_OK);
	assert_int_equal(kd_pump_flush(&d.pump, &err), KD_E_AGAIN);
	size = print_packet(bytes, KD_PACKET_ID_INITIAL, "still heard");
	assert_int_equal(send(peer, bytes, size, 0), size);
	io_debugger_wait_text(&d, "still heard");
	assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(30)), KD_E_TIMEOUT);
	/* It reads again: the request goes out whole, after what was before it. */
	while (drained < filled + 16 + 16 + 57) {
		ssize_t r = recv(peer, in + drained, sizeof in - drained, MSG_DONTWAIT);

		if (r > 0)
			drained += (size_t)r;
		else
			assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(5)),
					 KD_E_TIMEOUT);
	}
	assert_int_equal(kd_get32(in + filled), KD_LEADER_CONTROL); /* the ACK of the print */
	assert_int_equal(kd_get32(in + filled + 16), KD_LEADER_DATA);
	assert_int_equal(in[filled + 16 + 16 + 56], KD_BYTE_TRAILER);
	io_debugger_deinit(&d);
	close(peer);
}

/* For prompts that wait for more than the target. */
static void test_poll(void **state)
{
	int peer = on_a_pair();
	uint8_t bytes[256];
	size_t size = print_packet(bytes, KD_PACKET_ID_INITIAL, "x");
	struct kd_poll poll;

	(void)state;
	kd_pump_poll(&d.pump, &poll);
	assert_true(poll.fd >= 0 && poll.want_read && !poll.want_write && !poll.is_ready);
	assert_true(poll.deadline == KD_TIME_NEVER);
	assert_int_equal(send(peer, bytes, 10, 0), 10);
	assert_int_equal(io_debugger_step(&d, 0), KD_E_TIMEOUT);
	/* Half a packet: the link wants to be woken when the rest does not come. */
	kd_pump_poll(&d.pump, &poll);
	assert_true(poll.deadline < kd_deadline_after_ms(2000));
	assert_int_equal(send(peer, bytes + 10, size - 10, 0), size - 10);
	assert_int_equal(send(peer, bytes, size, 0), size);
	assert_int_equal(io_debugger_step(&d, 0), KD_OK);
	/* The second packet is in the buffer, not in the socket. */
	kd_pump_poll(&d.pump, &poll);
	assert_true(poll.is_ready);
	io_debugger_deinit(&d);
	close(peer);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_target_restarts),
		cmocka_unit_test(test_first_connection_of_a_listener),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_slow_peer),
		cmocka_unit_test(test_peer_does_not_read),
		cmocka_unit_test(test_poll),
	};

	if (argc < 2)
		return 2;
	io_fake_target_program = argv[1];
	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
