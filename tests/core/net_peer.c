/* SPDX-License-Identifier: MIT */
#include "tests/core/net_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/io/net_crypto.h"
#include "tests/core/wire_vectors.h"
#include "tests/support/lossy_pipe.h"

enum { MAX_PEERS = 64 };

static void give_up(const char *why)
{
	fprintf(stderr, "net_peer: %s\n", why);
	exit(1);
}

static bool fake_random(void *context, uint8_t *out, size_t size)
{
	struct net_random *r = context;

	for (size_t i = 0; i < size; i++) {
		if (!r->next_size) {
			out[i] = (uint8_t)lossy_random(&r->seed);
			continue;
		}
		out[i] = *r->next++;
		r->next_size--;
	}
	return !r->is_broken;
}

/* OpenSSL's have a context of their own, the context handed on is that of `random`. */
static struct kd_net_crypto openssl;

static bool wrapped_aes(void *context, bool is_encrypt, const uint8_t key[32], const uint8_t iv[16],
			uint8_t *out, const uint8_t *in, size_t size)
{
	(void)context;
	return openssl.aes_cbc(openssl.context, is_encrypt, key, iv, out, in, size);
}

static bool wrapped_hmac(void *context, const uint8_t key[32], const uint8_t *bytes, size_t size,
			 uint8_t hash_ret[32])
{
	(void)context;
	return openssl.hmac_sha256(openssl.context, key, bytes, size, hash_ret);
}

static bool wrapped_sha(void *context, const uint8_t *bytes, size_t size, uint8_t hash_ret[32])
{
	(void)context;
	return openssl.sha256(openssl.context, bytes, size, hash_ret);
}

const struct kd_net_crypto *net_crypto(struct net_random *random)
{
	static struct kd_net_crypto peers[MAX_PEERS];
	static size_t n;
	size_t i = 0;

	if (!openssl.context && kd__net_crypto_create(&openssl, NULL) != KD_OK)
		give_up("no OpenSSL");
	while (i < n && peers[i].context != random)
		i++;
	if (i == MAX_PEERS)
		give_up("too many peers");
	peers[i] = (struct kd_net_crypto){
		.context = random,
		.aes_cbc = wrapped_aes,
		.hmac_sha256 = wrapped_hmac,
		.sha256 = wrapped_sha,
		.random = fake_random,
	};
	n = i == n ? n + 1 : n;
	return &peers[i];
}

struct kd_net_keys net_control_keys(enum net_session session)
{
	struct kd_net_keys keys;

	if (kd_net_key_from_text(session == NET_SESSION_A ? "8.8.8.8" : "1.1.1.1", &keys, NULL) !=
	    KD_OK)
		give_up("key");
	return keys;
}

struct kd_net_keys net_data_keys(enum net_session session)
{
	static struct net_random none;
	struct kd_net_keys control = net_control_keys(session), keys;
	uint8_t plain[KD_NET_PLAIN_MAX];

	/* V8: the response of session B, of which only the plaintext is known. */
	if (session == NET_SESSION_B)
		wire_hex(plain + KD_NET_PREFIX_SIZE, KD_NET_RESPONSE_SIZE,
			 "01020d4b1edab4e4 cc54f76c47d10fd9 2ad8b54dc1cf2fd0 08900a95b694b3d4 "
			 "427f3f0cc8115b19 c1a6407a8d3a8f64 c43d40ddbda888af 9aa5b907bd5cee00 "
			 "d332 00*256");
	for (size_t i = 0; i < n_net_vectors && session == NET_SESSION_A; i++)
		if (strcmp(net_vectors[i].name, "V2 response") == 0)
			net_vector_plain(&net_vectors[i], plain);
	if (kd_net_session_keys(net_crypto(&none), &control, plain + KD_NET_PREFIX_SIZE, &keys) !=
	    KD_OK)
		give_up("session keys");
	return keys;
}

size_t net_vector_bytes(const char *name, uint8_t out[KD_NET_DATAGRAM_MAX])
{
	for (size_t i = 0; i < n_net_vectors; i++)
		if (strcmp(net_vectors[i].name, name) == 0)
			return wire_hex(out, KD_NET_DATAGRAM_MAX, net_vectors[i].hex);
	give_up(name);
	return 0;
}

size_t net_vector_plain(const struct net_vector *v, uint8_t out[KD_NET_PLAIN_MAX])
{
	size_t size;

	if (!v->plain)
		return 0;
	size = wire_hex(out, KD_NET_PLAIN_MAX, v->plain);
	for (size_t i = 0; v->inner && i < n_wire_vectors; i++)
		if (strncmp(wire_vectors[i].name, v->inner, strlen(v->inner)) == 0 &&
		    wire_vectors[i].name[strlen(v->inner)] == ' ')
			size += wire_hex(out + size, KD_NET_PLAIN_MAX - size, wire_vectors[i].hex);
	return size;
}

struct kd_net_address net_address(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
	const uint8_t ip[4] = { a, b, c, d };
	struct kd_net_address address;

	kd_net_address_from_ipv4(&address, ip, port);
	return address;
}
