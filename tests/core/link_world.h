/* SPDX-License-Identifier: MIT */
/*
 * A small world under a virtual clock: a kernel that prints, stops and answers requests behind a
 * transport, a debugger that asks and continues, and two lossy pipes between them. Every payload
 * carries a serial number and a hash, so that each side knows when something was lost, doubled,
 * reordered or invented.
 */
#ifndef KD_TESTS_CORE_LINK_WORLD_H
#define KD_TESTS_CORE_LINK_WORLD_H

#include "core/link/link.h"

#include "tests/support/lossy_pipe.h"

enum world_fill { FILL_0, FILL_I, FILL_B, FILL_AA, FILL_RANDOM, FILL_IMAGES, N_FILLS };

enum {
	WORLD_PAYLOAD = KD_PAYLOAD_MAX,
	WORLD_HEAD = 16,
	/* Requests of one debugger count from a multiple of this + 1. */
	WORLD_SESSION = 1000000,
};

struct world_packet {
	uint16_t type;
	size_t size;
	uint8_t payload[WORLD_PAYLOAD];
};

/* What the receiver of a payload found in it. */
struct world_head {
	uint32_t api, serial;
	bool is_intact;
};

/* The operating system of the target: no transport in it. */
struct world_kernel {
	uint64_t rng;
	enum world_fill fill;
	uint32_t max_fill;
	uint32_t serial;       /* of the last packet made */
	uint32_t last_request; /* serial of the last request taken */
	uint32_t n_prints;     /* until the next stop */
	struct world_packet out, stop;
	bool is_running;
	uint64_t wake; /* running: when the next packet is due */
	/* Findings. */
	uint64_t n_requests, n_continues, n_wrong_requests;
};

void world_kernel_init(struct world_kernel *k, uint64_t seed, enum world_fill fill,
		       uint32_t max_fill);
/* Runs from now on, for a while. */
void world_kernel_run(struct world_kernel *k, uint64_t now);
/* Its time has come: makes k->out, a print or a stop. */
void world_kernel_wake(struct world_kernel *k);
/* A request: true: a reply is in k->out; false: it was Continue, the kernel runs. */
bool world_kernel_request(struct world_kernel *k, const uint8_t *payload, size_t size,
			  uint64_t now);

/* The answering end of a transport, whatever it is made of. */
struct world_target {
	void *self;
	void (*feed)(void *self, const uint8_t *bytes, size_t size, uint64_t now);
	uint64_t (*deadline)(void *self);
	void (*tick)(void *self, uint64_t now);
	size_t (*output)(void *self, uint8_t *out, size_t cap, uint64_t now);
	const char *(*broken)(void *self); /* NULL, or the invariant */
};

/* A target made of our link. */
struct world_link_target {
	struct kd_link link;
	struct world_kernel *kernel;
	uint64_t n_breakins, n_given_up;
};

void world_link_target_init(struct world_link_target *t, struct world_target *ret,
			    struct world_kernel *k, const struct kd_link_config *cfg);
/* Power off and on: new ids, a new kernel state; what it sends first has SYNC. */
void world_link_target_boot(struct world_link_target *t, uint64_t now);

/* The debugger's program. */
struct world_debugger {
	struct kd_link link;
	uint64_t rng;
	enum world_fill fill;
	uint32_t max_fill;
	bool is_halted, is_waiting; /* waiting: for the reply to `request` */
	bool is_continuing;         /* Continue is out */
	bool wants_break;           /* send break-in and RESET in turn until it stops */
	bool is_new;                /* has not seen a packet yet: any serial is right */
	bool asked;                 /* RESEND was asked for this request already */
	uint32_t n_left;            /* requests of this stop */
	uint32_t request_serial, last_serial, stop_serial;
	struct world_packet request;
	uint64_t patience; /* when to do something about silence */
	uint32_t n_tries;  /* of wants_break */
	/* Findings. */
	uint64_t n_packets, n_replies, n_stops, n_repeats, n_gave_up, n_asked, n_restarts;
	uint64_t n_wrong; /* lost, doubled, reordered or invented */
};

void world_debugger_init(struct world_debugger *d, uint64_t seed, enum world_fill fill,
			 uint32_t max_fill, const struct kd_link_config *cfg);
/* Connect procedure with the wish to break. */
void world_debugger_break(struct world_debugger *d, uint64_t now);

struct world {
	uint64_t now;
	struct lossy_pipe to_target, to_debugger;
	struct world_target target;
	struct world_debugger *debugger; /* NULL: nobody there, bytes pile up in the pipe */
};

void world_init(struct world *w, const struct lossy_config *down, const struct lossy_config *up);
void world_deinit(struct world *w);

/* Let everything that is due before `until` happen; stops early when *counter reaches `enough`. */
void world_run(struct world *w, uint64_t until, const uint64_t *counter, uint64_t enough);

struct world_head world_read(const uint8_t *payload, size_t size);

#endif
