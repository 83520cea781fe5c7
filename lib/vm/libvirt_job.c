/* SPDX-License-Identifier: MIT */
#include "lib/vm/libvirt_job.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/link/link.h"

/* The job is the first member: the thread and the caller each hold a reference. */
struct shared {
	struct kd__libvirt_job job;
	pthread_mutex_t lock;
	pthread_cond_t done;
	unsigned refs;
	bool is_done, is_late;
	struct shared *next_late;
	enum kd_status status;
};

/*
 * Jobs that were left behind. Another one for their URI would wait as they do: whoever looks around
 * every second must not collect threads.
 */
static pthread_mutex_t late_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared *late; /* a list */

static bool is_late(const char *uri)
{
	bool found = false;

	pthread_mutex_lock(&late_lock);
	for (const struct shared *s = late; s && !found; s = s->next_late)
		found = strcmp(s->job.uri, uri) == 0;
	pthread_mutex_unlock(&late_lock);
	return found;
}

/* Both with s->lock held. */
static void add_late(struct shared *s)
{
	pthread_mutex_lock(&late_lock);
	s->is_late = true;
	s->next_late = late;
	late = s;
	pthread_mutex_unlock(&late_lock);
}

static void remove_late(struct shared *s)
{
	pthread_mutex_lock(&late_lock);
	for (struct shared **at = &late; *at; at = &(*at)->next_late)
		if (*at == s) {
			*at = s->next_late;
			break;
		}
	s->is_late = false;
	pthread_mutex_unlock(&late_lock);
}

struct kd__libvirt_job *kd__libvirt_job_new(const char *uri)
{
	struct shared *s = calloc(1, sizeof *s);
	pthread_condattr_t clock;

	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&s->done, &clock);
	pthread_condattr_destroy(&clock);
	s->refs = 1;
	snprintf(s->job.uri, sizeof s->job.uri, "%s", uri);
	return &s->job;
}

void kd__libvirt_job_unref(struct kd__libvirt_job *job)
{
	struct shared *s = (struct shared *)job;
	unsigned left;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	left = --s->refs;
	pthread_mutex_unlock(&s->lock);
	if (left)
		return;
	pthread_cond_destroy(&s->done);
	pthread_mutex_destroy(&s->lock);
	kd__vm_rows_deinit(&job->rows);
	free(job->names);
	free(job->line);
	free(job->answer);
	free(s);
}

/* Nobody sits at a terminal for us to ask: ssh must not either. */
static void complete_uri(const char *uri, char *out, size_t size)
{
	bool asks = strstr(uri, "+ssh://") && !strstr(uri, "no_tty=");

	snprintf(out, size, "%s%s", uri, !asks ? "" : strchr(uri, '?') ? "&no_tty=1" : "?no_tty=1");
}

static enum kd_status connect_and_run(struct kd__libvirt_job *job)
{
	const struct kd__libvirt *v;
	char uri[KD_QEMU_PATH_SIZE + 16];
	virConnectPtr connection;
	enum kd_status s = kd__libvirt_load(&v, &job->error);

	if (s != KD_OK)
		return s;
	complete_uri(job->uri, uri, sizeof uri);
	connection = v->virConnectOpenAuth(uri, NULL, 0);
	if (!connection) {
		s = kd__libvirt_failed(v, "cannot connect", &job->error);
		return s == KD_E_IO ? KD_E_CLOSED : s;
	}
	s = job->run(job, v, connection);
	v->virConnectClose(connection);
	return s;
}

static void *thread(void *context)
{
	struct shared *s = context;
	enum kd_status status = connect_and_run(&s->job);

	pthread_mutex_lock(&s->lock);
	s->status = status;
	s->is_done = true;
	if (s->is_late)
		remove_late(s);
	pthread_cond_signal(&s->done);
	pthread_mutex_unlock(&s->lock);
	kd__libvirt_job_unref(&s->job);
	return NULL;
}

static bool start(struct shared *s)
{
	pthread_attr_t detached;
	pthread_t id;
	int failed;

	s->refs++;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	failed = pthread_create(&id, &detached, thread, s);
	pthread_attr_destroy(&detached);
	s->refs -= failed != 0;
	return !failed;
}

/* False: not in time. */
static bool wait_for(struct shared *s, uint64_t deadline)
{
	struct timespec until = { .tv_sec = (time_t)(deadline / 1000000000u),
				  .tv_nsec = (long)(deadline % 1000000000u) };
	bool is_done;

	pthread_mutex_lock(&s->lock);
	while (!s->is_done)
		if (deadline == KD_TIME_NEVER)
			pthread_cond_wait(&s->done, &s->lock);
		else if (pthread_cond_timedwait(&s->done, &s->lock, &until) == ETIMEDOUT)
			break;
	is_done = s->is_done;
	if (!is_done)
		add_late(s);
	pthread_mutex_unlock(&s->lock);
	return is_done;
}

enum kd_status kd__libvirt_job_run(struct kd__libvirt_job *job, uint64_t deadline,
				   struct kd_error *err)
{
	struct shared *s = (struct shared *)job;

	if (is_late(job->uri))
		return kd_error_set(err, KD_E_TIMEOUT, 0,
				    "still no answer to what was asked before");
	if (!start(s))
		return kd_error_set(err, KD_E_IO, 0, "no thread to be had");
	if (!wait_for(s, deadline))
		return kd_error_set(err, KD_E_TIMEOUT, 0, "no answer in time");
	if (s->status != KD_OK && err)
		*err = job->error;
	return s->status;
}
