/* SPDX-License-Identifier: MIT */
/*
 * The link against bytes, time and its owner. Two halves, chosen by the first byte:
 *
 * - alone: one link of either role is fed arbitrary bytes, time steps and calls in any order;
 * - two peers: a debugger's and a target's link talk to each other while the input decides what
 *   happens to the bytes between them and what the owners do.
 *
 * Oracles: the invariants of link.c after every step; no call runs away (output and events that a
 * call can cause are bounded); payloads are in bounds (ASan); time-outs that are due make
 * progress; at the end of the second half, on a good line, the two still find together.
 */
#include <stdlib.h>
#include <string.h>

#include "core/link/link_internal.h"

#define MS ((uint64_t)KD_NS_PER_MS)

/* What no single step may exceed. */
enum { EVENTS_MAX = 4096, OUTPUT_MAX = 16 * KD_PACKET_MAX, WIRE_SIZE = 1 << 16 };

struct input {
	const uint8_t *p;
	size_t left;
};

static uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct kd_link *l)
{
	must(!kd__link_check(l));
}

struct end {
	struct kd_link link;
	uint8_t wire[WIRE_SIZE]; /* written, not yet arrived at the other end */
	size_t wire_size;
	uint64_t n_packets;
	unsigned sum; /* of what events pointed at */
};

static void drain_events(struct end *e)
{
	struct kd_link_event ev;
	size_t n = 0;

	while (kd_link_next_event(&e->link, &ev)) {
		must(++n < EVENTS_MAX);
		must(ev.length <= KD_PAYLOAD_ACCEPT);
		for (size_t i = 0; i < ev.length; i++)
			e->sum += ev.payload[i];
		e->n_packets += ev.kind == KD_LINK_PACKET;
		check(&e->link);
	}
}

/* `most`: partial writes. */
static void drain_output(struct end *e, size_t most, uint64_t now)
{
	const uint8_t *bytes;
	size_t size, total = 0;

	while ((bytes = kd_link_next_output(&e->link, &size))) {
		must(size > 0 && size <= KD_PACKET_MAX);
		size = size < most ? size : most;
		total += size;
		must(total < OUTPUT_MAX);
		if (e->wire_size + size <= WIRE_SIZE) {
			memcpy(e->wire + e->wire_size, bytes, size);
			e->wire_size += size;
		}
		kd_link_output_done(&e->link, size, now);
		check(&e->link);
	}
}

static void feed(struct end *e, const uint8_t *bytes, size_t size, uint64_t now)
{
	size_t n = 0, stuck = 0;

	while (n < size) {
		size_t taken = kd_link_feed(&e->link, bytes + n, size - n, now);

		must(taken <= size - n);
		stuck = taken ? 0 : stuck + 1;
		must(stuck < 2);
		n += taken;
		check(&e->link);
		drain_events(e);
	}
}

static void serve_timeouts(struct end *e, uint64_t now)
{
	uint64_t due;
	size_t n = 0;

	while ((due = kd_link_deadline(&e->link)) <= now) {
		must(++n < EVENTS_MAX);
		kd_link_timeout(&e->link, now);
		check(&e->link);
		drain_events(e);
		drain_output(e, SIZE_MAX, now);
	}
}

static void call(struct end *e, struct input *in, uint64_t now)
{
	static uint8_t payload[KD_PAYLOAD_MAX];
	uint8_t what = take(in), arg = take(in);
	size_t size = (size_t)arg * 15;

	memset(payload, what, size);
	switch (what % 10) {
	case 0:
	case 1:
	case 2:
		(void)kd_link_send(&e->link, (uint16_t)(1 + arg % 11), payload, size / 2,
				   payload + size / 2, size - size / 2, what & 0x80, now);
		break;
	case 3: kd_link_cancel(&e->link); break;
	case 4: kd_link_break_in(&e->link, now); break;
	case 5: kd_link_reset(&e->link, now); break;
	case 6: kd_link_ask_resend(&e->link, now); break;
	case 7: kd_link_restart(&e->link, now); break;
	case 8: kd_link_want(&e->link, arg % 12); break;
	case 9: (void)kd_link_poll_byte(&e->link, arg, now); break;
	}
	check(&e->link);
}

static void init(struct end *e, enum kd_link_role role, uint8_t flags)
{
	struct kd_link_config cfg;

	kd_link_config_init(&cfg, role, flags & 1);
	cfg.has_trailer = !(flags & 2);
	kd_link_init(&e->link, &cfg);
	e->wire_size = 0;
	e->n_packets = 0;
}

