/* SPDX-License-Identifier: MIT */
/*
 * Reads of random length at random places of the kernel's code, each one a request on the wire, and
 * every answer compared with the image file:
 *	bench_requests ENDPOINT NTOSKRNL.EXE N MAX_BYTES NAME [exact]
 * exact: only the bytes asked for cross the wire, without what the engine fetches around them.
 * Prints one JSON line. Exit status 1: a wrong answer or a failed request.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openkd/memory.h>

#include "bench/bench_session.h"
#include "lib/base.h"
#include "lib/engine/memory.h"
#include "lib/sym/pe.h"

struct text { /* the image's .text */
	uint8_t *bytes;
	uint32_t rva, size;
};

static struct text load_text(const char *path)
{
	struct kd_mapping map;
	struct text t = { 0 };
	struct kd_pe pe;
	size_t done;

	bench_must(path, kd_mapping_open(path, &map, &bench_err));
	bench_must(path, kd_pe_open(&pe, kd_mapping_read, &map, 0, true, &bench_err));
	for (size_t i = 0; i < pe.n_sections; i++)
		if (!strcmp(pe.sections[i].name, ".text")) {
			t.rva = pe.sections[i].rva;
			t.size = pe.sections[i].virtual_size;
		}
	t.bytes = calloc(1, t.size + 1);
	if (!t.size || !t.bytes)
		bench_must("no .text", kd_error_set(&bench_err, KD_E_NOT_FOUND, 0, "%s", path));
	kd_pe_read(&pe, t.rva, t.bytes, t.size, &done);
	kd_mapping_close(&map);
	return t;
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static bool read_some(struct kd_session *s, uint64_t at, void *out, uint32_t size, bool is_exact)
{
	if (is_exact)
		return kd__memory_read_by_kd(s, at, out, size, &bench_err) == size;
	kd_memory_flush(s);
	return kd_memory_read(s, at, out, size, NULL, &bench_err) == KD_OK;
}

int main(int argc, char **argv)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	struct kd_session_counters before, after;
	struct kd_target_info info;
	struct kd_session *s;
	struct text text;
	uint32_t random = 42;
	unsigned n, max, wrong = 0, failed = 0;
	uint64_t bytes = 0, start;
	double seconds;

	if (argc != 6 && argc != 7) {
		fprintf(stderr, "usage: bench_requests ENDPOINT IMAGE N MAX_BYTES NAME [exact]\n");
		return 2;
	}
	text = load_text(argv[2]);
	n = (unsigned)atoi(argv[3]);
	max = (unsigned)atoi(argv[4]);
	options.memory_road = KD_MEMORY_BY_KD; /* it is requests that are measured */
	options.no_fifo_fix = getenv("OPENKD_NO_FIFO_FIX") != NULL;
	options.request_timeout_ms = 60000;
	s = bench_attach(argv[1], &options);
	bench_must("target", kd_session_target(s, &info, &bench_err));
	kd_session_counters(s, &before);
	start = kd_now_ns();
	for (unsigned i = 0; i < n; i++) {
		uint32_t size = 1 + next_random(&random) % max;
		uint32_t at = next_random(&random) % (text.size - size);
		uint8_t got[65536];

		if (!read_some(s, info.kernel_base + text.rva + at, got, size, argc == 7))
			failed++;
		else if (memcmp(got, text.bytes + at, size))
			wrong++;
		bytes += size;
	}
	seconds = (double)(kd_now_ns() - start) / 1e9;
	kd_session_counters(s, &after);
	printf("{\"name\": \"%s\", \"reads\": %u, \"wrong\": %u, \"failed\": %u, "
	       "\"bytes\": %" PRIu64 ", \"requests\": %" PRIu64 ", \"retries\": %" PRIu64
	       ", \"retransmits\": %" PRIu64 ", \"rx_bytes\": %" PRIu64 ", \"tx_bytes\": %" PRIu64
	       ", \"median_us\": %" PRIu64 ", \"p99_us\": %" PRIu64
	       ", \"seconds\": %.3f, \"reads_per_s\": %.0f, \"bytes_per_s\": %.0f}\n",
	       argv[5], n, wrong, failed, bytes, after.requests - before.requests,
	       after.retries - before.retries, after.retransmits - before.retransmits,
	       after.rx_bytes - before.rx_bytes, after.tx_bytes - before.tx_bytes,
	       after.round_trip_ns_median / 1000, after.round_trip_ns_p99 / 1000, seconds,
	       n / seconds, (double)bytes / seconds);
	kd_session_destroy(s);
	free(text.bytes);
	return wrong || failed;
}
