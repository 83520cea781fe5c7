/* SPDX-License-Identifier: MIT */
#include "apps/kd/traffic_ops.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/error.h>

#include "apps/kd/args.h"
#include "apps/kd/data.h"
#include "apps/kd/payload.h"
#include "apps/kd/text.h"
#include "apps/kd/value.h"

static const char *const mode_names[] = { "off", "capture", "intercept" };
static const char *const flow_modes[] = { "filtered", "ignored", "shown", "held", "released" };

const char *traffic_mode_name(enum kd_traffic_mode mode)
{
	return (size_t)mode < APP_ARRAY_LEN(mode_names) ? mode_names[mode] : "?";
}

/* --- members of requests --- */

static const char *text_of(json_t *request, const char *name)
{
	return json_string_value(json_object_get(request, name));
}

/* A word out of a list; `missing` when the member is not there. -1: another word. */
static int word_of(json_t *request, const char *name, const char *const *words, size_t n,
		   int missing)
{
	json_t *member = json_object_get(request, name);

	if (!member)
		return missing;
	for (size_t i = 0; i < n && json_is_string(member); i++)
		if (strcmp(json_string_value(member), words[i]) == 0)
			return (int)i;
	return -1;
}

/* 0 when it is not there. */
static enum kd_status number_of(json_t *request, const char *name, uint64_t max, uint64_t *ret,
				struct kd_error *err)
{
	json_t *member = json_object_get(request, name);
	json_int_t value = json_integer_value(member);

	*ret = 0;
	if (!member)
		return KD_OK;
	if (!json_is_integer(member) || value < 0 || (uint64_t)value > max)
		return app_error(err, KD_E_INVALID, "\"%s\" is a number from 0 on", name);
	*ret = (uint64_t)value;
	return KD_OK;
}

static enum kd_status bytes_of(json_t *request, struct payload *ret, struct kd_error *err)
{
	const char *hex = text_of(request, "bytes");

	if (!hex)
		return app_error(err, KD_E_INVALID, "\"bytes\" is a text of hexadecimal digits");
	return payload_from_hex(hex, ret, err);
}

/* --- what there is --- */

static void put_counters(json_t *o, const struct kd_traffic_counters *c)
{
	data_integer(o, "flows", (long long)c->flows_now);
	data_integer(o, "flows_seen", (long long)c->flows);
	data_integer(o, "streams", (long long)c->n_streams);
#define KD_X(name) data_integer(o, #name, (long long)c->name)
	KD_X(items);
	KD_X(bytes);
	KD_X(shown);
	KD_X(shown_bytes);
	KD_X(held_now);
	KD_X(held);
	KD_X(passed);
	KD_X(edited);
	KD_X(dropped);
	KD_X(reset);
	KD_X(injected);
	KD_X(lost);
	KD_X(auto_timeout);
	KD_X(auto_memory);
	KD_X(auto_silence);
	KD_X(auto_ring);
	KD_X(ended);
	KD_X(refused);
	KD_X(inject_errors);
	KD_X(stream_packets);
	KD_X(stream_left_out);
	KD_X(wait_ns_median);
	KD_X(wait_ns_p99);
#undef KD_X
}

void traffic_op_status(const struct traffic_place *place, json_t *o)
{
	struct kd_traffic_counters c;

	kd_traffic_counters(place->t, &c);
	data_string(o, "mode", traffic_mode_name(c.mode));
	data_bool(o, "is_alive", c.is_alive);
	data_string(o, "channel", c.channel == KD_TRAFFIC_RAM ? "ram" : "stops");
	data_string(o, "filter", *place->filter ? *place->filter : "");
	data_string(o, "intercept", *place->intercept ? *place->intercept : "");
	put_counters(o, &c);
}

const char *traffic_flow_state(const struct kd_traffic_flow *flow)
{
	if (flow->state == KD_TRAFFIC_FLOW_CLOSED)
		return "closed";
	return flow->mode == KD_TRAFFIC_FLOW_FILTERED ? "open" : flow_modes[flow->mode];
}

