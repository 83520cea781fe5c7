/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/core/net_world.h"

#include "core/wire/api.h"
#include "lib/base.h"
#include "lib/io/net_crypto.h"

#define MS ((uint64_t)KD_NS_PER_MS)

enum {
	MAX_REQUESTS = 6,
	MAX_FILL = 1000,
	PATIENCE_MS = 5000,
	MILLION = 1000000,
};

static uint32_t below(uint64_t *rng, uint32_t n)
{
	return n ? (uint32_t)(lossy_random(rng) % n) : 0;
}

static bool happens(uint64_t *rng, uint32_t ppm)
{
	return ppm && below(rng, MILLION) < ppm;
}

/* ---- target ---- */

static void target_send(struct net_target *t, uint64_t now)
{
	const struct world_packet *p = &t->kernel.out;
	bool is_print = p->type == KD_PACKET_DEBUG_IO;

	assert_int_equal(
		kd_net_link_send(kd_net_link(&t->net), p->type, p->payload, WORLD_HEAD,
				 p->payload + WORLD_HEAD, p->size - WORLD_HEAD, is_print, now),
		KD_OK);
}

static void set_running(struct net_target *t, uint64_t now)
{
	world_kernel_run(&t->kernel, now);
	/* A running target takes break-ins only; what is old is acknowledged. */
	kd_net_link_want(kd_net_link(&t->net), KD_PACKET_POLL_BREAKIN);
}

static void target_link_event(struct net_target *t, const struct kd_link_event *ev, uint64_t now)
{
	struct world_kernel *k = &t->kernel;
	bool was_print = k->out.type == KD_PACKET_DEBUG_IO;

	switch (ev->kind) {
	case KD_LINK_GAVE_UP:
		t->n_given_up++;
		set_running(t, now);
		break;
	case KD_LINK_ACKED:
		if (was_print && !k->is_running)
			set_running(t, now);
		break;
	case KD_LINK_PACKET:
		if (world_kernel_request(k, ev->payload, ev->length, now))
			target_send(t, now);
		else
			set_running(t, now);
		break;
	case KD_LINK_RESEND_ASKED:
	case KD_LINK_RESET_SEEN:
		if (k->is_running || kd_net_link_is_busy(kd_net_link(&t->net)))
			break;
		k->out = k->stop;
		target_send(t, now);
		break;
	case KD_LINK_BREAKIN:
		t->n_breakins++;
		if (k->is_running) {
			k->n_prints = 0;
			k->wake = now;
		}
		break;
	default: fail_msg("target: event %d", (int)ev->kind);
	}
}

static void target_events(struct net_target *t, uint64_t now)
{
	struct kd_net_event ev;

	while (kd_net_next_event(&t->net, &ev)) {
		if (ev.kind == KD_NET_CONNECTED)
			t->n_sessions++;
		else
			target_link_event(t, &ev.link, now);
	}
}

static void target_wake(struct net_target *t, uint64_t now)
{
	bool is_alone = !kd_net_is_connected(&t->net);

	/* Nobody listens: prints do not even try. */
	if (is_alone && t->kernel.n_prints) {
		t->kernel.n_prints--;
		set_running(t, now);
		return;
	}
	world_kernel_wake(&t->kernel);
	kd_net_link_want(kd_net_link(&t->net), KD_PACKET_STATE_MANIPULATE);
	target_send(t, now);
}

static uint64_t target_deadline(const struct net_target *t)
{
	uint64_t due = kd_net_deadline(&t->net);

	return t->kernel.is_running ? KD_MIN(due, t->kernel.wake) : due;
}

static void target_tick(struct net_target *t, uint64_t now)
{
	if (t->kernel.is_running && now >= t->kernel.wake)
		target_wake(t, now);
	kd_net_timeout(&t->net, now);
	target_events(t, now);
}

static struct kd_net_keys keys_of(const char *text)
{
	struct kd_net_keys keys;

	assert_int_equal(kd_net_key_from_text(text, &keys, NULL), KD_OK);
	return keys;
}

void net_target_boot(struct net_target *t, const char *key, const struct kd_net_address *at,
		     const struct kd_net_address *debugger, uint64_t seed, uint64_t now)
{
	struct kd_net_config cfg;

	memset(t, 0, sizeof(*t));
	t->random.seed = seed;
	kd_net_config_init(&cfg, KD_LINK_TARGET);
	cfg.keys = keys_of(key);
	cfg.crypto = net_crypto(&t->random);
	cfg.self = *at;
	cfg.debugger = *debugger;
	assert_int_equal(kd_net_init(&t->net, &cfg, now), KD_OK);
	world_kernel_init(&t->kernel, seed, FILL_RANDOM, MAX_FILL);
	set_running(t, now);
}

