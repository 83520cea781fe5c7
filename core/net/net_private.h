/* SPDX-License-Identifier: MIT */
/* The inside of struct kd_net: only core/net may touch the fields. */
#ifndef KD_CORE_NET_NET_PRIVATE_H
#define KD_CORE_NET_NET_PRIVATE_H

enum {
	KD_NET_N_EVENTS = 4,
	/* The session, and two offers that the target may have accepted. */
	KD_NET_N_SESSIONS = 3,
	/* Boots of which old pokes are known. */
	KD_NET_N_BOOTS = 8,
	KD_NET_BOOT_SIZE = 24, /* of a nonce: what changes with each boot */
};

/* A boot of the target, as its nonces tell it, and the counter of the last poke. */
struct kd_net_boot {
	bool is_known;
	uint64_t counter;
	uint8_t id[KD_NET_BOOT_SIZE];
};

/* One data key: the target's session, or an offer (a response that was sent). */
struct kd_net_session {
	bool is_used;
	bool is_new_boot; /* offer: the target had forgotten us when it poked */
	uint8_t version;
	struct kd_net_keys keys;
	struct kd_net_address peer;
	uint8_t boot[KD_NET_BOOT_SIZE];
	uint64_t rx_sequence, tx_sequence; /* the last one accepted, sent */
	uint64_t since;
};

enum kd_net_out { KD_NET_OUT_NONE, KD_NET_OUT_CONTROL, KD_NET_OUT_CHECK, KD_NET_OUT_LINK };

struct kd_net {
	struct kd_net_config cfg;
	struct kd_net_counters counters;
	struct kd_net_link link;
	uint64_t now;

	struct kd_net_event events[KD_NET_N_EVENTS];
	uint8_t event_head, n_events;
	bool is_held;

	/* [0]: the session; debugger: [1], [2]: offers, the younger one first. */
	struct kd_net_session sessions[KD_NET_N_SESSIONS];
	struct kd_net_address last_peer;

	/* Debugger. */
	struct kd_net_boot boots[KD_NET_N_BOOTS];
	uint8_t next_boot;
	struct kd_net_address seen_as; /* the connected debugger of the session's first poke */
	struct kd_net_address other;   /* whom OTHER named */
	bool is_silent;                /* SILENT was said */
	bool is_taken;                 /* another debugger has it, and may keep it */
	uint8_t n_strange_pokes;       /* in a row that name another debugger */
	uint32_t n_unreadable; /* data from the peer that no key fits, since the last good */
	uint64_t last_heard;
	bool asked; /* for a poke, at asked_at */
	uint64_t asked_at;

	/* Target. */
	uint8_t nonce[KD_NET_NONCE_SIZE];
	uint64_t poke_sequence, poked_at, poke_due;
	uint64_t answered; /* counter of the nonce that was answered last */
	bool has_answer, check_wanted;

	/* Output: a control datagram waits whole, a data datagram is sealed each time it is asked
	 * for. */
	size_t control_size;
	struct kd_net_address control_to;
	uint8_t control[KD_NET_HEADER_SIZE + 352 + KD_NET_TAG_SIZE];
	enum kd_net_out out; /* what kd_net_next_output() returned last, and how large it was */
	size_t out_size;
	uint8_t tx[KD_NET_DATAGRAM_MAX];

	uint8_t scratch[KD_NET_SCRATCH_SIZE];
};

#endif
