/* SPDX-License-Identifier: MIT */
/*
 * What the link tells its owner. The parser stops as soon as an event waits, so the ring only has
 * to hold what one step can cause: at most NOISE, BREAKIN, ACKED, RESTARTED and PACKET from a
 * packet, or BREAKIN, RESEND_ASKED and GAVE_UP from a time-out.
 */
#include "core/link/link_internal.h"

static struct kd_link_queued_event *push(struct kd_link *l, enum kd_link_event_kind kind)
{
	size_t i = (size_t)(l->event_head + l->n_events) % KD_LINK_N_EVENTS;

	l->n_events++;
	l->events[i] = (struct kd_link_queued_event){ .kind = (uint8_t)kind };
	return &l->events[i];
}

void kd__link_event(struct kd_link *l, enum kd_link_event_kind kind)
{
	push(l, kind);
}

/* The caller flushes before the buffer is full: kd__link_noise_flush() starts it anew. */
void kd__link_noise_add(struct kd_link *l, uint8_t byte)
{
	l->noise[l->noise_size++] = byte;
}

void kd__link_noise_flush(struct kd_link *l)
{
	if (!l->noise_size)
		return;
	push(l, KD_LINK_NOISE)->length = l->noise_size;
	l->noise_size = 0;
}

static bool is_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

/* Type and payload are those of the last delivered packet; the ids may differ. */
bool kd__link_is_repeat(const struct kd_link *l, const struct kd_packet_hdr *hdr,
			const uint8_t *payload)
{
	return l->last_valid && l->last_type == hdr->type && l->last_size == hdr->length &&
	       is_equal(l->last, payload, hdr->length);
}

void kd__link_deliver(struct kd_link *l, const struct kd_packet_hdr *hdr, const uint8_t *payload)
{
	bool repeat = !l->sent_since && kd__link_is_repeat(l, hdr, payload);
	struct kd_link_queued_event *ev = push(l, KD_LINK_PACKET);

	ev->type = hdr->type;
	ev->id = hdr->id;
	ev->length = hdr->length;
	ev->repeat = repeat;
	kd_copy(l->last, payload, hdr->length);
	l->last_valid = true;
	l->last_type = hdr->type;
	l->last_id = hdr->id;
	l->last_size = hdr->length;
	l->acked_since = false;
	l->sent_since = false;
	l->counters.rx_packets++;
}

static const uint8_t *payload_of(const struct kd_link *l, const struct kd_link_queued_event *ev)
{
	return ev->kind == KD_LINK_PACKET ? l->last : ev->kind == KD_LINK_NOISE ? l->noise : NULL;
}

bool kd_link_next_event(struct kd_link *l, struct kd_link_event *event_ret)
{
	const struct kd_link_queued_event *ev = &l->events[l->event_head];

	/* Bytes taken before an event stopped the parser may hold more packets. */
	if (!l->n_events && !l->rx_want)
		l->rx_want = kd__link_parse(l);
	if (!l->n_events)
		return false;
	*event_ret = (struct kd_link_event){
		.kind = (enum kd_link_event_kind)ev->kind,
		.repeat = ev->repeat,
		.type = ev->type,
		.id = ev->id,
		.payload = payload_of(l, ev),
		.length = ev->length,
	};
	l->event_head = (uint8_t)((l->event_head + 1) % KD_LINK_N_EVENTS);
	l->n_events--;
	return true;
}
