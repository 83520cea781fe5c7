/* SPDX-License-Identifier: MIT */
/*
 * A small network under a virtual clock: machines with a kernel that prints, stops and answers
 * behind KDNET, debuggers that ask and continue, and between them a network that loses, doubles,
 * delays (and so reorders) and damages datagrams, and an attacker who keeps them all and sends some
 * again later. Serial numbers and hashes in the payloads tell what was lost, doubled or invented.
 */
#ifndef KD_TESTS_CORE_NET_WORLD_H
#define KD_TESTS_CORE_NET_WORLD_H

#include "tests/core/link_world.h"
#include "tests/core/net_peer.h"

enum { NET_WORLD_MAX = 4, NET_WORLD_FLIGHT = 256, NET_WORLD_KEPT = 512 };

/* Rates out of a million. */
struct net_line {
	uint64_t seed;
	uint32_t loss_ppm, double_ppm, damage_ppm, replay_ppm;
	uint64_t latency_ns, jitter_ns;
};

struct net_target {
	struct kd_net net;
	struct net_random random;
	struct world_kernel kernel;
	uint64_t n_breakins, n_given_up, n_sessions;
};

struct net_debugger {
	struct kd_net net;
	struct net_random random;
	uint64_t rng;
	bool is_halted, is_waiting, is_continuing, is_new;
	bool asked;
	uint32_t n_left, request_serial, last_serial, stop_serial;
	uint64_t patience;
	/* Findings. */
	uint64_t n_packets, n_replies, n_stops, n_repeats, n_gave_up, n_asked, n_wrong;
	uint64_t n_connected, n_restarts, n_silent, n_heard, n_taken, n_other;
	struct kd_net_address last_peer; /* of the last event that names one */
};

/* One end of the network: a target, or a debugger with several of them on its port. */
struct net_end {
	struct kd_net_address at;
	struct net_target *target;
	struct net_debugger *debuggers[NET_WORLD_MAX];
	size_t n_debuggers;
	bool is_off; /* takes nothing, says nothing */
};

struct net_world {
	uint64_t now, rng;
	struct net_line line;
	struct net_end ends[NET_WORLD_MAX * 2];
	size_t n_ends;
	struct net_flight {
		uint64_t due;
		struct kd_net_address from, to;
		size_t size;
		uint8_t bytes[1500];
	} flight[NET_WORLD_FLIGHT], kept[NET_WORLD_KEPT];
	size_t n_flight, n_kept;
	uint64_t n_sent, n_lost, n_doubled, n_damaged, n_replayed;
};

void net_world_init(struct net_world *w, const struct net_line *line);

/* `seed` makes nonces, randoms and payloads. `key` as users write it. */
void net_target_boot(struct net_target *t, const char *key, const struct kd_net_address *at,
		     const struct kd_net_address *debugger, uint64_t seed, uint64_t now);
void net_debugger_start(struct net_debugger *d, const char *key, uint64_t seed, uint64_t now);

void net_world_add_target(struct net_world *w, struct net_target *t,
			  const struct kd_net_address *at);
/* The debuggers on one port; they are borrowed. */
void net_world_add_port(struct net_world *w, struct net_debugger *const debuggers[], size_t n,
			const struct kd_net_address *at);

/* Let everything that is due before `until` happen; stops early when *counter reaches `enough`. */
void net_world_run(struct net_world *w, uint64_t until, const uint64_t *counter, uint64_t enough);

#endif
