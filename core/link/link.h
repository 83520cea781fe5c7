/* SPDX-License-Identifier: MIT */
/*
 * The reliable serial link of KD, both roles, as a machine without I/O, heap or clock: bytes and
 * the time go in, bytes, events and the next deadline come out. A socket loop, a polling guest, a
 * replay, a fuzzer and a Python test drive it alike.
 *
 * One data packet is outstanding per direction (stop and wait). See docs/protocol/link.md for
 * the rules and what they cannot promise, link.c for the drawn state machine.
 *
 * The whole use of it, in the order that matters:
 *
 *     feed() what has arrived, next_event() until false, again until all bytes are taken;
 *     timeout() if now >= deadline(), next_event() until false;
 *     next_output(), write, output_done() until NULL;
 *     sleep until deadline() or until bytes come.
 *
 * Feed before timeout: bytes that lay in a buffer while the caller slept are no silence. Time is
 * monotonic nanoseconds from any start. No function blocks, allocates or keeps a pointer to what
 * it was given. A link belongs to one thread at a time. About 14 KB; kd_link_init() is all the
 * preparation it needs, nothing has to be released.
 */
#ifndef KD_CORE_LINK_LINK_H
#define KD_CORE_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

#include "core/wire/packet.h"

#define KD_TIME_NEVER UINT64_MAX
#define KD_NS_PER_MS  1000000u

enum kd_link_role { KD_LINK_DEBUGGER, KD_LINK_TARGET };

/* Times in nanoseconds. kd_link_config_init() fills the values of the facts for a role. */
struct kd_link_config {
	enum kd_link_role role;
	/* Stream transports: true. */
	bool has_trailer;
	/* Silence inside a packet after which it is given up: 250 ms; serial line 1 s. */
	uint64_t byte_gap;
	/* Silence after which the outstanding packet is sent again: 500 ms; serial line 2 s. */
	uint64_t ack_wait;
	/*
	 * Target: silence after a break-in byte that makes it count: byte_gap. Debugger: silence
	 * that every target notices, 1.2 s: so long behind a break-in byte no RESET is sent, and
	 * from the third transmission on it takes the place of a shorter ack_wait.
	 */
	uint64_t break_quiet;
	/* Never send two RESETs closer than this: 1 s; target 250 ms. */
	uint64_t reset_gap;
	/*
	 * Target: retransmissions before an abandonable packet is given up: 20. Debugger: before a
	 * RESET is sent: 4. Every good packet that comes in starts the count again.
	 */
	uint32_t retries;
	/* Target: the same while no debugger was ever heard: 5. */
	uint32_t retries_unheard;
};

void kd_link_config_init(struct kd_link_config *cfg, enum kd_link_role role, bool is_serial_line);

enum kd_link_event_kind {
	/* A data packet, acknowledged already: type, id, payload, length, repeat. */
	KD_LINK_PACKET,
	/* Our outstanding packet arrived. */
	KD_LINK_ACKED,
	/*
	 * Target: the retries of an abandonable packet are used up, ids restarted with SYNC.
	 * Debugger: retries used up and a RESET sent; the packet is dropped.
	 */
	KD_LINK_GAVE_UP,
	/*
	 * Target only: the peer asks for our last packet and nothing is outstanding: send the state
	 * change (prompt, file request) again as a new packet. Also after a break-in byte followed
	 * by silence.
	 */
	KD_LINK_RESEND_ASKED,
	/*
	 * The peer sent RESET (answered already if it was not the answer to ours): ids are at their
	 * start. An outstanding packet was kept and is sent again with its new id: at once, or, by
	 * a debugger that asked for the RESET, when the target has repeated its state change or
	 * ack_wait has passed. Target with nothing outstanding: do as for RESEND_ASKED, which does
	 * not follow.
	 */
	KD_LINK_RESET_SEEN,
	/* Target: a break-in byte was seen in the way NT counts it: leave a Ctrl-C pending. */
	KD_LINK_BREAKIN,
	/*
	 * Debugger: a SYNC id says that the target started anew, or speaks to a debugger for the
	 * first time, or after it gave up: outstanding request dropped, forget all you know. The
	 * packet itself follows as KD_LINK_PACKET.
	 */
	KD_LINK_RESTARTED,
	/* Bytes that belong to no packet (boot loader text), at most a line: payload, length. */
	KD_LINK_NOISE,
};

struct kd_link_event {
	enum kd_link_event_kind kind;
	/*
	 * KD_LINK_PACKET: type and payload are those of the packet delivered before and we have
	 * sent no packet since: a state change or prompt that was asked for again, or a
	 * retransmission whose id was damaged. Only prints may well be said twice.
	 */
	bool repeat;
	uint16_t type; /* KD_LINK_PACKET */
	uint32_t id;   /* KD_LINK_PACKET, as on the wire */
	/* KD_LINK_PACKET, KD_LINK_NOISE: valid until the next feed/timeout/next_event/restart. */
	const uint8_t *payload;
	size_t length;
};

/* Only grow; for status displays and for tests that assert "bounded retransmits per loss". */
struct kd_link_counters {
	uint64_t rx_bytes, tx_bytes;
	uint64_t rx_packets, tx_packets; /* data packets delivered / sent for the first time */
	uint64_t retransmits;
	uint64_t acks_sent, resends_sent, resets_sent;
	uint64_t acks_seen, resends_seen, resets_seen;
	uint64_t implicit_acks; /* ACKs that were lost and concluded from a data packet */
	uint64_t duplicates;    /* data packets seen again, acknowledged, not delivered */
	uint64_t wrong_types;   /* target: not the type of kd_link_want(), acknowledged, dropped */
	uint64_t odd_ids;       /* debugger: data packets whose id no stream uses */
	uint64_t given_up;      /* KD_LINK_GAVE_UP events */
	uint64_t checksum_errors, trailer_errors, header_errors, gap_timeouts;
	uint64_t noise_bytes; /* bytes skipped while hunting for a leader */
	uint64_t breakins;    /* seen (target) or sent (debugger) */
};

