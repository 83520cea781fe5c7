/* SPDX-License-Identifier: MIT */
#include "apps/kdmon/release.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <openkd/event.h>

#include "apps/kd/text.h"

enum { ATTACH_MS = 3000 };

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

bool release_target(const char *endpoint)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	long long end = now_ms() + ATTACH_MS;
	struct kd_session *session;
	struct kd_event event;
	bool is_stopped = false;

	/* One that waits for the ACK of an answer says nothing else until it is asked to stop. */
	options.initial_break = true;
	options.memory_road = KD_MEMORY_BY_KD;
	options.request_timeout_ms = 2000;
	if (kd_session_create(endpoint, &options, &session, NULL) != KD_OK)
		return false;
	while (!is_stopped && now_ms() < end) {
		enum kd_status s = kd_session_wait(session, (int)(end - now_ms()), &event, NULL);

		if (s != KD_OK && s != KD_E_TIMEOUT)
			break;
		is_stopped = kd_session_state(session) == KD_SESSION_STOPPED;
	}
	kd_session_destroy(session); /* which lets it go on */
	return is_stopped;
}

struct work {
	char *endpoint;
	void (*done)(void *context, bool is_released);
	void *context;
};

static void *run(void *context)
{
	struct work *w = context;

	w->done(w->context, release_target(w->endpoint));
	free(w->endpoint);
	free(w);
	return NULL;
}

bool release_target_async(const char *endpoint, void (*done)(void *context, bool is_released),
			  void *context)
{
	struct work *w = app_alloc(sizeof(*w));
	pthread_attr_t detached;
	pthread_t thread;
	int failed;

	*w = (struct work){ app_strdup(endpoint), done, context };
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	failed = pthread_create(&thread, &detached, run, w);
	pthread_attr_destroy(&detached);
	if (failed) {
		free(w->endpoint);
		free(w);
	}
	return !failed;
}
