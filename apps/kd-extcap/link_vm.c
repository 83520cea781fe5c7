/* SPDX-License-Identifier: MIT */
/*
 * A session of our own, for a machine that nobody debugs. A thread waits for what the target does
 * and lets it go on at once, whatever stopped it; the traffic's functions may be called beside
 * that. What belongs to the session's thread (starting and stopping traffic, all of it where the
 * driver is reached by breakpoints) happens while the other thread does not run.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openkd/error.h>
#include <openkd/event.h>

#include "apps/kd-extcap/link.h"
#include "apps/kd/args.h"
#include "apps/kd/config.h"
#include "apps/kd/data.h"
#include "apps/kd/text.h"
#include "apps/kd/traffic_ops.h"

enum { MEET_MS = 15000, WAIT_MS = 200 };

struct vm_link {
	struct link link;
	struct kd_session *session;
	struct kd_traffic *t;
	char *filter, *intercept;
	pthread_t thread;
	bool has_thread, hears;
	atomic_bool is_ending, is_gone;
};

/* --- the target runs on --- */

static void *keep_running(void *context)
{
	struct vm_link *l = context;
	struct kd_event event;

	while (!atomic_load(&l->is_ending)) {
		enum kd_status s = kd_session_wait(l->session, WAIT_MS, &event, NULL);

		if (s == KD_E_CLOSED) {
			atomic_store(&l->is_gone, true);
			break;
		}
		if (s == KD_OK && event.kind == KD_EVENT_PROMPT)
			kd_session_answer(l->session, "", 0, NULL);
		if (kd_session_state(l->session) == KD_SESSION_STOPPED)
			kd_session_go(l->session, KD_GO, NULL);
	}
	return NULL;
}

static bool start_thread(struct vm_link *l)
{
	atomic_store(&l->is_ending, false);
	l->has_thread = pthread_create(&l->thread, NULL, keep_running, l) == 0;
	return l->has_thread;
}

static void stop_thread(struct vm_link *l)
{
	if (!l->has_thread)
		return;
	atomic_store(&l->is_ending, true);
	kd_session_cancel(l->session);
	pthread_join(l->thread, NULL);
	kd_session_cancel_clear(l->session);
	l->has_thread = false;
}

/* --- requests --- */

static char *copy(const char *text)
{
	return text ? app_strdup(text) : NULL;
}

static enum kd_status start(struct vm_link *l, json_t *request, json_t *answer,
			    struct kd_error *err)
{
	struct traffic_place place = { NULL, &l->filter, &l->intercept };
	struct kd_traffic_options options;
	enum kd_status s = traffic_op_options(request, &options, err);

	if (s != KD_OK)
		return s;
	stop_thread(l);
	s = kd_traffic_start(l->session, &options, &l->t, err);
	if (kd_session_state(l->session) == KD_SESSION_STOPPED)
		kd_session_go(l->session, KD_GO, NULL);
	if (!start_thread(l) && s == KD_OK) {
		kd_traffic_stop(l->t);
		l->t = NULL;
		return app_error(err, KD_E_NO_MEMORY, "no thread to be had");
	}
	if (s != KD_OK)
		return s;
	l->filter = copy(options.filter);
	l->intercept = copy(options.intercept);
	l->link.fd = kd_traffic_fd(l->t);
	place.t = l->t;
	traffic_op_status(&place, answer);
	return KD_OK;
}

static enum kd_status stream(struct vm_link *l, int given, json_t *answer, struct kd_error *err)
{
	struct kd_stream_options options = KD_STREAM_OPTIONS_INIT;
	unsigned id;
	enum kd_status s;

	options.fd = fcntl(given, F_DUPFD_CLOEXEC, 0);
	if (options.fd < 0)
		return app_error(err, KD_E_INVALID, "no descriptor");
	s = kd_traffic_add_stream(l->t, &options, &id, err);
	if (s == KD_OK)
		data_integer(answer, "stream", id);
	return s;
}

static enum kd_status run(struct vm_link *l, const char *op, json_t *request, int given,
			  json_t *answer, struct kd_error *err)
{
	struct traffic_place place = { l->t, &l->filter, &l->intercept };

	if (strcmp(op, "traffic-start") == 0)
		return start(l, request, answer, err);
	if (!l->t)
		return app_error(err, KD_E_NOT_FOUND, "no traffic is looked at");
	if (strcmp(op, "traffic-stream") == 0)
		return stream(l, given, answer, err);
	if (strcmp(op, "traffic-events") == 0) {
		l->hears = true;
		return KD_OK;
	}
	return traffic_op(&place, op, request, answer, err);
}

