/* SPDX-License-Identifier: MIT */
/*
 * One KDNET target and its debugger, both roles, as a machine without I/O, heap or clock: datagrams
 * and the time go in, datagrams, events and the next deadline come out. It keeps the keys, pokes
 * and answers pokes, refuses what is forged, replayed or misdirected, and carries a datagram link
 * (net_link.h), on which the owner sends KD packets.
 *
 *     feed() a datagram (KD_E_BUSY: fetch events first), next_event() until false;
 *     timeout() if now >= deadline(), next_event() until false;
 *     next_output(), send it to *to_ret, output_done() until NULL;
 *     sleep until deadline() or until a datagram comes.
 *
 * kd_net_send() and the like may be called at any time: what cannot go out yet, for want of a
 * session, waits. A target that is told apart from others on the same port by its key only is one
 * such object each: kd_net_feed_any(). About 20 KB; holds keys: kd_net_deinit() wipes them.
 *
 * Source: docs/protocol/kdnet.md, where the states are drawn.
 */
#ifndef KD_CORE_NET_NET_H
#define KD_CORE_NET_NET_H

#include "core/net/net_link.h"
#include "core/net/net_message.h"

struct kd_net_config {
	enum kd_link_role role;
	struct kd_net_keys keys;            /* of the control channel: kd_net_key_parse() */
	const struct kd_net_crypto *crypto; /* borrowed as long as the object */
	struct kd_link_config link;         /* kd_net_link_config_init() */
	/* Debugger: so long without an authentic datagram: KD_NET_SILENT. 10 s: three pokes. */
	uint64_t silence;
	/* Never ask for a poke more often than this: 1 s. */
	uint64_t ask_gap;
	/* Debugger: a response that nothing confirmed is trusted to have arrived: 500 ms. */
	uint64_t trust_wait;
	/*
	 * NULL, or told of each KD packet (without trailer) and break-in byte that passed, in
	 * either direction: for recordings. Must not call this object.
	 */
	void (*tap)(void *context, bool is_to_target, const uint8_t *packet, size_t size);
	void *tap_context;
	/* The rest is the target's. Between pokes: 3 s. */
	uint64_t poke_gap;
	uint8_t version;
	struct kd_net_address self, debugger;
};

/* Times, role and version (4) as a Windows 10 target or its debugger has them; the rest zero. */
void kd_net_config_init(struct kd_net_config *cfg, enum kd_link_role role);

enum kd_net_event_kind {
	/* `link`, as kd_net_link_next_event() says it. */
	KD_NET_LINK,
	/*
	 * A session begins: the peer has proved that it has the new key. is_restart: the target
	 * booted (debugger: or this is the first session): forget all you know of it, the link's
	 * ids are at their start and what was outstanding is dropped. Without is_restart (another
	 * key for the same boot) the link goes on. Debugger: `version` and `peer` are the target's.
	 */
	KD_NET_CONNECTED,
	/* Debugger: no poke and no data for `silence`: switched off, in its firmware, cut off. */
	KD_NET_SILENT,
	/* Debugger: it speaks again, in the same session. */
	KD_NET_HEARD,
	/*
	 * Debugger: the target says that another debugger (`peer`) has it now. The session is over;
	 * it is not taken back before kd_net_restart(), or until it looks for a debugger again.
	 */
	KD_NET_TAKEN,
	/*
	 * Debugger: another machine (`peer`) uses our target's key and is ignored while the first
	 * one is there. Once for each address.
	 */
	KD_NET_OTHER,
};

struct kd_net_event {
	enum kd_net_event_kind kind;
	struct kd_link_event link;
	struct kd_net_address peer;
	uint8_t version;
	bool is_restart;
};

/* Only grow. Those of the link are apart: kd_net_link_counters(). */
struct kd_net_counters {
	uint64_t rx_datagrams, tx_datagrams; /* authentic ones; sent */
	uint64_t rx_bytes, tx_bytes;         /* of those, as UDP payload */
	uint64_t pokes, responses, checks;   /* seen or sent, each by its role */
	uint64_t sessions;                   /* CONNECTED */
	uint64_t forged;                     /* no key fits: another key, or damaged */
	uint64_t replayed;                   /* authentic, but old */
	uint64_t misdirected;                /* authentic, but from our own side */
	uint64_t refused; /* authentic, but of no use: other machine, no such kind */
};

struct kd_net;

/*
 * KD_OK; KD_E_INVALID: not both a configuration and primitives; KD_E_IO: no randomness (target:
 * its nonce). A target pokes at once.
 */
enum kd_status kd_net_init(struct kd_net *n, const struct kd_net_config *cfg, uint64_t now);
void kd_net_deinit(struct kd_net *n);

/*
 * A datagram came from `from`.
 * KD_OK: taken; KD_E_BUSY: it is ours and events wait: fetch them, then feed it again;
 * KD_E_MALFORMED, KD_E_TOO_BIG: no KDNET datagram; KD_E_MISMATCH: not made with our keys;
 * KD_E_STALE: authentic and refused (see the counters); KD_E_IO: a primitive failed.
 * In all cases but KD_OK nothing changed, except counters, and that a debugger without a session
 * asks a target that sends unreadable data for a poke.
 */
enum kd_status kd_net_feed(struct kd_net *n, const struct kd_net_address *from,
			   const uint8_t *bytes, size_t size, uint64_t now);

/*
 * The same for several targets on one port. *index_ret is whose it was (KD_OK, KD_E_BUSY,
 * KD_E_STALE); KD_E_MISMATCH: nobody's.
 */
enum kd_status kd_net_feed_any(struct kd_net *const nets[], size_t n_nets,
			       const struct kd_net_address *from, const uint8_t *bytes, size_t size,
			       uint64_t now, size_t *index_ret);

/*
 * Held: feed says KD_E_BUSY and timeout does nothing, so that the payload of the last event stays
 * valid while others read the same port.
 */
void kd_net_hold(struct kd_net *n, bool is_held);

/* False: nothing waits. Pointers are valid until the next feed, timeout, next_event or restart. */
bool kd_net_next_event(struct kd_net *n, struct kd_net_event *event_ret);

/*
 * A datagram to be sent to *to_ret, or NULL; valid until another function of `n` is called.
 * output_done: it was sent, or could not be (it is lost then, as on the network).
 */
const uint8_t *kd_net_next_output(struct kd_net *n, struct kd_net_address *to_ret,
				  size_t *size_ret);
void kd_net_output_done(struct kd_net *n, uint64_t now);

uint64_t kd_net_deadline(const struct kd_net *n);
void kd_net_timeout(struct kd_net *n, uint64_t now);

/*
 * The link: send, break_in, reset, cancel, want, is_busy, counters. Feeding it, fetching its events
 * or its output, restarting it and its clock are this object's.
 */
struct kd_net_link *kd_net_link(struct kd_net *n);

/* A session is confirmed by data. */
bool kd_net_is_connected(const struct kd_net *n);

/* Of the session, or of the last one; port 0: there was none. */
struct kd_net_address kd_net_peer(const struct kd_net *n);

/*
 * Debugger: give the session up. The next poke is answered whomever the target is connected to, and
 * its next CONNECTED has is_restart.
 */
void kd_net_restart(struct kd_net *n, uint64_t now);

const struct kd_net_counters *kd_net_counters(const struct kd_net *n);

/* NULL, or which invariant is broken. For tests and fuzzers. */
const char *kd__net_check(const struct kd_net *n);

/* Private from here on. */
#include "core/net/net_private.h"

#endif
