/* SPDX-License-Identifier: MIT */
/* What each role of the datagram link does with a packet: docs/protocol/kdnet.md, "The link". */
#include "core/link/implied.h"
#include "core/net/net_link_internal.h"

enum {
	/* RESETs that a target with ids of its own may leave unanswered before it is taken as is.
	 */
	FRESH_TRIES = 3,
	/* A target may be paused: the answer to a RESET can take so many reset_gaps. */
	ANSWER_GAPS = 10,
};

/* Where an id stands against the expected one: <0 seen already, 0 right, >0 something is missing.
 */
static int32_t id_distance(const struct kd_net_link *l, uint32_t id)
{
	return (int32_t)(id - l->expected);
}

static void duplicate(struct kd_net_link *l, const struct kd_packet_hdr *hdr)
{
	l->counters.duplicates++;
	kd__net_link_ack(l, hdr->id);
}

/* An ACK for the outstanding packet, or for a cancelled one. */
static void ack(struct kd_net_link *l, uint32_t id)
{
	l->counters.acks_seen++;
	if (id == l->next_send && (l->tx_outstanding || l->tx_cancelled) && l->tx_copies)
		kd__net_link_acked(l);
}

/*
 * RESEND for the outstanding packet: the first is obeyed at once, later ones wait for ack_wait: two
 * ends that disagree about ids would otherwise ask and repeat as fast as the network carries it.
 */
static bool resend_outstanding(struct kd_net_link *l)
{
	l->counters.resends_seen++;
	if (l->tx_outstanding && l->tx_copies == 1)
		kd__net_link_retransmit(l);
	return l->tx_outstanding;
}

/* --- debugger --- */

static bool is_implied_ack(const struct kd_net_link *l, const struct kd_packet_hdr *hdr,
			   const uint8_t *payload)
{
	bool is_same_stop = false;

	if (!l->tx_copies || (!l->tx_outstanding && !l->tx_cancelled))
		return false;
	if (l->stop_valid && kd__packet_is_stop(hdr->type))
		is_same_stop = l->stop_hash == kd__stop_hash(payload, hdr->length);
	return kd__packet_implies_ack(l->tx, hdr, payload, kd__net_link_is_repeat(l, hdr, payload),
				      is_same_stop);
}

static void debugger_accept(struct kd_net_link *l, const struct kd_packet_hdr *hdr,
			    const uint8_t *payload)
{
	if (is_implied_ack(l, hdr, payload)) {
		l->counters.implicit_acks++;
		kd__net_link_acked(l);
	}
	if (kd__packet_is_stop(hdr->type)) {
		l->stop_valid = true;
		l->stop_hash = kd__stop_hash(payload, hdr->length);
	}
	kd__net_link_accept(l, hdr, payload);
	/* Held back since the answer to our RESET: now the target listens. */
	if (l->tx_outstanding && !l->tx_copies)
		l->tx_pending = true;
}

/* True: the RESET went out; false: the last one is too young. */
static bool ask_reset(struct kd_net_link *l)
{
	if (l->now < kd__net_link_reset_due(l))
		return false;
	kd_net_link_reset(l, l->now);
	return true;
}

/*
 * The first packet. Id 0: the target booted, or never had a debugger. Else it had one, and counts
 * our packets from that one's ids: say by RESET from where we count; the packet comes again.
 */
static void fresh_data(struct kd_net_link *l, const struct kd_packet_hdr *hdr,
		       const uint8_t *payload)
{
	if (hdr->id == KD_NET_ID_TARGET || l->fresh_tries == FRESH_TRIES) {
		l->is_synced = l->is_synced || hdr->id == KD_NET_ID_TARGET;
		debugger_accept(l, hdr, payload);
	} else if (ask_reset(l)) {
		l->fresh_tries++;
	}
}

static void debugger_data(struct kd_net_link *l, const struct kd_packet_hdr *hdr,
			  const uint8_t *payload)
{
	int32_t distance = id_distance(l, hdr->id);

	if (l->rx_fresh)
		fresh_data(l, hdr, payload);
	else if (distance == 0)
		debugger_accept(l, hdr, payload);
	else if (distance < 0)
		duplicate(l, hdr);
	else
		ask_reset(l);
}

static bool is_reset_answer(const struct kd_net_link *l)
{
	uint64_t age = l->now - l->reset_sent_at, limit = l->cfg.reset_gap * ANSWER_GAPS;

	return l->reset_sent && l->reset_pending && age < limit;
}

