/* SPDX-License-Identifier: MIT */
/*
 *   target <--> [sight, log] <--> debugger (one, or none)
 *
 * The thread holds the lock while it moves bytes and lets go of it while it waits; the functions
 * of the API take it, change what they have to, and wake the thread when it has to do something.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/link/link.h"
#include "core/wire/packet.h"
#include "lib/fleet/relay_bridge.h"
#include "lib/fleet/relay_listen.h"
#include "lib/fleet/relay_log.h"
#include "lib/fleet/relay_sight.h"
#include "lib/wait.h"

enum {
	READ_SIZE = 16 << 10,
	LANE_SIZE = 1 << 20, /* to the debugger: one that does not read loses what goes beyond */
	UP_SIZE = 64 << 10,  /* to the target: then the debugger waits */
	STEP_READS = 16,
	EVENTS_MAX = 256,
	FLUSH_MS = 250,
	TERMINAL_MS = 100, /* how soon it is seen that somebody opened one */
};

/* A VM that is taken back by libvirt is away for a second or two: debuggers stay that long. */
static const uint64_t down_max = 5000000000;

struct lane {
	uint8_t *bytes;
	size_t size, first, n;
	bool is_stuck; /* the last write found no room */
};

struct kd_relay {
	pthread_t thread;
	pthread_mutex_t lock;
	struct kd_cancel wake;
	bool is_ending;

	struct kd_transport *target, *bridge; /* bridge: the same, when it is one; else NULL */
	char target_text[KD_ENDPOINT_TEXT_SIZE];
	struct kd__relay_listener listener;
	struct kd_transport *client; /* NULL: none */
	pid_t client_pid;
	struct lane up, down;
	bool break_wanted;
	uint32_t generation; /* of the target's connection */
	bool was_up;
	uint64_t down_at; /* since when it is down; 0: it is up, or never was */
	struct kd__sight sight;
	struct kd__relay_log log;
	struct kd__relay_traces traces;
	struct kd_relay_status status; /* what is kept of it: clients, refused, dropped, troubles */

	int events_fd;
	size_t first_event, n_events;
	struct kd_relay_event events[EVENTS_MAX];
};

/* --- lanes --- */

static bool lane_init(struct lane *l, size_t size)
{
	l->bytes = malloc(size);
	l->size = size;
	return l->bytes;
}

/* How many fit. */
static size_t lane_put(struct lane *l, const uint8_t *bytes, size_t n)
{
	n = KD_MIN(n, l->size - l->n);
	for (size_t i = 0; i < n; i++)
		l->bytes[(l->first + l->n + i) % l->size] = bytes[i];
	l->n += n;
	return n;
}

static void lane_clear(struct lane *l)
{
	l->n = 0;
	l->is_stuck = false;
}

static enum kd_status lane_write(struct lane *l, struct kd_transport *to)
{
	enum kd_status s = KD_OK;

	l->is_stuck = false;
	while (l->n && s == KD_OK) {
		size_t n = KD_MIN(l->n, l->size - l->first);

		s = kd_transport_write(to, l->bytes + l->first, n, &n, NULL);
		if (s != KD_OK)
			break;
		l->first = (l->first + n) % l->size;
		l->n -= n;
	}
	l->is_stuck = s == KD_E_AGAIN;
	return s;
}

/* --- events --- */

static void push_event(struct kd_relay *r, enum kd_relay_event_kind kind, const char *text,
		       size_t size)
{
	struct kd_relay_event *e;

	if (r->n_events == EVENTS_MAX) {
		r->first_event = (r->first_event + 1) % EVENTS_MAX;
		r->n_events--;
	}
	e = &r->events[(r->first_event + r->n_events++) % EVENTS_MAX];
	e->kind = kind;
	snprintf(e->text, sizeof e->text, "%.*s", (int)KD_MIN(size, sizeof e->text - 1), text);
	if (eventfd_write(r->events_fd, 1) != 0)
		return; /* it is readable already */
}

static void push(struct kd_relay *r, enum kd_relay_event_kind kind, const char *text)
{
	push_event(r, kind, text, strlen(text));
}

/* --- what is seen --- */

static void log_trouble(struct kd_relay *r, const struct kd_error *why)
{
	snprintf(r->status.log_trouble, sizeof r->status.log_trouble, "%s", why->text);
}

