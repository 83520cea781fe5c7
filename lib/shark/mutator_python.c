/* SPDX-License-Identifier: MIT */
/* A Python function in one long-lived python3: mutator_host.py is its other end. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/shark/child.h"
#include "lib/shark/conversation.h"
#include "lib/shark/mutator_private.h"

enum { START_MS = 10000, HEADER_MAX = 16384, RESTARTS_MAX = 5 };

static const char host_program[] = {
#include <mutator_host.inc> /* made from mutator_host.py */
};

struct python {
	char *path;
	struct kd__child child;
	unsigned restarts; /* since it answered last */
};

/* --- frames --- */

/* NULL: it is late, gone, or talks nonsense; *status_ret says which. */
static json_t *read_header(struct python *p, uint64_t deadline, enum kd_status *status_ret)
{
	char text[HEADER_MAX];
	uint8_t length[4];
	uint32_t n;

	*status_ret = kd__child_read_all(&p->child, length, sizeof length, deadline);
	if (*status_ret != KD_OK)
		return NULL;
	n = kd_get32(length);
	*status_ret = n > sizeof text ? KD_E_MALFORMED
				      : kd__child_read_all(&p->child, text, n, deadline);
	return *status_ret == KD_OK ? json_loadb(text, n, 0, NULL) : NULL;
}

static enum kd_status write_job(struct python *p, const struct kd__job *job)
{
	const struct kd_traffic_flow *f = job->flow;
	json_t *o = json_pack(
		"{sI sI ss sb ss si ss ss si ss si sI sI}", "id", (json_int_t)job->item->id, "flow",
		(json_int_t)job->item->flow, "direction", job->item->is_inbound ? "in" : "out",
		"is_datagram", job->item->is_datagram, "process", f->process, "pid", (int)f->pid,
		"protocol", f->protocol == 6 ? "tcp" : "udp", "local", f->local, "local_port",
		(int)f->local_port, "remote", f->remote, "remote_port", (int)f->remote_port, "seed",
		(json_int_t)job->seed, "size", (json_int_t)job->bytes->size);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	enum kd_status s = KD_E_NO_MEMORY;
	uint8_t length[4];

	if (text) {
		kd_put32(length, (uint32_t)strlen(text));
		s = kd__child_write(&p->child, length, sizeof length, job->deadline);
		if (s == KD_OK)
			s = kd__child_write(&p->child, text, strlen(text), job->deadline);
		if (s == KD_OK)
			s = kd__child_write(&p->child, job->bytes->data, job->bytes->size,
					    job->deadline);
	}
	free(text);
	json_decref(o);
	return s;
}

/* What a user's program says may be anything, a payload's bytes among it. */
static void clean(const char *text, char *ret, size_t size)
{
	kd__clean_text((const uint8_t *)text, strlen(text), ret, KD_MIN(size, (size_t)151));
}

/* --- life --- */

static enum kd_status start(struct python *p, struct kd_error *err)
{
	const char *argv[] = { "python3", "-c", host_program, p->path, NULL };
	enum kd_status s = kd__child_start(&p->child, argv, NULL, err);
	char error[151];
	json_t *header;

	if (s == KD_E_NOT_FOUND)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "python3 is not installed: it runs %.120s", p->path);
	if (s != KD_OK)
		return s;
	header = read_header(p, kd_now_ns() + START_MS * UINT64_C(1000000), &s);
	if (!header)
		s = kd_error_set(err, s == KD_OK ? KD_E_MALFORMED : s, 0, "%.80s: %.120s", p->path,
				 *kd__child_complaint(&p->child) ? kd__child_complaint(&p->child)
								 : "it did not start");
	else if (json_is_string(json_object_get(header, "error"))) {
		clean(json_string_value(json_object_get(header, "error")), error, sizeof error);
		s = kd_error_set(err, KD_E_SYNTAX, 0, "%.80s, %.140s", p->path, error);
	}
	json_decref(header);
	if (s != KD_OK)
		kd__child_kill(&p->child);
	return s;
}

static void destroy(void *state)
{
	struct python *p = state;

	kd__child_kill(&p->child);
	free(p->path);
	free(p);
}

