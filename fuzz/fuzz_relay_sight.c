/* SPDX-License-Identifier: MIT */
/*
 * What a relay sees, both directions and time by the input's bytes. Oracle: every byte is counted
 * once; stops and runs alternate; lines are bounded and printable; no growth.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/fleet/relay_sight.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	bool is_stopped;
	uint64_t stops;
};

static void on_record(void *context, const struct kd_decode_record *record)
{
	(void)context;
	(void)record;
}

static void on_event(void *context, enum kd_relay_event_kind kind, const char *text)
{
	struct seen *s = context;

	if (strlen(text) > 4096)
		abort();
	if (kind == KD_RELAY_RUNNING && !s->is_stopped)
		abort();
	if (kind == KD_RELAY_STOPPED && s->is_stopped)
		abort();
	s->stops += kind == KD_RELAY_STOPPED;
	s->is_stopped = kind == KD_RELAY_STOPPED;
}

static void on_line(void *context, const char *line, size_t size)
{
	(void)context;
	if (size > KD__SIGHT_LINE_MAX)
		abort();
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)line[i] < ' ' && line[i] != '\t')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = { .stops = 0 };
	const struct kd__sight_sink sink = { on_record, on_event, on_line, &seen };
	struct kd_vm_counters c;
	struct kd__sight s;
	uint64_t now = 0, in = 0, out = 0;

	if (kd__sight_init(&s, &sink, NULL) != KD_OK)
		abort();
	/* A byte says whose turn it is, how long it takes, and whether the line broke. */
	for (size_t at = 0; at < size;) {
		uint8_t how = data[at++];
		size_t n = 1 + (how >> 2) * 8u;
		bool is_in = how & 1;

		n = n < size - at ? n : size - at;
		now += (how & 2) ? 300000000u : 1000u;
		if (how == 0xFE) {
			kd__sight_restart(&s, "link down");
			seen.is_stopped = false;
		}
		kd__sight_feed(&s, is_in ? KD_DECODE_FROM_TARGET : KD_DECODE_TO_TARGET, data + at,
			       n, now);
		kd__sight_timeout(&s, now);
		*(is_in ? &in : &out) += n;
		at += n;
	}
	kd__sight_counters(&s, &c);
	if (c.rx_bytes != in || c.tx_bytes != out || c.stops < seen.stops ||
	    c.round_trip_ns_p99 < c.round_trip_ns_median)
		abort();
	kd__sight_deinit(&s);
	return 0;
}
