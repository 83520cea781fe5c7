/* SPDX-License-Identifier: MIT */
/* !traffic !flows !strace !packet !pass !drop !inject !crashflt */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openkd/error.h>
#include <openkd/mutator.h>

#include "apps/kd/console.h"
#include "apps/kd/crash_filter.h"
#include "apps/kd/dump.h"
#include "apps/kd/families.h"
#include "apps/kd/payload.h"
#include "apps/kd/traffic.h"
#include "apps/kd/traffic_ops.h"

/* --- !traffic --- */

static void show_waits(struct call *call, const struct kd_traffic_counters *c)
{
	if (c->wait_ns_median)
		out_printf(call->out,
			   "Held to released by a verdict: median %.0f us, 99 %% within %.0f us\n",
			   (double)c->wait_ns_median / 1e3, (double)c->wait_ns_p99 / 1e3);
}

static void show_counters(struct call *call, const struct kd_traffic_counters *c)
{
	const struct {
		uint64_t value;
		const char *text;
		bool always;
	} rows[] = {
		{ c->flows_now, "flows now", true },
		{ c->flows, "flows since the driver started", true },
		{ c->items, "payloads seen by the driver", true },
		{ c->bytes, "bytes in them", true },
		{ c->shown, "payloads shown", true },
		{ c->shown_bytes, "bytes in them", true },
		{ c->held_now, "held now", true },
		{ c->held, "held in all", true },
		{ c->passed, "passed", false },
		{ c->edited, "edited", false },
		{ c->dropped, "dropped", false },
		{ c->reset, "connections reset", false },
		{ c->injected, "injected", false },
		{ c->lost, "NOT shown: the ring was full", false },
		{ c->auto_timeout, "passed by themselves: held too long", false },
		{ c->auto_memory, "passed by themselves: too much was held", false },
		{ c->auto_silence, "passed by themselves: no debugger", false },
		{ c->auto_ring, "passed by themselves: the ring was full", false },
		{ c->ended, "held when their connection ended", false },
		{ c->refused, "orders the driver did not understand", false },
		{ c->inject_errors, "refused by the guest's TCP/IP", false },
		{ c->n_streams, "streams open", true },
		{ c->stream_packets, "packets written to streams", false },
		{ c->stream_left_out, "left out for slow readers", false },
	};

	for (size_t i = 0; i < APP_ARRAY_LEN(rows); i++)
		if (rows[i].always || rows[i].value)
			out_printf(call->out, "  %12" PRIu64 "  %s\n", rows[i].value, rows[i].text);
}

static enum kd_status traffic_status(struct call *call)
{
	struct kd_traffic_counters c;
	struct kd_traffic *t;
	enum kd_status s = traffic_get(call, &t);
	struct traffic *ours = &call->con->traffic;
	struct traffic_place place;

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s != KD_OK)
		return s;
	kd_traffic_counters(t, &c);
	place = (struct traffic_place){ t, &ours->filter, &ours->intercept };
	if (call_object(call))
		traffic_op_status(&place, call->data);
	out_printf(call->out, "Mode: %s%s, through %s%s\n", traffic_mode_name(c.mode),
		   ours->is_closed ? ", closed" : "", traffic_channel_text(c.channel),
		   c.is_alive              ? ""
		   : call->con->is_stopped ? "; the target is stopped"
					   : "; the driver is silent");
	out_printf(call->out, "Shown: %s\n",
		   ours->filter && *ours->filter ? ours->filter : "everything");
	if (c.mode == KD_TRAFFIC_INTERCEPT)
		out_printf(call->out, "Held: %s%s\n",
			   ours->intercept && *ours->intercept ? ours->intercept
							       : "everything that is shown",
			   ours->intercept && *ours->intercept && ours->filter && *ours->filter
				   ? " (of what is shown)"
				   : "");
	show_counters(call, &c);
	show_waits(call, &c);
	return KD_OK;
}

static void keep_text(char **to, char *text)
{
	free(*to);
	*to = text;
}

/* The words before the filter, in any order. */
static void take_start_words(struct call *call, struct kd_traffic_options *o)
{
	bool more = true;

	while (more) {
		if (args_take(&call->args, "intercept"))
			o->mode = KD_TRAFFIC_INTERCEPT;
		else if (args_take(&call->args, "capture"))
			o->mode = KD_TRAFFIC_CAPTURE;
		else if (args_take(&call->args, "ram"))
			o->channel = KD_TRAFFIC_RAM;
		else if (args_take(&call->args, "stops"))
			o->channel = KD_TRAFFIC_STOPS;
		else if (args_take(&call->args, "closed"))
			o->fail_closed = true;
		else
			more = false;
	}
}

