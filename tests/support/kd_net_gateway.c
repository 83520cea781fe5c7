/* SPDX-License-Identifier: MIT */
/*
 * kd-net-gateway: makes a KDNET target of a target on a stream, for tests of the debugger's end
 * with a real machine behind it.
 *
 *	kd-net-gateway ENDPOINT DEBUGGER-PORT KEY
 *
 * It pokes 127.0.0.1:DEBUGGER-PORT, and passes packets: requests to the stream's target, what that
 * says to the debugger. Ends with its standard input.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/net.h"
#include "lib/io/carrier.h"
#include "lib/io/net_crypto.h"
#include "lib/io/udp_socket.h"

enum { QUEUE = 16, STEP_MS = 100 };

struct packet {
	uint16_t type;
	size_t size;
	uint8_t payload[KD_PAYLOAD_ACCEPT];
};

/* Packets that wait for the road to be free. */
struct queue {
	struct packet rows[QUEUE];
	unsigned first, n;
};

struct gateway {
	struct kd_carrier *stream;
	struct kd_net net;
	struct kd_net_config cfg;
	struct kd__udp_route route;
	int fd;
	struct queue to_debugger, to_target;
};

static void die(const struct kd_error *err)
{
	fprintf(stderr, "kd-net-gateway: %s\n", err->text);
	exit(1);
}

static void push(struct queue *q, const struct kd_link_event *e)
{
	struct packet *p = &q->rows[(q->first + q->n) % QUEUE];

	if (q->n == QUEUE || e->length > sizeof p->payload)
		return; /* lost: both ends ask again */
	p->type = e->type;
	p->size = e->length;
	memcpy(p->payload, e->payload, e->length);
	q->n++;
}

static const struct packet *head(const struct queue *q)
{
	return q->n ? &q->rows[q->first] : NULL;
}

static void pop(struct queue *q)
{
	q->first = (q->first + 1) % QUEUE;
	q->n--;
}

static void start_net(struct gateway *g)
{
	if (kd_net_init(&g->net, &g->cfg, kd_now_ns()) != KD_OK)
		die(&(struct kd_error){ .text = "no randomness" });
}

/* --- from the stream --- */

static void on_stream(struct gateway *g, const struct kd_link_event *e)
{
	switch (e->kind) {
	case KD_LINK_PACKET: push(&g->to_debugger, e); break;
	case KD_LINK_RESTARTED: /* the machine booted: so does the KDNET target */
		g->to_debugger.n = g->to_target.n = 0;
		kd_net_deinit(&g->net);
		start_net(g);
		break;
	default: break;
	}
}

/* --- from the debugger --- */

static void on_debugger(struct gateway *g, const struct kd_net_event *e)
{
	if (e->kind != KD_NET_LINK)
		return;
	switch (e->link.kind) {
	case KD_LINK_PACKET: push(&g->to_target, &e->link); break;
	case KD_LINK_BREAKIN: kd_carrier_break_in(g->stream); break;
	case KD_LINK_RESEND_ASKED: kd_carrier_ask_resend(g->stream); break;
	case KD_LINK_RESET_SEEN: kd_carrier_reset(g->stream); break;
	default: break;
	}
}

static void receive(struct gateway *g)
{
	uint8_t bytes[KD_NET_DATAGRAM_MAX];
	struct kd_net_address from;
	struct kd_net_event e;
	size_t size;

	while (kd__udp_receive(g->fd, bytes, sizeof bytes, &size, &from, &g->route, NULL) ==
	       KD_OK) {
		kd_net_feed(&g->net, &from, bytes, size, kd_now_ns());
		while (kd_net_next_event(&g->net, &e))
			on_debugger(g, &e);
	}
	if (kd_now_ns() >= kd_net_deadline(&g->net))
		kd_net_timeout(&g->net, kd_now_ns());
	while (kd_net_next_event(&g->net, &e))
		on_debugger(g, &e);
}

/* --- passing on --- */

/* False: there was nothing to pass. */
static bool pass(struct gateway *g)
{
	struct kd_net_link *link = kd_net_link(&g->net);
	const struct packet *p = head(&g->to_debugger);
	struct kd_net_address to;
	const uint8_t *out;
	size_t size;
	unsigned waited = g->to_debugger.n + g->to_target.n;

	if (p && kd_net_is_connected(&g->net) &&
	    kd_net_link_send(link, p->type, p->payload, p->size, NULL, 0, false, kd_now_ns()) !=
		    KD_E_BUSY)
		pop(&g->to_debugger);
	p = head(&g->to_target);
	if (p && !kd_carrier_is_busy(g->stream) &&
	    kd_carrier_send(g->stream, p->type, p->payload, p->size, NULL, 0) != KD_E_BUSY)
		pop(&g->to_target);
	while ((out = kd_net_next_output(&g->net, &to, &size))) {
		kd__udp_send(g->fd, out, size, &to, &g->route, NULL);
		kd_net_output_done(&g->net, kd_now_ns());
	}
	return waited != g->to_debugger.n + g->to_target.n;
}

static void wait_a_little(struct gateway *g)
{
	uint64_t now = kd_now_ns(), until = now + STEP_MS * (uint64_t)KD_NS_PER_MS;
	struct kd_poll line;
	struct pollfd fds[3];

	kd_transport_poll(g->stream->transport, &line);
	until = KD_MIN(until, KD_MIN(line.deadline, kd_net_deadline(&g->net)));
	fds[0] = (struct pollfd){ .fd = line.fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = g->fd, .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = 0, .events = POLLIN };
	if (!line.is_ready)
		poll(fds, 3, until > now ? (int)((until - now) / KD_NS_PER_MS) + 1 : 0);
	if (fds[2].revents)
		exit(0);
}

int main(int argc, char **argv)
{
	static struct gateway g;
	struct kd_transport *transport;
	struct kd_net_crypto crypto;
	struct kd_link_event e;
	struct kd_error err = { 0 };
	uint16_t port;

	if (argc != 4) {
		fprintf(stderr, "usage: kd-net-gateway ENDPOINT DEBUGGER-PORT KEY\n");
		return 2;
	}
	if (kd_transport_open_text(argv[1], NULL, &transport, &err) != KD_OK ||
	    kd_carrier_link_create(transport, NULL, &g.stream, &err) != KD_OK ||
	    kd__udp_open("127.0.0.1", 0, &g.fd, &port, &err) != KD_OK ||
	    kd__net_crypto_create(&crypto, &err) != KD_OK)
		die(&err);
	kd_net_config_init(&g.cfg, KD_LINK_TARGET);
	if (kd_net_key_from_text(argv[3], &g.cfg.keys, &err) != KD_OK)
		die(&err);
	g.cfg.crypto = &crypto;
	g.cfg.poke_gap = 200 * (uint64_t)KD_NS_PER_MS;
	kd_net_address_from_ipv4(&g.cfg.debugger, (const uint8_t[4]){ 127, 0, 0, 1 },
				 (uint16_t)atoi(argv[2]));
	start_net(&g);
	for (;;) {
		enum kd_status s = kd_carrier_run(g.stream, kd_now_ns(), &e, &err);

		if (s == KD_OK)
			on_stream(&g, &e);
		else if (s != KD_E_TIMEOUT)
			die(&err);
		receive(&g);
		if (!pass(&g) && s != KD_OK)
			wait_a_little(&g);
	}
}
