/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shark/traffic_private.h"

/* --- the ring, and what waits for room in it --- */

static enum kd_status put(struct kd_traffic *t, uint16_t type, uint64_t flow, uint64_t item,
			  const uint8_t *head, size_t head_size, const uint8_t *bytes, size_t size)
{
	return kd_probe_host_put(&t->host, &(struct kd_probe_order){
						   .type = type,
						   .flow = flow,
						   .item = item,
						   .head = head,
						   .head_size = (uint32_t)head_size,
						   .bytes = bytes,
						   .size = (uint32_t)size,
					   });
}

static enum kd_status keep(struct kd_traffic *t, const struct kd__order *like, const uint8_t *head,
			   size_t head_size, const uint8_t *bytes, size_t size,
			   struct kd_error *err)
{
	struct kd__order *order = NULL;

	if (head_size + size > KD__ORDER_BYTES_MAX - t->order_bytes)
		return kd_error_set(err, KD_E_FULL, 0,
				    "%zu bytes are on their way to the driver: try again",
				    t->order_bytes);
	order = malloc(sizeof *order + head_size + size);
	if (!order)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	*order = *like;
	order->next = NULL;
	order->size = head_size + size;
	kd_copy(order->bytes, head, head_size);
	kd_copy(order->bytes + head_size, bytes, size);
	if (t->last_order)
		t->last_order->next = order;
	else
		t->first_order = order;
	t->last_order = order;
	t->order_bytes += order->size;
	return KD_OK;
}

enum kd_status kd__traffic_order(struct kd_traffic *t, uint16_t type, uint64_t flow, uint64_t item,
				 const uint8_t *head, size_t head_size, const uint8_t *bytes,
				 size_t size, struct kd_error *err)
{
	enum kd_status s = KD_E_FULL;

	if (t->is_ended)
		return kd_error_set(err, KD_E_CLOSED, 0,
				    "the driver in the target is gone: stop and start again");
	kd__traffic_send_orders(t);
	if (!t->first_order && kd__traffic_is_reachable(t))
		s = put(t, type, flow, item, head, head_size, bytes, size);
	if (s == KD_E_FULL)
		return keep(t, &(struct kd__order){ .type = type, .flow = flow, .item = item },
			    head, head_size, bytes, size, err);
	if (s == KD_OK)
		return KD_OK;
	return kd_error_set(err, s, 0, "the driver's memory makes no sense");
}

void kd__traffic_send_orders(struct kd_traffic *t)
{
	while (t->first_order && kd__traffic_is_reachable(t)) {
		struct kd__order *order = t->first_order;

		if (put(t, order->type, order->flow, order->item, NULL, 0, order->bytes,
			order->size) == KD_E_FULL)
			return;
		t->first_order = order->next;
		if (!t->first_order)
			t->last_order = NULL;
		t->order_bytes -= order->size;
		free(order);
	}
}

void kd__traffic_drop_orders(struct kd_traffic *t)
{
	while (t->first_order) {
		struct kd__order *order = t->first_order;

		t->first_order = order->next;
		free(order);
	}
	t->last_order = NULL;
	t->order_bytes = 0;
}

/* --- what we say --- */

enum kd_status kd__traffic_order_policy(struct kd_traffic *t, struct kd_error *err)
{
	struct kd_probe_w_policy v = kd_probe_default_policy();
	uint8_t bytes[KD_PROBE_SIZE_policy];

	/* the driver has its own bounds for all of these */
	v.mode = (uint32_t)t->mode;
	v.is_fail_closed = t->options.fail_closed;
	if (t->options.hold_ms)
		v.hold_ms = t->options.hold_ms;
	if (t->options.silence_ms)
		v.silence_ms = t->options.silence_ms;
	kd_probe_w_policy_encode(bytes, &v);
	return kd__traffic_order(t, KD_PROBE_POLICY, 0, 0, bytes, sizeof bytes, NULL, 0, err);
}

enum kd_status kd__traffic_order_filter(struct kd_traffic *t, struct kd_error *err)
{
	static const size_t room = KD_PROBE_FILTER_ROOM;
	KD_CLEANUP(kd_freep) uint8_t *bytes = malloc(room);

	if (!bytes)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	return kd__traffic_order(t, KD_PROBE_FILTER, 0, 0, bytes,
				 kd_probe_filter_encode(bytes, &t->filter), NULL, 0, err);
}

enum kd_status kd__traffic_order_verdict(struct kd_traffic *t, struct kd__item *item,
					 enum kd_verdict verdict, const char *by,
					 struct kd_error *err)
{
	bool is_replaced = verdict == KD_VERDICT_PASS && item->is_edited;
	/* a hook does not look at what it resets: of a datagram that leaves the drop */
	bool is_drop = verdict == KD_VERDICT_RESET && item->flow->info.protocol != 6;
	struct kd_probe_w_verdict v = { .verdict = is_replaced ? KD_PROBE_REPLACE
						   : is_drop   ? KD_PROBE_DROP
							       : (uint32_t)verdict,
					.size = is_replaced ? (uint32_t)item->edited_size : 0 };
	uint8_t head[KD_PROBE_SIZE_verdict];
	enum kd_status s;

	kd_probe_w_verdict_encode(head, &v);
	s = kd__traffic_order(t, KD_PROBE_VERDICT, item->flow->info.id, item->id, head, sizeof head,
			      item->edited, v.size, err);
	if (s != KD_OK)
		return s;
	snprintf(item->by, sizeof item->by, "%s", by ? by : "user");
	kd__item_set_held(t, item, false);
	return KD_OK;
}