/* ---- debugger ---- */

void net_debugger_start(struct net_debugger *d, const char *key, uint64_t seed, uint64_t now)
{
	struct kd_net_config cfg;

	memset(d, 0, sizeof(*d));
	d->random.seed = seed;
	d->rng = seed;
	d->is_new = true;
	d->patience = KD_TIME_NEVER;
	/* So that the kernel can tell a new debugger from lost requests. */
	d->request_serial = (uint32_t)(seed % 1000) * WORLD_SESSION;
	kd_net_config_init(&cfg, KD_LINK_DEBUGGER);
	cfg.keys = keys_of(key);
	cfg.crypto = net_crypto(&d->random);
	assert_int_equal(kd_net_init(&d->net, &cfg, now), KD_OK);
}

static void ask_next(struct net_debugger *d, uint64_t now)
{
	struct kd_net_link *link = kd_net_link(&d->net);
	struct world_packet p = { .type = KD_PACKET_STATE_MANIPULATE, .size = WORLD_HEAD };
	uint32_t api = d->n_left ? KD_API_READ_VIRTUAL : KD_API_CONTINUE2;

	if (!d->is_halted || d->is_waiting || d->is_continuing || kd_net_link_is_busy(link))
		return;
	d->is_continuing = !d->n_left;
	d->is_waiting = d->n_left;
	d->n_left -= d->n_left ? 1 : 0;
	d->asked = false;
	kd_put32(p.payload, api);
	kd_put32(p.payload + 4, ++d->request_serial);
	kd_put32(p.payload + 8, 64);
	memset(p.payload + WORLD_HEAD, 0x62, 64);
	kd_put32(p.payload + 12, 0);
	for (uint32_t i = 0, h = 2166136261u; i < 64; i++) {
		h = (h ^ 0x62) * 16777619u;
		kd_put32(p.payload + 12, h);
	}
	assert_int_equal(
		kd_net_link_send(link, p.type, p.payload, WORLD_HEAD + 64, NULL, 0, false, now),
		KD_OK);
	d->patience = now + PATIENCE_MS * MS;
}

static void note_stop(struct net_debugger *d, const struct world_head *h)
{
	if (h->serial == d->stop_serial) {
		d->n_repeats++;
		if (d->is_waiting && d->asked && !kd_net_link_is_busy(kd_net_link(&d->net)))
			d->is_waiting = false;
	} else {
		d->n_stops++;
		d->n_left = below(&d->rng, MAX_REQUESTS);
	}
	d->stop_serial = h->serial;
	d->is_halted = true;
}

/* Serials rise by one; only a stop may be said twice. */
static void note_packet(struct net_debugger *d, const struct kd_link_event *ev)
{
	struct world_head h = world_read(ev->payload, ev->length);
	bool is_stop = ev->type == KD_PACKET_STATE_CHANGE64;
	bool is_repeat = is_stop && h.is_intact && h.serial == d->stop_serial;

	/* What was seen first is the reply to a question of a debugger who is gone. */
	if (is_stop && !d->stop_serial && h.serial <= d->last_serial)
		is_repeat = true;
	d->n_packets++;
	if (!h.is_intact || (!is_repeat && !d->is_new && h.serial != d->last_serial + 1))
		d->n_wrong++;
	if (ev->type == KD_PACKET_STATE_MANIPULATE && !d->is_waiting && !d->is_new)
		d->n_wrong++;
	if (!is_repeat)
		d->last_serial = h.serial;
	/* A stop seen first may be an old one, said again after many replies. */
	d->is_new = d->is_new && is_stop && !d->stop_serial;
	if (is_stop) {
		note_stop(d, &h);
	} else if (ev->type == KD_PACKET_STATE_MANIPULATE) {
		d->is_waiting = false;
		d->n_replies++;
	}
}

static void start_anew(struct net_debugger *d)
{
	d->is_new = true;
	d->request_serial = (d->request_serial / WORLD_SESSION + 1) * WORLD_SESSION;
}

static void debugger_link_event(struct net_debugger *d, const struct kd_link_event *ev)
{
	switch (ev->kind) {
	case KD_LINK_PACKET: note_packet(d, ev); break;
	case KD_LINK_ACKED:
		if (d->is_continuing)
			d->is_continuing = d->is_halted = false;
		break;
	case KD_LINK_GAVE_UP:
		d->n_gave_up++;
		/* Whether the request arrived is unknown: what comes now may have any number. */
		d->is_waiting = d->is_continuing = d->is_halted = false;
		start_anew(d);
		break;
	case KD_LINK_RESET_SEEN: d->asked = true; break;
	default: fail_msg("debugger: event %d", (int)ev->kind);
	}
}