void traffic_flow_json(json_t *o, const struct kd_traffic_flow *f)
{
	data_integer(o, "id", (long long)f->id);
	data_string(o, "process", f->process);
	data_string(o, "path", f->path);
	data_integer(o, "pid", f->pid);
	data_string(o, "protocol", f->protocol == 6 ? "tcp" : "udp");
	data_integer(o, "family", f->family);
	data_string(o, "local", f->local);
	data_integer(o, "local_port", f->local_port);
	data_string(o, "remote", f->remote);
	data_integer(o, "remote_port", f->remote_port);
	data_bool(o, "is_inbound", f->is_inbound);
	data_bool(o, "is_loopback", f->is_loopback);
	data_integer(o, "bytes_out", (long long)f->bytes_out);
	data_integer(o, "bytes_in", (long long)f->bytes_in);
	data_integer(o, "held", f->held);
	data_string(o, "state", traffic_flow_state(f));
}

void traffic_item_json(json_t *o, const struct kd_traffic_item *item)
{
	struct text hex = TEXT_INIT;

	for (size_t i = 0; o && i < item->n_bytes; i++)
		text_printf(&hex, "%02x", item->bytes[i]);
	data_integer(o, "id", (long long)item->id);
	data_integer(o, "flow", (long long)item->flow);
	data_bool(o, "is_inbound", item->is_inbound);
	data_bool(o, "is_end", item->is_end);
	data_bool(o, "is_edited", item->is_edited);
	data_integer(o, "original_size", (long long)item->original_size);
	data_string(o, "bytes", text_string(&hex));
	text_free(&hex);
}

json_t *traffic_event_json(const struct kd_traffic_event *event)
{
	static const char *const names[] = {
		[KD_TRAFFIC_EVENT_FLOW] = "flow",   [KD_TRAFFIC_EVENT_CLOSED] = "closed",
		[KD_TRAFFIC_EVENT_HELD] = "held",   [KD_TRAFFIC_EVENT_DONE] = "done",
		[KD_TRAFFIC_EVENT_LOSS] = "loss",   [KD_TRAFFIC_EVENT_NOTICE] = "notice",
		[KD_TRAFFIC_EVENT_ENDED] = "ended",
	};
	json_t *o = json_object();

	data_string(o, "event", "traffic");
	data_string(o, "kind", names[event->kind]);
	data_integer(o, "flow", (long long)event->flow);
	/* what was injected has a number of ours, which is not the driver's */
	data_integer(o, "item", event->item <= INT64_MAX ? (long long)event->item : 0);
	data_string(o, "text", event->text);
	return o;
}

static enum kd_status op_status(const struct traffic_place *place, json_t *request, json_t *answer,
				struct kd_error *err)
{
	(void)request;
	(void)err;
	traffic_op_status(place, answer);
	return KD_OK;
}

static enum kd_status op_flows(const struct traffic_place *place, json_t *request, json_t *answer,
			       struct kd_error *err)
{
	bool all = json_is_true(json_object_get(request, "all"));
	bool held = json_is_true(json_object_get(request, "held"));
	APP_CLEANUP(app_freep) struct kd_traffic_flow *flows = NULL;
	json_t *list = json_array();
	size_t n = 0;
	enum kd_status s = kd_traffic_flows(place->t, &flows, &n, err);

	for (size_t i = 0; i < n; i++) {
		bool is_open = flows[i].state == KD_TRAFFIC_FLOW_OPEN;

		if (held ? flows[i].held > 0 : all || is_open)
			traffic_flow_json(data_append_object(list), &flows[i]);
	}
	json_object_set_new(answer, "flows", list);
	return s;
}

/* --- items --- */

static uint64_t flow_of_item(struct kd_traffic *t, uint64_t id)
{
	struct kd_traffic_item item;

	if (kd_traffic_item_get(t, id, &item, NULL) != KD_OK)
		return 0;
	free(item.bytes);
	return item.flow;
}

