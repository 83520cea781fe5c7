/* SPDX-License-Identifier: MIT */
/*
 * What the bodies of KDNET datagrams say, apart from KD packets: the target's poke ("I am here"),
 * the debugger's response to it, out of which both make the session's key, and the connection
 * check that a target sends first under a new key. Source: docs/protocol/kdnet.md.
 */
#ifndef KD_CORE_NET_NET_MESSAGE_H
#define KD_CORE_NET_NET_MESSAGE_H

#include "core/net/net_datagram.h"

enum {
	KD_NET_POKE_SIZE = 344,
	KD_NET_RESPONSE_SIZE = 322,
	KD_NET_CHECK_SIZE = 12,
	KD_NET_NONCE_SIZE = 32,
	KD_NET_RANDOM_SIZE = 32,
	KD_NET_REST_SIZE = 256, /* zeros at the end of poke and response */
};

/* IPv4 addresses are mapped, ::ffff:a.b.c.d. Port 0: no address. */
struct kd_net_address {
	uint8_t ip[16];
	uint16_t port;
};

bool kd_net_address_is_same_ip(const struct kd_net_address *a, const struct kd_net_address *b);
bool kd_net_address_is_same(const struct kd_net_address *a, const struct kd_net_address *b);
void kd_net_address_from_ipv4(struct kd_net_address *a, const uint8_t ip[KD_AT_LEAST(4)],
			      uint16_t port);

struct kd_net_poke {
	/* 8 bytes counter (LE, one more with each poke) and 24 bytes that change with each boot. */
	uint8_t nonce[KD_NET_NONCE_SIZE];
	struct kd_net_address target;     /* as it sees itself */
	struct kd_net_address configured; /* where it looks for a debugger */
	struct kd_net_address connected;  /* whom it talks to; port 0: nobody */
	const uint8_t *rest;              /* the last 256 bytes; NULL: zeros */
};

struct kd_net_response {
	uint8_t nonce[KD_NET_NONCE_SIZE]; /* of the poke */
	uint8_t random[KD_NET_RANDOM_SIZE];
	const uint8_t *rest; /* as above */
};

/*
 * KD_OK; KD_E_TRUNCATED: too short; KD_E_MALFORMED: something else, or longer. ret->rest points
 * into the body.
 */
enum kd_status kd_net_poke_decode(struct kd_net_poke *ret, const uint8_t *body, size_t size);
enum kd_status kd_net_response_decode(struct kd_net_response *ret, const uint8_t *body,
				      size_t size);
void kd_net_poke_encode(uint8_t out[KD_AT_LEAST(KD_NET_POKE_SIZE)], const struct kd_net_poke *p);
void kd_net_response_encode(uint8_t out[KD_AT_LEAST(KD_NET_RESPONSE_SIZE)],
			    const struct kd_net_response *r);

/*
 * Connection check: half a KD header, all zero but for the id: the debugger's IPv4 address as a
 * number, so its last byte comes first. `ip` is in the order of people. KD_E_MALFORMED: something
 * else.
 */
enum kd_status kd_net_check_decode(uint8_t ip_ret[KD_AT_LEAST(4)], const uint8_t *body,
				   size_t size);
void kd_net_check_encode(uint8_t out[KD_AT_LEAST(KD_NET_CHECK_SIZE)],
			 const uint8_t ip[KD_AT_LEAST(4)]);

/*
 * The keys of the data channel after this response: SHA-256(control key, response body). KD_E_IO:
 * the primitive failed.
 */
enum kd_status kd_net_session_keys(const struct kd_net_crypto *crypto,
				   const struct kd_net_keys *control,
				   const uint8_t response[KD_AT_LEAST(KD_NET_RESPONSE_SIZE)],
				   struct kd_net_keys *keys_ret);

#endif
