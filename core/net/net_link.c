/* SPDX-License-Identifier: MIT */
/* The datagram link: start, events, what goes out, the clock. */
#include "core/net/net_crypto.h"
#include "core/net/net_link_internal.h"

enum {
	ACK_MS = 500, /* WinDbg repeats a request after 485 */
	DEBUGGER_RESET_MS = 500,
	DEBUGGER_RETRIES = 4,
	TARGET_RETRIES = 20,
	UNHEARD_RETRIES = 5,
};

static uint64_t time_add(uint64_t t, uint64_t d)
{
	return t + d < t ? KD_TIME_NEVER : t + d;
}

void kd_net_link_config_init(struct kd_link_config *cfg, enum kd_link_role role)
{
	bool is_target = role == KD_LINK_TARGET;

	*cfg = (struct kd_link_config){
		.role = role,
		.ack_wait = ACK_MS * (uint64_t)KD_NS_PER_MS,
		.reset_gap = is_target ? 0 : DEBUGGER_RESET_MS * (uint64_t)KD_NS_PER_MS,
		.retries = is_target ? TARGET_RETRIES : DEBUGGER_RETRIES,
		.retries_unheard = UNHEARD_RETRIES,
	};
}

void kd_net_link_init(struct kd_net_link *l, const struct kd_link_config *cfg)
{
	kd_zero(l, sizeof(*l));
	l->cfg = *cfg;
	kd_net_link_restart(l, 0);
}

/* Everything but configuration, counters and the wanted type. */
void kd_net_link_restart(struct kd_net_link *l, uint64_t now)
{
	const struct kd_link_config cfg = l->cfg;
	const struct kd_link_counters counters = l->counters;
	uint16_t want_type = l->want_type;
	bool is_target = cfg.role == KD_LINK_TARGET;

	kd_zero(l, offsetof(struct kd_net_link, last));
	l->cfg = cfg;
	l->counters = counters;
	l->want_type = want_type;
	l->now = now;
	l->next_send = is_target ? KD_NET_ID_TARGET : KD_NET_ID_DEBUGGER;
	l->expected = is_target ? KD_NET_ID_DEBUGGER : KD_NET_ID_TARGET;
	l->rx_fresh = true;
}

/* --- events --- */

static struct kd_link_queued_event *push(struct kd_net_link *l, enum kd_link_event_kind kind)
{
	size_t i = (size_t)(l->event_head + l->n_events) % KD_LINK_N_EVENTS;

	l->n_events++;
	l->events[i] = (struct kd_link_queued_event){ .kind = (uint8_t)kind };
	return &l->events[i];
}

/* One packet causes two events at most (ACKED, PACKET), a time-out one. */
void kd__net_link_event(struct kd_net_link *l, enum kd_link_event_kind kind)
{
	push(l, kind);
}

bool kd_net_link_next_event(struct kd_net_link *l, struct kd_link_event *event_ret)
{
	const struct kd_link_queued_event *ev = &l->events[l->event_head];

	if (!l->n_events)
		return false;
	*event_ret = (struct kd_link_event){
		.kind = (enum kd_link_event_kind)ev->kind,
		.repeat = ev->repeat,
		.type = ev->type,
		.id = ev->id,
		.payload = ev->kind == KD_LINK_PACKET ? l->last : NULL,
		.length = ev->length,
	};
	l->event_head = (uint8_t)((l->event_head + 1) % KD_LINK_N_EVENTS);
	l->n_events--;
	return true;
}

/* Type and payload are those of the last delivered packet; the ids may differ. */
bool kd__net_link_is_repeat(const struct kd_net_link *l, const struct kd_packet_hdr *hdr,
			    const uint8_t *payload)
{
	bool same = l->last_valid && l->last_type == hdr->type && l->last_size == hdr->length;

	for (size_t i = 0; same && i < hdr->length; i++)
		same = l->last[i] == payload[i];
	return same;
}

/* ACK and deliver; whoever calls has looked at the id. */
void kd__net_link_accept(struct kd_net_link *l, const struct kd_packet_hdr *hdr,
			 const uint8_t *payload)
{
	bool repeat = !l->sent_since && kd__net_link_is_repeat(l, hdr, payload);
	struct kd_link_queued_event *ev = push(l, KD_LINK_PACKET);

	ev->type = hdr->type;
	ev->id = hdr->id;
	ev->length = hdr->length;
	ev->repeat = repeat;
	kd_copy(l->last, payload, hdr->length);
	l->last_valid = true;
	l->last_type = hdr->type;
	l->last_size = hdr->length;
	l->sent_since = false;
	l->complained = false;
	l->rx_fresh = false;
	l->expected = hdr->id + KD_NET_ID_STEP;
	l->counters.rx_packets++;
	kd__net_link_ack(l, hdr->id);
}

/* --- output --- */

static struct kd_link_control *control_at(struct kd_net_link *l, size_t i)
{
	return &l->controls[(l->control_head + i) % KD_NET_N_CONTROLS];
}

