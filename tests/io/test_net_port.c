/* SPDX-License-Identifier: MIT */
/* The debugger's end over real sockets, with targets of our own in the same thread. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/wire/api.h"
#include "lib/io/net_crypto.h"
#include "lib/io/net_port.h"
#include "lib/io/udp_frame.h"
#include "lib/io/udp_socket.h"
#include "tests/io/io_check.h"

static struct kd_error err;

/* A target that stops when it is told to, and answers each request with its payload. */
struct machine {
	struct kd_net net;
	struct kd_net_crypto crypto;
	int fd;
	struct kd_net_address debugger;
	uint64_t n_breakins, n_requests;
	struct kd__udp_route route;
};

static void boot(struct machine *m, const char *key, const char *at, const char *debugger_at,
		 uint16_t debugger_port)
{
	struct kd_net_config cfg;
	uint16_t port;

	memset(m, 0, sizeof *m);
	assert_status(KD_OK, kd__udp_open(at, 0, &m->fd, &port, &err));
	assert_status(KD_OK, kd__net_crypto_create(&m->crypto, &err));
	kd_net_config_init(&cfg, KD_LINK_TARGET);
	assert_status(KD_OK, kd_net_key_from_text(key, &cfg.keys, &err));
	cfg.crypto = &m->crypto;
	if (strcmp(debugger_at, "::1") == 0)
		cfg.debugger.ip[15] = 1;
	else
		kd_net_address_from_ipv4(&cfg.debugger, (const uint8_t[4]){ 127, 0, 0, 1 }, 0);
	cfg.debugger.port = debugger_port;
	cfg.poke_gap = 50 * (uint64_t)KD_NS_PER_MS;
	cfg.ask_gap = 0;
	assert_int_equal(kd_net_init(&m->net, &cfg, kd_now_ns()), KD_OK);
}

static void power_off(struct machine *m)
{
	close(m->fd);
	kd_net_deinit(&m->net);
	kd__net_crypto_destroy(&m->crypto);
}

static void say(struct machine *m, uint16_t type, const uint8_t *payload, size_t size)
{
	assert_int_equal(kd_net_link_send(kd_net_link(&m->net), type, payload, size, NULL, 0, false,
					  kd_now_ns()),
			 KD_OK);
}

static void handle(struct machine *m, const struct kd_net_event *ev)
{
	static const uint8_t stop[240] = { 0x30, 0x30 };

	if (ev->kind != KD_NET_LINK)
		return;
	if (ev->link.kind == KD_LINK_BREAKIN) {
		m->n_breakins++;
		say(m, KD_PACKET_STATE_CHANGE64, stop, sizeof stop);
	} else if (ev->link.kind == KD_LINK_PACKET) {
		m->n_requests++;
		say(m, ev->link.type, ev->link.payload, ev->link.length);
	}
}

/* Everything that the machine can do now. */
static void step(struct machine *m)
{
	uint8_t bytes[KD_NET_DATAGRAM_MAX];
	struct kd_net_address from, to;
	struct kd_net_event ev;
	const uint8_t *out;
	size_t size;

	while (kd__udp_receive(m->fd, bytes, sizeof bytes, &size, &from, &m->route, NULL) ==
	       KD_OK) {
		kd_net_feed(&m->net, &from, bytes, size, kd_now_ns());
		while (kd_net_next_event(&m->net, &ev))
			handle(m, &ev);
	}
	kd_net_timeout(&m->net, kd_now_ns());
	while (kd_net_next_event(&m->net, &ev))
		handle(m, &ev);
	while ((out = kd_net_next_output(&m->net, &to, &size))) {
		assert_status(KD_OK, kd__udp_send(m->fd, out, size, &to, &m->route, &err));
		kd_net_output_done(&m->net, kd_now_ns());
	}
}

