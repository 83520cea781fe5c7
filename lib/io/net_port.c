/* SPDX-License-Identifier: MIT */
/*
 * A port reads for all its hosts: each datagram goes to the machine of the one whose key opens it.
 * When that one has events to be fetched, the datagram waits in its inbox, so a host that nobody
 * looks after holds up none but itself.
 *
 * Invariant: an inbox is empty unless its machine has events waiting or is held for the last one.
 */
#include "lib/io/net_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/io/net_crypto.h"
#include "lib/io/udp_frame.h"
#include "lib/io/udp_socket.h"

enum {
	INBOX_MAX = 64,
	/* So that a flood cannot keep us from everything else. */
	READS_MAX = 256,
	SENDS_MAX = 256,
};

struct letter {
	struct kd_net_address from;
	size_t size;
	uint8_t bytes[KD_NET_DATAGRAM_MAX];
};

struct kd_net_host {
	struct kd_net_port *port;
	bool owns_port;
	struct kd_net net;
	struct kd_net_crypto crypto;
	kd_net_tap_fn *tap;
	void *tap_context;
	struct kd__udp_route route; /* of the last datagram that was its own */
	struct letter *inbox[INBOX_MAX];
	size_t n_inbox;
	uint64_t not_sent, overflowed;
	struct kd_error send_trouble; /* of the last send; KD_OK: it went */
	bool is_silent, is_taken;
	struct kd_net_address other; /* who has it, if it was taken */
	uint8_t version;
};

struct kd_net_port {
	int fd;
	uint16_t number;
	bool is_blocked;      /* the last send found no room */
	struct kd_error over; /* status != KD_OK: the socket is unusable */
	struct kd_net_host *hosts[KD_NET_HOSTS_MAX];
	size_t n_hosts;
	/* KDNET that no key of ours opens. */
	uint64_t n_strange;
	struct kd_net_address stranger;
	struct letter letter; /* being read */
};

/* --- opening and closing --- */

enum kd_status kd_net_port_open(const char *bind_to, uint16_t port, struct kd_net_port **port_ret,
				struct kd_error *err)
{
	struct kd_net_port *p = calloc(1, sizeof *p);
	enum kd_status s;

	if (!p)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	s = kd__udp_open(bind_to, port, &p->fd, &p->number, err);
	if (s != KD_OK) {
		free(p);
		return s;
	}
	*port_ret = p;
	return KD_OK;
}

void kd_net_port_close(struct kd_net_port *p)
{
	if (!p)
		return;
	close(p->fd);
	free(p);
}

uint16_t kd_net_port_number(const struct kd_net_port *p)
{
	return p->number;
}

static void tap(void *context, bool is_to_target, const uint8_t *packet, size_t size)
{
	const struct kd_net_host *h = context;

	if (h->tap)
		h->tap(h->tap_context, is_to_target, packet, size);
}

static enum kd_status check_room(const struct kd_net_port *p, const struct kd_net_keys *keys,
				 struct kd_error *err)
{
	if (p->n_hosts == KD_NET_HOSTS_MAX)
		return kd_error_set(err, KD_E_FULL, 0, "UDP port %u has %d targets already",
				    p->number, KD_NET_HOSTS_MAX);
	for (size_t i = 0; i < p->n_hosts; i++)
		if (kd_net_is_same(p->hosts[i]->net.cfg.keys.cipher, keys->cipher,
				   sizeof keys->cipher))
			return kd_error_set(err, KD_E_EXISTS, 0,
					    "UDP port %u has a target with this key already: give "
					    "each target a key of its own",
					    p->number);
	return KD_OK;
}

enum kd_status kd_net_port_add(struct kd_net_port *p, const struct kd_net_keys *keys,
			       struct kd_net_host **host_ret, struct kd_error *err)
{
	struct kd_net_config cfg;
	struct kd_net_host *h;
	enum kd_status s = check_room(p, keys, err);

