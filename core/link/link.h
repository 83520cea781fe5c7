/* SPDX-License-Identifier: MIT */
/*
 * The reliable serial link of KD, both roles, as a machine without I/O, heap or clock: bytes and
 * the time go in, bytes, events and the next deadline come out. A socket loop, a polling guest, a
 * replay, a fuzzer and a Python test drive it alike.
 *
 * One data packet is outstanding per direction (stop and wait). See docs/protocol/serial.md for
 * the rules and link.c for the drawn state machine.
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
	bool has_trailer;     /* stream transports: true */
	uint64_t byte_gap;    /* silence inside a packet after which it is given up (250 ms; 1 s serial) */
	uint64_t ack_wait;    /* silence after which the outstanding packet is sent again (500 ms; 2 s serial) */
	uint64_t break_quiet; /* silence after a break-in byte that makes it count (byte_gap of the target) */
	uint64_t reset_gap;   /* never send two RESETs closer than this (1 s) */
	uint32_t retries;     /* target: retransmissions before an abandonable packet is given up (20);
			       * debugger: retransmissions before a RESET is sent (4) */
};

void kd_link_config_init(struct kd_link_config *cfg, enum kd_link_role role, bool is_serial_line);

enum kd_link_event_kind {
	KD_LINK_PACKET,      /* a data packet, acknowledged already; type, id, payload */
	KD_LINK_ACKED,       /* our outstanding packet arrived */
	KD_LINK_GAVE_UP,     /* target: the retries of an abandonable packet are used up, ids restarted;
			      * debugger: retries used up and a RESET sent; the packet is dropped */
	KD_LINK_RESEND_ASKED,/* the peer asks for our last packet and nothing is outstanding (target: send
			      * the state change again); also after a break-in byte followed by silence */
	KD_LINK_RESET_SEEN,  /* the peer sent RESET (answered already if it was not the answer to ours):
			      * ids are at their start. Debugger: an outstanding request was kept and is
			      * sent again with its new id */
	KD_LINK_BREAKIN,     /* target: a break-in byte was seen in the way NT counts it */
	KD_LINK_RESTARTED,   /* debugger: a SYNC id says that the target started anew: outstanding request
			      * dropped, forget all you know; the packet itself follows as KD_LINK_PACKET */
	KD_LINK_NOISE,       /* bytes that belong to no packet (boot loader text): payload, length */
};

struct kd_link_event {
	enum kd_link_event_kind kind;
	uint16_t type;          /* KD_LINK_PACKET */
	uint32_t id;            /* KD_LINK_PACKET */
	const uint8_t *payload; /* KD_LINK_PACKET, KD_LINK_NOISE: valid until the next feed/timeout/next_event */
	size_t length;
};

/* Only grow; for status displays and for tests that assert "bounded retransmits per loss". */
struct kd_link_counters {
	uint64_t rx_bytes, tx_bytes;
	uint64_t rx_packets, tx_packets; /* data packets delivered / sent for the first time */
	uint64_t retransmits;
	uint64_t acks_sent, resends_sent, resets_sent;
	uint64_t acks_seen, resends_seen, resets_seen;
	uint64_t duplicates;         /* data packets seen again, acknowledged, not delivered */
	uint64_t checksum_errors, trailer_errors, header_errors, gap_timeouts;
	uint64_t noise_bytes;        /* bytes skipped while hunting for a leader */
	uint64_t breakins;           /* seen (target) or sent (debugger) */
};

struct kd_link; /* the fields are private; the size is public so that a guest can hold one */

void kd_link_init(struct kd_link *l, const struct kd_link_config *cfg);

/*
 * Take bytes from the peer. Returns how many were consumed: it stops early while an event waits
 * to be fetched; call kd_link_next_event() until it returns false, then feed the rest.
 */
size_t kd_link_feed(struct kd_link *l, const uint8_t *bytes, size_t size, uint64_t now);

bool kd_link_next_event(struct kd_link *l, struct kd_link_event *event_ret);

/* Bytes to write, or NULL. After writing `size` of them (partial writes are fine) say output_done. */
const uint8_t *kd_link_next_output(struct kd_link *l, size_t *size_ret);
void kd_link_output_done(struct kd_link *l, size_t size, uint64_t now);

/*
 * Send one data packet: the fixed header and optional additional data, both copied.
 * KD_E_BUSY: one is outstanding; KD_E_TOO_BIG: more than KD_PAYLOAD_MAX bytes together.
 * `abandonable` (target role): give it up after the retries (prints, load-symbols, file create);
 * others are repeated for ever.
 */
enum kd_status kd_link_send(struct kd_link *l, uint16_t type, const uint8_t *header,
			    size_t header_size, const uint8_t *data, size_t data_size,
			    bool abandonable, uint64_t now);

/* Forget the outstanding packet without waiting for its ACK (debugger: the request is cancelled). */
void kd_link_cancel(struct kd_link *l);

/* Debugger: one break-in byte. Only for a target believed running. */
void kd_link_break_in(struct kd_link *l, uint64_t now);

/* Ask for a RESET; sent when reset_gap allows. Ids restart when the answer comes. */
void kd_link_reset(struct kd_link *l, uint64_t now);

/* Ask the peer to repeat its last packet ("ACKed, but no reply"). */
void kd_link_ask_resend(struct kd_link *l, uint64_t now);

/* Pretend that nothing was ever received: a new connection (socket reopened, VM reverted). */
void kd_link_restart(struct kd_link *l, uint64_t now);

/* When kd_link_timeout() wants to be called; KD_TIME_NEVER: no deadline. */
uint64_t kd_link_deadline(const struct kd_link *l);
void kd_link_timeout(struct kd_link *l, uint64_t now);

/* A packet of ours is unacknowledged. */
bool kd_link_is_busy(const struct kd_link *l);

const struct kd_link_counters *kd_link_counters(const struct kd_link *l);

/*
 * Private from here on: public only so that the object can live in the caller's storage.
 * (The author of link.c owns this part.)
 */
#include "core/link/link_private.h"

#endif