static void end_log(struct kd_relay *r, const struct kd_error *why)
{
	log_trouble(r, why);
	kd__relay_log_stop(&r->log, NULL);
}

static void on_record(void *context, const struct kd_decode_record *record)
{
	struct kd_relay *r = context;
	struct kd_error err;

	if (kd__relay_log_record(&r->log, record, &err) != KD_OK)
		end_log(r, &err);
}

static void on_sight(void *context, enum kd_relay_event_kind kind, const char *text)
{
	push(context, kind, text);
}

static void on_line(void *context, const char *line, size_t size)
{
	struct kd_relay *r = context;
	struct kd_error err;

	push_event(r, KD_RELAY_PRINT, line, size);
	if (kd__relay_traces_line(&r->traces, line, size, &err) != KD_OK)
		log_trouble(r, &err);
}

static void see(struct kd_relay *r, enum kd_decode_direction direction, const uint8_t *bytes,
		size_t n)
{
	struct kd_error err;

	if (kd__relay_log_bytes(&r->log, direction == KD_DECODE_TO_TARGET, bytes, n, &err) != KD_OK)
		end_log(r, &err);
	kd__sight_feed(&r->sight, direction, bytes, n, kd_now_ns());
}

/* --- the target's end --- */

static void note_target(struct kd_relay *r)
{
	const struct kd_transport_info *info = kd_transport_info(r->target);

	if (info->is_up && info->generation != r->generation) {
		if (r->generation)
			kd__sight_restart(&r->sight, "link up");
		r->generation = info->generation;
		r->was_up = true;
		r->down_at = 0;
		lane_clear(&r->up);
		push(r, KD_RELAY_UP, "");
	} else if (!info->is_up && r->was_up) {
		r->was_up = false;
		r->down_at = kd_now_ns();
		lane_clear(&r->up);
		kd__sight_restart(&r->sight, "link down");
		push(r, KD_RELAY_DOWN, r->target->trouble);
	}
}

static void to_client(struct kd_relay *r, const uint8_t *bytes, size_t n)
{
	if (r->client)
		r->status.dropped += n - lane_put(&r->down, bytes, n);
}

static void read_target(struct kd_relay *r)
{
	uint8_t bytes[READ_SIZE];
	size_t n;

	for (int i = 0; i < STEP_READS; i++) {
		enum kd_status s = kd_transport_read(r->target, bytes, sizeof bytes, &n, NULL);

		note_target(r);
		if (s != KD_OK)
			return;
		see(r, KD_DECODE_FROM_TARGET, bytes, n);
		to_client(r, bytes, n);
	}
}

static void write_target(struct kd_relay *r)
{
	static const uint8_t breakin = KD_BYTE_BREAKIN;

	if (!kd_transport_info(r->target)->is_up) {
		lane_clear(&r->up); /* a line has no memory */
		return;
	}
	if (r->break_wanted && !r->up.n && kd__sight_is_between_packets(&r->sight, kd_now_ns())) {
		r->break_wanted = false;
		see(r, KD_DECODE_TO_TARGET, &breakin, 1);
		lane_put(&r->up, &breakin, 1);
	}
	lane_write(&r->up, r->target);
}

/* --- the debugger's end --- */

static void set_client(struct kd_relay *r, struct kd_transport *client, pid_t pid)
{
	char text[64];

	r->client = client;
	r->client_pid = pid;
	lane_clear(&r->down);
	if (r->bridge)
		kd__relay_bridge_set_client(r->bridge, client);
	r->status.clients += client != NULL;
	snprintf(text, sizeof text, "%s%d", pid ? "pid " : "", (int)pid);
	push(r, client ? KD_RELAY_CLIENT_CAME : KD_RELAY_CLIENT_LEFT, client && pid ? text : "");
}

static void drop_client(struct kd_relay *r)
{
	kd_transport_destroy(r->client);
	set_client(r, NULL, 0);
}

static void meet_clients(struct kd_relay *r)
{
	struct kd_transport *t;
	pid_t pid = 0;

	if (!r->client) {
		t = kd__relay_accept(&r->listener, &pid);
		if (t)
			set_client(r, t, pid);
	}
	if (r->client)
		r->status.refused += kd__relay_refuse(&r->listener);
}

