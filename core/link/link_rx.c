/* SPDX-License-Identifier: MIT */
/*
 * From bytes to packets: the leader hunt, plausibility, what to do with damaged packets.
 * The states HUNT, HEADER, BODY and DOUBT of link.c are how much of a packet lies at rx_pos.
 *
 * Nothing that was received is thrown away before it was looked at: when a candidate turns out to
 * be none, its first byte is dropped and the hunt goes on in the bytes that it had swallowed. But
 * what was a payload once stays one. The memory of a target may well hold images of packets (the
 * buffers of its own KD transport do), and a line that loses bytes must not bring them to life:
 *
 * - What a credible header called its payload is `rx_suspect` when the packet is damaged: a packet
 *   that lies wholly inside is ignored. One that reaches over the end is the peer's next packet,
 *   which begins where lost bytes should have been.
 * - When the header itself is damaged nobody knows where its payload ends: DOUBT, everything is
 *   ignored up to a short silence, then a RESEND asks for the packet.
 *
 * At worst this costs a retransmission, while believing an image would lose or invent data.
 */
#include "core/link/link_internal.h"

enum {
	LEADER_SIZE = 4,
	/* The two high bytes of every stream id. */
	ID_MARK = 0x8080,
	TYPE_TO_ID = 8, /* bytes, both included */
	/* Doubt: a pause is a quarter of byte_gap, the end comes after so many byte_gaps. */
	DOUBT_SHIFT = 2,
	DOUBT_GAPS = 4,
};

static bool is_leader_byte(uint8_t c)
{
	return c == KD_BYTE_DATA || c == KD_BYTE_CONTROL;
}

/* How many equal leader bytes stand at `p`, at most LEADER_SIZE. */
static size_t leader_run(const uint8_t *p, size_t avail)
{
	size_t n = 0;

	while (n < avail && n < LEADER_SIZE && is_leader_byte(p[0]) && p[n] == p[0])
		n++;
	return n;
}

static void consume(struct kd_link *l, size_t n)
{
	l->rx_pos += n;
	l->rx_suspect -= n < l->rx_suspect ? n : l->rx_suspect;
	if (l->rx_pos == l->rx_end)
		l->rx_pos = l->rx_end = 0;
}

static void doubt(struct kd_link *l)
{
	if (l->rx_doubt)
		return;
	l->rx_doubt = true;
	l->doubt_since = l->now;
	l->skipped = 0;
}

/* What the hunt has passed of a header is no text for the user. */
static void unsay_header(struct kd_link *l)
{
	size_t n = l->noise_size > TYPE_TO_ID ? l->noise_size - TYPE_TO_ID : 0;

	for (size_t i = 0; i < LEADER_SIZE && n && l->noise[n - 1] == KD_BYTE_DATA; i++)
		n--;
	l->noise_size = n;
}

static void doubt_skip(struct kd_link *l)
{
	size_t n = l->rx_end - l->rx_pos;

	l->break_seen = false;
	l->counters.noise_bytes += n;
	consume(l, n);
}

/*
 * Are the last bytes that the hunt passed the end of an id, and a data packet's? Text of boot
 * loaders has no such pair. Six bytes before the pair stands the type; behind a damaged control
 * packet comes no payload.
 */
static bool is_headless(const struct kd_link *l)
{
	uint16_t type = (uint16_t)(l->skipped >> 56 | (l->skipped >> 40 & 0xFF00));
	const struct kd_packet_info *info;

	if ((l->skipped & 0xFFFF) != ID_MARK)
		return false;
	info = kd_packet_find(type);
	return !info || !info->is_control;
}

/*
 * One byte that the hunt passes. A 0x62 counts if a leader or silence follows, not in garbage, and
 * not in what was the payload of a damaged packet.
 */
static void skip_byte(struct kd_link *l)
{
	uint8_t c = l->rx[l->rx_pos];
	bool is_payload = l->rx_suspect > 0;

	if (!is_leader_byte(c))
		l->break_seen = c == KD_BYTE_BREAKIN && !is_payload &&
				l->cfg.role == KD_LINK_TARGET;
	l->counters.noise_bytes++;
	consume(l, 1);
	if (is_payload)
		return;
	l->skipped = l->skipped << 8 | c;
	kd__link_noise_add(l, c);
	if (is_headless(l)) {
		unsay_header(l);
		doubt(l);
	}
	if (l->noise_size && (c == '\n' || l->noise_size == KD_LINK_NOISE_SIZE))
		kd__link_noise_flush(l);
}

