/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shark/mutator_private.h"

struct builtin {
	const struct kd__mutation *mutation;
	struct kd__words *words;
};

static enum kd__outcome run(void *state, struct kd__job *job)
{
	struct builtin *b = state;
	struct kd__random random = { job->seed };
	bool did = b->mutation->run(job->bytes, &random, b->words);

	/* what it said itself: the next one may use it */
	kd__words_learn(b->words, job->item->bytes, job->item->n_bytes);
	return did ? KD__CHANGED : KD__UNCHANGED;
}

static void destroy(void *state)
{
	struct builtin *b = state;

	kd__words_destroy(b->words);
	free(b);
}

static const struct kd__mutator_ops ops = { run, destroy };

/* radamsa is a program of its own, one run a payload. */
static enum kd_status make_radamsa(const struct kd_mutator_spec *spec, void **state_ret,
				   const struct kd__mutator_ops **ops_ret, struct kd_error *err)
{
	struct kd_mutator_spec program = *spec;

	if (system("command -v radamsa >/dev/null 2>&1") != 0)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "radamsa is not installed; the other mutations need nothing");
	program.source = "radamsa -s $KD_SEED -";
	return kd__mutator_program(&program, state_ret, ops_ret, err);
}

enum kd_status kd__mutator_builtin(const struct kd_mutator_spec *spec, void **state_ret,
				   const struct kd__mutator_ops **ops_ret, struct kd_error *err)
{
	const struct kd__mutation *mutation = kd__mutation_find(spec->source);
	struct builtin *b;

	if (strcmp(spec->source, "radamsa") == 0)
		return make_radamsa(spec, state_ret, ops_ret, err);
	if (!mutation)
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "there is no mutation called %.60s",
				    spec->source);
	b = calloc(1, sizeof *b);
	if (!b || !(b->words = kd__words_create())) {
		free(b);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	b->mutation = mutation;
	*state_ret = b;
	*ops_ret = &ops;
	return KD_OK;
}

KD_EXPORT const char *const *kd_mutator_builtins(void)
{
	static const char *list[2 * 16 + 3];
	size_t n = 0;

	for (const struct kd__mutation *m = kd__mutations; m->name; m++) {
		list[n++] = m->name;
		list[n++] = m->text;
	}
	list[n++] = "radamsa";
	list[n++] = "the program of that name, if it is installed";
	list[n] = NULL;
	return list;
}
