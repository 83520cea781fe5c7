/* SPDX-License-Identifier: MIT */
/* Life of a session, its state, and the loop that turns what arrives into events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/engine/breaks.h"
#include "lib/engine/event.h"
#include "lib/engine/execute.h"
#include "lib/engine/memory_ram.h"
#include "lib/engine/register.h"
#include "lib/engine/stop.h"
#include "lib/engine/target.h"
#include "lib/engine/wire.h"
#include "lib/io/transport.h"

/* --- checks that every call begins with --- */

enum kd_status kd__need_stop(const struct kd_session *s, struct kd_error *err)
{
	switch (s->state) {
	case KD_SESSION_STOPPED:
		if (kd__wire_has_restart(s))
			return kd_error_set(err, KD_E_RESET, 0,
					    "the target restarted: wait for its stop");
		return KD_OK;
	case KD_SESSION_RUNNING:
		return kd_error_set(err, KD_E_RUNNING, 0,
				    "the target is running: break in first (Ctrl-C)");
	case KD_SESSION_CONNECTING:
	case KD_SESSION_RESYNC:
	case KD_SESSION_DISCONNECTED: break;
	}
	return kd_error_set(err, KD_E_NOT_CONNECTED, 0, "no target is connected yet");
}

enum kd_status kd__need_memory(struct kd_session *s, struct kd_error *err)
{
	if (s->allows_live && (s->state == KD_SESSION_RUNNING || s->state == KD_SESSION_CONNECTING))
		return kd__ram_judge_live(s, err);
	return kd__need_stop(s, err);
}

KD_EXPORT void kd_session_allow_live(struct kd_session *s, bool allow)
{
	s->allows_live = allow;
}

enum kd_status kd__need_write(const struct kd_session *s, struct kd_error *err)
{
	enum kd_status status = kd__need_stop(s, err);

	if (status == KD_OK && s->options.read_only)
		return kd_error_set(err, KD_E_DENIED, 0,
				    "the session is read-only (--read-only): nothing in the "
				    "target is changed");
	return status;
}

bool kd__cancelled(struct kd_session *s)
{
	return kd__wire_take_cancel(s);
}

/* --- life --- */

static enum kd_status create_parts(struct kd_session *s)
{
	enum kd_status status = KD_OK;

#define KD_X(part)           \
	if (status == KD_OK) \
		status = kd__##part##_create(s);
	KD__PARTS(KD_X)
#undef KD_X
	return status;
}

static void free_session(struct kd_session *s)
{
	kd__wire_destroy(s, NULL);
#define KD_X(part)   \
	if (s->part) \
		kd__##part##_destroy(s);
	KD__PARTS(KD_X)
#undef KD_X
	if (s->wake.fd >= 0)
		kd_cancel_deinit(&s->wake);
	free((char *)(uintptr_t)s->options.symbol_path);
	free((char *)(uintptr_t)s->options.record_path);
	free(s->endpoint);
	free(s);
}

static void copy_options(struct kd_session *s, const struct kd_session_options *o)
{
	const char *path = getenv("_NT_SYMBOL_PATH");

	if (o)
		memcpy(&s->options, o, KD_MIN(o->size, sizeof s->options));
	path = s->options.symbol_path ? s->options.symbol_path : path;
	s->options.symbol_path = strdup(path ? path : "");
	s->options.record_path = s->options.record_path ? strdup(s->options.record_path) : NULL;
	if (!s->options.request_timeout_ms)
		s->options.request_timeout_ms = 10000;
}

enum kd_status kd__session_create_on(struct kd_transport *transport,
				     const struct kd_session_options *options,
				     struct kd_session **session_ret, struct kd_error *err)
{
	struct kd_session *s = calloc(1, sizeof *s);
	enum kd_status status;

