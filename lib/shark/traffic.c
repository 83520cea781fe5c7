/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/shark/traffic_filter.h"
#include "lib/shark/traffic_private.h"

enum { LAST_ORDERS_MS = 500 };

/* --- beginning --- */

enum kd_status kd__traffic_attach(struct kd_traffic *t, struct kd_error *err)
{
	struct kd_probe_shape shape;
	enum kd_status s;

	s = kd_probe_host_shape(&t->memory, t->memory_size, &shape);
	if (t->has_failed)
		return kd__traffic_failure(t, err);
	if (s != KD_OK)
		return kd_error_set(err, KD_E_CLOSED, 0, "the driver in the target has ended");
	if (++t->nonce == 0)
		t->nonce = 1;
	s = kd_probe_host_attach(
		&t->host, &t->memory, &shape,
		t->channel == KD_TRAFFIC_RAM ? KD_PROBE_HOST_RING : KD_PROBE_HOST_STOPS, t->nonce,
		t->buffer, KD_PROBE_HOST_BUFFER_MIN * 2);
	if (s != KD_OK)
		return kd_error_set(err, s, 0, "the driver's ring makes no sense");
	t->heard_ns = t->beat_ns = kd_now_ns();
	s = kd__traffic_order_filter(t, err);
	return s == KD_OK ? kd__traffic_order_policy(t, err) : s;
}

/* The target is stopped. */
static enum kd_status open_and_attach(void *context, struct kd_session *session,
				      struct kd_error *err)
{
	struct kd_traffic *t = context;
	enum kd_status s = kd__traffic_open(t, err);

	(void)session;
	if (s == KD_OK)
		s = kd__traffic_attach(t, err);
	if (s == KD_OK && t->channel == KD_TRAFFIC_STOPS)
		s = kd__stops_begin(t, err);
	return s;
}

struct kd_traffic *kd__traffic_create(struct kd_error *err)
{
	struct kd_traffic *t = calloc(1, sizeof *t);
	pthread_condattr_t attributes;

	if (!t) {
		kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
		return NULL;
	}
	t->breakpoint = -1;
	pthread_mutex_init(&t->mutex, NULL);
	pthread_mutex_init(&t->life, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&t->answered, &attributes);
	pthread_cond_init(&t->hook_done, &attributes);
	pthread_condattr_destroy(&attributes);
	t->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->buffer = malloc((size_t)KD_PROBE_HOST_BUFFER_MIN * 2);
	t->events = calloc(KD__EVENTS_MAX, sizeof *t->events);
	t->history = kd__history_create();
	if (t->event_fd >= 0 && t->buffer && t->events && t->history)
		return t;
	kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	kd__traffic_destroy(t);
	return NULL;
}

void kd__traffic_destroy(struct kd_traffic *t)
{
	kd__traffic_close_streams(t);
	kd__traffic_drop_orders(t);
	kd__flows_free(t);
	kd__history_destroy(t->history);
	kd_guest_pages_close(t->pages);
	if (t->event_fd >= 0)
		close(t->event_fd);
	pthread_cond_destroy(&t->answered);
	pthread_cond_destroy(&t->hook_done);
	pthread_mutex_destroy(&t->mutex);
	pthread_mutex_destroy(&t->life);
	free(t->asked);
	free(t->buffer);
	free(t->events);
	free(t);
}

static void take_options(struct kd_traffic *t, const struct kd_traffic_options *options)
{
	memcpy(&t->options, options, KD_MIN(options->size, sizeof t->options));
	t->mode = t->options.mode;
	/* texts are used at the beginning only */
	t->options.filter = t->options.intercept = NULL;
	t->nonce = (uint32_t)kd_now_ns() ^ (uint32_t)getpid() << 16;
	snprintf(t->name, sizeof t->name, "%s", kd_session_endpoint(t->session));
}

static enum kd_status start(struct kd_traffic *t, const struct kd_traffic_options *options,
			    struct kd_error *err)
{
	enum kd_status s = kd__traffic_filter_compile(options->filter, options->intercept, 0,
						      &t->filter, err);

	t->filter.generation = 1;
	if (s == KD_OK)
		s = kd_session_at_stop(t->session, open_and_attach, t, err);
	if (s != KD_OK || t->channel == KD_TRAFFIC_STOPS)
		return s;
	t->has_thread = pthread_create(&t->thread, NULL, kd__traffic_thread, t) == 0;
	t->has_pulse = pthread_create(&t->pulse, NULL, kd__traffic_pulse, t) == 0;
	return t->has_thread && t->has_pulse
		       ? KD_OK
		       : kd_error_set(err, KD_E_NO_MEMORY, 0, "no thread to be had");
}

KD_EXPORT enum kd_status kd_traffic_start(struct kd_session *session,
					  const struct kd_traffic_options *options,
					  struct kd_traffic **traffic_ret, struct kd_error *err)
{
	struct kd_traffic *t = kd__traffic_create(err);
	enum kd_status s;

	if (!t)
		return KD_E_NO_MEMORY;
	t->session = session;
	take_options(t, options);
	s = start(t, options, err);
	if (s == KD_OK)
		*traffic_ret = t;
	else
		kd_traffic_stop(t);
	return s;
}

/* --- ending --- */

/* What was decided already still goes to the driver; the rest it lets go by itself. */
static void finish_orders(struct kd_traffic *t)
{
	uint64_t deadline = kd_now_ns() + LAST_ORDERS_MS * UINT64_C(1000000);

	while (t->first_order && !t->is_ended && kd_now_ns() < deadline) {
		kd__traffic_step(t);
		usleep(1000);
	}
}

KD_EXPORT void kd_traffic_stop(struct kd_traffic *t)
{
	if (!t)
		return;
	atomic_store(&t->is_stopping, true);
	if (t->has_thread)
		pthread_join(t->thread, NULL);
	if (t->has_pulse)
		pthread_join(t->pulse, NULL);
	if (t->channel == KD_TRAFFIC_STOPS) {
		kd__stops_end(t);
	} else if (t->host.nonce) {
		finish_orders(t);
		if (!t->is_ended)
			kd_probe_host_detach(&t->host);
	}
	kd__traffic_destroy(t);
}