/* `id` is the target's next, or that of the packet that it repeats now. */
static void debugger_reset(struct kd_net_link *l, uint32_t id)
{
	bool is_answer = is_reset_answer(l);

	l->expected = id;
	l->rx_fresh = false;
	l->is_synced = true;
	l->tx_cancelled = false;
	l->complained = false;
	l->reset_wanted = false;
	l->reset_pending = false;
	if (!is_answer) {
		kd__net_link_reset_now(l);
		l->reset_pending = true; /* targets answer that one, too */
	}
	if (l->tx_outstanding) {
		/*
		 * A target that repeats a packet would lose a request that comes before our ACK
		 * of it: after an answer hold ours back until then, or for ack_wait.
		 */
		kd__net_link_retransmit(l);
		l->tx_pending = !is_answer;
		l->tx_copies = 0;
		l->tx_done_at = l->now;
	}
	kd__net_link_event(l, KD_LINK_RESET_SEEN);
}

static void debugger_packet(struct kd_net_link *l, const struct kd_packet_hdr *hdr,
			    const uint8_t *payload)
{
	if (hdr->leader == KD_LEADER_DATA) {
		debugger_data(l, hdr, payload);
	} else if (hdr->type == KD_PACKET_ACKNOWLEDGE) {
		ack(l, hdr->id);
	} else if (hdr->type == KD_PACKET_RESEND) {
		resend_outstanding(l);
	} else {
		l->counters.resets_seen++;
		debugger_reset(l, hdr->id);
	}
}

/* --- target --- */

static bool is_size_wanted(const struct kd_net_link *l, const struct kd_packet_hdr *hdr)
{
	const struct kd_packet_info *info = kd_packet_find(l->want_type);

	return hdr->length <= KD_PAYLOAD_MAX && (!info || hdr->length >= info->fixed_size);
}

/*
 * A packet of ours is outstanding: the debugger sends requests only to a target whose packet it
 * has, so its ACK was lost. NT loses the payload here and asks for it again; so do we.
 */
static void data_in_send(struct kd_net_link *l, const struct kd_packet_hdr *hdr)
{
	if (id_distance(l, hdr->id) < 0) {
		duplicate(l, hdr);
		return;
	}
	if (!l->tx_copies) { /* older than our packet, which is not even out */
		kd__net_link_complain(l);
		return;
	}
	l->counters.implicit_acks++;
	kd__net_link_acked(l);
	kd_net_link_ask_resend(l, l->now);
}

static void data_in_receive(struct kd_net_link *l, const struct kd_packet_hdr *hdr,
			    const uint8_t *payload)
{
	int32_t distance = id_distance(l, hdr->id);

	if (distance < 0) {
		duplicate(l, hdr);
	} else if (distance > 0 || !is_size_wanted(l, hdr)) {
		kd__net_link_complain(l);
	} else if (l->want_type && hdr->type != l->want_type) {
		l->counters.wrong_types++;
		kd__net_link_ack(l, hdr->id);
	} else {
		l->is_synced = true;
		kd__net_link_accept(l, hdr, payload);
	}
}

/* Every RESET is answered, with our id as it is: nothing restarts but the debugger's count. */
static void target_reset(struct kd_net_link *l, uint32_t id)
{
	l->counters.resets_seen++;
	l->expected = id;
	l->is_synced = true;
	l->complained = false;
	kd__net_link_reset_now(l);
	if (l->tx_outstanding)
		kd__net_link_retransmit(l);
	kd__net_link_event(l, KD_LINK_RESET_SEEN);
}

static void target_packet(struct kd_net_link *l, const struct kd_packet_hdr *hdr,
			  const uint8_t *payload)
{
	if (hdr->leader == KD_LEADER_DATA && l->tx_outstanding) {
		data_in_send(l, hdr);
	} else if (hdr->leader == KD_LEADER_DATA) {
		data_in_receive(l, hdr, payload);
	} else if (hdr->type == KD_PACKET_ACKNOWLEDGE) {
		ack(l, hdr->id);
	} else if (hdr->type == KD_PACKET_RESET) {
		target_reset(l, hdr->id);
	} else if (!resend_outstanding(l)) {
		kd__net_link_event(l, KD_LINK_RESEND_ASKED);
	}
}

/* --- both --- */

void kd__net_link_packet(struct kd_net_link *l, const struct kd_packet_hdr *hdr,
			 const uint8_t *payload)
{
	if (l->cfg.role == KD_LINK_TARGET)
		target_packet(l, hdr, payload);
	else
		debugger_packet(l, hdr, payload);
}

/*
 * A target gives up only what may be abandoned. Nobody knows whether the debugger has it: its id is
 * not used again, and a debugger that misses it asks by RESET from where to count.
 */
void kd__net_link_give_up(struct kd_net_link *l)
{
	bool is_target = l->cfg.role == KD_LINK_TARGET;

	if (is_target && !l->tx_abandonable) {
		kd__net_link_retransmit(l);
		return;
	}
	kd__net_link_drop(l, !is_target);
	l->counters.given_up++;
	kd__net_link_event(l, KD_LINK_GAVE_UP);
	if (is_target) {
		l->next_send += KD_NET_ID_STEP;
		l->peer_heard = false;
	} else {
		kd_net_link_reset(l, l->now);
	}
}
