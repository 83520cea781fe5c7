/* SPDX-License-Identifier: MIT */
/* Flows, their lanes, and what is done with a payload that comes. */
#include "core/probe/probe_guest_private.h"

/* --- lists --- */

static struct kd_probe_flow **bucket_of(struct kd_probe *p, uint64_t id)
{
	return &p->buckets[id % KD_PROBE_BUCKETS];
}

struct kd_probe_flow *kd_probe_flow_find(struct kd_probe *p, uint64_t id)
{
	struct kd_probe_flow *f = *bucket_of(p, id);

	while (f && f->id != id)
		f = f->in_bucket;
	return f;
}

static void insert_flow(struct kd_probe *p, struct kd_probe_flow *flow)
{
	struct kd_probe_flow **bucket = bucket_of(p, flow->id);

	flow->in_bucket = *bucket;
	*bucket = flow;
	flow->previous = p->last_flow;
	if (p->last_flow)
		p->last_flow->next = flow;
	else
		p->first_flow = flow;
	p->last_flow = flow;
}

static void remove_flow(struct kd_probe *p, struct kd_probe_flow *flow)
{
	struct kd_probe_flow **at = bucket_of(p, flow->id);

	while (*at != flow)
		at = &(*at)->in_bucket;
	*at = flow->in_bucket;
	if (flow->previous)
		flow->previous->next = flow->next;
	else
		p->first_flow = flow->next;
	if (flow->next)
		flow->next->previous = flow->previous;
	else
		p->last_flow = flow->previous;
	if (p->sync_at == flow)
		p->sync_at = flow->next;
}

void kd_probe_make_ready(struct kd_probe *p, struct kd_probe_flow *flow)
{
	if (flow->is_ready || !flow->is_open)
		return;
	flow->is_ready = true;
	flow->next_ready = NULL;
	if (p->last_ready)
		p->last_ready->next_ready = flow;
	else
		p->first_ready = flow;
	p->last_ready = flow;
}

static void remove_ready(struct kd_probe *p, struct kd_probe_flow *flow)
{
	struct kd_probe_flow *before = NULL;

	if (!flow->is_ready)
		return;
	for (struct kd_probe_flow *f = p->first_ready; f != flow; f = f->next_ready)
		before = f;
	if (before)
		before->next_ready = flow->next_ready;
	else
		p->first_ready = flow->next_ready;
	if (p->last_ready == flow)
		p->last_ready = before;
	flow->is_ready = false;
}

struct kd_probe_lane *kd_probe_lane_of(const struct kd_probe_item *item)
{
	return &item->flow->lanes[item->flags & KD_PROBE_INBOUND ? KD_PROBE_IN : KD_PROBE_OUT];
}

static struct kd_probe_item **wait_bucket_of(struct kd_probe *p, uint64_t id)
{
	return &p->waiting[id % KD_PROBE_WAIT_BUCKETS];
}

struct kd_probe_item *kd_probe_find_waiting(struct kd_probe *p, const struct kd_probe_flow *flow,
					    uint64_t id)
{
	struct kd_probe_item *item = *wait_bucket_of(p, id);

	while (item && (item->id != id || item->flow != flow))
		item = item->in_bucket;
	return item;
}

static void wait_insert(struct kd_probe *p, struct kd_probe_item *item)
{
	struct kd_probe_item **bucket = wait_bucket_of(p, item->id);

	item->in_bucket = *bucket;
	*bucket = item;
	item->older = p->newest;
	item->newer = NULL;
	if (p->newest)
		p->newest->newer = item;
	else
		p->oldest = item;
	p->newest = item;
	p->counters[KD_PROBE_N_HELD_NOW]++;
}

static void wait_remove(struct kd_probe *p, struct kd_probe_item *item)
{
	struct kd_probe_item **at = wait_bucket_of(p, item->id);

	while (*at != item)
		at = &(*at)->in_bucket;
	*at = item->in_bucket;
	if (item->older)
		item->older->newer = item->newer;
	else
		p->oldest = item->newer;
	if (item->newer)
		item->newer->older = item->older;
	else
		p->newest = item->older;
	p->counters[KD_PROBE_N_HELD_NOW]--;
}

void kd_probe_lane_append(struct kd_probe *p, struct kd_probe_item *item)
{
	struct kd_probe_lane *lane = kd_probe_lane_of(item);

	item->next = NULL;
	if (lane->last)
		lane->last->next = item;
	else
		lane->first = item;
	lane->last = item;
	lane->queued += item->size;
	p->held += item->size;
	p->n_items++;
	if (item->verdict)
		kd_probe_make_ready(p, item->flow);
	else
		wait_insert(p, item);
}