static enum kd_status traffic_begin(struct call *call)
{
	struct kd_traffic_options options = KD_TRAFFIC_OPTIONS_INIT;
	struct traffic *ours = &call->con->traffic;
	APP_CLEANUP(app_freep) char *text = NULL;

	if (ours->t)
		return call_fail(call, KD_E_EXISTS,
				 "traffic is looked at already: !traffic stop ends it");
	take_start_words(call, &options);
	text = args_rest(&call->args);
	if (options.mode == KD_TRAFFIC_INTERCEPT)
		options.intercept = text;
	else
		options.filter = text;
	return traffic_start(call, &options);
}

static enum kd_status traffic_end(struct call *call)
{
	struct kd_traffic *t;
	enum kd_status s = args_done(&call->args);

	if (s == KD_OK)
		s = traffic_get(call, &t);
	if (s != KD_OK)
		return s;
	traffic_stop(call->con);
	out_printf(call->out, "Traffic is not looked at any more\n");
	return KD_OK;
}

static enum kd_status set_filter(struct call *call, bool is_intercept)
{
	struct traffic *ours = &call->con->traffic;
	struct kd_traffic *t;
	enum kd_status s = traffic_get(call, &t);
	struct kd_traffic_counters now;
	bool is_pending;
	char *text;

	if (s != KD_OK)
		return s;
	text = args_rest(&call->args);
	s = kd_traffic_set_filter(t, is_intercept ? ours->filter : text,
				  is_intercept ? text : ours->intercept, call->err);
	is_pending = s == KD_E_TIMEOUT;
	if (s != KD_OK && !is_pending) {
		free(text);
		return s;
	}
	keep_text(is_intercept ? &ours->intercept : &ours->filter, text);
	kd_traffic_counters(t, &now);
	out_printf(call->out, "%s: %s%s\n", is_intercept ? "Held" : "Shown",
		   *text          ? text
		   : is_intercept ? "everything that is shown"
				  : "everything",
		   is_pending ? " (from when the target runs again)" : "");
	if (!is_intercept && *text && now.mode == KD_TRAFFIC_INTERCEPT)
		out_printf(call->out, "Nothing else is held, either\n");
	return KD_OK;
}

static enum kd_status traffic_filter(struct call *call)
{
	return set_filter(call, false);
}

static enum kd_status traffic_intercept(struct call *call)
{
	struct kd_traffic *t;
	enum kd_status s = traffic_get(call, &t);

	if (s != KD_OK)
		return s;
	if (args_take(&call->args, "off")) {
		s = args_done(&call->args);
		return s == KD_OK ? kd_traffic_set_mode(t, KD_TRAFFIC_CAPTURE, call->err) : s;
	}
	args_take(&call->args, "on");
	if (!args_at_end(&call->args))
		s = set_filter(call, true);
	return s == KD_OK ? kd_traffic_set_mode(t, KD_TRAFFIC_INTERCEPT, call->err) : s;
}

static enum kd_status traffic_save(struct call *call)
{
	APP_CLEANUP(app_freep) char *path = args_string(&call->args);
	struct kd_traffic *t;
	enum kd_status s = traffic_get(call, &t);

	if (s != KD_OK)
		return s;
	if (!path)
		return call_fail(call, KD_E_SYNTAX, "!traffic save FILE");
	s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_traffic_save(t, path, call->err);
	if (s == KD_OK)
		out_printf(call->out, "Saved the last traffic to %s\n", path);
	return s;
}

static enum kd_status traffic_stream(struct call *call)
{
	APP_CLEANUP(app_freep) char *path = args_string(&call->args);
	struct kd_stream_options options = KD_STREAM_OPTIONS_INIT;
	struct stat st;
	struct kd_traffic *t;
	uint64_t megabytes = 0, keep = 0;
	enum kd_status s = traffic_get(call, &t);
	unsigned id;

