/* SPDX-License-Identifier: MIT */
/*
 * The primitives that KDNET needs, handed in: OpenSSL's on the host (lib/io/net_crypto.h), a
 * guest's own in a guest, recorded randomness in a replay. Each returns false when it could not
 * do its work (no entropy, no memory); nothing is sent or believed then.
 */
#ifndef KD_CORE_NET_NET_CRYPTO_H
#define KD_CORE_NET_NET_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KD_NET_KEY_SIZE = 32, KD_NET_HASH_SIZE = 32, KD_NET_BLOCK_SIZE = 16 };

struct kd_net_crypto {
	void *context;
	/* AES-256-CBC without padding; size is a multiple of 16; out may be the same as in. */
	bool (*aes_cbc)(void *context, bool is_encrypt, const uint8_t key[32], const uint8_t iv[16],
			uint8_t *out, const uint8_t *in, size_t size);
	bool (*hmac_sha256)(void *context, const uint8_t key[32], const uint8_t *bytes, size_t size,
			    uint8_t hash_ret[32]);
	bool (*sha256)(void *context, const uint8_t *bytes, size_t size, uint8_t hash_ret[32]);
	/* Bytes that nobody can guess. */
	bool (*random)(void *context, uint8_t *out, size_t size);
};

/* Equal? Takes the same time wherever the difference is. */
static inline bool kd_net_is_same(const uint8_t *a, const uint8_t *b, size_t size)
{
	uint32_t difference = 0;

	for (size_t i = 0; i < size; i++)
		difference |= (uint32_t)(a[i] ^ b[i]);
	return difference == 0;
}

#endif
