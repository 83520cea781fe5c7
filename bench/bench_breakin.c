/* SPDX-License-Identifier: MIT */
/*
 * How long a running guest takes to stop when it is asked to:
 *	bench_breakin ENDPOINT N NAME
 * The guest looks once a clock tick; how long that really is, under an emulator, is told too.
 *Prints one JSON line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <openkd/session.h>

#include "bench/bench_session.h"
#include "lib/base.h"

enum { N_MAX = 10000, TICK_UNITS = 100000, SETTLE_S = 2 /* it boots */ };

static uint64_t run_ns; /* all that the guest ran */

/* The guest runs for a while that is no multiple of its tick. */
static double measure(struct kd_session *s, unsigned i)
{
	struct timespec pause = { .tv_nsec = 20000000 + (long)(i * 1234567 % 15000000) };
	uint64_t begin = kd_now_ns(), start;

	bench_must("go", kd_session_go(s, KD_GO, &bench_err));
	nanosleep(&pause, NULL);
	start = kd_now_ns();
	kd_session_break_in(s);
	bench_wait_stop(s);
	run_ns += kd_now_ns() - begin;
	return (double)(kd_now_ns() - start) / 1e6;
}

/* Interrupt time grows by 10 ms with every tick, however long it takes. */
static uint64_t ticks_now(struct kd_session *s)
{
	struct kd_shared_data shared;

	bench_must("clock", kd_session_shared_data(s, &shared, &bench_err));
	return shared.interrupt_time / TICK_UNITS;
}

static void settle(struct kd_session *s)
{
	bench_must("go", kd_session_go(s, KD_GO, &bench_err));
	sleep(SETTLE_S);
	kd_session_break_in(s);
	bench_wait_stop(s);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	static double ms[N_MAX];
	struct kd_session *s;
	uint64_t ticks;
	unsigned n;

	if (argc != 4 || (n = (unsigned)strtoul(argv[2], NULL, 10)) == 0 || n > N_MAX) {
		fprintf(stderr, "usage: bench_breakin ENDPOINT N NAME\n");
		return 2;
	}
	s = bench_attach(argv[1], &options);
	settle(s);
	ticks = ticks_now(s);
	for (unsigned i = 0; i < n; i++)
		ms[i] = measure(s, i);
	ticks = KD_MAX(ticks_now(s) - ticks, UINT64_C(1));
	qsort(ms, n, sizeof ms[0], by_size);
	printf("{\"name\": \"%s\", \"count\": %u, \"median_ms\": %.2f, \"p90_ms\": %.2f, "
	       "\"max_ms\": %.2f, \"tick_ms\": %.2f}\n",
	       argv[3], n, ms[n / 2], ms[n * 9 / 10], ms[n - 1],
	       (double)run_ns / 1e6 / (double)ticks);
	kd_session_destroy(s);
	return 0;
}
