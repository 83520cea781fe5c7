/* SPDX-License-Identifier: MIT */
/* What benchmarks of a session share. A failure ends the program with a message. */
#ifndef KD_BENCH_SESSION_H
#define KD_BENCH_SESSION_H

#include <openkd/session.h>

extern struct kd_error bench_err; /* for calls whose status goes to bench_must() */

void bench_must(const char *what, enum kd_status status);
/* Waits for the stop; everything else that the target says is passed over. */
void bench_wait_stop(struct kd_session *s);
/* Attached and stopped. */
struct kd_session *bench_attach(const char *endpoint, struct kd_session_options *options);

#endif