/* The one that waits longest in a flow. */
static enum kd_status oldest_of_flow(struct kd_traffic *t, uint64_t flow, uint64_t *ret,
				     struct kd_error *err)
{
	APP_CLEANUP(app_freep) uint64_t *ids = NULL;
	size_t n = 0;
	enum kd_status s = kd_traffic_held(t, &ids, &n, err);

	for (size_t i = 0; i < n; i++)
		if (flow_of_item(t, ids[i]) == flow) {
			*ret = ids[i];
			return KD_OK;
		}
	return s == KD_OK
		       ? app_error(err, KD_E_NOT_FOUND, "nothing of flow %" PRIu64 " is held", flow)
		       : s;
}

/* `item`, or the oldest of `flow`, or the oldest of all. */
static enum kd_status take_item(struct kd_traffic *t, json_t *request, struct kd_traffic_item *ret,
				struct kd_error *err)
{
	uint64_t id = 0, flow = 0;
	enum kd_status s = number_of(request, "item", INT64_MAX, &id, err);

	if (s == KD_OK)
		s = number_of(request, "flow", INT64_MAX, &flow, err);
	if (s == KD_OK && !id && flow)
		s = oldest_of_flow(t, flow, &id, err);
	return s == KD_OK ? kd_traffic_item_get(t, id, ret, err) : s;
}

static enum kd_status op_held(const struct traffic_place *place, json_t *request, json_t *answer,
			      struct kd_error *err)
{
	APP_CLEANUP(app_freep) uint64_t *ids = NULL;
	json_t *list = json_array();
	uint64_t flow = 0;
	size_t n = 0;
	enum kd_status s = number_of(request, "flow", INT64_MAX, &flow, err);

	if (s == KD_OK)
		s = kd_traffic_held(place->t, &ids, &n, err);
	for (size_t i = 0; i < n && json_array_size(list) < TRAFFIC_HELD_MAX; i++) {
		struct kd_traffic_item item;
		json_t *o;

		if (kd_traffic_item_get(place->t, ids[i], &item, NULL) != KD_OK)
			continue; /* it went meanwhile */
		if (!flow || item.flow == flow) {
			o = data_append_object(list);
			data_integer(o, "id", (long long)item.id);
			data_integer(o, "flow", (long long)item.flow);
			data_integer(o, "pid", item.pid);
			data_integer(o, "size", (long long)item.n_bytes);
			data_bool(o, "is_inbound", item.is_inbound);
			data_bool(o, "is_end", item.is_end);
			data_bool(o, "is_edited", item.is_edited);
		}
		free(item.bytes);
	}
	json_object_set_new(answer, "items", list);
	data_integer(answer, "held_now", (long long)n);
	return s;
}

static enum kd_status op_item(const struct traffic_place *place, json_t *request, json_t *answer,
			      struct kd_error *err)
{
	struct kd_traffic_item item;
	json_t *o;
	enum kd_status s = take_item(place->t, request, &item, err);

	if (s != KD_OK)
		return s;
	o = json_object();
	traffic_item_json(o, &item);
	json_object_set_new(answer, "item", o);
	free(item.bytes);
	return KD_OK;
}

static enum kd_status op_edit(const struct traffic_place *place, json_t *request, json_t *answer,
			      struct kd_error *err)
{
	APP_CLEANUP(payload_free) struct payload p = { NULL, 0 };
	struct kd_traffic_item item;
	enum kd_status s = bytes_of(request, &p, err);

	if (s == KD_OK)
		s = take_item(place->t, request, &item, err);
	if (s != KD_OK)
		return s;
	free(item.bytes);
	data_integer(answer, "item", (long long)item.id);
	return kd_traffic_edit(place->t, item.id, p.bytes, p.size, err);
}

enum kd_status traffic_pass_all(struct kd_traffic *t, uint64_t flow, const char *by, size_t *n_ret,
				struct kd_error *err)
{
	APP_CLEANUP(app_freep) uint64_t *ids = NULL;
	size_t n = 0;
	enum kd_status s = kd_traffic_held(t, &ids, &n, err);

