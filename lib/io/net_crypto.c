/* SPDX-License-Identifier: MIT */
/*
 * Contexts are kept: setting one up costs more than a datagram. Whatever goes wrong inside
 * libcrypto is one "false": there is nothing that a user could do about the details.
 */
#include "lib/io/net_crypto.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

struct kd__openssl {
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *cipher_ctx;
	EVP_MAC *mac;
	EVP_MAC_CTX *mac_ctx;
};

static bool aes_cbc(void *context, bool is_encrypt, const uint8_t key[32], const uint8_t iv[16],
		    uint8_t *out, const uint8_t *in, size_t size)
{
	struct kd__openssl *o = context;
	int n = 0;

	return size <= INT_MAX &&
	       EVP_CipherInit_ex2(o->cipher_ctx, o->cipher, key, iv, is_encrypt, NULL) == 1 &&
	       EVP_CIPHER_CTX_set_padding(o->cipher_ctx, 0) == 1 &&
	       EVP_CipherUpdate(o->cipher_ctx, out, &n, in, (int)size) == 1 && (size_t)n == size;
}

static bool hmac_sha256(void *context, const uint8_t key[32], const uint8_t *bytes, size_t size,
			uint8_t hash_ret[32])
{
	struct kd__openssl *o = context;
	size_t n = 0;

	return EVP_MAC_init(o->mac_ctx, key, KD_NET_KEY_SIZE, NULL) == 1 &&
	       EVP_MAC_update(o->mac_ctx, bytes, size) == 1 &&
	       EVP_MAC_final(o->mac_ctx, hash_ret, &n, KD_NET_HASH_SIZE) == 1 &&
	       n == KD_NET_HASH_SIZE;
}

static bool sha256(void *context, const uint8_t *bytes, size_t size, uint8_t hash_ret[32])
{
	(void)context;
	return EVP_Digest(bytes, size, hash_ret, NULL, EVP_sha256(), NULL) == 1;
}

static bool random_bytes(void *context, uint8_t *out, size_t size)
{
	(void)context;
	return size <= INT_MAX && RAND_bytes(out, (int)size) == 1;
}

static bool fetch(struct kd__openssl *o)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	o->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	o->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (!o->cipher || !o->mac)
		return false;
	o->cipher_ctx = EVP_CIPHER_CTX_new();
	o->mac_ctx = EVP_MAC_CTX_new(o->mac);
	return o->cipher_ctx && o->mac_ctx && EVP_MAC_CTX_set_params(o->mac_ctx, params) == 1;
}

enum kd_status kd__net_crypto_create(struct kd_net_crypto *crypto_ret, struct kd_error *err)
{
	struct kd__openssl *o = calloc(1, sizeof(*o));

	if (!o)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	*crypto_ret = (struct kd_net_crypto){
		.context = o,
		.aes_cbc = aes_cbc,
		.hmac_sha256 = hmac_sha256,
		.sha256 = sha256,
		.random = random_bytes,
	};
	if (fetch(o))
		return KD_OK;
	kd__net_crypto_destroy(crypto_ret);
	return kd_error_set(err, KD_E_UNSUPPORTED, 0,
			    "this machine's OpenSSL has no AES-256-CBC or no HMAC-SHA256, which "
			    "KDNET needs: look at its providers (openssl list -providers)");
}

void kd__net_crypto_destroy(struct kd_net_crypto *crypto)
{
	struct kd__openssl *o = crypto->context;

	if (o) {
		EVP_MAC_CTX_free(o->mac_ctx);
		EVP_CIPHER_CTX_free(o->cipher_ctx);
		EVP_MAC_free(o->mac);
		EVP_CIPHER_free(o->cipher);
	}
	free(o);
	*crypto = (struct kd_net_crypto){ 0 };
}

enum kd_status kd_net_key_from_text(const char *text, struct kd_net_keys *keys_ret,
				    struct kd_error *err)
{
	/* What is wrong with which word; never the word itself. */
	static const char *const problems[] = {
		[KD_NET_KEY_EMPTY_WORD] = "is empty",
		[KD_NET_KEY_BAD_DIGIT] = "has a character that is neither 0-9 nor a-z",
		[KD_NET_KEY_TOO_LARGE] = "is larger than 3w5e11264sgsf (64 bits)",
		[KD_NET_KEY_FEW_WORDS] = "is missing",
		[KD_NET_KEY_MANY_WORDS] = "should be the last",
	};
	static const char *const words[KD_NET_KEY_WORDS] = { "first", "second", "third", "fourth" };
	enum kd_net_key_problem problem;
	size_t word;
	enum kd_status s = kd_net_key_parse(text, strlen(text), keys_ret, &problem, &word);

	if (s == KD_OK)
		return s;
	return kd_error_set(err, s, 0,
			    "the key is four words of 0-9 and a-z with dots between, as bcdedit "
			    "/dbgsettings shows it; the %s word %s",
			    words[word], problems[problem]);
}
