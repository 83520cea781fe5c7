/* SPDX-License-Identifier: MIT */
/* The questions and commands of openkd/traffic.h, from any thread. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/shark/traffic_filter.h"
#include "lib/shark/traffic_private.h"

enum {
	ANSWER_MS = 3000,
	LOOK_MS = 50,
	SILENT_MS = 500,
	HEARD_MS = 2000,
	DATAGRAM_MAX_4 = 65507,
	DATAGRAM_MAX_6 = 65527
};

/* Items of our own have names that the driver does not give. */
static const uint64_t cookie_bit = UINT64_C(1) << 63;

/* --- filter, mode --- */

static uint16_t kdnet_port(const struct kd_traffic *t)
{
	const char *endpoint = kd_session_endpoint(t->session), *port;

	if (strncmp(endpoint, "net:", 4) != 0)
		return 0;
	port = strstr(endpoint, "port=");
	return port ? (uint16_t)strtoul(port + 5, NULL, 10) : 0;
}

static enum kd_status judge(struct kd_traffic *t, struct kd_error *err)
{
	static const char *const parts[] = { "nothing", "its size", "rule", "filter, instruction",
					     "intercept, instruction" };

	if (t->answered_fault == KD_PROBE_FILTER_GOOD)
		return KD_OK;
	return kd_error_set(err, KD_E_MALFORMED, t->answered_where,
			    "the driver refused the filter: %s %u; nothing is held now",
			    parts[t->answered_fault < 5 ? t->answered_fault : 1],
			    t->answered_where);
}

/* A guest that stands still does not answer: nobody waits long for it. */
static bool is_silent(const struct kd_traffic *t)
{
	return kd_now_ns() - t->heard_ns > SILENT_MS * UINT64_C(1000000);
}

/* Until the driver has spoken about the filter that was sent last. Under the mutex. */
static enum kd_status await_answer(struct kd_traffic *t, struct kd_error *err)
{
	uint64_t end = kd_now_ns() + ANSWER_MS * UINT64_C(1000000);
	struct timespec look;

	while (t->answered_generation != t->filter.generation && !t->is_ended) {
		clock_gettime(CLOCK_MONOTONIC, &look);
		look.tv_nsec += LOOK_MS * 1000000;
		look.tv_sec += look.tv_nsec / 1000000000;
		look.tv_nsec %= 1000000000;
		if (pthread_cond_timedwait(&t->answered, &t->mutex, &look) == ETIMEDOUT &&
		    (is_silent(t) || kd_now_ns() >= end))
			return kd_error_set(err, KD_E_TIMEOUT, 0,
					    "the driver has not taken the filter yet: it will when "
					    "the target runs");
	}
	return t->is_ended ? kd_error_set(err, KD_E_CLOSED, 0, "the driver is gone")
			   : judge(t, err);
}

KD_EXPORT enum kd_status kd_traffic_set_filter(struct kd_traffic *t, const char *filter,
					       const char *intercept, struct kd_error *err)
{
	KD_CLEANUP(kd_freep) struct kd_probe_filter *compiled = malloc(sizeof *compiled);
	enum kd_status s;

	if (!compiled)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	s = kd__traffic_filter_compile(filter, intercept, kdnet_port(t), compiled, err);
	if (s != KD_OK)
		return s;
	pthread_mutex_lock(&t->mutex);
	compiled->generation = t->filter.generation + 1;
	t->filter = *compiled;
	s = kd__traffic_order_filter(t, err);
	if (s == KD_OK && t->has_thread)
		s = await_answer(t, err);
	pthread_mutex_unlock(&t->mutex);
	return s == KD_OK ? kd__stops_deliver(t, err) : s;
}

KD_EXPORT enum kd_status kd_traffic_check_filter(const char *filter, const char *intercept,
						 struct kd_error *err)
{
	KD_CLEANUP(kd_freep) struct kd_probe_filter *compiled = malloc(sizeof *compiled);