	*n_ret = 0;
	for (size_t i = 0; i < n && s == KD_OK; i++) {
		if (flow && flow_of_item(t, ids[i]) != flow)
			continue;
		s = kd_traffic_decide(t, ids[i], KD_VERDICT_PASS, by, err);
		*n_ret += s == KD_OK;
		if (s == KD_E_NOT_FOUND)
			s = KD_OK; /* it went meanwhile */
	}
	return s;
}

static enum kd_status decide(const struct traffic_place *place, json_t *request, json_t *answer,
			     enum kd_verdict verdict, struct kd_error *err)
{
	struct kd_traffic_item item;
	enum kd_status s = take_item(place->t, request, &item, err);

	if (s != KD_OK)
		return s;
	free(item.bytes);
	data_integer(answer, "item", (long long)item.id);
	return kd_traffic_decide(place->t, item.id, verdict, text_of(request, "by"), err);
}

static enum kd_status op_pass(const struct traffic_place *place, json_t *request, json_t *answer,
			      struct kd_error *err)
{
	uint64_t flow;
	size_t n;
	enum kd_status s = number_of(request, "flow", INT64_MAX, &flow, err);

	if (s != KD_OK || !json_is_true(json_object_get(request, "all")))
		return s == KD_OK ? decide(place, request, answer, KD_VERDICT_PASS, err) : s;
	s = traffic_pass_all(place->t, flow, text_of(request, "by"), &n, err);
	data_integer(answer, "passed", (long long)n);
	return s;
}

static enum kd_status op_drop(const struct traffic_place *place, json_t *request, json_t *answer,
			      struct kd_error *err)
{
	return decide(place, request, answer, KD_VERDICT_DROP, err);
}

static enum kd_status op_reset(const struct traffic_place *place, json_t *request, json_t *answer,
			       struct kd_error *err)
{
	return decide(place, request, answer, KD_VERDICT_RESET, err);
}

static enum kd_status op_inject(const struct traffic_place *place, json_t *request, json_t *answer,
				struct kd_error *err)
{
	APP_CLEANUP(payload_free) struct payload p = { NULL, 0 };
	bool is_end = json_is_true(json_object_get(request, "is_end"));
	bool inbound = json_is_true(json_object_get(request, "is_inbound"));
	uint64_t flow;
	enum kd_status s = number_of(request, "flow", INT64_MAX, &flow, err);

	if (s == KD_OK && !(is_end && !json_object_get(request, "bytes")))
		s = bytes_of(request, &p, err);
	if (s == KD_OK)
		s = kd_traffic_inject(place->t, flow, inbound, p.bytes, p.size, is_end, err);
	data_integer(answer, "size", (long long)p.size);
	return s;
}

/* --- what is shown and held --- */

/* A member that is not there leaves its text as it was. */
static enum kd_status op_filter(const struct traffic_place *place, json_t *request, json_t *answer,
				struct kd_error *err)
{
	json_t *filter = json_object_get(request, "filter");
	json_t *intercept = json_object_get(request, "intercept");
	const char *texts[2] = { *place->filter, *place->intercept };
	char *kept[2];
	enum kd_status s;

	if ((filter && !json_is_string(filter)) || (intercept && !json_is_string(intercept)))
		return app_error(err, KD_E_INVALID, "\"filter\" and \"intercept\" are texts");
	if (filter)
		texts[0] = json_string_value(filter);
	if (intercept)
		texts[1] = json_string_value(intercept);
	s = kd_traffic_set_filter(place->t, texts[0], texts[1], err);
	/* a driver that stands still takes it when it runs again */
	data_bool(answer, "is_pending", s == KD_E_TIMEOUT);
	if (s != KD_OK && s != KD_E_TIMEOUT)
		return s;
	kept[0] = app_strdup(texts[0] ? texts[0] : "");
	kept[1] = app_strdup(texts[1] ? texts[1] : "");
	free(*place->filter);
	free(*place->intercept);
	*place->filter = kept[0];
	*place->intercept = kept[1];
	return KD_OK;
}

