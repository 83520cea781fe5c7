/* SPDX-License-Identifier: MIT */
/*
 * How a target receives: NT's tables (docs/protocol/link.md, "Target"). While a packet of ours
 * is outstanding this is NT's SEND, otherwise its RECEIVE.
 */
#include "core/link/link_internal.h"

/*
 * The debugger sends requests only to a target whose packet it has, so a request says that the
 * ACK was lost. NT loses the request's payload here and asks for it again; so do we.
 */
static void data_in_send(struct kd_link *l, const struct kd_packet_hdr *hdr)
{
	l->complained = false;
	if (hdr->id != l->expected) {
		l->counters.duplicates++;
		kd__link_ack(l, hdr->id);
		return;
	}
	/* Older than our packet, which is not even out: it says nothing about it. */
	if (!l->tx_copies) {
		kd__link_complain(l, true);
		return;
	}
	l->counters.implicit_acks++;
	l->counters.resends_sent++;
	kd__link_acked(l);
	kd__link_control(l, KD_PACKET_RESEND, 0);
}

static bool is_size_wanted(const struct kd_link *l, const struct kd_packet_hdr *hdr)
{
	const struct kd_packet_info *info = kd_packet_find(l->want_type);

	return hdr->length <= KD_PAYLOAD_MAX && (!info || hdr->length >= info->fixed_size);
}

static void data_in_receive(struct kd_link *l, const struct kd_packet_hdr *hdr,
			    const uint8_t *payload)
{
	if (!is_size_wanted(l, hdr)) {
		kd__link_complain(l, true);
	} else if (l->want_type && hdr->type != l->want_type) {
		l->complained = false;
		l->counters.wrong_types++;
		kd__link_ack(l, hdr->id);
	} else if (hdr->id == l->expected) {
		kd__link_accept(l, hdr, payload);
	} else if (hdr->id == (l->expected ^ 1u)) {
		l->complained = false;
		l->counters.duplicates++;
		kd__link_ack(l, hdr->id);
	} else {
		kd__link_complain(l, true);
	}
}

static void target_data(struct kd_link *l, const struct kd_packet_hdr *hdr, const uint8_t *payload)
{
	if (l->tx_outstanding)
		data_in_send(l, hdr);
	else
		data_in_receive(l, hdr, payload);
}

static void target_resend(struct kd_link *l)
{
	if (l->tx_outstanding)
		kd__link_resend(l);
	else
		kd__link_event(l, KD_LINK_RESEND_ASKED);
}

/* NT answers every RESET. Of a burst that piled up in a pipe one answer is enough. */
static void target_reset(struct kd_link *l)
{
	bool is_answer = l->reset_pending || kd__link_reset_is_recent(l);

	kd__link_ids_restart(l);
	l->reset_pending = false;
	if (!is_answer)
		kd__link_reset_now(l);
	if (l->tx_outstanding)
		kd__link_renumber(l, true);
	kd__link_event(l, KD_LINK_RESET_SEEN);
}

static void target_silence(struct kd_link *l)
{
	l->peer_heard = true;
	l->tx_tries = kd__link_tries(l);
	l->counters.breakins++;
	kd__link_event(l, KD_LINK_BREAKIN);
	/* There was silence: no storm can come of it. */
	if (l->tx_outstanding)
		kd__link_retransmit(l);
	else
		kd__link_event(l, KD_LINK_RESEND_ASKED);
}

/* As if the machine had just started: the next packet carries SYNC again. */
static void target_give_up(struct kd_link *l)
{
	if (!l->tx_abandonable) {
		l->tx_tries = kd__link_tries(l);
		kd__link_retransmit(l);
		return;
	}
	kd__link_drop(l, false);
	l->next_send = kd__link_target_rules.id_at_start;
	l->expected = KD_PACKET_ID_INITIAL;
	l->peer_heard = false;
	l->is_synced = false;
	l->counters.given_up++;
	kd__link_event(l, KD_LINK_GAVE_UP);
}

const struct kd__link_rules kd__link_target_rules = {
	.data = target_data,
	.resend = target_resend,
	.reset = target_reset,
	.silence = target_silence,
	.give_up = target_give_up,
	.id_at_start = KD_PACKET_ID_INITIAL | KD_PACKET_ID_SYNC,
};

void kd_link_want(struct kd_link *l, uint16_t type)
{
	l->want_type = type;
}
