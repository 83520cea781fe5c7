/* SPDX-License-Identifier: MIT */
#include "bench/bench_session.h"

#include <stdio.h>
#include <stdlib.h>

#include <openkd/error.h>
#include <openkd/event.h>

enum { WAIT_MS = 120000 };

struct kd_error bench_err;

void bench_must(const char *what, enum kd_status status)
{
	if (status == KD_OK)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, bench_err.text);
	exit(1);
}

void bench_wait_stop(struct kd_session *s)
{
	struct kd_event e = { 0 };

	do
		bench_must("wait", kd_session_wait(s, WAIT_MS, &e, &bench_err));
	while (e.kind != KD_EVENT_STOP);
}

struct kd_session *bench_attach(const char *endpoint, struct kd_session_options *options)
{
	struct kd_session *s = NULL;

	options->initial_break = true;
	bench_must(endpoint, kd_session_create(endpoint, options, &s, &bench_err));
	bench_wait_stop(s);
	return s;
}
