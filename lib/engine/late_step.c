/* SPDX-License-Identifier: MIT */
#include "lib/engine/late_step.h"

#include <string.h>

bool kd__tracer_is_by(const struct kd_session *s, const struct kd__tracer *t)
{
	return t->thread ? t->thread == s->stop.thread : t->processor == s->owner;
}

static void drop(struct kd__late *l, size_t i)
{
	memmove(l->list + i, l->list + i + 1, (--l->n - i) * sizeof l->list[0]);
}

void kd__late_add(struct kd__late *l, const struct kd__tracer *t)
{
	if (l->n == KD_ARRAY_LEN(l->list))
		drop(l, 0); /* the oldest is the least likely to come */
	l->list[l->n++] = *t;
}

bool kd__late_take(const struct kd_session *s, struct kd__late *l, struct kd__tracer *ret)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!kd__tracer_is_by(s, &l->list[i]))
			continue;
		*ret = l->list[i];
		drop(l, i);
		return true;
	}
	return false;
}

bool kd__late_has_goal(const struct kd__late *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->list[i].is_goal)
			return true;
	return false;
}

void kd__late_except(const struct kd__late *l, struct kd__except *except)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->list[i].off)
			except->at[except->n++] = l->list[i].off;
}