bool kd_probe_lane_insert_before_end(struct kd_probe *p, struct kd_probe_item *item)
{
	struct kd_probe_lane *lane = kd_probe_lane_of(item);
	struct kd_probe_item **at = &lane->first;

	while (*at && !((*at)->flags & KD_PROBE_FIN))
		at = &(*at)->next;
	if (!*at || (*at)->verdict)
		return false;
	item->next = *at;
	*at = item;
	lane->queued += item->size;
	p->held += item->size;
	p->n_items++;
	kd_probe_make_ready(p, item->flow);
	return true;
}

void kd_probe_lane_remove_first(struct kd_probe *p, struct kd_probe_lane *lane)
{
	struct kd_probe_item *item = lane->first;

	lane->first = item->next;
	if (!lane->first)
		lane->last = NULL;
	lane->queued -= item->size;
	p->held -= item->size;
	p->n_items--;
	if (!item->verdict)
		wait_remove(p, item);
}

/* --- verdicts --- */

static const enum kd_probe_counter counter_of_by[] = {
	[KD_PROBE_BY_TIMEOUT] = KD_PROBE_N_AUTO_TIMEOUT,
	[KD_PROBE_BY_MEMORY] = KD_PROBE_N_AUTO_MEMORY,
	[KD_PROBE_BY_SILENCE] = KD_PROBE_N_AUTO_SILENCE,
	[KD_PROBE_BY_FULL_RING] = KD_PROBE_N_AUTO_RING,
};

static const enum kd_probe_counter counter_of_verdict[] = {
	[KD_PROBE_PASS] = KD_PROBE_N_PASSED,
	[KD_PROBE_DROP] = KD_PROBE_N_DROPPED,
	[KD_PROBE_REPLACE] = KD_PROBE_N_EDITED,
	[KD_PROBE_RESET] = KD_PROBE_N_RESET,
};

void kd_probe_decide(struct kd_probe *p, struct kd_probe_item *item, enum kd_probe_verdict verdict,
		     enum kd_probe_by by)
{
	item->verdict = (uint8_t)verdict;
	item->by = (uint8_t)by;
	wait_remove(p, item);
	p->counters[by == KD_PROBE_BY_HOST ? counter_of_verdict[verdict] : counter_of_by[by]]++;
	if (verdict == KD_PROBE_RESET && !(item->flags & KD_PROBE_DATAGRAM))
		item->flow->must_reset = true;
	kd_probe_make_ready(p, item->flow);
}

/* Who works for malware wants nothing to escape: then what would pass by itself is dropped. */
static enum kd_probe_verdict verdict_alone(const struct kd_probe *p)
{
	return p->policy.is_fail_closed ? KD_PROBE_DROP : KD_PROBE_PASS;
}

void kd_probe_release_flow(struct kd_probe *p, struct kd_probe_flow *flow, enum kd_probe_by by)
{
	for (int d = 0; d < 2; d++)
		for (struct kd_probe_item *i = flow->lanes[d].first; i; i = i->next)
			if (!i->verdict)
				kd_probe_decide(
					p, i,
					by == KD_PROBE_BY_HOST ? KD_PROBE_PASS : verdict_alone(p),
					by);
}

void kd_probe_release_all(struct kd_probe *p, enum kd_probe_by by)
{
	while (p->oldest)
		kd_probe_decide(p, p->oldest, verdict_alone(p), by);
}

/* --- flows --- */

static void refresh(struct kd_probe *p, struct kd_probe_flow *flow)
{
	if (flow->wish_epoch == p->epoch)
		return;
	flow->wish_epoch = p->epoch;
	flow->action = (uint8_t)kd_probe_filter_action(&p->filter, KD_PROBE_LIST_SHOW,
						       &flow->facts);
	for (int d = 0; d < 2; d++)
		flow->lanes[d].wish = kd_probe_filter_ask(&p->filter, &flow->facts,
							  (enum kd_probe_direction)d);
}

void kd_probe_flow_open(struct kd_probe *p, struct kd_probe_flow *flow,
			const struct kd_probe_facts *facts, uint64_t now)
{
	*flow = (struct kd_probe_flow){
		.id = p->next_flow++, .facts = *facts, .is_open = true, .wish_epoch = p->epoch - 1
	};
	if (flow->facts.path_size > KD_PROBE_PATH_MAX)
		flow->facts.path_size = KD_PROBE_PATH_MAX;
	insert_flow(p, flow);
	refresh(p, flow);
	p->counters[KD_PROBE_N_FLOWS]++;
	p->counters[KD_PROBE_N_FLOWS_NOW]++;
	if (p->policy.mode != KD_PROBE_OFF && (flow->lanes[0].wish.is_shown != KD_BPF_NEVER ||
					       flow->lanes[1].wish.is_shown != KD_BPF_NEVER))
		kd_probe_tell_flow(p, flow, now);
}

