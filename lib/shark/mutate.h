/* SPDX-License-Identifier: MIT */
/* The built-in mutations: bytes and a number in, bytes out. The same number, the same bytes. */
#ifndef KD_LIB_SHARK_MUTATE_H
#define KD_LIB_SHARK_MUTATE_H

#include "lib/base.h"

enum { KD__MUTATE_MAX = 65536 };

struct kd__random {
	uint64_t state;
};
uint64_t kd__random_next(struct kd__random *r);
/* Of [0, below); 0 when below is 0. */
size_t kd__random_below(struct kd__random *r, size_t below);

struct kd__bytes {
	uint8_t *data; /* malloc'ed */
	size_t size;
};

/* Words that other payloads had, for the dictionary. Bounded; the oldest go. */
struct kd__words;
struct kd__words *kd__words_create(void); /* NULL: no memory */
void kd__words_destroy(struct kd__words *w);
void kd__words_learn(struct kd__words *w, const uint8_t *bytes, size_t size);

struct kd__mutation {
	const char *name, *text;
	/* False: it found nothing to do. *b may be reallocated, up to KD__MUTATE_MAX bytes. */
	bool (*run)(struct kd__bytes *b, struct kd__random *r, const struct kd__words *words);
};
/* Ends with a NULL name. */
extern const struct kd__mutation kd__mutations[];
const struct kd__mutation *kd__mutation_find(const char *name);

#endif
