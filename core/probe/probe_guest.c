/* SPDX-License-Identifier: MIT */
/* The guest's end: beginning, the host's life signs, time, work. */
#include "core/probe/probe_guest_private.h"

/*
 * Longer gaps between two ticks are not the host's silence but our own: another thread ran, the
 * machine was stopped by the debugger, paused, or went back to a snapshot.
 */
static const uint64_t gap_max = 100 * (uint64_t)KD_PROBE_PER_MS;

static void publish(const struct kd_probe *p)
{
	kd_probe_store(p, KD_PROBE_AT_GUEST, p->policy.mode);
	kd_probe_store(p, KD_PROBE_AT_GUEST + 4, p->filter.generation);
	kd_probe_store(p, KD_PROBE_AT_GUEST + 8, kd_probe_load(p, KD_PROBE_AT_GUEST + 8) + 1);
	kd_probe_store(p, KD_PROBE_AT_GUEST + 12, p->is_broken ? 0 : p->nonce);
	for (uint32_t i = 0; i < KD_PROBE_N_COUNTERS; i++)
		kd_put64(p->memory + KD_PROBE_AT_COUNTERS + i * 8, p->counters[i]);
}

void kd_probe_init(struct kd_probe *p, void *memory, const struct kd_probe_shape *shape,
		   uint8_t pointer_size)
{
	kd_zero(p, sizeof *p);
	p->memory = memory;
	p->shape = *shape;
	p->next_flow = 1;
	p->next_item = 1;
	p->epoch = 1;
	p->policy = kd_probe_default_policy();
	kd_probe_filter_init(&p->filter);
	kd_zero(memory, KD_PROBE_PAGE);
	kd_probe_shape_encode(memory, shape, pointer_size);
}

void kd_probe_deinit(struct kd_probe *p)
{
	kd_put64(p->memory + KD_PROBE_AT_MAGIC, 0);
}

void kd_probe_begin_end(struct kd_probe *p)
{
	kd_probe_host_is_gone(p);
	p->host_state = KD_PROBE_HOST_ABSENT;
	p->is_ending = true;
}

bool kd_probe_is_drained(const struct kd_probe *p)
{
	for (const struct kd_probe_flow *f = p->first_flow; f; f = f->next)
		for (int d = 0; d < 2; d++)
			if (f->lanes[d].first || f->lanes[d].sent || f->lanes[d].is_deferred)
				return false;
	return true;
}

/* --- the host's life --- */

/* What a host said about single flows goes with it. */
static void forget_wishes(struct kd_probe *p)
{
	for (struct kd_probe_flow *f = p->first_flow; f; f = f->next)
		f->mode = KD_PROBE_FLOW_FILTERED;
	p->epoch++;
}

static void host_came(struct kd_probe *p, uint32_t nonce, uint64_t now)
{
	p->nonce = nonce;
	forget_wishes(p); /* of the one before, who may have been killed */
	p->is_broken = false;
	p->is_host_alive = true;
	p->silence = 0;
	p->last_tick = now;
	p->lost_items = p->lost_bytes = 0;
	kd_probe_tell_anew(p);
}

/* Everything goes on as if nobody had ever looked; who comes next says what it wants. */
void kd_probe_host_is_gone(struct kd_probe *p)
{
	kd_probe_release_all(p, KD_PROBE_BY_SILENCE);
	p->is_host_alive = false;
	p->nonce = 0;
	p->policy.mode = KD_PROBE_OFF;
	forget_wishes(p);
}

/*
 * Over the ring silence is time without a beat, as far as we were awake. A host that works in stops
 * can beat only there: kd_probe_stub_end() looks.
 */
static void watch_silence(struct kd_probe *p, uint64_t now)
{
	uint32_t beat = kd_probe_load(p, KD_PROBE_AT_HOST_BEAT);
	uint64_t gap = now - p->last_tick;

	p->last_tick = now;
	if (beat != p->beat) {
		p->beat = beat;
		p->silence = 0;
		p->is_host_alive = true;
		return;
	}
	if (p->host_state == KD_PROBE_HOST_RING)
		p->silence += gap < gap_max ? gap : gap_max;
	if (p->is_host_alive && p->silence >= (uint64_t)p->policy.silence_ms * KD_PROBE_PER_MS) {
		p->is_host_alive = false;
		kd_probe_release_all(p, KD_PROBE_BY_SILENCE);
	}
}

static void watch_host(struct kd_probe *p, uint64_t now)
{
	uint32_t nonce = kd_probe_load(p, KD_PROBE_AT_HOST_NONCE);

	if (p->is_ending)
		return;
	p->host_state = (uint8_t)kd_probe_load(p, KD_PROBE_AT_HOST_STATE);
	if (p->host_state > KD_PROBE_HOST_STOPS)
		p->host_state = KD_PROBE_HOST_ABSENT;
	if (p->host_state == KD_PROBE_HOST_ABSENT || nonce == 0) {
		if (p->nonce)
			kd_probe_host_is_gone(p);
		return;
	}
	if (nonce != p->nonce)
		host_came(p, nonce, now);
	watch_silence(p, now);
}

uint32_t kd_probe_stub_begin(const struct kd_probe *p)
{
	return kd_probe_load(p, KD_PROBE_AT_HOST_BEAT);
}

