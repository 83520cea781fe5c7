/* SPDX-License-Identifier: MIT */
/*
 * Reads of random length at random places of the kernel's code, each one a request on the wire, and
 * every answer compared with the image file:
 *	bench_requests ENDPOINT NTOSKRNL.EXE N MAX_BYTES NAME
 * Prints one JSON line. Exit status 1: a wrong answer or a failed request.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openkd/event.h>
#include <openkd/memory.h>

#include "lib/sym/pe.h"

struct text { /* the image's .text */
	uint8_t *bytes;
	uint32_t rva, size;
};

static void die(const char *what, const struct kd_error *err)
{
	fprintf(stderr, "bench_requests: %s: %s\n", what, err->text);
	exit(1);
}

static struct text load_text(const char *path)
{
	struct kd_mapping map;
	struct kd_error err = { 0 };
	struct text t = { 0 };
	struct kd_pe pe;
	size_t done;

	if (kd_mapping_open(path, &map, &err) != KD_OK ||
	    kd_pe_open(&pe, kd_mapping_read, &map, 0, true, &err) != KD_OK)
		die(path, &err);
	for (size_t i = 0; i < pe.n_sections; i++)
		if (!strcmp(pe.sections[i].name, ".text")) {
			t.rva = pe.sections[i].rva;
			t.size = pe.sections[i].virtual_size;
		}
	t.bytes = calloc(1, t.size + 1);
	if (!t.size || !t.bytes)
		die("no .text", &err);
	kd_pe_read(&pe, t.rva, t.bytes, t.size, &done);
	kd_mapping_close(&map);
	return t;
}

static void attach(struct kd_session *s)
{
	struct kd_error err = { 0 };
	struct kd_event e = { 0 };

	do {
		if (kd_session_wait(s, 30000, &e, &err) != KD_OK)
			die("attach", &err);
	} while (e.kind != KD_EVENT_STOP);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	struct kd_session_counters before, after;
	struct kd_target_info info;
	struct kd_session *s;
	struct kd_error err = { 0 };
	struct text text;
	uint32_t random = 42;
	unsigned n, max, wrong = 0, failed = 0;
	uint64_t bytes = 0;
	double start;

	if (argc != 6) {
		fprintf(stderr, "usage: bench_requests ENDPOINT IMAGE N MAX_BYTES NAME\n");
		return 2;
	}
	text = load_text(argv[2]);
	n = (unsigned)atoi(argv[3]);
	max = (unsigned)atoi(argv[4]);
	options.initial_break = true;
	options.memory_road = KD_MEMORY_BY_KD; /* it is requests that are measured */
	options.no_fifo_fix = getenv("OPENKD_NO_FIFO_FIX") != NULL;
	options.request_timeout_ms = 60000;
	if (kd_session_create(argv[1], &options, &s, &err) != KD_OK)
		die(argv[1], &err);
	attach(s);
	if (kd_session_target(s, &info, &err) != KD_OK)
		die("target", &err);
	kd_session_counters(s, &before);
	start = now();
	for (unsigned i = 0; i < n; i++) {
		uint32_t size = 1 + next_random(&random) % max;
		uint32_t at = next_random(&random) % (text.size - size);
		uint8_t got[65536];

		kd_memory_flush(s);
		if (kd_memory_read(s, info.kernel_base + text.rva + at, got, size, NULL, &err) !=
		    KD_OK)
			failed++;
		else if (memcmp(got, text.bytes + at, size))
			wrong++;
		bytes += size;
	}
	kd_session_counters(s, &after);
	printf("{\"name\": \"%s\", \"reads\": %u, \"wrong\": %u, \"failed\": %u, "
	       "\"bytes\": %" PRIu64 ", \"requests\": %" PRIu64 ", \"retries\": %" PRIu64
	       ", \"retransmits\": %" PRIu64 ", \"rx_bytes\": %" PRIu64 ", \"tx_bytes\": %" PRIu64
	       ", \"median_us\": %" PRIu64 ", \"p99_us\": %" PRIu64
	       ", \"seconds\": %.3f, \"reads_per_s\": %.0f, \"bytes_per_s\": %.0f}\n",
	       argv[5], n, wrong, failed, bytes, after.requests - before.requests,
	       after.retries - before.retries, after.retransmits - before.retransmits,
	       after.rx_bytes - before.rx_bytes, after.tx_bytes - before.tx_bytes,
	       after.round_trip_ns_median / 1000, after.round_trip_ns_p99 / 1000, now() - start,
	       n / (now() - start), (double)bytes / (now() - start));
	kd_session_destroy(s);
	free(text.bytes);
	return wrong || failed;
}