	if (s != KD_OK)
		return s;
	h = calloc(1, sizeof *h);
	if (!h)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	s = kd__net_crypto_create(&h->crypto, err);
	kd_net_config_init(&cfg, KD_LINK_DEBUGGER);
	cfg.keys = *keys;
	cfg.crypto = &h->crypto;
	cfg.tap = tap;
	cfg.tap_context = h;
	if (s == KD_OK && kd_net_init(&h->net, &cfg, kd_now_ns()) != KD_OK)
		s = kd_error_set(err, KD_E_INVALID, 0, "KDNET: a configuration without sense");
	if (s != KD_OK) {
		kd__net_crypto_destroy(&h->crypto);
		free(h);
		return s;
	}
	h->port = p;
	p->hosts[p->n_hosts++] = h;
	*host_ret = h;
	return KD_OK;
}

enum kd_status kd_net_host_open(const struct kd_endpoint *ep, struct kd_net_host **host_ret,
				struct kd_error *err)
{
	struct kd_net_port *p;
	struct kd_net_keys keys;
	enum kd_status s;

	if (ep->kind != KD_ENDPOINT_NET)
		return kd_error_set(err, KD_E_INVALID, 0, "not a net: endpoint");
	s = kd_net_key_from_text(ep->key, &keys, err);
	if (s == KD_OK)
		s = kd_net_port_open(ep->path, ep->port, &p, err);
	if (s != KD_OK)
		return s;
	s = kd_net_port_add(p, &keys, host_ret, err);
	if (s != KD_OK)
		kd_net_port_close(p);
	else
		(*host_ret)->owns_port = true;
	return s;
}

static void leave_port(struct kd_net_host *h)
{
	struct kd_net_port *p = h->port;

	for (size_t i = 0; i < p->n_hosts; i++)
		if (p->hosts[i] == h)
			p->hosts[i] = p->hosts[--p->n_hosts];
}

void kd_net_host_close(struct kd_net_host *h)
{
	if (!h)
		return;
	leave_port(h);
	if (h->owns_port)
		kd_net_port_close(h->port);
	for (size_t i = 0; i < h->n_inbox; i++)
		free(h->inbox[i]);
	kd_net_deinit(&h->net);
	kd__net_crypto_destroy(&h->crypto);
	free(h);
}

void kd_net_host_set_tap(struct kd_net_host *h, kd_net_tap_fn *fn, void *context)
{
	h->tap = fn;
	h->tap_context = context;
}

/* --- out --- */

static void flush(struct kd_net_host *h)
{
	struct kd_net_port *p = h->port;
	struct kd_net_address to;
	const uint8_t *bytes;
	size_t size;

	for (int n = 0; n < SENDS_MAX && (bytes = kd_net_next_output(&h->net, &to, &size)); n++) {
		struct kd_error why = { 0 };
		enum kd_status s = kd__udp_send(p->fd, bytes, size, &to, &h->route, &why);

		p->is_blocked = s == KD_E_AGAIN;
		if (s == KD_E_AGAIN)
			return;
		/* As if it was lost on its way: it is repeated in its time. */
		h->not_sent += s != KD_OK;
		h->send_trouble = why;
		kd_net_output_done(&h->net, kd_now_ns());
	}
}

/* --- in --- */

static void keep(struct kd_net_host *h, const struct letter *letter)
{
	struct letter *copy = h->n_inbox < INBOX_MAX ? malloc(sizeof *copy) : NULL;

	if (!copy) { /* lost, as on the network */
		h->overflowed++;
		return;
	}
	*copy = *letter;
	h->inbox[h->n_inbox++] = copy;
}

static void note_stranger(struct kd_net_port *p)
{
	p->n_strange++;
	p->stranger = p->letter.from;
}

static void deliver(struct kd_net_port *p, const struct kd__udp_route *route)
{
	struct kd_net *nets[KD_NET_HOSTS_MAX];
	enum kd_status s;
	size_t i;

	for (i = 0; i < p->n_hosts; i++)
		nets[i] = &p->hosts[i]->net;
	if (p->n_hosts == 0)
		return;
	s = kd_net_feed_any(nets, p->n_hosts, &p->letter.from, p->letter.bytes, p->letter.size,
			    kd_now_ns(), &i);
	if (s == KD_E_MISMATCH)
		note_stranger(p);
	else if (s == KD_E_BUSY)
		keep(p->hosts[i], &p->letter);
	if (s == KD_OK || s == KD_E_BUSY)
		p->hosts[i]->route = *route;
}