static json_t *ask(struct link *link, json_t *request, int given)
{
	struct vm_link *l = (struct vm_link *)link;
	json_t *answer = json_object();
	struct kd_error err = { 0 };
	/* over breakpoints all of it belongs to the session's thread */
	bool is_in_thread = l->t && kd_traffic_channel(l->t) == KD_TRAFFIC_STOPS;
	enum kd_status s;

	if (is_in_thread)
		stop_thread(l);
	s = run(l, json_string_value(json_object_get(request, "op")), request, given, answer, &err);
	if (is_in_thread && !start_thread(l))
		atomic_store(&l->is_gone, true);
	json_decref(request);
	data_bool(answer, "ok", s == KD_OK);
	if (s != KD_OK) {
		data_string(answer, "error", err.text[0] ? err.text : kd_status_text(s));
		data_string(answer, "status", kd_status_name(s));
	}
	return answer;
}

static json_t *event(struct link *link)
{
	struct vm_link *l = (struct vm_link *)link;
	struct kd_traffic_event e;

	if (!l->t || !l->hears || !kd_traffic_next_event(l->t, &e))
		return NULL;
	return traffic_event_json(&e);
}

static bool read_more(struct link *link)
{
	return !atomic_load(&((struct vm_link *)link)->is_gone);
}

/* --- attaching, leaving --- */

static void close_link(struct link *link)
{
	struct vm_link *l = (struct vm_link *)link;

	stop_thread(l);
	kd_traffic_stop(l->t);
	kd_session_destroy(l->session);
	free(l->filter);
	free(l->intercept);
	free(l);
}

static const struct link_ops ops = { ask, event, read_more, close_link };

static char *symbol_path(const struct link_vm_options *o)
{
	struct config config = { 0 };
	struct text t = TEXT_INIT;
	char path[512], message[800];
	const char *parts[] = { NULL, NULL, getenv("_NT_SYMBOL_PATH") };

	if (o->symbols && *o->symbols)
		return app_strdup(o->symbols);
	config_path("XDG_CONFIG_HOME", ".config", "config", path, sizeof(path));
	config_read(&config, path, false, message, sizeof(message));
	for (size_t i = 0; i < config.n_targets; i++)
		if (config.targets[i].endpoint &&
		    (strcmp(config.targets[i].name, o->name) == 0 ||
		     strcmp(config.targets[i].endpoint, o->endpoint) == 0))
			parts[0] = config.targets[i].symbol_path;
	parts[1] = config.symbol_path;
	for (size_t i = 0; i < APP_ARRAY_LEN(parts); i++)
		if (parts[i] && *parts[i])
			text_printf(&t, "%s%s", t.size ? ";" : "", parts[i]);
	config_free(&config);
	return text_take(&t);
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Until the target stands still for us and its modules are known. */
static bool meet(struct vm_link *l, char *message, size_t size)
{
	long long deadline = now_ms() + MEET_MS;
	struct kd_event event;
	struct kd_error err = { 0 };

	kd_session_break_in(l->session);
	while (kd_session_state(l->session) != KD_SESSION_STOPPED) {
		enum kd_status s = kd_session_wait(l->session, WAIT_MS, &event, &err);

		if (s == KD_OK && event.kind == KD_EVENT_PROMPT)
			kd_session_answer(l->session, "", 0, NULL);
		if (s == KD_E_CLOSED) {
			snprintf(message, size, "%s", err.text);
			return false;
		}
		if (now_ms() >= deadline) {
			kd_session_describe(l->session, message, size);
			return false;
		}
	}
	return true;
}

struct link *link_open_vm(const struct link_vm_options *options,
			  void (*log)(void *context, const char *text), void *context,
			  char *message, size_t size)
{
	struct kd_session_options so = KD_SESSION_OPTIONS_INIT;
	APP_CLEANUP(app_freep) char *symbols = symbol_path(options);
	struct vm_link *l = app_alloc(sizeof(*l));
	struct kd_error err = { 0 };
	char text[600];

	*l = (struct vm_link){ .link = { &ops, -1 } };
	so.symbol_path = symbols;
	snprintf(text, sizeof(text), "no session holds %s: attaching to %s", options->name,
		 options->endpoint);
	log(context, text);
	if (kd_session_create(options->endpoint, &so, &l->session, &err) != KD_OK) {
		snprintf(message, size, "%s", err.text);
		close_link(&l->link);
		return NULL;
	}
	if (!meet(l, message, size)) {
		close_link(&l->link);
		return NULL;
	}
	log(context, "attached; the target runs on");
	return &l->link;
}
