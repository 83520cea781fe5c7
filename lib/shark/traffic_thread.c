/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "lib/shark/traffic_private.h"

enum {
	BEAT_MS = 100,
	CHECK_MS = 20,
	UNHEARD_BEATS = 5,  /* of the driver, each after one of ours */
	RECORDS_MAX = 2048, /* in one step: others want the mutex too */
	HELD_SLEEP_US = 20, /* between two looks, while verdicts may be wanted soon */
	IDLE_SLEEP_US = 5000,
	FILL_RATE = 128,    /* bytes a microsecond into the ring: 1 Gb/s, a busy guest */
	FILLED_PARTS = 8,   /* of so many parts one may be full before we look again */
	BUSY_FOR_MS = 1000, /* after something came */
	FULL_TRIES = 1000,  /* for room for a verdict */
	FULL_SLEEP_US = 1000,
	SPIN_US = 100, /* the same, with things on hold */
};

static const uint64_t ms = 1000000, us = 1000;

static void sleep_us(uint64_t n)
{
	struct timespec time = { .tv_nsec = (long)(n * us) };

	nanosleep(&time, NULL);
}

/* --- one look --- */

void kd__traffic_end(struct kd_traffic *t, const char *why)
{
	if (t->is_ended)
		return;
	pthread_mutex_lock(&t->life);
	t->is_ended = true;
	pthread_mutex_unlock(&t->life);
	kd__traffic_drop_orders(t);
	pthread_cond_broadcast(&t->answered);
	kd__traffic_event(t, KD_TRAFFIC_EVENT_ENDED, 0, 0, "%.150s", why);
}

/* The guest went back to a snapshot, its driver was started anew, or its ring makes no sense. */
static void attach_again(struct kd_traffic *t, const char *why)
{
	struct kd_error err;
	enum kd_status s;

	t->unheard = 0;
	kd__traffic_drop_orders(t);
	kd__traffic_forget(t);
	pthread_mutex_lock(&t->life);
	s = kd__traffic_attach(t, &err);
	pthread_mutex_unlock(&t->life);
	if (s != KD_OK) {
		kd__traffic_end(t, err.text);
		return;
	}
	kd__traffic_event(t, KD_TRAFFIC_EVENT_NOTICE, 0, 0, "%s: attached to the driver again",
			  why);
}

/*
 * The driver beats and says whom it hears: nobody, if our ring makes no sense to it. That happens
 * when a snapshot comes back over what we were writing.
 */
static void watch_answer(struct kd_traffic *t)
{
	uint32_t heard = t->memory.ops->load(t->memory.context, KD_PROBE_AT_GUEST + 12);

	t->unheard = heard == t->nonce ? 0 : t->unheard + 1;
	if (t->unheard >= UNHEARD_BEATS)
		attach_again(t, "the driver does not understand us");
}

void kd__traffic_check(struct kd_traffic *t)
{
	enum kd_status s;

	if (t->is_ended)
		return;
	t->checked_ns = kd_now_ns();
	pthread_mutex_lock(&t->life); /* a beat is no change that somebody else made */
	s = kd_probe_host_check(&t->host);
	pthread_mutex_unlock(&t->life);
	if (s == KD_E_STALE && !t->has_failed)
		attach_again(t, "the guest's memory is not as we left it");
}

/* Needs no other lock than its own: whoever has the mutex may be busy with a slow disk. */
static void beat_when_due(struct kd_traffic *t, uint64_t now)
{
	pthread_mutex_lock(&t->life);
	if (!t->is_ended && t->channel == KD_TRAFFIC_RAM && now - t->beat_ns >= BEAT_MS * ms) {
		t->beat_ns = now;
		kd_probe_host_beat(&t->host);
	}
	pthread_mutex_unlock(&t->life);
}

/* Less often than we beat: the driver has heard the last one when it beats again. */
static void listen_when_due(struct kd_traffic *t, uint64_t now)
{
	uint32_t beat;

	if (t->channel != KD_TRAFFIC_RAM || now - t->listened_ns < BEAT_MS * ms)
		return;
	t->listened_ns = now;
	beat = t->memory.ops->load(t->memory.context, KD_PROBE_AT_GUEST + 8);
	if (beat != t->guest_beat) {
		t->heard_ns = now;
		watch_answer(t);
	}
	t->guest_beat = beat;
	if (t->pages && !kd_guest_pages_is_alive(t->pages))
		kd__traffic_end(t, "the virtual machine has ended");
}

static void look_after(struct kd_traffic *t, uint64_t now)
{
	if (now - t->checked_ns >= CHECK_MS * ms)
		kd__traffic_check(t);
	beat_when_due(t, now);
	if (!t->is_ended)
		listen_when_due(t, now);
}

bool kd__traffic_step(struct kd_traffic *t)
{
	struct kd_probe_w_record record;
	const uint8_t *payload;
	enum kd_status s = KD_OK;
	unsigned n = 0;

	if (t->is_ended)
		return false;
	look_after(t, kd_now_ns());
	kd__traffic_send_orders(t);
	while (!t->is_ended && n < RECORDS_MAX &&
	       (s = kd_probe_host_next(&t->host, &record, &payload)) == KD_OK) {
		kd__traffic_hear(t, &record, payload);
		n++;
	}
	if (t->has_failed)
		kd__traffic_end(t, t->failure.text);
	else if (s == KD_E_MALFORMED)
		attach_again(t, "the driver's ring makes no sense");
	return n != 0;
}

/* --- hooks --- */

static bool is_changed(const struct kd_traffic_item *before, const struct kd_traffic_item *after)
{
	return before->n_bytes != after->n_bytes ||
	       memcmp(before->bytes, after->bytes, after->n_bytes) != 0;
}

