/* SPDX-License-Identifier: MIT */
/* Resuming, and what was planned when the target was resumed. */
#ifndef KD_LIB_ENGINE_EXECUTE_H
#define KD_LIB_ENGINE_EXECUTE_H

#include "lib/engine/engine.h"

/* Resume as the plan says. The caller has decided that the target shall run. */
enum kd_status kd__execute_resume(struct kd_session *s, struct kd_error *err);
/* Resume without any plan, as after a module notice: plain go. */
enum kd_status kd__execute_pass(struct kd_session *s, struct kd_error *err);

/* Resume for good: nothing of ours is in the target any more. */
enum kd_status kd__execute_leave(struct kd_session *s, struct kd_error *err);

enum kd__step_result {
	KD__STEP_DONE,   /* the goal is reached: a stop for the user */
	KD__STEP_GO_ON,  /* resume by kd__execute_resume() */
	KD__STEP_FOREIGN /* this stop has nothing to do with the plan */
};

/* A single-step stop arrived; a temporary breakpoint was hit. */
enum kd__step_result kd__plan_stepped(struct kd_session *s);
enum kd__step_result kd__plan_temp_hit(struct kd_session *s);
/* The user gets the stop: temporary breakpoints go, the goal is kept for gc. */
void kd__plan_suspend(struct kd_session *s);
void kd__plan_forget(struct kd_session *s);

#endif
