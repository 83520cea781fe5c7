/* SPDX-License-Identifier: MIT */
#include "core/probe/probe_ring.h"

bool kd_probe_used(uint32_t head, uint32_t tail, uint32_t ring_size, uint32_t *used_ret)
{
	*used_ret = head - tail;
	return *used_ret <= ring_size && (head | tail) % KD_PROBE_UNIT == 0;
}

enum kd_status kd_probe_slot_find(uint32_t head, uint32_t tail, uint32_t ring_size, uint32_t room,
				  uint32_t spare, struct kd_probe_slot *ret)
{
	uint32_t used, to_end = ring_size - (head & (ring_size - 1));
	uint32_t skip = room > to_end ? to_end : 0;

	if (room > ring_size / 2)
		return KD_E_TOO_BIG;
	if (!kd_probe_used(head, tail, ring_size, &used))
		return KD_E_MALFORMED;
	if (ring_size - used < skip + room + spare)
		return KD_E_FULL;
	*ret = (struct kd_probe_slot){ skip, head + skip, head + skip + room };
	return KD_OK;
}

static uint32_t place_of(uint32_t index)
{
	return index / KD_PROBE_UNIT;
}

void kd_probe_hdr_encode(uint8_t out[KD_AT_LEAST(KD_PROBE_HDR)], struct kd_probe_w_record *v,
			 uint32_t index)
{
	v->size = KD_PROBE_HDR + v->payload_size;
	v->place = place_of(index);
	kd_probe_w_record_encode(out, v);
}

void kd_probe_skip_encode(uint8_t out[KD_AT_LEAST(KD_PROBE_HDR)], uint32_t index)
{
	struct kd_probe_w_record v = { .size = KD_PROBE_SKIP, .place = place_of(index) };

	kd_probe_w_record_encode(out, &v);
}

enum kd_status kd_probe_hdr_decode(struct kd_probe_w_record *ret,
				   const uint8_t in[KD_AT_LEAST(KD_PROBE_HDR)], uint32_t tail,
				   uint32_t used, uint32_t ring_size, uint32_t *advance_ret)
{
	uint32_t to_end = ring_size - (tail & (ring_size - 1)), room;

	kd_probe_w_record_decode(ret, in);
	if (ret->place != place_of(tail))
		return KD_E_MALFORMED;
	if (ret->size == KD_PROBE_SKIP) {
		/* at the very beginning it would never end */
		*advance_ret = to_end;
		return to_end < used && to_end < ring_size ? KD_E_AGAIN : KD_E_MALFORMED;
	}
	if (ret->payload_size > KD_PROBE_PAYLOAD_MAX ||
	    ret->size != KD_PROBE_HDR + ret->payload_size)
		return KD_E_MALFORMED;
	room = kd_probe_record_room(ret->payload_size);
	*advance_ret = room;
	return room <= used && room <= to_end ? KD_OK : KD_E_MALFORMED;
}
