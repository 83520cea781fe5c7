/* SPDX-License-Identifier: MIT */
/*
 * The list of mutators, asked about each item that is held. Payloads have names that do not depend
 * on the run: the process, the protocol and the server's port of their flow, the flow's number
 * among such, the direction, their number in it. Chance and records go by these names.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shark/display_filter.h"
#include "lib/shark/mutation_record.h"
#include "lib/shark/mutator_private.h"
#include "lib/shark/traffic_filter.h"

enum {
	MUTATORS_MAX = 32,
	TIMEOUT_MS = 1000,
	ASK_MS = 50,
	FAILURES_MAX = 20,
	RECENT_MAX = 4096,
	RECENT_BYTES_MAX = 32 * 1024 * 1024
};

struct mutator {
	struct kd_mutator info;
	unsigned timeout_ms, failures; /* in a row */
	const struct kd__mutator_ops *ops;
	void *state;
	struct kd__display_filter *display;
	struct kd_probe_filter *filter;
};

struct kd_mutators {
	struct kd_traffic *traffic;
	pthread_mutex_t mutex; /* before the traffic's */
	struct mutator *list[MUTATORS_MAX];
	size_t n;
	int next_id;
	struct kd__payload_names *names;
	struct kd__mutation_writer *writer;
	struct kd__mutation_replay *replay;
	/* the last mutations, as lines of a record */
	char *recent[RECENT_MAX];
	size_t first_recent, n_recent, recent_bytes;
};

/* --- does it want this payload? --- */

static void facts_of(const struct kd_traffic_flow *flow, const struct kd__flow *inside,
		     struct kd_probe_facts *ret)
{
	*ret = inside->conversation->facts;
	ret->pid = flow->pid;
	if (!inside->is_mirrored)
		return;
	/* the other end's view */
	ret->direction = ret->direction == KD_PROBE_OUT ? KD_PROBE_IN : KD_PROBE_OUT;
	ret->local_port = flow->local_port;
	ret->remote_port = flow->remote_port;
	memcpy(ret->local, inside->conversation->facts.remote, sizeof ret->local);
	memcpy(ret->remote, inside->conversation->facts.local, sizeof ret->remote);
}

static bool filter_matches(struct kd_mutators *m, const struct mutator *u,
			   const struct kd_traffic_item *item, const struct kd_traffic_flow *flow)
{
	enum kd_probe_direction direction = item->is_inbound ? KD_PROBE_IN : KD_PROBE_OUT;
	struct kd_probe_facts facts;
	struct kd__flow *inside;
	bool matches = false;

	pthread_mutex_lock(&m->traffic->mutex);
	inside = kd__flow_find(m->traffic, flow->id);
	if (inside) {
		facts_of(flow, inside, &facts);
		facts.path = (const uint8_t *)inside->info.path;
		facts.path_size = (uint16_t)strlen(inside->info.path);
		matches = kd_probe_filter_action(u->filter, KD_PROBE_LIST_SHOW, &facts) !=
				  KD_PROBE_IGNORE &&
			  kd_probe_program_matches(&u->filter->capture, &facts, direction,
						   item->is_end ? KD_PROBE_FIN : 0, item->bytes,
						   (uint32_t)item->n_bytes);
	}
	pthread_mutex_unlock(&m->traffic->mutex);
	return matches;
}

static void notice(struct kd_mutators *m, const struct mutator *u,
		   const struct kd_traffic_item *item, const char *text)
{
	pthread_mutex_lock(&m->traffic->mutex);
	kd__traffic_event(m->traffic, KD_TRAFFIC_EVENT_NOTICE, item->flow, item->id,
			  "mutator %d: %.130s", u->info.id, text);
	pthread_mutex_unlock(&m->traffic->mutex);
}

static void tell(struct kd_mutators *m, struct mutator *u, const struct kd_traffic_item *item,
		 const char *text)
{
	snprintf(u->info.last_error, sizeof u->info.last_error, "%s", text);
	notice(m, u, item, text);
}

static void pass_on(struct kd_mutators *m, const struct mutator *u,
		    const struct kd_traffic_item *item, char *said)
{
	char *rest = NULL;

	for (char *l = strtok_r(said, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest))
		notice(m, u, item, l);
}

static bool wants(struct kd_mutators *m, struct mutator *u, const struct kd_traffic_item *item,
		  const struct kd_traffic_flow *flow)
{
	bool matches = true;
	enum kd_status s;

	if (u->filter)
		return filter_matches(m, u, item, flow);
	if (!u->display)
		return true;
	s = kd__display_filter_ask(u->display, item->id, kd_now_ns() + ASK_MS * UINT64_C(1000000),
				   &matches);
	if (s != KD_OK) {
		u->info.late++;
		tell(m, u, item,
		     s == KD_E_TIMEOUT ? "its display filter was late: taken as no match"
				       : "its display filter's tshark had ended");
	}
	return matches;
}