	if (!s) {
		kd_transport_destroy(transport);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	copy_options(s, options);
	status = kd_cancel_init(&s->wake, err);
	if (status != KD_OK) {
		s->wake.fd = -1;
		kd_transport_destroy(transport);
		free_session(s);
		return status;
	}
	s->state = KD_SESSION_CONNECTING;
	s->n_processors = 1;
	status = create_parts(s);
	if (status != KD_OK) {
		kd_transport_destroy(transport);
		kd_error_set(err, status, 0, "out of memory");
	} else {
		status = kd__wire_create(s, transport, err);
	}
	if (status != KD_OK) {
		free_session(s);
		return status;
	}
	s->endpoint = strdup(kd__wire_endpoint(s));
	*session_ret = s;
	return KD_OK;
}

KD_EXPORT enum kd_status kd_session_create(const char *endpoint,
					   const struct kd_session_options *options,
					   struct kd_session **session_ret, struct kd_error *err)
{
	struct kd_open_options open = { .may_be_absent = true };
	struct kd_transport *transport;
	enum kd_status status;

	if (options && options->size > offsetof(struct kd_session_options, record_path))
		open.record_path = options->record_path;
	status = kd_transport_open_text(endpoint, &open, &transport, err);
	return status == KD_OK ? kd__session_create_on(transport, options, session_ret, err)
			       : status;
}

/* --- the wait loop --- */

void kd__note_boot(struct kd_session *s)
{
	static const char text[] = "the target restarted";

	if (kd__wire_take_reconnect(s)) {
		kd__breaks_note_lost(s); /* by the same boot or another: found out when it stops */
		kd__restart(s);
	}
	if (!kd__wire_take_restart(s))
		return;
	kd__wire_rejoined(s); /* a fresh boot has none of our breakpoints */
	kd__breaks_note_clean(s);
	if (kd__info_known(s)) {
		kd__restart(s);
		kd__events_push(s, (struct kd_event){ .kind = KD_EVENT_RESTART }, text,
				sizeof text - 1);
		kd__breaks_disable_unnamed(s);
	}
	kd__info_note_boot(s);
}

/*
 * A stop that could not be handled to its end (the link broke meanwhile) must not leave the target
 * frozen: ask it to repeat its state and begin again.
 */
static enum kd_status recover(struct kd_session *s, enum kd_status status, struct kd_error *err)
{
	if (status == KD_E_UNSUPPORTED || status == KD_E_NO_MEMORY)
		return status;
	s->state = KD_SESSION_RESYNC;
	if (status == KD_E_CANCELLED)
		return status; /* the next wait begins again */
	kd__events_notice(s, "%s; starting over", err->text);
	return KD_OK;
}

static enum kd_status handle_one(struct kd_session *s, uint64_t deadline, struct kd_error *err)
{
	struct kd_state_change change;
	struct kd_error local;
	enum kd_status status;

	if (!err)
		err = &local;
	kd__note_boot(s);
	if (kd__wire_take_stop(s, &change)) {
		status = kd__stop_handle(s, &change, err);
		return status == KD_OK ? KD_OK : recover(s, status, err);
	}
	if (s->state == KD_SESSION_RESYNC) {
		status = kd__wire_resync(s, err);
		if (status == KD_E_TIMEOUT)
			s->state = KD_SESSION_CONNECTING;
		return status == KD_E_TIMEOUT ? KD_OK : status;
	}
	return kd__wire_step(s, deadline, err);
}

KD_EXPORT enum kd_status kd_session_wait(struct kd_session *s, int timeout_ms,
					 struct kd_event *event_ret, struct kd_error *err)
{
	uint64_t deadline = timeout_ms < 0 ? UINT64_MAX
					   : kd_now_ns() + (uint64_t)timeout_ms * UINT64_C(1000000);