static void leader_found(struct kd_link *l)
{
	l->rx_hunting = false;
	if (!l->break_seen)
		return;
	l->break_seen = false;
	l->counters.breakins++;
	kd__link_event(l, KD_LINK_BREAKIN);
}

/*
 * Ask for the last packet again, once in a loss episode. An episode ends with a good packet. A
 * peer without timers of its own would wait for ever if the RESEND or its answer got lost too, so
 * a header that can hardly be noise counts as a new episode after ack_wait.
 */
void kd__link_complain(struct kd_link *l, bool is_credible)
{
	bool is_old = l->now >= kd__time_add(l->complained_at, l->cfg.ack_wait);

	if (l->complained && !(is_credible && is_old))
		return;
	l->complained = true;
	l->complained_at = l->now;
	l->counters.resends_sent++;
	kd__link_control(l, KD_PACKET_RESEND, 0);
}

/*
 * Type, class and length have been checked. The checksum of n bytes is at most 255 n. An empty
 * data packet comes from one stub only, to debuggers, without checksum and trailer.
 */
static bool is_plausible(const struct kd_packet_hdr *hdr)
{
	return hdr->leader == KD_LEADER_CONTROL || hdr->checksum <= 255u * hdr->length;
}

/* Silence in the middle of a header: type's low byte is known, its high byte must be 0. */
static bool is_cut_data_header(const uint8_t *p, size_t avail)
{
	const struct kd_packet_info *info;

	if (avail < LEADER_SIZE + 2 || p[0] != KD_BYTE_DATA)
		return false;
	info = kd_packet_find(kd_get16(p + LEADER_SIZE));
	return info && !info->is_control;
}

/*
 * A leader, and no header behind it. The fifth byte of a run of leader bytes is no error: text
 * stood before the packet. Of the others those are damage rather than text that make sense up to
 * their checksum.
 */
static void bad_header(struct kd_link *l, const uint8_t *p, bool is_header)
{
	if (p[LEADER_SIZE] != p[0] && !l->rx_suspect)
		l->counters.header_errors++;
	if (is_header && p[0] == KD_BYTE_DATA && !l->rx_suspect)
		doubt(l);
	else
		skip_byte(l);
}

static size_t packet_size(const struct kd_link *l, const struct kd_packet_hdr *hdr)
{
	return KD_HDR_SIZE + hdr->length + (l->cfg.has_trailer && hdr->length ? 1u : 0u);
}

/*
 * The peer's transmission stopped in its packet, or the end is not where the header says.
 * `claimed` bytes from rx_pos on are the body of a packet that was there once.
 */
static void damaged(struct kd_link *l, const struct kd_packet_hdr *hdr, size_t claimed)
{
	/* Before the first packet a strange id may mean that this is none. */
	bool is_credible = kd__link_is_stream_id(hdr->id) || !l->rx_fresh;

	if (!l->rx_suspect) {
		kd__link_complain(l, is_credible);
		if (is_credible)
			l->rx_suspect = claimed;
	}
	skip_byte(l);
}

/* The trailer is where it belongs and the sum is not: nothing was lost, nothing is hidden. */
static void corrupted(struct kd_link *l, const struct kd_packet_hdr *hdr, size_t size)
{
	bool is_framed = l->cfg.has_trailer && !l->rx_suspect &&
			 (kd__link_is_stream_id(hdr->id) || !l->rx_fresh);

	l->counters.checksum_errors++;
	if (!is_framed) {
		damaged(l, hdr, size);
		return;
	}
	kd__link_complain(l, true);
	l->counters.noise_bytes += size;
	consume(l, size);
}