/* --- asking one --- */

static const enum kd_hook_answer answers[] = {
	[KD__UNCHANGED] = KD_HOOK_LEAVE, [KD__CHANGED] = KD_HOOK_LEAVE,
	[KD__DROPPED] = KD_HOOK_DROP,    [KD__RESET] = KD_HOOK_RESET,
	[KD__FAILED] = KD_HOOK_LEAVE,    [KD__LATE] = KD_HOOK_LEAVE,
};

static void book(struct kd_mutators *m, struct mutator *u, const struct kd_traffic_item *item,
		 enum kd__outcome outcome, const struct kd__job *job)
{
	u->info.changed += outcome == KD__CHANGED;
	u->info.dropped += outcome == KD__DROPPED || outcome == KD__RESET;
	if (outcome != KD__FAILED && outcome != KD__LATE) {
		u->failures = 0;
		return;
	}
	u->info.failed += outcome == KD__FAILED;
	u->info.late += outcome == KD__LATE;
	tell(m, u, item, outcome == KD__LATE ? "it did not answer in time" : job->text);
	if (++u->failures < FAILURES_MAX)
		return;
	u->info.is_disabled = true;
	tell(m, u, item, "it failed too often and is not asked any more");
}

static void forget_oldest(struct kd_mutators *m)
{
	char **oldest = &m->recent[m->first_recent];

	m->recent_bytes -= strlen(*oldest);
	free(*oldest);
	*oldest = NULL;
	m->first_recent = (m->first_recent + 1) % RECENT_MAX;
	m->n_recent--;
}

static void remember(struct kd_mutators *m, const struct kd__mutation_entry *entry)
{
	char *line = kd__mutation_line(entry);

	kd__mutation_write_line(m->writer, line);
	if (!line)
		return;
	m->recent_bytes += strlen(line);
	while (m->n_recent && (m->n_recent == RECENT_MAX || m->recent_bytes > RECENT_BYTES_MAX))
		forget_oldest(m);
	m->recent[(m->first_recent + m->n_recent++) % RECENT_MAX] = line;
}

/* The item's bytes become the job's and back. */
static enum kd__outcome run(struct mutator *u, struct kd_traffic_item *item,
			    const struct kd_traffic_flow *flow, uint64_t seed, struct kd__job *job)
{
	struct kd__bytes bytes = { malloc(item->n_bytes + 1), item->n_bytes };
	enum kd__outcome outcome;

	*job = (struct kd__job){ .item = item,
				 .flow = flow,
				 .bytes = &bytes,
				 .seed = seed,
				 .deadline = kd_now_ns() + u->timeout_ms * UINT64_C(1000000) };
	if (!bytes.data)
		return KD__FAILED;
	kd_copy(bytes.data, item->bytes, item->n_bytes);
	outcome = u->ops->run(u->state, job);
	if (outcome == KD__CHANGED && bytes.size == item->n_bytes &&
	    memcmp(bytes.data, item->bytes, bytes.size) == 0)
		outcome = KD__UNCHANGED;
	if (outcome == KD__CHANGED) {
		free(item->bytes);
		item->bytes = bytes.data;
		item->n_bytes = bytes.size;
	} else {
		free(bytes.data);
	}
	return outcome;
}

static enum kd_hook_answer ask(struct kd_mutators *m, struct mutator *u,
			       struct kd_traffic_item *item, const struct kd_traffic_flow *flow,
			       const struct kd__payload_name *name, char *by, size_t by_size)
{
	struct kd__random random = { u->info.seed ^ kd__payload_name_hash(name) };
	struct kd__mutation_entry entry = { .name = name, .mutator = u->info.source };
	KD_CLEANUP(kd_freep) uint8_t *before = NULL;
	enum kd__outcome outcome;
	struct kd__job job;

	if (u->info.is_disabled || !wants(m, u, item, flow))
		return KD_HOOK_LEAVE;
	u->info.seen++;
	if (u->info.one_in > 1 && kd__random_below(&random, u->info.one_in) != 0)
		return KD_HOOK_LEAVE;
	entry.seed = kd__random_next(&random) >> 1; /* JSON has no more bits */
	entry.before_size = item->n_bytes;
	entry.before = before = malloc(item->n_bytes + 1);
	if (!before)
		return KD_HOOK_LEAVE;
	kd_copy(before, item->bytes, item->n_bytes);
	outcome = run(u, item, flow, entry.seed, &job);
	pass_on(m, u, item, job.said);
	book(m, u, item, outcome, &job);
	if (outcome == KD__UNCHANGED || outcome == KD__FAILED || outcome == KD__LATE)
		return KD_HOOK_LEAVE;
	snprintf(by, by_size, "mutator:%d seed=%" PRIu64, u->info.id, entry.seed);
	entry.outcome = outcome;
	entry.after = item->bytes;
	entry.after_size = item->n_bytes;
	remember(m, &entry);
	return answers[outcome];
}

