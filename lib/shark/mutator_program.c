/* SPDX-License-Identifier: MIT */
/*
 * A shell command for each payload: it on standard input, what becomes of it on standard output.
 * Exit status 0: the output goes on; 1: as it was; 2: drop; 3: reset the connection; others are
 * failures. KD_* variables tell what it is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shark/child.h"
#include "lib/shark/mutator_private.h"

enum { STATUS_CHANGED, STATUS_PASS, STATUS_DROP, STATUS_RESET, VARIABLES = 10, VARIABLE = 128 };

struct program {
	char *command;
};

static void describe(const struct kd__job *job, char text[VARIABLES][VARIABLE],
		     const char *list[VARIABLES + 1])
{
	const struct kd_traffic_flow *f = job->flow;
	size_t n = 0;

	snprintf(text[n++], VARIABLE, "KD_SEED=%" PRIu64, job->seed);
	snprintf(text[n++], VARIABLE, "KD_ITEM=%" PRIu64, job->item->id);
	snprintf(text[n++], VARIABLE, "KD_FLOW=%" PRIu64, job->item->flow);
	snprintf(text[n++], VARIABLE, "KD_DIRECTION=%s", job->item->is_inbound ? "in" : "out");
	snprintf(text[n++], VARIABLE, "KD_PROTOCOL=%s", f->protocol == 6 ? "tcp" : "udp");
	snprintf(text[n++], VARIABLE, "KD_PROCESS=%s", f->process);
	snprintf(text[n++], VARIABLE, "KD_PID=%u", f->pid);
	snprintf(text[n++], VARIABLE, "KD_LOCAL_PORT=%u", f->local_port);
	snprintf(text[n++], VARIABLE, "KD_REMOTE_PORT=%u", f->remote_port);
	snprintf(text[n++], VARIABLE, "KD_REMOTE=%s", f->remote);
	for (size_t i = 0; i < n; i++)
		list[i] = text[i];
	list[n] = NULL;
}

/* Its output, at most KD__MUTATE_MAX bytes; KD_E_TOO_BIG. */
static enum kd_status read_output(struct kd__child *c, struct kd__bytes *out, uint64_t deadline)
{
	enum kd_status s = KD_OK;
	size_t n;

	while (s == KD_OK) {
		if (out->size == KD__MUTATE_MAX + 1)
			return KD_E_TOO_BIG;
		s = kd__child_read(c, out->data + out->size, KD__MUTATE_MAX + 1 - out->size, &n,
				   deadline);
		out->size += n;
	}
	return s == KD_E_CLOSED ? KD_OK : s;
}

static enum kd_status talk(struct kd__child *c, struct kd__job *job, struct kd__bytes *out,
			   int *status_ret)
{
	enum kd_status s = kd__child_write(c, job->bytes->data, job->bytes->size, job->deadline);

	kd__child_end_input(c);
	/* one that does not read its input may have an answer all the same */
	if (s == KD_OK || s == KD_E_CLOSED)
		s = read_output(c, out, job->deadline);
	return s == KD_OK ? kd__child_wait(c, status_ret, job->deadline) : s;
}

static enum kd__outcome judge(struct kd__child *c, struct kd__job *job, struct kd__bytes *out,
			      int status)
{
	const char *complaint;

	switch (status) {
	case STATUS_CHANGED:
		free(job->bytes->data);
		*job->bytes = *out;
		out->data = NULL;
		return KD__CHANGED;
	case STATUS_PASS: return KD__UNCHANGED;
	case STATUS_DROP: return KD__DROPPED;
	case STATUS_RESET: return KD__RESET;
	default:
		complaint = kd__child_complaint(c);
		snprintf(job->text, sizeof job->text, "exit status %d%s%.110s", status,
			 *complaint ? ": " : "", complaint);
		return KD__FAILED;
	}
}

static enum kd__outcome run(void *state, struct kd__job *job)
{
	struct program *p = state;
	const char *argv[] = { "/bin/sh", "-c", p->command, NULL };
	const char *environment[VARIABLES + 1];
	char variables[VARIABLES][VARIABLE];
	struct kd__bytes out = { malloc(KD__MUTATE_MAX + 1), 0 };
	enum kd__outcome outcome = KD__FAILED;
	struct kd__child child;
	struct kd_error err;
	enum kd_status s;
	int status;

	describe(job, variables, environment);
	s = out.data ? kd__child_start(&child, argv, environment, &err)
		     : kd_error_set(&err, KD_E_NO_MEMORY, 0, "out of memory");
	if (s != KD_OK) {
		snprintf(job->text, sizeof job->text, "%.150s", err.text);
		free(out.data);
		return KD__FAILED;
	}
	s = talk(&child, job, &out, &status);
	if (s == KD_OK)
		outcome = judge(&child, job, &out, status);
	else if (s == KD_E_TIMEOUT)
		outcome = KD__LATE;
	else
		snprintf(job->text, sizeof job->text, "%s",
			 s == KD_E_TOO_BIG ? "its output is larger than a payload may be"
					   : "it can't be talked to");
	if (outcome != KD__FAILED)
		snprintf(job->said, sizeof job->said, "%.150s", kd__child_complaint(&child));
	kd__child_kill(&child);
	free(out.data);
	return outcome;
}

static void destroy(void *state)
{
	struct program *p = state;

	free(p->command);
	free(p);
}

static const struct kd__mutator_ops ops = { run, destroy };

enum kd_status kd__mutator_program(const struct kd_mutator_spec *spec, void **state_ret,
				   const struct kd__mutator_ops **ops_ret, struct kd_error *err)
{
	struct program *p = calloc(1, sizeof *p);

	if (!p || !(p->command = strdup(spec->source))) {
		free(p);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	*state_ret = p;
	*ops_ret = &ops;
	return KD_OK;
}
