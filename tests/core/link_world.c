/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/core/link_world.h"

#include "core/link/link_internal.h"
#include "core/wire/api.h"
#include "lib/base.h"

#define MS ((uint64_t)KD_NS_PER_MS)

enum {
	API_PRINT = 0x3230,
	API_STOP = 0x3030,
	MAX_PRINTS = 4,
	MAX_REQUESTS = 6,
	MAX_RUN_MS = 30,
	PATIENCE_MS = 5000,
	SILENCE_MS = 1250,
};

static uint32_t below(uint64_t *rng, uint32_t n)
{
	return (uint32_t)(lossy_random(rng) % n);
}

/* ---- payloads ---- */

static uint32_t hash_of(const uint8_t *p, size_t size)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}

/* Packets as they stand in the buffers of a KD transport, one after the other. */
static void fill_images(uint8_t *p, size_t size, uint64_t *rng)
{
	size_t n = below(rng, 8);

	memset(p, 0, size);
	while (n + 48 < size) {
		uint32_t kind = below(rng, 4);
		struct kd_packet_hdr hdr = { .leader = KD_LEADER_CONTROL };

		hdr.id = KD_PACKET_ID_INITIAL + below(rng, 2);
		hdr.type = (uint16_t)(KD_PACKET_ACKNOWLEDGE + kind);
		if (kind == 3) {
			hdr.leader = KD_LEADER_DATA;
			hdr.type = KD_PACKET_STATE_MANIPULATE;
			hdr.length = 16;
			memset(p + n + 16, 0x31, 16);
			p[n + 32] = 0xAA;
			hdr.checksum = kd_checksum(p + n + 16, 16);
		}
		kd_packet_hdr_encode(p + n, &hdr);
		n += (hdr.length ? 33u : 16u) + below(rng, 8);
	}
}

static void fill_payload(uint8_t *p, size_t size, enum world_fill fill, uint64_t *rng)
{
	static const uint8_t same[] = { 0x30, 0x69, 0x62, 0xAA };

	if (fill < KD_ARRAY_LEN(same)) {
		memset(p, same[fill], size);
		return;
	}
	if (fill == FILL_IMAGES) {
		fill_images(p, size, rng);
		return;
	}
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)lossy_random(rng);
}

/* Mostly small, sometimes as large as allowed. */
static void make_packet(struct world_packet *out, uint16_t type, uint32_t api, uint32_t serial,
			enum world_fill fill, uint32_t max_fill, uint64_t *rng)
{
	uint32_t n = below(rng, 16) ? below(rng, 128) : max_fill;

	n = n < max_fill ? n : max_fill;
	out->type = type;
	out->size = WORLD_HEAD + n;
	kd_put32(out->payload, api);
	kd_put32(out->payload + 4, serial);
	kd_put32(out->payload + 8, n);
	fill_payload(out->payload + WORLD_HEAD, n, fill, rng);
	kd_put32(out->payload + 12, hash_of(out->payload + WORLD_HEAD, n));
}

struct world_head world_read(const uint8_t *payload, size_t size)
{
	struct world_head h = { 0 };

	if (size < WORLD_HEAD)
		return h;
	h.api = kd_get32(payload);
	h.serial = kd_get32(payload + 4);
	h.is_intact = kd_get32(payload + 8) == size - WORLD_HEAD &&
		      kd_get32(payload + 12) == hash_of(payload + WORLD_HEAD, size - WORLD_HEAD);
	return h;
}

/* ---- kernel ---- */

void world_kernel_init(struct world_kernel *k, uint64_t seed, enum world_fill fill,
		       uint32_t max_fill)
{
	*k = (struct world_kernel){ .rng = seed, .fill = fill, .max_fill = max_fill };
	world_kernel_run(k, 0);
}

void world_kernel_run(struct world_kernel *k, uint64_t now)
{
	k->is_running = true;
	k->wake = now + below(&k->rng, MAX_RUN_MS) * MS;
}

void world_kernel_wake(struct world_kernel *k)
{
	bool is_stop = !k->n_prints;

	k->is_running = false;
	k->n_prints = is_stop ? below(&k->rng, MAX_PRINTS) : k->n_prints - 1;
	make_packet(&k->out, is_stop ? KD_PACKET_STATE_CHANGE64 : KD_PACKET_DEBUG_IO,
		    is_stop ? API_STOP : API_PRINT, ++k->serial, k->fill, k->max_fill, &k->rng);
	if (is_stop)
		k->stop = k->out;
}