/* Empty the lanes: what waited has ended, and the host is told. */
static struct kd_probe_item *take_all(struct kd_probe *p, struct kd_probe_flow *flow, uint64_t now)
{
	struct kd_probe_item *all = NULL;

	for (int d = 0; d < 2; d++) {
		while (flow->lanes[d].first) {
			struct kd_probe_item *item = flow->lanes[d].first;
			struct kd_probe_outcome outcome;

			kd_probe_lane_remove_first(p, &flow->lanes[d]);
			item->by = KD_PROBE_BY_END;
			item->verdict = item->verdict ? item->verdict : KD_PROBE_DROP;
			outcome = kd_probe_outcome_of(item);
			kd_probe_tell_applied(p, flow->id, &outcome, 0, now);
			p->counters[KD_PROBE_N_ENDED]++;
			item->next = all;
			all = item;
		}
	}
	return all;
}

struct kd_probe_item *kd_probe_flow_close(struct kd_probe *p, struct kd_probe_flow *flow,
					  enum kd_probe_close reason, uint64_t now)
{
	struct kd_probe_item *all = take_all(p, flow, now);

	kd_probe_tell_close(p, flow, reason, now);
	remove_ready(p, flow);
	remove_flow(p, flow);
	flow->is_open = false;
	p->counters[KD_PROBE_N_FLOWS_NOW]--;
	return all;
}

struct kd_probe_item *kd_probe_aborted(struct kd_probe *p, struct kd_probe_flow *flow,
				       enum kd_probe_direction direction, uint64_t now)
{
	struct kd_probe_item *all = take_all(p, flow, now);
	struct kd_probe_item rst = {
		.flags = (uint16_t)(KD_PROBE_RST |
				    (direction == KD_PROBE_IN ? KD_PROBE_INBOUND : 0)),
		.flow = flow,
		.pid = flow->facts.pid,
		.id = p->next_item++,
	};

	if (flow->is_told && !kd_probe_tell_item(p, &rst, 0, now))
		kd_probe_tell_loss(p, 0);
	return all;
}

/* --- payloads --- */

/* Flows that a person spoke about are not the filter's business any more. */
static const struct {
	bool is_set;
	enum kd_bpf_answer is_shown, is_held;
} mode_wishes[] = {
	[KD_PROBE_FLOW_IGNORED] = { true, KD_BPF_NEVER, KD_BPF_NEVER },
	[KD_PROBE_FLOW_SHOWN] = { true, KD_BPF_ALWAYS, KD_BPF_NEVER },
	[KD_PROBE_FLOW_HELD] = { true, KD_BPF_ALWAYS, KD_BPF_ALWAYS },
	[KD_PROBE_FLOW_RELEASED] = { true, KD_BPF_ALWAYS, KD_BPF_NEVER },
};

static struct kd_probe_wish wish_of(const struct kd_probe *p, const struct kd_probe_flow *flow,
				    enum kd_probe_direction direction)
{
	struct kd_probe_wish wish = flow->lanes[direction].wish;

	if (mode_wishes[flow->mode].is_set)
		wish = (struct kd_probe_wish){ mode_wishes[flow->mode].is_shown,
					       mode_wishes[flow->mode].is_held };
	/* what one program sends another on the same machine is seen where it is sent */
	if (p->policy.mode == KD_PROBE_OFF || !kd_probe_is_heard(p) ||
	    (flow->facts.is_loopback && direction == KD_PROBE_IN))
		wish.is_shown = wish.is_held = KD_BPF_NEVER;
	if (p->policy.mode != KD_PROBE_INTERCEPT || !p->is_host_alive)
		wish.is_held = KD_BPF_NEVER;
	return wish;
}

enum kd_probe_need kd_probe_look(struct kd_probe *p, struct kd_probe_flow *flow,
				 enum kd_probe_direction direction, uint32_t size)
{
	struct kd_probe_lane *lane = &flow->lanes[direction];
	struct kd_probe_wish wish;

	refresh(p, flow);
	wish = wish_of(p, flow, direction);
	if (direction == KD_PROBE_IN && lane->is_out_of_band && size &&
	    lane->queued + lane->sent > p->policy.defer_above) {
		lane->is_deferred = true;
		p->counters[KD_PROBE_N_DEFERRED]++;
		return KD_PROBE_DEFER;
	}
	p->counters[KD_PROBE_N_ITEMS]++;
	p->counters[KD_PROBE_N_BYTES] += size;
	lane->bytes += size;
	lane->has_ended |= size == 0 && flow->facts.protocol == KD_PROBE_TCP;
	if (lane->is_out_of_band || lane->first || wish.is_held != KD_BPF_NEVER)
		return KD_PROBE_ITEM;
	return wish.is_shown == KD_BPF_NEVER ? KD_PROBE_NOTHING : KD_PROBE_COPY;
}