static void connected(struct net_debugger *d, const struct kd_net_event *ev)
{
	d->n_connected++;
	if (!ev->is_restart)
		return;
	d->n_restarts++;
	d->is_halted = d->is_waiting = d->is_continuing = false;
	d->stop_serial = d->last_serial = 0;
	start_anew(d);
}

static void debugger_event(struct net_debugger *d, const struct kd_net_event *ev, uint64_t now)
{
	if (d->patience != KD_TIME_NEVER || ev->kind == KD_NET_CONNECTED)
		d->patience = now + PATIENCE_MS * MS;
	if (ev->kind != KD_NET_LINK)
		d->last_peer = ev->peer;
	switch (ev->kind) {
	case KD_NET_LINK: debugger_link_event(d, &ev->link); break;
	case KD_NET_CONNECTED: connected(d, ev); break;
	case KD_NET_SILENT: d->n_silent++; break;
	case KD_NET_HEARD: d->n_heard++; break;
	case KD_NET_TAKEN:
		d->n_taken++;
		d->patience = KD_TIME_NEVER;
		break;
	case KD_NET_OTHER: d->n_other++; break;
	}
}

static void debugger_events(struct net_debugger *d, uint64_t now)
{
	struct kd_net_event ev;

	while (kd_net_next_event(&d->net, &ev))
		debugger_event(d, &ev, now);
	ask_next(d, now);
}

/* What a user or an engine would do about silence. */
static void lose_patience(struct net_debugger *d, uint64_t now)
{
	struct kd_net_link *link = kd_net_link(&d->net);

	d->patience = now + PATIENCE_MS * MS;
	if (kd_net_link_is_busy(link))
		return;
	d->n_asked++;
	if (!d->is_waiting && d->n_asked % 2)
		kd_net_link_break_in(link, now);
	else if (!d->is_waiting)
		kd_net_link_reset(link, now);
	else if (!d->asked)
		kd_net_link_ask_resend(link, now);
	else
		kd_net_link_reset(link, now);
	d->asked = true;
}

static uint64_t debugger_deadline(const struct net_debugger *d)
{
	return KD_MIN(kd_net_deadline(&d->net), d->patience);
}

static void debugger_tick(struct net_debugger *d, uint64_t now)
{
	kd_net_timeout(&d->net, now);
	debugger_events(d, now);
	if (now >= d->patience)
		lose_patience(d, now);
}

/* ---- network ---- */

void net_world_init(struct net_world *w, const struct net_line *line)
{
	memset(w, 0, sizeof(*w));
	w->line = *line;
	w->rng = line->seed;
}

static struct net_end *add_end(struct net_world *w, const struct kd_net_address *at)
{
	struct net_end *e = &w->ends[w->n_ends++];

	assert_true(w->n_ends <= KD_ARRAY_LEN(w->ends));
	e->at = *at;
	return e;
}

void net_world_add_target(struct net_world *w, struct net_target *t,
			  const struct kd_net_address *at)
{
	add_end(w, at)->target = t;
}

void net_world_add_port(struct net_world *w, struct net_debugger *const debuggers[], size_t n,
			const struct kd_net_address *at)
{
	struct net_end *e = add_end(w, at);

	for (e->n_debuggers = 0; e->n_debuggers < n; e->n_debuggers++)
		e->debuggers[e->n_debuggers] = debuggers[e->n_debuggers];
}

/* A full network drops. */
static void fly(struct net_world *w, const struct net_flight *f)
{
	if (w->n_flight == NET_WORLD_FLIGHT)
		return;
	w->flight[w->n_flight] = *f;
	w->flight[w->n_flight].due = w->now + w->line.latency_ns +
				     (w->line.jitter_ns ? lossy_random(&w->rng) % w->line.jitter_ns
							: 0);
	w->n_flight++;
}

static void replay(struct net_world *w)
{
	if (!w->n_kept || !happens(&w->rng, w->line.replay_ppm))
		return;
	w->n_replayed++;
	fly(w, &w->kept[below(&w->rng, (uint32_t)w->n_kept)]);
}

