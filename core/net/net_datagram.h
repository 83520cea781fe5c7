/* SPDX-License-Identifier: MIT */
/*
 * KDNET datagrams: a header in clear, a ciphertext, and a tag that is at the same time the IV.
 *
 *    0  "MDBG"  4  version  5  channel  6  AES-256-CBC(plaintext)  n-16  tag
 *    plaintext: 7 bytes sequence (big-endian), 1 byte flags, body, zeros up to a multiple of 16
 *    tag: the first 16 bytes of HMAC-SHA256(header and plaintext)
 *
 * Source: docs/protocol/kdnet.md; the HMACs of 955 captured datagrams were recomputed.
 */
#ifndef KD_CORE_NET_NET_DATAGRAM_H
#define KD_CORE_NET_NET_DATAGRAM_H

#include <openkd/status.h>

#include "core/net/net_key.h"
#include "core/wire/packet.h"

enum {
	KD_NET_HEADER_SIZE = 6,
	KD_NET_PREFIX_SIZE = 8, /* sequence and flags, in front of the body */
	KD_NET_TAG_SIZE = 16,
	KD_NET_DATAGRAM_MIN = KD_NET_HEADER_SIZE + KD_NET_BLOCK_SIZE + KD_NET_TAG_SIZE,
	/* The largest body that is taken: a KD packet without its trailer. */
	KD_NET_BODY_MAX = KD_HDR_SIZE + KD_PAYLOAD_ACCEPT,
	KD_NET_PLAIN_MAX = (KD_NET_PREFIX_SIZE + KD_NET_BODY_MAX + 15) / 16 * 16,
	KD_NET_DATAGRAM_MAX = KD_NET_HEADER_SIZE + KD_NET_PLAIN_MAX + KD_NET_TAG_SIZE,
	/* What kd_net_open() needs to work in: header and plaintext. */
	KD_NET_SCRATCH_SIZE = KD_NET_HEADER_SIZE + KD_NET_PLAIN_MAX,
};

#define KD_NET_SEQUENCE_MAX 0x00FFFFFFFFFFFFFFu

enum kd_net_channel { KD_NET_DATA, KD_NET_CONTROL };

struct kd_net_datagram {
	uint8_t version;   /* 2: Windows 8.1, 4: Windows 10, higher ones exist */
	uint8_t channel;   /* enum kd_net_channel */
	bool is_to_target; /* debugger -> target */
	uint8_t spare;     /* bits 4 to 6 of the flags, where they are; 0 in all we know */
	uint64_t sequence; /* up to KD_NET_SEQUENCE_MAX */
	const uint8_t *body;
	size_t size;
};

/*
 * What can be seen without a key. KD_OK: *version_ret, *channel_ret; KD_E_MALFORMED: no KDNET
 * datagram; KD_E_TOO_BIG: longer than KD_NET_DATAGRAM_MAX.
 */
enum kd_status kd_net_peek(const uint8_t *in, size_t size, uint8_t *version_ret,
			   uint8_t *channel_ret);

/*
 * KD_OK: *size_ret bytes in out; KD_E_TOO_BIG: body or sequence above the limit, or more than
 * `cap`; KD_E_IO: a primitive failed.
 */
enum kd_status kd_net_seal(const struct kd_net_crypto *crypto, const struct kd_net_keys *keys,
			   const struct kd_net_datagram *d, uint8_t *out, size_t cap,
			   size_t *size_ret);

/*
 * Decrypt and authenticate into `scratch` (KD_NET_SCRATCH_SIZE bytes), where ret->body points.
 * KD_OK; KD_E_MALFORMED, KD_E_TOO_BIG: as kd_net_peek(), or authentic and nonsense; KD_E_MISMATCH:
 * the tag says that it was made with other keys, or changed on its way; KD_E_IO: a primitive
 * failed. *ret is written on KD_OK only. Directions and sequence numbers are the caller's.
 */
enum kd_status kd_net_open(const struct kd_net_crypto *crypto, const struct kd_net_keys *keys,
			   const uint8_t *in, size_t size,
			   uint8_t scratch[KD_AT_LEAST(KD_NET_SCRATCH_SIZE)],
			   struct kd_net_datagram *ret);

#endif
