/* SPDX-License-Identifier: MIT */
/*
 * Waiting for the target and for descriptors at once. kd_session_wait() knows only the target, so
 * a thread watches the descriptors and cancels the wait when one is ready. The thread touches
 * nothing else: handlers run in the caller's thread, in watch_dispatch().
 */
#ifndef APPS_KD_WATCH_H
#define APPS_KD_WATCH_H

#include <stdbool.h>

#include <openkd/event.h>

struct watch;

typedef void (*watch_fn)(void *context, int fd, short events);

struct watch *watch_create(void); /* NULL: no thread or descriptors to be had */
void watch_destroy(struct watch *w);

/* Call `fn` when `fd` has one of `events` (poll's). Again for the same fd: changed. False: full. */
bool watch_add(struct watch *w, int fd, short events, watch_fn fn, void *context);
void watch_remove(struct watch *w, int fd);

/*
 * kd_session_wait() that also returns, with KD_E_CANCELLED, when a descriptor is ready or a signal
 * came. timeout_ms as there.
 */
enum kd_status watch_wait(struct watch *w, struct kd_session *session, int timeout_ms,
			  struct kd_event *event_ret, struct kd_error *err);
/* Call the handlers of all ready descriptors. */
void watch_dispatch(struct watch *w);

#endif