	for (;;) {
		enum kd_status status;

		if (kd__events_next(s, event_ret))
			return KD_OK;
		status = handle_one(s, deadline, err);
		if (status == KD_OK || kd__events_next(s, event_ret)) {
			if (status != KD_OK)
				return KD_OK; /* the event first; the failure comes again */
			continue;
		}
		return status;
	}
}

/* --- errands --- */

bool kd__errand_run(struct kd_session *s)
{
	kd_session_errand run = s->errand.run;

	if (!run)
		return false;
	s->errand.run = NULL;
	s->errand.status = run(s->errand.context, s, &s->errand.err);
	return true;
}

KD_EXPORT enum kd_status kd_session_at_stop(struct kd_session *s, kd_session_errand errand,
					    void *context, struct kd_error *err)
{
	uint64_t deadline = kd_now_ns() + s->options.request_timeout_ms * UINT64_C(1000000);
	enum kd_status status = KD_OK;

	if (s->state == KD_SESSION_STOPPED)
		return errand(context, s, err);
	s->errand.run = errand;
	s->errand.context = context;
	atomic_store(&s->errand.owes_break, true);
	kd__wire_break_in(s);
	while (s->errand.run && status == KD_OK)
		status = handle_one(s, deadline, err);
	if (s->errand.run) {
		s->errand.run = NULL; /* its context may be gone when the target stops at last */
		return status;
	}
	if (err)
		*err = s->errand.err;
	return s->errand.status;
}

KD_EXPORT void kd_session_destroy(struct kd_session *s)
{
	if (!s)
		return;
	if (s->state != KD_SESSION_DISCONNECTED)
		kd_session_detach(s, true, NULL);
	free_session(s);
}

/* --- small things --- */

KD_EXPORT enum kd_session_state kd_session_state(const struct kd_session *s)
{
	return s->state;
}

KD_EXPORT uint64_t kd_session_generation(const struct kd_session *s)
{
	return s->generation;
}

KD_EXPORT const char *kd_session_endpoint(const struct kd_session *s)
{
	return s->endpoint ? s->endpoint : "";
}

KD_EXPORT void kd_session_describe(const struct kd_session *s, char *text, size_t size)
{
	kd__wire_describe(s, text, size);
}

KD_EXPORT void kd_session_break_in(struct kd_session *s)
{
	atomic_store(&s->errand.owes_break, false); /* the next one is the user's */
	kd__wire_break_in(s);
}

KD_EXPORT void kd_session_rejoin(struct kd_session *s)
{
	kd__wire_rejoin(s);
}

KD_EXPORT void kd_session_cancel(struct kd_session *s)
{
	kd__wire_cancel(s);
}

KD_EXPORT void kd_session_cancel_clear(struct kd_session *s)
{
	kd__wire_clear_cancel(s);
}

KD_EXPORT enum kd_status kd_session_resync(struct kd_session *s, struct kd_error *err)
{
	s->state = KD_SESSION_RESYNC;
	return kd__wire_resync(s, err);
}

KD_EXPORT void kd_session_counters(const struct kd_session *s, struct kd_session_counters *ret)
{
	*ret = s->counters;
	kd__wire_counters(s, ret);
}

KD_EXPORT uint32_t kd_session_n_processors(const struct kd_session *s)
{
	return s->n_processors;
}

KD_EXPORT uint32_t kd_session_processor(const struct kd_session *s)
{
	return s->processor;
}

KD_EXPORT enum kd_status kd_session_select_processor(struct kd_session *s, uint32_t processor,
						     struct kd_error *err)
{
	enum kd_status status = kd__need_stop(s, err);

	if (status != KD_OK)
		return status;
	if (processor >= s->n_processors)
		return kd_error_set(err, KD_E_INVALID, 0, "no processor %u: the target has %u",
				    processor, s->n_processors);
	s->processor = processor;
	kd_context_set(s, NULL, 0, NULL); /* fails only on machines without registers */
	return KD_OK;
}

KD_EXPORT enum kd_status kd_session_answer(struct kd_session *s, const char *text, size_t size,
					   struct kd_error *err)
{
	return kd__wire_answer(s, text, size, err);
}

KD_EXPORT enum kd_status kd_session_last_stop(const struct kd_session *s, struct kd_stop *ret)
{
	if (!s->has_stop)
		return KD_E_NOT_FOUND;
	*ret = s->stop;
	return KD_OK;
}