/* --- a payload --- */

/* What a record says about it. False: nothing. */
static bool replay(struct kd_mutators *m, struct kd_traffic_item *item,
		   const struct kd__payload_name *name, char *by, size_t by_size,
		   enum kd_hook_answer *answer_ret)
{
	struct kd__mutation_entry entry;
	uint64_t line;
	uint8_t *copy;

	if (!kd__mutation_replay_find(m->replay, name, item->bytes, item->n_bytes, &entry, &line))
		return false;
	snprintf(by, by_size, "replay:%" PRIu64, line);
	*answer_ret = entry.outcome == KD__CHANGED ? KD_HOOK_PASS : answers[entry.outcome];
	if (entry.outcome != KD__CHANGED)
		return true;
	copy = malloc(entry.after_size + 1);
	if (!copy)
		return false;
	kd_copy(copy, entry.after, entry.after_size);
	free(item->bytes);
	item->bytes = copy;
	item->n_bytes = entry.after_size;
	return true;
}

static enum kd_hook_answer on_item(void *context, struct kd_traffic_item *item,
				   const struct kd_traffic_flow *flow, char *by, size_t by_size)
{
	struct kd_mutators *m = context;
	enum kd_hook_answer answer = KD_HOOK_LEAVE;
	struct kd__payload_name name;

	pthread_mutex_lock(&m->mutex);
	if (m->n == 0 && !m->replay) {
		pthread_mutex_unlock(&m->mutex);
		return KD_HOOK_LEAVE; /* the user decides */
	}
	kd__payload_name_of(m->names, item, flow, &name);
	snprintf(by, by_size, "mutators");
	if (!item->is_end && !replay(m, item, &name, by, by_size, &answer))
		for (size_t i = 0; i < m->n && answer == KD_HOOK_LEAVE; i++)
			answer = ask(m, m->list[i], item, flow, &name, by, by_size);
	pthread_mutex_unlock(&m->mutex);
	return answer == KD_HOOK_LEAVE ? KD_HOOK_PASS : answer;
}

/* --- the list --- */

static void destroy(struct mutator *u)
{
	if (u->ops)
		u->ops->destroy(u->state);
	kd__display_filter_destroy(u->display);
	free(u->filter);
	free(u);
}

static enum kd_status add_filter(struct kd_mutators *m, struct mutator *u,
				 const struct kd_mutator_spec *spec, struct kd_error *err)
{
	if (!spec->filter || !*spec->filter)
		return KD_OK;
	if (spec->filter_kind == KD_MUTATOR_DISPLAY)
		return kd__display_filter_create(m->traffic, spec->filter, &u->display, err);
	u->filter = malloc(sizeof *u->filter);
	if (!u->filter)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	return kd__traffic_filter_compile(spec->filter, NULL, 0, u->filter, err);
}

static enum kd_status make(struct kd_mutators *m, struct mutator *u,
			   const struct kd_mutator_spec *spec, struct kd_error *err)
{
	static enum kd_status (*const makers[])(const struct kd_mutator_spec *, void **,
						const struct kd__mutator_ops **,
						struct kd_error *) = {
		[KD_MUTATOR_BUILTIN] = kd__mutator_builtin,
		[KD_MUTATOR_PYTHON] = kd__mutator_python,
		[KD_MUTATOR_PROGRAM] = kd__mutator_program,
	};
	enum kd_status s = add_filter(m, u, spec, err);

	if (s == KD_OK)
		s = makers[spec->kind](spec, &u->state, &u->ops, err);
	u->info.kind = spec->kind;
	u->info.filter_kind = spec->filter_kind;
	u->info.seed = spec->seed;
	u->info.one_in = spec->one_in ? spec->one_in : 1;
	u->timeout_ms = spec->timeout_ms ? spec->timeout_ms : TIMEOUT_MS;
	snprintf(u->info.source, sizeof u->info.source, "%s", spec->source);
	snprintf(u->info.filter, sizeof u->info.filter, "%s", spec->filter ? spec->filter : "");
	return s;
}

KD_EXPORT enum kd_status kd_mutator_add(struct kd_mutators *m, const struct kd_mutator_spec *spec,
					int *id_ret, struct kd_error *err)
{
	struct mutator *u = calloc(1, sizeof *u);
	enum kd_status s;

	if (!u)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	s = make(m, u, spec, err);
	if (s != KD_OK) {
		destroy(u);
		return s;
	}
	pthread_mutex_lock(&m->mutex);
	if (m->n == MUTATORS_MAX) {
		s = kd_error_set(err, KD_E_FULL, 0, "%d mutators are there already", MUTATORS_MAX);
	} else {
		u->info.id = m->next_id++;
		*id_ret = u->info.id;
		m->list[m->n++] = u;
		u = NULL;
	}
	pthread_mutex_unlock(&m->mutex);
	if (u)
		destroy(u);
	return s;
}

