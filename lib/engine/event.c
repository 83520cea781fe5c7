/* SPDX-License-Identifier: MIT */
#include "lib/engine/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_QUEUED = 4096,
	MAX_TEXT = 64 * 1024,
	MAX_BYTES = 8 << 20, /* of text */
	RESERVED = 256,      /* places that only what changes the state may take */
};

struct node {
	struct node *next;
	struct kd_event event;
	char text[];
};

struct kd__events {
	struct node *first, **last;
	struct node *handed_out; /* its strings are the caller's until the next call */
	size_t n, bytes;
	uint64_t dropped;
};

enum kd_status kd__events_create(struct kd_session *s)
{
	struct kd__events *q = calloc(1, sizeof *q);

	if (!q)
		return KD_E_NO_MEMORY;
	q->last = &q->first;
	s->events = q;
	return KD_OK;
}

void kd__events_destroy(struct kd_session *s)
{
	struct node *n, *next;

	if (!s->events)
		return;
	for (n = s->events->first; n; n = next) {
		next = n->next;
		free(n);
	}
	free(s->events->handed_out);
	free(s->events);
	s->events = NULL;
}

void kd__events_on_stop(struct kd_session *s)
{
	(void)s;
}

void kd__events_on_resume(struct kd_session *s)
{
	(void)s;
}

void kd__events_on_restart(struct kd_session *s)
{
	(void)s;
}

static bool is_full(const struct kd__events *q, size_t size)
{
	return q->n >= MAX_QUEUED || q->bytes + size > MAX_BYTES;
}

/* A flood must not grow us: the oldest print goes. False: there is none. */
static bool drop_oldest_print(struct kd__events *q)
{
	struct node **at = &q->first, *victim;

	while (*at && (*at)->event.kind != KD_EVENT_PRINT)
		at = &(*at)->next;
	victim = *at;
	if (!victim)
		return false;
	*at = victim->next;
	if (q->last == &victim->next)
		q->last = at;
	q->n--;
	q->bytes -= victim->event.text_size;
	q->dropped++;
	free(victim);
	return true;
}

static bool changes_state(enum kd_event_kind kind)
{
	return kind == KD_EVENT_STOP || kind == KD_EVENT_RESTART || kind == KD_EVENT_LOST ||
	       kind == KD_EVENT_REJOIN || kind == KD_EVENT_CONNECTED;
}

/* Room for one more; false: this event is dropped itself. */
static bool make_room(struct kd__events *q, enum kd_event_kind kind, size_t size)
{
	while (is_full(q, size))
		if (!drop_oldest_print(q))
			break;
	if (!is_full(q, size) || (changes_state(kind) && q->n < MAX_QUEUED + RESERVED))
		return true;
	q->dropped++;
	return false;
}

void kd__events_push(struct kd_session *s, struct kd_event event, const char *text, size_t size)
{
	struct kd__events *q = s->events;
	struct node *n;

	size = text ? KD_MIN(size, (size_t)MAX_TEXT) : 0;
	if (!make_room(q, event.kind, size))
		return;
	n = malloc(sizeof *n + size + 1);
	if (!n)
		return; /* an event less is better than a target left frozen by an abort */
	n->next = NULL;
	n->event = event;
	if (size)
		memcpy(n->text, text, size);
	n->text[size] = '\0';
	n->event.text = n->text;
	n->event.text_size = size;
	n->event.time_ns = kd_now_ns();
	*q->last = n;
	q->last = &n->next;
	q->n++;
	q->bytes += size;
}

void kd__events_notice(struct kd_session *s, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	kd__events_push(s, (struct kd_event){ .kind = KD_EVENT_NOTICE }, text, strlen(text));
}

void kd__events_stop(struct kd_session *s)
{
	s->has_stop = true;
	kd__events_push(s, (struct kd_event){ .kind = KD_EVENT_STOP, .stop = s->stop }, NULL, 0);
}

bool kd__events_next(struct kd_session *s, struct kd_event *ret)
{
	struct kd__events *q = s->events;
	struct node *n = q->first;

	free(q->handed_out);
	q->handed_out = NULL;
	if (q->dropped) {
		uint64_t dropped = q->dropped;

		q->dropped = 0;
		kd__events_notice(s, "%llu prints or notices were dropped: nobody fetched them",
				  (unsigned long long)dropped);
		n = q->first;
	}
	if (!n)
		return false;
	q->first = n->next;
	if (!q->first)
		q->last = &q->first;
	q->n--;
	q->bytes -= n->event.text_size;
	q->handed_out = n;
	*ret = n->event;
	return true;
}
