/* SPDX-License-Identifier: MIT */
/* The queue between what the target says and kd_session_wait(). */
#ifndef KD_LIB_ENGINE_EVENT_H
#define KD_LIB_ENGINE_EVENT_H

#include "lib/engine/engine.h"

/*
 * Queue an event; `text` (may be NULL) is copied. The queue is bounded: prints that nobody fetches
 * are dropped from the oldest on and counted in a NOTICE; other kinds are never dropped.
 */
void kd__events_push(struct kd_session *s, struct kd_event event, const char *text, size_t size);
void kd__events_notice(struct kd_session *s, const char *fmt, ...) KD_PRINTF(2, 3);
void kd__events_stop(struct kd_session *s);
/* False: empty. Strings of the event stay valid until the next call. */
bool kd__events_next(struct kd_session *s, struct kd_event *ret);

#endif
