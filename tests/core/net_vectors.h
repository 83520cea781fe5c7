/* SPDX-License-Identifier: MIT */
/* Recorded KDNET datagrams and what is in them. */
#ifndef KD_TESTS_CORE_NET_VECTORS_H
#define KD_TESTS_CORE_NET_VECTORS_H

#include "core/net/net_message.h"

enum net_session { NET_SESSION_A, NET_SESSION_B, N_NET_SESSIONS };

struct net_vector {
	const char *name;
	enum net_session session;
	enum kd_net_channel channel;
	const char *hex;   /* the datagram, for wire_hex() */
	const char *plain; /* the plaintext; NULL: its first 8 bytes are not recorded */
	const char *inner; /* NULL, or the wire vector whose packet follows `plain` */
};

extern const struct net_vector net_vectors[];
extern const size_t n_net_vectors;

#endif
