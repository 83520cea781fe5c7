/* SPDX-License-Identifier: MIT */
/* What the tests of KDNET share: real primitives with randomness handed in, and the sessions' keys.
 */
#ifndef KD_TESTS_CORE_NET_PEER_H
#define KD_TESTS_CORE_NET_PEER_H

#include "core/net/net.h"
#include "tests/core/net_vectors.h"

/* Randomness: `next` bytes first (NULL: none), then splitmix64 from the seed. */
struct net_random {
	const uint8_t *next;
	size_t next_size;
	uint64_t seed;
	bool is_broken; /* fails */
};

/* OpenSSL's, with `random` (borrowed) in place of its own. One set for the whole program. */
const struct kd_net_crypto *net_crypto(struct net_random *random);

/* Control keys of a recorded session, and those of its data channel. */
struct kd_net_keys net_control_keys(enum net_session session);
struct kd_net_keys net_data_keys(enum net_session session);

/* The datagram of the vector whose name is `name`; exits if there is none. */
size_t net_vector_bytes(const char *name, uint8_t out[KD_NET_DATAGRAM_MAX]);
/* Its plaintext; 0: the first bytes are unknown. */
size_t net_vector_plain(const struct net_vector *v, uint8_t out[KD_NET_PLAIN_MAX]);

struct kd_net_address net_address(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);

#endif
