/* SPDX-License-Identifier: MIT */
#include "lib/fleet/relay_sight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/link/link.h"
#include "core/wire/message.h"
#include "core/wire/packet.h"

enum { TRIP_UNIT_NS = 64 };

/* Silence after which half a packet is not going to be completed. */
static const uint64_t quiet_ns = 250000000;
/* A repetition that crossed our ACK on the wire has come by then. */
static const uint64_t settled_ns = 1000000000;
/* Lines may be printed in parts. */
static const uint64_t line_ns = 1000000000;

static void tell(struct kd__sight *s, enum kd_relay_event_kind kind, const char *text)
{
	s->sink.event(s->sink.context, kind, text);
}

/* --- prints --- */

static void end_line(struct kd__sight *s)
{
	s->sink.line(s->sink.context, s->line, s->line_size);
	s->line_size = 0;
}

/* Driver Verifier reports in UTF-16: without its zeros it can be read. */
static void take_text(struct kd__sight *s, const uint8_t *text, size_t size)
{
	s->line_at = s->now;
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\n' || s->line_size == sizeof s->line)
			end_line(s);
		if (text[i] >= ' ' || text[i] == '\t')
			if (text[i] != 0x7F)
				s->line[s->line_size++] = (char)text[i];
	}
}

static void take_debug_io(struct kd__sight *s, const uint8_t *payload, size_t size)
{
	struct kd_debug_io d;

	if (kd_debug_io_decode(&d, payload, size) != KD_OK || d.hdr.api != KD_IO_PRINT_STRING)
		return;
	s->counters.prints++;
	take_text(s, d.text, d.text_size);
}

/* --- requests and answers --- */

static const char *machine_name(uint16_t machine)
{
	return machine == 0x8664   ? "x64"
	       : machine == 0x14C  ? "x86"
	       : machine == 0xAA64 ? "arm64"
				   : "unknown machine";
}

static void take_version(struct kd__sight *s, uint16_t machine, const uint8_t *payload, size_t size)
{
	struct kd_manipulate m;

	if (kd_manipulate_decode_reply(&m, machine, payload, size) != KD_OK ||
	    m.hdr.return_status != 0)
		return;
	snprintf(s->os, sizeof s->os, "%s, build %u", machine_name(m.u.version.machine),
		 m.u.version.minor);
}

static bool resumes(uint32_t api)
{
	switch (api) {
	case KD_API_CONTINUE:
	case KD_API_CONTINUE2:
	case KD_API_REBOOT:
	case KD_API_CAUSE_BUGCHECK:
	case KD_API_SWITCH_PROCESSOR: return true;
	default: return false;
	}
}

static void on_request(struct kd__sight *s, const struct kd_decode_record *r)
{
	s->asked = r->code;
	s->asked_at = s->now;
	if (!resumes(r->code) || !s->is_stopped)
		return;
	s->asked = 0;
	s->is_stopped = false;
	s->resumed_at = s->now;
	if (s->is_break)
		tell(s, KD_RELAY_RUNNING, "");
	s->is_break = false;
}

/* The target keeps them by handle, 1 to 32. */
static uint64_t bit_of(uint32_t handle)
{
	return UINT64_C(1) << (handle < 64 ? handle : 0);
}

static void take_breakpoint(struct kd__sight *s, const struct kd_decode_record *r,
			    const uint8_t *payload, size_t size)
{
	struct kd_manipulate m;

	if (kd_manipulate_decode_reply(&m, r->machine, payload, size) != KD_OK)
		return;
	if (r->code == KD_API_WRITE_BREAKPOINT_EX)
		s->planted |= bit_of(0);
	else if (r->code == KD_API_WRITE_BREAKPOINT && m.hdr.return_status == 0)
		s->planted |= bit_of(m.u.write_breakpoint.handle);
	else if (r->code == KD_API_RESTORE_BREAKPOINT && m.u.restore_breakpoint.handle)
		s->planted &= ~bit_of(m.u.restore_breakpoint.handle);
}

