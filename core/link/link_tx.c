/* SPDX-License-Identifier: MIT */
/*
 * What goes out: a ring of control packets, and the one data packet with its retransmissions.
 * The states IDLE, WRITING, WAITING and DRAINING of link.c.
 */
#include "core/link/link_internal.h"

enum {
	/* However busy the line is, an unacknowledged packet is sent again after so many ack_waits.
	 */
	MAX_WAITS = 4,
	OFF_ID = 8,
	/* After so many copies a longer silence is tried. */
	QUICK_COPIES = 2,
};

static struct kd_link_control *control_at(struct kd_link *l, size_t i)
{
	return &l->controls[(l->control_head + i) % KD_LINK_N_CONTROLS];
}

static bool is_same_control(const struct kd_link_control *a, const struct kd_link_control *b)
{
	bool same = a->size == b->size;

	for (size_t i = 0; same && i < a->size; i++)
		same = a->bytes[i] == b->bytes[i];
	return same;
}

/*
 * Nothing that waits is queued twice, so a peer that does not read cannot be flooded with what
 * piled up for it. A full ring drops the newest: the peer asks again.
 */
static void push_control(struct kd_link *l, const struct kd_link_control *c)
{
	/* The head may be half written: a copy of it is then no repetition yet. */
	for (size_t i = l->control_written ? 1 : 0; i < l->n_controls; i++)
		if (is_same_control(control_at(l, i), c))
			return;
	if (l->n_controls == KD_LINK_N_CONTROLS)
		return;
	*control_at(l, l->n_controls) = *c;
	l->n_controls++;
}

/*
 * Every unused byte is 0: NT's receiver acts on the first six bytes of a RESEND and leaves the
 * rest to its leader hunt.
 */
void kd__link_control(struct kd_link *l, enum kd_packet_type type, uint32_t id)
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

/* SYNC is stripped: a target compares with its id without it and ignores any other ACK. */
void kd__link_ack(struct kd_link *l, uint32_t id)
{
	l->counters.acks_sent++;
	kd__link_control(l, KD_PACKET_ACKNOWLEDGE, id & ~KD_PACKET_ID_SYNC);
}

void kd_link_break_in(struct kd_link *l, uint64_t now)
{
	const struct kd_link_control c = { .bytes = { KD_BYTE_BREAKIN }, .size = 1 };

	l->now = now;
	l->break_sent = true;
	l->break_sent_at = now;
	l->counters.breakins++;
	push_control(l, &c);
}

void kd_link_ask_resend(struct kd_link *l, uint64_t now)
{
	l->now = now;
	l->counters.resends_sent++;
	kd__link_control(l, KD_PACKET_RESEND, 0);
}

/* Periods of silence that the outstanding packet survives. */
uint32_t kd__link_tries(const struct kd_link *l)
{
	return l->peer_heard || l->cfg.role == KD_LINK_DEBUGGER ? l->cfg.retries
								: l->cfg.retries_unheard;
}

/* Begin a copy, or see to it that one with the present id follows the one that is on its way. */
void kd__link_transmit(struct kd_link *l)
{
	if (l->tx_pending && l->tx_written) {
		l->tx_again = l->tx_stale;
		return;
	}
	kd_put32(l->tx + OFF_ID, l->next_send);
	l->tx_pending = true;
	l->tx_written = 0;
}

/* A copy that is still being written will do. */
void kd__link_retransmit(struct kd_link *l)
{
	if (l->tx_pending)
		return;
	l->counters.retransmits++;
	kd__link_transmit(l);
}

/*
 * RESEND for the outstanding packet: the first is obeyed at once, later ones when the line is
 * silent. NT's receiver takes every four leader bytes of a payload for a header, complains about
 * each, and finds its way back only in a pause: obeying all of it never ends.
 */
void kd__link_resend(struct kd_link *l)
{
	if (l->tx_copies == 1)
		kd__link_retransmit(l);
}

/* The ids restarted: the outstanding packet counts as never sent. */
void kd__link_renumber(struct kd_link *l, bool send_now)
{
	if (l->tx_pending && l->tx_written)
		l->tx_stale = true;
	else
		l->tx_pending = false;
	l->tx_tries = kd__link_tries(l);
	if (l->tx_copies)
		l->counters.retransmits++;
	l->tx_copies = 0;
	l->tx_done_at = l->now;
	if (send_now)
		kd__link_transmit(l);
}

/*
 * Nobody waits for the packet any more. What is half written is finished: the peer would take
 * the next packet for its rest. In doubt: the peer may have it, and an ACK may yet come.
 */
void kd__link_drop(struct kd_link *l, bool in_doubt)
{
	if (!l->tx_written)
		l->tx_pending = false;
	l->tx_cancelled = in_doubt && l->tx_outstanding && (l->tx_copies || l->tx_pending);
	l->tx_outstanding = false;
	l->tx_again = false;
}

void kd__link_acked(struct kd_link *l)
{
	bool was_outstanding = l->tx_outstanding;

	kd__link_drop(l, false);
	l->next_send = (l->next_send ^ 1u) & ~KD_PACKET_ID_SYNC;
	l->acked_since = true;
	if (was_outstanding)
		kd__link_event(l, KD_LINK_ACKED);
}