	if (s != KD_OK)
		return s;
	if (!path)
		return call_fail(call, KD_E_SYNTAX, "!traffic stream FILE [MEGABYTES [KEEP]]");
	s = traffic_take_number(call, 0, UINT64_MAX >> 20, &megabytes);
	if (s == KD_OK)
		s = traffic_take_number(call, 0, UINT_MAX, &keep);
	if (s == KD_OK)
		s = args_done(&call->args);
	options.path = path;
	options.rotate_size = megabytes << 20;
	options.rotate_keep = (unsigned)keep;
	if (s == KD_OK && stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
		console_note(call->con, "%s is a FIFO: its reader is waited for, 10 s at most",
			     path);
	if (s == KD_OK)
		s = kd_traffic_add_stream(t, &options, &id, call->err);
	if (s != KD_OK)
		return s;
	out_printf(call->out, "Stream %u: %s\n", id, path);
	data_integer(call_object(call), "stream", id);
	return KD_OK;
}

static enum kd_status traffic_unstream(struct call *call)
{
	struct kd_traffic *t;
	uint64_t id;
	enum kd_status s = traffic_get(call, &t);

	if (s == KD_OK)
		s = args_at_end(&call->args)
			    ? call_fail(call, KD_E_SYNTAX, "!traffic unstream NUMBER")
			    : traffic_take_number(call, 0, UINT_MAX, &id);
	if (s == KD_OK)
		s = args_done(&call->args);
	return s == KD_OK ? kd_traffic_remove_stream(t, (unsigned)id, call->err) : s;
}

static enum kd_status run_traffic(struct call *call)
{
	static const struct {
		const char *word;
		enum kd_status (*run)(struct call *call);
	} verbs[] = {
		{ "start", traffic_begin },         { "stop", traffic_end },
		{ "status", traffic_status },       { "filter", traffic_filter },
		{ "intercept", traffic_intercept }, { "save", traffic_save },
		{ "stream", traffic_stream },       { "unstream", traffic_unstream },
	};

	if (args_at_end(&call->args))
		return traffic_status(call);
	for (size_t i = 0; i < APP_ARRAY_LEN(verbs); i++)
		if (args_take(&call->args, verbs[i].word))
			return verbs[i].run(call);
	return call_fail(call, KD_E_SYNTAX,
			 "start, stop, status, filter, intercept, save, stream or unstream is "
			 "expected");
}

/* --- !flows --- */

static void show_flow(struct call *call, json_t *list, const struct kd_traffic_flow *f)
{
	json_t *o = data_append_object(list);
	char local[64], remote[64];

	traffic_end_text(local, sizeof(local), f->local, f->local_port, f->family);
	traffic_end_text(remote, sizeof(remote), f->remote, f->remote_port, f->family);
	out_printf(call->out,
		   "%5" PRIu64 "  %-16s %6u  %s%u  %-23s %s %-23s %10" PRIu64 " %10" PRIu64
		   " %5u  %s%s\n",
		   f->id, f->process, f->pid, f->protocol == 6 ? "tcp" : "udp", f->family, local,
		   f->is_inbound ? "<-" : "->", remote, f->bytes_out, f->bytes_in, f->held,
		   traffic_flow_state(f), f->is_loopback ? ", loopback" : "");
	traffic_flow_json(o, f);
}

static enum kd_status run_flows(struct call *call)
{
	bool all = args_take(&call->args, "all");
	APP_CLEANUP(app_freep) struct kd_traffic_flow *flows = NULL;
	struct kd_traffic *t;
	size_t n = 0, n_open = 0;
	enum kd_status s = traffic_get(call, &t);
	json_t *list;

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_traffic_flows(t, &flows, &n, call->err);
	if (s != KD_OK)
		return s;
	list = call_array(call);
	out_printf(call->out, "%5s  %-16s %6s  %-4s  %-23s    %-23s %10s %10s %5s  %s\n", "flow",
		   "process", "pid", "", "local", "remote", "out", "in", "held", "state");
	for (size_t i = 0; i < n; i++) {
		n_open += flows[i].state == KD_TRAFFIC_FLOW_OPEN;
		if (all || flows[i].state == KD_TRAFFIC_FLOW_OPEN)
			show_flow(call, list, &flows[i]);
	}
	out_printf(call->out, "%zu open, %zu closed lately%s\n", n_open, n - n_open,
		   all || n == n_open ? "" : " (!flows all)");
	return KD_OK;
}

/* --- items --- */

/* `/i ID`, else the one that stopped us, else the oldest that is held. */
static enum kd_status take_item(struct call *call, struct kd_traffic **t,
				struct kd_traffic_item *item)
{
	uint64_t id = call->con->traffic.current;
	char letter[8];
	enum kd_status s = traffic_get(call, t);

