/* SPDX-License-Identifier: MIT */
/*
 * Where no memory is shared: the driver calls NetprobeInspect when records wait for us, we have a
 * breakpoint there, and each stop moves all that waits in both directions. Orders that are given
 * while the target runs wait for the next call, or stop it for a moment.
 */
#include <openkd/breakpoint.h>

#include "lib/shark/traffic_private.h"

/* All there is, both ways. The target is stopped. */
static void exchange(struct kd_traffic *t)
{
	t->is_exchanging = true;
	pthread_mutex_lock(&t->mutex);
	kd__traffic_check(t); /* before anything is written where the driver may not be any more */
	if (!t->is_ended)
		kd_probe_host_beat(&t->host);
	t->heard_ns = kd_now_ns();
	while (kd__traffic_step(t))
		;
	pthread_mutex_unlock(&t->mutex);
	kd__traffic_ask_hooks(t);
	pthread_mutex_lock(&t->mutex);
	if (!t->is_ended) {
		kd__traffic_send_orders(t);
		kd_probe_host_give_back(&t->host);
		kd_probe_host_counters(&t->host, t->counters);
	}
	kd__traffic_flush(t);
	pthread_mutex_unlock(&t->mutex);
	t->is_exchanging = false;
}

static bool on_inspect(void *context, struct kd_session *session)
{
	(void)session;
	exchange(context);
	return false;
}

enum kd_status kd__stops_begin(struct kd_traffic *t, struct kd_error *err)
{
	struct kd_breakpoint_spec spec = KD_BREAKPOINT_SPEC_INIT;
	enum kd_status s;

	spec.address = t->inspect;
	spec.handler = on_inspect;
	spec.handler_context = t;
	s = kd_breakpoint_add(t->session, -1, &spec, &t->breakpoint, err);
	if (s != KD_OK)
		return s;
	kd_probe_host_calls(&t->host, KD_PROBE_CALL_INSPECT);
	return t->has_failed ? kd__traffic_failure(t, err) : KD_OK;
}

static enum kd_status leave(void *context, struct kd_session *session, struct kd_error *err)
{
	struct kd_traffic *t = context;

	exchange(t);
	if (!t->is_ended)
		kd_probe_host_detach(&t->host);
	return t->breakpoint < 0 ? KD_OK : kd_breakpoint_remove(session, t->breakpoint, err);
}

void kd__stops_end(struct kd_traffic *t)
{
	/* a target that cannot be stopped any more lets all go by itself: nobody answers its calls
	 */
	if (t->host.nonce && kd_session_at_stop(t->session, leave, t, NULL) != KD_OK &&
	    t->breakpoint >= 0)
		kd_breakpoint_abandon(t->session, t->breakpoint, NULL);
}

static enum kd_status deliver(void *context, struct kd_session *session, struct kd_error *err)
{
	struct kd_traffic *t = context;

	(void)session;
	exchange(t);
	return t->has_failed ? kd__traffic_failure(t, err) : KD_OK;
}

enum kd_status kd__stops_deliver(struct kd_traffic *t, struct kd_error *err)
{
	if (t->channel != KD_TRAFFIC_STOPS || !t->first_order || t->is_exchanging)
		return KD_OK;
	return kd_session_at_stop(t->session, deliver, t, err);
}
