/* SPDX-License-Identifier: MIT */
/* What both ends of KDNET do alike: opening and sealing datagrams, events, the clock. */
#include "core/net/net_internal.h"

enum {
	SILENCE_MS = 10000,
	ASK_MS = 1000,
	TRUST_MS = 500,
	POKE_MS = 3000,
	VERSION = 4,
};

void kd_net_config_init(struct kd_net_config *cfg, enum kd_link_role role)
{
	const uint64_t ms = KD_NS_PER_MS;

	*cfg = (struct kd_net_config){
		.role = role,
		.silence = SILENCE_MS * ms,
		.ask_gap = ASK_MS * ms,
		.trust_wait = TRUST_MS * ms,
		.poke_gap = POKE_MS * ms,
		.version = VERSION,
	};
	kd_net_link_config_init(&cfg->link, role);
}

static bool is_target(const struct kd_net *n)
{
	return n->cfg.role == KD_LINK_TARGET;
}

enum kd_status kd_net_init(struct kd_net *n, const struct kd_net_config *cfg, uint64_t now)
{
	const struct kd_net_crypto *c = cfg->crypto;

	if (!c || !c->aes_cbc || !c->hmac_sha256 || !c->sha256 || !c->random ||
	    cfg->link.role != cfg->role)
		return KD_E_INVALID;
	kd_zero(n, sizeof(*n));
	n->cfg = *cfg;
	n->now = now;
	n->poke_due = now;
	kd_net_link_init(&n->link, &cfg->link);
	if (is_target(n) && !c->random(c->context, n->nonce, sizeof(n->nonce)))
		return KD_E_IO;
	return KD_OK;
}

/* Also when the compiler sees that nobody reads it again. */
void kd__net_wipe(void *bytes, size_t size)
{
	volatile uint8_t *p = bytes;

	while (size--)
		*p++ = 0;
}

void kd_net_deinit(struct kd_net *n)
{
	kd__net_wipe(n, sizeof(*n));
}

/* --- events --- */

/* One datagram causes two at most (HEARD, then CONNECTED, TAKEN or OTHER), the clock one. */
struct kd_net_event *kd__net_event(struct kd_net *n, enum kd_net_event_kind kind)
{
	size_t i = (size_t)(n->event_head + n->n_events) % KD_NET_N_EVENTS;

	n->n_events++;
	n->events[i] = (struct kd_net_event){ .kind = kind };
	return &n->events[i];
}

/* Nothing may happen now: the owner has not heard yet what happened before. */
static bool is_waiting(const struct kd_net *n)
{
	return n->n_events || n->link.n_events || n->is_held;
}

void kd_net_hold(struct kd_net *n, bool is_held)
{
	n->is_held = is_held;
}

bool kd_net_next_event(struct kd_net *n, struct kd_net_event *event_ret)
{
	if (!n->n_events) {
		*event_ret = (struct kd_net_event){ .kind = KD_NET_LINK };
		return kd_net_link_next_event(&n->link, &event_ret->link);
	}
	*event_ret = n->events[n->event_head];
	n->event_head = (uint8_t)((n->event_head + 1) % KD_NET_N_EVENTS);
	n->n_events--;
	return true;
}

/* --- in --- */

/* With which session's key was it made? */
static enum kd_status open_data(struct kd_net *n, const uint8_t *bytes, size_t size,
				struct kd_net_datagram *d_ret, size_t *i_ret)
{
	for (size_t i = 0; i < KD_NET_N_SESSIONS; i++) {
		enum kd_status s = KD_E_MISMATCH;

		if (n->sessions[i].is_used)
			s = kd_net_open(n->cfg.crypto, &n->sessions[i].keys, bytes, size,
					n->scratch, d_ret);
		*i_ret = i;
		if (s != KD_E_MISMATCH)
			return s;
	}
	return KD_E_MISMATCH;
}

static void take_body(struct kd_net *n, const struct kd_net_datagram *d)
{
	uint8_t ip[4];

	if (is_target(n) || kd_net_check_decode(ip, d->body, d->size) != KD_OK) {
		if (n->cfg.tap)
			n->cfg.tap(n->cfg.tap_context, is_target(n), d->body, d->size);
		kd_net_link_feed(&n->link, d->body, d->size, n->now);
		return;
	}
	/* The answer to the connection check: say again what you have to say. */
	n->counters.checks++;
	kd_net_link_ask_resend(&n->link, n->now);
}