/* Whole headers are rare by chance: bytes that repair the start of what follows. */
static void feed_packet(struct end *e, struct input *in, uint64_t now)
{
	uint8_t bytes[KD_HDR_SIZE + 256 + 1], flags = take(in);
	struct kd_packet_hdr hdr = {
		.leader = flags & 1 ? KD_LEADER_CONTROL : KD_LEADER_DATA,
		.type = take(in) % 13,
		.length = flags & 1 ? 0 : take(in),
		.id = KD_PACKET_ID_INITIAL | (flags & 2 ? 1 : 0) | (flags & 4 ? 0x800 : 0),
	};
	size_t size = KD_HDR_SIZE;

	for (size_t i = 0; i < hdr.length; i++)
		bytes[size++] = take(in);
	hdr.checksum = kd_checksum(bytes + KD_HDR_SIZE, hdr.length) + (flags & 8 ? 1 : 0);
	kd_packet_hdr_encode(bytes, &hdr);
	if (hdr.length)
		bytes[size++] = flags & 16 ? 0xAB : KD_BYTE_TRAILER;
	if (flags & 32)
		size -= take(in) % size;
	feed(e, bytes, size, now);
}

static void alone(struct input *in, uint8_t flags)
{
	static struct end e;
	uint64_t now = MS;

	init(&e, flags & 4 ? KD_LINK_TARGET : KD_LINK_DEBUGGER, flags);
	while (in->left) {
		uint8_t step = take(in);
		size_t n = step >> 2;

		switch (step & 3) {
		case 0:
			n = n < in->left ? n : in->left;
			feed(&e, in->p, n, now);
			in->p += n;
			in->left -= n;
			break;
		case 1: feed_packet(&e, in, now); break;
		case 2:
			now += n * 20 * MS;
			serve_timeouts(&e, now);
			break;
		case 3: call(&e, in, now); break;
		}
		if (take(in) & 1)
			drain_output(&e, 1 + n, now);
		e.wire_size = 0;
	}
}

/* Up to n bytes arrive, one of them damaged as the input wants. */
static void deliver(struct end *from, struct end *to, size_t n, uint8_t how, uint64_t now)
{
	uint8_t bytes[512];

	n = n < from->wire_size ? n : from->wire_size;
	n = n < sizeof(bytes) ? n : sizeof(bytes);
	memcpy(bytes, from->wire, n);
	from->wire_size -= n;
	memmove(from->wire, from->wire + n, from->wire_size);
	if (n && (how & 3) == 1)
		bytes[how % n] ^= (uint8_t)(1 << (how >> 5));
	if (n && (how & 3) == 2)
		n--;
	feed(to, bytes, n, now);
}

/* A good line, and owners that only want one packet through: it must come. */
static void settle(struct end *ends, uint64_t now)
{
	uint64_t before = ends[0].n_packets;

	kd_link_cancel(&ends[1].link);
	for (int i = 0; i < 4000 && ends[0].n_packets == before; i++) {
		(void)kd_link_send(&ends[1].link, KD_PACKET_STATE_CHANGE64,
				   (const uint8_t *)"0000iiiibbbb", 12, NULL, 0, false, now);
		for (int k = 0; k < 2; k++) {
			drain_output(&ends[k], SIZE_MAX, now);
			while (ends[k].wire_size)
				deliver(&ends[k], &ends[!k], 512, 0, now);
		}
		now += 50 * MS;
		serve_timeouts(&ends[0], now);
		serve_timeouts(&ends[1], now);
	}
	must(ends[0].n_packets > before);
}

static void two_peers(struct input *in, uint8_t flags)
{
	static struct end ends[2];
	uint64_t now = MS;

	init(&ends[0], KD_LINK_DEBUGGER, flags);
	init(&ends[1], KD_LINK_TARGET, flags);
	while (in->left) {
		uint8_t step = take(in), arg = take(in);
		struct end *a = &ends[step & 1], *b = &ends[!(step & 1)];

		switch (step >> 1 & 3) {
		case 0: deliver(a, b, step >> 3, arg, now); break;
		case 1: deliver(a, b, 512, 0, now); break;
		case 2:
			now += arg * 8 * MS;
			serve_timeouts(a, now);
			break;
		case 3: call(a, in, now); break;
		}
		drain_output(a, 1 + (arg & 63), now);
		drain_output(b, SIZE_MAX, now);
	}
	kd_link_want(&ends[0].link, 0);
	kd_link_want(&ends[1].link, 0);
	settle(ends, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t flags = take(&in);

	if (flags & 8)
		two_peers(&in, flags);
	else
		alone(&in, flags);
	return 0;
}
