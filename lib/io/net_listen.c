/* SPDX-License-Identifier: MIT */
#include "lib/io/net_listen.h"

#include <string.h>

#include <openssl/crypto.h>

void kd__listen_init(struct kd__net_listener *l, const struct kd_net_crypto *crypto,
		     const struct kd_net_keys *control)
{
	memset(l, 0, sizeof *l);
	l->crypto = crypto;
	l->control = *control;
}

void kd__listen_deinit(struct kd__net_listener *l)
{
	OPENSSL_cleanse(l, sizeof *l);
}

static enum kd_status learn_key(struct kd__net_listener *l, const struct kd_net_datagram *d)
{
	size_t i = l->n_sessions % KD__LISTEN_SESSIONS;
	enum kd_status s = kd_net_session_keys(l->crypto, &l->control, d->body, &l->sessions[i]);

	if (s != KD_OK)
		return s;
	l->n_sessions++;
	l->last = i;
	return KD_OK;
}

static enum kd_status hear_control(struct kd__net_listener *l, struct kd__heard *ret,
				   const char **why_ret)
{
	struct kd_net_response response;

	if (ret->d.size == 0) {
		ret->kind = KD__HEARD_ASK;
		return KD_OK;
	}
	if (kd_net_poke_decode(&ret->poke, ret->d.body, ret->d.size) == KD_OK) {
		ret->kind = KD__HEARD_POKE;
		return KD_OK;
	}
	if (kd_net_response_decode(&response, ret->d.body, ret->d.size) == KD_OK) {
		ret->kind = KD__HEARD_RESPONSE;
		return learn_key(l, &ret->d);
	}
	*why_ret = "authentic, but neither poke nor response";
	return KD_E_MALFORMED;
}

/* The session that was right last time first, then the others. */
static enum kd_status open_data(struct kd__net_listener *l, const uint8_t *bytes, size_t size,
				struct kd_net_datagram *d_ret)
{
	size_t n = KD_MIN(l->n_sessions, (size_t)KD__LISTEN_SESSIONS);

	for (size_t k = 0; k < n; k++) {
		size_t i = (l->last + n - k) % n;
		enum kd_status s = kd_net_open(l->crypto, &l->sessions[i], bytes, size, l->scratch,
					       d_ret);

		if (s == KD_E_MISMATCH)
			continue;
		l->last = i;
		return s;
	}
	return KD_E_MISMATCH;
}

static const char *why_not(enum kd_status s, uint8_t channel, size_t n_sessions)
{
	if (s == KD_E_IO)
		return "the cipher failed";
	if (s != KD_E_MISMATCH)
		return "authentic, but its lengths contradict each other";
	if (channel == KD_NET_CONTROL)
		return "made with another key, or damaged";
	if (n_sessions == 0)
		return "its session began before the capture, or the key is another one";
	return "of a session that began before the capture, with another key, or damaged";
}

enum kd_status kd__listen(struct kd__net_listener *l, const uint8_t *bytes, size_t size,
			  struct kd__heard *ret, const char **why_ret)
{
	uint8_t version, channel, ip[4];
	enum kd_status s = kd_net_peek(bytes, size, &version, &channel);

	if (s == KD_E_TOO_BIG)
		*why_ret = "longer than any datagram of KDNET";
	if (s != KD_OK)
		return s == KD_E_TOO_BIG ? s : KD_E_NOT_FOUND;
	if (channel == KD_NET_CONTROL)
		s = kd_net_open(l->crypto, &l->control, bytes, size, l->scratch, &ret->d);
	else
		s = open_data(l, bytes, size, &ret->d);
	if (s != KD_OK) {
		*why_ret = why_not(s, channel, l->n_sessions);
		return s;
	}
	if (channel == KD_NET_CONTROL)
		return hear_control(l, ret, why_ret);
	ret->kind = kd_net_check_decode(ip, ret->d.body, ret->d.size) == KD_OK ? KD__HEARD_CHECK
									       : KD__HEARD_PACKET;
	return KD_OK;
}