/* Nothing that waits is queued twice; a full ring drops the newest: the peer asks again. */
static void push_control(struct kd_net_link *l, const struct kd_link_control *c)
{
	for (size_t i = 0; i < l->n_controls; i++) {
		const struct kd_link_control *other = control_at(l, i);

		if (other->size == c->size && kd_net_is_same(other->bytes, c->bytes, c->size))
			return;
	}
	if (l->n_controls == KD_NET_N_CONTROLS)
		return;
	*control_at(l, l->n_controls) = *c;
	l->n_controls++;
}

void kd__net_link_control(struct kd_net_link *l, enum kd_packet_type type, uint32_t id)
{
	const struct kd_packet_hdr hdr = {
		.leader = KD_LEADER_CONTROL,
		.type = (uint16_t)type,
		.id = id,
	};
	struct kd_link_control c = { .size = KD_HDR_SIZE };

	kd_packet_hdr_encode(c.bytes, &hdr);
	push_control(l, &c);
}

/* Ids are counters here: bit 0x800 is one of their bits and is echoed like the others. */
void kd__net_link_ack(struct kd_net_link *l, uint32_t id)
{
	l->counters.acks_sent++;
	kd__net_link_control(l, KD_PACKET_ACKNOWLEDGE, id);
}

/* RESEND of our own accord: one until something good comes, or until it may have been lost. */
void kd__net_link_complain(struct kd_net_link *l)
{
	if (l->complained && l->now < time_add(l->complained_at, l->cfg.ack_wait))
		return;
	l->complained = true;
	l->complained_at = l->now;
	kd_net_link_ask_resend(l, l->now);
}

void kd_net_link_ask_resend(struct kd_net_link *l, uint64_t now)
{
	l->now = now;
	l->counters.resends_sent++;
	kd__net_link_control(l, KD_PACKET_RESEND, 0);
}

void kd_net_link_break_in(struct kd_net_link *l, uint64_t now)
{
	const struct kd_link_control c = { .bytes = { KD_BYTE_BREAKIN }, .size = 1 };

	l->now = now;
	l->counters.breakins++;
	push_control(l, &c);
}

static uint32_t tries(const struct kd_net_link *l)
{
	return l->peer_heard || l->cfg.role == KD_LINK_DEBUGGER ? l->cfg.retries
								: l->cfg.retries_unheard;
}

void kd__net_link_retransmit(struct kd_net_link *l)
{
	if (l->tx_pending)
		return;
	if (l->tx_copies)
		l->counters.retransmits++;
	l->tx_pending = true;
}

void kd__net_link_drop(struct kd_net_link *l, bool in_doubt)
{
	l->tx_cancelled = in_doubt && l->tx_outstanding && l->tx_copies;
	l->tx_outstanding = false;
	l->tx_pending = false;
}

void kd__net_link_acked(struct kd_net_link *l)
{
	bool was_outstanding = l->tx_outstanding;

	kd__net_link_drop(l, false);
	l->next_send += KD_NET_ID_STEP;
	if (was_outstanding)
		push(l, KD_LINK_ACKED);
}

void kd_net_link_cancel(struct kd_net_link *l)
{
	if (l->tx_outstanding)
		kd__net_link_drop(l, true);
}

enum kd_status kd_net_link_send(struct kd_net_link *l, uint16_t type, const uint8_t *header,
				size_t header_size, const uint8_t *data, size_t data_size,
				bool abandonable, uint64_t now)
{
	struct kd_packet_hdr hdr = { .leader = KD_LEADER_DATA, .type = type };
	uint8_t *payload = l->tx + KD_HDR_SIZE;

	if (l->tx_outstanding)
		return KD_E_BUSY;
	if (header_size > KD_NET_PAYLOAD_MAX || data_size > KD_NET_PAYLOAD_MAX - header_size)
		return KD_E_TOO_BIG;
	kd_copy(payload, header, header_size);
	kd_copy(payload + header_size, data, data_size);
	hdr.length = (uint16_t)(header_size + data_size);
	hdr.id = l->next_send;
	hdr.checksum = kd_checksum(payload, hdr.length);
	kd_packet_hdr_encode(l->tx, &hdr);
	l->tx_size = KD_HDR_SIZE + (size_t)hdr.length;

	l->now = now;
	l->tx_outstanding = true;
	l->tx_cancelled = false;
	l->tx_abandonable = abandonable;
	l->tx_pending = true;
	l->tx_copies = 0;
	l->tx_tries = tries(l);
	l->sent_since = true;
	l->counters.tx_packets++;
	return KD_OK;
}

const uint8_t *kd_net_link_next_output(struct kd_net_link *l, size_t *size_ret)
{
	*size_ret = 0;
	l->out = KD_LINK_OUT_NONE;
	if (l->n_controls) {
		l->out = KD_LINK_OUT_CONTROL;
		*size_ret = control_at(l, 0)->size;
		return control_at(l, 0)->bytes;
	}
	if (!l->tx_pending)
		return NULL;
	l->out = KD_LINK_OUT_DATA;
	*size_ret = l->tx_size;
	return l->tx;
}

