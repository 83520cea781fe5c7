/* SPDX-License-Identifier: MIT */
/*
 * The reliable link of KD over datagrams, both roles: what core/link is for streams. Whole packets
 * without a trailer go in and out, authentic ones already (net.h does that), so there is no hunt
 * for leaders; ids count by two and are never restarted at a fixed value, and a RESET says with
 * which id its sender goes on. See docs/protocol/kdnet.md.
 *
 * Events and counters are those of core/link/link.h with the same meaning, so that an owner treats
 * both alike. Of them NOISE, RESTARTED and, at a target, RESEND_ASKED after a break-in do not
 * occur: the session says when a target restarts, and a break-in has a datagram of its own.
 *
 *    IDLE --send--> WAITING --ACK, implied ACK--> IDLE
 *                   ^     | RESEND, ack_wait, RESET: again, same id
 *                   +-----+ tries used up: GAVE_UP (debugger: and RESET)
 *
 * Invariants (kd__net_link_check()): tx_pending only if tx_outstanding; at most one data packet is
 * outstanding; next_send grows by 2 with each packet that is acknowledged; `expected` changes only
 * when a packet is delivered, or with RESET and restart.
 */
#ifndef KD_CORE_NET_NET_LINK_H
#define KD_CORE_NET_NET_LINK_H

#include "core/link/link.h"

enum {
	/*
	 * The largest payload that is sent: with header, tag and UDP's headers it fits into one
	 * Ethernet frame, and what a KDNET target receives is never put together from fragments.
	 */
	KD_NET_PAYLOAD_MAX = 1400,
	/* Bytes of memory that a Windows target returns for one request, and takes in one. */
	KD_NET_READ_MAX = 0x448,
	KD_NET_ID_STEP = 2,
};

#define KD_NET_ID_TARGET   0x00000000u /* first ids */
#define KD_NET_ID_DEBUGGER 0x80000000u

/*
 * The members that have a meaning here: role, ack_wait (500 ms), reset_gap (500 ms; target 0),
 * retries (4; target 20), retries_unheard.
 */
void kd_net_link_config_init(struct kd_link_config *cfg, enum kd_link_role role);

struct kd_net_link;

void kd_net_link_init(struct kd_net_link *l, const struct kd_link_config *cfg);

/*
 * A KD packet or the break-in byte from the peer. False: an event waits, nothing was taken: call
 * kd_net_link_next_event() until it returns false first.
 */
bool kd_net_link_feed(struct kd_net_link *l, const uint8_t *packet, size_t size, uint64_t now);

/* As kd_link_next_event(). */
bool kd_net_link_next_event(struct kd_net_link *l, struct kd_link_event *event_ret);

/*
 * A whole packet (or the break-in byte) to be sent as one datagram, or NULL; valid until any other
 * function of this link is called. output_done: it was sent, or lost on its way.
 */
const uint8_t *kd_net_link_next_output(struct kd_net_link *l, size_t *size_ret);
void kd_net_link_output_done(struct kd_net_link *l, uint64_t now);

/* As kd_link_send(). KD_E_TOO_BIG: more than KD_NET_PAYLOAD_MAX bytes together. */
enum kd_status kd_net_link_send(struct kd_net_link *l, uint16_t type, const uint8_t *header,
				size_t header_size, const uint8_t *data, size_t data_size,
				bool abandonable, uint64_t now);

/* As their namesakes in core/link/link.h. */
void kd_net_link_cancel(struct kd_net_link *l);
void kd_net_link_break_in(struct kd_net_link *l, uint64_t now);
void kd_net_link_ask_resend(struct kd_net_link *l, uint64_t now);
void kd_net_link_restart(struct kd_net_link *l, uint64_t now);
uint64_t kd_net_link_deadline(const struct kd_net_link *l);
void kd_net_link_timeout(struct kd_net_link *l, uint64_t now);
bool kd_net_link_is_busy(const struct kd_net_link *l);
bool kd_net_link_is_peer_heard(const struct kd_net_link *l);
void kd_net_link_want(struct kd_net_link *l, uint16_t type);
const struct kd_link_counters *kd_net_link_counters(const struct kd_net_link *l);

/*
 * Ask for a RESET; sent when reset_gap allows. The target answers with its next id (or that of its
 * unacknowledged packet, which it sends again): KD_LINK_RESET_SEEN. A running target may not
 * answer.
 */
void kd_net_link_reset(struct kd_net_link *l, uint64_t now);

/*
 * Both ends know each other's next id. A debugger makes it so by itself when it joins a target that
 * had a debugger before: it answers the first packet with RESET instead of ACK and delivers it when
 * the target has repeated it, so an owner need not reset after attaching.
 */
bool kd_net_link_is_synced(const struct kd_net_link *l);

/* Private from here on. */

enum { KD_NET_N_CONTROLS = 8 };

struct kd_net_link {
	struct kd_link_config cfg;
	struct kd_link_counters counters;
	uint64_t now;

	struct kd_link_queued_event events[KD_LINK_N_EVENTS];
	uint8_t event_head, n_events;

	uint32_t next_send, expected;
	bool rx_fresh;        /* debugger: no data packet accepted since the start */
	bool is_synced;       /* see above */
	bool peer_heard;      /* since the start or since giving up */
	uint32_t fresh_tries; /* debugger: RESETs that a fresh target did not answer */
	uint16_t want_type;
	bool complained; /* a RESEND of our own accord, at complained_at, since the last good packet
			  */
	uint64_t complained_at;

	/* The last delivered packet. */
	bool last_valid, sent_since;
	uint16_t last_type;
	size_t last_size;
	bool stop_valid;
	uint32_t stop_hash;

	struct kd_link_control controls[KD_NET_N_CONTROLS];
	uint8_t control_head, n_controls;
	enum kd_link_out out;

	size_t tx_size;
	bool tx_outstanding; /* unacknowledged, and somebody waits for the ACK */
	bool tx_pending;     /* a copy is to be sent */
	bool tx_cancelled;   /* nobody waits, but an ACK would still move next_send */
	bool tx_abandonable;
	uint32_t tx_copies, tx_tries;
	uint64_t tx_done_at;

	bool reset_wanted, reset_pending, reset_sent;
	uint64_t reset_sent_at;

	uint8_t last[KD_PAYLOAD_ACCEPT];
	uint8_t tx[KD_HDR_SIZE + KD_NET_PAYLOAD_MAX];
};

/* NULL, or which invariant is broken. For tests and fuzzers. */
const char *kd__net_link_check(const struct kd_net_link *l);

#endif