/* --- a payload --- */

static enum kd__outcome take_change(struct python *p, struct kd__job *job, size_t size)
{
	uint8_t *data;

	if (size > KD__MUTATE_MAX) {
		kd__child_kill(&p->child); /* its bytes are in the way */
		snprintf(job->text, sizeof job->text,
			 "%zu bytes are more than the %d a payload may have", size, KD__MUTATE_MAX);
		return KD__FAILED;
	}
	data = malloc(size + 1);
	if (!data || kd__child_read_all(&p->child, data, size, job->deadline) != KD_OK) {
		free(data);
		kd__child_kill(&p->child);
		return KD__LATE;
	}
	free(job->bytes->data);
	*job->bytes = (struct kd__bytes){ data, size };
	return KD__CHANGED;
}

static void take_said(const json_t *lines, struct kd__job *job)
{
	size_t used = 0, i;
	char text[151];
	json_t *line;

	json_array_foreach(lines, i, line)
	{
		clean(json_is_string(line) ? json_string_value(line) : "", text, sizeof text);
		if (used + strlen(text) + 2 > sizeof job->said)
			break;
		used += (size_t)snprintf(job->said + used, sizeof job->said - used, "%s\n", text);
	}
}

static enum kd__outcome judge(struct python *p, struct kd__job *job, const json_t *header)
{
	const char *verdict = json_string_value(json_object_get(header, "verdict"));
	const char *error = json_string_value(json_object_get(header, "error"));

	if (!verdict || strcmp(verdict, "error") == 0) {
		clean(error ? error : "nonsense", job->text, sizeof job->text);
		return KD__FAILED;
	}
	if (strcmp(verdict, "change") == 0)
		return take_change(p, job,
				   (size_t)json_integer_value(json_object_get(header, "size")));
	return strcmp(verdict, "drop") == 0    ? KD__DROPPED
	       : strcmp(verdict, "reset") == 0 ? KD__RESET
					       : KD__UNCHANGED;
}

/* One that ended, or had to be ended, is started again; not for ever. */
static bool is_running(struct python *p, struct kd__job *job)
{
	uint64_t begin = kd_now_ns();
	const char *complaint;
	struct kd_error err;

	if (p->child.pid)
		return true;
	if (p->restarts++ >= RESTARTS_MAX || start(p, &err) != KD_OK) {
		complaint = kd__child_complaint(&p->child);
		snprintf(job->text, sizeof job->text, "its python3 has ended%s%.120s",
			 *complaint ? ": " : "", complaint);
		return false;
	}
	job->deadline += kd_now_ns() - begin; /* what it imports is not this payload's fault */
	return true;
}

static enum kd__outcome run(void *state, struct kd__job *job)
{
	struct python *p = state;
	enum kd__outcome outcome;
	enum kd_status s;
	json_t *header;

	if (!is_running(p, job))
		return KD__FAILED;
	s = write_job(p, job);
	header = s == KD_OK ? read_header(p, job->deadline, &s) : NULL;
	if (!header) {
		const char *complaint = kd__child_complaint(&p->child);

		snprintf(job->text, sizeof job->text, "%.150s",
			 *complaint ? complaint : "its python3 has ended");
		kd__child_kill(&p->child);
		return s == KD_E_TIMEOUT ? KD__LATE : KD__FAILED;
	}
	p->restarts = 0;
	take_said(json_object_get(header, "said"), job);
	outcome = judge(p, job, header);
	json_decref(header);
	return outcome;
}

static const struct kd__mutator_ops ops = { run, destroy };

enum kd_status kd__mutator_python(const struct kd_mutator_spec *spec, void **state_ret,
				  const struct kd__mutator_ops **ops_ret, struct kd_error *err)
{
	struct python *p = calloc(1, sizeof *p);
	enum kd_status s;

	if (!p || !(p->path = strdup(spec->source))) {
		free(p);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	p->child = (struct kd__child){ .in = -1, .out = -1, .err = -1 };
	s = start(p, err);
	if (s != KD_OK) {
		destroy(p);
		return s;
	}
	*state_ret = p;
	*ops_ret = &ops;
	return KD_OK;
}
