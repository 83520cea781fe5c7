/* SPDX-License-Identifier: MIT */
/* A bad line, by numbers: loses, flips and doubles bytes. The same seed damages the same bytes. */
#ifndef KD_LIB_IO_IMPAIR_H
#define KD_LIB_IO_IMPAIR_H

#include <stddef.h>
#include <stdint.h>

enum { KD_IMPAIR_MILLION = 1000000 };

/* Parts per million of the bytes. */
struct kd_impair_rates {
	uint32_t loss, flip, duplicate;
};

struct kd_impair_counters {
	uint64_t in, out;
	uint64_t lost, flipped, duplicated;
};

struct kd_impair {
	struct kd_impair_rates rates; /* may be changed at any time */
	struct kd_impair_counters counters;
	uint64_t state;
};

void kd_impair_init(struct kd_impair *i, uint64_t seed, const struct kd_impair_rates *rates);

/* `out` takes 2 * size bytes. Returns how many were written to it. */
size_t kd_impair_apply(struct kd_impair *i, const uint8_t *in, size_t size, uint8_t *out);

#endif
