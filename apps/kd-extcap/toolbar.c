/* SPDX-License-Identifier: MIT */
#include "apps/kd-extcap/toolbar.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apps/kd-extcap/query.h"
#include "apps/kd/payload.h"
#include "apps/kd/text.h"

enum { REFRESH_MS = 100, IDLE_MS = 500 };

#define BY "wireshark"

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* --- what is shown --- */

static void set_text(struct toolbar *b, enum extcap_control control, const char *text)
{
	control_send(&b->pipes, (uint8_t)control, COMMAND_SET, text, strlen(text));
}

static void set_checked(struct toolbar *b, bool checked)
{
	uint8_t byte = checked;

	control_send(&b->pipes, CONTROL_INTERCEPT, COMMAND_SET, &byte, 1);
}

static void status(struct toolbar *b, const char *text)
{
	control_send(&b->pipes, CONTROL_NONE, COMMAND_STATUS, text, strlen(text));
}

void toolbar_fail(struct toolbar *b, const char *text)
{
	control_send(&b->pipes, CONTROL_NONE, COMMAND_FAIL, text, strlen(text));
}

/* A second of the log has so many lines and no more: Wireshark would be busy with nothing else. */
static bool may_log(struct toolbar *b)
{
	long long now = now_ms();
	char text[80];

	if (now - b->second_ms >= 1000) {
		if (b->n_left_out) {
			int n = snprintf(text, sizeof(text), "... %u lines more\n", b->n_left_out);

			control_send(&b->pipes, CONTROL_LOG, COMMAND_ADD, text, (size_t)n);
		}
		b->second_ms = now;
		b->n_lines = b->n_left_out = 0;
	}
	if (b->n_lines++ < TOOLBAR_LINES_MAX)
		return true;
	b->n_left_out++;
	return false;
}

void toolbar_log(void *toolbar, const char *text)
{
	struct toolbar *b = toolbar;
	char line[1024];
	int n = snprintf(line, sizeof(line), "%.1000s\n", text);

	if (may_log(b))
		control_send(&b->pipes, CONTROL_LOG, COMMAND_ADD, line, (size_t)n);
}

/* --- asking --- */

static json_t *request(const char *op)
{
	json_t *o = json_object();

	json_object_set_new(o, "op", json_string(op));
	return o;
}

static json_t *about_flow(const struct toolbar *b, const char *op)
{
	json_t *o = request(op);

	if (b->flow)
		json_object_set_new(o, "flow", json_integer((json_int_t)b->flow));
	return o;
}

/* The answer if it is a good one; else the user is told and it is NULL. */
static json_t *ask(struct toolbar *b, json_t *o)
{
	json_t *answer = b->link ? b->link->ops->ask(b->link, o, -1) : NULL;
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (json_is_true(json_object_get(answer, "ok")))
		return answer;
	error = error ? error : "the session does not answer";
	status(b, error);
	toolbar_log(b, error);
	json_decref(answer);
	return NULL;
}

/* --- the controls --- */

static void on_intercept(struct toolbar *b, const struct control_message *m)
{
	bool on = m->size > 0 && m->payload[0];
	json_t *o = request("traffic-mode"), *answer;

	json_object_set_new(o, "mode", json_string(on ? "intercept" : "capture"));
	answer = ask(b, o);
	if (answer) {
		b->intercepts = on;
		toolbar_log(b, on ? "payloads are held" : "nothing is held any more");
	} else {
		set_checked(b, b->intercepts);
	}
	json_decref(answer);
	b->is_stale = true;
}

static void decide(struct toolbar *b, const char *op, const char *done)
{
	json_t *o = about_flow(b, op), *answer;
	char text[100];

	json_object_set_new(o, "by", json_string(BY));
	answer = ask(b, o);
	if (answer) {
		snprintf(text, sizeof(text), "item %lld %s",
			 (long long)json_integer_value(json_object_get(answer, "item")), done);
		status(b, text);
	}
	json_decref(answer);
	b->is_stale = true;
}

static void on_pass(struct toolbar *b, const struct control_message *m)
{
	(void)m;
	decide(b, "traffic-pass", "passed");
}

static void on_drop(struct toolbar *b, const struct control_message *m)
{
	(void)m;
	decide(b, "traffic-drop", "dropped");
}

static void on_pass_all(struct toolbar *b, const struct control_message *m)
{
	json_t *o = about_flow(b, "traffic-pass"), *answer;
	char text[100];

	(void)m;
	json_object_set_new(o, "all", json_true());
	json_object_set_new(o, "by", json_string(BY));
	answer = ask(b, o);
	if (answer) {
		snprintf(text, sizeof(text), "%lld items passed",
			 (long long)json_integer_value(json_object_get(answer, "passed")));
		status(b, text);
		toolbar_log(b, text);
	}
	json_decref(answer);
	b->is_stale = true;
}

