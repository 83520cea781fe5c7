/* SPDX-License-Identifier: MIT */
/* What the guest's end tells the host. */
#include "core/probe/probe_guest_private.h"

bool kd_probe_is_heard(const struct kd_probe *p)
{
	return p->host_state != KD_PROBE_HOST_ABSENT && p->nonce != 0 && !p->is_broken;
}

uint32_t kd_probe_tell_spare(const struct kd_probe *p)
{
	return p->shape.up_size / 8;
}

/* --- the ring --- */

static uint8_t *at(const struct kd_probe *p, uint32_t index)
{
	return p->memory + p->shape.up + (index & (p->shape.up_size - 1));
}

uint8_t *kd_probe_tell_begin(struct kd_probe *p, uint32_t payload, uint32_t spare,
			     uint32_t *index_ret)
{
	struct kd_probe_slot slot;
	enum kd_status s;

	if (!kd_probe_is_heard(p))
		return NULL;
	s = kd_probe_slot_find(p->up_head, kd_probe_load(p, KD_PROBE_AT_UP_TAIL), p->shape.up_size,
			       kd_probe_record_room(payload), spare, &slot);
	p->is_broken = s == KD_E_MALFORMED;
	if (s != KD_OK)
		return NULL;
	if (slot.skip) {
		kd_probe_skip_encode(at(p, p->up_head), p->up_head);
		p->up_head = slot.index;
		kd_probe_store(p, KD_PROBE_AT_UP_HEAD, p->up_head);
	}
	*index_ret = slot.index;
	return at(p, slot.index) + KD_PROBE_HDR;
}

void kd_probe_tell_end(struct kd_probe *p, struct kd_probe_w_record *record, uint32_t index)
{
	kd_probe_hdr_encode(at(p, index), record, index);
	p->up_head = index + kd_probe_record_room(record->payload_size);
	kd_probe_store(p, KD_PROBE_AT_UP_HEAD, p->up_head);
}

/* A record that is not data: may use all of the ring. */
static bool tell(struct kd_probe *p, struct kd_probe_w_record *record, const uint8_t *payload,
		 const uint8_t *more, uint32_t more_size)
{
	uint32_t size = record->payload_size, index;
	uint8_t *to = kd_probe_tell_begin(p, size + more_size, 0, &index);

	if (!to)
		return false;
	kd_copy(to, payload, size);
	kd_copy(to + size, more, more_size);
	record->payload_size += more_size;
	kd_probe_tell_end(p, record, index);
	return true;
}

/* What the host must not miss: without room it is told everything anew, later. */
static void tell_surely(struct kd_probe *p, struct kd_probe_w_record *record,
			const uint8_t *payload)
{
	if (kd_probe_is_heard(p) && !tell(p, record, payload, NULL, 0))
		p->must_sync = true;
}

/* --- losses --- */

void kd_probe_tell_loss(struct kd_probe *p, uint32_t bytes)
{
	p->lost_items++;
	p->lost_bytes += bytes;
	p->counters[KD_PROBE_N_LOST]++;
	p->counters[KD_PROBE_N_LOST_BYTES] += bytes;
}

/* Before the next data: where something is missing. */
static void tell_losses(struct kd_probe *p, uint64_t now)
{
	struct kd_probe_w_loss loss = { p->lost_items, p->lost_bytes };
	struct kd_probe_w_record record = { .type = KD_PROBE_LOSS,
					    .time = now,
					    .payload_size = KD_PROBE_SIZE_loss };
	uint8_t payload[KD_PROBE_SIZE_loss];

	if (p->lost_items == 0)
		return;
	kd_probe_w_loss_encode(payload, &loss);
	if (tell(p, &record, payload, NULL, 0))
		p->lost_items = p->lost_bytes = 0;
}

/* --- flows --- */

static bool tell_open(struct kd_probe *p, struct kd_probe_flow *flow, uint64_t now)
{
	const struct kd_probe_facts *facts = &flow->facts;
	struct kd_probe_w_flow_open v = {
		.family = facts->family,
		.protocol = facts->protocol,
		.direction = facts->direction,
		.flags = (uint8_t)((facts->is_loopback ? KD_PROBE_FLOW_LOOPBACK : 0) |
				   (p->is_syncing ? KD_PROBE_FLOW_EXISTING : 0)),
		.local_port = facts->local_port,
		.remote_port = facts->remote_port,
		.endpoint = facts->endpoint,
		.action = flow->action,
		.path_size = facts->path_size,
	};
	struct kd_probe_w_record record = { .type = KD_PROBE_FLOW_OPEN,
					    .flow = flow->id,
					    .time = now,
					    .pid = facts->pid,
					    .payload_size = KD_PROBE_SIZE_flow_open };
	uint8_t payload[KD_PROBE_SIZE_flow_open];

	kd_copy(v.local, facts->local, sizeof v.local);
	kd_copy(v.remote, facts->remote, sizeof v.remote);
	kd_probe_w_flow_open_encode(payload, &v);
	return tell(p, &record, payload, facts->path, facts->path_size);
}

