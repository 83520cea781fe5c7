/* SPDX-License-Identifier: MIT */
/*
 * One direction of a bad line under a virtual clock: bytes written at one time can be read at a
 * later one, some lost, doubled or with a flipped bit. Everything follows from the seed. For
 * tests, fuzzers and benches; host only.
 */
#ifndef KD_TESTS_SUPPORT_LOSSY_PIPE_H
#define KD_TESTS_SUPPORT_LOSSY_PIPE_H

#include <stddef.h>
#include <stdint.h>

#define LOSSY_NEVER UINT64_MAX

/* All zero: a perfect line. Rates are in bytes out of a million. */
struct lossy_config {
	uint64_t seed;
	uint32_t loss_ppm;   /* a byte (and loss_burst - 1 behind it) vanishes */
	uint32_t loss_burst; /* 0 means 1 */
	uint32_t dup_ppm;    /* a byte comes twice */
	uint32_t flip_ppm;   /* one bit of a byte is inverted */
	uint64_t latency_ns; /* from written to readable */
	uint64_t byte_ns;    /* time on the wire: 86,806 at 115,200 baud 8N1; 0: no time */
};

struct lossy_pipe {
	struct lossy_config cfg;
	uint64_t rng;
	uint64_t wire_free; /* when the last byte has left the sender */
	uint32_t burst_left;
	struct lossy_byte {
		uint64_t due;
		uint8_t byte;
	} * ring; /* owned; size is a power of two */
	size_t ring_size, head, n_bytes;
	/* What happened so far. `losses`: events, however long the burst. */
	uint64_t n_written, n_losses, n_lost, n_doubled, n_flipped;
};

/* Random numbers for whoever plays with the pipe: splitmix64; *state is any seed. */
uint64_t lossy_random(uint64_t *state);

void lossy_pipe_init(struct lossy_pipe *p, const struct lossy_config *cfg);
void lossy_pipe_deinit(struct lossy_pipe *p);

/* Change the line's quality from now on; the seed in `cfg` is ignored. */
void lossy_pipe_set(struct lossy_pipe *p, const struct lossy_config *cfg);

/* Takes everything. */
void lossy_pipe_write(struct lossy_pipe *p, const uint8_t *bytes, size_t size, uint64_t now);

/* How many of the bytes that are due by `now`, at most `cap`, were put into `out`. */
size_t lossy_pipe_read(struct lossy_pipe *p, uint8_t *out, size_t cap, uint64_t now);

/* When the next byte can be read; LOSSY_NEVER: the pipe is empty. */
uint64_t lossy_pipe_due(const struct lossy_pipe *p);

/* Throw away what is on its way. */
void lossy_pipe_drain(struct lossy_pipe *p);

#endif
