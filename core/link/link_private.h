/* SPDX-License-Identifier: MIT */
/*
 * The inside of struct kd_link. Only core/link may touch the fields: what they mean together
 * (states, invariants) is drawn in link.c.
 */
#ifndef KD_CORE_LINK_LINK_PRIVATE_H
#define KD_CORE_LINK_LINK_PRIVATE_H

enum {
	/* More than can wait at once: see the bound in link_event.c. */
	KD_LINK_N_EVENTS = 8,
	/* Two ACKs, a RESEND, a RESET and a break-in byte are all that can differ usefully. */
	KD_LINK_N_CONTROLS = 8,
	/* A line of boot-loader text; longer ones come in pieces. */
	KD_LINK_NOISE_SIZE = 128,
};

struct kd_link_queued_event {
	uint8_t kind; /* enum kd_link_event_kind */
	bool repeat;
	uint16_t type;
	uint32_t id;
	size_t length;
};

/* A control packet, or the one break-in byte. */
struct kd_link_control {
	uint8_t bytes[KD_HDR_SIZE];
	uint8_t size;
};

enum kd_link_out { KD_LINK_OUT_NONE, KD_LINK_OUT_CONTROL, KD_LINK_OUT_DATA };

struct kd_link {
	struct kd_link_config cfg;
	struct kd_link_counters counters;
	uint64_t now; /* of the last call that brought a time */

	/* Events, a ring. */
	struct kd_link_queued_event events[KD_LINK_N_EVENTS];
	uint8_t event_head, n_events;

	/* Ids. */
	uint32_t next_send, expected;
	bool rx_fresh;   /* no data packet accepted since connect or RESET: adopt the next id */
	bool is_synced;  /* both directions are known to count from the same start */
	bool peer_heard; /* a good packet was seen since the start or since giving up */

	/* Receiving: rx[rx_pos, rx_end) are the bytes not yet understood. */
	size_t rx_pos, rx_end;
	size_t rx_want;    /* bytes missing from the packet that is being received */
	size_t rx_suspect; /* so many of the bytes belong to the body of a damaged packet */
	bool rx_hunting;   /* no leader stands at rx_pos */
	bool rx_drain;     /* silence followed: what is incomplete stays incomplete */
	bool rx_doubt; /* what comes is the rest of a packet without a header, since doubt_since */
	uint64_t skipped; /* the last eight bytes that the hunt passed, the youngest lowest */
	bool break_seen;  /* hunting: a 0x62 that neither garbage nor silence followed yet */
	bool complained;  /* a RESEND was sent in this loss episode */
	uint64_t last_rx, complained_at, doubt_since;
	uint16_t want_type; /* target: 0, or the only type that is taken */
	uint32_t odd_run;   /* consecutive packets with an id that no stream uses */
	uint32_t dup_run;   /* consecutive duplicates, the first of them at dup_since */
	uint64_t dup_since;

	/* The last delivered packet: what its event points to, and what repetitions are held
	 * against. */
	bool last_valid;
	bool acked_since; /* a packet of ours was acknowledged after it */
	bool sent_since;  /* a packet of ours was sent after it */
	uint16_t last_type;
	uint32_t last_id;
	size_t last_size;
	bool stop_valid; /* debugger: a hash of the last state change */
	uint32_t stop_hash;

	/* Sending: control packets first, unless a data packet is half written. */
	struct kd_link_control controls[KD_LINK_N_CONTROLS];
	uint8_t control_head, n_controls;
	size_t control_written;
	enum kd_link_out out; /* what kd_link_next_output() returned last */

	size_t tx_size, tx_written;
	bool tx_outstanding; /* unacknowledged, and somebody waits for the ACK */
	bool tx_pending;     /* a copy is to be written or half written */
	bool tx_stale;       /* the copy being written carries an id of before a RESET */
	bool tx_again;       /* and another copy has to follow it */
	bool tx_cancelled;   /* nobody waits, but an ACK would still move next_send */
	bool tx_abandonable;
	uint32_t tx_copies;  /* whole copies written under the present id */
	uint32_t tx_tries;   /* silent periods left before giving up */
	uint64_t tx_done_at; /* when the last copy was written */

	/* RESET and break-in. */
	bool reset_wanted;  /* to be sent when reset_gap allows */
	bool reset_pending; /* sent, not answered */
	bool reset_sent, break_sent;
	uint64_t reset_sent_at, break_sent_at;

	/* Storage. */
	size_t noise_size;
	uint8_t noise[KD_LINK_NOISE_SIZE];
	uint8_t rx[KD_PACKET_MAX];
	uint8_t last[KD_PAYLOAD_ACCEPT];
	uint8_t tx[KD_PACKET_MAX];
};

#endif
