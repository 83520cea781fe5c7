/* SPDX-License-Identifier: MIT */
/* What the driver tells. Everything in a record is the guest's: bounded, never followed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shark/traffic_private.h"

/* --- entries --- */

/* As the side that began the conversation sees it. */
static enum kd_probe_direction direction_of(const struct kd__flow *flow, uint16_t flags)
{
	bool is_in = (flags & KD_PROBE_INBOUND) != 0;

	return is_in != flow->is_mirrored ? KD_PROBE_IN : KD_PROBE_OUT;
}

static struct kd__entry entry_of(const struct kd__flow *flow, enum kd__entry_kind kind,
				 uint16_t flags, uint64_t time_ns)
{
	return (struct kd__entry){ .kind = kind,
				   .conversation = flow->conversation,
				   .direction = direction_of(flow, flags),
				   .flow = flow->info.id,
				   .time_ns = time_ns,
				   .pid = flow->info.pid,
				   .process = flow->info.process,
				   .server_port = flow->info.is_inbound ? flow->info.local_port
									: flow->info.remote_port,
				   .is_inbound = (flags & KD_PROBE_INBOUND) != 0,
				   .verdict = "pass" };
}

static enum kd__entry_kind kind_of(uint16_t flags)
{
	return flags & KD_PROBE_FIN   ? KD__ENTRY_END
	       : flags & KD_PROBE_RST ? KD__ENTRY_RESET
				      : KD__ENTRY_DATA;
}

static void show_item(struct kd_traffic *t, const struct kd__item *item, enum kd__entry_kind kind,
		      const char *verdict, const char *by, uint64_t time_ns)
{
	struct kd__entry e = entry_of(item->flow, kind, item->flags, time_ns);

	e.item = item->id;
	e.bytes = kd__item_bytes(item, &e.size);
	e.original_size = item->size;
	e.is_edited = item->is_edited && !item->is_injected;
	e.verdict = verdict;
	e.by = by;
	if (kind == KD__ENTRY_HELD) { /* as it came */
		e.bytes = item->bytes;
		e.size = item->size;
		e.is_edited = false;
	}
	kd__traffic_show(t, &e);
}

/* --- flows --- */

static void hear_open(struct kd_traffic *t, const struct kd_probe_w_record *record,
		      const uint8_t *payload)
{
	struct kd_probe_w_flow_open v;
	struct kd_probe_facts facts;
	struct kd__flow *f = kd__flow_find(t, record->flow);

	if (f) {
		f->is_confirmed = true;
		return;
	}
	if (record->payload_size < KD_PROBE_SIZE_flow_open)
		return;
	kd_probe_w_flow_open_decode(&v, payload);
	if ((v.family != 4 && v.family != 6) || (v.protocol != 6 && v.protocol != 17) ||
	    v.path_size > KD_PROBE_PATH_MAX ||
	    v.path_size > record->payload_size - KD_PROBE_SIZE_flow_open)
		return;
	facts = (struct kd_probe_facts){
		.family = v.family,
		.protocol = v.protocol,
		.direction = v.direction == KD_PROBE_IN ? KD_PROBE_IN : KD_PROBE_OUT,
		.is_loopback = (v.flags & KD_PROBE_FLOW_LOOPBACK) != 0,
		.local_port = v.local_port,
		.remote_port = v.remote_port,
		.pid = record->pid,
		.path_size = (uint16_t)v.path_size,
		.path = payload + KD_PROBE_SIZE_flow_open,
	};
	memcpy(facts.local, v.local, sizeof facts.local);
	memcpy(facts.remote, v.remote, sizeof facts.remote);
	f = kd__flow_add(t, record->flow, &facts, kd__unix_ns(record->time));
	if (f)
		kd__traffic_event(t, KD_TRAFFIC_EVENT_FLOW, record->flow, 0, "%s", "");
}