static void control_packet(struct kd_link *l, const struct kd_packet_hdr *hdr)
{
	const struct kd__link_rules *rules = kd__link_rules(l);

	switch (hdr->type) {
	case KD_PACKET_ACKNOWLEDGE:
		l->counters.acks_seen++;
		/* Before a whole copy was written an ACK can only be an old one. */
		if ((l->tx_outstanding || l->tx_cancelled) && l->tx_copies &&
		    hdr->id == (l->next_send & ~KD_PACKET_ID_SYNC))
			kd__link_acked(l);
		break;
	case KD_PACKET_RESEND:
		l->counters.resends_seen++;
		rules->resend(l);
		break;
	case KD_PACKET_RESET:
		l->counters.resets_seen++;
		rules->reset(l);
		break;
	}
}

/*
 * A control packet that lost a byte ends with the first byte of the next leader. Its checksum,
 * 0 otherwise, shows it: leave those bytes to the hunt.
 */
static size_t control_size(const uint8_t *p)
{
	size_t size = KD_HDR_SIZE;

	while (size > KD_HDR_SIZE - LEADER_SIZE && is_leader_byte(p[size - 1]) &&
	       p[size - 1] == p[KD_HDR_SIZE - 1])
		size--;
	return size;
}

static void good_packet(struct kd_link *l, const struct kd_packet_hdr *hdr, size_t size)
{
	const uint8_t *p = l->rx + l->rx_pos;

	kd__link_noise_flush(l);
	l->skipped = 0;
	l->peer_heard = true;
	l->tx_tries = kd__link_tries(l);
	if (hdr->leader == KD_LEADER_CONTROL) {
		consume(l, control_size(p));
		l->complained = false;
		control_packet(l, hdr);
	} else {
		/* The bytes at p stay where they are until the next feed. */
		consume(l, size);
		kd__link_rules(l)->data(l, hdr, p + KD_HDR_SIZE);
	}
}

static void whole_packet(struct kd_link *l, const struct kd_packet_hdr *hdr, size_t size)
{
	const uint8_t *p = l->rx + l->rx_pos;
	bool has_trailer = size > (size_t)KD_HDR_SIZE + hdr->length;

	if (has_trailer && p[size - 1] != KD_BYTE_TRAILER) {
		l->counters.trailer_errors++;
		damaged(l, hdr, size);
	} else if (hdr->leader == KD_LEADER_DATA &&
		   kd_checksum(p + KD_HDR_SIZE, hdr->length) != hdr->checksum) {
		corrupted(l, hdr, size);
	} else if (size <= l->rx_suspect) {
		skip_byte(l);
	} else {
		good_packet(l, hdr, size);
	}
}

/* One step: returns how many bytes are missing, or 0 after some progress. */
static size_t parse_step(struct kd_link *l)
{
	const uint8_t *p = l->rx + l->rx_pos;
	size_t avail = l->rx_end - l->rx_pos;
	size_t run = leader_run(p, avail);
	struct kd_packet_hdr hdr;
	bool is_header;
	size_t size;

	l->rx_hunting = true;
	if (l->rx_doubt) {
		doubt_skip(l);
		return KD_HDR_SIZE;
	}
	if (run < LEADER_SIZE && run < avail) {
		skip_byte(l);
		return 0;
	}
	if (run < LEADER_SIZE)
		return KD_HDR_SIZE - avail;
	leader_found(l);
	if (avail < KD_HDR_SIZE)
		return KD_HDR_SIZE - avail;
	is_header = kd_packet_hdr_decode(&hdr, p) == KD_OK;
	if (!is_header || !is_plausible(&hdr)) {
		bad_header(l, p, is_header);
		return 0;
	}
	size = packet_size(l, &hdr);
	if (avail < size)
		return size - avail;
	whole_packet(l, &hdr, size);
	return 0;
}

/* Silence followed the bytes at rx_pos, and they are no whole packet. */
static void cut_packet(struct kd_link *l)
{
	const uint8_t *p = l->rx + l->rx_pos;
	size_t avail = l->rx_end - l->rx_pos;
	struct kd_packet_hdr hdr;

	if (l->rx_suspect || l->rx_hunting) {
		skip_byte(l);
		return;
	}
	l->counters.gap_timeouts++;
	if (avail >= KD_HDR_SIZE && kd_packet_hdr_decode(&hdr, p) == KD_OK) {
		damaged(l, &hdr, avail);
		return;
	}
	if (is_cut_data_header(p, avail))
		kd__link_complain(l, false);
	skip_byte(l);
}

