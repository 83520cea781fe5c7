/* SPDX-License-Identifier: MIT */
/* What the host's records make the guest's end do. */
#include "core/probe/probe_guest_private.h"

static const uint8_t *down_at(const struct kd_probe *p, uint32_t index)
{
	return p->memory + p->shape.down + (index & (p->shape.down_size - 1));
}

bool kd_probe_has_orders(const struct kd_probe *p)
{
	if (p->is_ending)
		return false;
	if (kd_probe_load(p, KD_PROBE_AT_HOST_NONCE) != p->nonce)
		return true;
	return !p->is_broken && kd_probe_load(p, KD_PROBE_AT_DOWN_HEAD) != p->down_tail;
}

static enum kd_status take(struct kd_probe *p, struct kd_probe_w_record *ret, uint8_t *payload)
{
	uint8_t hdr[KD_PROBE_HDR];
	uint32_t used, advance;
	enum kd_status s;

	do {
		if (!kd_probe_used(kd_probe_load(p, KD_PROBE_AT_DOWN_HEAD), p->down_tail,
				   p->shape.down_size, &used))
			return KD_E_MALFORMED;
		if (used == 0)
			return KD_E_AGAIN;
		kd_copy(hdr, down_at(p, p->down_tail), sizeof hdr);
		s = kd_probe_hdr_decode(ret, hdr, p->down_tail, used, p->shape.down_size, &advance);
		if (s == KD_E_MALFORMED)
			return s;
		if (s == KD_OK)
			kd_copy(payload, down_at(p, p->down_tail) + KD_PROBE_HDR,
				ret->payload_size);
		p->down_tail += advance;
		kd_probe_store(p, KD_PROBE_AT_DOWN_TAIL, p->down_tail);
	} while (s == KD_E_AGAIN);
	return KD_OK;
}

enum kd_status kd_probe_take(struct kd_probe *p, struct kd_probe_w_record *ret, uint8_t *payload)
{
	enum kd_status s;

	if (p->is_broken)
		return KD_E_AGAIN;
	s = take(p, ret, payload);
	p->is_broken = s == KD_E_MALFORMED;
	return s;
}

/* --- verdicts --- */

/* The bytes behind a verdict or an injection. False: the sizes do not fit to each other. */
static bool has_bytes(const struct kd_probe_w_record *record, uint32_t before, uint32_t size)
{
	return record->payload_size >= before && size == record->payload_size - before &&
	       size <= KD_PROBE_BYTES_MAX;
}

bool kd_probe_needs_spare(const struct kd_probe_w_record *record, const uint8_t *payload,
			  uint32_t *size_ret)
{
	struct kd_probe_w_verdict verdict;

	if (record->type == KD_PROBE_INJECT && record->payload_size >= KD_PROBE_SIZE_inject) {
		*size_ret = record->payload_size - KD_PROBE_SIZE_inject;
		return *size_ret <= KD_PROBE_BYTES_MAX;
	}
	if (record->type != KD_PROBE_VERDICT || record->payload_size < KD_PROBE_SIZE_verdict)
		return false;
	kd_probe_w_verdict_decode(&verdict, payload);
	*size_ret = record->payload_size - KD_PROBE_SIZE_verdict;
	return verdict.verdict == KD_PROBE_REPLACE && *size_ret <= KD_PROBE_BYTES_MAX;
}

static void fill_bytes(struct kd_probe_item *item, const uint8_t *bytes, uint32_t size)
{
	kd_copy(item->data, bytes, size);
	item->size = size;
	item->replacement = NULL;
}

static bool apply_verdict(struct kd_probe *p, struct kd_probe_flow *flow,
			  const struct kd_probe_w_record *record, const uint8_t *payload,
			  struct kd_probe_item **spare)
{
	struct kd_probe_w_verdict v;
	struct kd_probe_item *item;

