/* SPDX-License-Identifier: MIT */
#include "apps/kd/traffic.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/error.h>
#include <openkd/mutator.h>

#include "apps/kd/serve.h"
#include "apps/kd/traffic_ops.h"

enum kd_status traffic_get(struct call *call, struct kd_traffic **ret)
{
	if (!call->con->traffic.t)
		return call_fail(call, KD_E_NOT_FOUND,
				 "no traffic is looked at: !traffic start, or !traffic start "
				 "intercept");
	*ret = call->con->traffic.t;
	return KD_OK;
}

enum kd_status traffic_take_number(struct call *call, uint64_t fallback, uint64_t max,
				   uint64_t *ret)
{
	char word[24] = "", *end;

	*ret = fallback;
	if (args_at_end(&call->args) || !args_word(&call->args, word, sizeof(word)))
		return KD_OK;
	errno = 0;
	*ret = strtoull(word, &end, 10);
	if (*end || word[0] < '0' || word[0] > '9')
		return call_fail(call, KD_E_SYNTAX, "'%s' is no decimal number", word);
	if (errno || *ret > max)
		return call_fail(call, KD_E_SYNTAX, "%s is too large: at most %llu", word,
				 (unsigned long long)max);
	return KD_OK;
}

void traffic_end_text(char *to, size_t size, const char *address, uint16_t port, uint8_t family)
{
	snprintf(to, size, family == 6 ? "[%s]:%u" : "%s:%u", address, port);
}

struct flow_text traffic_flow_text(const struct kd_traffic_flow *f)
{
	struct flow_text t;
	char local[64], remote[64];

	traffic_end_text(local, sizeof(local), f->local, f->local_port, f->family);
	traffic_end_text(remote, sizeof(remote), f->remote, f->remote_port, f->family);
	snprintf(t.s, sizeof(t.s), "%s[%u] %s %s %s", f->process, f->pid, local,
		 f->is_inbound ? "<-" : "->", remote);
	return t;
}

/* --- events --- */

/* With !strace: what is held stops the target, and is what the commands mean. */
static void stop_for(struct console *c, uint64_t id)
{
	struct kd_traffic_flow flow;
	struct kd_traffic_item item;

	if (kd_traffic_item_get(c->traffic.t, id, &item, NULL) != KD_OK)
		return;
	c->traffic.current = c->traffic.stopped_for = id;
	c->traffic.is_stopping = true;
	if (kd_traffic_flow_get(c->traffic.t, item.flow, &flow, NULL) == KD_OK)
		console_note(c, "Held: item %llu, %zu bytes%s %s, flow %llu %s",
			     (unsigned long long)item.id, item.n_bytes,
			     item.is_end ? ", the end of the stream," : "",
			     item.is_inbound ? "in" : "out", (unsigned long long)flow.id,
			     traffic_flow_text(&flow).s);
	free(item.bytes);
	kd_session_break_in(c->session);
}

/* What comes while one is looked at has its own stop when the target goes on. */
static void on_held(struct console *c, const struct kd_traffic_event *e)
{
	if (c->traffic.stops && !c->is_stopped && !c->traffic.is_stopping)
		stop_for(c, e->item);
}

void traffic_target_runs(struct console *c)
{
	APP_CLEANUP(app_freep) uint64_t *ids = NULL;
	size_t n = 0;

	c->traffic.is_stopping = false;
	if (!c->traffic.t || !c->traffic.stops ||
	    kd_traffic_held(c->traffic.t, &ids, &n, NULL) != KD_OK)
		return;
	for (size_t i = 0; i < n; i++)
		if (ids[i] > c->traffic.stopped_for) {
			stop_for(c, ids[i]);
			return;
		}
}

static void on_event(struct console *c, const struct kd_traffic_event *e)
{
	server_publish_traffic(c->server, traffic_event_json(e));
	switch (e->kind) {
	case KD_TRAFFIC_EVENT_HELD: on_held(c, e); break;
	case KD_TRAFFIC_EVENT_DONE:
		if (c->traffic.current == e->item)
			c->traffic.current = 0;
		break;
	case KD_TRAFFIC_EVENT_LOSS:
	case KD_TRAFFIC_EVENT_NOTICE: console_note(c, "Traffic: %s", e->text); break;
	case KD_TRAFFIC_EVENT_ENDED:
		console_note(c, "Traffic ended: %s", e->text);
		traffic_stop(c);
		break;
	default: break;
	}
}

static void on_readable(void *context, int fd, short events)
{
	struct console *c = context;
	struct kd_traffic_event e;

	(void)fd;
	(void)events;
	while (c->traffic.t && kd_traffic_next_event(c->traffic.t, &e))
		on_event(c, &e);
}

const char *traffic_channel_text(enum kd_traffic_channel channel)
{
	return channel == KD_TRAFFIC_RAM ? "shared memory" : "breakpoints";
}

/* --- life --- */

static void keep_text(char **kept, const char *text)
{
	char *copy = text ? app_strdup(text) : NULL;

	free(*kept);
	*kept = copy;
}

enum kd_status traffic_start_with(struct console *c, const struct kd_traffic_options *options,
				  struct kd_error *err)
{
	enum kd_status s = kd_traffic_start(c->session, options, &c->traffic.t, err);

	if (s != KD_OK)
		return s;
	if (!watch_add(c->watch, kd_traffic_fd(c->traffic.t), POLLIN, on_readable, c)) {
		kd_traffic_stop(c->traffic.t);
		c->traffic.t = NULL;
		return app_error(err, KD_E_FULL, "too many descriptors are watched");
	}
	c->traffic.is_for_clients = false;
	c->traffic.is_closed = options->fail_closed;
	keep_text(&c->traffic.filter, options->filter);
	keep_text(&c->traffic.intercept, options->intercept);
	return KD_OK;
}

enum kd_status traffic_start(struct call *call, struct kd_traffic_options *options)
{
	enum kd_status s = traffic_start_with(call->con, options, call->err);

	if (s != KD_OK)
		return s;
	out_printf(call->out, "Traffic: %s, through %s\n", traffic_mode_name(options->mode),
		   traffic_channel_text(kd_traffic_channel(call->con->traffic.t)));
	return KD_OK;
}

enum kd_status traffic_start_holding(struct call *call)
{
	struct kd_traffic_options options = KD_TRAFFIC_OPTIONS_INIT;

	options.mode = KD_TRAFFIC_INTERCEPT;
	if (call->con->traffic.t)
		return kd_traffic_set_mode(call->con->traffic.t, options.mode, call->err);
	return traffic_start(call, &options);
}

void traffic_stop(struct console *c)
{
	if (!c->traffic.t)
		return;
	watch_remove(c->watch, kd_traffic_fd(c->traffic.t));
	kd_mutators_destroy(c->traffic.mutators);
	c->traffic.mutators = NULL;
	kd_traffic_stop(c->traffic.t);
	c->traffic.t = NULL;
	c->traffic.current = c->traffic.stopped_for = 0;
	c->traffic.stops = c->traffic.is_stopping = false;
	keep_text(&c->traffic.filter, NULL);
	keep_text(&c->traffic.intercept, NULL);
	server_traffic_stopped(c->server);
}
