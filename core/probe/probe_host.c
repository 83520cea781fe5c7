/* SPDX-License-Identifier: MIT */
#include "core/probe/probe_host.h"

#include "core/probe/probe_ring.h"

static uint32_t load(const struct kd_probe_host *h, uint32_t offset)
{
	return h->memory.ops->load(h->memory.context, offset);
}

static void store(const struct kd_probe_host *h, uint32_t offset, uint32_t value)
{
	h->memory.ops->store(h->memory.context, offset, value);
}

static void read(const struct kd_probe_host *h, uint32_t offset, void *to, uint32_t size)
{
	h->memory.ops->read(h->memory.context, offset, to, size);
}

enum kd_status kd_probe_host_shape(const struct kd_ring_memory *memory, uint32_t memory_size,
				   struct kd_probe_shape *ret)
{
	uint8_t page[0x40];
	enum kd_status s;

	memory->ops->read(memory->context, 0, page, sizeof page);
	s = kd_probe_shape_decode(ret, page);
	return s == KD_OK && ret->size > memory_size ? KD_E_MALFORMED : s;
}

enum kd_status kd_probe_host_attach(struct kd_probe_host *h, const struct kd_ring_memory *memory,
				    const struct kd_probe_shape *shape,
				    enum kd_probe_host_state state, uint32_t nonce, uint8_t *buffer,
				    uint32_t capacity)
{
	*h = (struct kd_probe_host){ .memory = *memory,
				     .shape = *shape,
				     .state = state,
				     .nonce = nonce,
				     .buffer = buffer,
				     .capacity = capacity };
	h->up_tail = load(h, KD_PROBE_AT_UP_HEAD);
	h->down_head = load(h, KD_PROBE_AT_DOWN_TAIL);
	if ((h->up_tail | h->down_head) % KD_PROBE_UNIT != 0)
		return KD_E_MALFORMED;
	store(h, KD_PROBE_AT_UP_TAIL, h->up_tail);
	store(h, KD_PROBE_AT_DOWN_HEAD, h->down_head);
	store(h, KD_PROBE_AT_HOST_CALLS, 0);
	kd_probe_host_beat(h);
	store(h, KD_PROBE_AT_HOST_STATE, (uint32_t)state);
	store(h, KD_PROBE_AT_HOST_NONCE, nonce); /* the last: from here on it is ours */
	return KD_OK;
}

void kd_probe_host_detach(struct kd_probe_host *h)
{
	store(h, KD_PROBE_AT_HOST_CALLS, 0);
	store(h, KD_PROBE_AT_HOST_NONCE, 0);
	store(h, KD_PROBE_AT_HOST_STATE, KD_PROBE_HOST_ABSENT);
}

void kd_probe_host_beat(struct kd_probe_host *h)
{
	store(h, KD_PROBE_AT_HOST_BEAT, ++h->beat);
}

void kd_probe_host_calls(struct kd_probe_host *h, uint32_t calls)
{
	store(h, KD_PROBE_AT_HOST_CALLS, calls);
}

enum kd_status kd_probe_host_check(const struct kd_probe_host *h)
{
	struct kd_probe_shape shape;
	uint8_t page[0x40];

	read(h, 0, page, sizeof page);
	if (kd_probe_shape_decode(&shape, page) != KD_OK || shape.boot != h->shape.boot ||
	    load(h, KD_PROBE_AT_HOST_NONCE) != h->nonce ||
	    load(h, KD_PROBE_AT_UP_TAIL) != h->up_tail ||
	    load(h, KD_PROBE_AT_DOWN_HEAD) != h->down_head ||
	    load(h, KD_PROBE_AT_HOST_BEAT) != h->beat)
		return KD_E_STALE;
	return KD_OK;
}

/* --- records --- */

static void give_back(struct kd_probe_host *h, uint32_t size)
{
	h->up_tail += size;
	store(h, KD_PROBE_AT_UP_TAIL, h->up_tail);
}

/* What was taken from the buffer is the guest's again; fetch what lies behind it. */
static enum kd_status refill(struct kd_probe_host *h)
{
	uint32_t used, to_end, size;

	if (h->at)
		give_back(h, h->at);
	h->at = h->filled = 0;
	if (!kd_probe_used(load(h, KD_PROBE_AT_UP_HEAD), h->up_tail, h->shape.up_size, &used))
		return KD_E_MALFORMED;
	if (used == 0)
		return KD_E_AGAIN;
	to_end = h->shape.up_size - (h->up_tail & (h->shape.up_size - 1));
	size = used < to_end ? used : to_end;
	if (size > h->capacity)
		size = h->capacity & ~(KD_PROBE_UNIT - 1u);
	read(h, h->shape.up + (h->up_tail & (h->shape.up_size - 1)), h->buffer, size);
	h->filled = size;
	return KD_OK;
}

