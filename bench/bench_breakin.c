/* SPDX-License-Identifier: MIT */
/*
 * How long a running guest takes to stop when it is asked to:
 *	bench_breakin ENDPOINT N NAME
 * The guest looks once a clock tick. Prints one JSON line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openkd/error.h>
#include <openkd/event.h>
#include <openkd/session.h>

#include "lib/base.h"

enum { WAIT_MS = 30000, N_MAX = 10000 };

static struct kd_error err;

static void must(const char *what, enum kd_status status)
{
	if (status == KD_OK)
		return;
	fprintf(stderr, "bench_breakin: %s: %s\n", what, err.text);
	exit(1);
}

static void wait_stop(struct kd_session *s)
{
	struct kd_event e = { 0 };

	do
		must("wait", kd_session_wait(s, WAIT_MS, &e, &err));
	while (e.kind != KD_EVENT_STOP);
}

/* The guest runs for a while that is no multiple of its tick. */
static double measure(struct kd_session *s, unsigned i)
{
	struct timespec pause = { .tv_nsec = 20000000 + (long)(i * 1234567 % 15000000) };
	uint64_t start;

	must("go", kd_session_go(s, KD_GO, &err));
	nanosleep(&pause, NULL);
	start = kd_now_ns();
	kd_session_break_in(s);
	wait_stop(s);
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
	struct kd_session *s = NULL;
	unsigned n;

	if (argc != 4 || (n = (unsigned)strtoul(argv[2], NULL, 10)) == 0 || n > N_MAX) {
		fprintf(stderr, "usage: bench_breakin ENDPOINT N NAME\n");
		return 2;
	}
	options.initial_break = true;
	must(argv[1], kd_session_create(argv[1], &options, &s, &err));
	wait_stop(s);
	for (unsigned i = 0; i < n; i++)
		ms[i] = measure(s, i);
	qsort(ms, n, sizeof ms[0], by_size);
	printf("{\"name\": \"%s\", \"count\": %u, \"median_ms\": %.2f, \"p90_ms\": %.2f, "
	       "\"max_ms\": %.2f}\n",
	       argv[3], n, ms[n / 2], ms[n * 9 / 10], ms[n - 1]);
	kd_session_destroy(s);
	return 0;
}
