/* SPDX-License-Identifier: MIT */
/*
 * Threads that were resumed with the trace flag and have not made their step, because another
 * processor stopped before. They outlive plans: what they step off stays out of the target, and
 * their step, when it comes, is not taken for somebody else's.
 */
#ifndef KD_LIB_ENGINE_LATE_STEP_H
#define KD_LIB_ENGINE_LATE_STEP_H

#include "lib/engine/breaks.h"

struct kd__tracer {
	uint64_t thread; /* 0: unknown, the processor tells */
	uint32_t processor;
	uint64_t off; /* the breakpoint it steps off; 0: none */
	bool is_goal; /* its step is the user's */
};

struct kd__late {
	struct kd__tracer list[KD__EXCEPT - 1];
	size_t n;
};

/* Is the stop by this one? */
bool kd__tracer_is_by(const struct kd_session *s, const struct kd__tracer *t);

void kd__late_add(struct kd__late *l, const struct kd__tracer *t);
/* Is the stop by one of them? It is no longer late then. */
bool kd__late_take(const struct kd_session *s, struct kd__late *l, struct kd__tracer *ret);
/* One of them makes the step that the user waits for. */
bool kd__late_has_goal(const struct kd__late *l);
/* Add what they step off; room for one more is left. */
void kd__late_except(const struct kd__late *l, struct kd__except *except);

#endif
