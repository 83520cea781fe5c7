/* SPDX-License-Identifier: MIT */
/*
 * What is seen in the bytes that a relay passes: packets counted, stops, prints by the line, the
 * target's version. Only listens; whatever comes, it goes on.
 */
#ifndef KD_LIB_FLEET_RELAY_SIGHT_H
#define KD_LIB_FLEET_RELAY_SIGHT_H

#include <openkd/relay.h>
#include <openkd/sys/decode.h>

#include "lib/base.h"

enum { KD__SIGHT_TRIPS = 1024, KD__SIGHT_LINE_MAX = 4096 };

/* Called while bytes are fed. */
struct kd__sight_sink {
	void (*record)(void *context, const struct kd_decode_record *record);
	void (*event)(void *context, enum kd_relay_event_kind kind, const char *text);
	/* A line that was printed, without its end, control characters left out. */
	void (*line)(void *context, const char *line, size_t size);
	void *context;
};

struct kd__sight {
	struct kd_decoder *decoder;
	struct kd__sight_sink sink;
	struct kd_vm_counters counters; /* but the round trips */
	uint64_t fed[2], told[2];  /* bytes of each kd_decode_direction, and those in records */
	bool is_stopped, is_break; /* it is for people to look at, not a module load */
	/* Breakpoints in the target, a bit a handle; bit 0: others, whose end is not followed. */
	uint64_t planted;
	/* The debugger has the target's last packet; it asked the target to begin its ids anew. */
	bool is_acked, is_reset_asked;
	uint64_t reset_at;
	char os[64];
	uint64_t now, fed_at[2], resumed_at;
	/* The request that waits for its answer; 0: none. */
	uint32_t asked;
	uint64_t asked_at;
	uint32_t trips[KD__SIGHT_TRIPS]; /* in units of 64 ns: the last ones */
	size_t n_trips;
	char line[KD__SIGHT_LINE_MAX]; /* that has no end yet */
	size_t line_size;
	uint64_t line_at; /* when its last part came */
};

/* KD_E_NO_MEMORY. */
enum kd_status kd__sight_init(struct kd__sight *s, const struct kd__sight_sink *sink,
			      struct kd_error *err);
void kd__sight_deinit(struct kd__sight *s);

/* Bytes that were read from that side; `now` is monotonic. */
void kd__sight_feed(struct kd__sight *s, enum kd_decode_direction direction, const void *bytes,
		    size_t size, uint64_t now);

/* The target's end was connected anew: nothing that was under way goes on. */
void kd__sight_restart(struct kd__sight *s, const char *why);

/* Nothing half-way on its way to the target: a break-in byte would be one. */
bool kd__sight_is_between_packets(const struct kd__sight *s, uint64_t now);

/*
 * A line whose end does not come is told as it is. When to call it: KD_TIME_NEVER when there is
 * none.
 */
uint64_t kd__sight_deadline(const struct kd__sight *s);
void kd__sight_timeout(struct kd__sight *s, uint64_t now);

/* With the round trips. */
void kd__sight_counters(const struct kd__sight *s, struct kd_vm_counters *ret);

#endif