static void on_edit(struct toolbar *b, const struct control_message *m)
{
	json_t *answer = ask(b, about_flow(b, "traffic-item"));
	json_t *item = json_object_get(answer, "item");
	const char *hex = json_string_value(json_object_get(item, "bytes"));
	APP_CLEANUP(payload_free) struct payload p = { NULL, 0 };
	char message[300] = "the session's answer makes no sense";

	(void)m;
	if (!answer)
		return;
	if (json_is_true(json_object_get(item, "is_end")))
		snprintf(message, sizeof(message),
			 "what waits is the end of the stream: it has no bytes");
	else if (hex && payload_from_hex(hex, &p, NULL) == KD_OK &&
		 editor_start(&b->editors,
			      (uint64_t)json_integer_value(json_object_get(item, "id")), p.bytes,
			      p.size, message, sizeof(message)))
		snprintf(message, sizeof(message), "item %lld is in the editor: save, close, Pass",
			 (long long)json_integer_value(json_object_get(item, "id")));
	status(b, message);
	toolbar_log(b, message);
	json_decref(answer);
}

static void on_hold(struct toolbar *b, const struct control_message *m)
{
	json_t *o = request("traffic-filter"), *answer;
	char text[sizeof(b->hold)];

	app_copy(text, sizeof(text), (const char *)m->payload, m->size);
	json_object_set_new(o, "intercept", json_stringn(text, strlen(text)));
	answer = ask(b, o);
	if (answer) {
		app_copy(b->hold, sizeof(b->hold), text, strlen(text));
		snprintf(text, sizeof(text), "held is: %.400s", *b->hold ? b->hold : "everything");
		status(b, text);
		toolbar_log(b, text);
	}
	json_decref(answer);
}

static void on_flow(struct toolbar *b, const struct control_message *m)
{
	char text[32];

	app_copy(text, sizeof(text), (const char *)m->payload, m->size);
	b->flow = strtoull(text, NULL, 10);
	b->is_stale = true;
}

static void on_message(void *context, const struct control_message *m)
{
	static void (*const fns[])(struct toolbar *, const struct control_message *) = {
		[CONTROL_INTERCEPT] = on_intercept, [CONTROL_PASS] = on_pass,
		[CONTROL_DROP] = on_drop,           [CONTROL_EDIT] = on_edit,
		[CONTROL_PASS_ALL] = on_pass_all,   [CONTROL_HOLD] = on_hold,
		[CONTROL_FLOW] = on_flow,
	};
	struct toolbar *b = context;

	if (m->command == COMMAND_INITIALIZED) {
		b->is_ready = b->is_stale = true;
		b->n_held = -1;
	} else if (m->command == COMMAND_SET && m->control < APP_ARRAY_LEN(fns) &&
		   fns[m->control] && b->link) {
		fns[m->control](b, m);
	}
}

void toolbar_read(struct toolbar *b)
{
	if (!control_read(&b->pipes, on_message, b) && b->pipes.in < 0)
		toolbar_log(b, "the toolbar said something that is no message: it is not heard any "
			       "more");
}

/* --- what is held --- */

static void show_count(struct toolbar *b, long long n)
{
	char text[40];

	if (n == b->n_held)
		return;
	if (n > 0)
		snprintf(text, sizeof(text), "Pass (%lld)", n);
	else
		snprintf(text, sizeof(text), "Pass");
	set_text(b, CONTROL_PASS, text);
	if (b->n_held < 0 || (n > 0) != (b->n_held > 0))
		for (int c = CONTROL_PASS; c <= CONTROL_PASS_ALL; c++)
			control_send(&b->pipes, (uint8_t)c,
				     n > 0 ? COMMAND_ENABLE : COMMAND_DISABLE, NULL, 0);
	b->n_held = n;
}

/* "17 NUL webget.exe[52] 10.0.2.2:80" */
static size_t flow_entry(const json_t *f, char *to, size_t size)
{
	int n = snprintf(to, size, "%lld%c%.40s[%lld] %.46s:%lld",
			 (long long)json_integer_value(json_object_get(f, "id")), '\0',
			 json_string_value(json_object_get(f, "process")),
			 (long long)json_integer_value(json_object_get(f, "pid")),
			 json_string_value(json_object_get(f, "remote")),
			 (long long)json_integer_value(json_object_get(f, "remote_port")));

	return APP_MIN((size_t)n, size - 1);
}

static bool is_listed(const json_t *flows, uint64_t id)
{
	size_t i;
	json_t *f;

	json_array_foreach((json_t *)flows, i, f) if ((uint64_t)json_integer_value(json_object_get(
							      f, "id")) == id) return true;
	return false;
}

static bool is_shown(const struct toolbar *b, uint64_t id)
{
	for (unsigned i = 0; i < b->n_flows; i++)
		if (b->flows[i] == id)
			return true;
	return false;
}

static void remove_flow(struct toolbar *b, unsigned i)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, b->flows[i]);
	control_send(&b->pipes, CONTROL_FLOW, COMMAND_REMOVE, text, strlen(text));
	b->flows[i] = b->flows[--b->n_flows];
}