static enum kd_status op_mode(const struct traffic_place *place, json_t *request, json_t *answer,
			      struct kd_error *err)
{
	int mode = word_of(request, "mode", mode_names, APP_ARRAY_LEN(mode_names), -1);

	(void)answer;
	if (mode < 0)
		return app_error(err, KD_E_INVALID, "\"mode\" is off, capture or intercept");
	return kd_traffic_set_mode(place->t, (enum kd_traffic_mode)mode, err);
}

static enum kd_status op_flow_mode(const struct traffic_place *place, json_t *request,
				   json_t *answer, struct kd_error *err)
{
	int mode = word_of(request, "mode", flow_modes, APP_ARRAY_LEN(flow_modes), -1);
	uint64_t flow;
	enum kd_status s = number_of(request, "flow", INT64_MAX, &flow, err);

	(void)answer;
	if (mode < 0)
		return app_error(err, KD_E_INVALID,
				 "\"mode\" is filtered, ignored, shown, held or released");
	return s == KD_OK ? kd_traffic_set_flow_mode(place->t, flow,
						     (enum kd_traffic_flow_mode)mode, err)
			  : s;
}

enum kd_status traffic_op_options(json_t *request, struct kd_traffic_options *ret,
				  struct kd_error *err)
{
	static const char *const channels[] = { "auto", "ram", "stops" };
	int mode = word_of(request, "mode", mode_names, APP_ARRAY_LEN(mode_names),
			   KD_TRAFFIC_CAPTURE);
	int channel = word_of(request, "channel", channels, APP_ARRAY_LEN(channels),
			      KD_TRAFFIC_AUTO);
	struct kd_traffic_options o = KD_TRAFFIC_OPTIONS_INIT;
	uint64_t hold_ms, silence_ms;
	enum kd_status s = number_of(request, "hold_ms", UINT32_MAX, &hold_ms, err);

	if (s == KD_OK)
		s = number_of(request, "silence_ms", UINT32_MAX, &silence_ms, err);
	if (s != KD_OK)
		return s;
	if (mode < 0 || channel < 0)
		return app_error(err, KD_E_INVALID,
				 "\"mode\" is off, capture or intercept, \"channel\" is auto, ram "
				 "or stops");
	o.mode = (enum kd_traffic_mode)mode;
	o.channel = (enum kd_traffic_channel)channel;
	o.filter = text_of(request, "filter");
	o.intercept = text_of(request, "intercept");
	o.fail_closed = json_is_true(json_object_get(request, "fail_closed"));
	o.hold_ms = (uint32_t)hold_ms;
	o.silence_ms = (uint32_t)silence_ms;
	*ret = o;
	return KD_OK;
}

/* --- all of them --- */

typedef enum kd_status (*op_fn)(const struct traffic_place *place, json_t *request, json_t *answer,
				struct kd_error *err);

static const struct {
	const char *name;
	op_fn run;
} operations[] = {
	{ "traffic-status", op_status }, { "traffic-flows", op_flows },
	{ "traffic-held", op_held },     { "traffic-item", op_item },
	{ "traffic-edit", op_edit },     { "traffic-pass", op_pass },
	{ "traffic-drop", op_drop },     { "traffic-reset", op_reset },
	{ "traffic-inject", op_inject }, { "traffic-filter", op_filter },
	{ "traffic-mode", op_mode },     { "traffic-flow-mode", op_flow_mode },
};

static op_fn find(const char *op)
{
	for (size_t i = 0; i < APP_ARRAY_LEN(operations); i++)
		if (strcmp(operations[i].name, op) == 0)
			return operations[i].run;
	return NULL;
}

bool traffic_op_is_known(const char *op)
{
	return find(op) != NULL;
}

enum kd_status traffic_op(const struct traffic_place *place, const char *op, json_t *request,
			  json_t *answer, struct kd_error *err)
{
	op_fn run = find(op);

	return run ? run(place, request, answer, err)
		   : app_error(err, KD_E_UNSUPPORTED, "there is no request \"%s\"", op);
}