/* Until `h` has an event of that kind (of the link: link_kind). */
static struct kd_net_event await(struct kd_net_host *h, struct machine *m,
				 enum kd_net_event_kind kind, enum kd_link_event_kind link_kind)
{
	uint64_t deadline = kd_deadline_after_ms(LIMIT_MS);
	struct kd_net_event ev;

	while (kd_now_ns() < deadline) {
		enum kd_status s;

		if (m)
			step(m);
		s = kd_net_host_run(h, kd_deadline_after_ms(m ? 2 : 100), NULL, &ev, &err);
		if (s == KD_OK && ev.kind == kind &&
		    (kind != KD_NET_LINK || ev.link.kind == link_kind))
			return ev;
		if (s != KD_OK)
			assert_status(KD_E_TIMEOUT, s);
	}
	fail_msg("no event %d/%d", (int)kind, (int)link_kind);
	return ev;
}

static struct kd_net_host *open_host(const char *text)
{
	struct kd_net_host *h = NULL;
	struct kd_endpoint ep;

	assert_status(KD_OK, kd_endpoint_parse(text, &ep, &err));
	assert_status(KD_OK, kd_net_host_open(&ep, &h, &err));
	return h;
}

/* A port that nobody has, at this moment. */
static uint16_t free_port(void)
{
	uint16_t port;
	int fd;

	assert_status(KD_OK, kd__udp_open("", 0, &fd, &port, &err));
	close(fd);
	return port;
}

static void tap_count(void *context, bool is_to_target, const uint8_t *packet, size_t size)
{
	size_t *n = context;

	assert_true(size == 1 || size >= KD_HDR_SIZE);
	assert_non_null(packet);
	n[is_to_target]++;
}

static void talk(const char *at)
{
	char text[256], endpoint[128];
	uint8_t request[KD_NET_PAYLOAD_MAX];
	uint16_t port = free_port();
	struct kd_net_host_counters c;
	size_t tapped[2] = { 0 };
	struct kd_net_host *h;
	struct kd_net_event ev;
	struct machine m;

	snprintf(endpoint, sizeof endpoint, "net:port=%u,key=1.2.3.4,bind=%s", port, at);
	h = open_host(endpoint);
	kd_net_host_set_tap(h, tap_count, tapped);
	kd_net_host_describe(h, text, sizeof text);
	assert_non_null(strstr(text, "nobody has come yet"));
	kd_net_host_break_in(h); /* waits for the session */
	boot(&m, "1.2.3.4", at, at, port);
	ev = await(h, &m, KD_NET_CONNECTED, 0);
	assert_true(ev.is_restart);
	kd_net_host_describe(h, text, sizeof text);
	assert_non_null(strstr(text, "connected to"));
	assert_null(strstr(text, "1.2.3.4"));
	ev = await(h, &m, KD_NET_LINK, KD_LINK_PACKET);
	assert_int_equal(ev.link.type, KD_PACKET_STATE_CHANGE64);
	assert_true(kd_net_host_is_synced(h));
	for (uint8_t i = 0; i < 50; i++) {
		memset(request, i, sizeof request);
		kd_put32(request, KD_API_READ_VIRTUAL);
		assert_int_equal(kd_net_host_send(h, KD_PACKET_STATE_MANIPULATE, request, 56,
						  request + 56, sizeof request - 56),
				 KD_OK);
		assert_int_equal(kd_net_host_send(h, 2, request, 56, NULL, 0), KD_E_BUSY);
		ev = await(h, &m, KD_NET_LINK, KD_LINK_PACKET);
		assert_int_equal(ev.link.length, sizeof request);
		assert_memory_equal(ev.link.payload, request, sizeof request);
	}
	assert_int_equal(m.n_requests, 50);
	assert_int_equal(m.n_breakins, 1);
	kd_net_host_counters(h, &c);
	assert_int_equal(c.link.rx_packets, 51);
	assert_int_equal(c.net.forged + c.not_sent + c.overflowed, 0);
	/* Break-in, requests, ACKs, RESEND of the check; and stop, replies, ACKs. */
	assert_int_equal(tapped[true], 1 + 50 + 51 + 1);
	assert_int_equal(tapped[false], 1 + 50 + 50);
	kd_net_host_close(h);
	power_off(&m);
}

