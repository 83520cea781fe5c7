/* SPDX-License-Identifier: MIT */
/*
 * The debugger's end of KDNET.
 *
 *    WAITING --poke: offer()--> OFFERED --data under an offered key: CONNECTED--> SESSION
 *       ^                        |    ^                                           |   |
 *       |                        +----+ poke: another offer                       |   |
 *       +--- kd_net_restart(), poke names another debugger twice: TAKEN ----------+   |
 *                                                                                     |
 *    SESSION: a poke that forgot us, or of another boot: offer(), and the session goes on until
 *    data under the new key comes. So a replayed poke of a boot that we never saw costs a datagram
 *    and nothing else: whoever replays it cannot make data under the new key.
 *
 *    WAITING   no session is used       OFFERED  [1] or [1] and [2] are used
 *    SESSION   [0] is used, with or without offers
 */
#include "core/net/net_internal.h"

enum {
	/* Unreadable data from a target that says it is ours: it has a key that we have not. */
	UNREADABLE_MAX = 8,
	/* One poke that names another debugger may have overtaken our response. */
	STRANGE_MAX = 2,
	COUNTER_SIZE = 8,
	MAPPED_SIZE = 16,
};

/* --- boots --- */

static struct kd_net_boot *find_boot(struct kd_net *n, const uint8_t *nonce)
{
	for (size_t i = 0; i < KD_NET_N_BOOTS; i++) {
		struct kd_net_boot *b = &n->boots[i];

		if (b->is_known && kd_net_is_same(b->id, nonce + COUNTER_SIZE, sizeof(b->id)))
			return b;
	}
	return NULL;
}

static bool is_replayed(struct kd_net *n, const struct kd_net_poke *poke)
{
	const struct kd_net_boot *b = find_boot(n, poke->nonce);

	/* A difference: the counter may start anywhere and wrap. */
	return b && (int64_t)(kd_get64(poke->nonce) - b->counter) <= 0;
}

static void remember_poke(struct kd_net *n, const struct kd_net_poke *poke)
{
	struct kd_net_boot *b = find_boot(n, poke->nonce);

	if (!b) {
		b = &n->boots[n->next_boot];
		n->next_boot = (uint8_t)((n->next_boot + 1) % KD_NET_N_BOOTS);
		kd_copy(b->id, poke->nonce + COUNTER_SIZE, sizeof(b->id));
		b->is_known = true;
	}
	b->counter = kd_get64(poke->nonce);
}

static bool is_boot_of(const struct kd_net_session *s, const struct kd_net_poke *poke)
{
	return kd_net_is_same(s->boot, poke->nonce + COUNTER_SIZE, sizeof(s->boot));
}

/* --- offers --- */

/* A response with a key of its own, that the target may take or that may get lost. */
static enum kd_status offer(struct kd_net *n, const struct kd_net_address *from, uint8_t version,
			    uint64_t sequence, const struct kd_net_poke *poke)
{
	const struct kd_net_session *current = kd__net_session(n);
	struct kd_net_response response = { 0 };
	struct kd_net_session s = { .is_used = true, .version = version, .peer = *from };
	uint8_t body[KD_NET_RESPONSE_SIZE];
	enum kd_status status;

	if (!n->cfg.crypto->random(n->cfg.crypto->context, response.random,
				   sizeof(response.random)))
		return KD_E_IO;
	kd_copy(response.nonce, poke->nonce, sizeof(response.nonce));
	kd_net_response_encode(body, &response);
	status = kd_net_session_keys(n->cfg.crypto, &n->cfg.keys, body, &s.keys);
	if (status == KD_OK)
		status = kd__net_control(n, from, version, sequence, body, sizeof(body));
	if (status != KD_OK)
		return status;
	kd_copy(s.boot, poke->nonce + COUNTER_SIZE, sizeof(s.boot));
	s.since = n->now;
	s.is_new_boot = current->is_used && (!is_boot_of(current, poke) || !poke->connected.port);
	n->sessions[2] = n->sessions[1];
	n->sessions[1] = s;
	n->counters.responses++;
	return KD_OK;
}