static void on_reply(struct kd__sight *s, const struct kd_decode_record *r, const uint8_t *payload,
		     size_t size)
{
	if (s->asked == r->code && s->asked) {
		uint64_t trip = (s->now - s->asked_at) / TRIP_UNIT_NS;

		s->trips[s->n_trips++ % KD__SIGHT_TRIPS] = (uint32_t)KD_MIN(trip, UINT32_MAX);
		s->asked = 0;
	}
	if (r->code == KD_API_GET_VERSION)
		take_version(s, r->machine, payload, size);
	else
		take_breakpoint(s, r, payload, size);
}

/* --- stops --- */

static void on_state_change(struct kd__sight *s, const struct kd_decode_record *r)
{
	if (s->is_stopped)
		return; /* said again */
	s->is_stopped = true;
	s->asked = 0;
	s->counters.stops++;
	s->is_break = r->code == KD_STATE_EXCEPTION;
	if (s->is_break)
		tell(s, KD_RELAY_STOPPED, r->summary ? r->summary : "");
}

/* --- packets --- */

static void on_control(struct kd__sight *s, const struct kd_decode_record *r)
{
	if (r->type == KD_PACKET_RESET && r->direction == KD_DECODE_TO_TARGET) {
		s->counters.resyncs++;
		s->is_reset_asked = true;
		s->reset_at = s->now;
	} else if (r->type == KD_PACKET_ACKNOWLEDGE && r->direction == KD_DECODE_TO_TARGET) {
		s->is_acked = true;
	} else if (r->type == KD_PACKET_RESEND) {
		s->counters.resends++;
	}
}

/*
 * A target begins its ids anew when it boots, but also when the debugger's RESET asks for it, and
 * after a packet that nobody took: only without these it is a boot for sure.
 */
static void on_sync(struct kd__sight *s, const struct kd_decode_record *r)
{
	bool is_answer = s->is_reset_asked;

	s->is_reset_asked = false;
	/* Where it stands, said again. */
	if (is_answer && r->type == KD_PACKET_STATE_CHANGE64)
		return;
	s->is_stopped = s->is_break = false;
	if (is_answer || !s->is_acked)
		return;
	s->planted = 0;
	tell(s, KD_RELAY_RESTARTED, "");
}

static void on_from_target(struct kd__sight *s, const struct kd_decode_record *r,
			   const uint8_t *payload, size_t size)
{
	s->counters.rx_packets++;
	if (r->id & KD_PACKET_ID_SYNC)
		on_sync(s, r);
	else if (r->type == KD_PACKET_STATE_MANIPULATE || s->now - s->reset_at > settled_ns)
		s->is_reset_asked = false; /* they talk on, or it did not hear that */
	s->is_acked = false;
	if (r->type == KD_PACKET_STATE_CHANGE64)
		on_state_change(s, r);
	else if (r->type == KD_PACKET_STATE_MANIPULATE)
		on_reply(s, r, payload, size);
	else if (r->type == KD_PACKET_DEBUG_IO)
		take_debug_io(s, payload, size);
}

/* A snapshot was taken back: the target stands in a stop that we have seen long ago. */
static bool is_back_in_time(const struct kd__sight *s, const struct kd_decode_record *r)
{
	return r->direction == KD_DECODE_FROM_TARGET && r->type == KD_PACKET_STATE_CHANGE64 &&
	       !s->is_stopped && s->now - s->resumed_at > settled_ns;
}