static void read_client(struct kd_relay *r)
{
	uint8_t bytes[READ_SIZE];
	size_t n;

	for (int i = 0; r->client && i < STEP_READS && r->up.size - r->up.n >= sizeof bytes; i++) {
		enum kd_status s = kd_transport_read(r->client, bytes, sizeof bytes, &n, NULL);

		if (s == KD_E_AGAIN)
			return;
		if (s != KD_OK) {
			drop_client(r);
			return;
		}
		if (!kd_transport_info(r->target)->is_up)
			continue;
		see(r, KD_DECODE_TO_TARGET, bytes, n);
		lane_put(&r->up, bytes, n);
	}
}

/* As if it were connected to the VM itself: it should not talk to nobody for ever. */
static uint64_t give_up_at(const struct kd_relay *r)
{
	bool is_asked = r->down_at && r->client && r->listener.terminal < 0;

	return is_asked ? r->down_at + down_max : KD_TIME_NEVER;
}

/* --- the thread --- */

static void step(struct kd_relay *r)
{
	read_target(r);
	if (kd_now_ns() >= give_up_at(r))
		drop_client(r);
	meet_clients(r);
	read_client(r);
	write_target(r);
	if (r->client && lane_write(&r->down, r->client) == KD_E_CLOSED)
		lane_clear(&r->down); /* reading tells the end */
	kd__relay_log_flush(&r->log, kd_now_ns());
	kd__sight_timeout(&r->sight, kd_now_ns());
}

/* What to wait for: the target, the listener, the debugger. */
static void prepare(struct kd_relay *r, struct kd_wait_fd fds[3], uint64_t *deadline_ret)
{
	struct kd_poll p;
	uint64_t deadline = KD_TIME_NEVER;
	bool is_up = kd_transport_info(r->target)->is_up;

	kd_transport_poll(r->target, &p);
	fds[0] = (struct kd_wait_fd){ .fd = p.fd,
				      .want_read = p.want_read,
				      .want_write = is_up ? r->up.is_stuck : p.want_write };
	deadline = p.is_ready ? 0 : p.deadline;
	fds[1] = (struct kd_wait_fd){ .fd = r->listener.fd, .want_read = r->listener.fd >= 0 };
	fds[2] = (struct kd_wait_fd){ .fd = -1 };
	if (r->listener.terminal >= 0 && !r->client)
		deadline = KD_MIN(deadline, kd_deadline_after_ms(TERMINAL_MS));
	if (r->client) {
		kd_transport_poll(r->client, &p);
		fds[2] = (struct kd_wait_fd){
			.fd = p.fd,
			.want_read = r->up.size - r->up.n >= READ_SIZE,
			.want_write = r->down.is_stuck,
		};
		deadline = p.is_ready ? 0 : KD_MIN(deadline, p.deadline);
	}
	if (r->break_wanted && is_up)
		deadline = KD_MIN(deadline, kd_deadline_after_ms(10));
	if (kd__relay_log_is_on(&r->log))
		deadline = KD_MIN(deadline, kd_deadline_after_ms(FLUSH_MS));
	deadline = KD_MIN(deadline, give_up_at(r));
	*deadline_ret = KD_MIN(deadline, kd__sight_deadline(&r->sight));
}

