/* SPDX-License-Identifier: MIT */
/*
 * The driver's portable half with a hostile host: any word and byte of the shared memory may be the
 * fuzzer's at any time, and so may the records in the ring. Oracle: no access outside the memory,
 * bounded work, every payload either passes, comes out as work in the order of its lane, or comes
 * back when its flow ends, once; nothing is left or counted at the end; and a host that is gone
 * holds nothing up.
 */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/probe/probe_guest.h"
#include "core/probe/probe_ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	UP = 256 * 1024,
	DOWN = 256 * 1024,
	MEMORY = KD_PROBE_PAGE + UP + DOWN,
	FLOWS = 5,
	TICK_MAX = 60 * 10000000, /* 100 ns */
};

struct flow {
	struct kd_probe_flow flow;
	bool is_open, is_dead;
	uint32_t next_number[2], next_out[2]; /* by direction: payloads given, and come out */
	uint32_t given_sent[2];
};

struct world {
	const uint8_t *data;
	size_t size;
	struct kd_probe probe;
	uint8_t *memory;
	uint8_t payload[KD_PROBE_PAYLOAD_MAX];
	struct flow flows[FLOWS];
	uint64_t now;
	unsigned items; /* allocated */
};

static uint8_t next(struct world *w)
{
	if (!w->size)
		return 0;
	w->size--;
	return *w->data++;
}

static uint32_t next32(struct world *w)
{
	uint32_t v = next(w);

	v |= (uint32_t)next(w) << 8;
	return v << next(w) % 17;
}

/* --- items: `tid` is their number; they are exactly as large as they say --- */

static struct kd_probe_item *make(struct world *w, uint32_t size)
{
	struct kd_probe_item *item = calloc(1, sizeof *item);

	item->data = malloc(size ? size : 1);
	memset(item->data, 0x55, size);
	item->size = size;
	w->items++;
	return item;
}

static void drop(struct world *w, struct kd_probe_item *item)
{
	if (!item)
		return;
	drop(w, item->replacement);
	free(item->data);
	free(item);
	w->items--;
}

static struct flow *flow_of(struct kd_probe_flow *flow)
{
	return (struct flow *)(void *)((char *)flow - offsetof(struct flow, flow));
}

/* In order, none twice; injected ones have no number. */
static void comes_out(struct flow *f, int direction, const struct kd_probe_item *item)
{
	if (item->verdict == KD_PROBE_INJECTED)
		return;
	if (item->tid < f->next_out[direction] || item->tid >= f->next_number[direction])
		abort();
	f->next_out[direction] = item->tid + 1;
}

static void end_all(struct world *w, struct kd_probe_item *all)
{
	while (all) {
		struct kd_probe_item *after = all->next;

		drop(w, all);
		all = after;
	}
}

/* --- what the system does --- */

static void open_flow(struct world *w, struct flow *f)
{
	static const uint8_t path[] = "\\device\\harddiskvolume1\\x.exe";
	uint8_t how = next(w);
	struct kd_probe_facts facts = { .family = how & 1 ? 4 : 6,
					.protocol = how & 2 ? 6 : 17,
					.direction = how >> 2 & 1,
					.is_loopback = (how & 8) != 0,
					.local_port = 1000,
					.remote_port = (uint16_t)next32(w),
					.pid = how,
					.path_size = sizeof path - 1,
					.path = path };

	memset(f, 0, sizeof *f);
	f->is_open = true;
	kd_probe_flow_open(&w->probe, &f->flow, &facts, w->now);
}

static void close_flow(struct world *w, struct flow *f)
{
	end_all(w, kd_probe_flow_close(&w->probe, &f->flow, KD_PROBE_CLOSE_ENDED, w->now));
	f->is_open = false;
}