/* The selector has the flows of which something is held, and the chosen one. */
static void show_flows(struct toolbar *b, const json_t *flows)
{
	char text[200];
	size_t i;
	json_t *f;

	for (unsigned n = b->n_flows; n-- > 0;)
		if (!is_listed(flows, b->flows[n]) && b->flows[n] != b->flow)
			remove_flow(b, n);
	json_array_foreach((json_t *)flows, i, f)
	{
		uint64_t id = (uint64_t)json_integer_value(json_object_get(f, "id"));
		size_t n;

		if (is_shown(b, id) || b->n_flows == TOOLBAR_FLOWS_MAX)
			continue;
		n = flow_entry(f, text, sizeof(text));
		control_send(&b->pipes, CONTROL_FLOW, COMMAND_ADD, text, n);
		b->flows[b->n_flows++] = id;
	}
}

static long long count_held(const struct toolbar *b, const json_t *flows)
{
	long long n = 0;
	size_t i;
	json_t *f;

	json_array_foreach((json_t *)flows, i, f)
	{
		uint64_t id = (uint64_t)json_integer_value(json_object_get(f, "id"));

		if (!b->flow || b->flow == id)
			n += json_integer_value(json_object_get(f, "held"));
	}
	return n;
}

static void show_held(struct toolbar *b)
{
	json_t *o = request("traffic-flows"), *answer, *flows;

	json_object_set_new(o, "held", json_true());
	answer = ask(b, o);
	flows = json_object_get(answer, "flows");
	if (flows) {
		show_flows(b, flows);
		show_count(b, count_held(b, flows));
	}
	json_decref(answer);
}

int toolbar_refresh(struct toolbar *b)
{
	long long now = now_ms();

	control_flush(&b->pipes);
	if (!b->is_ready || !b->link || !b->is_stale)
		return b->pipes.n_waiting ? REFRESH_MS : IDLE_MS;
	if (now - b->refreshed_ms >= REFRESH_MS) {
		b->is_stale = false;
		show_held(b);
		b->refreshed_ms = now_ms();
	}
	return REFRESH_MS;
}

/* --- events --- */

void toolbar_event(struct toolbar *b, const json_t *event)
{
	const char *kind = json_string_value(json_object_get(event, "kind"));
	const char *text = json_string_value(json_object_get(event, "text"));
	long long flow = json_integer_value(json_object_get(event, "flow"));
	long long item = json_integer_value(json_object_get(event, "item"));
	char line[300];

	if (!kind || !text || strcmp(kind, "flow") == 0)
		return;
	b->is_stale = true;
	if (strcmp(kind, "closed") == 0)
		return;
	if (strcmp(kind, "held") == 0)
		snprintf(line, sizeof(line), "item %lld of flow %lld is held", item, flow);
	else if (strcmp(kind, "done") == 0)
		snprintf(line, sizeof(line), "item %lld of flow %lld: %.200s", item, flow, text);
	else
		snprintf(line, sizeof(line), "%.20s: %.250s", kind, text);
	toolbar_log(b, line);
}

/* --- editors --- */

static json_t *edit_request(uint64_t item, const uint8_t *bytes, size_t size)
{
	struct text hex = TEXT_INIT;
	json_t *o = request("traffic-edit");

	for (size_t i = 0; i < size; i++)
		text_printf(&hex, "%02x", bytes[i]);
	json_object_set_new(o, "item", json_integer((json_int_t)item));
	json_object_set_new(o, "bytes", json_string(text_string(&hex)));
	text_free(&hex);
	return o;
}

void toolbar_reap(struct toolbar *b)
{
	uint64_t item;
	uint8_t *bytes;
	size_t size;
	char message[300], line[400];

	while (editor_ended(&b->editors, &item, &bytes, &size, message, sizeof(message))) {
		json_t *answer = bytes ? ask(b, edit_request(item, bytes, size)) : NULL;

		if (answer)
			snprintf(line, sizeof(line),
				 "item %" PRIu64 " has %zu bytes now: Pass sends "
				 "them",
				 item, size);
		else
			snprintf(line, sizeof(line), "item %" PRIu64 " is as it was%s%s", item,
				 *message ? ": " : "", message);
		status(b, line);
		toolbar_log(b, line);
		json_decref(answer);
		free(bytes);
	}
}

/* --- life --- */

void toolbar_open(struct toolbar *b, const char *in, const char *out, const char *editor)
{
	*b = (struct toolbar){ .editors.program = editor, .n_held = -1 };
	control_open(&b->pipes, in, out);
}

void toolbar_begin(struct toolbar *b, struct link *link, bool intercepts, const char *hold)
{
	b->link = link;
	b->intercepts = intercepts;
	app_copy(b->hold, sizeof(b->hold), hold ? hold : "", strlen(hold ? hold : ""));
	set_checked(b, intercepts);
	set_text(b, CONTROL_HOLD, b->hold);
	b->is_stale = true;
	/* what the user set before there was traffic waits in the pipe */
}

void toolbar_close(struct toolbar *b)
{
	editors_close(&b->editors);
	control_close(&b->pipes);
}