static void *run(void *context)
{
	struct kd_relay *r = context;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		struct kd_wait_fd fds[3];
		uint64_t deadline;

		step(r);
		if (r->is_ending)
			break;
		prepare(r, fds, &deadline);
		pthread_mutex_unlock(&r->lock);
		if (kd_wait(fds, KD_ARRAY_LEN(fds), deadline, &r->wake, NULL) == KD_E_CANCELLED)
			kd_cancel_clear(&r->wake);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* --- making one --- */

static enum kd_status open_target(struct kd_relay *r, const struct kd_relay_options *o,
				  struct kd_error *err)
{
	struct kd_open_options options = { .may_be_absent = true, .instead = r->listener.text };
	struct kd_endpoint ep;
	struct kd_transport *line;
	enum kd_status s = kd_endpoint_parse(o->target, &ep, err);

	if (s != KD_OK)
		return s;
	if (ep.kind == KD_ENDPOINT_REPLAY || (ep.kind == KD_ENDPOINT_NET && !o->is_fast))
		return kd_error_set(
			err, KD_E_SYNTAX, 0, "%s",
			ep.kind == KD_ENDPOINT_NET
				? "KDNET has packets, not bytes: a proxy of it has to be "
				  "a fast one"
				: "a recording can't be passed on: kd -k replay:FILE");
	/* The VM may be reset, reverted, started anew: we stay. */
	ep.reconnect = ep.kind != KD_ENDPOINT_NET;
	s = kd_transport_open(&ep, &options, &line, err);
	if (s != KD_OK)
		return s;
	ep.reconnect = false;
	kd_endpoint_text(&ep, r->target_text, sizeof r->target_text);
	if (!o->is_fast) {
		r->target = line;
		return KD_OK;
	}
	s = kd__relay_bridge_create(line, &r->bridge, err);
	r->target = r->bridge;
	return s;
}

static enum kd_status start(struct kd_relay *r, const struct kd_relay_options *o,
			    struct kd_error *err)
{
	const struct kd__sight_sink sink = { on_record, on_sight, on_line, r };
	enum kd_status s = kd_cancel_init(&r->wake, err);

	r->events_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s == KD_OK && r->events_fd < 0)
		s = kd_error_set(err, KD_E_IO, 0, "no descriptor to be had");
	if (s == KD_OK && (!lane_init(&r->up, UP_SIZE) || !lane_init(&r->down, LANE_SIZE)))
		s = kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	if (s == KD_OK)
		s = kd__sight_init(&r->sight, &sink, err);
	if (s == KD_OK)
		s = kd__relay_listen(&r->listener, o->listen, err);
	if (s == KD_OK)
		s = open_target(r, o, err);
	if (s != KD_OK)
		return s;
	if (pthread_create(&r->thread, NULL, run, r) != 0) {
		r->thread = 0;
		return kd_error_set(err, KD_E_IO, 0, "no thread to be had");
	}
	return KD_OK;
}

KD_EXPORT enum kd_status kd_relay_create(const struct kd_relay_options *options,
					 struct kd_relay **relay_ret, struct kd_error *err)
{
	struct kd_relay *r = calloc(1, sizeof *r);
	enum kd_status s;

	if (!r)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	pthread_mutex_init(&r->lock, NULL);
	r->events_fd = r->listener.fd = r->listener.terminal = r->wake.fd = -1;
	s = options->target && options->listen
		    ? start(r, options, err)
		    : kd_error_set(err, KD_E_SYNTAX, 0,
				   "a target and a place to listen are needed");
	if (s != KD_OK) {
		kd_relay_destroy(r);
		return s;
	}
	*relay_ret = r;
	return KD_OK;
}

static void end_thread(struct kd_relay *r)
{
	if (!r->thread)
		return;
	pthread_mutex_lock(&r->lock);
	r->is_ending = true;
	pthread_mutex_unlock(&r->lock);
	kd_cancel_trigger(&r->wake);
	pthread_join(r->thread, NULL);
}

