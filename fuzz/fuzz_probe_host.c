/* SPDX-License-Identifier: MIT */
/*
 * The debugger's end and all that it makes of a guest's traffic, with a hostile guest: the shared
 * memory is the fuzzer's, records are well-formed, nearly so, or nonsense. Beside it a user who
 * looks, edits, decides, injects and has a stream written. Oracle: no access outside the memory, no
 * growth beyond the tables' limits, bounded work, all freed at the end.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/probe/probe_ring.h"
#include "lib/shark/traffic_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	UP = 256 * 1024,
	DOWN = 256 * 1024,
	MEMORY = KD_PROBE_PAGE + UP + DOWN,
};

struct guest {
	const uint8_t *data;
	size_t size;
	uint8_t *memory;
	struct kd_traffic *t;
};

static uint8_t next(struct guest *g)
{
	if (!g->size)
		return 0;
	g->size--;
	return *g->data++;
}

static uint32_t next32(struct guest *g)
{
	uint32_t v = next(g);

	v |= (uint32_t)next(g) << 8;
	return v << next(g) % 17;
}

/* --- the memory --- */

static void check(uint32_t offset, size_t size)
{
	if (offset > MEMORY || size > MEMORY - offset)
		abort();
}

static uint32_t load(void *context, uint32_t offset)
{
	struct guest *g = context;

	check(offset, 4);
	return kd_get32(g->memory + offset);
}

static void store(void *context, uint32_t offset, uint32_t value)
{
	struct guest *g = context;

	check(offset, 4);
	kd_put32(g->memory + offset, value);
}

static void read_bytes(void *context, uint32_t offset, void *to, size_t size)
{
	struct guest *g = context;

	check(offset, size);
	memcpy(to, g->memory + offset, size);
}

static void write_bytes(void *context, uint32_t offset, const void *from, size_t size)
{
	struct guest *g = context;

	check(offset, size);
	if (size)
		memcpy(g->memory + offset, from, size);
}

static void fence(void *context)
{
	(void)context;
}

static const struct kd_ring_memory_ops ops = { load, store, read_bytes, write_bytes, fence };

/* --- the guest --- */

static void record(struct guest *g)
{
	uint32_t head = kd_get32(g->memory + KD_PROBE_AT_UP_HEAD) & ~(KD_PROBE_UNIT - 1u);
	uint32_t at = head & (UP - 1), n = next(g) % 128,
		 more = next(g) % 4 ? 0 : next32(g) % 70000;
	struct kd_probe_w_record v = { .type = next(g) % 10,
				       .flags = (uint16_t)next32(g),
				       .flow = next(g) % 8,
				       .item = next(g) % 32 | (uint64_t)(next(g) & 1) << 63,
				       .pid = next(g),
				       .time = next32(g),
				       .payload_size = n + more };
	uint8_t *to = g->memory + KD_PROBE_PAGE + at;
	uint32_t room = kd_probe_record_room(v.payload_size);

	if (at + room > UP) {
		kd_probe_skip_encode(to, head);
		kd_put32(g->memory + KD_PROBE_AT_UP_HEAD, head + UP - at);
		return;
	}
	kd_probe_hdr_encode(to, &v, head);
	for (uint32_t i = 0; i < n; i++)
		to[KD_PROBE_HDR + i] = next(g);
	kd_put32(g->memory + KD_PROBE_AT_UP_HEAD, head + room);
}

/* What an honest driver says of a flow; the rest works with flows that are known. */
static void open_flow(struct guest *g)
{
	uint8_t how = next(g);
	struct kd_probe_w_flow_open v = { .family = how & 1 ? 4 : 6,
					  .protocol = how & 2 ? 6 : 17,
					  .direction = how >> 2 & 1,
					  .flags = how >> 3 & 3,
					  .local_port = next(g) % 4,
					  .remote_port = next(g) % 4 };
	struct kd_probe_w_record r = { .type = KD_PROBE_FLOW_OPEN,
				       .flow = next(g) % 8,
				       .payload_size = KD_PROBE_SIZE_flow_open };
	uint8_t payload[KD_PROBE_SIZE_flow_open];

	kd_probe_w_flow_open_encode(payload, &v);
	kd__traffic_hear(g->t, &r, payload);
}

/* So many come and go that closed ones are forgotten, whatever still hangs on them. */
static void churn(struct guest *g)
{
	struct kd_probe_w_flow_open open = { .family = 4, .protocol = 6 };
	struct kd_probe_w_flow_close closed = { .reason = 1 };
	struct kd_probe_w_record r = { 0 };
	uint8_t payload[KD_PROBE_SIZE_flow_open + KD_PROBE_SIZE_flow_close];

	for (unsigned i = 0; i <= KD__CLOSED_MAX; i++) {
		r.flow = 1000 + i;
		r.type = KD_PROBE_FLOW_OPEN;
		r.payload_size = KD_PROBE_SIZE_flow_open;
		kd_probe_w_flow_open_encode(payload, &open);
		kd__traffic_hear(g->t, &r, payload);
		r.type = KD_PROBE_FLOW_CLOSE;
		r.payload_size = KD_PROBE_SIZE_flow_close;
		kd_probe_w_flow_close_encode(payload, &closed);
		kd__traffic_hear(g->t, &r, payload);
	}
}

