/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Mutators: who changes traffic by themselves while it passes. They see the items that are held
 * (openkd/traffic.h), in the order they were added, each what the one before made of it; what they
 * are through with goes on at once.
 *
 * Whatever a mutator does, traffic is not held up for longer than its time limit: one that is late,
 * fails or ends is told about and the payload goes on as it was. What a Python function prints (its
 * last lines) and a program writes to standard error (the last line) comes as
 * KD_TRAFFIC_EVENT_NOTICE.
 */
#ifndef OPENKD_MUTATOR_H
#define OPENKD_MUTATOR_H

#include <openkd/traffic.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kd_mutators;

enum kd_mutator_kind {
	KD_MUTATOR_BUILTIN, /**< source: a name of kd_mutator_builtins() */
	KD_MUTATOR_PYTHON,  /**< source: a file with `def mutate(payload, item)`; one process */
	KD_MUTATOR_PROGRAM, /**< source: a shell command; one process a payload */
};

enum kd_mutator_filter {
	KD_MUTATOR_BPF,     /**< as kd_traffic_set_filter() */
	KD_MUTATOR_DISPLAY, /**< a Wireshark display filter, evaluated by one tshark */
};

struct kd_mutator_spec {
	size_t size; /**< set by KD_MUTATOR_SPEC_INIT */
	enum kd_mutator_kind kind;
	const char *source;
	enum kd_mutator_filter filter_kind;
	const char *filter;  /**< NULL: everything that is held */
	uint64_t seed;       /**< the same seed on the same traffic: the same mutations */
	unsigned one_in;     /**< change one payload in so many, by chance; 0 and 1: all */
	unsigned timeout_ms; /**< 0: 1000 */
};
#define KD_MUTATOR_SPEC_INIT                                                                       \
	{                                                                                          \
		sizeof(struct kd_mutator_spec), KD_MUTATOR_BUILTIN, NULL, KD_MUTATOR_BPF, NULL, 0, \
			0, 0                                                                       \
	}

struct kd_mutator {
	int id;
	enum kd_mutator_kind kind;
	char source[256], filter[256];
	enum kd_mutator_filter filter_kind;
	uint64_t seed;
	unsigned one_in;
	uint64_t seen, changed, dropped, failed, late; /**< payloads */
	bool is_disabled;                              /**< it failed too often */
	char last_error[160];
};

/**
 * Mutators of one kd_traffic; at most 32.
 *
 * @owns *ret is the caller's: kd_mutators_destroy(), before kd_traffic_stop().
 */
enum kd_status kd_mutators_create(struct kd_traffic *t, struct kd_mutators **ret,
				  struct kd_error *err);
/** What is held goes on unchanged from now on. NULL is fine. */
void kd_mutators_destroy(struct kd_mutators *m);

/**
 * Add one.
 *
 * @return KD_OK; KD_E_NOT_FOUND: no such builtin, file or program; KD_E_SYNTAX: the filter (err
 *         says where), or the Python file does not compile; KD_E_UNSUPPORTED: tshark, python3 or
 *         radamsa is not installed; KD_E_FULL.
 * @blocks up to ten seconds, until tshark or python3 has started
 */
enum kd_status kd_mutator_add(struct kd_mutators *m, const struct kd_mutator_spec *spec,
			      int *id_ret, struct kd_error *err);
/** KD_E_NOT_FOUND. */
enum kd_status kd_mutator_remove(struct kd_mutators *m, int id, struct kd_error *err);
/** Number `n` in order; false after the last. */
bool kd_mutator_nth(struct kd_mutators *m, size_t n, struct kd_mutator *ret);

/** Names and what they do, in pairs; ends with NULL. */
const char *const *kd_mutator_builtins(void);

/**
 * Write every mutation to a file from now on (JSON lines, docs/traffic.md): what it was made of,
 * by whom, with which seed, and its outcome. NULL: end it. File errors.
 */
enum kd_status kd_mutators_record(struct kd_mutators *m, const char *path, struct kd_error *err);
/** The last mutations, at most 4096, as such a file. KD_E_EXISTS: it is there already. */
enum kd_status kd_mutators_save(struct kd_mutators *m, const char *path, struct kd_error *err);
/**
 * Do again exactly what a record says, before all mutators: the same payload of the same flow gets
 * the same outcome. NULL: end it. KD_E_MALFORMED: err->where is the line.
 */
enum kd_status kd_mutators_replay(struct kd_mutators *m, const char *path, struct kd_error *err);
/** Recorded mutations that were done, and that are still to come. */
void kd_mutators_replay_state(struct kd_mutators *m, uint64_t *done_ret, uint64_t *left_ret);

#ifdef __cplusplus
}
#endif

#endif