/* What waits in a lane and is not known to this host. */
static bool tell_waiting(struct kd_probe *p, const struct kd_probe_lane *lane, uint64_t now)
{
	for (struct kd_probe_item *i = lane->first; i; i = i->next)
		if (!i->is_told && !i->verdict &&
		    !kd_probe_tell_item(p, i, KD_PROBE_HELD | KD_PROBE_AGAIN, now))
			return false;
	return true;
}

bool kd_probe_tell_flow(struct kd_probe *p, struct kd_probe_flow *flow, uint64_t now)
{
	if (!flow->is_told)
		flow->is_told = tell_open(p, flow, now);
	if (flow->is_told && !flow->has_untold)
		return true;
	if (flow->is_told && tell_waiting(p, &flow->lanes[KD_PROBE_OUT], now) &&
	    tell_waiting(p, &flow->lanes[KD_PROBE_IN], now)) {
		flow->has_untold = false;
		return true;
	}
	p->must_sync |= kd_probe_is_heard(p) && !p->is_syncing; /* who syncs comes by */
	return false;
}

void kd_probe_tell_close(struct kd_probe *p, struct kd_probe_flow *flow, enum kd_probe_close reason,
			 uint64_t now)
{
	struct kd_probe_w_flow_close v = { .reason = (uint32_t)reason,
					   .bytes_out = flow->lanes[KD_PROBE_OUT].bytes,
					   .bytes_in = flow->lanes[KD_PROBE_IN].bytes };
	struct kd_probe_w_record record = { .type = KD_PROBE_FLOW_CLOSE,
					    .flow = flow->id,
					    .time = now,
					    .pid = flow->facts.pid,
					    .payload_size = KD_PROBE_SIZE_flow_close };
	uint8_t payload[KD_PROBE_SIZE_flow_close];

	if (!flow->is_told)
		return;
	kd_probe_w_flow_close_encode(payload, &v);
	tell_surely(p, &record, payload);
}

/* --- payloads --- */

bool kd_probe_tell_item(struct kd_probe *p, struct kd_probe_item *item, uint16_t flags,
			uint64_t now)
{
	struct kd_probe_w_record record = { .type = KD_PROBE_DATA,
					    .flags = item->flags | flags,
					    .item = item->id,
					    .flow = item->flow->id,
					    .time = now,
					    .pid = item->pid,
					    .tid = item->tid,
					    .payload_size = item->size };
	uint32_t index;
	uint8_t *to;

	tell_losses(p, now);
	to = kd_probe_tell_begin(p, item->size, kd_probe_tell_spare(p), &index);
	if (!to)
		return false;
	kd_copy(to, item->data, item->size);
	kd_probe_tell_end(p, &record, index);
	item->is_told = true;
	p->counters[KD_PROBE_N_SHOWN]++;
	p->counters[KD_PROBE_N_SHOWN_BYTES] += item->size;
	return true;
}

uint8_t *kd_probe_show_begin(struct kd_probe *p, struct kd_probe_flow *flow, uint32_t size,
			     uint64_t now)
{
	uint8_t *to = NULL;
	uint32_t index;

	if (kd_probe_tell_flow(p, flow, now)) {
		tell_losses(p, now);
		to = kd_probe_tell_begin(p, size, kd_probe_tell_spare(p), &index);
	}
	if (!to && kd_probe_is_heard(p))
		kd_probe_tell_loss(p, size);
	return to;
}

/* Only for flows whose program looks into the bytes. */
static bool is_shown_after_all(const struct kd_probe *p, const struct kd_probe_flow *flow,
			       const struct kd_probe_item *like, const uint8_t *bytes)
{
	enum kd_probe_direction direction = like->flags & KD_PROBE_INBOUND ? KD_PROBE_IN
									   : KD_PROBE_OUT;

	return flow->lanes[direction].wish.is_shown != KD_BPF_DEPENDS ||
	       flow->mode == KD_PROBE_FLOW_SHOWN || flow->mode == KD_PROBE_FLOW_RELEASED ||
	       flow->mode == KD_PROBE_FLOW_HELD ||
	       kd_probe_program_matches(&p->filter.capture, &flow->facts, direction, like->flags,
					bytes, like->size);
}