static enum kd_status take_data(struct kd_net *n, size_t i, const struct kd_net_datagram *d)
{
	if (d->sequence <= n->sessions[i].rx_sequence) {
		n->counters.replayed++;
		return KD_E_STALE;
	}
	n->sessions[i].rx_sequence = d->sequence;
	if (!is_target(n))
		kd__net_host_confirmed(n, i);
	take_body(n, d);
	return KD_OK;
}

static enum kd_status take_control(struct kd_net *n, const struct kd_net_address *from,
				   const struct kd_net_datagram *d)
{
	return is_target(n) ? kd__net_target_control(n, from, d) : kd__net_host_control(n, from, d);
}

/* As kd_net_feed(), but KD_E_MISMATCH leaves no trace. */
static enum kd_status take(struct kd_net *n, const struct kd_net_address *from,
			   const uint8_t *bytes, size_t size, uint64_t now)
{
	struct kd_net_datagram d;
	uint8_t version, channel;
	size_t i = 0;
	enum kd_status s = kd_net_peek(bytes, size, &version, &channel);

	if (s == KD_OK && channel == KD_NET_CONTROL)
		s = kd_net_open(n->cfg.crypto, &n->cfg.keys, bytes, size, n->scratch, &d);
	else if (s == KD_OK)
		s = open_data(n, bytes, size, &d, &i);
	if (s != KD_OK)
		return s;
	if (is_waiting(n))
		return KD_E_BUSY;
	n->now = now;
	if (d.is_to_target != is_target(n)) {
		n->counters.misdirected++;
		return KD_E_STALE;
	}
	s = channel == KD_NET_CONTROL ? take_control(n, from, &d) : take_data(n, i, &d);
	if (s != KD_E_STALE) {
		n->counters.rx_datagrams++;
		n->counters.rx_bytes += size;
	}
	return s;
}

/* KD_E_MISMATCH for good. */
static void nobodys(struct kd_net *n, const struct kd_net_address *from, const uint8_t *bytes,
		    size_t size, uint64_t now)
{
	uint8_t version, channel;

	n->counters.forged++;
	if (is_target(n) || kd_net_peek(bytes, size, &version, &channel) != KD_OK)
		return;
	n->now = now;
	kd__net_host_unreadable(n, from, version, channel);
}

enum kd_status kd_net_feed(struct kd_net *n, const struct kd_net_address *from,
			   const uint8_t *bytes, size_t size, uint64_t now)
{
	enum kd_status s = take(n, from, bytes, size, now);

	if (s == KD_E_MISMATCH)
		nobodys(n, from, bytes, size, now);
	return s;
}

static bool is_peer(const struct kd_net *n, const struct kd_net_address *from)
{
	return n->sessions[0].is_used && kd_net_address_is_same_ip(&n->sessions[0].peer, from);
}

/* Those who know the sender are asked first: deciphering for nothing is what this costs. */
enum kd_status kd_net_feed_any(struct kd_net *const nets[], size_t n_nets,
			       const struct kd_net_address *from, const uint8_t *bytes, size_t size,
			       uint64_t now, size_t *index_ret)
{
	*index_ret = 0;
	for (size_t pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < n_nets; i++) {
			enum kd_status s;

			if (is_peer(nets[i], from) != (pass == 0))
				continue;
			s = take(nets[i], from, bytes, size, now);
			*index_ret = i;
			if (s != KD_E_MISMATCH)
				return s;
		}
	for (size_t i = 0; i < n_nets; i++)
		nobodys(nets[i], from, bytes, size, now);
	return KD_E_MISMATCH;
}

/* --- out --- */

enum kd_status kd__net_control(struct kd_net *n, const struct kd_net_address *to, uint8_t version,
			       uint64_t sequence, const uint8_t *body, size_t size)
{
	const struct kd_net_datagram d = {
		.version = version,
		.channel = KD_NET_CONTROL,
		.is_to_target = !is_target(n),
		.sequence = sequence,
		.body = body,
		.size = size,
	};
	size_t sealed = 0;
	enum kd_status s = kd_net_seal(n->cfg.crypto, &n->cfg.keys, &d, n->control,
				       sizeof(n->control), &sealed);

	n->control_size = s == KD_OK ? sealed : 0;
	n->control_to = *to;
	return s;
}