bool kd_probe_is_crowded(const struct kd_probe *p, const struct kd_probe_flow *flow,
			 enum kd_probe_direction direction)
{
	const struct kd_probe_lane *lane = &flow->lanes[direction];

	/* earlier than inbound data are deferred: who has to wait gives all of his request first */
	return lane->queued + lane->sent > p->policy.continue_below;
}

static bool is_yes(const struct kd_probe_program *program, enum kd_bpf_answer answer,
		   const struct kd_probe_flow *flow, const struct kd_probe_item *item)
{
	if (answer != KD_BPF_DEPENDS)
		return answer == KD_BPF_ALWAYS;
	return kd_probe_program_matches(program, &flow->facts,
					item->flags & KD_PROBE_INBOUND ? KD_PROBE_IN : KD_PROBE_OUT,
					item->flags, item->data, item->size);
}

/*
 * Make room for an item that will wait, if only behind another: the oldest of its flow go, then the
 * oldest of all. Empty ones cost memory, too.
 */
static void make_room(struct kd_probe *p, struct kd_probe_flow *flow, uint32_t size)
{
	uint32_t of_flow = flow->lanes[0].queued + flow->lanes[1].queued + size;

	for (int d = 0; d < 2; d++)
		for (struct kd_probe_item *i = flow->lanes[d].first;
		     i && of_flow > p->policy.flow_held_max; i = i->next) {
			of_flow -= i->size;
			if (!i->verdict)
				kd_probe_decide(p, i, verdict_alone(p), KD_PROBE_BY_MEMORY);
		}
	for (uint32_t all = p->held + size; p->oldest && all > p->policy.held_max;) {
		all -= p->oldest->size;
		kd_probe_decide(p, p->oldest, verdict_alone(p), KD_PROBE_BY_MEMORY);
	}
	for (uint32_t n = p->n_items; p->oldest && n >= KD_PROBE_ITEMS_MAX; n--)
		kd_probe_decide(p, p->oldest, verdict_alone(p), KD_PROBE_BY_MEMORY);
}

/* The host can be told of an item that shall wait: only then it may. */
static bool is_told_held(struct kd_probe *p, struct kd_probe_flow *flow, struct kd_probe_item *item,
			 uint64_t now)
{
	if (kd_probe_tell_flow(p, flow, now) && kd_probe_tell_item(p, item, KD_PROBE_HELD, now)) {
		p->counters[KD_PROBE_N_HELD]++;
		return true;
	}
	p->counters[KD_PROBE_N_AUTO_RING]++;
	item->by = KD_PROBE_BY_FULL_RING;
	kd_probe_tell_loss(p, item->size);
	return false;
}

static void tell_passing(struct kd_probe *p, struct kd_probe_flow *flow, struct kd_probe_item *item,
			 uint16_t flags, uint64_t now)
{
	if (!kd_probe_tell_flow(p, flow, now) || !kd_probe_tell_item(p, item, flags, now))
		kd_probe_tell_loss(p, item->size);
}

bool kd_probe_submit(struct kd_probe *p, struct kd_probe_flow *flow, struct kd_probe_item *item,
		     uint64_t now)
{
	bool is_inbound = (item->flags & KD_PROBE_INBOUND) != 0;
	struct kd_probe_lane *lane = &flow->lanes[is_inbound ? KD_PROBE_IN : KD_PROBE_OUT];
	struct kd_probe_wish wish = wish_of(p, flow, is_inbound ? KD_PROBE_IN : KD_PROBE_OUT);
	bool is_queued = lane->is_out_of_band || lane->first || item->must_queue;
	bool is_shown, is_held;

	item->flow = flow;
	item->id = p->next_item++;
	item->since = now;
	item->replacement = NULL;
	item->verdict = 0;
	item->by = KD_PROBE_BY_FILTER;
	item->is_told = false;
	is_shown = is_yes(&p->filter.capture, wish.is_shown, flow, item);
	is_held = is_shown && is_yes(&p->filter.intercept, wish.is_held, flow, item);
	if (is_held || is_queued)
		make_room(p, flow, item->size);
	is_held = is_held && is_told_held(p, flow, item, now);
	if (is_shown && !item->is_told && item->by != KD_PROBE_BY_FULL_RING)
		tell_passing(p, flow, item, is_queued ? KD_PROBE_QUEUED : 0, now);
	if (!is_held && !is_queued)
		return false;
	item->verdict = is_held ? 0 : KD_PROBE_PASS;
	lane->is_out_of_band |= !(item->flags & KD_PROBE_DATAGRAM);
	kd_probe_lane_append(p, item);
	return true;
}