static void receive(struct kd_net_port *p)
{
	struct kd__udp_route route;

	for (int n = 0; n < READS_MAX && p->over.status == KD_OK; n++) {
		struct kd_error why = { 0 };
		enum kd_status s = kd__udp_receive(p->fd, p->letter.bytes, sizeof p->letter.bytes,
						   &p->letter.size, &p->letter.from, &route, &why);

		if (s == KD_E_IO)
			p->over = why;
		if (s != KD_OK)
			return;
		deliver(p, &route);
	}
}

/* The machine has no events: what waited may be fed, as long as it makes none. */
static void feed_inbox(struct kd_net_host *h)
{
	size_t n = 0;

	while (n < h->n_inbox && kd_net_feed(&h->net, &h->inbox[n]->from, h->inbox[n]->bytes,
					     h->inbox[n]->size, kd_now_ns()) != KD_E_BUSY)
		free(h->inbox[n++]);
	h->n_inbox -= n;
	memmove(h->inbox, h->inbox + n, h->n_inbox * sizeof h->inbox[0]);
}

/* What describe() will say. */
static void note_event(struct kd_net_host *h, const struct kd_net_event *ev)
{
	if (ev->kind == KD_NET_SILENT)
		h->is_silent = true;
	else if (ev->kind == KD_NET_HEARD)
		h->is_silent = false;
	else if (ev->kind == KD_NET_TAKEN)
		h->is_taken = true;
	else if (ev->kind == KD_NET_CONNECTED)
		h->is_silent = h->is_taken = false;
	if (ev->kind == KD_NET_TAKEN)
		h->other = ev->peer;
	if (ev->kind == KD_NET_CONNECTED)
		h->version = ev->version;
}

static bool fetch(struct kd_net_host *h, struct kd_net_event *event_ret)
{
	if (!kd_net_next_event(&h->net, event_ret))
		return false;
	note_event(h, event_ret);
	return true;
}

static void serve_all(struct kd_net_port *p)
{
	uint64_t now = kd_now_ns();

	for (size_t i = 0; i < p->n_hosts; i++) {
		struct kd_net_host *h = p->hosts[i];

		if (now >= kd_net_deadline(&h->net))
			kd_net_timeout(&h->net, now);
		flush(h);
	}
}

/* One that waits already, in the machine or in the inbox; then what the port has. */
static bool find_event(struct kd_net_host *h, struct kd_net_event *event_ret)
{
	if (fetch(h, event_ret))
		return true;
	feed_inbox(h);
	if (fetch(h, event_ret))
		return true;
	receive(h->port);
	serve_all(h->port);
	return fetch(h, event_ret);
}

enum kd_status kd_net_host_next(struct kd_net_host *h, struct kd_net_event *event_ret,
				struct kd_error *err)
{
	const struct kd_error *over = &h->port->over;

	kd_net_hold(&h->net, false);
	if (find_event(h, event_ret)) {
		/* Its payload stays, whoever reads the port meanwhile. */
		kd_net_hold(&h->net, true);
		/* The peer should not wait for its ACK until the caller is done with this. */
		flush(h);
		return KD_OK;
	}
	if (over->status == KD_OK)
		return KD_E_AGAIN;
	return kd_error_set(err, over->status, 0, "net:port=%u: %s", h->port->number, over->text);
}

void kd_net_host_poll(const struct kd_net_host *h, struct kd_poll *ret)
{
	*ret = (struct kd_poll){
		.fd = h->port->fd,
		.want_read = true,
		.want_write = h->port->is_blocked,
		.is_ready = h->n_inbox || h->net.n_events || h->net.link.n_events ||
			    h->port->over.status != KD_OK,
		.deadline = kd_net_deadline(&h->net),
	};
}