struct kd_link; /* the fields are private; the size is public so that a guest can hold one */

void kd_link_init(struct kd_link *l, const struct kd_link_config *cfg);

/*
 * Take bytes from the peer. Returns how many were consumed: it stops early while an event waits
 * to be fetched; call kd_link_next_event() until it returns false, then feed the rest.
 */
size_t kd_link_feed(struct kd_link *l, const uint8_t *bytes, size_t size, uint64_t now);

/*
 * False: nothing waits and all bytes fed so far have been looked at. Several events may come from
 * one packet, in the order ACKED, RESTARTED, PACKET.
 */
bool kd_link_next_event(struct kd_link *l, struct kd_link_event *event_ret);

/*
 * Bytes to write, or NULL. After writing `size` of them (partial writes are fine) say output_done.
 * The bytes are valid until any other function of this link is called; when that had to happen in
 * between, ask again. Control packets come first, but never inside a data packet.
 */
const uint8_t *kd_link_next_output(struct kd_link *l, size_t *size_ret);
void kd_link_output_done(struct kd_link *l, size_t size, uint64_t now);

/*
 * Send one data packet: the fixed header and optional additional data, both copied.
 * KD_E_BUSY: one is outstanding, or the rest of a cancelled one is still to be written;
 * KD_E_TOO_BIG: more than KD_PAYLOAD_MAX bytes together.
 * `abandonable` (target role): give it up after the retries (prints, load-symbols, file create);
 * others are repeated for ever.
 *
 * Debugger: only to a halted target (after its state change, prompt or file request). A target
 * that waits for the ACK of a packet of its own takes a request for that ACK.
 */
enum kd_status kd_link_send(struct kd_link *l, uint16_t type, const uint8_t *header,
			    size_t header_size, const uint8_t *data, size_t data_size,
			    bool abandonable, uint64_t now);

/*
 * Forget the outstanding packet without waiting for its ACK (debugger: the request is cancelled).
 * Whether the peer has it is not known. An ACK (or reply) that still comes is counted silently,
 * so that the next packet gets the right id; when the next packet is sent before that, the
 * target may take it for a duplicate: ACKED, and no reply ever. kd_link_reset() excludes that.
 */
void kd_link_cancel(struct kd_link *l);

/* Debugger: one break-in byte. Only for a target believed running. */
void kd_link_break_in(struct kd_link *l, uint64_t now);

/*
 * Ask for a RESET; sent when reset_gap allows, and not in the silence that a break-in byte needs.
 * Ids restart when the answer comes (KD_LINK_RESET_SEEN); until then, and after a connect, the
 * next data packet is taken with whatever id it has. A running target does not answer.
 */
void kd_link_reset(struct kd_link *l, uint64_t now);

/*
 * Ask the peer to repeat its last packet ("ACKed, but no reply"). A target that has nothing
 * outstanding sends its state change again, as a new packet.
 */
void kd_link_ask_resend(struct kd_link *l, uint64_t now);

/*
 * Pretend that nothing was ever received: a new connection (socket reopened, VM reverted).
 * Outstanding packet, waiting events and output are gone; counters, kd_link_want() and the time of
 * the last RESET stay.
 */
void kd_link_restart(struct kd_link *l, uint64_t now);

/*
 * When kd_link_timeout() wants to be called; KD_TIME_NEVER: no deadline. Changes with every other
 * call. kd_link_timeout() may be called at any time, early calls do nothing; it does nothing
 * either while events wait to be fetched.
 */
uint64_t kd_link_deadline(const struct kd_link *l);
void kd_link_timeout(struct kd_link *l, uint64_t now);

/* A packet of ours is unacknowledged. */
bool kd_link_is_busy(const struct kd_link *l);

/*
 * Both directions are known to count from the same start: a RESET or a SYNC id was seen since the
 * connection began. False after attaching to a target that had been debugged before: take its
 * state change, then kd_link_reset() before the first request.
 */
bool kd_link_is_synced(const struct kd_link *l);

/*
 * A good packet or a counting break-in byte came in since the start or since the last GAVE_UP
 * (target: "the debugger is present").
 */
bool kd_link_is_peer_heard(const struct kd_link *l);

/*
 * Target: take data packets of this type only, as KdReceivePacket does: others are acknowledged
 * and dropped without counting (so the sender's ids come apart, as with NT), ones shorter than the
 * type's fixed header are asked for again. 0, the start value: any type, any size.
 */
void kd_link_want(struct kd_link *l, uint16_t type);

/*
 * Target that runs: one byte that the clock tick's poll (KdReceivePacket with POLL_BREAKIN) has
 * read. True: it is a break-in. Other bytes are thrown away, as NT does: a running target parses
 * nothing, and half a packet that was fed before is forgotten.
 */
bool kd_link_poll_byte(struct kd_link *l, uint8_t byte, uint64_t now);

const struct kd_link_counters *kd_link_counters(const struct kd_link *l);

/*
 * Private from here on: public only so that the object can live in the caller's storage.
 * (The author of link.c owns this part.)
 */
#include "core/link/link_private.h"

#endif