static void on_packet(struct kd__sight *s, const struct kd_decode_record *r)
{
	const struct kd_packet_info *info = kd_packet_find(r->type);
	struct kd_packet_hdr hdr;

	if (!info || r->size < KD_HDR_SIZE || kd_packet_hdr_decode(&hdr, r->bytes) != KD_OK ||
	    (size_t)hdr.length + KD_HDR_SIZE > r->size)
		return;
	if (info->is_control) {
		on_control(s, r);
	} else if (r->is_repeat) {
		s->counters.resends++;
		if (is_back_in_time(s, r))
			on_state_change(s, r);
	} else if (r->direction == KD_DECODE_FROM_TARGET) {
		on_from_target(s, r, r->bytes + KD_HDR_SIZE, hdr.length);
	} else {
		s->counters.tx_packets++;
		if (r->type == KD_PACKET_STATE_MANIPULATE)
			on_request(s, r);
	}
}

static void on_record(void *context, const struct kd_decode_record *r)
{
	struct kd__sight *s = context;

	if (r->kind != KD_DECODE_NOTE)
		s->told[r->direction] += r->size;
	if (r->kind == KD_DECODE_PACKET)
		on_packet(s, r);
	s->sink.record(s->sink.context, r);
}

/* --- bytes --- */

static uint64_t wall_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

enum kd_status kd__sight_init(struct kd__sight *s, const struct kd__sight_sink *sink,
			      struct kd_error *err)
{
	struct kd_decoder_config config = KD_DECODER_CONFIG_INIT;

	memset(s, 0, sizeof *s);
	s->sink = *sink;
	s->counters.is_known = true;
	config.fn = on_record;
	config.ctx = s;
	return kd_decoder_create(&config, &s->decoder, err);
}

void kd__sight_deinit(struct kd__sight *s)
{
	if (s->decoder)
		kd_decoder_finish(s->decoder);
	if (s->line_size)
		end_line(s);
	kd_decoder_destroy(s->decoder);
	s->decoder = NULL;
}

void kd__sight_feed(struct kd__sight *s, enum kd_decode_direction direction, const void *bytes,
		    size_t size, uint64_t now)
{
	s->now = now;
	s->fed_at[direction] = now;
	s->fed[direction] += size;
	if (direction == KD_DECODE_FROM_TARGET)
		s->counters.rx_bytes += size;
	else
		s->counters.tx_bytes += size;
	kd_decoder_feed(s->decoder, direction, wall_clock_ns(), bytes, size);
}

void kd__sight_restart(struct kd__sight *s, const char *why)
{
	kd_decoder_note(s->decoder, wall_clock_ns(), why, strlen(why));
	for (size_t i = 0; i < KD_ARRAY_LEN(s->fed); i++)
		s->told[i] = s->fed[i];
	s->is_stopped = s->is_break = s->is_acked = s->is_reset_asked = false;
	s->asked = 0;
	s->line_size = 0;
}

bool kd__sight_is_between_packets(const struct kd__sight *s, uint64_t now)
{
	return s->told[KD_DECODE_TO_TARGET] >= s->fed[KD_DECODE_TO_TARGET] ||
	       now - s->fed_at[KD_DECODE_TO_TARGET] >= quiet_ns;
}

uint64_t kd__sight_deadline(const struct kd__sight *s)
{
	return s->line_size ? s->line_at + line_ns : KD_TIME_NEVER;
}

void kd__sight_timeout(struct kd__sight *s, uint64_t now)
{
	if (now >= kd__sight_deadline(s))
		end_line(s);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void kd__sight_counters(const struct kd__sight *s, struct kd_vm_counters *ret)
{
	uint32_t trips[KD__SIGHT_TRIPS];
	size_t n = KD_MIN(s->n_trips, (size_t)KD__SIGHT_TRIPS);

	*ret = s->counters;
	if (!n)
		return;
	memcpy(trips, s->trips, n * sizeof trips[0]);
	qsort(trips, n, sizeof trips[0], by_size);
	ret->round_trip_ns_median = (uint64_t)trips[n / 2] * TRIP_UNIT_NS;
	ret->round_trip_ns_p99 = (uint64_t)trips[n - 1 - n / 100] * TRIP_UNIT_NS;
}
