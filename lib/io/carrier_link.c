/* SPDX-License-Identifier: MIT */
/* The serial link as a carrier: core/link, a transport, and the pump between them. */
#include <stdio.h>
#include <stdlib.h>

#include "core/wire/message.h"
#include "lib/io/carrier.h"
#include "lib/io/pump.h"

enum { VM_ACK_WAIT_MS = 300, VM_BYTE_GAP_MS = 40 };

struct link_carrier {
	struct kd_carrier base; /* first */
	struct kd_link link;
	struct kd_pump pump;
};

static struct link_carrier *of(struct kd_carrier *c)
{
	return (struct link_carrier *)c;
}

static const struct link_carrier *of_const(const struct kd_carrier *c)
{
	return (const struct link_carrier *)c;
}

static enum kd_status run(struct kd_carrier *c, uint64_t deadline, struct kd_link_event *event_ret,
			  struct kd_error *err)
{
	return kd_pump_run(&of(c)->pump, deadline, event_ret, err);
}

static enum kd_status send(struct kd_carrier *c, uint16_t type, const void *header,
			   size_t header_size, const void *data, size_t data_size)
{
	return kd_link_send(&of(c)->link, type, header, header_size, data, data_size, false,
			    kd_now_ns());
}

static void cancel_packet(struct kd_carrier *c)
{
	kd_link_cancel(&of(c)->link);
}

static void break_in(struct kd_carrier *c)
{
	kd_link_break_in(&of(c)->link, kd_now_ns());
}

static void reset(struct kd_carrier *c)
{
	kd_link_reset(&of(c)->link, kd_now_ns());
}

static void ask_resend(struct kd_carrier *c)
{
	kd_link_ask_resend(&of(c)->link, kd_now_ns());
}

static bool is_busy(const struct kd_carrier *c)
{
	return kd_link_is_busy(&of_const(c)->link);
}

static bool is_synced(const struct kd_carrier *c)
{
	return kd_link_is_synced(&of_const(c)->link);
}

static void counters(const struct kd_carrier *c, struct kd_link_counters *ret)
{
	*ret = *kd_link_counters(&of_const(c)->link);
}

static void describe(const struct kd_carrier *c, char *text, size_t size)
{
	snprintf(text, size, "%s",
		 kd_transport_info(c->transport)->is_replay ? "recording" : "serial line");
}

static void destroy(struct kd_carrier *c)
{
	kd_transport_destroy(c->transport);
	free(c);
}

static const struct kd_carrier_ops ops = { run,      send,       cancel_packet, break_in,
					   reset,    ask_resend, is_busy,       is_synced,
					   counters, NULL,       describe,      destroy };

enum kd_status kd_carrier_link_create(struct kd_transport *transport, struct kd_cancel *cancel,
				      struct kd_carrier **c_ret, struct kd_error *err)
{
	const struct kd_transport_info *info = kd_transport_info(transport);
	struct link_carrier *c = calloc(1, sizeof *c);
	struct kd_link_config cfg;

	if (!c) {
		kd_transport_destroy(transport);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	c->base =
		(struct kd_carrier){ .ops = &ops, .transport = transport, .read_max = KD_READ_MAX };
	kd_link_config_init(&cfg, KD_LINK_DEBUGGER, info->is_serial_line);
	if (info->is_vm_socket) {
		/* An emulated UART has no line to wait for: a loss is noticed sooner. */
		cfg.ack_wait = VM_ACK_WAIT_MS * (uint64_t)KD_NS_PER_MS;
		cfg.byte_gap = VM_BYTE_GAP_MS * (uint64_t)KD_NS_PER_MS;
	}
	kd_link_init(&c->link, &cfg);
	kd_pump_init(&c->pump, transport, &c->link, cancel);
	*c_ret = &c->base;
	return KD_OK;
}