	if (record->payload_size < KD_PROBE_SIZE_verdict)
		return false;
	kd_probe_w_verdict_decode(&v, payload);
	if (v.verdict < KD_PROBE_PASS || v.verdict > KD_PROBE_RESET ||
	    !has_bytes(record, KD_PROBE_SIZE_verdict, v.size) ||
	    (v.size && v.verdict != KD_PROBE_REPLACE))
		return false;
	item = flow ? kd_probe_find_waiting(p, flow, record->item) : NULL;
	if (!item) {
		p->counters[KD_PROBE_N_LATE]++;
		return true;
	}
	if (v.verdict == KD_PROBE_REPLACE) {
		if (!*spare || item->flags & KD_PROBE_FIN)
			return false;
		item->replacement = *spare;
		*spare = NULL;
		fill_bytes(item->replacement, payload + KD_PROBE_SIZE_verdict, v.size);
	}
	kd_probe_decide(p, item, (enum kd_probe_verdict)v.verdict, KD_PROBE_BY_HOST);
	return true;
}

/* Behind the end of a stream nothing can go: the host hears what became of it. */
static void tell_refused(struct kd_probe *p, struct kd_probe_flow *flow, struct kd_probe_item *item,
			 uint64_t now)
{
	struct kd_probe_outcome outcome;

	item->verdict = KD_PROBE_DROP;
	outcome = kd_probe_outcome_of(item);
	kd_probe_tell_applied(p, flow->id, &outcome, KD_PROBE_STATUS_ENDED, now);
	p->counters[KD_PROBE_N_LATE]++;
}

/*
 * Something of the host's own, behind what is queued already, but before an end that waits. A
 * stream's lane leaves the system's hands with it for good: bytes would overtake each other else.
 */
static bool apply_inject(struct kd_probe *p, struct kd_probe_flow *flow,
			 const struct kd_probe_w_record *record, const uint8_t *payload,
			 struct kd_probe_item **spare, uint64_t now)
{
	struct kd_probe_w_inject v;
	struct kd_probe_item *item;
	struct kd_probe_lane *lane;
	bool is_datagram;

	if (record->payload_size < KD_PROBE_SIZE_inject)
		return false;
	kd_probe_w_inject_decode(&v, payload);
	if (v.direction > KD_PROBE_IN || !has_bytes(record, KD_PROBE_SIZE_inject, v.size) ||
	    v.flags & ~(uint32_t)(KD_PROBE_FIN | KD_PROBE_PUSH) ||
	    (v.flags & KD_PROBE_FIN && v.size) || !*spare)
		return false;
	if (!flow) {
		p->counters[KD_PROBE_N_LATE]++;
		return true;
	}
	is_datagram = flow->facts.protocol != KD_PROBE_TCP;
	if (is_datagram && v.flags & KD_PROBE_FIN)
		return false;
	lane = &flow->lanes[v.direction];
	item = *spare;
	fill_bytes(item, payload + KD_PROBE_SIZE_inject, v.size);
	item->flags = (uint16_t)(v.flags | (v.direction == KD_PROBE_IN ? KD_PROBE_INBOUND : 0) |
				 (is_datagram ? KD_PROBE_DATAGRAM : 0));
	item->pid = flow->facts.pid;
	item->tid = 0;
	item->flow = flow;
	item->id = record->item;
	item->since = now;
	item->verdict = KD_PROBE_INJECTED;
	item->by = KD_PROBE_BY_HOST;
	item->is_told = true;
	if (!lane->has_ended) {
		lane->is_out_of_band |= !is_datagram;
		lane->has_ended = (v.flags & KD_PROBE_FIN) != 0;
		kd_probe_lane_append(p, item);
	} else if (v.flags & KD_PROBE_FIN || !kd_probe_lane_insert_before_end(p, item)) {
		tell_refused(p, flow, item, now);
		return true; /* the spare stays the driver's */
	}
	*spare = NULL;
	p->counters[KD_PROBE_N_INJECTED]++;
	return true;
}

/* --- modes, policy, filter --- */

