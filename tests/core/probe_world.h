/* SPDX-License-Identifier: MIT */
/*
 * A guest's network and a debugger around the two ends of the probe, in one process and one
 * thread: programs send numbered payloads, a driver does what the probe says, a host decides by
 * chance. What arrives where, in which order, is checked as it happens.
 */
#ifndef KD_TESTS_PROBE_WORLD_H
#define KD_TESTS_PROBE_WORLD_H

#include "core/probe/probe_guest.h"
#include "core/probe/probe_host.h"

enum {
	PW_FLOWS = 24,
	PW_UP = KD_PROBE_RING_MIN,
	PW_DOWN = KD_PROBE_RING_MIN,
	PW_MEMORY = KD_PROBE_PAGE + PW_UP + PW_DOWN,
	PW_MS = 10000, /* units of time */
};

struct pw_lane {
	uint32_t sent, arrived_next; /* numbers of payloads */
	uint32_t n_arrived, n_edited, n_injected, n_dropped;
	uint32_t n_shown; /* that the host was told of */
	bool was_absorbed, is_deferred;
};

struct pw_flow {
	struct kd_probe_flow flow;
	struct pw_lane lanes[2];
	bool is_open, is_known;
	unsigned references;
};

/* What the host does with what is held. */
struct pw_host {
	struct kd_probe_host end;
	uint8_t buffer[KD_PROBE_HOST_BUFFER_MIN];
	bool is_alive, is_synced;
	unsigned edit, drop, inject, forget; /* one in so many; 0: never */
	uint64_t received, lost, closes, applied, syncs;
	struct {
		uint64_t item, flow;
		bool is_inbound;
		uint32_t number;
	} held[4096];
	unsigned n_held;
	uint32_t next_nonce;
	uint64_t next_cookie;
};

struct probe_world {
	uint64_t random, now;
	struct kd_probe probe;
	struct pw_flow flows[PW_FLOWS];
	struct pw_host host;
	unsigned items; /* that exist: none at the end */
	_Alignas(64) uint8_t memory[PW_MEMORY];
};

void pw_init(struct probe_world *w, uint64_t seed);
uint32_t pw_random(struct probe_world *w, uint32_t below);

/* --- programs --- */
void pw_open(struct probe_world *w, unsigned flow, bool is_udp);
void pw_close(struct probe_world *w, unsigned flow);
/* One more payload, of `size` bytes at least 8. False: deferred. */
bool pw_send(struct probe_world *w, unsigned flow, enum kd_probe_direction direction,
	     uint32_t size);

/* --- the driver --- */
/* Orders, time, work: until there is none. */
void pw_work(struct probe_world *w);

/* --- the host --- */
void pw_attach(struct probe_world *w, enum kd_probe_mode mode);
void pw_policy(struct probe_world *w, enum kd_probe_mode mode);
/* Read all records, decide what is held (some of it). */
void pw_host_step(struct probe_world *w);

/* Everything that was sent has arrived, but what was dropped; nothing is held or leaked. */
void pw_check_all_arrived(struct probe_world *w);
void pw_end(struct probe_world *w);

#endif