KD_EXPORT void kd_relay_destroy(struct kd_relay *r)
{
	if (!r)
		return;
	end_thread(r);
	kd_transport_destroy(r->client);
	kd_transport_destroy(r->target);
	kd__relay_listener_deinit(&r->listener);
	kd__sight_deinit(&r->sight);
	kd__relay_log_stop(&r->log, NULL);
	kd__relay_traces_deinit(&r->traces);
	free(r->up.bytes);
	free(r->down.bytes);
	if (r->wake.fd >= 0)
		kd_cancel_deinit(&r->wake);
	if (r->events_fd >= 0)
		close(r->events_fd);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

KD_EXPORT enum kd_status kd_relay_move(struct kd_relay *r, const char *listen, struct kd_error *err)
{
	struct kd__relay_listener next;
	enum kd_status s = kd__relay_listen(&next, listen, err);

	if (s == KD_OK) {
		struct kd__relay_listener former;

		pthread_mutex_lock(&r->lock);
		if (r->client)
			drop_client(r);
		former = r->listener;
		r->listener = next;
		next = former;
		pthread_mutex_unlock(&r->lock);
		kd_cancel_trigger(&r->wake);
	}
	kd__relay_listener_deinit(&next);
	return s;
}

/* --- asking and telling --- */

KD_EXPORT const char *kd_relay_endpoint(const struct kd_relay *r)
{
	return r->listener.text;
}

KD_EXPORT const char *kd_relay_target(const struct kd_relay *r)
{
	return r->target_text;
}

KD_EXPORT void kd_relay_status(struct kd_relay *r, struct kd_relay_status *ret)
{
	pthread_mutex_lock(&r->lock);
	*ret = r->status;
	ret->is_up = kd_transport_info(r->target)->is_up;
	ret->has_client = r->client;
	ret->is_stopped = r->sight.is_stopped;
	ret->may_have_breakpoints = r->sight.planted != 0;
	ret->client_pid = r->client_pid;
	memcpy(ret->os, r->sight.os, sizeof ret->os);
	if (!ret->is_up)
		memcpy(ret->trouble, r->target->trouble, sizeof ret->trouble);
	memcpy(ret->log, r->log.path, sizeof ret->log);
	if (r->bridge)
		kd__relay_bridge_road(r->bridge, ret->road, sizeof ret->road);
	else
		snprintf(ret->road, sizeof ret->road, "bytes");
	pthread_mutex_unlock(&r->lock);
}

KD_EXPORT void kd_relay_counters(struct kd_relay *r, struct kd_vm_counters *ret)
{
	pthread_mutex_lock(&r->lock);
	kd__sight_counters(&r->sight, ret);
	pthread_mutex_unlock(&r->lock);
}

KD_EXPORT enum kd_status kd_relay_break_in(struct kd_relay *r, struct kd_error *err)
{
	enum kd_status s = KD_OK;

	pthread_mutex_lock(&r->lock);
	if (!kd_transport_info(r->target)->is_up)
		s = kd_error_set(err, KD_E_CLOSED, 0, "%.100s is not connected%s%s", r->target_text,
				 r->target->trouble[0] ? ": " : "", r->target->trouble);
	else
		r->break_wanted = true;
	pthread_mutex_unlock(&r->lock);
	if (s == KD_OK)
		kd_cancel_trigger(&r->wake);
	return s;
}

KD_EXPORT enum kd_status kd_relay_log_start(struct kd_relay *r, const char *path,
					    enum kd_relay_format format, struct kd_error *err)
{
	struct kd__relay_log next = { .text = NULL };
	struct kd_error why;
	enum kd_status s;

	/* The one that runs goes on until there is another. */
	pthread_mutex_lock(&r->lock);
	s = kd__relay_log_check(&r->log, path, format, err);
	pthread_mutex_unlock(&r->lock);
	if (s == KD_OK)
		s = kd__relay_log_start(&next, path, format, r->target_text, err ? err : &why);
	if (s != KD_OK)
		return s;
	pthread_mutex_lock(&r->lock);
	r->status.log_trouble[0] = '\0';
	if (kd__relay_log_stop(&r->log, &why) != KD_OK)
		log_trouble(r, &why);
	r->log = next;
	pthread_mutex_unlock(&r->lock);
	kd_cancel_trigger(&r->wake);
	return KD_OK;
}

KD_EXPORT enum kd_status kd_relay_log_stop(struct kd_relay *r, struct kd_error *err)
{
	enum kd_status s;

	pthread_mutex_lock(&r->lock);
	s = kd__relay_log_stop(&r->log, err);
	pthread_mutex_unlock(&r->lock);
	return s;
}

KD_EXPORT enum kd_status kd_relay_trace_start(struct kd_relay *r, const char *prefix,
					      const char *path, struct kd_error *err)
{
	enum kd_status s;

	pthread_mutex_lock(&r->lock);
	s = kd__relay_trace_start(&r->traces, prefix, path, err);
	pthread_mutex_unlock(&r->lock);
	return s;
}

KD_EXPORT enum kd_status kd_relay_trace_stop(struct kd_relay *r, const char *prefix,
					     struct kd_error *err)
{
	enum kd_status s;

	pthread_mutex_lock(&r->lock);
	s = kd__relay_trace_stop(&r->traces, prefix, err);
	pthread_mutex_unlock(&r->lock);
	return s;
}

KD_EXPORT int kd_relay_fd(const struct kd_relay *r)
{
	return r->events_fd;
}

KD_EXPORT bool kd_relay_next_event(struct kd_relay *r, struct kd_relay_event *ret)
{
	eventfd_t unused;
	bool any;

	pthread_mutex_lock(&r->lock);
	any = r->n_events > 0;
	if (any) {
		*ret = r->events[r->first_event];
		r->first_event = (r->first_event + 1) % EVENTS_MAX;
		r->n_events--;
	}
	if (!r->n_events)
		eventfd_read(r->events_fd, &unused);
	pthread_mutex_unlock(&r->lock);
	return any;
}