	if (s == KD_OK && args_switch(&call->args, '/', letter, sizeof(letter))) {
		if (strcmp(letter, "i") != 0 || args_at_end(&call->args))
			return call_fail(call, KD_E_SYNTAX, "/i ID is the only switch");
		s = traffic_take_number(call, 0, UINT64_MAX, &id);
		if (s == KD_OK && id == 0)
			return call_fail(call, KD_E_SYNTAX, "0 is no item");
	}
	return s == KD_OK ? kd_traffic_item_get(*t, id, item, call->err) : s;
}

static void show_item(struct call *call, struct kd_traffic *t, const struct kd_traffic_item *item)
{
	static const struct dump_options options = { .pointer_size = 4 };
	uint8_t valid[256];
	struct kd_traffic_flow flow;
	struct text text = TEXT_INIT;
	json_t *o = call_object(call);

	memset(valid, 1, sizeof(valid));
	out_printf(call->out, "Item %" PRIu64 ", %zu bytes%s %s%s", item->id, item->n_bytes,
		   item->is_edited ? " (edited)" : "", item->is_inbound ? "in" : "out",
		   item->is_end ? ", the end of the stream" : "");
	if (kd_traffic_flow_get(t, item->flow, &flow, NULL) == KD_OK)
		out_printf(call->out, ", flow %" PRIu64 " %s", flow.id, traffic_flow_text(&flow).s);
	out_printf(call->out, "\n");
	for (size_t at = 0; at < item->n_bytes; at += sizeof(valid)) {
		struct dump_block b = { at, item->bytes + at, valid,
					APP_MIN(item->n_bytes - at, sizeof(valid)) };

		dump_lines(&text, dump_format_find("b"), &b, &options);
	}
	out_text(call->out, text_string(&text), text.size);
	traffic_item_json(o, item);
	text_free(&text);
}

/* One word: what follows may begin with + or -. */
static enum kd_status take_offset(struct call *call, uint64_t *ret)
{
	char word[64];
	const char *end;
	enum kd_status s;

	if (!args_word(&call->args, word, sizeof(word)))
		return call_fail(call, KD_E_SYNTAX, "an offset is missing");
	s = console_evaluate(call->con, word, &end, ret, call->err);
	if (s != KD_OK || *end) /* a name, which only a stopped target has a value for */
		return call_fail(call, KD_E_SYNTAX, "%s is no offset: hexadecimal numbers are",
				 word);
	return KD_OK;
}

/* OFFSET text, OFFSET +text, OFFSET -SIZE; SIZE. All numbers are hexadecimal. */
static enum kd_status edit_at(struct call *call, struct payload *p)
{
	APP_CLEANUP(payload_free) struct payload what = { NULL, 0 };
	APP_CLEANUP(app_freep) char *rest = NULL;
	uint64_t offset, size;
	const char *text;
	enum kd_status s = take_offset(call, &offset);

	if (s != KD_OK)
		return s;
	if (args_at_end(&call->args))
		return payload_resize(p, offset, call->err);
	if (args_take_char(&call->args, '-')) {
		s = args_value(&call->args, &size);
		return s == KD_OK ? payload_remove(p, offset, size, call->err) : s;
	}
	rest = args_rest(&call->args);
	text = *rest == '+' ? rest + 1 : rest;
	s = payload_unescape(text, &what, call->err);
	if (s != KD_OK)
		return s;
	return *rest == '+' ? payload_insert(p, offset, &what, call->err)
			    : payload_overwrite(p, offset, &what, call->err);
}

static enum kd_status edit_hex(struct call *call, struct payload *p)
{
	APP_CLEANUP(payload_free) struct payload what = { NULL, 0 };
	APP_CLEANUP(app_freep) char *rest = NULL;
	uint64_t offset;
	enum kd_status s = take_offset(call, &offset);

