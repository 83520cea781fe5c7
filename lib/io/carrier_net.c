/* SPDX-License-Identifier: MIT */
/* KDNET as a carrier: the events of its sessions in the words of a link. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/net_datagram.h"
#include "lib/io/carrier.h"
#include "lib/io/net_port.h"
#include "lib/io/transport_private.h"

struct net_carrier {
	struct kd_carrier base; /* first */
	struct kd_net_host *host;
	struct kd_cancel *cancel;
};

static struct kd_net_host *host_of(struct kd_carrier *c)
{
	return ((struct net_carrier *)c)->host;
}

static const struct kd_net_host *host_of_const(const struct kd_carrier *c)
{
	return ((const struct net_carrier *)c)->host;
}

/* --- recordings: packets as a stream would carry them --- */

static void on_packet(void *context, bool is_to_target, const uint8_t *packet, size_t size)
{
	struct kd_carrier *c = context;
	uint8_t bytes[KD_NET_BODY_MAX + 1];
	bool has_trailer = size > KD_HDR_SIZE && kd_get32(packet) == KD_LEADER_DATA;

	if (size > KD_NET_BODY_MAX)
		return;
	memcpy(bytes, packet, size);
	bytes[size] = KD_BYTE_TRAILER;
	kd_transport_tap_note(c->transport, is_to_target, bytes, size + has_trailer);
}

/* --- events --- */

static void note(struct kd_carrier *c)
{
	kd_net_host_describe(host_of_const(c), c->notice, sizeof c->notice);
}

/* True: *ret is for the owner. */
static bool translate(struct kd_carrier *c, const struct kd_net_event *e, struct kd_link_event *ret)
{
	*ret = (struct kd_link_event){ .kind = KD_LINK_NOISE };
	switch (e->kind) {
	case KD_NET_LINK: *ret = e->link; return true;
	case KD_NET_CONNECTED:
		kd__transport_net_up(c->transport, true);
		ret->kind = KD_LINK_RESTARTED;
		return e->is_restart;
	case KD_NET_TAKEN: kd__transport_net_up(c->transport, false); break;
	case KD_NET_SILENT:
	case KD_NET_HEARD:
	case KD_NET_OTHER: break;
	}
	note(c);
	return true;
}

static enum kd_status run(struct kd_carrier *c, uint64_t deadline, struct kd_link_event *event_ret,
			  struct kd_error *err)
{
	struct net_carrier *n = (struct net_carrier *)c;
	struct kd_net_event e;
	enum kd_status status;

	do
		status = kd_net_host_run(n->host, deadline, n->cancel, &e, err);
	while (status == KD_OK && !translate(c, &e, event_ret));
	return status;
}

static enum kd_status send(struct kd_carrier *c, uint16_t type, const void *header,
			   size_t header_size, const void *data, size_t data_size)
{
	return kd_net_host_send(host_of(c), type, header, header_size, data, data_size);
}

static void cancel_packet(struct kd_carrier *c)
{
	kd_net_host_cancel(host_of(c));
}

static void break_in(struct kd_carrier *c)
{
	kd_net_host_break_in(host_of(c));
}

static void reset(struct kd_carrier *c)
{
	kd_net_host_reset(host_of(c));
}

static void ask_resend(struct kd_carrier *c)
{
	kd_net_host_ask_resend(host_of(c));
}

static bool is_busy(const struct kd_carrier *c)
{
	return kd_net_host_is_busy(host_of_const(c));
}

static bool is_synced(const struct kd_carrier *c)
{
	return kd_net_host_is_synced(host_of_const(c));
}

static void counters(const struct kd_carrier *c, struct kd_link_counters *ret)
{
	struct kd_net_host_counters all;

	kd_net_host_counters(host_of_const(c), &all);
	*ret = all.link;
	ret->rx_bytes = all.net.rx_bytes;
	ret->tx_bytes = all.net.tx_bytes;
}

static void describe(const struct kd_carrier *c, char *text, size_t size)
{
	kd_net_host_describe(host_of_const(c), text, size);
}

static void destroy(struct kd_carrier *c)
{
	kd_net_host_set_tap(host_of(c), NULL, NULL);
	kd_transport_destroy(c->transport);
	free(c);
}

static const struct kd_carrier_ops ops = { run,      send,       cancel_packet, break_in,
					   reset,    ask_resend, is_busy,       is_synced,
					   counters, NULL,       describe,      destroy };

enum kd_status kd_carrier_net_create(struct kd_transport *transport, struct kd_cancel *cancel,
				     struct kd_carrier **c_ret, struct kd_error *err)
{
	struct net_carrier *n = calloc(1, sizeof *n);

	if (!n) {
		kd_transport_destroy(transport);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	n->base = (struct kd_carrier){ .ops = &ops,
				       .transport = transport,
				       .read_max = KD_NET_READ_MAX };
	n->host = kd_transport_net_host(transport);
	n->cancel = cancel;
	kd_net_host_set_tap(n->host, on_packet, n);
	*c_ret = &n->base;
	return KD_OK;
}
