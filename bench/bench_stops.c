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
#include <time.h>

#include <openkd/breakpoint.h>
#include <openkd/event.h>
#include <openkd/expression.h>
#include <openkd/memory.h>
#include <openkd/session.h>

enum { DEMO_CALL_WORK = 20, TIMEOUT_MS = 120000 };

static struct kd_error err;

static void must(const char *what, enum kd_status status)
{
	if (status == KD_OK)
		return;
	fprintf(stderr, "bench_stops: %s: %s\n", what, err.text);
	exit(1);
}

static void wait_stop(struct kd_session *s)
{
	struct kd_event e = { 0 };

	do
		must("wait", kd_session_wait(s, TIMEOUT_MS, &e, &err));
	while (e.kind != KD_EVENT_STOP);
}

static int add(struct kd_session *s, const char *where, const char *condition)
{
	struct kd_breakpoint_spec spec = KD_BREAKPOINT_SPEC_INIT;
	int id;

	spec.expression = where;
	spec.condition = condition;
	must(where, kd_breakpoint_add(s, -1, &spec, &id, &err));
	return id;
}

static void run(struct kd_session *s)
{
	must("go", kd_session_go(s, KD_GO, &err));
	wait_stop(s);
}

static uint64_t value_of(struct kd_session *s, const char *expression)
{
	uint64_t value;

	must(expression, kd_expression_evaluate(s, expression, NULL, &value, &err));
	return value;
}

static void poke(struct kd_session *s, const char *where, uint64_t value, size_t size)
{
	must(where, kd_memory_write(s, value_of(s, where), &value, size, NULL, &err));
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	struct kd_session_counters counters;
	struct kd_session *s;
	uint64_t hits, n;
	double start;
	int tick;

	if (argc != 5) {
		fprintf(stderr, "usage: bench_stops ENDPOINT SYMBOLS N NAME\n");
		return 2;
	}
	n = strtoull(argv[3], NULL, 10);
	options.initial_break = true;
	options.symbol_path = argv[2];
	must(argv[1], kd_session_create(argv[1], &options, &s, &err));
	wait_stop(s);
	tick = add(s, "demo!DemoTick", NULL);
	run(s); /* the driver is there, and idle */
	poke(s, "demo!DemoArgument", n, 8);
	poke(s, "demo!DemoCommand", DEMO_CALL_WORK, 4);
	must("be", kd_breakpoint_enable(s, tick, false, &err));
	add(s, "demo!DemoWork", "@ecx == 0xFFFFFFFF");
	start = now();
	/* The loop ends with a write to the counter of commands. */
	struct kd_breakpoint_spec end = KD_BREAKPOINT_SPEC_INIT;
	end.kind = KD_BREAKPOINT_WRITE;
	end.expression = "demo!DemoCounter";
	end.access_size = 4;
	must("ba", kd_breakpoint_add(s, -1, &end, NULL, &err));
	run(s);
	start = now() - start;
	kd_session_counters(s, &counters);
	hits = value_of(s, "poi(demo!DemoResult)");
	printf("{\"name\": \"%s\", \"hits\": %" PRIu64 ", \"stops_per_s\": %.0f, "
	       "\"round_trips_each\": %.1f, \"seconds\": %.3f}\n",
	       argv[4], hits, (double)hits / start, (double)counters.requests / (double)hits,
	       start);
	kd_session_destroy(s);
	return hits < n;
}