	rest = args_rest(&call->args);
	if (s == KD_OK)
		s = payload_from_hex(rest, &what, call->err);
	return s == KD_OK ? payload_overwrite(p, offset, &what, call->err) : s;
}

static enum kd_status edit(struct call *call, struct payload *p)
{
	if (args_take(&call->args, "file")) {
		APP_CLEANUP(app_freep) char *path = args_string(&call->args);

		enum kd_status s = path ? args_done(&call->args)
					: call_fail(call, KD_E_SYNTAX, "!packet file PATH");

		if (s != KD_OK)
			return s;
		payload_free(p);
		return payload_from_file(path, p, call->err);
	}
	if (args_take(&call->args, "hex"))
		return edit_hex(call, p);
	return edit_at(call, p);
}

static enum kd_status run_packet(struct call *call)
{
	struct payload p;
	struct kd_traffic *t;
	struct kd_traffic_item item;
	enum kd_status s = take_item(call, &t, &item);

	if (s != KD_OK)
		return s;
	if (args_at_end(&call->args)) {
		show_item(call, t, &item);
		free(item.bytes);
		return KD_OK;
	}
	p = (struct payload){ item.bytes, item.n_bytes };
	s = edit(call, &p);
	if (s == KD_OK)
		s = kd_traffic_edit(t, item.id, p.bytes, p.size, call->err);
	if (s == KD_OK)
		out_printf(call->out, "Item %" PRIu64 ": original %zu bytes -> %zu bytes\n",
			   item.id, item.original_size, p.size);
	payload_free(&p);
	return s;
}

static enum kd_status decide(struct call *call, enum kd_verdict verdict, const char *word)
{
	struct kd_traffic *t;
	struct kd_traffic_item item;
	enum kd_status s = take_item(call, &t, &item);

	if (s != KD_OK)
		return s;
	s = args_done(&call->args);
	if (s == KD_OK)
		s = kd_traffic_decide(t, item.id, verdict, "user", call->err);
	if (s == KD_OK)
		out_printf(call->out, "Item %" PRIu64 " %s\n", item.id, word);
	if (call->con->traffic.current == item.id)
		call->con->traffic.current = 0;
	free(item.bytes);
	return s;
}

static enum kd_status pass_all(struct call *call)
{
	struct kd_traffic *t;
	size_t n = 0;
	enum kd_status s = traffic_get(call, &t);

	if (s == KD_OK)
		s = args_done(&call->args);
	if (s == KD_OK)
		s = traffic_pass_all(t, 0, "user", &n, call->err);
	if (s == KD_OK)
		out_printf(call->out, "%zu %s passed\n", n, n == 1 ? "item" : "items");
	return s;
}

static enum kd_status run_pass(struct call *call)
{
	if (args_take(&call->args, "all"))
		return pass_all(call);
	return decide(call, KD_VERDICT_PASS, "passed");
}

static enum kd_status run_drop(struct call *call)
{
	if (args_take(&call->args, "connection"))
		return decide(call, KD_VERDICT_RESET, "dropped, its connection reset");
	return decide(call, KD_VERDICT_DROP, "dropped");
}

/* --- !strace --- */

static enum kd_status run_strace(struct call *call)
{
	struct traffic *ours = &call->con->traffic;
	enum kd_status s;

	if (args_take(&call->args, "off")) {
		bool was_capture = ours->stops && ours->was_capture;

		s = args_done(&call->args);
		if (s != KD_OK)
			return s;
		ours->stops = false;
		/* back to what was: who intercepted before goes on to */
		return ours->t && was_capture
			       ? kd_traffic_set_mode(ours->t, KD_TRAFFIC_CAPTURE, call->err)
			       : KD_OK;
	}
	if (!args_take(&call->args, "on")) {
		s = args_done(&call->args);
		if (s == KD_OK)
			out_printf(call->out, "Stopping at each payload that matches is %s\n",
				   ours->stops ? "on" : "off");
		return s;
	}
	s = args_done(&call->args);
	if (s == KD_OK && !ours->stops) {
		struct kd_traffic_counters c = { .mode = KD_TRAFFIC_OFF };

		if (ours->t)
			kd_traffic_counters(ours->t, &c);
		ours->was_capture = c.mode != KD_TRAFFIC_INTERCEPT;
	}
	if (s == KD_OK)
		s = traffic_start_holding(call);
	ours->stops = s == KD_OK;
	return s;
}

/* --- !inject --- */

static enum kd_status take_payload(struct call *call, struct payload *p, bool *is_end)
{
	APP_CLEANUP(app_freep) char *text = NULL;
	struct args ahead = call->args;