void kd_probe_show_end(struct kd_probe *p, struct kd_probe_flow *flow,
		       const struct kd_probe_item *like, uint64_t now)
{
	struct kd_probe_w_record record = { .type = KD_PROBE_DATA,
					    .flags = like->flags,
					    .item = p->next_item++,
					    .flow = flow->id,
					    .time = now,
					    .pid = like->pid,
					    .tid = like->tid,
					    .payload_size = like->size };
	uint32_t index = p->up_head;

	if (!is_shown_after_all(p, flow, like, at(p, index) + KD_PROBE_HDR))
		return;
	kd_probe_tell_end(p, &record, index);
	p->counters[KD_PROBE_N_SHOWN]++;
	p->counters[KD_PROBE_N_SHOWN_BYTES] += like->size;
}

struct kd_probe_outcome kd_probe_outcome_of(const struct kd_probe_item *item)
{
	const struct kd_probe_item *sent = item->replacement ? item->replacement : item;
	bool is_sent = item->verdict != KD_PROBE_DROP && item->verdict != KD_PROBE_RESET &&
		       item->by != KD_PROBE_BY_END;

	return (struct kd_probe_outcome){ .id = item->id,
					  .pid = item->pid,
					  .original_size = item->size,
					  .size = is_sent ? sent->size : 0,
					  .flags = item->flags,
					  .verdict = item->verdict,
					  .by = item->by,
					  .is_told = item->is_told };
}

void kd_probe_tell_applied(struct kd_probe *p, uint64_t flow,
			   const struct kd_probe_outcome *outcome, uint32_t nt_status, uint64_t now)
{
	struct kd_probe_w_applied v = { .verdict = outcome->verdict,
					.by = outcome->by,
					.nt_status = nt_status,
					.original_size = outcome->original_size,
					.size = outcome->size };
	struct kd_probe_w_record record = { .type = KD_PROBE_APPLIED,
					    .flags = outcome->flags,
					    .item = outcome->id,
					    .flow = flow,
					    .time = now,
					    .pid = outcome->pid,
					    .payload_size = KD_PROBE_SIZE_applied };
	uint8_t payload[KD_PROBE_SIZE_applied];

	if (!outcome->is_told)
		return;
	kd_probe_w_applied_encode(payload, &v);
	tell_surely(p, &record, payload);
}

void kd_probe_tell_filter(struct kd_probe *p, const struct kd_probe_w_filter_state *state,
			  uint64_t now)
{
	struct kd_probe_w_record record = { .type = KD_PROBE_FILTER_STATE,
					    .time = now,
					    .payload_size = KD_PROBE_SIZE_filter_state };
	uint8_t payload[KD_PROBE_SIZE_filter_state];

	kd_probe_w_filter_state_encode(payload, state);
	tell(p, &record, payload, NULL, 0);
}

/* --- everything anew --- */

static bool tell_sync(struct kd_probe *p, bool is_end, uint64_t now)
{
	struct kd_probe_w_sync v = { is_end, p->nonce };
	struct kd_probe_w_record record = { .type = KD_PROBE_SYNC,
					    .time = now,
					    .payload_size = KD_PROBE_SIZE_sync };
	uint8_t payload[KD_PROBE_SIZE_sync];

	kd_probe_w_sync_encode(payload, &v);
	return tell(p, &record, payload, NULL, 0);
}

void kd_probe_tell_anew(struct kd_probe *p)
{
	for (struct kd_probe_flow *f = p->first_flow; f; f = f->next) {
		f->is_told = false;
		f->has_untold = true;
		for (int d = 0; d < 2; d++)
			for (struct kd_probe_item *i = f->lanes[d].first; i; i = i->next)
				i->is_told = false;
	}
	p->must_sync = true;
	p->is_syncing = false;
}

/* Enough room that it is not in vain. */
static bool has_drained(const struct kd_probe *p)
{
	uint32_t used;

	return kd_probe_used(p->up_head, kd_probe_load(p, KD_PROBE_AT_UP_TAIL), p->shape.up_size,
			     &used) &&
	       used <= p->shape.up_size / 2;
}

void kd_probe_tell_more(struct kd_probe *p, uint64_t now)
{
	if (!kd_probe_is_heard(p))
		return;
	if (p->must_sync && has_drained(p)) {
		kd_probe_tell_anew(p);
		if (!tell_sync(p, false, now))
			return;
		p->must_sync = false;
		p->is_syncing = true;
		p->sync_at = p->first_flow;
		p->counters[KD_PROBE_N_SYNCS]++;
	}
	while (p->is_syncing && p->sync_at && kd_probe_tell_flow(p, p->sync_at, now))
		p->sync_at = p->sync_at->next;
	if (p->is_syncing && !p->sync_at && tell_sync(p, true, now))
		p->is_syncing = false;
}