/*
 * Understand what is in the buffer, until an event waits (returns 0) or bytes are missing
 * (returns how many).
 */
size_t kd__link_parse(struct kd_link *l)
{
	while (!l->n_events) {
		size_t want = parse_step(l);

		if (!want)
			continue;
		if (l->rx_drain && l->rx_pos < l->rx_end) {
			cut_packet(l);
			continue;
		}
		l->rx_drain = false;
		return want;
	}
	return 0;
}

/* No byte came for byte_gap. */
void kd__link_gap(struct kd_link *l)
{
	if (l->rx_pos < l->rx_end) {
		l->rx_drain = true;
		l->rx_want = kd__link_parse(l);
	}
	if (!l->n_events)
		kd__link_noise_flush(l);
}

/* The damaged packet is over: now its sender listens. */
void kd__link_doubt_over(struct kd_link *l)
{
	l->rx_doubt = false;
	kd__link_complain(l, true);
}

/*
 * Doubt ends with a pause, shorter than any peer's between two transmissions; and some time even
 * without one, or a chattering peer would not be heard again.
 */
uint64_t kd__link_doubt_deadline(const struct kd_link *l)
{
	uint64_t pause = kd__time_add(l->last_rx, l->cfg.byte_gap >> DOUBT_SHIFT);
	uint64_t limit = l->doubt_since;

	if (!l->rx_doubt)
		return KD_TIME_NEVER;
	for (size_t i = 0; i < DOUBT_GAPS; i++)
		limit = kd__time_add(limit, l->cfg.byte_gap);
	return pause < limit ? pause : limit;
}

void kd__link_accept(struct kd_link *l, const struct kd_packet_hdr *hdr, const uint8_t *payload)
{
	l->complained = false;
	l->rx_fresh = false;
	l->odd_run = 0;
	l->dup_run = 0;
	kd__link_ack(l, hdr->id);
	l->expected = (hdr->id & ~KD_PACKET_ID_SYNC) ^ 1u;
	kd__link_deliver(l, hdr, payload);
}

static void make_room(struct kd_link *l, size_t size)
{
	size_t used = l->rx_end - l->rx_pos;

	if (l->rx_end + size <= sizeof(l->rx))
		return;
	__builtin_memmove(l->rx, l->rx + l->rx_pos, used);
	l->rx_pos = 0;
	l->rx_end = used;
}

static void take(struct kd_link *l, const uint8_t *bytes, size_t size)
{
	make_room(l, size);
	kd_copy(l->rx + l->rx_end, bytes, size);
	l->rx_end += size;
	l->rx_want -= size;
	l->counters.rx_bytes += size;
}

size_t kd_link_feed(struct kd_link *l, const uint8_t *bytes, size_t size, uint64_t now)
{
	size_t n_taken = 0;

	l->now = now;
	if (!l->rx_want && !l->n_events)
		l->rx_want = kd__link_parse(l);
	while (n_taken < size && l->rx_want && !l->n_events) {
		size_t n = size - n_taken < l->rx_want ? size - n_taken : l->rx_want;

		take(l, bytes + n_taken, n);
		n_taken += n;
		/* The hunt looks at every byte at once: a break-in byte may be among them. */
		if (!l->rx_want || l->rx_hunting)
			l->rx_want = kd__link_parse(l);
	}
	if (n_taken)
		l->last_rx = now;
	return n_taken;
}

/* A running target is no receiver: what it had not understood before has no continuation. */
static void forget_half(struct kd_link *l)
{
	l->rx_pos = l->rx_end = 0;
	l->rx_suspect = 0;
	l->rx_want = 0;
	l->rx_drain = l->rx_doubt = l->break_seen = false;
	l->skipped = 0;
}

bool kd_link_poll_byte(struct kd_link *l, uint8_t byte, uint64_t now)
{
	bool is_break = byte == KD_BYTE_BREAKIN;

	l->now = now;
	l->counters.rx_bytes++;
	forget_half(l);
	if (is_break) {
		l->counters.breakins++;
		l->peer_heard = true;
	} else {
		l->counters.noise_bytes++;
	}
	return is_break;
}
