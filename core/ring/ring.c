/* SPDX-License-Identifier: MIT */
#include "core/ring/ring.h"

#include "core/bytes.h"

/* Where a direction has its indices and its bytes. */
struct lane {
	uint32_t at_head, at_tail, at_data;
};

static const struct lane lanes[] = {
	[KD_RING_G2H] = { KD_RING_AT_G2H_HEAD, KD_RING_AT_G2H_TAIL, KD_RING_PAGE },
	[KD_RING_H2G] = { KD_RING_AT_H2G_HEAD, KD_RING_AT_H2G_TAIL, KD_RING_PAGE + KD_RING_SIZE },
};

/* --- memory --- */

static uint32_t direct_load(void *context, uint32_t offset)
{
	return __atomic_load_n((const uint32_t *)(const void *)((const char *)context + offset),
			       __ATOMIC_ACQUIRE);
}

static void direct_store(void *context, uint32_t offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)((char *)context + offset), value, __ATOMIC_RELEASE);
}

static void direct_read(void *context, uint32_t offset, void *to, size_t size)
{
	kd_copy(to, (const char *)context + offset, size);
}

static void direct_write(void *context, uint32_t offset, const void *from, size_t size)
{
	kd_copy((char *)context + offset, from, size);
}

static void direct_fence(void *context)
{
	(void)context;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static const struct kd_ring_memory_ops direct = { direct_load, direct_store, direct_read,
						  direct_write, direct_fence };

struct kd_ring_memory kd_ring_memory_direct(void *pages)
{
	return (struct kd_ring_memory){ &direct, pages };
}

uint64_t kd_ring_load64(const struct kd_ring_memory *m, uint32_t offset)
{
	uint32_t low = m->ops->load(m->context, offset);

	return low | (uint64_t)m->ops->load(m->context, offset + 4) << 32;
}

void kd_ring_store64(const struct kd_ring_memory *m, uint32_t offset, uint64_t value)
{
	m->ops->store(m->context, offset, (uint32_t)value);
	m->ops->store(m->context, offset + 4, (uint32_t)(value >> 32));
}

/* --- the byte rings --- */

static void copy_in(const struct kd_ring_memory *m, const struct lane *l, uint32_t index,
		    const void *from, size_t size)
{
	uint32_t at = index % KD_RING_SIZE;
	size_t first = KD_RING_SIZE - at;

	if (first > size)
		first = size;
	if (first)
		m->ops->write(m->context, l->at_data + at, from, first);
	if (size > first)
		m->ops->write(m->context, l->at_data, (const char *)from + first, size - first);
}

static void copy_out(const struct kd_ring_memory *m, const struct lane *l, uint32_t index, void *to,
		     size_t size)
{
	uint32_t at = index % KD_RING_SIZE;
	size_t first = KD_RING_SIZE - at;

	if (first > size)
		first = size;
	if (first)
		m->ops->read(m->context, l->at_data + at, to, first);
	if (size > first)
		m->ops->read(m->context, l->at_data, (char *)to + first, size - first);
}

/* False: no two sides that follow the rules leave indices like these. */
static bool used_between(uint32_t head, uint32_t tail, uint32_t *used_ret)
{
	*used_ret = head - tail;
	return *used_ret <= KD_RING_SIZE && (head | tail) % KD_RING_UNIT == 0;
}

bool kd_ring_indices(const struct kd_ring_memory *m, enum kd_ring_direction direction,
		     uint32_t *head_ret, uint32_t *tail_ret)
{
	uint32_t head = m->ops->load(m->context, lanes[direction].at_head), used;
	uint32_t tail = m->ops->load(m->context, lanes[direction].at_tail);

	if (head_ret)
		*head_ret = head;
	if (tail_ret)
		*tail_ret = tail;
	return used_between(head, tail, &used);
}

static uint32_t record_size(size_t payload)
{
	return (uint32_t)((KD_RING_RECORD_HDR + payload + KD_RING_UNIT - 1) & ~(KD_RING_UNIT - 1u));
}

/*
 * Each record carries its place in the endless stream: what a consumer reads after the memory went
 * back in time, or from an earlier lap, does not fit to its index.
 */
static uint32_t place_of(uint32_t index)
{
	return index / KD_RING_UNIT;
}

enum kd_status kd_ring_put(const struct kd_ring_memory *m, enum kd_ring_direction direction,
			   uint32_t *head, uint16_t type, const void *header, size_t header_size,
			   const void *data, size_t data_size)
{
	const struct lane *l = &lanes[direction];
	uint8_t hdr[KD_RING_RECORD_HDR];
	uint32_t used, total;

	if (header_size > KD_RING_PAYLOAD_MAX || data_size > KD_RING_PAYLOAD_MAX - header_size)
		return KD_E_TOO_BIG;
	total = record_size(header_size + data_size);
	if (!used_between(*head, m->ops->load(m->context, l->at_tail), &used))
		return KD_E_MALFORMED;
	if (KD_RING_SIZE - used < total)
		return KD_E_FULL;
	kd_put32(hdr, total);
	kd_put16(hdr + 4, type);
	kd_put16(hdr + 6, (uint16_t)header_size);
	kd_put32(hdr + 8, (uint32_t)(header_size + data_size));
	kd_put32(hdr + 12, place_of(*head));
	copy_in(m, l, *head, hdr, sizeof hdr);
	copy_in(m, l, *head + KD_RING_RECORD_HDR, header, header_size);
	copy_in(m, l, *head + KD_RING_RECORD_HDR + (uint32_t)header_size, data, data_size);
	*head += total;
	m->ops->store(m->context, l->at_head, *head);
	return KD_OK;
}

static bool record_fits(const uint8_t *hdr, uint32_t tail, uint32_t used,
			struct kd_ring_record *ret)
{
	*ret = (struct kd_ring_record){ .type = kd_get16(hdr + 4),
					.header_size = kd_get16(hdr + 6),
					.size = kd_get32(hdr + 8) };
	return ret->size <= KD_RING_PAYLOAD_MAX && ret->header_size <= ret->size &&
	       kd_get32(hdr) == record_size(ret->size) && kd_get32(hdr) <= used &&
	       kd_get32(hdr + 12) == place_of(tail);
}

enum kd_status kd_ring_take(const struct kd_ring_memory *m, enum kd_ring_direction direction,
			    uint32_t *tail, struct kd_ring_record *ret, uint8_t *payload)
{
	const struct lane *l = &lanes[direction];
	uint8_t hdr[KD_RING_RECORD_HDR];
	uint32_t used;

	if (!used_between(m->ops->load(m->context, l->at_head), *tail, &used))
		return KD_E_MALFORMED;
	if (used == 0)
		return KD_E_AGAIN;
	copy_out(m, l, *tail, hdr, sizeof hdr);
	if (!record_fits(hdr, *tail, used, ret))
		return KD_E_MALFORMED;
	copy_out(m, l, *tail + KD_RING_RECORD_HDR, payload, ret->size);
	*tail += record_size(ret->size);
	m->ops->store(m->context, l->at_tail, *tail);
	return KD_OK;
}