static void end_flow(struct kd_traffic *t, struct kd__flow *flow, uint64_t time_ns)
{
	struct kd__entry e = entry_of(flow, KD__ENTRY_CLOSE, 0, time_ns);
	uint64_t id = flow->info.id;

	if (flow->info.state == KD_TRAFFIC_FLOW_CLOSED)
		return;
	e.verdict = "closed";
	kd__traffic_show(t, &e);
	kd__flow_close(t, flow); /* which may forget it */
	kd__traffic_event(t, KD_TRAFFIC_EVENT_CLOSED, id, 0, "%s", "");
}

void kd__traffic_forget(struct kd_traffic *t)
{
	struct kd__flow *next;

	for (struct kd__flow *f = t->first_flow; f; f = next) {
		next = f->next;
		end_flow(t, f, f->info.last_ns);
	}
	kd__flows_free(t);
	t->n_asked = 0;
	t->is_syncing = false;
}

/* --- payloads --- */

static void book(struct kd__flow *flow, const struct kd_probe_w_record *record)
{
	if (record->flags & KD_PROBE_INBOUND) {
		flow->info.bytes_in += record->payload_size;
		flow->info.items_in++;
	} else {
		flow->info.bytes_out += record->payload_size;
		flow->info.items_out++;
	}
	flow->info.last_ns = kd__unix_ns(record->time);
}

/* Hooks are asked when the mutex is free. */
static void ask_hooks(struct kd_traffic *t, uint64_t id)
{
	if (t->n_hooks == 0)
		return;
	if (t->n_asked == t->asked_room) {
		size_t room = t->asked_room ? 2 * t->asked_room : 64;
		uint64_t *more = realloc(t->asked, room * sizeof *more);

		if (!more)
			return; /* the user decides */
		t->asked = more;
		t->asked_room = room;
	}
	t->asked[t->n_asked++] = id;
}

static void hear_waiting(struct kd_traffic *t, struct kd__flow *flow,
			 const struct kd_probe_w_record *record, const uint8_t *payload)
{
	struct kd__item *item = kd__item_find(t, record->item);

	if (item) {
		item->is_confirmed = true;
		return;
	}
	item = kd__item_add(t, flow, record->item, payload, record->payload_size);
	if (!item) {
		t->lost++;
		return; /* it passes in time */
	}
	item->flags = record->flags;
	item->pid = record->pid;
	item->time_ns = kd__unix_ns(record->time);
	if (!(record->flags & KD_PROBE_HELD))
		return;
	kd__item_set_held(t, item, true);
	show_item(t, item, KD__ENTRY_HELD, "held", NULL, item->time_ns);
	kd__traffic_event(t, KD_TRAFFIC_EVENT_HELD, flow->info.id, item->id, "%s", "");
	ask_hooks(t, item->id);
}

static void tap(struct kd_traffic *t, const struct kd__entry *e)
{
	for (size_t i = 0; i < KD__FILTERS_MAX; i++)
		if (t->taps[i].tap)
			t->taps[i].tap(t->taps[i].context, e);
}

static void hear_data(struct kd_traffic *t, const struct kd_probe_w_record *record,
		      const uint8_t *payload)
{
	struct kd__flow *flow = kd__flow_find(t, record->flow);
	struct kd__entry e;

	if (!flow || flow->info.state == KD_TRAFFIC_FLOW_CLOSED ||
	    record->payload_size > KD_PROBE_BYTES_MAX) {
		t->lost++;
		return;
	}
	e = entry_of(flow, kind_of(record->flags), record->flags, kd__unix_ns(record->time));
	e.item = record->item;
	e.bytes = payload;
	e.size = e.original_size = record->payload_size;
	if (!(record->flags & KD_PROBE_AGAIN)) {
		book(flow, record);
		tap(t, &e);
	}
	if (record->flags & (KD_PROBE_HELD | KD_PROBE_QUEUED))
		hear_waiting(t, flow, record, payload);
	else
		kd__traffic_show(t, &e);
}