static void test_talk(void **state)
{
	(void)state;
	talk("127.0.0.1");
}

static void test_talk_ipv6(void **state)
{
	uint16_t port;
	int fd;

	(void)state;
	if (kd__udp_open("::1", 0, &fd, &port, &err) != KD_OK)
		skip();
	close(fd);
	talk("::1");
}

/* On all addresses: the answer comes from where it was asked. */
static void test_route(void **state)
{
	struct kd_net_address from, to = { .port = 0 };
	struct kd__udp_route route;
	uint8_t byte = 1;
	uint16_t a_port, b_port;
	size_t size;
	int a, b;
	struct kd_wait_fd fd;

	(void)state;
	assert_status(KD_OK, kd__udp_open("", 0, &a, &a_port, &err));
	assert_status(KD_OK, kd__udp_open("127.0.0.1", 0, &b, &b_port, &err));
	kd_net_address_from_ipv4(&to, (const uint8_t[4]){ 127, 0, 0, 9 }, a_port);
	assert_status(KD_OK, kd__udp_send(b, &byte, 1, &to, &(struct kd__udp_route){ 0 }, &err));
	fd = (struct kd_wait_fd){ .fd = a, .want_read = true };
	assert_status(KD_OK, kd_wait(&fd, 1, kd_deadline_after_ms(LIMIT_MS), NULL, &err));
	assert_int_equal(kd__udp_receive(a, &byte, 1, &size, &from, &route, &err), KD_OK);
	assert_int_equal(from.port, b_port);
	assert_status(KD_OK, kd__udp_send(a, &byte, 1, &from, &route, &err));
	fd = (struct kd_wait_fd){ .fd = b, .want_read = true };
	assert_status(KD_OK, kd_wait(&fd, 1, kd_deadline_after_ms(LIMIT_MS), NULL, &err));
	assert_int_equal(kd__udp_receive(b, &byte, 1, &size, &from, &route, &err), KD_OK);
	assert_true(kd_net_address_is_same(&from, &to));
	assert_int_equal(kd__udp_receive(b, &byte, 1, &size, &from, &route, &err), KD_E_AGAIN);
	close(a);
	close(b);
}

/* Three targets on one port; nobody looks after the third one for a while. */
static void test_several(void **state)
{
	static const char *const keys[] = { "1.2.3.4", "1.2.3.5", "9.9.9.9" };
	static struct machine m[3];
	struct kd_net_host *h[3], *extra;
	struct kd_net_host_counters c;
	struct kd_net_port *port;
	struct kd_net_keys k;
	struct kd_net_event ev;
	struct kd_poll poll;

	(void)state;
	assert_status(KD_OK, kd_net_port_open("127.0.0.1", 0, &port, &err));
	for (int i = 0; i < 3; i++) {
		assert_status(KD_OK, kd_net_key_from_text(keys[i], &k, &err));
		assert_status(KD_OK, kd_net_port_add(port, &k, &h[i], &err));
		boot(&m[i], keys[i], "127.0.0.1", "127.0.0.1", kd_net_port_number(port));
	}
	assert_status(KD_E_EXISTS, kd_net_port_add(port, &k, &extra, &err));
	assert_says("a key of its own");
	kd_net_host_break_in(h[2]);
	for (int i = 0; i < 2; i++) {
		kd_net_host_break_in(h[i]);
		await(h[i], &m[i], KD_NET_CONNECTED, 0);
		await(h[i], &m[i], KD_NET_LINK, KD_LINK_PACKET);
	}
	for (int i = 0; i < 20; i++) {
		step(&m[2]);
		assert_int_equal(kd_net_host_next(h[0], &ev, &err), KD_E_AGAIN);
	}
	kd_net_host_poll(h[2], &poll);
	assert_true(poll.is_ready);
	await(h[2], &m[2], KD_NET_CONNECTED, 0);
	await(h[2], &m[2], KD_NET_LINK, KD_LINK_PACKET);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(m[i].n_breakins, 1);
		kd_net_host_counters(h[i], &c);
		assert_int_equal(c.net.sessions, 1);
		assert_int_equal(c.net.forged, 0);
		kd_net_host_close(h[i]);
		power_off(&m[i]);
	}
	kd_net_port_close(port);
}

