/* SPDX-License-Identifier: MIT */
/* The fake target served on a unix socket by a thread of the test, so that both ends can be seen.
 */
#ifndef KD_TESTS_ENGINE_FAKE_HOST_H
#define KD_TESTS_ENGINE_FAKE_HOST_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/support/kd_fake_target.h"

struct fake_host {
	struct kd_fake *fake; /* hold `lock` to look at it */
	pthread_mutex_t lock;
	pthread_t thread;
	atomic_bool quit;
	atomic_bool paused; /* the VM is paused: nothing is read, nothing runs */
	atomic_uint lose;   /* of a million bytes, each way, are lost */
	int listener, peer;
	char endpoint[128]; /* for kd_session_create() */
	char folder[64];
};

struct fake_host *fake_host_start(const struct kd_fake_config *config);
void fake_host_stop(struct fake_host *h);
void fake_host_lock(struct fake_host *h);
void fake_host_unlock(struct fake_host *h);
/* Wait until no debugger is connected and the machine runs; false after two seconds. */
bool fake_host_runs_alone(struct fake_host *h);

#endif