void kd_link_cancel(struct kd_link *l)
{
	if (l->tx_outstanding)
		kd__link_drop(l, true);
}

bool kd_link_is_busy(const struct kd_link *l)
{
	return l->tx_outstanding;
}

enum kd_status kd_link_send(struct kd_link *l, uint16_t type, const uint8_t *header,
			    size_t header_size, const uint8_t *data, size_t data_size,
			    bool abandonable, uint64_t now)
{
	struct kd_packet_hdr hdr = { .leader = KD_LEADER_DATA, .type = type };
	uint8_t *payload = l->tx + KD_HDR_SIZE;

	if (l->tx_outstanding || l->tx_pending)
		return KD_E_BUSY;
	if (header_size > KD_PAYLOAD_MAX || data_size > KD_PAYLOAD_MAX - header_size)
		return KD_E_TOO_BIG;
	kd_copy(payload, header, header_size);
	kd_copy(payload + header_size, data, data_size);
	hdr.length = (uint16_t)(header_size + data_size);
	hdr.id = l->next_send;
	hdr.checksum = kd_checksum(payload, hdr.length);
	kd_packet_hdr_encode(l->tx, &hdr);
	payload[hdr.length] = KD_BYTE_TRAILER;
	l->tx_size = KD_HDR_SIZE + (size_t)hdr.length +
		     (l->cfg.has_trailer && hdr.length ? 1u : 0u);

	l->now = now;
	l->tx_outstanding = true;
	l->tx_cancelled = false;
	l->tx_abandonable = abandonable;
	l->tx_copies = 0;
	l->tx_tries = kd__link_tries(l);
	l->tx_written = 0;
	l->sent_since = true;
	l->counters.tx_packets++;
	kd__link_transmit(l);
	return KD_OK;
}

const uint8_t *kd_link_next_output(struct kd_link *l, size_t *size_ret)
{
	struct kd_link_control *c = control_at(l, 0);
	bool is_inside_data = l->tx_pending && l->tx_written;

	l->out = KD_LINK_OUT_NONE;
	if (l->n_controls && !is_inside_data) {
		l->out = KD_LINK_OUT_CONTROL;
		*size_ret = c->size - l->control_written;
		return c->bytes + l->control_written;
	}
	if (l->tx_pending) {
		l->out = KD_LINK_OUT_DATA;
		*size_ret = l->tx_size - l->tx_written;
		return l->tx + l->tx_written;
	}
	*size_ret = 0;
	return NULL;
}

static void control_written(struct kd_link *l, size_t size)
{
	size_t left = control_at(l, 0)->size - l->control_written;

	size = size < left ? size : left;
	l->control_written += size;
	l->counters.tx_bytes += size;
	if (size < left)
		return;
	l->control_written = 0;
	l->control_head = (uint8_t)((l->control_head + 1) % KD_LINK_N_CONTROLS);
	l->n_controls--;
}

/* A whole copy is out. */
static void copy_written(struct kd_link *l, uint64_t now)
{
	l->tx_pending = false;
	l->tx_written = 0;
	l->tx_done_at = now;
	if (!l->tx_stale)
		l->tx_copies++;
	l->tx_stale = false;
	if (l->tx_again)
		kd__link_transmit(l);
	l->tx_again = false;
}

static void data_written(struct kd_link *l, size_t size, uint64_t now)
{
	size_t left = l->tx_size - l->tx_written;

	size = size < left ? size : left;
	l->tx_written += size;
	l->counters.tx_bytes += size;
	if (size == left)
		copy_written(l, now);
}

void kd_link_output_done(struct kd_link *l, size_t size, uint64_t now)
{
	enum kd_link_out out = l->out;

	l->now = now;
	l->out = KD_LINK_OUT_NONE;
	if (out == KD_LINK_OUT_CONTROL && l->n_controls)
		control_written(l, size);
	else if (out == KD_LINK_OUT_DATA && l->tx_pending)
		data_written(l, size, now);
}

/* From the third copy on the silence is long enough for NT to leave a packet that was cut. */
static uint64_t ack_wait(const struct kd_link *l)
{
	bool is_quick = l->tx_copies <= QUICK_COPIES || l->cfg.ack_wait > l->cfg.break_quiet;

	return is_quick ? l->cfg.ack_wait : l->cfg.break_quiet;
}

/*
 * Silence is counted from the last byte in either direction: a peer that is talking has not seen
 * our packet out yet. Not for ever, though: text may come without end.
 */
uint64_t kd__link_ack_deadline(const struct kd_link *l)
{
	uint64_t wait = ack_wait(l);
	uint64_t limit = l->tx_done_at;
	uint64_t quiet_since = l->last_rx > l->tx_done_at ? l->last_rx : l->tx_done_at;
	uint64_t due = kd__time_add(quiet_since, wait);

	if (!l->tx_outstanding || l->tx_pending)
		return KD_TIME_NEVER;
	for (size_t i = 0; i < MAX_WAITS; i++)
		limit = kd__time_add(limit, wait);
	return due < limit ? due : limit;
}