static void scribble(struct guest *g)
{
	uint32_t at = next(g) & 1 ? next(g) * 2u : next32(g) % MEMORY, n = 1 + next(g) % 16;

	for (; n && at < MEMORY; n--)
		g->memory[at++] = next(g);
}

static void mend(struct guest *g)
{
	struct kd_probe_shape shape = { .size = MEMORY,
					.up = KD_PROBE_PAGE,
					.up_size = UP,
					.down = KD_PROBE_PAGE + UP,
					.down_size = DOWN,
					.boot = next(g) };

	memset(g->memory, 0, KD_PROBE_PAGE);
	kd_probe_shape_encode(g->memory, &shape, 8);
}

/* --- the user --- */

static void use_items(struct guest *g)
{
	static const enum kd_verdict verdicts[] = { KD_VERDICT_PASS, KD_VERDICT_DROP,
						    KD_VERDICT_RESET };
	struct kd_traffic_item item;
	struct kd_error err;
	uint64_t *ids;
	size_t n;

	if (kd_traffic_held(g->t, &ids, &n, &err) == KD_OK) {
		if (n != g->t->n_held)
			abort();
		free(ids);
	}
	if (kd_traffic_item_get(g->t, 0, &item, &err) != KD_OK)
		return;
	if (next(g) & 1 && item.n_bytes)
		kd_traffic_edit(g->t, item.id, item.bytes, item.n_bytes / 2, &err);
	kd_traffic_decide(g->t, item.id, verdicts[next(g) % 3], NULL, &err);
	free(item.bytes);
}

static void use_flows(struct guest *g)
{
	struct kd_traffic_counters counters;
	struct kd_traffic_event event;
	struct kd_traffic_flow *flows;
	struct kd_error err;
	uint8_t bytes[300] = { 1 };
	size_t n;

	kd_traffic_counters(g->t, &counters);
	if (kd_traffic_flows(g->t, &flows, &n, &err) == KD_OK) {
		for (size_t i = 0; i < n; i++)
			if (!memchr(flows[i].process, 0, sizeof flows[i].process) ||
			    !memchr(flows[i].path, 0, sizeof flows[i].path))
				abort();
		free(flows);
	}
	kd_traffic_inject(g->t, next(g) % 8, next(g) & 1, bytes, next(g), false, &err);
	kd_traffic_inject(g->t, next(g) % 8, next(g) & 1, NULL, 0, true, &err);
	kd_traffic_set_flow_mode(g->t, next(g) % 8, (enum kd_traffic_flow_mode)(next(g) % 5), &err);
	kd_traffic_set_mode(g->t, (enum kd_traffic_mode)(next(g) % 3), &err);
	while (kd_traffic_next_event(g->t, &event))
		if (!memchr(event.text, 0, sizeof event.text))
			abort();
}

static void look(struct guest *g)
{
	g->t->checked_ns = next(g) & 1 ? 0 : kd_now_ns();
	pthread_mutex_lock(&g->t->mutex);
	kd__traffic_step(g->t);
	pthread_mutex_unlock(&g->t->mutex);
	if (g->t->n_open > KD__FLOWS_MAX || g->t->n_items > KD__ITEMS_MAX ||
	    g->t->item_bytes > KD__ITEM_BYTES_MAX || g->t->n_held > g->t->n_items ||
	    g->t->n_events > KD__EVENTS_MAX || g->t->order_bytes > KD__ORDER_BYTES_MAX)
		abort();
}

/* --- all of it --- */

static void begin(struct guest *g)
{
	struct kd_error err;
	struct kd_traffic *t = kd__traffic_create(&err);
	struct kd_stream_options options = KD_STREAM_OPTIONS_INIT;
	unsigned stream;

	g->t = t;
	t->options = (struct kd_traffic_options)KD_TRAFFIC_OPTIONS_INIT;
	t->channel = KD_TRAFFIC_RAM;
	t->mode = KD_TRAFFIC_INTERCEPT;
	t->memory = (struct kd_ring_memory){ &ops, g };
	t->memory_size = MEMORY;
	t->nonce = 7;
	kd_probe_filter_init(&t->filter);
	options.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	kd_traffic_add_stream(t, &options, &stream, &err);
	mend(g);
	if (kd__traffic_attach(t, &err) != KD_OK)
		abort();
}

static void end(struct kd_traffic *t)
{
	kd__traffic_close_streams(t);
	kd__traffic_drop_orders(t);
	kd__flows_free(t);
	if (t->n_items || t->item_bytes || t->n_held || t->n_open || t->n_closed)
		abort();
	kd__traffic_destroy(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest g = { .data = data, .size = size, .memory = calloc(1, MEMORY) };

	begin(&g);
	while (g.size) {
		switch (next(&g) % 9) {
		case 8: churn(&g); break;
		case 0: open_flow(&g); break;
		case 1:
		case 2: record(&g); break;
		case 3: scribble(&g); break;
		case 4: use_items(&g); break;
		case 5: use_flows(&g); break;
		case 6:
			/* orders are read, or not */
			if (next(&g) & 1)
				kd_put32(g.memory + KD_PROBE_AT_DOWN_TAIL,
					 kd_get32(g.memory + KD_PROBE_AT_DOWN_HEAD));
			if (next(&g) == 0)
				mend(&g);
			break;
		default: look(&g); break;
		}
	}
	end(g.t);
	free(g.memory);
	return 0;
}