	*is_end = args_take(&ahead, "end") && args_at_end(&ahead); /* else it is a text */
	if (*is_end) {
		*p = (struct payload){ NULL, 0 };
		call->args = ahead;
		return KD_OK;
	}
	if (args_take(&call->args, "file")) {
		enum kd_status s;

		text = args_string(&call->args);
		s = text ? args_done(&call->args)
			 : call_fail(call, KD_E_SYNTAX, "a file is missing");
		return s == KD_OK ? payload_from_file(text, p, call->err) : s;
	}
	if (args_take(&call->args, "hex")) {
		text = args_rest(&call->args);
		return payload_from_hex(text, p, call->err);
	}
	text = args_rest(&call->args);
	if (!*text)
		return call_fail(call, KD_E_SYNTAX,
				 "what shall be injected: text, file PATH, hex BYTES, or end");
	return payload_unescape(text, p, call->err);
}

static enum kd_status run_inject(struct call *call)
{
	APP_CLEANUP(payload_free) struct payload p = { NULL, 0 };
	struct kd_traffic *t;
	bool is_end, inbound;
	uint64_t flow;
	enum kd_status s = traffic_get(call, &t);

	if (s == KD_OK)
		s = traffic_take_number(call, 0, UINT64_MAX, &flow);
	if (s != KD_OK)
		return s;
	if (flow == 0)
		return call_fail(call, KD_E_SYNTAX, "the number of a flow is expected (!flows)");
	inbound = args_take(&call->args, "in");
	if (!inbound && !args_take(&call->args, "out"))
		return call_fail(call, KD_E_SYNTAX,
				 "out (to the peer) or in (to the program) is expected");
	s = take_payload(call, &p, &is_end);
	if (s == KD_OK)
		s = kd_traffic_inject(t, flow, inbound, p.bytes, p.size, is_end, call->err);
	if (s == KD_OK)
		out_printf(call->out, "%zu bytes %s on their way\n", p.size,
			   inbound ? "to the program" : "to the peer");
	return s;
}

/* --- !crashflt --- */

static enum kd_status crash_replay(struct call *call)
{
	APP_CLEANUP(app_freep) char *folder = args_string(&call->args);
	struct traffic *ours = &call->con->traffic;
	char path[1100];
	enum kd_status s;

	if (!folder)
		return call_fail(call, KD_E_SYNTAX, "!crashflt replay FOLDER");
	s = args_done(&call->args);
	if (s != KD_OK)
		return s;
	snprintf(path, sizeof(path), "%s/traffic.replay", folder);
	s = access(path, R_OK) == 0
		    ? traffic_start_holding(call)
		    : call_fail(call, KD_E_NOT_FOUND, "%s: %s", path, strerror(errno));
	if (s == KD_OK && !ours->mutators)
		s = kd_mutators_create(ours->t, &ours->mutators, call->err);
	if (s == KD_OK)
		s = kd_mutators_replay(ours->mutators, path, call->err);
	if (s == KD_OK)
		out_printf(call->out,
			   "Each payload of the flows in %s becomes what it was, from now "
			   "on; !mutator tells how far it is.\nThe mode is intercept; "
			   "!mutator replay off and !traffic intercept off end it\n",
			   path);
	return s;
}

static void show_crash_filter(struct call *call)
{
	const struct traffic *ours = &call->con->traffic;
	char folder[1024] = "";

	if (!ours->crash_pattern) {
		out_printf(call->out, "Crashes are not saved\n");
		return;
	}
	crash_filter_folder(ours->crash_folder, folder, sizeof(folder), NULL);
	out_printf(call->out, "Crashes of %s are saved in %s\n", ours->crash_pattern, folder);
}

static enum kd_status run_crashflt(struct call *call)
{
	struct traffic *ours = &call->con->traffic;
	char *pattern, *folder, path[1024];
	enum kd_status s;