/* --- what became of what waited --- */

/* For the comment and the event. */
static const char *const ways[] = {
	[KD_PROBE_BY_FILTER] = "filter",  [KD_PROBE_BY_TIMEOUT] = "timeout",
	[KD_PROBE_BY_MEMORY] = "memory",  [KD_PROBE_BY_SILENCE] = "silence",
	[KD_PROBE_BY_FULL_RING] = "ring", [KD_PROBE_BY_END] = "end",
};

static const char *decided_by(const struct kd__item *item, uint8_t by)
{
	if (by == KD_PROBE_BY_HOST)
		return item->by[0] ? item->by : "user";
	return by < sizeof ways / sizeof ways[0] && ways[by] ? ways[by] : "driver";
}

static const char *verdict_word(const struct kd__item *item, const struct kd_probe_w_applied *v)
{
	if (v->verdict == KD_PROBE_INJECTED)
		return "injected";
	if (v->by != KD_PROBE_BY_HOST && v->by != KD_PROBE_BY_FILTER)
		return "auto";
	return item->is_edited ? "edited" : "pass";
}

static void hear_applied(struct kd_traffic *t, const struct kd_probe_w_record *record,
			 const uint8_t *payload)
{
	struct kd__item *item = kd__item_find(t, record->item);
	struct kd_probe_w_applied v;
	uint64_t time_ns = kd__unix_ns(record->time);
	const char *word, *by;
	bool is_gone;

	if (record->payload_size < KD_PROBE_SIZE_applied)
		return;
	kd_probe_w_applied_decode(&v, payload);
	if (v.nt_status)
		kd__traffic_event(
			t, KD_TRAFFIC_EVENT_NOTICE, record->flow, record->item,
			"flow %llu: what was %s was not sent, status %08X%s",
			(unsigned long long)record->flow,
			v.verdict == KD_PROBE_INJECTED ? "injected" : "held", v.nt_status,
			v.nt_status == KD_PROBE_STATUS_ENDED ? ": this direction has ended" : "");
	if (!item)
		return;
	by = decided_by(item, v.by);
	if (v.by == KD_PROBE_BY_HOST && !item->is_injected && time_ns >= item->time_ns)
		t->waits[t->n_waits++ % KD__WAITS] = time_ns - item->time_ns;
	is_gone = v.verdict == KD_PROBE_DROP || v.verdict == KD_PROBE_RESET ||
		  v.by == KD_PROBE_BY_END;
	/* what nobody of ours decided goes on as it came */
	if (v.verdict == KD_PROBE_PASS)
		item->is_edited = false;
	word = is_gone ? "dropped" : verdict_word(item, &v);
	show_item(t, item, is_gone ? KD__ENTRY_HELD : kind_of(item->flags), word, by, time_ns);
	if (v.verdict == KD_PROBE_RESET)
		kd__traffic_event(t, KD_TRAFFIC_EVENT_NOTICE, record->flow, item->id,
				  "flow %llu is reset", (unsigned long long)record->flow);
	kd__traffic_event(t, KD_TRAFFIC_EVENT_DONE, record->flow, item->id, "%s by %s", word, by);
	kd__item_remove(t, item);
}

/* --- the rest --- */

static void hear_loss(struct kd_traffic *t, const struct kd_probe_w_record *record,
		      const uint8_t *payload)
{
	struct kd_probe_w_loss v;

	if (record->payload_size < KD_PROBE_SIZE_loss)
		return;
	kd_probe_w_loss_decode(&v, payload);
	t->lost += v.items;
	kd__traffic_event(t, KD_TRAFFIC_EVENT_LOSS, 0, 0,
			  "%llu payloads, %llu bytes were not shown: the ring was full",
			  (unsigned long long)v.items, (unsigned long long)v.bytes);
}

