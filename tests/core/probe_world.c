/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/core/probe_world.h"

enum { EDITED = 1u << 30, INJECTED = 1u << 31 };

uint32_t pw_random(struct probe_world *w, uint32_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)(w->random >> 11) % below;
}

void pw_init(struct probe_world *w, uint64_t seed)
{
	struct kd_probe_shape shape = { .size = PW_MEMORY,
					.up = KD_PROBE_PAGE,
					.up_size = PW_UP,
					.down = KD_PROBE_PAGE + PW_UP,
					.down_size = PW_DOWN,
					.boot = seed };

	memset(w, 0, sizeof *w);
	w->random = seed * 2654435761u + 1;
	w->now = 1000;
	w->host.next_nonce = 7;
	kd_probe_init(&w->probe, w->memory, &shape, 8);
}

/* --- payloads: number, direction, filler --- */

static struct kd_probe_item *make_item(struct probe_world *w, uint32_t size)
{
	struct kd_probe_item *item = calloc(1, sizeof *item);

	item->data = malloc(size + 1);
	item->size = size;
	w->items++;
	return item;
}

static void free_item(struct probe_world *w, struct kd_probe_item *item)
{
	if (!item)
		return;
	free_item(w, item->replacement);
	free(item->data);
	free(item);
	w->items--;
}

static void free_all(struct probe_world *w, struct kd_probe_item *all)
{
	while (all) {
		struct kd_probe_item *next = all->next;

		free_item(w, all);
		all = next;
	}
}

static void write_payload(uint8_t *to, uint32_t number, uint32_t size)
{
	memset(to, (int)(number & 0xFF), size);
	if (size >= 8) {
		kd_put32(to, number);
		kd_put32(to + 4, size);
	}
}

static struct pw_flow *flow_of(struct kd_probe_flow *flow)
{
	return (struct pw_flow *)(void *)((char *)flow - offsetof(struct pw_flow, flow));
}

/* At the other end of the stream. */
static void arrive(struct pw_lane *lane, const uint8_t *bytes, uint32_t size)
{
	uint32_t number;

	assert_true(size >= 8);
	number = kd_get32(bytes);
	assert_int_equal(kd_get32(bytes + 4), size);
	for (uint32_t i = 8; i < size; i++)
		if (bytes[i] != (number & 0xFF))
			fail_msg("payload %u is damaged at %u", number, i);
	if (number & INJECTED) {
		lane->n_injected++;
		return;
	}
	if (number & EDITED)
		lane->n_edited++;
	number &= ~(uint32_t)EDITED;
	/* in order; what is missing was dropped */
	assert_true(number >= lane->arrived_next && number < lane->sent);
	lane->arrived_next = number + 1;
	lane->n_arrived++;
}

/* --- programs --- */

void pw_open(struct probe_world *w, unsigned flow, bool is_udp)
{
	static const uint8_t path[] = "\\device\\harddiskvolume1\\demo\\worker.exe";
	struct pw_flow *f = &w->flows[flow];
	struct kd_probe_facts facts = {
		.family = flow % 2 ? 6 : 4,
		.protocol = is_udp ? 17 : 6,
		.direction = flow % 3 == 0,
		.local = { 10, 0, 2, 15 },
		.remote = { 10, 0, 2, 2 },
		.local_port = (uint16_t)(49152 + flow),
		.remote_port = 80,
		.pid = 100 + flow,
		.path = path,
		.path_size = sizeof path - 1,
	};

	memset(f, 0, sizeof *f);
	f->is_open = true;
	kd_probe_flow_open(&w->probe, &f->flow, &facts, w->now);
}

void pw_close(struct probe_world *w, unsigned flow)
{
	struct pw_flow *f = &w->flows[flow];

	free_all(w, kd_probe_flow_close(&w->probe, &f->flow, KD_PROBE_CLOSE_ENDED, w->now));
	f->is_open = f->is_known = false;
}