/* The session is over; `peer` stays to be asked for. */
static void forget_session(struct kd_net *n)
{
	struct kd_net_session *s = kd__net_session(n);

	if (s->is_used)
		n->last_peer = s->peer;
	kd__net_wipe(n->sessions, sizeof(n->sessions));
	kd_net_link_restart(&n->link, n->now);
	n->is_silent = false;
	n->n_strange_pokes = 0;
	n->n_unreadable = 0;
	n->seen_as.port = 0;
}

void kd__net_host_confirmed(struct kd_net *n, size_t i)
{
	struct kd_net_session *current = kd__net_session(n), *s = &n->sessions[i];
	struct kd_net_event *ev;
	bool is_same_boot;

	n->last_heard = n->now;
	n->n_unreadable = 0;
	if (n->is_silent)
		kd__net_event(n, KD_NET_HEARD)->peer = s->peer;
	n->is_silent = false;
	if (i == 0)
		return;
	is_same_boot = current->is_used && !s->is_new_boot &&
		       kd_net_is_same(s->boot, current->boot, sizeof(s->boot));
	/* What was sent before the first session waits for it. */
	if (current->is_used && !is_same_boot)
		kd_net_link_restart(&n->link, n->now);
	*current = *s;
	/* Of two offers the younger one may still be on its way to the target. */
	if (i == 1)
		kd__net_wipe(&n->sessions[1], sizeof(n->sessions[1]));
	kd__net_wipe(&n->sessions[2], sizeof(n->sessions[2]));
	n->is_taken = false;
	n->n_strange_pokes = 0;
	n->seen_as.port = 0;
	n->counters.sessions++;
	ev = kd__net_event(n, KD_NET_CONNECTED);
	ev->peer = current->peer;
	ev->version = current->version;
	ev->is_restart = !is_same_boot;
}

/* --- pokes --- */

/* Does the poke name a debugger that is not us? We are where it was configured to look for us. */
static bool is_elsewhere(const struct kd_net *n, const struct kd_net_poke *poke)
{
	return poke->connected.port &&
	       !kd_net_address_is_same(&poke->connected, &poke->configured) &&
	       !(n->seen_as.port && kd_net_address_is_same(&poke->connected, &n->seen_as));
}

static void taken(struct kd_net *n, const struct kd_net_poke *poke)
{
	forget_session(n);
	n->is_taken = true;
	kd__net_event(n, KD_NET_TAKEN)->peer = poke->connected;
}

/* A poke of the boot that we talk to, and it says that it talks to somebody. */
static bool keep_alive(struct kd_net *n, const struct kd_net_address *from,
		       const struct kd_net_poke *poke)
{
	/* Behind an address translation we are somebody else: who is in the first one is us. */
	if (!n->seen_as.port)
		n->seen_as = poke->connected;
	if (is_elsewhere(n, poke)) {
		if (++n->n_strange_pokes >= STRANGE_MAX)
			taken(n, poke);
		return false;
	}
	n->n_strange_pokes = 0;
	kd__net_session(n)->peer = *from;
	return n->n_unreadable >= UNREADABLE_MAX;
}

static bool is_answer_due(struct kd_net *n, const struct kd_net_address *from,
			  const struct kd_net_poke *poke)
{
	const struct kd_net_session *s = kd__net_session(n);

	if (!s->is_used)
		return !n->is_taken || !is_elsewhere(n, poke);
	if (!is_boot_of(s, poke) || !poke->connected.port)
		return true;
	return keep_alive(n, from, poke);
}

static bool is_other_machine(struct kd_net *n, const struct kd_net_address *from)
{
	const struct kd_net_session *s = kd__net_session(n);

	return s->is_used && !n->is_silent && !kd_net_address_is_same_ip(&s->peer, from);
}

static enum kd_status refuse(struct kd_net *n)
{
	n->counters.refused++;
	return KD_E_STALE;
}