bool world_kernel_request(struct world_kernel *k, const uint8_t *payload, size_t size, uint64_t now)
{
	struct world_head h = world_read(payload, size);

	if (!h.is_intact || (h.serial != k->last_request + 1 &&
			     (h.serial < k->last_request || h.serial % WORLD_SESSION != 1)))
		k->n_wrong_requests++;
	k->last_request = h.serial;
	if (h.api == KD_API_CONTINUE2) {
		k->n_continues++;
		world_kernel_run(k, now);
		return false;
	}
	k->n_requests++;
	make_packet(&k->out, KD_PACKET_STATE_MANIPULATE, h.api, ++k->serial, k->fill, k->max_fill,
		    &k->rng);
	return true;
}

/* ---- a target made of our link ---- */

static void target_send(struct world_link_target *t, const struct world_packet *p, uint64_t now)
{
	bool is_print = p->type == KD_PACKET_DEBUG_IO;

	assert_int_equal(kd_link_send(&t->link, p->type, p->payload, WORLD_HEAD,
				      p->payload + WORLD_HEAD, p->size - WORLD_HEAD, is_print, now),
			 KD_OK);
}

static void target_event(struct world_link_target *t, const struct kd_link_event *ev, uint64_t now)
{
	struct world_kernel *k = t->kernel;
	bool was_print = k->out.type == KD_PACKET_DEBUG_IO;

	switch (ev->kind) {
	case KD_LINK_GAVE_UP:
		t->n_given_up++;
		world_kernel_run(k, now);
		break;
	case KD_LINK_ACKED:
		if (was_print)
			world_kernel_run(k, now);
		break;
	case KD_LINK_PACKET:
		if (world_kernel_request(k, ev->payload, ev->length, now))
			target_send(t, &k->out, now);
		break;
	case KD_LINK_RESEND_ASKED:
	case KD_LINK_RESET_SEEN:
		if (kd_link_is_busy(&t->link))
			break;
		k->out = k->stop;
		target_send(t, &k->out, now);
		break;
	case KD_LINK_BREAKIN: t->n_breakins++; break;
	default: break;
	}
}

static void target_events(struct world_link_target *t, uint64_t now)
{
	struct kd_link_event ev;

	while (!t->kernel->is_running && kd_link_next_event(&t->link, &ev))
		target_event(t, &ev, now);
}

static void link_target_feed(void *self, const uint8_t *bytes, size_t size, uint64_t now)
{
	struct world_link_target *t = self;
	size_t n = 0;

	while (n < size) {
		if (t->kernel->is_running) {
			if (kd_link_poll_byte(&t->link, bytes[n++], now)) {
				t->n_breakins++;
				t->kernel->n_prints = 0;
				t->kernel->wake = now;
			}
			continue;
		}
		n += kd_link_feed(&t->link, bytes + n, size - n, now);
		target_events(t, now);
	}
}

static uint64_t link_target_deadline(void *self)
{
	struct world_link_target *t = self;

	return t->kernel->is_running ? t->kernel->wake : kd_link_deadline(&t->link);
}

/* Nobody listens: NT's prints do not even try. */
static bool is_print_useless(const struct world_link_target *t)
{
	return t->kernel->n_prints && t->n_given_up && !kd_link_is_peer_heard(&t->link);
}

static void link_target_tick(void *self, uint64_t now)
{
	struct world_link_target *t = self;

	if (t->kernel->is_running && now >= t->kernel->wake && is_print_useless(t)) {
		t->kernel->n_prints--;
		world_kernel_run(t->kernel, now);
	} else if (t->kernel->is_running && now >= t->kernel->wake) {
		world_kernel_wake(t->kernel);
		/* As NT: what came while it ran was polled away. */
		target_send(t, &t->kernel->out, now);
	}
	if (!t->kernel->is_running)
		kd_link_timeout(&t->link, now);
	target_events(t, now);
}

static size_t link_output(struct kd_link *l, uint8_t *out, size_t cap, uint64_t now)
{
	const uint8_t *bytes;
	size_t n = 0, size;

	while (n < cap && (bytes = kd_link_next_output(l, &size))) {
		size = size < cap - n ? size : cap - n;
		memcpy(out + n, bytes, size);
		n += size;
		kd_link_output_done(l, size, now);
	}
	return n;
}

static size_t link_target_output(void *self, uint8_t *out, size_t cap, uint64_t now)
{
	return link_output(&((struct world_link_target *)self)->link, out, cap, now);
}

static const char *link_target_broken(void *self)
{
	return kd__link_check(&((struct world_link_target *)self)->link);
}