void kd_net_link_output_done(struct kd_net_link *l, uint64_t now)
{
	enum kd_link_out out = l->out;

	l->now = now;
	l->out = KD_LINK_OUT_NONE;
	if (out == KD_LINK_OUT_CONTROL && l->n_controls) {
		l->counters.tx_bytes += control_at(l, 0)->size;
		l->control_head = (uint8_t)((l->control_head + 1) % KD_NET_N_CONTROLS);
		l->n_controls--;
	} else if (out == KD_LINK_OUT_DATA && l->tx_pending) {
		l->counters.tx_bytes += l->tx_size;
		l->tx_pending = false;
		l->tx_copies++;
		l->tx_done_at = now;
	}
}

/* --- receiving --- */

static bool is_break_in(const struct kd_net_link *l, const uint8_t *packet, size_t size)
{
	return l->cfg.role == KD_LINK_TARGET && size == 1 && packet[0] == KD_BYTE_BREAKIN;
}

static void heard(struct kd_net_link *l)
{
	l->peer_heard = true;
	l->tx_tries = tries(l);
}

bool kd_net_link_feed(struct kd_net_link *l, const uint8_t *packet, size_t size, uint64_t now)
{
	struct kd_packet_hdr hdr;

	if (l->n_events)
		return false;
	l->now = now;
	l->counters.rx_bytes += size;
	if (is_break_in(l, packet, size)) {
		heard(l);
		l->counters.breakins++;
		push(l, KD_LINK_BREAKIN);
		return true;
	}
	if (size < KD_HDR_SIZE || kd_packet_hdr_decode(&hdr, packet) != KD_OK ||
	    size != KD_HDR_SIZE + (size_t)hdr.length) {
		l->counters.header_errors++;
		return true;
	}
	if (kd_checksum(packet + KD_HDR_SIZE, hdr.length) != hdr.checksum) {
		l->counters.checksum_errors++;
		kd__net_link_complain(l);
		return true;
	}
	heard(l);
	kd__net_link_packet(l, &hdr, packet + KD_HDR_SIZE);
	return true;
}

/* --- RESET --- */

uint64_t kd__net_link_reset_due(const struct kd_net_link *l)
{
	return l->reset_sent ? time_add(l->reset_sent_at, l->cfg.reset_gap) : 0;
}

/* The id is the one that we send next, or that of the packet that is outstanding. */
void kd__net_link_reset_now(struct kd_net_link *l)
{
	l->reset_wanted = false;
	l->reset_sent = true;
	l->reset_sent_at = l->now;
	l->counters.resets_sent++;
	kd__net_link_control(l, KD_PACKET_RESET, l->next_send);
}

static void reset_ask(struct kd_net_link *l)
{
	kd__net_link_reset_now(l);
	l->reset_pending = true;
}

void kd_net_link_reset(struct kd_net_link *l, uint64_t now)
{
	l->now = now;
	l->reset_wanted = true;
	if (now >= kd__net_link_reset_due(l))
		reset_ask(l);
}

/* --- the clock --- */

static uint64_t ack_deadline(const struct kd_net_link *l)
{
	return l->tx_outstanding && !l->tx_pending ? time_add(l->tx_done_at, l->cfg.ack_wait)
						   : KD_TIME_NEVER;
}

uint64_t kd_net_link_deadline(const struct kd_net_link *l)
{
	uint64_t due = ack_deadline(l);
	uint64_t reset_due = l->reset_wanted ? kd__net_link_reset_due(l) : KD_TIME_NEVER;

	return due < reset_due ? due : reset_due;
}

void kd_net_link_timeout(struct kd_net_link *l, uint64_t now)
{
	if (l->n_events)
		return;
	l->now = now;
	if (now >= ack_deadline(l)) {
		if (l->tx_tries) {
			l->tx_tries--;
			kd__net_link_retransmit(l);
		} else {
			kd__net_link_give_up(l);
			l->tx_tries = tries(l);
		}
	}
	if (l->reset_wanted && now >= kd__net_link_reset_due(l))
		reset_ask(l);
}

bool kd_net_link_is_busy(const struct kd_net_link *l)
{
	return l->tx_outstanding;
}

bool kd_net_link_is_synced(const struct kd_net_link *l)
{
	return l->is_synced;
}

bool kd_net_link_is_peer_heard(const struct kd_net_link *l)
{
	return l->peer_heard;
}

void kd_net_link_want(struct kd_net_link *l, uint16_t type)
{
	l->want_type = type;
}

const struct kd_link_counters *kd_net_link_counters(const struct kd_net_link *l)
{
	return &l->counters;
}

const char *kd__net_link_check(const struct kd_net_link *l)
{
	if (l->n_events > KD_LINK_N_EVENTS || l->event_head >= KD_LINK_N_EVENTS)
		return "events";
	if (l->n_controls > KD_NET_N_CONTROLS || l->control_head >= KD_NET_N_CONTROLS)
		return "controls";
	if (l->tx_size > sizeof(l->tx) || l->last_size > sizeof(l->last))
		return "storage bounds";
	if (l->tx_pending && !l->tx_outstanding)
		return "a copy of a packet that nobody waits for";
	if (l->tx_outstanding && l->tx_cancelled)
		return "outstanding and cancelled";
	if (l->next_send & 1)
		return "next_send is even";
	return NULL;
}