void kd_probe_host_give_back(struct kd_probe_host *h)
{
	if (h->at == 0)
		return;
	give_back(h, h->at);
	h->at = h->filled = 0;
}

/* What lies at the buffer's place. KD_E_TRUNCATED: the buffer ends inside it. */
static enum kd_status look(struct kd_probe_host *h, struct kd_probe_w_record *ret,
			   uint32_t *advance_ret)
{
	uint32_t rest = h->filled - h->at, index = h->up_tail + h->at;
	uint32_t to_end = h->shape.up_size - (index & (h->shape.up_size - 1));
	enum kd_status s;

	if (rest == 0)
		return KD_E_TRUNCATED;
	/* the buffer may end where the ring does not: whether all is there is asked below */
	s = kd_probe_hdr_decode(ret, h->buffer + h->at, index, h->shape.up_size, h->shape.up_size,
				advance_ret);
	if (s == KD_E_MALFORMED || (s == KD_E_AGAIN && *advance_ret != to_end))
		return KD_E_MALFORMED;
	if (s == KD_OK && *advance_ret > rest)
		return KD_E_TRUNCATED;
	return s;
}

enum kd_status kd_probe_host_next(struct kd_probe_host *h, struct kd_probe_w_record *ret,
				  const uint8_t **payload_ret)
{
	uint32_t advance, used;
	bool is_fresh = false;

	for (;;) {
		enum kd_status s = look(h, ret, &advance);

		if (s == KD_OK)
			break;
		if (s == KD_E_AGAIN) {
			/* a skip mark: the rest of this lap is nothing */
			give_back(h, h->at + advance);
			h->at = h->filled = 0;
			if (!kd_probe_used(load(h, KD_PROBE_AT_UP_HEAD), h->up_tail,
					   h->shape.up_size, &used))
				return KD_E_MALFORMED;
			is_fresh = false;
			continue;
		}
		/* a record that is cut off although we have just fetched all there is: a lie */
		if (s == KD_E_MALFORMED || (is_fresh && h->at == 0))
			return KD_E_MALFORMED;
		s = refill(h);
		if (s != KD_OK)
			return s;
		is_fresh = true;
	}
	*payload_ret = h->buffer + h->at + KD_PROBE_HDR;
	h->at += advance;
	return KD_OK;
}

/* --- orders --- */

static void write(const struct kd_probe_host *h, uint32_t index, const void *from, uint32_t size)
{
	uint32_t at = index & (h->shape.down_size - 1);

	if (size)
		h->memory.ops->write(h->memory.context, h->shape.down + at, from, size);
}

enum kd_status kd_probe_host_put(struct kd_probe_host *h, const struct kd_probe_order *order)
{
	struct kd_probe_w_record record = { .type = order->type,
					    .item = order->item,
					    .flow = order->flow,
					    .payload_size = order->head_size + order->size };
	uint8_t hdr[KD_PROBE_HDR];
	struct kd_probe_slot slot;
	enum kd_status s;

	if (order->size > KD_PROBE_PAYLOAD_MAX ||
	    order->head_size > KD_PROBE_PAYLOAD_MAX - order->size)
		return KD_E_TOO_BIG;
	s = kd_probe_slot_find(h->down_head, load(h, KD_PROBE_AT_DOWN_TAIL), h->shape.down_size,
			       kd_probe_record_room(record.payload_size), 0, &slot);
	if (s != KD_OK)
		return s;
	if (slot.skip) {
		kd_probe_skip_encode(hdr, h->down_head);
		write(h, h->down_head, hdr, sizeof hdr);
	}
	kd_probe_hdr_encode(hdr, &record, slot.index);
	write(h, slot.index, hdr, sizeof hdr);
	write(h, slot.index + KD_PROBE_HDR, order->head, order->head_size);
	write(h, slot.index + KD_PROBE_HDR + order->head_size, order->bytes, order->size);
	h->down_head = slot.next;
	store(h, KD_PROBE_AT_DOWN_HEAD, h->down_head);
	return KD_OK;
}

void kd_probe_host_counters(const struct kd_probe_host *h,
			    uint64_t ret[KD_AT_LEAST(KD_PROBE_N_COUNTERS)])
{
	uint8_t bytes[KD_PROBE_N_COUNTERS * 8];

	read(h, KD_PROBE_AT_COUNTERS, bytes, sizeof bytes);
	for (uint32_t i = 0; i < KD_PROBE_N_COUNTERS; i++)
		ret[i] = kd_get64(bytes + i * 8);
}
