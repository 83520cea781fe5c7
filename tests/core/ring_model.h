/* SPDX-License-Identifier: MIT */
/*
 * Two processors with store buffers, step by step: runs short programs against each other in every
 * order that matters. A program is a coroutine; each access to the ring's memory is a point at
 * which the other one, or a store buffer, may go first. The search repeats the run with each choice
 * in turn, with at most a given number of unforced switches (what a race needs is seldom more than
 * 3).
 */
#ifndef KD_TESTS_RING_MODEL_H
#define KD_TESTS_RING_MODEL_H

#include "core/ring/ring.h"

enum { MODEL_ACTORS = 3 };

struct model;
typedef void (*model_program)(struct model *m, void *context);

struct model_actor {
	model_program run;
	void *context;
};

struct model_world {
	unsigned n_actors;
	struct model_actor actors[MODEL_ACTORS];
	unsigned switches_max;
	uint64_t runs_max;
	/* Begin a run: fresh memory (zeroed) and contexts. */
	void (*reset)(struct model *m, void *context);
	/* All programs ended: is what they did right? NULL or a complaint. */
	const char *(*judge)(struct model *m, void *context);
	void *context;
};

/* Runs that were tried; *complaint_ret: NULL, or what went wrong first (a deadlock too). */
uint64_t model_search(const struct model_world *world, const char **complaint_ret);

/* The ring's memory as the actor that runs sees it. */
struct kd_ring_memory model_memory(struct model *m);

/* Behind all store buffers. */
uint8_t *model_bytes(struct model *m);

/* Wait until `flag` is set; it is cleared then. Raise it: visible at once, like a byte on a wire.
 */
void model_wait(struct model *m, bool *flag);
void model_raise(bool *flag);

/* End the run here and now as wrong. */
void model_fail(struct model *m, const char *complaint);

/* A point at which this actor may be cut off for ever: a killed process. True: it is dead. */
bool model_is_killed(struct model *m);

#endif
