/* SPDX-License-Identifier: MIT */
#include "core/probe/probe_headers.h"

enum {
	PROTOCOL_TCP = 6,
	IP4_SIZE = 20,
	IP6_SIZE = 40,
	TCP_SIZE = 20,
	UDP_SIZE = 8,
	TTL = 128,
	WINDOW = 65535,
};

/* Headers go in network order. */
static void put_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, v >> 16);
	put_be16(p + 2, v);
}

static void make_ip4(uint8_t *p, const struct kd_probe_facts *facts, const uint8_t *from,
		     const uint8_t *to, uint32_t size)
{
	kd_zero(p, IP4_SIZE);
	p[0] = 0x45;
	put_be16(p + 2, IP4_SIZE + size);
	p[6] = 0x40; /* do not fragment: nothing here has been on a wire */
	p[8] = TTL;
	p[9] = facts->protocol;
	kd_copy(p + 12, from, 4);
	kd_copy(p + 16, to, 4);
}

static void make_ip6(uint8_t *p, const struct kd_probe_facts *facts, const uint8_t *from,
		     const uint8_t *to, uint32_t size)
{
	kd_zero(p, 8);
	p[0] = 0x60;
	put_be16(p + 4, size);
	p[6] = facts->protocol;
	p[7] = TTL;
	kd_copy(p + 8, from, 16);
	kd_copy(p + 24, to, 16);
}

static void make_tcp(uint8_t *p, const struct kd_probe_segment *segment)
{
	put_be32(p, segment->seq);
	put_be32(p + 4, segment->ack);
	p[8] = TCP_SIZE / 4 << 4;
	p[9] = segment->tcp_flags;
	put_be16(p + 10, WINDOW);
	kd_zero(p + 12, 4);
}

void kd_probe_headers_make(struct kd_probe_headers *ret, const struct kd_probe_facts *facts,
			   enum kd_probe_direction direction,
			   const struct kd_probe_segment *segment)
{
	bool is_out = direction == KD_PROBE_OUT;
	const uint8_t *from = is_out ? facts->local : facts->remote;
	const uint8_t *to = is_out ? facts->remote : facts->local;
	uint32_t rest = facts->protocol == PROTOCOL_TCP ? TCP_SIZE : UDP_SIZE;
	uint8_t *p;

	ret->ip_size = facts->family == 4 ? IP4_SIZE : IP6_SIZE;
	ret->size = (uint8_t)(ret->ip_size + rest);
	if (facts->family == 4)
		make_ip4(ret->bytes, facts, from, to, rest + segment->payload_size);
	else
		make_ip6(ret->bytes, facts, from, to, rest + segment->payload_size);
	p = ret->bytes + ret->ip_size;
	put_be16(p, is_out ? facts->local_port : facts->remote_port);
	put_be16(p + 2, is_out ? facts->remote_port : facts->local_port);
	if (facts->protocol == PROTOCOL_TCP) {
		make_tcp(p + 4, segment);
	} else {
		put_be16(p + 4, UDP_SIZE + segment->payload_size);
		put_be16(p + 6, 0);
	}
}

/* --- the Internet checksum: RFC 1071 --- */

static uint32_t add_words(uint32_t sum, const uint8_t *p, uint32_t size)
{
	uint64_t wide = 0;

	for (; size >= 4; p += 4, size -= 4)
		wide += (uint32_t)(p[0] << 8 | p[1]) + (uint32_t)(p[2] << 8 | p[3]);
	for (; size >= 2; p += 2, size -= 2)
		wide += (uint32_t)(p[0] << 8 | p[1]);
	if (size)
		wide += (uint32_t)p[0] << 8;
	wide += sum;
	while (wide >> 16)
		wide = (wide & 0xFFFF) + (wide >> 16);
	return (uint32_t)wide;
}

static uint16_t finish(uint32_t sum)
{
	return (uint16_t)~sum;
}

/* Addresses, protocol and size: what the transport's checksum covers beside its own bytes. */
static uint32_t pseudo_sum(const struct kd_probe_headers *h, uint8_t protocol, uint32_t size)
{
	uint32_t addresses_at = h->ip_size == IP4_SIZE ? 12 : 8;
	uint8_t tail[8] = { 0 };

	put_be32(tail, size);
	tail[7] = protocol;
	return add_words(add_words(0, h->bytes + addresses_at, h->ip_size - addresses_at), tail,
			 sizeof tail);
}

void kd_probe_headers_sum(struct kd_probe_headers *h, const uint8_t *payload, uint32_t size)
{
	uint8_t *p = h->bytes + h->ip_size;
	uint8_t protocol = h->bytes[h->ip_size == IP4_SIZE ? 9 : 6];
	uint32_t rest = h->size - (uint32_t)h->ip_size;
	uint8_t *at = p + (protocol == PROTOCOL_TCP ? 16 : 6);
	uint16_t sum;

	if (h->ip_size == IP4_SIZE) {
		put_be16(h->bytes + 10, 0);
		put_be16(h->bytes + 10, finish(add_words(0, h->bytes, IP4_SIZE)));
	}
	put_be16(at, 0);
	sum = finish(
		add_words(add_words(pseudo_sum(h, protocol, rest + size), p, rest), payload, size));
	/* UDP writes its zero as 0xFFFF: 0 says that there is no sum */
	put_be16(at, sum == 0 && protocol != PROTOCOL_TCP ? 0xFFFF : sum);
}

bool kd_probe_headers_is_fixed(const struct kd_probe_headers *h, uint32_t offset, uint32_t size)
{
	/* half-open ranges that change, from the start of their header */
	static const struct {
		uint8_t first, end;
	} ip4[] = { { 2, 6 }, { 10, 12 } }, ip6[] = { { 4, 6 } }, tcp[] = { { 4, 14 }, { 16, 18 } },
	  udp[] = { { 4, 8 } };
	bool is_tcp = h->size - h->ip_size == TCP_SIZE, is_ip4 = h->ip_size == IP4_SIZE;
	uint32_t end = offset + size;

	if (end < offset || end > h->size)
		return false;
#define TOUCHES(table, base)                                                             \
	for (size_t i = 0; i < sizeof(table) / sizeof((table)[0]); i++)                  \
		if (offset < (base) + (table)[i].end && (base) + (table)[i].first < end) \
			return false;
	if (is_ip4) {
		TOUCHES(ip4, 0u)
	} else {
		TOUCHES(ip6, 0u)
	}
	if (is_tcp) {
		TOUCHES(tcp, (uint32_t)h->ip_size)
	} else {
		TOUCHES(udp, (uint32_t)h->ip_size)
	}
#undef TOUCHES
	return true;
}