static void payload(struct world *w, struct flow *f)
{
	uint8_t how = next(w);
	enum kd_probe_direction direction = how & 1 ? KD_PROBE_IN : KD_PROBE_OUT;
	bool is_tcp = f->flow.facts.protocol == 6, is_end = is_tcp && (how & 0x30) == 0x30;
	uint32_t size = is_end ? 0 : next32(w) % (KD_PROBE_BYTES_MAX + 1);
	struct kd_probe_item *item;
	uint8_t *to;

	item = make(w, size);
	item->flags = (uint16_t)((direction == KD_PROBE_IN ? KD_PROBE_INBOUND : 0) |
				 (is_end ? KD_PROBE_FIN : 0) | (is_tcp ? 0 : KD_PROBE_DATAGRAM));
	item->tid = f->next_number[direction];
	item->must_queue = !is_tcp && (how & 0x40) != 0;
	switch (kd_probe_look(&w->probe, &f->flow, direction, size)) {
	case KD_PROBE_DEFER: drop(w, item); return;
	case KD_PROBE_ITEM:
		f->next_number[direction]++;
		if (kd_probe_submit(&w->probe, &f->flow, item, w->now))
			return;
		break;
	case KD_PROBE_COPY:
		to = kd_probe_show_begin(&w->probe, &f->flow, size, w->now);
		if (to &&
		    (to < w->memory + KD_PROBE_PAGE || to + size > w->memory + KD_PROBE_PAGE + UP))
			abort();
		if (to) {
			memset(to, 0x33, size);
			kd_probe_show_end(&w->probe, &f->flow, item, w->now);
		}
		f->next_number[direction]++;
		break;
	default: f->next_number[direction]++; break;
	}
	/* it passes: nothing before it may wait (of a stream) */
	if (is_tcp && f->flow.lanes[direction].first)
		abort();
	comes_out(f, direction, item);
	drop(w, item);
}

/* --- what the driver's worker does --- */

static void take_orders(struct world *w)
{
	struct kd_probe_w_record record;
	unsigned n = 0;

	while (kd_probe_take(&w->probe, &record, w->payload) == KD_OK) {
		struct kd_probe_item *spare = NULL;
		uint32_t size;

		if (n++ > DOWN / KD_PROBE_UNIT)
			abort(); /* more than fits into the ring */
		if (kd_probe_needs_spare(&record, w->payload, &size) && next(w) % 8)
			spare = make(w, size);
		kd_probe_apply(&w->probe, &record, w->payload, &spare, w->now);
		drop(w, spare);
	}
}

static void work(struct world *w)
{
	struct kd_probe_work work;

	kd_probe_tick(&w->probe, w->now);
	while (kd_probe_next_work(&w->probe, &work, w->now)) {
		struct flow *f = flow_of(work.flow);

		if (!f->is_open)
			abort();
		if (work.item)
			comes_out(f, (int)work.direction, work.item);
		if (work.kind == KD_PROBE_SEND_ON) {
			if (next(w) % 8 == 0)
				kd_probe_work_failed(&w->probe, &work, 0xC0000001, w->now);
			kd_probe_sent(&w->probe, work.flow, work.direction, work.item->size);
		}
		drop(w, work.item);
	}
}

/* --- what the host does --- */

static void scribble(struct world *w)
{
	uint32_t at = next32(w) % MEMORY, n = 1 + next(w) % 16;

	for (; n && at < MEMORY; n--)
		w->memory[at++] = next(w);
}

static void put_word(struct world *w)
{
	static const uint32_t places[] = { KD_PROBE_AT_UP_TAIL,    KD_PROBE_AT_DOWN_HEAD,
					   KD_PROBE_AT_HOST_STATE, KD_PROBE_AT_HOST_NONCE,
					   KD_PROBE_AT_HOST_BEAT,  KD_PROBE_AT_HOST_CALLS };

	kd_put32(w->memory + places[next(w) % 6], next32(w));
}

/* An honest reader. */
static void read_all(struct world *w)
{
	kd_put32(w->memory + KD_PROBE_AT_UP_TAIL, kd_get32(w->memory + KD_PROBE_AT_UP_HEAD));
	kd_put32(w->memory + KD_PROBE_AT_HOST_BEAT,
		 kd_get32(w->memory + KD_PROBE_AT_HOST_BEAT) + 1);
}

static void attach(struct world *w)
{
	kd_put32(w->memory + KD_PROBE_AT_UP_TAIL, kd_get32(w->memory + KD_PROBE_AT_UP_HEAD));
	kd_put32(w->memory + KD_PROBE_AT_DOWN_HEAD, kd_get32(w->memory + KD_PROBE_AT_DOWN_TAIL));
	kd_put32(w->memory + KD_PROBE_AT_HOST_STATE, KD_PROBE_HOST_RING);
	kd_put32(w->memory + KD_PROBE_AT_HOST_NONCE, next32(w) | 1);
}

