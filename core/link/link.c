/* SPDX-License-Identifier: MIT */
/*
 * The link as a whole: its states, the start, the clock.
 *
 * Receiving (link_rx.c): how much of a packet stands at rx_pos.
 *
 *    HUNT --4 leader bytes--> HEADER --plausible--> BODY --last byte--> whole_packet()
 *     ^ |                        |                   |                    |       |
 *     | |  bad_header(): byte 1  |     kd__link_gap(): no byte for byte_gap       |
 *     +<|------- dropped --------+<-- cut_packet() --+                    |       |
 *     +<|------------ damaged(), corrupted(): complain once per episode --+       |
 *     +<|------------------------ good_packet(): rules of the role ---------------+
 *     | +--doubt(): the remains of a header--> DOUBT
 *     +<---kd__link_doubt_over(): a pause; complain--+
 *
 *    HUNT             rx_hunting; fewer than 4 equal leader bytes at rx_pos
 *    HEADER, BODY     !rx_hunting; rx_want bytes are missing
 *    DOUBT            rx_doubt; the buffer is empty
 *    after any arrow back the hunt goes on in the bytes that are still there (rx_pos < rx_end)
 *
 * Sending (link_tx.c): the one data packet.
 *
 *    IDLE --kd_link_send()--> WRITING --copy_written()--> WAITING --ACK, implied ACK--> IDLE
 *     ^                        | ^ ^ |                     |
 *     |            RESET: again| | | +- cancelled, ACKed --|---> DRAINING --copy_written()--> IDLE
 *     |                        +-+ +-- RESEND, ack_wait ---+
 *     +------------------------------- tries used up: GAVE_UP (target: ids restart with SYNC;
 *                                      debugger: RESET)
 *
 *    IDLE      !tx_outstanding, !tx_pending
 *    WRITING    tx_outstanding,  tx_pending
 *    WAITING    tx_outstanding, !tx_pending   the only state with a deadline for the ACK
 *    DRAINING  !tx_outstanding,  tx_pending   a half-written copy is finished, nobody waits
 *
 * Invariants (kd__link_check() asserts them in tests and fuzzers):
 *    rx_pos <= rx_end <= sizeof(rx); both 0 or some byte waits
 *    rx_want bytes always have room behind rx_end, after a move to the front
 *    tx_written < tx_size while tx_pending, else 0; DRAINING means 0 < tx_written
 *    tx_stale only while a copy is half written; tx_again only if tx_stale
 *    next_send and expected of a target are stream ids, expected without SYNC
 *    `expected` changes only when a packet is delivered, or with RESET, restart, giving up
 *    at most one RESEND of our own accord between two good packets in ack_wait
 */
#include "core/link/link_internal.h"

enum {
	FAST_GAP_MS = 250,
	SERIAL_GAP_MS = 1000,
	FAST_ACK_MS = 500,
	SERIAL_ACK_MS = 2000, /* a packet of 4000 bytes takes 350 ms at 115200 */
	BREAK_QUIET_MS = 1200,
	DEBUGGER_RESET_MS = 1000,
	/* Less than a debugger's, or jitter would leave its next RESET unanswered. */
	TARGET_RESET_MS = 250,
	DEBUGGER_RETRIES = 4,
	TARGET_RETRIES = 20,
	UNHEARD_RETRIES = 5,
};

static uint64_t ms(uint32_t n)
{
	return (uint64_t)n * KD_NS_PER_MS;
}

void kd_link_config_init(struct kd_link_config *cfg, enum kd_link_role role, bool is_serial_line)
{
	bool is_target = role == KD_LINK_TARGET;
	uint64_t gap = ms(is_serial_line ? SERIAL_GAP_MS : FAST_GAP_MS);

	*cfg = (struct kd_link_config){
		.role = role,
		.has_trailer = true,
		.byte_gap = gap,
		.ack_wait = ms(is_serial_line ? SERIAL_ACK_MS : FAST_ACK_MS),
		.break_quiet = is_target ? gap : ms(BREAK_QUIET_MS),
		.reset_gap = ms(is_target ? TARGET_RESET_MS : DEBUGGER_RESET_MS),
		.retries = is_target ? TARGET_RETRIES : DEBUGGER_RETRIES,
		.retries_unheard = UNHEARD_RETRIES,
	};
}

void kd_link_init(struct kd_link *l, const struct kd_link_config *cfg)
{
	kd_zero(l, sizeof(*l));
	l->cfg = *cfg;
	kd_link_restart(l, 0);
}

/* Everything but configuration, counters and the memory of when the last RESET was sent. */
void kd_link_restart(struct kd_link *l, uint64_t now)
{
	const struct kd_link_config cfg = l->cfg;
	const struct kd_link_counters counters = l->counters;
	bool reset_sent = l->reset_sent;
	uint64_t reset_sent_at = l->reset_sent_at;
	uint16_t want_type = l->want_type;

	kd_zero(l, offsetof(struct kd_link, noise_size));
	l->noise_size = 0;
	l->cfg = cfg;
	l->counters = counters;
	l->now = now;
	l->last_rx = now;
	l->reset_sent = reset_sent;
	l->reset_sent_at = reset_sent_at;
	l->want_type = want_type;
	l->next_send = kd__link_rules(l)->id_at_start;
	l->expected = KD_PACKET_ID_INITIAL;
	l->rx_fresh = true;
}

const struct kd_link_counters *kd_link_counters(const struct kd_link *l)
{
	return &l->counters;
}

bool kd_link_is_synced(const struct kd_link *l)
{
	return l->is_synced;
}

bool kd_link_is_peer_heard(const struct kd_link *l)
{
	return l->peer_heard;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t gap_deadline(const struct kd_link *l)
{
	bool has_bytes = l->rx_pos < l->rx_end || l->noise_size;

	return has_bytes ? kd__time_add(l->last_rx, l->cfg.byte_gap) : KD_TIME_NEVER;
}

static uint64_t silence_deadline(const struct kd_link *l)
{
	return l->break_seen ? kd__time_add(l->last_rx, l->cfg.break_quiet) : KD_TIME_NEVER;
}

uint64_t kd_link_deadline(const struct kd_link *l)
{
	uint64_t due = earlier(gap_deadline(l), silence_deadline(l));

	due = earlier(due, kd__link_doubt_deadline(l));
	due = earlier(due, kd__link_ack_deadline(l));
	return earlier(due, kd__link_reset_due(l));
}

static void ack_missing(struct kd_link *l)
{
	if (!l->tx_tries) {
		kd__link_rules(l)->give_up(l);
		return;
	}
	l->tx_tries--;
	kd__link_retransmit(l);
}

void kd_link_timeout(struct kd_link *l, uint64_t now)
{
	/* The owner hears what happened before before something else happens. */
	if (l->n_events)
		return;
	l->now = now;
	if (now >= silence_deadline(l)) {
		l->break_seen = false;
		kd__link_rules(l)->silence(l);
	}
	if (now >= kd__link_doubt_deadline(l))
		kd__link_doubt_over(l);
	if (now >= gap_deadline(l))
		kd__link_gap(l);
	if (now >= kd__link_ack_deadline(l))
		ack_missing(l);
	if (now >= kd__link_reset_due(l))
		kd__link_reset_ask(l);
}
