/* SPDX-License-Identifier: MIT */
#include "lib/io/impair.h"

#include <stdbool.h>
#include <string.h>

/* splitmix64: every seed is good, and it needs no warming up. */
static uint64_t next_random(struct kd_impair *i)
{
	uint64_t z = i->state += 0x9E3779B97F4A7C15u;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return z ^ z >> 31;
}

static bool happens(struct kd_impair *i, uint32_t per_million)
{
	return per_million && next_random(i) % KD_IMPAIR_MILLION < per_million;
}

void kd_impair_init(struct kd_impair *i, uint64_t seed, const struct kd_impair_rates *rates)
{
	*i = (struct kd_impair){ .rates = *rates, .state = seed };
}

static size_t one_byte(struct kd_impair *i, uint8_t byte, uint8_t *out)
{
	if (happens(i, i->rates.loss)) {
		i->counters.lost++;
		return 0;
	}
	if (happens(i, i->rates.flip)) {
		i->counters.flipped++;
		byte ^= (uint8_t)(1u << (next_random(i) & 7));
	}
	out[0] = byte;
	if (!happens(i, i->rates.duplicate))
		return 1;
	i->counters.duplicated++;
	out[1] = byte;
	return 2;
}

size_t kd_impair_apply(struct kd_impair *i, const uint8_t *in, size_t size, uint8_t *out)
{
	size_t n = 0;

	if (!i->rates.loss && !i->rates.flip && !i->rates.duplicate) {
		memcpy(out, in, size);
		n = size;
	} else {
		for (size_t k = 0; k < size; k++)
			n += one_byte(i, in[k], out + n);
	}
	i->counters.in += size;
	i->counters.out += n;
	return n;
}
