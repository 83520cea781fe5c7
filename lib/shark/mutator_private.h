/* SPDX-License-Identifier: MIT */
/* What the files of the mutators share: mutators.c asks them, the others do the work. */
#ifndef KD_LIB_SHARK_MUTATOR_PRIVATE_H
#define KD_LIB_SHARK_MUTATOR_PRIVATE_H

#include <openkd/mutator.h>

#include "lib/shark/mutate.h"

enum kd__outcome {
	KD__UNCHANGED,
	KD__CHANGED,
	KD__DROPPED,
	KD__RESET,
	KD__FAILED, /* text says why; the payload is as it was */
	KD__LATE,
};

struct kd__job {
	const struct kd_traffic_item *item;
	const struct kd_traffic_flow *flow;
	struct kd__bytes *bytes; /* changed in place */
	uint64_t seed;           /* of this payload */
	uint64_t deadline;
	char text[160];
	char said[1200]; /* lines that it printed meanwhile; "": none */
};

struct kd__mutator_ops {
	enum kd__outcome (*run)(void *state, struct kd__job *job);
	void (*destroy)(void *state);
};

/* Each makes a state; *ops_ret is what to do with it. Errors as kd_mutator_add(). */
enum kd_status kd__mutator_builtin(const struct kd_mutator_spec *spec, void **state_ret,
				   const struct kd__mutator_ops **ops_ret, struct kd_error *err);
enum kd_status kd__mutator_python(const struct kd_mutator_spec *spec, void **state_ret,
				  const struct kd__mutator_ops **ops_ret, struct kd_error *err);
enum kd_status kd__mutator_program(const struct kd_mutator_spec *spec, void **state_ret,
				   const struct kd__mutator_ops **ops_ret, struct kd_error *err);

#endif