KD_EXPORT enum kd_status kd_mutator_remove(struct kd_mutators *m, int id, struct kd_error *err)
{
	struct mutator *u = NULL;

	pthread_mutex_lock(&m->mutex);
	for (size_t i = 0; i < m->n && !u; i++) {
		if (m->list[i]->info.id != id)
			continue;
		u = m->list[i];
		memmove(&m->list[i], &m->list[i + 1], (m->n - i - 1) * sizeof m->list[0]);
		m->n--;
	}
	pthread_mutex_unlock(&m->mutex);
	if (!u)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "there is no mutator %d", id);
	destroy(u);
	return KD_OK;
}

KD_EXPORT bool kd_mutator_nth(struct kd_mutators *m, size_t n, struct kd_mutator *ret)
{
	bool is_there;

	pthread_mutex_lock(&m->mutex);
	is_there = n < m->n;
	if (is_there)
		*ret = m->list[n]->info;
	pthread_mutex_unlock(&m->mutex);
	return is_there;
}

/* --- records --- */

KD_EXPORT enum kd_status kd_mutators_record(struct kd_mutators *m, const char *path,
					    struct kd_error *err)
{
	struct kd__mutation_writer *w = NULL, *before;
	enum kd_status s = path ? kd__mutation_writer_create(path, &w, err) : KD_OK;

	if (s != KD_OK)
		return s;
	pthread_mutex_lock(&m->mutex);
	before = m->writer;
	m->writer = w;
	kd__payload_names_reset(m->names); /* numbers count from here */
	pthread_mutex_unlock(&m->mutex);
	return kd__mutation_writer_close(before, err);
}

KD_EXPORT enum kd_status kd_mutators_save(struct kd_mutators *m, const char *path,
					  struct kd_error *err)
{
	struct kd__mutation_writer *w;
	enum kd_status s = kd__mutation_writer_create(path, &w, err);

	if (s != KD_OK)
		return s;
	pthread_mutex_lock(&m->mutex);
	for (size_t i = 0; i < m->n_recent; i++)
		kd__mutation_write_line(w, m->recent[(m->first_recent + i) % RECENT_MAX]);
	pthread_mutex_unlock(&m->mutex);
	return kd__mutation_writer_close(w, err);
}

KD_EXPORT enum kd_status kd_mutators_replay(struct kd_mutators *m, const char *path,
					    struct kd_error *err)
{
	struct kd__mutation_replay *r = NULL, *before;
	enum kd_status s = path ? kd__mutation_replay_load(path, &r, err) : KD_OK;

	if (s != KD_OK)
		return s;
	pthread_mutex_lock(&m->mutex);
	before = m->replay;
	m->replay = r;
	kd__payload_names_reset(m->names);
	pthread_mutex_unlock(&m->mutex);
	kd__mutation_replay_free(before);
	return KD_OK;
}

KD_EXPORT void kd_mutators_replay_state(struct kd_mutators *m, uint64_t *done_ret,
					uint64_t *left_ret)
{
	pthread_mutex_lock(&m->mutex);
	kd__mutation_replay_state(m->replay, done_ret, left_ret);
	pthread_mutex_unlock(&m->mutex);
}

/* --- life --- */

KD_EXPORT enum kd_status kd_mutators_create(struct kd_traffic *t, struct kd_mutators **ret,
					    struct kd_error *err)
{
	struct kd_mutators *m = calloc(1, sizeof *m);
	enum kd_status s;

	if (!m || !(m->names = kd__payload_names_create())) {
		free(m);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	m->traffic = t;
	m->next_id = 1;
	pthread_mutex_init(&m->mutex, NULL);
	s = kd_traffic_add_hook(t, on_item, m, err);
	if (s == KD_OK) {
		*ret = m;
		return KD_OK;
	}
	kd_mutators_destroy(m);
	return s;
}

KD_EXPORT void kd_mutators_destroy(struct kd_mutators *m)
{
	if (!m)
		return;
	kd_traffic_remove_hook(m->traffic, on_item, m);
	for (size_t i = 0; i < m->n; i++)
		destroy(m->list[i]);
	kd__mutation_writer_close(m->writer, NULL);
	kd__mutation_replay_free(m->replay);
	kd__payload_names_destroy(m->names);
	while (m->n_recent)
		forget_oldest(m);
	pthread_mutex_destroy(&m->mutex);
	free(m);
}