void world_link_target_init(struct world_link_target *t, struct world_target *ret,
			    struct world_kernel *k, const struct kd_link_config *cfg)
{
	memset(t, 0, sizeof(*t));
	t->kernel = k;
	kd_link_init(&t->link, cfg);
	*ret = (struct world_target){
		.self = t,
		.feed = link_target_feed,
		.deadline = link_target_deadline,
		.tick = link_target_tick,
		.output = link_target_output,
		.broken = link_target_broken,
	};
}

void world_link_target_boot(struct world_link_target *t, uint64_t now)
{
	kd_link_restart(&t->link, now);
	world_kernel_run(t->kernel, now);
	t->kernel->n_prints = MAX_PRINTS;
}

/* ---- debugger ---- */

void world_debugger_init(struct world_debugger *d, uint64_t seed, enum world_fill fill,
			 uint32_t max_fill, const struct kd_link_config *cfg)
{
	memset(d, 0, sizeof(*d));
	d->rng = seed;
	d->fill = fill;
	d->max_fill = max_fill;
	d->is_new = true;
	d->patience = KD_TIME_NEVER;
	kd_link_init(&d->link, cfg);
}

void world_debugger_break(struct world_debugger *d, uint64_t now)
{
	d->wants_break = true;
	d->n_tries = 0;
	d->patience = now + SILENCE_MS * MS;
	kd_link_reset(&d->link, now);
}

static void transmit(struct world_debugger *d, uint64_t now)
{
	const struct world_packet *p = &d->request;

	assert_int_equal(kd_link_send(&d->link, p->type, p->payload, p->size, NULL, 0, false, now),
			 KD_OK);
	d->is_waiting = !d->is_continuing;
	d->patience = now + PATIENCE_MS * MS;
}

static void ask_next(struct world_debugger *d, uint64_t now)
{
	uint32_t api;

	if (!d->is_halted || d->is_waiting || d->is_continuing || kd_link_is_busy(&d->link))
		return;
	/* Both ends must count alike before the first request (facts 5.2). */
	if (!kd_link_is_synced(&d->link)) {
		d->is_halted = false;
		kd_link_reset(&d->link, now);
		d->patience = now + PATIENCE_MS * MS;
		return;
	}
	d->is_continuing = !d->n_left;
	api = d->n_left ? KD_API_READ_VIRTUAL : KD_API_CONTINUE2;
	d->n_left -= d->n_left ? 1 : 0;
	d->asked = false;
	make_packet(&d->request, KD_PACKET_STATE_MANIPULATE, api, ++d->request_serial, d->fill,
		    d->max_fill, &d->rng);
	transmit(d, now);
}

static void note_stop(struct world_debugger *d, const struct world_head *h)
{
	if (h->serial == d->stop_serial) {
		d->n_repeats++;
		/* Asked for because a reply did not come: the request was lost. */
		if (d->is_waiting && d->asked && !kd_link_is_busy(&d->link))
			d->is_waiting = false;
	} else {
		d->n_stops++;
		d->n_left = below(&d->rng, MAX_REQUESTS);
	}
	d->stop_serial = h->serial;
	d->is_halted = true;
	d->wants_break = false;
}

/* Serials rise by one; only a stop may be said twice. */
static void note_packet(struct world_debugger *d, const struct kd_link_event *ev)
{
	struct world_head h = world_read(ev->payload, ev->length);
	bool is_stop = ev->type == KD_PACKET_STATE_CHANGE64;
	bool is_repeat = is_stop && h.is_intact && h.serial == d->stop_serial;

	d->n_packets++;
	if (!h.is_intact || (!is_repeat && !d->is_new && h.serial != d->last_serial + 1))
		d->n_wrong++;
	if (!is_repeat)
		d->last_serial = h.serial;
	d->is_new = false;
	if (is_stop) {
		note_stop(d, &h);
	} else if (ev->type == KD_PACKET_STATE_MANIPULATE) {
		if (!d->is_waiting)
			d->n_wrong++;
		d->is_waiting = false;
		d->n_replies++;
	}
}

static void forget(struct world_debugger *d)
{
	d->is_halted = d->is_waiting = d->is_continuing = false;
	d->is_new = true;
	d->stop_serial = 0;
}

static void debugger_event(struct world_debugger *d, const struct kd_link_event *ev, uint64_t now)
{
	if (!d->wants_break)
		d->patience = now + PATIENCE_MS * MS;
	switch (ev->kind) {
	case KD_LINK_PACKET: note_packet(d, ev); break;
	case KD_LINK_ACKED:
		if (d->is_continuing) {
			d->is_continuing = d->is_halted = false;
		}
		break;
	case KD_LINK_GAVE_UP:
		d->n_gave_up++;
		d->is_waiting = d->is_continuing = d->is_halted = false;
		break;
	case KD_LINK_RESET_SEEN: /* a reply that was on its way is gone */ d->asked = true; break;
	case KD_LINK_RESTARTED:
		d->n_restarts++;
		forget(d);
		break;
	default: break;
	}
}