bool pw_send(struct probe_world *w, unsigned flow, enum kd_probe_direction direction, uint32_t size)
{
	struct pw_flow *f = &w->flows[flow];
	struct pw_lane *lane = &f->lanes[direction];
	bool is_udp = f->flow.facts.protocol == 17;
	uint32_t number = lane->sent;
	struct kd_probe_item *item = make_item(w, size);
	uint8_t *to;

	item->flags = (uint16_t)((direction == KD_PROBE_IN ? KD_PROBE_INBOUND : 0) |
				 (is_udp ? KD_PROBE_DATAGRAM : 0));
	item->pid = f->flow.facts.pid;
	write_payload(item->data, number, size);
	switch (kd_probe_look(&w->probe, &f->flow, direction, size)) {
	case KD_PROBE_DEFER:
		assert_true(direction == KD_PROBE_IN && !is_udp);
		lane->is_deferred = true;
		free_item(w, item);
		return false;
	case KD_PROBE_ITEM:
		lane->sent++;
		if (kd_probe_submit(&w->probe, &f->flow, item, w->now)) {
			lane->was_absorbed = !is_udp;
			return true;
		}
		break;
	case KD_PROBE_COPY:
		to = kd_probe_show_begin(&w->probe, &f->flow, size, w->now);
		if (to) {
			memcpy(to, item->data, size);
			kd_probe_show_end(&w->probe, &f->flow, item, w->now);
		}
		lane->sent++;
		break;
	default: lane->sent++; break;
	}
	/* the Filtering Platform's contract: never back to inline */
	assert_false(lane->was_absorbed);
	arrive(lane, item->data, item->size);
	free_item(w, item);
	return true;
}

/* --- the driver --- */

static void take_orders(struct probe_world *w)
{
	static uint8_t payload[KD_PROBE_PAYLOAD_MAX];
	struct kd_probe_w_record record;

	while (kd_probe_take(&w->probe, &record, payload) == KD_OK) {
		struct kd_probe_item *spare = NULL;
		uint32_t size;

		if (kd_probe_needs_spare(&record, payload, &size))
			spare = make_item(w, size);
		kd_probe_apply(&w->probe, &record, payload, &spare, w->now);
		free_item(w, spare);
	}
}

static void do_work(struct probe_world *w, const struct kd_probe_work *work)
{
	struct pw_lane *lane = &flow_of(work->flow)->lanes[work->direction];
	const struct kd_probe_item *bytes = work->item;

	switch (work->kind) {
	case KD_PROBE_SEND_ON:
		if (bytes->replacement)
			bytes = bytes->replacement;
		arrive(lane, bytes->data, bytes->size);
		break;
	case KD_PROBE_DISCARD: lane->n_dropped++; break;
	case KD_PROBE_CONTINUE:
		assert_true(lane->is_deferred);
		lane->is_deferred = false;
		break;
	case KD_PROBE_ABORT: break;
	}
	if (work->kind == KD_PROBE_SEND_ON)
		kd_probe_sent(&w->probe, work->flow, work->direction, work->item->size);
	free_item(w, work->item);
}

void pw_work(struct probe_world *w)
{
	struct kd_probe_work work;

	take_orders(w);
	kd_probe_tick(&w->probe, w->now);
	while (kd_probe_next_work(&w->probe, &work, w->now))
		do_work(w, &work);
}

/* --- the host --- */

void pw_attach(struct probe_world *w, enum kd_probe_mode mode)
{
	struct pw_host *h = &w->host;
	struct kd_ring_memory memory = kd_ring_memory_direct(w->memory);
	struct kd_probe_shape shape;

	assert_int_equal(kd_probe_host_shape(&memory, PW_MEMORY, &shape), KD_OK);
	assert_int_equal(kd_probe_host_attach(&h->end, &memory, &shape, KD_PROBE_HOST_RING,
					      h->next_nonce++, h->buffer, sizeof h->buffer),
			 KD_OK);
	h->is_alive = true;
	h->is_synced = false;
	h->n_held = 0;
	for (unsigned i = 0; i < PW_FLOWS; i++)
		w->flows[i].is_known = false;
	pw_policy(w, mode);
}

