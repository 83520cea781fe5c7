/* SPDX-License-Identifier: MIT */
/* The primitives of KDNET from OpenSSL's libcrypto, and the key as users write it. */
#ifndef KD_LIB_IO_NET_CRYPTO_H
#define KD_LIB_IO_NET_CRYPTO_H

#include "core/net/net_key.h"
#include "lib/base.h"

struct kd__openssl;

/*
 * *crypto_ret: for one thread at a time, until kd__net_crypto_destroy(). KD_E_NO_MEMORY;
 * KD_E_UNSUPPORTED: this libcrypto has no AES-256-CBC or no HMAC-SHA256.
 */
enum kd_status kd__net_crypto_create(struct kd_net_crypto *crypto_ret, struct kd_error *err);

/* Storage that was zeroed and never created is fine, too. */
void kd__net_crypto_destroy(struct kd_net_crypto *crypto);

/*
 * "1.2.3.4" to keys. KD_E_SYNTAX: *err says in which of the four words what is wrong, and repeats
 * nothing of the key.
 */
enum kd_status kd_net_key_from_text(const char *text, struct kd_net_keys *keys_ret,
				    struct kd_error *err);

#endif
