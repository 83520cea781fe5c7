/* SPDX-License-Identifier: MIT */
/*
 * Holds another transport and connects it again whenever its connection ends: a VM that restarts
 * closes its socket and opens it anew.
 *
 *   UP --inner read fails--> DOWN --next_try--> TRYING --inner is up--> UP
 *                             ^                   |
 *                             +--connect fails----+
 *
 * The end of a connection is reported once (KD_E_CLOSED or KD_E_IO); failed attempts are not: the
 * last one is what kd_transport_describe() says.
 */
#include <stdlib.h>

#include "core/link/link.h"
#include "lib/io/transport_private.h"
#include "lib/wait.h"

enum { FIRST_PAUSE_MS = 100, LAST_PAUSE_MS = 1000 };

enum state { UP, DOWN, TRYING };

struct reconnect {
	struct kd_transport base; /* first */
	struct kd_transport *inner;
	enum state state;
	uint32_t pause_ms;
	uint64_t next_try; /* in DOWN */
};

static void mirror(struct reconnect *r)
{
	kd__transport_mirror(&r->base, r->inner);
	r->base.info.is_reconnecting = true;
}

static void pause_then_try(struct reconnect *r)
{
	r->state = DOWN;
	r->next_try = kd_deadline_after_ms(r->pause_ms);
	r->pause_ms = KD_MIN(2 * r->pause_ms, (uint32_t)LAST_PAUSE_MS);
}

static void note_progress(struct reconnect *r)
{
	if (!r->inner->info.is_up)
		return;
	r->state = UP;
	r->pause_ms = FIRST_PAUSE_MS;
}

static enum kd_status read_up(struct reconnect *r, uint8_t *buf, size_t size, size_t *n_ret,
			      struct kd_error *err)
{
	enum kd_status s = r->inner->ops->read(r->inner, buf, size, n_ret, err);

	if (s != KD_OK && s != KD_E_AGAIN)
		pause_then_try(r);
	return s;
}

static void connect_inner(struct reconnect *r)
{
	struct kd_error why;

	r->state = TRYING;
	if (r->inner->ops->connect(r->inner, &why) == KD_OK)
		return;
	kd__transport_note_trouble(r->inner, &why);
	pause_then_try(r);
}

static void drive(struct reconnect *r)
{
	uint8_t unused;
	size_t n;

	if (r->state == DOWN) {
		if (kd_now_ns() < r->next_try)
			return;
		connect_inner(r);
	} else if (r->inner->ops->read(r->inner, &unused, 1, &n, NULL) != KD_E_AGAIN) {
		/* Not up, so this is never a byte. */
		pause_then_try(r);
	}
	note_progress(r);
}

static enum kd_status reconnect_read(struct kd_transport *t, uint8_t *buf, size_t size,
				     size_t *n_ret, struct kd_error *err)
{
	struct reconnect *r = (struct reconnect *)t;
	enum kd_status s = KD_E_AGAIN;

	if (r->state == UP)
		s = read_up(r, buf, size, n_ret, err);
	else
		drive(r);
	mirror(r);
	return s;
}

static enum kd_status reconnect_write(struct kd_transport *t, const uint8_t *buf, size_t size,
				      size_t *n_ret, struct kd_error *err)
{
	struct reconnect *r = (struct reconnect *)t;
	enum kd_status s;

	if (r->state != UP)
		return kd_error_set(err, KD_E_AGAIN, 0, "%s: not connected", t->name);
	s = r->inner->ops->write(r->inner, buf, size, n_ret, err);
	mirror(r);
	return s;
}

static void reconnect_poll(const struct kd_transport *t, struct kd_poll *ret)
{
	const struct reconnect *r = (const struct reconnect *)t;

	if (r->state == DOWN)
		ret->deadline = r->next_try;
	else
		kd_transport_poll(r->inner, ret);
}

/* Asked from outside: at once, without the pause. */
static enum kd_status reconnect_connect(struct kd_transport *t, struct kd_error *err)
{
	struct reconnect *r = (struct reconnect *)t;

	(void)err;
	r->pause_ms = FIRST_PAUSE_MS;
	connect_inner(r);
	note_progress(r);
	mirror(r);
	return KD_OK;
}

static void reconnect_destroy(struct kd_transport *t)
{
	struct reconnect *r = (struct reconnect *)t;

	kd_transport_destroy(r->inner);
	free(r);
}

static const struct kd_transport_ops reconnect_ops = {
	.scheme = "reconnect",
	.connect = reconnect_connect,
	.read = reconnect_read,
	.write = reconnect_write,
	.poll = reconnect_poll,
	.destroy = reconnect_destroy,
};

enum kd_status kd_transport_reconnect_create(struct kd_transport *inner,
					     struct kd_transport **t_ret, struct kd_error *err)
{
	struct reconnect *r = calloc(1, sizeof *r);

	if (!r) {
		kd_transport_destroy(inner);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	r->base.ops = &reconnect_ops;
	r->inner = inner;
	r->pause_ms = FIRST_PAUSE_MS;
	if (inner->info.is_up)
		r->state = UP;
	else if (inner->info.is_listening)
		r->state = TRYING;
	else
		pause_then_try(r);
	mirror(r);
	*t_ret = &r->base;
	return KD_OK;
}