void kd_probe_stub_end(struct kd_probe *p, uint32_t beat_before, uint64_t now)
{
	watch_host(p, now);
	if (p->host_state != KD_PROBE_HOST_STOPS ||
	    kd_probe_load(p, KD_PROBE_AT_HOST_BEAT) != beat_before)
		return;
	p->is_host_alive = false;
	kd_probe_release_all(p, KD_PROBE_BY_SILENCE);
}

/* --- time --- */

static void watch_times(struct kd_probe *p, uint64_t now)
{
	uint64_t hold = (uint64_t)p->policy.hold_ms * KD_PROBE_PER_MS;

	while (p->oldest && now - p->oldest->since >= hold)
		kd_probe_decide(p, p->oldest,
				p->policy.is_fail_closed ? KD_PROBE_DROP : KD_PROBE_PASS,
				KD_PROBE_BY_TIMEOUT);
}

static void continue_again(struct kd_probe *p)
{
	if (!p->must_continue)
		return;
	p->must_continue = false;
	for (struct kd_probe_flow *f = p->first_flow; f; f = f->next)
		if (f->lanes[KD_PROBE_IN].is_deferred)
			kd_probe_make_ready(p, f);
}

void kd_probe_tick(struct kd_probe *p, uint64_t now)
{
	watch_host(p, now);
	/* a ring that makes no sense is no way for a verdict to come */
	if (p->is_broken)
		kd_probe_release_all(p, KD_PROBE_BY_SILENCE);
	watch_times(p, now);
	continue_again(p);
	kd_probe_tell_more(p, now);
	p->counters[KD_PROBE_N_HELD_BYTES] = p->held;
	publish(p);
}

bool kd_probe_has_news(const struct kd_probe *p)
{
	return kd_probe_is_heard(p) && kd_probe_load(p, KD_PROBE_AT_UP_TAIL) != p->up_head;
}

uint32_t kd_probe_calls(const struct kd_probe *p)
{
	if (p->host_state != KD_PROBE_HOST_STOPS || !p->is_host_alive)
		return 0;
	return kd_probe_load(p, KD_PROBE_AT_HOST_CALLS);
}

bool kd_probe_is_holding(const struct kd_probe *p)
{
	return p->oldest != NULL;
}

/* --- work --- */

bool kd_probe_goes_on(const struct kd_probe_item *item)
{
	return item->verdict != KD_PROBE_DROP && item->verdict != KD_PROBE_RESET &&
	       !(item->replacement && item->replacement->size == 0);
}

static bool reset_work(struct kd_probe_flow *flow, struct kd_probe_work *ret)
{
	if (!flow->must_reset)
		return false;
	flow->must_reset = false;
	*ret = (struct kd_probe_work){ .kind = KD_PROBE_ABORT, .flow = flow };
	return true;
}

static bool lane_work(struct kd_probe *p, struct kd_probe_flow *flow,
		      enum kd_probe_direction direction, struct kd_probe_work *ret)
{
	struct kd_probe_lane *lane = &flow->lanes[direction];
	struct kd_probe_item *item = lane->first;
	bool is_sent;

	*ret = (struct kd_probe_work){ .kind = KD_PROBE_CONTINUE,
				       .flow = flow,
				       .direction = direction };
	if (item && item->verdict) {
		kd_probe_lane_remove_first(p, lane);
		is_sent = kd_probe_goes_on(item);
		lane->sent += is_sent ? item->size : 0;
		if (!is_sent && item->flags & KD_PROBE_FIN)
			lane->has_ended = false; /* the host may send another one */
		ret->kind = is_sent ? KD_PROBE_SEND_ON : KD_PROBE_DISCARD;
		ret->item = item;
		ret->outcome = kd_probe_outcome_of(item);
		return true;
	}
	if (lane->is_deferred && lane->queued + lane->sent <= p->policy.continue_below) {
		lane->is_deferred = false;
		return true;
	}
	return false;
}

bool kd_probe_next_work(struct kd_probe *p, struct kd_probe_work *ret, uint64_t now)
{
	while (p->first_ready) {
		struct kd_probe_flow *flow = p->first_ready;

		if (reset_work(flow, ret) || lane_work(p, flow, KD_PROBE_OUT, ret) ||
		    lane_work(p, flow, KD_PROBE_IN, ret)) {
			/* before it happens: what follows from it may be the flow's end */
			if (ret->item)
				kd_probe_tell_applied(p, flow->id, &ret->outcome, 0, now);
			return true;
		}
		p->first_ready = flow->next_ready;
		if (!p->first_ready)
			p->last_ready = NULL;
		flow->is_ready = false;
	}
	return false;
}

void kd_probe_work_failed(struct kd_probe *p, const struct kd_probe_work *work, uint32_t nt_status,
			  uint64_t now)
{
	p->counters[KD_PROBE_N_INJECT_ERRORS]++;
	if (work->kind == KD_PROBE_CONTINUE && work->flow->is_open) {
		/* perhaps the platform did not know yet that it was deferred */
		work->flow->lanes[work->direction].is_deferred = true;
		p->must_continue = true;
	}
	if (work->item)
		kd_probe_tell_applied(p, work->flow->id, &work->outcome, nt_status, now);
}

void kd_probe_sent(struct kd_probe *p, struct kd_probe_flow *flow,
		   enum kd_probe_direction direction, uint32_t size)
{
	struct kd_probe_lane *lane = &flow->lanes[direction];

	lane->sent -= size;
	if (lane->is_deferred)
		kd_probe_make_ready(p, flow);
}
