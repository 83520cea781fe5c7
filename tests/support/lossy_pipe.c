/* SPDX-License-Identifier: MIT */
#include "tests/support/lossy_pipe.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 4096, MILLION = 1000000 };

uint64_t lossy_random(uint64_t *state)
{
	uint64_t z = *state += 0x9E3779B97F4A7C15u;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

void lossy_pipe_init(struct lossy_pipe *p, const struct lossy_config *cfg)
{
	*p = (struct lossy_pipe){ .cfg = *cfg, .rng = cfg->seed };
}

void lossy_pipe_deinit(struct lossy_pipe *p)
{
	free(p->ring);
	p->ring = NULL;
	p->ring_size = p->n_bytes = 0;
}

void lossy_pipe_set(struct lossy_pipe *p, const struct lossy_config *cfg)
{
	p->cfg = *cfg;
}

static void grow(struct lossy_pipe *p)
{
	size_t size = p->ring_size ? 2 * p->ring_size : FIRST_SIZE;
	struct lossy_byte *ring = malloc(size * sizeof(*ring));

	if (!ring)
		abort();
	for (size_t i = 0; i < p->n_bytes; i++)
		ring[i] = p->ring[(p->head + i) & (p->ring_size - 1)];
	free(p->ring);
	p->ring = ring;
	p->ring_size = size;
	p->head = 0;
}

static void put(struct lossy_pipe *p, uint8_t byte, uint64_t due)
{
	if (p->n_bytes == p->ring_size)
		grow(p);
	p->ring[(p->head + p->n_bytes) & (p->ring_size - 1)] = (struct lossy_byte){ .due = due,
										    .byte = byte };
	p->n_bytes++;
}

static bool happens(struct lossy_pipe *p, uint32_t ppm)
{
	return ppm && lossy_random(&p->rng) % MILLION < ppm;
}

static bool is_lost(struct lossy_pipe *p)
{
	if (!p->burst_left && happens(p, p->cfg.loss_ppm)) {
		p->burst_left = p->cfg.loss_burst ? p->cfg.loss_burst : 1;
		p->n_losses++;
	}
	if (!p->burst_left)
		return false;
	p->burst_left--;
	p->n_lost++;
	return true;
}

static void write_byte(struct lossy_pipe *p, uint8_t byte, uint64_t now)
{
	uint64_t due;

	p->n_written++;
	p->wire_free = (p->wire_free > now ? p->wire_free : now) + p->cfg.byte_ns;
	due = p->wire_free + p->cfg.latency_ns;
	if (is_lost(p))
		return;
	if (happens(p, p->cfg.flip_ppm)) {
		byte ^= (uint8_t)(1u << (lossy_random(&p->rng) % 8));
		p->n_flipped++;
	}
	put(p, byte, due);
	if (happens(p, p->cfg.dup_ppm)) {
		put(p, byte, due);
		p->n_doubled++;
	}
}

void lossy_pipe_write(struct lossy_pipe *p, const uint8_t *bytes, size_t size, uint64_t now)
{
	for (size_t i = 0; i < size; i++)
		write_byte(p, bytes[i], now);
}

size_t lossy_pipe_read(struct lossy_pipe *p, uint8_t *out, size_t cap, uint64_t now)
{
	size_t n = 0;

	while (n < cap && p->n_bytes && p->ring[p->head].due <= now) {
		out[n++] = p->ring[p->head].byte;
		p->head = (p->head + 1) & (p->ring_size - 1);
		p->n_bytes--;
	}
	return n;
}

uint64_t lossy_pipe_due(const struct lossy_pipe *p)
{
	return p->n_bytes ? p->ring[p->head].due : LOSSY_NEVER;
}

void lossy_pipe_drain(struct lossy_pipe *p)
{
	p->head = p->n_bytes = 0;
	p->burst_left = 0;
	p->wire_free = 0;
}