	if (!compiled)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	return kd__traffic_filter_compile(filter, intercept, 0, compiled, err);
}

KD_EXPORT enum kd_status kd_traffic_set_mode(struct kd_traffic *t, enum kd_traffic_mode mode,
					     struct kd_error *err)
{
	enum kd_status s;

	pthread_mutex_lock(&t->mutex);
	t->mode = mode;
	s = kd__traffic_order_policy(t, err);
	pthread_mutex_unlock(&t->mutex);
	return s == KD_OK ? kd__stops_deliver(t, err) : s;
}

KD_EXPORT enum kd_traffic_channel kd_traffic_channel(const struct kd_traffic *t)
{
	return t->channel;
}

/* --- counters --- */

static void copy_counters(struct kd_traffic *t, struct kd_traffic_counters *ret)
{
	uint64_t *c = t->counters;
	const struct {
		enum kd_probe_counter from;
		uint64_t *to;
	} table[] = {
		{ KD_PROBE_N_FLOWS, &ret->flows },
		{ KD_PROBE_N_FLOWS_NOW, &ret->flows_now },
		{ KD_PROBE_N_ITEMS, &ret->items },
		{ KD_PROBE_N_BYTES, &ret->bytes },
		{ KD_PROBE_N_SHOWN, &ret->shown },
		{ KD_PROBE_N_SHOWN_BYTES, &ret->shown_bytes },
		{ KD_PROBE_N_HELD, &ret->held },
		{ KD_PROBE_N_HELD_NOW, &ret->held_now },
		{ KD_PROBE_N_HELD_BYTES, &ret->held_bytes },
		{ KD_PROBE_N_PASSED, &ret->passed },
		{ KD_PROBE_N_EDITED, &ret->edited },
		{ KD_PROBE_N_DROPPED, &ret->dropped },
		{ KD_PROBE_N_RESET, &ret->reset },
		{ KD_PROBE_N_INJECTED, &ret->injected },
		{ KD_PROBE_N_LOST, &ret->lost },
		{ KD_PROBE_N_LOST_BYTES, &ret->lost_bytes },
		{ KD_PROBE_N_AUTO_TIMEOUT, &ret->auto_timeout },
		{ KD_PROBE_N_AUTO_MEMORY, &ret->auto_memory },
		{ KD_PROBE_N_AUTO_SILENCE, &ret->auto_silence },
		{ KD_PROBE_N_AUTO_RING, &ret->auto_ring },
		{ KD_PROBE_N_ENDED, &ret->ended },
		{ KD_PROBE_N_LATE, &ret->late },
		{ KD_PROBE_N_REFUSED, &ret->refused },
		{ KD_PROBE_N_INJECT_ERRORS, &ret->inject_errors },
		{ KD_PROBE_N_DEFERRED, &ret->deferred },
		{ KD_PROBE_N_SYNCS, &ret->syncs },
	};

	if (!t->is_ended && kd__traffic_is_reachable(t))
		kd_probe_host_counters(&t->host, c);
	for (size_t i = 0; i < KD_ARRAY_LEN(table); i++)
		*table[i].to = c[table[i].from];
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void measure_waits(const struct kd_traffic *t, struct kd_traffic_counters *ret)
{
	size_t n = KD_MIN(t->n_waits, (size_t)KD__WAITS);
	KD_CLEANUP(kd_freep) uint64_t *sorted = malloc((n + 1) * sizeof *sorted);

	if (n == 0 || !sorted)
		return;
	memcpy(sorted, t->waits, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, compare);
	ret->wait_ns_median = sorted[n / 2];
	ret->wait_ns_p99 = sorted[n * 99 / 100];
}

KD_EXPORT void kd_traffic_counters(struct kd_traffic *t, struct kd_traffic_counters *ret)
{
	*ret = (struct kd_traffic_counters){ 0 };
	pthread_mutex_lock(&t->mutex);
	copy_counters(t, ret);
	measure_waits(t, ret);
	ret->mode = t->mode;
	ret->channel = t->channel;
	/* through breakpoints it is heard when it has something to tell, and only then */
	ret->is_alive = !t->is_ended && (t->channel == KD_TRAFFIC_STOPS ||
					 kd_now_ns() - t->heard_ns < HEARD_MS * UINT64_C(1000000));
	ret->stream_packets = t->stream_packets;
	ret->stream_left_out = t->stream_left_out;
	for (unsigned i = 0; i < KD__STREAMS_MAX; i++) {
		struct kd__packet_stream_counters c;

		if (!t->streams[i])
			continue;
		c = kd__packet_stream_counters(t->streams[i]);
		ret->n_streams++;
		ret->stream_packets += c.packets;
		ret->stream_left_out += c.left_out;
	}
	pthread_mutex_unlock(&t->mutex);
}

/* --- flows --- */

KD_EXPORT enum kd_status kd_traffic_flows(struct kd_traffic *t, struct kd_traffic_flow **flows_ret,
					  size_t *n_ret, struct kd_error *err)
{
	struct kd_traffic_flow *flows;
	size_t n = 0;

	pthread_mutex_lock(&t->mutex);
	flows = malloc((t->n_open + t->n_closed + 1) * sizeof *flows);
	for (struct kd__flow *f = t->first_flow; flows && f; f = f->next)
		flows[n++] = f->info;
	pthread_mutex_unlock(&t->mutex);
	if (!flows)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	*flows_ret = flows;
	*n_ret = n;
	return KD_OK;
}

static enum kd_status find_flow(struct kd_traffic *t, uint64_t id, struct kd__flow **ret,
				struct kd_error *err)
{
	*ret = kd__flow_find(t, id);
	return *ret ? KD_OK
		    : kd_error_set(err, KD_E_NOT_FOUND, id, "there is no flow %" PRIu64, id);
}

static enum kd_status find_open_flow(struct kd_traffic *t, uint64_t id, struct kd__flow **ret,
				     struct kd_error *err)
{
	enum kd_status s = find_flow(t, id, ret, err);

	if (s == KD_OK && (*ret)->info.state == KD_TRAFFIC_FLOW_CLOSED)
		return kd_error_set(err, KD_E_NOT_FOUND, id, "flow %" PRIu64 " is closed", id);
	return s;
}

KD_EXPORT enum kd_status kd_traffic_flow_get(struct kd_traffic *t, uint64_t id,
					     struct kd_traffic_flow *ret, struct kd_error *err)
{
	struct kd__flow *f;
	enum kd_status s;

	pthread_mutex_lock(&t->mutex);
	s = find_flow(t, id, &f, err);
	if (s == KD_OK)
		*ret = f->info;
	pthread_mutex_unlock(&t->mutex);
	return s;
}

KD_EXPORT enum kd_status kd_traffic_set_flow_mode(struct kd_traffic *t, uint64_t flow,
						  enum kd_traffic_flow_mode mode,
						  struct kd_error *err)
{
	struct kd_probe_w_flow_mode v = { .mode = (uint32_t)mode };
	uint8_t bytes[KD_PROBE_SIZE_flow_mode];
	struct kd__flow *f;
	enum kd_status s;

	kd_probe_w_flow_mode_encode(bytes, &v);
	pthread_mutex_lock(&t->mutex);
	s = find_open_flow(t, flow, &f, err);
	if (s == KD_OK)
		s = kd__traffic_order(t, KD_PROBE_FLOW_MODE, flow, 0, bytes, sizeof bytes, NULL, 0,
				      err);
	if (s == KD_OK)
		f->info.mode = mode;
	pthread_mutex_unlock(&t->mutex);
	return s == KD_OK ? kd__stops_deliver(t, err) : s;
}

/* --- items --- */

static enum kd_status find_held(struct kd_traffic *t, uint64_t id, struct kd__item **ret,
				struct kd_error *err)
{
	struct kd__item *i = id ? kd__item_find(t, id) : t->first_item;

	while (!id && i && !i->is_held)
		i = i->next;
	*ret = i;
	if (i && i->is_held)
		return KD_OK;
	if (id)
		return kd_error_set(err, KD_E_NOT_FOUND, id,
				    "item %" PRIu64 " is not held: released already, or never was",
				    id);
	return kd_error_set(err, KD_E_NOT_FOUND, 0, "nothing is held");
}

KD_EXPORT enum kd_status kd_traffic_item_get(struct kd_traffic *t, uint64_t id,
					     struct kd_traffic_item *ret, struct kd_error *err)
{
	struct kd__item *i;
	enum kd_status s;

	pthread_mutex_lock(&t->mutex);
	s = find_held(t, id, &i, err);
	if (s == KD_OK && !kd__item_copy(i, ret))
		s = kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	pthread_mutex_unlock(&t->mutex);
	return s;
}

KD_EXPORT enum kd_status kd_traffic_held(struct kd_traffic *t, uint64_t **ids_ret, size_t *n_ret,
					 struct kd_error *err)
{
	uint64_t *ids;
	size_t n = 0;

	pthread_mutex_lock(&t->mutex);
	ids = malloc((t->n_held + 1) * sizeof *ids);
	for (struct kd__item *i = t->first_item; ids && i; i = i->next)
		if (i->is_held)
			ids[n++] = i->id;
	pthread_mutex_unlock(&t->mutex);
	if (!ids)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	*ids_ret = ids;
	*n_ret = n;
	return KD_OK;
}

/* More than goes into one piece. */
static enum kd_status check_size(const struct kd_traffic_flow *flow, size_t size,
				 struct kd_error *err)
{
	size_t max = flow->protocol == 6 ? (size_t)KD_PROBE_BYTES_MAX
		     : flow->family == 4 ? (size_t)DATAGRAM_MAX_4
					 : (size_t)DATAGRAM_MAX_6;

	if (size <= max)
		return KD_OK;
	return kd_error_set(err, KD_E_TOO_BIG, size,
			    "%zu bytes are too many: %s takes %zu at once%s", size,
			    flow->protocol == 6 ? "a payload" : "a datagram", max,
			    flow->protocol == 6 ? ", inject the rest behind it" : "");
}

KD_EXPORT enum kd_status kd_traffic_edit(struct kd_traffic *t, uint64_t item, const uint8_t *bytes,
					 size_t size, struct kd_error *err)
{
	struct kd__item *i;
	enum kd_status s;
	uint8_t *copy;

	pthread_mutex_lock(&t->mutex);
	s = find_held(t, item, &i, err);
	if (s == KD_OK && i->flags & KD_PROBE_FIN)
		s = kd_error_set(err, KD_E_INVALID, item,
				 "item %" PRIu64 " is the end of the stream: it has no bytes, "
				 "inject some before it",
				 i->id);
	if (s == KD_OK)
		s = check_size(&i->flow->info, size, err);
	copy = s == KD_OK ? malloc(size + 1) : NULL;
	if (s == KD_OK && !copy)
		s = kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	if (s == KD_OK) {
		kd_copy(copy, bytes, size);
		free(i->edited);
		i->edited = copy;
		i->edited_size = size;
		i->is_edited = true;
	}
	pthread_mutex_unlock(&t->mutex);
	return s;
}

KD_EXPORT enum kd_status kd_traffic_decide(struct kd_traffic *t, uint64_t item,
					   enum kd_verdict verdict, const char *by,
					   struct kd_error *err)
{
	struct kd__item *i;
	enum kd_status s;

	pthread_mutex_lock(&t->mutex);
	s = find_held(t, item, &i, err);
	if (s == KD_OK && verdict == KD_VERDICT_RESET && i->flow->info.protocol != 6)
		s = kd_error_set(err, KD_E_INVALID, 0,
				 "item %" PRIu64 " is a datagram, and has no connection to reset",
				 item);
	if (s == KD_OK)
		s = kd__traffic_order_verdict(t, i, verdict, by, err);
	pthread_mutex_unlock(&t->mutex);
	return s == KD_OK ? kd__stops_deliver(t, err) : s;
}

/* The streams are to show it when it went out: kept like an item that came. */
static enum kd_status remember_injected(struct kd_traffic *t, struct kd__flow *flow, uint64_t id,
					const uint8_t *bytes, size_t size, uint16_t flags,
					struct kd_error *err)
{
	struct kd__item *i = kd__item_add(t, flow, id, bytes, size);

	if (!i)
		return kd_error_set(err, KD_E_FULL, 0, "too many items wait: try again");
	i->flags = flags;
	i->pid = flow->info.pid;
	i->is_injected = true;
	snprintf(i->by, sizeof i->by, "user");
	return KD_OK;
}

KD_EXPORT enum kd_status kd_traffic_inject(struct kd_traffic *t, uint64_t flow, bool inbound,
					   const uint8_t *bytes, size_t size, bool is_end,
					   struct kd_error *err)
{
	struct kd_probe_w_inject v = { .direction = inbound ? KD_PROBE_IN : KD_PROBE_OUT,
				       .flags = is_end ? KD_PROBE_FIN : KD_PROBE_PUSH,
				       .size = (uint32_t)size };
	uint16_t flags = (uint16_t)(v.flags | (inbound ? KD_PROBE_INBOUND : 0));
	uint8_t head[KD_PROBE_SIZE_inject];
	struct kd__flow *f;
	uint64_t id;
	enum kd_status s;

	kd_probe_w_inject_encode(head, &v);
	pthread_mutex_lock(&t->mutex);
	id = cookie_bit | ++t->next_cookie;
	s = find_open_flow(t, flow, &f, err);
	if (s == KD_OK && is_end && (f->info.protocol != 6 || size))
		s = kd_error_set(err, KD_E_INVALID, 0,
				 "only a TCP direction has an end, and it has no bytes");
	if (s == KD_OK)
		s = check_size(&f->info, size, err);
	if (s == KD_OK)
		s = remember_injected(t, f, id, bytes, size, flags, err);
	if (s == KD_OK) {
		s = kd__traffic_order(t, KD_PROBE_INJECT, flow, id, head, sizeof head, bytes, size,
				      err);
		if (s != KD_OK)
			kd__item_remove(t, kd__item_find(t, id));
	}
	pthread_mutex_unlock(&t->mutex);
	return s == KD_OK ? kd__stops_deliver(t, err) : s;
}

/* --- hooks --- */

KD_EXPORT enum kd_status kd_traffic_add_hook(struct kd_traffic *t, kd_traffic_hook hook,
					     void *context, struct kd_error *err)
{
	enum kd_status s = KD_OK;

	pthread_mutex_lock(&t->mutex);
	if (t->n_hooks == KD__HOOKS_MAX) {
		s = kd_error_set(err, KD_E_FULL, 0, "%d hooks are set already", KD__HOOKS_MAX);
	} else {
		t->hooks[t->n_hooks].hook = hook;
		t->hooks[t->n_hooks++].context = context;
	}
	pthread_mutex_unlock(&t->mutex);
	return s;
}

KD_EXPORT void kd_traffic_remove_hook(struct kd_traffic *t, kd_traffic_hook hook, void *context)
{
	pthread_mutex_lock(&t->mutex);
	for (size_t i = 0; i < t->n_hooks; i++) {
		if (t->hooks[i].hook != hook || t->hooks[i].context != context)
			continue;
		memmove(&t->hooks[i], &t->hooks[i + 1], (t->n_hooks - i - 1) * sizeof t->hooks[0]);
		t->n_hooks--;
		break;
	}
	/* it is not called any more when this returns; a hook that removes itself does not wait */
	while (t->is_in_hook && !pthread_equal(pthread_self(), t->thread))
		pthread_cond_wait(&t->hook_done, &t->mutex);
	pthread_mutex_unlock(&t->mutex);
}
