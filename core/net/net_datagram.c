/* SPDX-License-Identifier: MIT */
#include "core/net/net_datagram.h"

enum {
	OFF_VERSION = 4,
	OFF_CHANNEL = 5,
	OFF_PLAIN = KD_NET_HEADER_SIZE,
	OFF_FLAGS = 7, /* in the plaintext */
	FLAG_TO_TARGET = 0x80,
	FLAG_SPARE = 0x70,
	PAD_MASK = 0x0F,
};

static const uint8_t magic[4] = { 'M', 'D', 'B', 'G' };

enum kd_status kd_net_peek(const uint8_t *in, size_t size, uint8_t *version_ret,
			   uint8_t *channel_ret)
{
	const size_t around = KD_NET_HEADER_SIZE + KD_NET_TAG_SIZE;

	if (size < KD_NET_DATAGRAM_MIN || (size - around) % KD_NET_BLOCK_SIZE != 0 ||
	    !kd_net_is_same(in, magic, sizeof(magic)) || in[OFF_CHANNEL] > KD_NET_CONTROL)
		return KD_E_MALFORMED;
	if (size > KD_NET_DATAGRAM_MAX)
		return KD_E_TOO_BIG;
	*version_ret = in[OFF_VERSION];
	*channel_ret = in[OFF_CHANNEL];
	return KD_OK;
}

static void put_sequence(uint8_t out[7], uint64_t sequence)
{
	for (size_t i = 0; i < 7; i++)
		out[i] = (uint8_t)(sequence >> (8 * (6 - i)));
}

static uint64_t get_sequence(const uint8_t in[7])
{
	uint64_t sequence = 0;

	for (size_t i = 0; i < 7; i++)
		sequence = sequence << 8 | in[i];
	return sequence;
}

static size_t plain_size(size_t body_size)
{
	size_t size = KD_NET_PREFIX_SIZE + body_size;

	return size + (KD_NET_BLOCK_SIZE - size % KD_NET_BLOCK_SIZE) % KD_NET_BLOCK_SIZE;
}

/* Header and plaintext into out; returns the size of the plaintext. */
static size_t lay_out(const struct kd_net_datagram *d, uint8_t *out)
{
	uint8_t *plain = out + OFF_PLAIN;
	size_t size = KD_NET_PREFIX_SIZE + d->size;
	size_t pad = plain_size(d->size) - size;

	kd_copy(out, magic, sizeof(magic));
	out[OFF_VERSION] = d->version;
	out[OFF_CHANNEL] = d->channel;
	put_sequence(plain, d->sequence);
	plain[OFF_FLAGS] = (uint8_t)((d->is_to_target ? FLAG_TO_TARGET : 0) |
				     (d->spare & FLAG_SPARE) | (uint32_t)pad);
	kd_copy(plain + KD_NET_PREFIX_SIZE, d->body, d->size);
	kd_zero(plain + size, pad);
	return size + pad;
}

enum kd_status kd_net_seal(const struct kd_net_crypto *crypto, const struct kd_net_keys *keys,
			   const struct kd_net_datagram *d, uint8_t *out, size_t cap,
			   size_t *size_ret)
{
	const size_t around = KD_NET_HEADER_SIZE + KD_NET_TAG_SIZE;
	uint8_t tag[KD_NET_HASH_SIZE];
	size_t size;

	if (d->size > KD_NET_BODY_MAX || d->sequence > KD_NET_SEQUENCE_MAX ||
	    cap < around + plain_size(d->size))
		return KD_E_TOO_BIG;
	size = lay_out(d, out);
	if (!crypto->hmac_sha256(crypto->context, keys->hmac, out, OFF_PLAIN + size, tag) ||
	    !crypto->aes_cbc(crypto->context, true, keys->cipher, tag, out + OFF_PLAIN,
			     out + OFF_PLAIN, size))
		return KD_E_IO;
	kd_copy(out + OFF_PLAIN + size, tag, KD_NET_TAG_SIZE);
	*size_ret = OFF_PLAIN + size + KD_NET_TAG_SIZE;
	return KD_OK;
}

enum kd_status kd_net_open(const struct kd_net_crypto *crypto, const struct kd_net_keys *keys,
			   const uint8_t *in, size_t size,
			   uint8_t scratch[KD_AT_LEAST(KD_NET_SCRATCH_SIZE)],
			   struct kd_net_datagram *ret)
{
	struct kd_net_datagram d = { 0 };
	uint8_t *plain = scratch + OFF_PLAIN;
	uint8_t tag[KD_NET_HASH_SIZE];
	size_t n, pad;
	enum kd_status s = kd_net_peek(in, size, &d.version, &d.channel);

	if (s != KD_OK)
		return s;
	n = size - KD_NET_HEADER_SIZE - KD_NET_TAG_SIZE;
	kd_copy(scratch, in, OFF_PLAIN);
	if (!crypto->aes_cbc(crypto->context, false, keys->cipher, in + size - KD_NET_TAG_SIZE,
			     plain, in + OFF_PLAIN, n) ||
	    !crypto->hmac_sha256(crypto->context, keys->hmac, scratch, OFF_PLAIN + n, tag))
		return KD_E_IO;
	if (!kd_net_is_same(tag, in + size - KD_NET_TAG_SIZE, KD_NET_TAG_SIZE))
		return KD_E_MISMATCH;
	pad = plain[OFF_FLAGS] & PAD_MASK;
	if (KD_NET_PREFIX_SIZE + pad > n)
		return KD_E_MALFORMED;
	d.sequence = get_sequence(plain);
	d.is_to_target = plain[OFF_FLAGS] & FLAG_TO_TARGET;
	d.spare = plain[OFF_FLAGS] & FLAG_SPARE;
	d.body = plain + KD_NET_PREFIX_SIZE;
	d.size = n - KD_NET_PREFIX_SIZE - pad;
	if (d.size > KD_NET_BODY_MAX)
		return KD_E_TOO_BIG;
	*ret = d;
	return KD_OK;
}
