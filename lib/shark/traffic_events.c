/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/shark/traffic_private.h"

static struct kd_traffic_event *event_at(struct kd_traffic *t, size_t n)
{
	return &t->events[(t->first_event + n) % KD__EVENTS_MAX];
}

static void raise_event(struct kd_traffic *t)
{
	uint64_t one = 1;

	if (write(t->event_fd, &one, sizeof one) < 0)
		return; /* it is raised already */
}

void kd__traffic_event(struct kd_traffic *t, enum kd_traffic_event_kind kind, uint64_t flow,
		       uint64_t item, const char *fmt, ...)
{
	struct kd_traffic_event *e;
	va_list args;

	if (t->n_events == KD__EVENTS_MAX) {
		t->first_event = (t->first_event + 1) % KD__EVENTS_MAX;
		t->n_events--;
		t->events_were_lost = true;
	}
	e = event_at(t, t->n_events++);
	*e = (struct kd_traffic_event){ .kind = kind, .flow = flow, .item = item };
	va_start(args, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, args);
	va_end(args);
	if (t->n_events == 1)
		raise_event(t);
}

KD_EXPORT int kd_traffic_fd(const struct kd_traffic *t)
{
	return t->event_fd;
}

static bool take(struct kd_traffic *t, struct kd_traffic_event *ret)
{
	uint64_t count;

	if (t->events_were_lost) {
		t->events_were_lost = false;
		*ret = (struct kd_traffic_event){ .kind = KD_TRAFFIC_EVENT_NOTICE };
		snprintf(ret->text, sizeof ret->text,
			 "events were left out: more than %d were waiting", KD__EVENTS_MAX);
		return true;
	}
	if (t->n_events == 0) {
		if (read(t->event_fd, &count, sizeof count) < 0)
			return false; /* it was not raised */
		return false;
	}
	*ret = *event_at(t, 0);
	t->first_event = (t->first_event + 1) % KD__EVENTS_MAX;
	t->n_events--;
	return true;
}

KD_EXPORT bool kd_traffic_next_event(struct kd_traffic *t, struct kd_traffic_event *ret)
{
	bool is_there;

	pthread_mutex_lock(&t->mutex);
	is_there = take(t, ret);
	pthread_mutex_unlock(&t->mutex);
	return is_there;
}