/* The payload of one host's event stays while another one reads the port. */
static void test_payload_stays(void **state)
{
	static struct machine m[2];
	struct kd_net_host *h[2];
	struct kd_net_port *port;
	struct kd_net_event ev, other;
	struct kd_net_keys k;
	uint8_t text[300];

	(void)state;
	assert_status(KD_OK, kd_net_port_open("127.0.0.1", 0, &port, &err));
	for (int i = 0; i < 2; i++) {
		const char *key = i ? "1.1.1.1" : "2.2.2.2";

		assert_status(KD_OK, kd_net_key_from_text(key, &k, &err));
		assert_status(KD_OK, kd_net_port_add(port, &k, &h[i], &err));
		boot(&m[i], key, "127.0.0.1", "127.0.0.1", kd_net_port_number(port));
		await(h[i], &m[i], KD_NET_CONNECTED, 0);
	}
	memset(text, 'a', sizeof text);
	say(&m[0], KD_PACKET_DEBUG_IO, text, sizeof text);
	ev = await(h[0], &m[0], KD_NET_LINK, KD_LINK_PACKET);
	for (int i = 0; i < 10; i++) {
		step(&m[0]); /* it has the ACK, and says more */
		if (!kd_net_link_is_busy(kd_net_link(&m[0].net))) {
			memset(text, 'b', sizeof text);
			say(&m[0], KD_PACKET_DEBUG_IO, text, sizeof text);
			step(&m[0]);
		}
		kd_net_host_next(h[1], &other, &err);
		for (size_t k2 = 0; k2 < ev.link.length; k2++)
			assert_int_equal(ev.link.payload[k2], 'a');
	}
	ev = await(h[0], &m[0], KD_NET_LINK, KD_LINK_PACKET);
	assert_int_equal(ev.link.payload[0], 'b');
	for (int i = 0; i < 2; i++) {
		kd_net_host_close(h[i]);
		power_off(&m[i]);
	}
	kd_net_port_close(port);
}

static void test_wrong_key(void **state)
{
	char endpoint[64], text[256];
	uint16_t port = free_port();
	struct kd_net_host *h;
	struct kd_net_event ev;
	struct machine m;

	(void)state;
	snprintf(endpoint, sizeof endpoint, "net:port=%u,key=1.2.3.4", port);
	h = open_host(endpoint);
	boot(&m, "1.2.3.5", "127.0.0.1", "127.0.0.1", port);
	for (int i = 0; i < 20; i++) {
		step(&m);
		assert_int_equal(kd_net_host_run(h, kd_deadline_after_ms(10), NULL, &ev, &err),
				 KD_E_TIMEOUT);
	}
	kd_net_host_describe(h, text, sizeof text);
	assert_non_null(strstr(text, "not with this key"));
	assert_non_null(strstr(text, "127.0.0.1"));
	assert_null(strstr(text, "1.2.3."));
	assert_false(kd_net_host_is_connected(h));
	kd_net_host_close(h);
	power_off(&m);
}

static void test_bad_ports(void **state)
{
	struct kd_net_port *p, *q;

	(void)state;
	assert_status(KD_OK, kd_net_port_open("", 0, &p, &err));
	assert_status(KD_E_EXISTS, kd_net_port_open("", kd_net_port_number(p), &q, &err));
	assert_says("in use by pid ");
	assert_status(KD_E_NOT_FOUND, kd_net_port_open("203.0.113.7", 0, &q, &err));
	assert_says("203.0.113.7 is no address of this machine");
	assert_status(KD_E_SYNTAX, kd_net_port_open("nonsense", 0, &q, &err));
	kd_net_port_close(p);
	kd_net_port_close(NULL);
	kd_net_host_close(NULL);
}

