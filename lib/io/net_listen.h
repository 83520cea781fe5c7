/* SPDX-License-Identifier: MIT */
/*
 * Listening to KDNET between two others, with the key: for captures. Learns the session keys from
 * the responses it sees, and tells what every datagram is, or why it cannot be told.
 */
#ifndef KD_LIB_IO_NET_LISTEN_H
#define KD_LIB_IO_NET_LISTEN_H

#include "core/net/net_message.h"
#include "lib/base.h"

enum { KD__LISTEN_SESSIONS = 16 };

enum kd__heard_kind {
	KD__HEARD_POKE,     /* poke */
	KD__HEARD_RESPONSE, /* from here on there is a new session key */
	KD__HEARD_ASK,      /* an empty control datagram */
	KD__HEARD_CHECK,    /* the connection check */
	KD__HEARD_PACKET,   /* d.body is a KD packet without trailer, or the break-in byte */
};

struct kd__heard {
	enum kd__heard_kind kind;
	struct kd_net_datagram d; /* in the listener, until the next call */
	struct kd_net_poke poke;
};

struct kd__net_listener {
	const struct kd_net_crypto *crypto; /* borrowed */
	struct kd_net_keys control;
	struct kd_net_keys sessions[KD__LISTEN_SESSIONS]; /* a ring; the older ones are forgotten */
	size_t n_sessions, last;                          /* last: which was right last time */
	uint8_t scratch[KD_NET_SCRATCH_SIZE];
};

void kd__listen_init(struct kd__net_listener *l, const struct kd_net_crypto *crypto,
		     const struct kd_net_keys *control);
void kd__listen_deinit(struct kd__net_listener *l); /* wipes the keys */

/*
 * KD_OK; KD_E_NOT_FOUND: no KDNET; else it is KDNET and *why_ret says why it can't be read:
 * KD_E_MISMATCH (another key, damaged, or a session that began before), KD_E_MALFORMED,
 * KD_E_TOO_BIG, KD_E_IO.
 */
enum kd_status kd__listen(struct kd__net_listener *l, const uint8_t *bytes, size_t size,
			  struct kd__heard *ret, const char **why_ret);

#endif
