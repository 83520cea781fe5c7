/* SPDX-License-Identifier: MIT */
/* What a state change means. */
#ifndef KD_LIB_ENGINE_STOP_H
#define KD_LIB_ENGINE_STOP_H

#include "lib/engine/engine.h"

/* Keep the books of a state change: the target is stopped, and what was cached of it is gone. */
void kd__stop_note(struct kd_session *s, const struct kd_state_change *change);
/* As a stop that nobody looks at: the books, and the target identified if it is new (leave.c). */
enum kd_status kd__stop_enter(struct kd_session *s, const struct kd_state_change *change,
			      struct kd_error *err);

/*
 * Handle one state change: identify the target if it is new, keep the books, then either queue a
 * stop for the user or let the target go on.
 */
enum kd_status kd__stop_handle(struct kd_session *s, const struct kd_state_change *change,
			       struct kd_error *err);

#endif
