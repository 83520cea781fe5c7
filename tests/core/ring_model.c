/* SPDX-License-Identifier: MIT */
#include "tests/core/ring_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { STACK = 256 * 1024, STORES = 8, CHOICES_MAX = 4000 };

/* A store that other processors don't see yet. */
struct pending {
	uint32_t offset, value;
};

struct actor {
	ucontext_t context;
	void *stack;
	bool is_done;
	bool *waits_for;
	struct pending stores[STORES];
	unsigned n_stores;
};

/* What was chosen at a point of the run, and of how many. */
struct choice {
	uint8_t taken, of;
};

struct model {
	const struct model_world *world;
	_Alignas(8) uint8_t memory[KD_RING_BYTES];
	struct actor actors[MODEL_ACTORS];
	ucontext_t scheduler;
	unsigned running, switches;
	bool is_over;
	const char *complaint;
	struct choice choices[CHOICES_MAX];
	size_t n_choices, at_choice; /* recorded; reached by this run */
};

/* --- choices --- */

static unsigned choose(struct model *m, unsigned of)
{
	struct choice *c = &m->choices[m->at_choice];

	if (of <= 1)
		return 0;
	if (m->at_choice == CHOICES_MAX) {
		model_fail(m, "a run without an end");
		return 0;
	}
	if (m->at_choice == m->n_choices) {
		*c = (struct choice){ 0, (uint8_t)of };
		m->n_choices++;
	}
	m->at_choice++;
	return c->taken;
}

/* The next run differs in the last choice that has another way left. */
static bool next_run(struct model *m)
{
	while (m->n_choices) {
		struct choice *c = &m->choices[m->n_choices - 1];

		if (++c->taken < c->of)
			return true;
		m->n_choices--;
	}
	return false;
}

/* --- store buffers --- */

static void drain_one(struct model *m, struct actor *a)
{
	memcpy(m->memory + a->stores[0].offset, &a->stores[0].value, 4);
	memmove(a->stores, a->stores + 1, --a->n_stores * sizeof a->stores[0]);
}

static void drain(struct model *m, struct actor *a)
{
	while (a->n_stores)
		drain_one(m, a);
}

/* --- the scheduler --- */

static bool can_run(struct actor *a)
{
	return !a->is_done && (!a->waits_for || *a->waits_for);
}

/*
 * Who goes next: the one that runs, another one, or a store buffer by a step. Other choices than
 * going on cost a switch, unless it can't go on.
 */
static bool schedule(struct model *m)
{
	unsigned who[2 * MODEL_ACTORS], n = 0, pick;
	struct actor *now = &m->actors[m->running];
	bool may_switch = m->switches < m->world->switches_max || !can_run(now);

	if (can_run(now))
		who[n++] = m->running;
	for (unsigned i = 0; may_switch && i < m->world->n_actors; i++)
		if (i != m->running && can_run(&m->actors[i]))
			who[n++] = i;
	for (unsigned i = 0; may_switch && i < m->world->n_actors; i++)
		if (m->actors[i].n_stores)
			who[n++] = MODEL_ACTORS + i;
	if (n == 0)
		return false;
	pick = who[choose(m, n)];
	if (pick != m->running && can_run(now))
		m->switches++;
	if (pick >= MODEL_ACTORS) {
		drain_one(m, &m->actors[pick - MODEL_ACTORS]);
		return true;
	}
	m->running = pick;
	m->actors[pick].waits_for = NULL;
	swapcontext(&m->scheduler, &m->actors[pick].context);
	return true;
}

static void yield(struct model *m)
{
	swapcontext(&m->actors[m->running].context, &m->scheduler);
}

static void start(unsigned high, unsigned low)
{
	struct model *m = (struct model *)(uintptr_t)((uint64_t)high << 32 | low);
	struct actor *a = &m->actors[m->running];
	const struct model_actor *program = &m->world->actors[m->running];

	program->run(m, program->context);
	yield(m); /* the last stores may still be on their way */
	drain(m, a);
	a->is_done = true;
	setcontext(&m->scheduler);
}