/* Every datagram has a number of its own, a repetition, too. False: a primitive failed. */
static bool seal_data(struct kd_net *n, struct kd_net_session *session, const uint8_t *body,
		      size_t size, size_t *size_ret)
{
	const struct kd_net_datagram d = {
		.version = session->version,
		.channel = KD_NET_DATA,
		.is_to_target = !is_target(n),
		.sequence = ++session->tx_sequence,
		.body = body,
		.size = size,
	};

	return kd_net_seal(n->cfg.crypto, &session->keys, &d, n->tx, sizeof(n->tx), size_ret) ==
	       KD_OK;
}

static struct kd_net_session *sender(struct kd_net *n)
{
	if (!is_target(n))
		return kd__net_host_sender(n);
	return n->sessions[0].is_used ? &n->sessions[0] : NULL;
}

const uint8_t *kd_net_next_output(struct kd_net *n, struct kd_net_address *to_ret, size_t *size_ret)
{
	struct kd_net_session *session = sender(n);
	uint8_t check[KD_NET_CHECK_SIZE];
	const uint8_t *body = check;
	size_t size = sizeof(check);

	n->out = KD_NET_OUT_CONTROL;
	*to_ret = n->control_to;
	*size_ret = n->out_size = n->control_size;
	if (n->control_size)
		return n->control;
	n->out = KD_NET_OUT_NONE;
	if (!session)
		return NULL;
	*to_ret = session->peer;
	if (n->check_wanted)
		kd_net_check_encode(check, session->peer.ip + 12);
	else
		body = kd_net_link_next_output(&n->link, &size);
	if (!body || !seal_data(n, session, body, size, size_ret))
		return NULL;
	n->out = n->check_wanted ? KD_NET_OUT_CHECK : KD_NET_OUT_LINK;
	n->out_size = *size_ret;
	return n->tx;
}

static void link_sent(struct kd_net *n)
{
	size_t size;
	const uint8_t *packet = kd_net_link_next_output(&n->link, &size);

	if (n->cfg.tap && packet)
		n->cfg.tap(n->cfg.tap_context, !is_target(n), packet, size);
	kd_net_link_output_done(&n->link, n->now);
}

void kd_net_output_done(struct kd_net *n, uint64_t now)
{
	enum kd_net_out out = n->out;

	n->now = now;
	n->out = KD_NET_OUT_NONE;
	if (out == KD_NET_OUT_NONE)
		return;
	n->counters.tx_datagrams++;
	n->counters.tx_bytes += n->out_size;
	if (out == KD_NET_OUT_CONTROL)
		n->control_size = 0;
	else if (out == KD_NET_OUT_CHECK)
		n->check_wanted = false;
	else
		link_sent(n);
}

/* --- the clock --- */

uint64_t kd_net_deadline(const struct kd_net *n)
{
	uint64_t due = is_target(n) ? kd__net_target_deadline(n) : kd__net_host_deadline(n);
	uint64_t link_due = kd_net_link_deadline(&n->link);

	return due < link_due ? due : link_due;
}

void kd_net_timeout(struct kd_net *n, uint64_t now)
{
	if (is_waiting(n))
		return;
	n->now = now;
	kd_net_link_timeout(&n->link, now);
	if (is_target(n))
		kd__net_target_timeout(n);
	else
		kd__net_host_timeout(n);
}

/* --- looking --- */

struct kd_net_link *kd_net_link(struct kd_net *n)
{
	return &n->link;
}

bool kd_net_is_connected(const struct kd_net *n)
{
	return n->sessions[0].is_used;
}

struct kd_net_address kd_net_peer(const struct kd_net *n)
{
	return n->sessions[0].is_used ? n->sessions[0].peer : n->last_peer;
}

const struct kd_net_counters *kd_net_counters(const struct kd_net *n)
{
	return &n->counters;
}

const char *kd__net_check(const struct kd_net *n)
{
	if (n->n_events > KD_NET_N_EVENTS || n->event_head >= KD_NET_N_EVENTS)
		return "events";
	if (n->control_size > sizeof(n->control))
		return "control datagram";
	if (is_target(n) && (n->sessions[1].is_used || n->sessions[2].is_used))
		return "a target makes no offers";
	if (n->sessions[2].is_used && !n->sessions[1].is_used)
		return "the older offer goes before the younger one";
	if (n->is_silent && !n->sessions[0].is_used)
		return "silent without a session";
	for (size_t i = 0; i < KD_NET_N_SESSIONS; i++)
		if (n->sessions[i].rx_sequence > KD_NET_SEQUENCE_MAX)
			return "sequence";
	return kd__net_link_check(&n->link);
}
