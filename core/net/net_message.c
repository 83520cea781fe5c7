/* SPDX-License-Identifier: MIT */
#include "core/net/net_message.h"

enum {
	KIND_CLASS = 1, /* first byte of both */
	KIND_POKE = 1,
	KIND_RESPONSE = 2,
	OFF_NONCE = 2,
	POKE_OFF_TARGET = 34,
	POKE_OFF_CONFIGURED = 52,
	POKE_OFF_CONNECTED = 70,
	POKE_OFF_REST = 88,
	RESPONSE_OFF_RANDOM = 34,
	RESPONSE_OFF_REST = 66,
	CHECK_OFF_ID = 8,
	IP_SIZE = 16,
};

_Static_assert(POKE_OFF_REST + KD_NET_REST_SIZE == KD_NET_POKE_SIZE, "poke");
_Static_assert(RESPONSE_OFF_REST + KD_NET_REST_SIZE == KD_NET_RESPONSE_SIZE, "response");

bool kd_net_address_is_same_ip(const struct kd_net_address *a, const struct kd_net_address *b)
{
	return kd_net_is_same(a->ip, b->ip, IP_SIZE);
}

bool kd_net_address_is_same(const struct kd_net_address *a, const struct kd_net_address *b)
{
	return a->port == b->port && kd_net_address_is_same_ip(a, b);
}

void kd_net_address_from_ipv4(struct kd_net_address *a, const uint8_t ip[KD_AT_LEAST(4)],
			      uint16_t port)
{
	kd_zero(a->ip, 10);
	a->ip[10] = a->ip[11] = 0xFF;
	kd_copy(a->ip + 12, ip, 4);
	a->port = port;
}

/* Ports are big-endian here, as on every network. */
static void get_address(struct kd_net_address *a, const uint8_t in[18])
{
	kd_copy(a->ip, in, IP_SIZE);
	a->port = (uint16_t)((uint32_t)in[16] << 8 | in[17]);
}

static void put_address(uint8_t out[18], const struct kd_net_address *a)
{
	kd_copy(out, a->ip, IP_SIZE);
	out[16] = (uint8_t)(a->port >> 8);
	out[17] = (uint8_t)a->port;
}

static enum kd_status check_kind(const uint8_t *body, size_t size, uint8_t kind, size_t whole)
{
	if (size < OFF_NONCE)
		return KD_E_TRUNCATED;
	if (body[0] != KIND_CLASS || body[1] != kind || size > whole)
		return KD_E_MALFORMED;
	return size < whole ? KD_E_TRUNCATED : KD_OK;
}

enum kd_status kd_net_poke_decode(struct kd_net_poke *ret, const uint8_t *body, size_t size)
{
	enum kd_status s = check_kind(body, size, KIND_POKE, KD_NET_POKE_SIZE);

	if (s != KD_OK)
		return s;
	kd_copy(ret->nonce, body + OFF_NONCE, KD_NET_NONCE_SIZE);
	get_address(&ret->target, body + POKE_OFF_TARGET);
	get_address(&ret->configured, body + POKE_OFF_CONFIGURED);
	get_address(&ret->connected, body + POKE_OFF_CONNECTED);
	ret->rest = body + POKE_OFF_REST;
	return KD_OK;
}

static void put_rest(uint8_t *out, const uint8_t *rest)
{
	if (rest)
		kd_copy(out, rest, KD_NET_REST_SIZE);
	else
		kd_zero(out, KD_NET_REST_SIZE);
}

void kd_net_poke_encode(uint8_t out[KD_AT_LEAST(KD_NET_POKE_SIZE)], const struct kd_net_poke *p)
{
	out[0] = KIND_CLASS;
	out[1] = KIND_POKE;
	kd_copy(out + OFF_NONCE, p->nonce, KD_NET_NONCE_SIZE);
	put_address(out + POKE_OFF_TARGET, &p->target);
	put_address(out + POKE_OFF_CONFIGURED, &p->configured);
	put_address(out + POKE_OFF_CONNECTED, &p->connected);
	put_rest(out + POKE_OFF_REST, p->rest);
}

enum kd_status kd_net_response_decode(struct kd_net_response *ret, const uint8_t *body, size_t size)
{
	enum kd_status s = check_kind(body, size, KIND_RESPONSE, KD_NET_RESPONSE_SIZE);

	if (s != KD_OK)
		return s;
	kd_copy(ret->nonce, body + OFF_NONCE, KD_NET_NONCE_SIZE);
	kd_copy(ret->random, body + RESPONSE_OFF_RANDOM, KD_NET_RANDOM_SIZE);
	ret->rest = body + RESPONSE_OFF_REST;
	return KD_OK;
}

void kd_net_response_encode(uint8_t out[KD_AT_LEAST(KD_NET_RESPONSE_SIZE)],
			    const struct kd_net_response *r)
{
	out[0] = KIND_CLASS;
	out[1] = KIND_RESPONSE;
	kd_copy(out + OFF_NONCE, r->nonce, KD_NET_NONCE_SIZE);
	kd_copy(out + RESPONSE_OFF_RANDOM, r->random, KD_NET_RANDOM_SIZE);
	put_rest(out + RESPONSE_OFF_REST, r->rest);
}

enum kd_status kd_net_check_decode(uint8_t ip_ret[KD_AT_LEAST(4)], const uint8_t *body, size_t size)
{
	static const uint8_t zeros[CHECK_OFF_ID];

	if (size != KD_NET_CHECK_SIZE || !kd_net_is_same(body, zeros, sizeof(zeros)))
		return KD_E_MALFORMED;
	for (size_t i = 0; i < 4; i++)
		ip_ret[i] = body[CHECK_OFF_ID + 3 - i];
	return KD_OK;
}

void kd_net_check_encode(uint8_t out[KD_AT_LEAST(KD_NET_CHECK_SIZE)],
			 const uint8_t ip[KD_AT_LEAST(4)])
{
	kd_zero(out, CHECK_OFF_ID);
	for (size_t i = 0; i < 4; i++)
		out[CHECK_OFF_ID + i] = ip[3 - i];
}

enum kd_status kd_net_session_keys(const struct kd_net_crypto *crypto,
				   const struct kd_net_keys *control,
				   const uint8_t response[KD_AT_LEAST(KD_NET_RESPONSE_SIZE)],
				   struct kd_net_keys *keys_ret)
{
	uint8_t bytes[KD_NET_KEY_SIZE + KD_NET_RESPONSE_SIZE];

	kd_copy(bytes, control->cipher, KD_NET_KEY_SIZE);
	kd_copy(bytes + KD_NET_KEY_SIZE, response, KD_NET_RESPONSE_SIZE);
	if (!crypto->sha256(crypto->context, bytes, sizeof(bytes), keys_ret->cipher))
		return KD_E_IO;
	kd_copy(keys_ret->hmac, control->hmac, KD_NET_KEY_SIZE);
	return KD_OK;
}