/* A record whose header is right and whose rest is the fuzzer's, or nearly an honest order. */
static void order(struct world *w)
{
	static const uint16_t types[] = { KD_PROBE_VERDICT, KD_PROBE_INJECT, KD_PROBE_FLOW_MODE,
					  KD_PROBE_FILTER,  KD_PROBE_POLICY, KD_PROBE_DATA };
	uint32_t head = kd_get32(w->memory + KD_PROBE_AT_DOWN_HEAD) & ~(KD_PROBE_UNIT - 1u);
	uint32_t at = head & (DOWN - 1), n = next(w) % 64,
		 more = next(w) % 4 ? 0 : next32(w) % 3000;
	struct kd_probe_w_record record = { .type = types[next(w) % 6],
					    .flow = next(w) % 8,
					    .item = next(w),
					    .payload_size = n + more };
	uint8_t *to = w->memory + KD_PROBE_PAGE + UP + at;
	uint32_t room = kd_probe_record_room(record.payload_size);

	if (at + room > DOWN) {
		kd_probe_skip_encode(to, head);
		kd_put32(w->memory + KD_PROBE_AT_DOWN_HEAD, head + DOWN - at);
		return;
	}
	kd_probe_hdr_encode(to, &record, head);
	for (uint32_t i = 0; i < n; i++)
		to[KD_PROBE_HDR + i] = next(w);
	kd_put32(w->memory + KD_PROBE_AT_DOWN_HEAD, head + room);
}

/* --- all of it --- */

static void check(const struct world *w)
{
	uint32_t held = 0;

	for (unsigned i = 0; i < FLOWS; i++)
		for (int d = 0; w->flows[i].is_open && d < 2; d++) {
			const struct kd_probe_lane *lane = &w->flows[i].flow.lanes[d];
			uint32_t queued = 0;

			for (const struct kd_probe_item *item = lane->first; item;
			     item = item->next)
				queued += item->size;
			if (queued != lane->queued || lane->sent != 0)
				abort();
			held += queued;
		}
	if (held != w->probe.held)
		abort();
}

static void step(struct world *w)
{
	struct flow *f = &w->flows[next(w) % FLOWS];

	switch (next(w) % 12) {
	case 0:
		if (f->is_open)
			close_flow(w, f);
		else
			open_flow(w, f);
		break;
	case 1:
	case 2:
	case 3:
		if (!f->is_open)
			open_flow(w, f);
		payload(w, f);
		break;
	case 4: take_orders(w); break;
	case 5: work(w); break;
	case 6: scribble(w); break;
	case 7: put_word(w); break;
	case 8: read_all(w); break;
	case 9: attach(w); break;
	case 10: order(w); break;
	default: w->now += next32(w) % TICK_MAX; break;
	}
	check(w);
}

/* The host leaves: whatever it did before, all goes on. */
static void host_leaves(struct world *w)
{
	kd_put32(w->memory + KD_PROBE_AT_HOST_STATE, KD_PROBE_HOST_ABSENT);
	work(w);
	for (unsigned i = 0; i < FLOWS; i++)
		if (w->flows[i].is_open &&
		    (w->flows[i].flow.lanes[0].first || w->flows[i].flow.lanes[1].first))
			abort();
	if (w->probe.held || kd_probe_is_holding(&w->probe))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kd_probe_shape shape = { .size = MEMORY,
					.up = KD_PROBE_PAGE,
					.up_size = UP,
					.down = KD_PROBE_PAGE + UP,
					.down_size = DOWN,
					.boot = 1 };
	struct world *w = calloc(1, sizeof *w);

	w->data = data;
	w->size = size;
	w->now = 1000000;
	w->memory = calloc(1, MEMORY);
	kd_probe_init(&w->probe, w->memory, &shape, 8);
	attach(w);
	while (w->size)
		step(w);
	host_leaves(w);
	for (unsigned i = 0; i < FLOWS; i++)
		if (w->flows[i].is_open)
			close_flow(w, &w->flows[i]);
	if (w->items || w->probe.counters[KD_PROBE_N_FLOWS_NOW] ||
	    w->probe.counters[KD_PROBE_N_HELD_NOW])
		abort();
	free(w->memory);
	free(w);
	return 0;
}
