/* SPDX-License-Identifier: MIT */
/*
 * A breakpoint that is hit N times, its condition evaluated here and false each time: stop, look,
 * step over, go on.
 *	bench_stops ENDPOINT SYMBOLS N NAME
 * Prints one JSON line. Exit status 1: the guest counted fewer calls.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <openkd/breakpoint.h>
#include <openkd/expression.h>
#include <openkd/memory.h>
#include <openkd/session.h>

#include "bench/bench_session.h"
#include "lib/base.h"

enum { DEMO_CALL_WORK = 20 };

static int add(struct kd_session *s, const char *where, const char *condition)
{
	struct kd_breakpoint_spec spec = KD_BREAKPOINT_SPEC_INIT;
	int id;

	spec.expression = where;
	spec.condition = condition;
	bench_must(where, kd_breakpoint_add(s, -1, &spec, &id, &bench_err));
	return id;
}

static void run(struct kd_session *s)
{
	bench_must("go", kd_session_go(s, KD_GO, &bench_err));
	bench_wait_stop(s);
}

static uint64_t value_of(struct kd_session *s, const char *expression)
{
	uint64_t value;

	bench_must(expression, kd_expression_evaluate(s, expression, NULL, &value, &bench_err));
	return value;
}

static void poke(struct kd_session *s, const char *where, uint64_t value, size_t size)
{
	bench_must(where, kd_memory_write(s, value_of(s, where), &value, size, NULL, &bench_err));
}

int main(int argc, char **argv)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	struct kd_session_counters counters;
	struct kd_session *s;
	uint64_t hits, n;
	uint64_t start;
	double seconds;
	int tick;

	if (argc != 5) {
		fprintf(stderr, "usage: bench_stops ENDPOINT SYMBOLS N NAME\n");
		return 2;
	}
	n = strtoull(argv[3], NULL, 10);
	options.symbol_path = argv[2];
	s = bench_attach(argv[1], &options);
	tick = add(s, "demo!DemoTick", NULL);
	run(s); /* the driver is there, and idle */
	poke(s, "demo!DemoArgument", n, 8);
	poke(s, "demo!DemoCommand", DEMO_CALL_WORK, 4);
	bench_must("be", kd_breakpoint_enable(s, tick, false, &bench_err));
	add(s, "demo!DemoWork", "@ecx == 0xFFFFFFFF");
	start = kd_now_ns();
	/* The loop ends with a write to the counter of commands. */
	struct kd_breakpoint_spec end = KD_BREAKPOINT_SPEC_INIT;
	end.kind = KD_BREAKPOINT_WRITE;
	end.expression = "demo!DemoCounter";
	end.access_size = 4;
	bench_must("ba", kd_breakpoint_add(s, -1, &end, NULL, &bench_err));
	run(s);
	seconds = (double)(kd_now_ns() - start) / 1e9;
	kd_session_counters(s, &counters);
	hits = value_of(s, "poi(demo!DemoResult)");
	printf("{\"name\": \"%s\", \"hits\": %" PRIu64 ", \"stops_per_s\": %.0f, "
	       "\"round_trips_each\": %.1f, \"seconds\": %.3f}\n",
	       argv[4], hits, (double)hits / seconds, (double)counters.requests / (double)hits,
	       seconds);
	kd_session_destroy(s);
	return hits < n;
}
