/* SPDX-License-Identifier: MIT */
/*
 * The target's end of KDNET: it pokes, for ever, and takes the debugger that answers. Its link goes
 * on with the ids it had when another debugger, or the same one with another key, takes over.
 */
#include "core/net/net_internal.h"

enum {
	SECONDS_PER_POKE = 3, /* the sequence number of a poke: seconds since the start */
	RECENT_POKES = 4,     /* whose response may still be on its way */
	COUNTER_SIZE = 8,
};

static void make_poke(struct kd_net *n)
{
	struct kd_net_poke poke = { .target = n->cfg.self, .configured = n->cfg.debugger };
	uint8_t body[KD_NET_POKE_SIZE];

	kd_put64(n->nonce, kd_get64(n->nonce) + 1);
	kd_copy(poke.nonce, n->nonce, sizeof(poke.nonce));
	if (n->sessions[0].is_used)
		poke.connected = n->sessions[0].peer;
	else
		kd_net_address_from_ipv4(&poke.connected, (const uint8_t[4]){ 0 }, 0);
	kd_net_poke_encode(body, &poke);
	n->poke_sequence += SECONDS_PER_POKE;
	n->poked_at = n->now;
	n->poke_due = kd__net_time_add(n->now, n->cfg.poke_gap);
	/* A failed primitive: the next one may be luckier. */
	if (kd__net_control(n, &n->cfg.debugger, n->cfg.version, n->poke_sequence, body,
			    sizeof(body)) == KD_OK)
		n->counters.pokes++;
}

/*
 * To one of the last pokes, and younger than what was answered already? The random part of the
 * nonce keeps responses to an earlier boot away.
 */
static bool is_nonce_good(const struct kd_net *n, const uint8_t *nonce)
{
	uint64_t counter = kd_get64(nonce), latest = kd_get64(n->nonce);

	return n->poke_sequence && latest - counter < RECENT_POKES &&
	       (!n->has_answer || (int64_t)(counter - n->answered) > 0) &&
	       kd_net_is_same(nonce + COUNTER_SIZE, n->nonce + COUNTER_SIZE,
			      KD_NET_NONCE_SIZE - COUNTER_SIZE);
}

static enum kd_status take_response(struct kd_net *n, const struct kd_net_address *from,
				    const struct kd_net_datagram *d,
				    const struct kd_net_response *response)
{
	struct kd_net_session s = { .is_used = true, .version = d->version, .peer = *from };
	struct kd_net_event *ev;
	enum kd_status status;

	if (!is_nonce_good(n, response->nonce)) {
		n->counters.replayed++;
		return KD_E_STALE;
	}
	status = kd_net_session_keys(n->cfg.crypto, &n->cfg.keys, d->body, &s.keys);
	if (status != KD_OK)
		return status;
	n->sessions[0] = s;
	n->has_answer = true;
	n->answered = kd_get64(response->nonce);
	n->check_wanted = true;
	n->counters.responses++;
	n->counters.sessions++;
	ev = kd__net_event(n, KD_NET_CONNECTED);
	ev->peer = *from;
	ev->version = d->version;
	return KD_OK;
}

enum kd_status kd__net_target_control(struct kd_net *n, const struct kd_net_address *from,
				      const struct kd_net_datagram *d)
{
	struct kd_net_response response;

	if (d->size == 0) { /* "poke me"; it may be a replayed one */
		if (n->now < kd__net_time_add(n->poked_at, n->cfg.ask_gap)) {
			n->counters.refused++;
			return KD_E_STALE;
		}
		make_poke(n);
		return KD_OK;
	}
	if (kd_net_response_decode(&response, d->body, d->size) != KD_OK) {
		n->counters.refused++;
		return KD_E_STALE;
	}
	return take_response(n, from, d, &response);
}

uint64_t kd__net_target_deadline(const struct kd_net *n)
{
	return n->poke_due;
}

void kd__net_target_timeout(struct kd_net *n)
{
	if (n->now >= n->poke_due)
		make_poke(n);
}