	if (args_at_end(&call->args)) {
		show_crash_filter(call);
		return KD_OK;
	}
	if (args_take(&call->args, "replay"))
		return crash_replay(call);
	pattern = args_string(&call->args);
	folder = args_string(&call->args);
	s = args_done(&call->args);
	if (s == KD_OK && folder)
		s = crash_filter_folder(folder, path, sizeof(path), call->err);
	if (s != KD_OK) {
		free(pattern);
		free(folder);
		return s;
	}
	if (pattern && strcmp(pattern, "off") == 0) {
		free(pattern);
		pattern = NULL;
	}
	keep_text(&ours->crash_pattern, pattern);
	keep_text(&ours->crash_folder, folder);
	show_crash_filter(call);
	return KD_OK;
}

/* clang-format off */
static const struct command commands[] = {
	{ "!traffic", "!traffic [status]\n!traffic start [capture | intercept] [ram | stops] [closed] [FILTER]\n!traffic stop\n"
	  "!traffic filter [FILTER]\n!traffic intercept [on | off | FILTER]\n"
	  "!traffic save FILE\n!traffic stream FILE [MEGABYTES [KEEP]]\n!traffic unstream N",
	  "Look at the traffic of the target's programs, while it runs\n"
	  "The target has netprobe.sys loaded (docs/traffic.md). FILTER is a tcpdump expression, with conditions on "
	  "flows in brackets before it: [process=chrome* out] tcp port 80. What is intercepted waits for !pass, "
	  "!drop or an edit with !packet.",
	  "!traffic start intercept [process=web*] tcp port 80", "traffic", CMD_LIVE, WORDS_NONE, run_traffic, NULL,
	  NULL },
	{ "!flows", "!flows [all]", "List the flows of the target's programs\n"
	  "With all: those that closed lately too.", "!flows", "flows", CMD_LIVE, WORDS_NONE, run_flows, NULL, NULL },
	{ "!strace", "!strace [on | off]", "Stop the target at each payload that matches", "!strace on", NULL,
	  CMD_LIVE, WORDS_NONE, run_strace, NULL, NULL },
	{ "!packet", "!packet [/i ITEM]\n!packet [/i ITEM] SIZE\n!packet [/i ITEM] OFFSET TEXT\n"
	  "!packet [/i ITEM] OFFSET +TEXT\n!packet [/i ITEM] OFFSET -SIZE\n!packet [/i ITEM] hex OFFSET BYTES\n"
	  "!packet [/i ITEM] file PATH",
	  "Show or edit a payload that is held\n"
	  "Without /i: the one that stopped the target, else the one that waits longest. SIZE cuts it or fills it "
	  "with zeros, TEXT overwrites (escapes \\n \\xHH and the like), +TEXT is put in, -SIZE taken out. It goes on "
	  "with !pass.", "!packet 4 +/secret", "item", CMD_LIVE, WORDS_NONE, run_packet, NULL, NULL },
	{ "!pass", "!pass [/i ITEM]\n!pass all", "Let a held payload go on, with its edits", "!pass", NULL,
	  CMD_LIVE, WORDS_NONE, run_pass, NULL, NULL },
	{ "!drop", "!drop [/i ITEM]\n!drop connection [/i ITEM]", "Drop a held payload, or reset its connection",
	  "!drop", NULL, CMD_LIVE, WORDS_NONE, run_drop, NULL, NULL },
	{ "!inject", "!inject FLOW out | in TEXT\n!inject FLOW out | in hex BYTES\n"
	  "!inject FLOW out | in file PATH\n!inject FLOW out | in end",
	  "Put bytes of your own into a flow\nout: to the peer, in: to the program. end: the direction's FIN.",
	  "!inject 12 in hex 00 01 02", NULL, CMD_LIVE, WORDS_NONE, run_inject, NULL, NULL },
	{ "!crashflt", "!crashflt\n!crashflt PATTERN [FOLDER]\n!crashflt off\n!crashflt replay FOLDER",
	  "Save crashes with the traffic that led to them\n"
	  "When a program that matches has an unhandled exception, or the kernel bugchecks: exception, registers, stack, "
	  "modules, the last traffic and its mutations go into a folder of their own. replay does that traffic again.",
	  "!crashflt web*", NULL, CMD_LIVE, WORDS_NONE, run_crashflt, NULL, NULL },
	{ "!wireshark", "!wireshark [live]\n!wireshark FILE", "Show the traffic in Wireshark\n"
	  "live: as it comes; traffic is begun if need be. FILE: what there was lately is written to it and shown. Where "
	  "there is no display it tells what to do instead.", "!wireshark", NULL, CMD_LIVE, WORDS_NONE,
	  traffic_run_wireshark, NULL, NULL },
};
/* clang-format on */

FAMILY(family_traffic, "Traffic of the target's programs");