enum kd_status kd_net_host_run(struct kd_net_host *h, uint64_t deadline,
			       const struct kd_cancel *cancel, struct kd_net_event *event_ret,
			       struct kd_error *err)
{
	for (;;) {
		enum kd_status s = kd_net_host_next(h, event_ret, err);
		struct kd_wait_fd fd;
		struct kd_poll poll;

		if (kd_cancel_is_set(cancel) && s == KD_E_AGAIN)
			return kd_error_set(err, KD_E_CANCELLED, 0, "cancelled");
		if (s != KD_E_AGAIN)
			return s;
		kd_net_host_poll(h, &poll);
		fd = (struct kd_wait_fd){ .fd = poll.fd,
					  .want_read = true,
					  .want_write = poll.want_write };
		s = kd_wait(&fd, 1, KD_MIN(deadline, poll.deadline), cancel, err);
		if (s != KD_OK && !(s == KD_E_TIMEOUT && poll.deadline < deadline))
			return s;
	}
}

/* --- the link --- */

enum kd_status kd_net_host_send(struct kd_net_host *h, uint16_t type, const uint8_t *header,
				size_t header_size, const uint8_t *data, size_t data_size)
{
	enum kd_status s = kd_net_link_send(kd_net_link(&h->net), type, header, header_size, data,
					    data_size, false, kd_now_ns());

	flush(h);
	return s;
}

void kd_net_host_cancel(struct kd_net_host *h)
{
	kd_net_link_cancel(kd_net_link(&h->net));
}

void kd_net_host_break_in(struct kd_net_host *h)
{
	kd_net_link_break_in(kd_net_link(&h->net), kd_now_ns());
	flush(h);
}

void kd_net_host_reset(struct kd_net_host *h)
{
	kd_net_link_reset(kd_net_link(&h->net), kd_now_ns());
	flush(h);
}

void kd_net_host_ask_resend(struct kd_net_host *h)
{
	kd_net_link_ask_resend(kd_net_link(&h->net), kd_now_ns());
	flush(h);
}

void kd_net_host_restart(struct kd_net_host *h)
{
	for (size_t i = 0; i < h->n_inbox; i++)
		free(h->inbox[i]);
	h->n_inbox = 0;
	h->is_silent = h->is_taken = false;
	kd_net_restart(&h->net, kd_now_ns());
}

bool kd_net_host_is_connected(const struct kd_net_host *h)
{
	return kd_net_is_connected(&h->net);
}

bool kd_net_host_is_busy(const struct kd_net_host *h)
{
	return kd_net_link_is_busy(&h->net.link);
}

bool kd_net_host_is_synced(const struct kd_net_host *h)
{
	return kd_net_link_is_synced(&h->net.link);
}

void kd_net_host_counters(const struct kd_net_host *h, struct kd_net_host_counters *ret)
{
	*ret = (struct kd_net_host_counters){
		.net = *kd_net_counters(&h->net),
		.link = *kd_net_link_counters(&h->net.link),
		.not_sent = h->not_sent,
		.overflowed = h->overflowed,
	};
}

void kd_net_host_describe(const struct kd_net_host *h, char *text, size_t size)
{
	const struct kd_net_port *p = h->port;
	struct kd_net_address peer = kd_net_peer(&h->net);
	char at[KD__ADDRESS_TEXT], who[KD__ADDRESS_TEXT];

	kd__net_address_text(&peer, at);
	if (h->is_taken)
		snprintf(text, size, "net:port=%u (%s has another debugger now, at %s)", p->number,
			 at, kd__net_address_text(&h->other, who));
	else if (h->is_silent)
		snprintf(text, size,
			 "net:port=%u (no word from %s: off, in its firmware, or cut off)",
			 p->number, at);
	else if (kd_net_is_connected(&h->net))
		snprintf(text, size, "net:port=%u (connected to %s, protocol %u)", p->number, at,
			 h->version);
	else if (h->send_trouble.status != KD_OK)
		snprintf(text, size, "net:port=%u (%s)", p->number, h->send_trouble.text);
	else if (p->n_strange)
		snprintf(text, size,
			 "net:port=%u (%s speaks KDNET, but not with this key: compare it with "
			 "bcdedit /dbgsettings there)",
			 p->number, kd__net_address_text(&p->stranger, who));
	else
		snprintf(
			text, size,
			"net:port=%u (nobody has come yet: hostip and port of bcdedit /dbgsettings "
			"in the target, and the firewall here)",
			p->number);
}
