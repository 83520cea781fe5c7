/* SPDX-License-Identifier: MIT */
/*
 * How long a running guest takes to stop when it is asked to:
 *	bench_breakin ENDPOINT N NAME
 * The guest looks once a clock tick. Prints one JSON line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openkd/session.h>

#include "bench/bench_session.h"
#include "lib/base.h"

enum { N_MAX = 10000 };

/* The guest runs for a while that is no multiple of its tick. */
static double measure(struct kd_session *s, unsigned i)
{
	struct timespec pause = { .tv_nsec = 20000000 + (long)(i * 1234567 % 15000000) };
	uint64_t start;

	bench_must("go", kd_session_go(s, KD_GO, &bench_err));
	nanosleep(&pause, NULL);
	start = kd_now_ns();
	kd_session_break_in(s);
	bench_wait_stop(s);
	return (double)(kd_now_ns() - start) / 1e6;
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
	unsigned n;

	if (argc != 4 || (n = (unsigned)strtoul(argv[2], NULL, 10)) == 0 || n > N_MAX) {
		fprintf(stderr, "usage: bench_breakin ENDPOINT N NAME\n");
		return 2;
	}
	s = bench_attach(argv[1], &options);
	for (unsigned i = 0; i < n; i++)
		ms[i] = measure(s, i);
	qsort(ms, n, sizeof ms[0], by_size);
	printf("{\"name\": \"%s\", \"count\": %u, \"median_ms\": %.2f, \"p90_ms\": %.2f, "
	       "\"max_ms\": %.2f}\n",
	       argv[3], n, ms[n / 2], ms[n * 9 / 10], ms[n - 1]);
	kd_session_destroy(s);
	return 0;
}