/* What is not announced between begin and end of a sync is not there any more. */
static void begin_sync(struct kd_traffic *t)
{
	for (struct kd__flow *f = t->first_flow; f; f = f->next)
		f->is_confirmed = f->info.state == KD_TRAFFIC_FLOW_CLOSED;
	for (struct kd__item *i = t->first_item; i; i = i->next)
		i->is_confirmed = i->is_injected;
	t->is_syncing = true;
}

static void end_sync(struct kd_traffic *t, uint64_t time_ns)
{
	struct kd__flow *next_flow;
	struct kd__item *next_item;

	if (!t->is_syncing)
		return;
	t->is_syncing = false;
	for (struct kd__item *i = t->first_item; i; i = next_item) {
		next_item = i->next;
		if (i->is_confirmed)
			continue;
		/* it went on while nobody could say so */
		show_item(t, i, kind_of(i->flags), "auto", "silence", time_ns);
		kd__traffic_event(t, KD_TRAFFIC_EVENT_DONE, i->flow->info.id, i->id,
				  "auto by silence");
		kd__item_remove(t, i);
	}
	for (struct kd__flow *f = t->first_flow; f; f = next_flow) {
		next_flow = f->next;
		if (!f->is_confirmed)
			end_flow(t, f, time_ns);
	}
}

static void hear_sync(struct kd_traffic *t, const struct kd_probe_w_record *record,
		      const uint8_t *payload)
{
	struct kd_probe_w_sync v;

	if (record->payload_size < KD_PROBE_SIZE_sync)
		return;
	kd_probe_w_sync_decode(&v, payload);
	if (v.nonce != t->nonce)
		return;
	if (v.is_end)
		end_sync(t, kd__unix_ns(record->time));
	else
		begin_sync(t);
}

static void hear_close(struct kd_traffic *t, const struct kd_probe_w_record *record,
		       const uint8_t *payload)
{
	struct kd__flow *flow = kd__flow_find(t, record->flow);

	(void)payload;
	if (flow)
		end_flow(t, flow, kd__unix_ns(record->time));
}

static void hear_filter(struct kd_traffic *t, const struct kd_probe_w_record *record,
			const uint8_t *payload)
{
	struct kd_probe_w_filter_state v;

	if (record->payload_size < KD_PROBE_SIZE_filter_state)
		return;
	kd_probe_w_filter_state_decode(&v, payload);
	t->answered_generation = v.generation;
	t->answered_fault = v.fault;
	t->answered_where = v.where;
	pthread_cond_broadcast(&t->answered);
}

static void hear_log(struct kd_traffic *t, const struct kd_probe_w_record *record,
		     const uint8_t *payload)
{
	char text[KD_PROBE_LOG_MAX + 1];
	size_t n = KD_MIN(record->payload_size, KD_PROBE_LOG_MAX);

	for (size_t i = 0; i < n; i++)
		text[i] = payload[i] >= 0x20 && payload[i] < 0x7F ? (char)payload[i] : '?';
	text[n] = '\0';
	kd__traffic_event(t, KD_TRAFFIC_EVENT_NOTICE, 0, 0, "the driver: %.140s", text);
}

void kd__traffic_hear(struct kd_traffic *t, const struct kd_probe_w_record *record,
		      const uint8_t *payload)
{
	static void (*const ears[])(struct kd_traffic *, const struct kd_probe_w_record *,
				    const uint8_t *) = {
		[KD_PROBE_FLOW_OPEN] = hear_open, [KD_PROBE_FLOW_CLOSE] = hear_close,
		[KD_PROBE_DATA] = hear_data,      [KD_PROBE_APPLIED] = hear_applied,
		[KD_PROBE_LOSS] = hear_loss,      [KD_PROBE_SYNC] = hear_sync,
		[KD_PROBE_LOG] = hear_log,        [KD_PROBE_FILTER_STATE] = hear_filter,
	};

	if (record->type < sizeof ears / sizeof ears[0] && ears[record->type])
		ears[record->type](t, record, payload);
}