static void send(struct net_world *w, const struct kd_net_address *from,
		 const struct kd_net_address *to, const uint8_t *bytes, size_t size)
{
	struct net_flight f = { .from = *from, .to = *to, .size = size };

	assert_true(size <= sizeof(f.bytes));
	memcpy(f.bytes, bytes, size);
	w->kept[w->n_sent++ % NET_WORLD_KEPT] = f;
	w->n_kept = KD_MIN(w->n_sent, (uint64_t)NET_WORLD_KEPT);
	replay(w);
	if (happens(&w->rng, w->line.loss_ppm)) {
		w->n_lost++;
		return;
	}
	if (happens(&w->rng, w->line.damage_ppm)) {
		w->n_damaged++;
		f.bytes[6 + below(&w->rng, (uint32_t)size - 6)] ^= (uint8_t)(1
									     << below(&w->rng, 8));
	}
	fly(w, &f);
	if (happens(&w->rng, w->line.double_ppm)) {
		w->n_doubled++;
		fly(w, &f);
	}
}

static void flush_net(struct net_world *w, const struct net_end *e, struct kd_net *net)
{
	struct kd_net_address to;
	const uint8_t *bytes;
	size_t size, n = 0;

	while ((bytes = kd_net_next_output(net, &to, &size))) {
		assert_true(++n < 64);
		if (!e->is_off)
			send(w, &e->at, &to, bytes, size);
		kd_net_output_done(net, w->now);
		assert_null(kd__net_check(net));
	}
}

static void flush(struct net_world *w)
{
	for (size_t i = 0; i < w->n_ends; i++) {
		struct net_end *e = &w->ends[i];

		if (e->target)
			flush_net(w, e, &e->target->net);
		for (size_t k = 0; k < e->n_debuggers; k++)
			flush_net(w, e, &e->debuggers[k]->net);
	}
}

static void arrive(struct net_world *w, struct net_end *e, const struct net_flight *f)
{
	struct kd_net *nets[NET_WORLD_MAX];
	size_t index;
	enum kd_status s;

	if (e->target) {
		s = kd_net_feed(&e->target->net, &f->from, f->bytes, f->size, w->now);
		assert_null(kd__net_check(&e->target->net));
		assert_int_not_equal(s, KD_E_BUSY);
		target_events(e->target, w->now);
	}
	for (size_t i = 0; i < e->n_debuggers; i++)
		nets[i] = &e->debuggers[i]->net;
	if (!e->n_debuggers)
		return;
	s = kd_net_feed_any(nets, e->n_debuggers, &f->from, f->bytes, f->size, w->now, &index);
	assert_null(kd__net_check(nets[index]));
	assert_int_not_equal(s, KD_E_BUSY);
	debugger_events(e->debuggers[index], w->now);
}

static void land(struct net_world *w)
{
	for (size_t i = 0; i < w->n_flight;) {
		struct net_flight f = w->flight[i];

		if (f.due > w->now) {
			i++;
			continue;
		}
		/* In order, unless jitter said otherwise. */
		memmove(&w->flight[i], &w->flight[i + 1],
			(w->n_flight - i - 1) * sizeof(w->flight[0]));
		w->n_flight--;
		for (size_t k = 0; k < w->n_ends; k++)
			if (!w->ends[k].is_off && kd_net_address_is_same(&w->ends[k].at, &f.to))
				arrive(w, &w->ends[k], &f);
		flush(w);
	}
}

static void tick(struct net_world *w)
{
	for (size_t i = 0; i < w->n_ends; i++) {
		struct net_end *e = &w->ends[i];

		if (e->target && w->now >= target_deadline(e->target))
			target_tick(e->target, w->now);
		for (size_t k = 0; k < e->n_debuggers; k++)
			if (w->now >= debugger_deadline(e->debuggers[k]))
				debugger_tick(e->debuggers[k], w->now);
	}
}

static uint64_t next_time(const struct net_world *w)
{
	uint64_t t = KD_TIME_NEVER;

	for (size_t i = 0; i < w->n_flight; i++)
		t = KD_MIN(t, w->flight[i].due);
	for (size_t i = 0; i < w->n_ends; i++) {
		const struct net_end *e = &w->ends[i];

		if (e->target)
			t = KD_MIN(t, target_deadline(e->target));
		for (size_t k = 0; k < e->n_debuggers; k++)
			t = KD_MIN(t, debugger_deadline(e->debuggers[k]));
	}
	return t;
}

void net_world_run(struct net_world *w, uint64_t until, const uint64_t *counter, uint64_t enough)
{
	flush(w);
	while (!counter || *counter < enough) {
		uint64_t t = next_time(w);

		if (t > until)
			break;
		w->now = KD_MAX(w->now, t);
		land(w);
		tick(w);
		flush(w);
	}
	if (!counter || *counter < enough)
		w->now = KD_MAX(w->now, until);
}
