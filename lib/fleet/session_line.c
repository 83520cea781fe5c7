/* SPDX-License-Identifier: MIT */
#include "lib/fleet/session_line.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/vm/qmp_message.h"

enum { PROTOCOL = 1 };

static void take_text(json_t *object, const char *name, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(object, name));

	/* What does not fit is left out whole: half an endpoint is another one. */
	if (text && strlen(text) < size)
		kd__vm_printable(text, out, size);
}

static enum kd_status take_hello(struct kd__session_state *s, json_t *line, struct kd_error *err)
{
	json_int_t pid = json_integer_value(json_object_get(line, "pid"));

	if (json_integer_value(json_object_get(line, "protocol")) > PROTOCOL)
		return kd_error_set(err, KD_E_MISMATCH, 0,
				    "the session is of a newer release than this program");
	s->has_hello = true;
	s->pid = pid > 0 && pid <= INT32_MAX ? (long)pid : 0;
	take_text(line, "endpoint", s->endpoint, sizeof s->endpoint);
	take_text(line, "state", s->state, sizeof s->state);
	return KD_OK;
}

static uint64_t number(json_t *object, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(object, name));

	return value > 0 ? (uint64_t)value : 0;
}

static enum kd_status take_status(struct kd__session_state *s, json_t *line)
{
	json_t *counters = json_object_get(line, "counters");

	s->has_status = true;
	take_text(line, "state", s->state, sizeof s->state);
	take_text(line, "os", s->os, sizeof s->os);
	if (!json_is_object(counters))
		return KD_OK;
	s->counters.is_known = true;
#define TAKE(field) s->counters.field = number(counters, #field)
	TAKE(rx_packets);
	TAKE(tx_packets);
	TAKE(rx_bytes);
	TAKE(tx_bytes);
	TAKE(stops);
	TAKE(prints);
	TAKE(round_trip_ns_median);
	TAKE(round_trip_ns_p99);
#undef TAKE
	s->counters.resyncs = number(counters, "resets");
	s->counters.resends = number(counters, "resends") + number(counters, "retransmits");
	return KD_OK;
}

static enum kd_status take(struct kd__session_state *s, json_t *line, struct kd_error *err)
{
	const char *hello = json_string_value(json_object_get(line, "hello"));

	if (!json_is_object(line))
		return kd_error_set(err, KD_E_MALFORMED, 0, "a session says JSON objects");
	if (hello)
		return strcmp(hello, "openkd") == 0
			       ? take_hello(s, line, err)
			       : kd_error_set(err, KD_E_MALFORMED, 0, "not a session of OpenKD");
	if (json_is_string(json_object_get(line, "state")) && json_object_get(line, "id"))
		return take_status(s, line);
	return KD_OK;
}

enum kd_status kd__session_line_take(struct kd__session_state *s, const char *line, size_t size,
				     struct kd_error *err)
{
	json_t *value;
	enum kd_status status;

	if (size > KD_SESSION_LINE_MAX)
		return kd_error_set(err, KD_E_MALFORMED, 0, "a line above 1 MB");
	value = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
	status = take(s, value, err);
	json_decref(value);
	return status;
}
