/* SPDX-License-Identifier: MIT */
/*
 * Virtual memory of a stopped guest through the whole engine, out of the VM's RAM:
 *	bench_memory ENDPOINT BASE SIZE
 * Random 4 KB pages of [BASE, BASE + SIZE), each with its own page walk unless the translation is
 * still known, and all of it in pieces of 1 MB. Prints JSON lines.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <openkd/memory.h>

#include "bench/bench_session.h"
#include "lib/base.h"

enum { PAGE = 4096, PIECE = 1 << 20, WARM = 1 };

static const uint64_t run_ns = UINT64_C(1000000000);
static void print(const char *what, uint64_t reads, uint64_t bytes, uint64_t ns, uint64_t direct,
		  uint64_t sum)
{
	double seconds = (double)ns / 1e9;

	printf("{\"name\": \"virtual reads, %s\", \"reads\": %" PRIu64 ", \"reads_per_s\": %.0f, "
	       "\"gb_per_s\": %.2f, \"out_of_ram\": %.3f, \"sum\": %" PRIu64 "}\n",
	       what, reads, (double)reads / seconds, (double)bytes / seconds / 1e9,
	       (double)direct / (double)bytes, sum);
	fflush(stdout);
}

static uint64_t direct_bytes(struct kd_session *s)
{
	struct kd_session_counters n;

	kd_session_counters(s, &n);
	return n.memory_direct;
}

/* Pages in random or in linear order until the time is over. */
static void run(struct kd_session *s, const char *what, uint64_t base, uint64_t size, size_t piece,
		bool is_random, bool is_shown)
{
	uint8_t *buffer = malloc(piece);
	uint64_t random = 42, sum = 0, reads = 0, direct = direct_bytes(s), start = kd_now_ns(),
		 now = start, n = size / piece;

	if (!buffer)
		exit(1);
	while (now - start < run_ns) {
		for (unsigned i = 0; i < 256; i++, reads++) {
			uint64_t at = reads % n;

			random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
			if (is_random)
				at = (random >> 33) % n;
			bench_must("read", kd_memory_read(s, base + at * piece, buffer, piece, NULL,
							  &bench_err));
			sum += buffer[at % piece];
		}
		now = kd_now_ns();
	}
	if (is_shown)
		print(what, reads, reads * piece, now - start, direct_bytes(s) - direct, sum);
	free(buffer);
}

int main(int argc, char **argv)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	struct kd_session *s;
	uint64_t base, size;

	if (argc != 4) {
		fprintf(stderr, "usage: bench_memory ENDPOINT BASE SIZE\n");
		return 2;
	}
	base = strtoull(argv[2], NULL, 0);
	size = strtoull(argv[3], NULL, 0);
	s = bench_attach(argv[1], &options);
	run(s, "warm", base, size, PIECE, false, false);
	run(s, "random 4 KB", base, size, PAGE, true, true);
	run(s, "all of it by 1 MB", base, size, PIECE, false, true);
	kd_session_destroy(s);
	return 0;
}