static bool apply_flow_mode(struct kd_probe *p, struct kd_probe_flow *flow,
			    const struct kd_probe_w_record *record, const uint8_t *payload,
			    uint64_t now)
{
	struct kd_probe_w_flow_mode v;

	if (record->payload_size != KD_PROBE_SIZE_flow_mode)
		return false;
	kd_probe_w_flow_mode_decode(&v, payload);
	if (v.mode > KD_PROBE_FLOW_RELEASED)
		return false;
	if (!flow)
		return true; /* it ended meanwhile */
	flow->mode = (uint8_t)v.mode;
	if (v.mode != KD_PROBE_FLOW_HELD && v.mode != KD_PROBE_FLOW_FILTERED)
		kd_probe_release_flow(p, flow, KD_PROBE_BY_HOST);
	if (v.mode != KD_PROBE_FLOW_IGNORED)
		kd_probe_tell_flow(p, flow, now);
	return true;
}

static uint32_t between(uint32_t v, uint32_t low, uint32_t high)
{
	return v < low ? low : v > high ? high : v;
}

static bool apply_policy(struct kd_probe *p, const struct kd_probe_w_record *record,
			 const uint8_t *payload)
{
	struct kd_probe_w_policy v;

	if (record->payload_size != KD_PROBE_SIZE_policy)
		return false;
	kd_probe_w_policy_decode(&v, payload);
	if (v.mode > KD_PROBE_INTERCEPT || v.is_fail_closed > 1)
		return false;
	v.hold_ms = between(v.hold_ms, 1, KD_PROBE_HOLD_MS_MAX);
	v.silence_ms = between(v.silence_ms, KD_PROBE_SILENCE_MS_MIN, KD_PROBE_SILENCE_MS_MAX);
	v.flow_held_max = between(v.flow_held_max, KD_PROBE_BYTES_MAX, KD_PROBE_FLOW_HELD_MAX_MAX);
	v.held_max = between(v.held_max, KD_PROBE_BYTES_MAX, KD_PROBE_HELD_MAX_MAX);
	v.defer_above = between(v.defer_above, 1024, v.flow_held_max);
	v.continue_below = between(v.continue_below, 0, v.defer_above);
	p->policy = v;
	p->epoch++;
	if (v.mode != KD_PROBE_INTERCEPT)
		kd_probe_release_all(p, KD_PROBE_BY_HOST);
	/* flows that began while nobody was interested */
	p->must_sync |= v.mode != KD_PROBE_OFF;
	return true;
}

/*
 * Checked in place: a filter that is wrong leaves one that shows everything and holds nothing,
 * until the host, who hears of it, sends a better one.
 */
static void apply_filter(struct kd_probe *p, const struct kd_probe_w_record *record,
			 const uint8_t *payload, uint64_t now)
{
	struct kd_probe_w_filter_state state = { 0 };

	state.fault = (uint32_t)kd_probe_filter_decode(&p->filter, payload, record->payload_size,
						       &state.where);
	if (record->payload_size >= 4)
		state.generation = kd_get32(payload);
	if (state.fault != KD_PROBE_FILTER_GOOD) {
		kd_probe_filter_init(&p->filter);
		p->filter.generation = state.generation;
		p->policy.mode = p->policy.mode ? KD_PROBE_CAPTURE : KD_PROBE_OFF;
		kd_probe_release_all(p, KD_PROBE_BY_HOST);
		p->counters[KD_PROBE_N_REFUSED]++;
	}
	p->epoch++;
	kd_probe_tell_filter(p, &state, now);
}

void kd_probe_apply(struct kd_probe *p, const struct kd_probe_w_record *record,
		    const uint8_t *payload, struct kd_probe_item **spare, uint64_t now)
{
	struct kd_probe_flow *flow = kd_probe_flow_find(p, record->flow);
	bool is_sense = true;

	switch (record->type) {
	case KD_PROBE_VERDICT: is_sense = apply_verdict(p, flow, record, payload, spare); break;
	case KD_PROBE_INJECT: is_sense = apply_inject(p, flow, record, payload, spare, now); break;
	case KD_PROBE_FLOW_MODE: is_sense = apply_flow_mode(p, flow, record, payload, now); break;
	case KD_PROBE_POLICY: is_sense = apply_policy(p, record, payload); break;
	case KD_PROBE_FILTER: apply_filter(p, record, payload, now); break;
	default: is_sense = false; break;
	}
	p->counters[KD_PROBE_N_REFUSED] += !is_sense;
}