/* Anything that anybody sends. */
static void test_garbage(void **state)
{
	struct kd_net_port *p;
	struct kd_net_host *h;
	struct kd_net_keys k;
	struct kd_net_event ev;
	struct kd_net_address to;
	static uint8_t bytes[9000];
	uint16_t port;
	int fd;

	(void)state;
	assert_status(KD_OK, kd_net_port_open("127.0.0.1", 0, &p, &err));
	assert_status(KD_OK, kd_net_key_from_text("1.2.3.4", &k, &err));
	assert_status(KD_OK, kd_net_port_add(p, &k, &h, &err));
	assert_status(KD_OK, kd__udp_open("127.0.0.1", 0, &fd, &port, &err));
	kd_net_address_from_ipv4(&to, (const uint8_t[4]){ 127, 0, 0, 1 }, kd_net_port_number(p));
	for (size_t size = 0; size < sizeof bytes; size = size * 2 + 1) {
		memset(bytes, 0x4D, size);
		if (size > 6)
			memcpy(bytes, "MDBG\4\1", 6);
		assert_status(KD_OK, kd__udp_send(fd, bytes, size, &to,
						  &(struct kd__udp_route){ 0 }, &err));
		assert_int_equal(kd_net_host_run(h, kd_deadline_after_ms(5), NULL, &ev, &err),
				 KD_E_TIMEOUT);
	}
	close(fd);
	kd_net_host_close(h);
	kd_net_port_close(p);
}

static void test_cancel_and_deadline(void **state)
{
	struct kd_net_host *h;
	struct kd_net_event ev;
	struct kd_cancel cancel;
	char endpoint[64];
	uint64_t from;

	(void)state;
	snprintf(endpoint, sizeof endpoint, "net:port=%u,key=1.2.3.4", free_port());
	h = open_host(endpoint);
	assert_status(KD_OK, kd_cancel_init(&cancel, &err));
	from = kd_now_ns();
	assert_int_equal(kd_net_host_run(h, kd_deadline_after_ms(100), &cancel, &ev, &err),
			 KD_E_TIMEOUT);
	assert_true(kd_now_ns() - from >= 90 * (uint64_t)KD_NS_PER_MS);
	kd_cancel_trigger(&cancel);
	from = kd_now_ns();
	assert_int_equal(kd_net_host_run(h, KD_TIME_NEVER, &cancel, &ev, &err), KD_E_CANCELLED);
	assert_true(kd_now_ns() - from < SOON_MS * (uint64_t)KD_NS_PER_MS);
	kd_cancel_deinit(&cancel);
	kd_net_host_close(h);
}

/* It reboots with another port of its own, and is found again. */
static void test_reboot(void **state)
{
	char endpoint[64];
	uint16_t port = free_port();
	struct kd_net_host *h;
	struct kd_net_event ev;
	struct machine m;

	(void)state;
	snprintf(endpoint, sizeof endpoint, "net:port=%u,key=1.2.3.4", port);
	h = open_host(endpoint);
	for (int i = 0; i < 3; i++) {
		boot(&m, "1.2.3.4", "127.0.0.1", "127.0.0.1", port);
		ev = await(h, &m, KD_NET_CONNECTED, 0);
		assert_true(ev.is_restart);
		kd_net_host_break_in(h);
		await(h, &m, KD_NET_LINK, KD_LINK_PACKET);
		assert_int_equal(m.n_breakins, 1);
		power_off(&m);
	}
	kd_net_host_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_talk),          cmocka_unit_test(test_talk_ipv6),
		cmocka_unit_test(test_route),         cmocka_unit_test(test_several),
		cmocka_unit_test(test_payload_stays), cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_bad_ports),     cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_reboot),        cmocka_unit_test(test_cancel_and_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