static enum kd_status put(struct pw_host *h, uint16_t type, uint64_t flow, uint64_t item,
			  const uint8_t *head, uint32_t head_size, const uint8_t *bytes,
			  uint32_t size)
{
	return kd_probe_host_put(&h->end, &(struct kd_probe_order){ type, flow, item, head,
								    head_size, bytes, size });
}

void pw_policy(struct probe_world *w, enum kd_probe_mode mode)
{
	struct kd_probe_w_policy v = { .mode = mode,
				       .hold_ms = 300000,
				       .silence_ms = 2000,
				       .flow_held_max = 1 << 20,
				       .held_max = 32 << 20,
				       .defer_above = 64 << 10,
				       .continue_below = 16 << 10 };
	uint8_t payload[KD_PROBE_SIZE_policy];

	kd_probe_w_policy_encode(payload, &v);
	assert_int_equal(put(&w->host, KD_PROBE_POLICY, 0, 0, payload, sizeof payload, NULL, 0),
			 KD_OK);
}

static struct pw_flow *find_flow(struct probe_world *w, uint64_t id)
{
	for (unsigned i = 0; i < PW_FLOWS; i++)
		if (w->flows[i].flow.id == id)
			return &w->flows[i];
	return NULL;
}

static void remember(struct pw_host *h, const struct kd_probe_w_record *record, uint32_t number)
{
	if (h->n_held == sizeof h->held / sizeof h->held[0])
		return; /* forgotten: the guest's limits take care of it */
	h->held[h->n_held].item = record->item;
	h->held[h->n_held].flow = record->flow;
	h->held[h->n_held].is_inbound = (record->flags & KD_PROBE_INBOUND) != 0;
	h->held[h->n_held++].number = number;
}

static void forget(struct pw_host *h, uint64_t item)
{
	for (unsigned i = 0; i < h->n_held; i++)
		if (h->held[i].item == item) {
			h->held[i] = h->held[--h->n_held];
			return;
		}
}

static void hear_data(struct probe_world *w, const struct kd_probe_w_record *record,
		      const uint8_t *payload)
{
	struct pw_flow *f = find_flow(w, record->flow);

	if (record->flags & KD_PROBE_RST)
		return;
	assert_true(record->payload_size >= 8);
	assert_int_equal(kd_get32(payload + 4), record->payload_size);
	if (f && f->is_open)
		assert_true(f->is_known); /* announced before its data */
	if (!(record->flags & KD_PROBE_AGAIN))
		w->host.received++;
	if (record->flags & KD_PROBE_HELD)
		remember(&w->host, record, kd_get32(payload));
}

static void hear(struct probe_world *w, const struct kd_probe_w_record *record,
		 const uint8_t *payload)
{
	struct pw_flow *f = find_flow(w, record->flow);
	struct kd_probe_w_loss loss;
	struct kd_probe_w_sync sync;

	switch (record->type) {
	case KD_PROBE_FLOW_OPEN:
		if (f)
			f->is_known = true;
		break;
	case KD_PROBE_FLOW_CLOSE: w->host.closes++; break;
	case KD_PROBE_DATA: hear_data(w, record, payload); break;
	case KD_PROBE_LOSS:
		kd_probe_w_loss_decode(&loss, payload);
		w->host.lost += loss.items;
		break;
	case KD_PROBE_APPLIED:
		forget(&w->host, record->item);
		w->host.applied++;
		break;
	case KD_PROBE_SYNC:
		kd_probe_w_sync_decode(&sync, payload);
		w->host.syncs += sync.is_end;
		w->host.is_synced = sync.is_end;
		if (!sync.is_end)
			w->host.n_held = 0;
		break;
	default: fail_msg("record of type %u", record->type);
	}
}