static void debugger_events(struct world_debugger *d, uint64_t now)
{
	struct kd_link_event ev;

	while (kd_link_next_event(&d->link, &ev))
		debugger_event(d, &ev, now);
	ask_next(d, now);
}

/* Nothing came for long. */
static void lose_patience(struct world_debugger *d, uint64_t now)
{
	if (d->wants_break) {
		d->patience = now + SILENCE_MS * MS;
		if (d->n_tries++ % 2)
			kd_link_reset(&d->link, now);
		else
			kd_link_break_in(&d->link, now);
		return;
	}
	d->patience = now + PATIENCE_MS * MS;
	if (kd_link_is_busy(&d->link))
		return;
	d->n_asked++;
	if (!d->is_waiting) { /* believed running, and says nothing: what a user would do */
		world_debugger_break(d, now);
		return;
	}
	if (!d->asked)
		kd_link_ask_resend(&d->link, now);
	else
		kd_link_reset(&d->link, now);
	d->asked = true;
}

static void debugger_feed(struct world_debugger *d, const uint8_t *bytes, size_t size, uint64_t now)
{
	size_t n = 0;

	while (n < size) {
		n += kd_link_feed(&d->link, bytes + n, size - n, now);
		debugger_events(d, now);
	}
}

static void debugger_tick(struct world_debugger *d, uint64_t now)
{
	kd_link_timeout(&d->link, now);
	debugger_events(d, now);
	if (now >= d->patience)
		lose_patience(d, now);
}

static uint64_t debugger_deadline(const struct world_debugger *d)
{
	uint64_t due = kd_link_deadline(&d->link);

	return due < d->patience ? due : d->patience;
}

/* ---- world ---- */

void world_init(struct world *w, const struct lossy_config *down, const struct lossy_config *up)
{
	memset(w, 0, sizeof(*w));
	lossy_pipe_init(&w->to_target, down);
	lossy_pipe_init(&w->to_debugger, up);
}

void world_deinit(struct world *w)
{
	lossy_pipe_deinit(&w->to_target);
	lossy_pipe_deinit(&w->to_debugger);
}

static void check(const struct world *w)
{
	const char *broken = w->target.broken ? w->target.broken(w->target.self) : NULL;

	if (broken)
		fail_msg("target: %s", broken);
	broken = w->debugger ? kd__link_check(&w->debugger->link) : NULL;
	if (broken)
		fail_msg("debugger: %s", broken);
}

static void flush(struct world *w)
{
	uint8_t buf[512];
	size_t n;

	while ((n = w->target.output(w->target.self, buf, sizeof(buf), w->now)))
		lossy_pipe_write(&w->to_debugger, buf, n, w->now);
	while (w->debugger && (n = link_output(&w->debugger->link, buf, sizeof(buf), w->now)))
		lossy_pipe_write(&w->to_target, buf, n, w->now);
}

static void step(struct world *w)
{
	uint8_t buf[512];
	size_t n;

	if ((n = lossy_pipe_read(&w->to_target, buf, sizeof(buf), w->now)))
		w->target.feed(w->target.self, buf, n, w->now);
	if (w->debugger && (n = lossy_pipe_read(&w->to_debugger, buf, sizeof(buf), w->now)))
		debugger_feed(w->debugger, buf, n, w->now);
	if (w->now >= w->target.deadline(w->target.self))
		w->target.tick(w->target.self, w->now);
	if (w->debugger && w->now >= debugger_deadline(w->debugger))
		debugger_tick(w->debugger, w->now);
	flush(w);
	check(w);
}

static uint64_t next_time(const struct world *w)
{
	uint64_t t = KD_MIN(lossy_pipe_due(&w->to_target), w->target.deadline(w->target.self));

	if (!w->debugger)
		return t;
	t = KD_MIN(t, lossy_pipe_due(&w->to_debugger));
	return KD_MIN(t, debugger_deadline(w->debugger));
}

void world_run(struct world *w, uint64_t until, const uint64_t *counter, uint64_t enough)
{
	flush(w);
	while (!counter || *counter < enough) {
		uint64_t t = next_time(w);

		if (t > until)
			break;
		w->now = KD_MAX(w->now, t);
		step(w);
	}
	if (!counter || *counter < enough)
		w->now = KD_MAX(w->now, until);
}