/* What the hooks said about an item: they may have been slow, it may be gone. */
static void obey(struct kd_traffic *t, const struct kd_traffic_item *before,
		 const struct kd_traffic_item *item, enum kd_hook_answer answer, const char *by)
{
	static const enum kd_verdict verdicts[] = { [KD_HOOK_PASS] = KD_VERDICT_PASS,
						    [KD_HOOK_DROP] = KD_VERDICT_DROP,
						    [KD_HOOK_RESET] = KD_VERDICT_RESET };
	struct kd_error err;
	unsigned tries = 0;

	if (is_changed(before, item) &&
	    kd_traffic_edit(t, item->id, item->bytes, item->n_bytes, &err) != KD_OK) {
		pthread_mutex_lock(&t->mutex);
		kd__traffic_event(t, KD_TRAFFIC_EVENT_NOTICE, item->flow, item->id, "%.60s: %.90s",
				  by, err.text);
		pthread_mutex_unlock(&t->mutex);
	}
	if (answer == KD_HOOK_LEAVE)
		return;
	/* the driver takes what is on its way in its own time */
	while (kd_traffic_decide(t, item->id, verdicts[answer], by, &err) == KD_E_FULL &&
	       t->channel == KD_TRAFFIC_RAM && tries++ < FULL_TRIES)
		sleep_us(FULL_SLEEP_US);
}

static void ask_about(struct kd_traffic *t, const struct kd_traffic_item *original,
		      const struct kd_traffic_flow *flow)
{
	enum kd_hook_answer answer = KD_HOOK_LEAVE;
	struct kd_traffic_item item = *original;
	char by[KD__BY_SIZE] = "user";

	item.bytes = malloc(item.n_bytes + 1);
	if (!item.bytes)
		return;
	kd_copy(item.bytes, original->bytes, item.n_bytes);
	for (size_t i = 0; answer == KD_HOOK_LEAVE; i++) {
		kd_traffic_hook hook = NULL;
		void *context = NULL;

		pthread_mutex_lock(&t->mutex);
		if (i < t->n_hooks) {
			hook = t->hooks[i].hook;
			context = t->hooks[i].context;
			t->is_in_hook = true;
		}
		pthread_mutex_unlock(&t->mutex);
		if (!hook)
			break;
		answer = hook(context, &item, flow, by, sizeof by);
		pthread_mutex_lock(&t->mutex);
		t->is_in_hook = false;
		pthread_cond_broadcast(&t->hook_done);
		pthread_mutex_unlock(&t->mutex);
	}
	obey(t, original, &item, answer, by);
	free(item.bytes);
}

/* Items that came with the last look, one after the other. */
void kd__traffic_ask_hooks(struct kd_traffic *t)
{
	for (size_t n = 0;; n++) {
		struct kd_traffic_item original;
		struct kd_traffic_flow flow;
		struct kd__item *item;
		bool is_there = false;

		pthread_mutex_lock(&t->mutex);
		if (n >= t->n_asked) {
			t->n_asked = 0;
			pthread_mutex_unlock(&t->mutex);
			return;
		}
		item = kd__item_find(t, t->asked[n]);
		if (item && item->is_held) {
			flow = item->flow->info;
			is_there = kd__item_copy(item, &original);
		}
		pthread_mutex_unlock(&t->mutex);
		if (!is_there)
			continue;
		ask_about(t, &original, &flow);
		free(original.bytes);
	}
}

/* --- signs of life --- */

/* Whoever decides may take his time: the driver must not think that we are gone. */
void *kd__traffic_pulse(void *traffic)
{
	struct kd_traffic *t = traffic;

	prctl(PR_SET_NAME, "kd-pulse");
	while (!atomic_load(&t->is_stopping)) {
		if (pthread_mutex_trylock(&t->mutex) == 0) {
			if (!t->is_ended)
				look_after(t, kd_now_ns());
			pthread_mutex_unlock(&t->mutex);
		} else {
			beat_when_due(t, kd_now_ns());
		}
		sleep_us(BEAT_MS * 1000 / 2);
	}
	return NULL;
}

/* --- the thread --- */

/*
 * The guest has no way to wake us without stopping: so look again, the sooner the likelier it is
 * that somebody waits. But who is woken often takes the processor from the guest. 0: at once.
 */
static uint64_t pause_us(const struct kd_traffic *t, uint64_t now)
{
	uint64_t quiet = now - t->busy_ns;

	if (t->is_ended)
		return IDLE_SLEEP_US;
	if (t->mode == KD_TRAFFIC_INTERCEPT && quiet < SPIN_US * us)
		return 0;
	if (t->mode == KD_TRAFFIC_INTERCEPT && quiet < BUSY_FOR_MS * ms)
		return HELD_SLEEP_US;
	return KD_MIN((uint64_t)t->host.shape.up_size / FILL_RATE / FILLED_PARTS,
		      (uint64_t)IDLE_SLEEP_US);
}

static void rest(uint64_t pause)
{
	if (pause)
		sleep_us(pause);
	else
		sched_yield();
}

void *kd__traffic_thread(void *traffic)
{
	struct kd_traffic *t = traffic;

	prctl(PR_SET_NAME, "kd-traffic");
	prctl(PR_SET_TIMERSLACK, 1000UL);
	while (!atomic_load(&t->is_stopping)) {
		uint64_t pause = 0;
		bool did;

		pthread_mutex_lock(&t->mutex);
		did = kd__traffic_step(t);
		if (did) {
			t->busy_ns = kd_now_ns();
		} else {
			kd__traffic_flush(t);
			pause = pause_us(t, kd_now_ns());
		}
		pthread_mutex_unlock(&t->mutex);
		if (did)
			kd__traffic_ask_hooks(t);
		else
			rest(pause);
	}
	return NULL;
}