/* KD_E_FULL is fine: the item stays held and is decided another time. */
static bool decide(struct probe_world *w, unsigned at)
{
	struct pw_host *h = &w->host;
	struct kd_probe_w_verdict v = { .verdict = KD_PROBE_PASS };
	uint8_t head[KD_PROBE_SIZE_verdict], bytes[3000];
	uint64_t flow = h->held[at].flow, item = h->held[at].item;

	if (h->forget && pw_random(w, h->forget) == 0) {
		h->held[at] = h->held[--h->n_held];
		return true;
	}
	if (h->drop && pw_random(w, h->drop) == 0) {
		v.verdict = KD_PROBE_DROP;
	} else if (h->edit && pw_random(w, h->edit) == 0) {
		v.verdict = KD_PROBE_REPLACE;
		v.size = 8 + pw_random(w, sizeof bytes - 8);
		write_payload(bytes, h->held[at].number | EDITED, v.size);
	}
	kd_probe_w_verdict_encode(head, &v);
	if (put(h, KD_PROBE_VERDICT, flow, item, head, sizeof head, bytes, v.size) != KD_OK)
		return false;
	h->held[at] = h->held[--h->n_held];
	return true;
}

static void inject(struct probe_world *w)
{
	struct pw_host *h = &w->host;
	struct pw_flow *f = &w->flows[pw_random(w, PW_FLOWS)];
	struct kd_probe_w_inject v = { .direction = (uint8_t)pw_random(w, 2),
				       .size = 8 + pw_random(w, 500) };
	uint8_t head[KD_PROBE_SIZE_inject], bytes[600];

	if (!f->is_open)
		return;
	write_payload(bytes, INJECTED, v.size);
	kd_probe_w_inject_encode(head, &v);
	put(h, KD_PROBE_INJECT, f->flow.id, UINT64_C(1) << 63 | h->next_cookie++, head, sizeof head,
	    bytes, v.size);
	/* from now on nothing of a stream's lane may pass inline, once the guest has read this */
}

void pw_host_step(struct probe_world *w)
{
	struct pw_host *h = &w->host;
	struct kd_probe_w_record record;
	const uint8_t *payload;
	enum kd_status s;

	if (!h->is_alive)
		return;
	assert_int_equal(kd_probe_host_check(&h->end), KD_OK);
	while ((s = kd_probe_host_next(&h->end, &record, &payload)) == KD_OK)
		hear(w, &record, payload);
	assert_int_equal(s, KD_E_AGAIN);
	kd_probe_host_beat(&h->end);
	for (unsigned n = h->n_held ? pw_random(w, h->n_held + 1) : 0; n && h->n_held; n--)
		if (!decide(w, pw_random(w, h->n_held)))
			break;
	if (h->inject && pw_random(w, h->inject) == 0)
		inject(w);
}

/* --- the end --- */

void pw_check_all_arrived(struct probe_world *w)
{
	for (unsigned i = 0; i < PW_FLOWS; i++) {
		struct pw_flow *f = &w->flows[i];

		for (int d = 0; f->is_open && d < 2; d++) {
			struct pw_lane *lane = &f->lanes[d];

			if (lane->n_arrived + lane->n_dropped != lane->sent)
				fail_msg("flow %u direction %d: %u sent, %u arrived, %u dropped", i,
					 d, lane->sent, lane->n_arrived, lane->n_dropped);
			assert_false(lane->is_deferred);
		}
	}
	assert_int_equal(w->probe.held, 0);
	assert_null(w->probe.oldest);
}

void pw_end(struct probe_world *w)
{
	for (unsigned i = 0; i < PW_FLOWS; i++)
		if (w->flows[i].is_open)
			pw_close(w, i);
	assert_int_equal(w->items, 0);
	assert_null(w->probe.first_flow);
	assert_null(w->probe.first_ready);
}
