/* SPDX-License-Identifier: MIT */
/* How a debugger receives: docs/protocol/link.md, "Debugger". */
#include "core/link/implied.h"
#include "core/link/link_internal.h"

enum {
	/* So many duplicates over so many ack_waits say that the ids have come apart. */
	DUPLICATES_MAX = 8,
	DUPLICATES_WAITS = 8,
	/* The checksum does not cover the id: one strange id may be damage, a second is not. */
	ODD_MAX = 2,
};

static bool is_implied_ack(const struct kd_link *l, const struct kd_packet_hdr *hdr,
			   const uint8_t *payload)
{
	bool is_same_stop = false;

	if (!l->tx_copies || (!l->tx_outstanding && !l->tx_cancelled))
		return false;
	if (l->stop_valid && kd__packet_is_stop(hdr->type))
		is_same_stop = l->stop_hash == kd__stop_hash(payload, hdr->length);
	return kd__packet_implies_ack(l->tx, hdr, payload, kd__link_is_repeat(l, hdr, payload),
				      is_same_stop);
}

static void accept_data(struct kd_link *l, const struct kd_packet_hdr *hdr, const uint8_t *payload)
{
	if (is_implied_ack(l, hdr, payload)) {
		l->counters.implicit_acks++;
		kd__link_acked(l);
	}
	if (kd__packet_is_stop(hdr->type)) {
		/*
		 * It listens now, and what we sent before it stopped has been read or eaten: the
		 * RESET that attaching needs does not have to keep its distance.
		 */
		l->break_sent = false;
		if (!l->is_synced)
			l->reset_sent = l->reset_pending = false;
		l->stop_valid = true;
		l->stop_hash = kd__stop_hash(payload, hdr->length);
	}
	kd__link_accept(l, hdr, payload);
	/* Held back since the answer to our RESET: now the target listens. */
	if (l->tx_outstanding && !l->tx_copies)
		kd__link_transmit(l);
}

/* The packet's ACK was lost: once more, whatever the reason is that it came again. */
static void duplicate(struct kd_link *l, const struct kd_packet_hdr *hdr)
{
	uint64_t limit = l->dup_since;

	l->complained = false;
	l->odd_run = 0;
	l->counters.duplicates++;
	kd__link_ack(l, hdr->id);
	if (!l->dup_run++)
		l->dup_since = l->now;
	if (l->dup_run < DUPLICATES_MAX)
		return;
	for (size_t i = 0; i < DUPLICATES_WAITS; i++)
		limit = kd__time_add(limit, l->cfg.ack_wait);
	if (l->now < limit)
		return;
	l->dup_run = 0;
	kd_link_reset(l, l->now);
}

/*
 * The target started anew. The same packet again, with nothing acknowledged in between, is only
 * its retransmission because our ACK was lost.
 */
static void sync_packet(struct kd_link *l, const struct kd_packet_hdr *hdr, const uint8_t *payload)
{
	if (l->last_id == hdr->id && !l->acked_since && kd__link_is_repeat(l, hdr, payload)) {
		l->complained = false;
		l->counters.duplicates++;
		kd__link_ack(l, hdr->id);
		return;
	}
	kd__link_drop(l, false);
	l->next_send = KD_PACKET_ID_INITIAL;
	l->reset_pending = false;
	l->reset_wanted = false;
	l->is_synced = true;
	l->stop_valid = false;
	kd__link_event(l, KD_LINK_RESTARTED);
	accept_data(l, hdr, payload);
}

/* Neither of the two ids that can come. */
static void odd_id(struct kd_link *l, const struct kd_packet_hdr *hdr, const uint8_t *payload)
{
	/* We adopted a strange id once; a proper one is right at any time. */
	if (kd__link_is_stream_id(hdr->id)) {
		accept_data(l, hdr, payload);
		return;
	}
	l->counters.odd_ids++;
	if (++l->odd_run < ODD_MAX) {
		kd__link_complain(l, true);
		return;
	}
	l->odd_run = 0;
	kd_link_reset(l, l->now);
}

static void debugger_data(struct kd_link *l, const struct kd_packet_hdr *hdr,
			  const uint8_t *payload)
{
	bool has_sync = kd__link_is_stream_id(hdr->id) && (hdr->id & KD_PACKET_ID_SYNC);

	if (has_sync)
		sync_packet(l, hdr, payload);
	else if (hdr->id == l->expected || l->rx_fresh)
		accept_data(l, hdr, payload);
	else if (hdr->id == (l->expected ^ 1u))
		duplicate(l, hdr);
	else
		odd_id(l, hdr, payload);
}

/* With nothing outstanding there is nothing that we could repeat. */
static void debugger_resend(struct kd_link *l)
{
	if (l->tx_outstanding)
		kd__link_resend(l);
}

/*
 * After its answer to our RESET the target repeats its state change at once and would lose a
 * request that arrives before our ACK of that: hold it back.
 */
static void debugger_reset(struct kd_link *l)
{
	bool is_answer = kd__link_reset_is_answer(l);

	kd__link_ids_restart(l);
	l->reset_pending = false;
	if (!is_answer)
		kd__link_reset_now(l);
	if (l->tx_outstanding)
		kd__link_renumber(l, !is_answer);
	kd__link_event(l, KD_LINK_RESET_SEEN);
}

static void debugger_give_up(struct kd_link *l)
{
	kd__link_drop(l, true);
	l->counters.given_up++;
	kd__link_event(l, KD_LINK_GAVE_UP);
	kd_link_reset(l, l->now);
}

static void debugger_silence(struct kd_link *l)
{
	(void)l; /* only targets take break-in bytes */
}

const struct kd__link_rules kd__link_debugger_rules = {
	.data = debugger_data,
	.resend = debugger_resend,
	.reset = debugger_reset,
	.silence = debugger_silence,
	.give_up = debugger_give_up,
	.id_at_start = KD_PACKET_ID_INITIAL,
};