static enum kd_status refuse_other(struct kd_net *n, const struct kd_net_address *from)
{
	if (!kd_net_is_same(n->other.ip, from->ip, MAPPED_SIZE)) {
		n->other = *from;
		kd__net_event(n, KD_NET_OTHER)->peer = *from;
	}
	return refuse(n);
}

static void heard(struct kd_net *n, const struct kd_net_address *from)
{
	const struct kd_net_session *s = kd__net_session(n);

	if (!s->is_used || !kd_net_address_is_same_ip(&s->peer, from))
		return;
	n->last_heard = n->now;
	if (n->is_silent)
		kd__net_event(n, KD_NET_HEARD)->peer = *from;
	n->is_silent = false;
}

enum kd_status kd__net_host_control(struct kd_net *n, const struct kd_net_address *from,
				    const struct kd_net_datagram *d)
{
	struct kd_net_poke poke;

	if (kd_net_poke_decode(&poke, d->body, d->size) != KD_OK)
		return refuse(n);
	if (is_replayed(n, &poke)) {
		n->counters.replayed++;
		return KD_E_STALE;
	}
	if (is_other_machine(n, from))
		return refuse_other(n, from);
	remember_poke(n, &poke);
	n->counters.pokes++;
	heard(n, from);
	return is_answer_due(n, from, &poke) ? offer(n, from, d->version, d->sequence, &poke)
					     : KD_OK;
}

/* --- the rest --- */

/*
 * Without a session: a target that talks to a debugger that is no more. It answers an empty control
 * datagram with a poke at once. That is shorter than any datagram that can bring us here.
 */
void kd__net_host_unreadable(struct kd_net *n, const struct kd_net_address *from, uint8_t version,
			     uint8_t channel)
{
	const struct kd_net_session *s = kd__net_session(n);
	bool is_early = n->asked && n->now < kd__net_time_add(n->asked_at, n->cfg.ask_gap);

	if (channel != KD_NET_DATA)
		return;
	if (s->is_used) {
		if (kd_net_address_is_same_ip(&s->peer, from) && n->n_unreadable < UNREADABLE_MAX)
			n->n_unreadable++;
		return;
	}
	if (is_early || n->is_taken || n->control_size)
		return;
	n->asked = true;
	n->asked_at = n->now;
	/* A failure costs up to three seconds: the next poke comes by itself. */
	(void)kd__net_control(n, from, version, 0, NULL, 0);
}

static uint64_t trusted_at(const struct kd_net *n)
{
	return kd__net_time_add(n->sessions[1].since, n->cfg.trust_wait);
}

/*
 * An offer that a silent target may have taken is good enough to send a break-in. It is no session
 * before the target answers under its key.
 */
struct kd_net_session *kd__net_host_sender(struct kd_net *n)
{
	if (n->sessions[0].is_used)
		return &n->sessions[0];
	if (n->sessions[1].is_used && n->now >= trusted_at(n))
		return &n->sessions[1];
	return NULL;
}

uint64_t kd__net_host_deadline(const struct kd_net *n)
{
	bool wants_out = n->link.n_controls || n->link.tx_pending;

	if (n->sessions[0].is_used)
		return n->is_silent ? KD_TIME_NEVER
				    : kd__net_time_add(n->last_heard, n->cfg.silence);
	if (n->sessions[1].is_used && wants_out && n->now < trusted_at(n))
		return trusted_at(n);
	return KD_TIME_NEVER;
}

void kd__net_host_timeout(struct kd_net *n)
{
	const struct kd_net_session *s = kd__net_session(n);

	if (!s->is_used || n->is_silent || n->now < kd__net_time_add(n->last_heard, n->cfg.silence))
		return;
	n->is_silent = true;
	kd__net_event(n, KD_NET_SILENT)->peer = s->peer;
}

void kd_net_restart(struct kd_net *n, uint64_t now)
{
	n->now = now;
	n->n_events = 0;
	n->is_taken = false;
	forget_session(n);
}