static void prepare(struct model *m, unsigned i)
{
	struct actor *a = &m->actors[i];
	void *stack = a->stack;

	memset(a, 0, sizeof *a);
	a->stack = stack;
	getcontext(&a->context);
	a->context.uc_stack.ss_sp = stack;
	a->context.uc_stack.ss_size = STACK;
	makecontext(&a->context, (void (*)(void))(uintptr_t)start, 2,
		    (unsigned)((uintptr_t)m >> 32), (unsigned)(uintptr_t)m);
}

static void run_once(struct model *m)
{
	bool all_done = true;

	memset(m->memory, 0, sizeof m->memory);
	m->running = m->switches = 0;
	m->at_choice = 0;
	m->is_over = false;
	for (unsigned i = 0; i < m->world->n_actors; i++)
		prepare(m, i);
	m->world->reset(m, m->world->context);
	while (!m->is_over && schedule(m))
		;
	for (unsigned i = 0; i < m->world->n_actors; i++)
		all_done &= m->actors[i].is_done;
	if (!m->complaint && !all_done)
		m->complaint = "a deadlock: somebody waits for a doorbell that nobody rings";
	if (!m->complaint)
		m->complaint = m->world->judge(m, m->world->context);
}

uint64_t model_search(const struct model_world *world, const char **complaint_ret)
{
	struct model *m = calloc(1, sizeof *m);
	uint64_t runs = 0;

	m->world = world;
	for (unsigned i = 0; i < world->n_actors; i++)
		m->actors[i].stack = malloc(STACK);
	do {
		run_once(m);
		runs++;
	} while (!m->complaint && runs < world->runs_max && next_run(m));
	*complaint_ret = m->complaint;
	for (unsigned i = 0; i < world->n_actors; i++)
		free(m->actors[i].stack);
	free(m);
	return runs;
}

/* --- what programs use --- */

static uint32_t on_load(void *context, uint32_t offset)
{
	struct model *m = context;
	struct actor *a;
	uint32_t value;

	yield(m);
	a = &m->actors[m->running];
	for (unsigned i = a->n_stores; i-- > 0;)
		if (a->stores[i].offset == offset)
			return a->stores[i].value;
	memcpy(&value, m->memory + offset, 4);
	return value;
}

static void on_store(void *context, uint32_t offset, uint32_t value)
{
	struct model *m = context;
	struct actor *a = &m->actors[m->running];

	yield(m);
	if (a->n_stores == STORES)
		drain_one(m, a);
	a->stores[a->n_stores++] = (struct pending){ offset, value };
}

/* Stores leave in order, so the bytes of a record are as good as there before its index. */
static void on_write(void *context, uint32_t offset, const void *from, size_t size)
{
	struct model *m = context;

	yield(m);
	memcpy(m->memory + offset, from, size);
}

static void on_read(void *context, uint32_t offset, void *to, size_t size)
{
	struct model *m = context;

	yield(m);
	memcpy(to, m->memory + offset, size);
}

static void on_fence(void *context)
{
	struct model *m = context;

	drain(m, &m->actors[m->running]);
	yield(m);
}

static const struct kd_ring_memory_ops ops = { on_load, on_store, on_read, on_write, on_fence };

struct kd_ring_memory model_memory(struct model *m)
{
	return (struct kd_ring_memory){ &ops, m };
}

uint8_t *model_bytes(struct model *m)
{
	return m->memory;
}

void model_wait(struct model *m, bool *flag)
{
	struct actor *a = &m->actors[m->running];

	drain(m, a); /* a processor that sleeps has no stores left */
	a->waits_for = flag;
	yield(m);
	*flag = false;
}

void model_raise(bool *flag)
{
	*flag = true;
}

void model_fail(struct model *m, const char *complaint)
{
	if (!m->complaint)
		m->complaint = complaint;
	m->is_over = true;
	yield(m);
}

bool model_is_killed(struct model *m)
{
	return choose(m, 2) == 1;
}
