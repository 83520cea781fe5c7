/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM and KD give the same bytes: memory_roads ENDPOINT SYMBOLS
 *
 * Stops the demo guest at a breakpoint with others planted, then reads random kernel pages on both
 * roads until 300 of them were there. Exit status 1: a difference, or RAM was not read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/engine/engine.h"
#include "lib/engine/memory.h"

enum { PAGE = 4096, PAGES = 300, TRIES = 4 * PAGES, TIMEOUT_MS = 30000 };

static struct kd_error err;

static void must(const char *what, enum kd_status status)
{
	if (status == KD_OK)
		return;
	fprintf(stderr, "memory_roads: %s: %s\n", what, err.text);
	exit(1);
}

static void wait_stop(struct kd_session *s)
{
	struct kd_event e = { 0 };

	do
		must("wait", kd_session_wait(s, TIMEOUT_MS, &e, &err));
	while (e.kind != KD_EVENT_STOP);
}

static void add(struct kd_session *s, const char *where)
{
	struct kd_breakpoint_spec spec = KD_BREAKPOINT_SPEC_INIT;

	spec.expression = where;
	must(where, kd_breakpoint_add(s, -1, &spec, NULL, &err));
}

static size_t read_page_by_kd(struct kd_session *s, uint64_t address, uint8_t *page)
{
	size_t done = 0, n;

	do {
		n = kd__memory_read_by_kd(s, address + done, page + done, 2048, &err);
		done += n;
	} while (n && done < PAGE);
	return done;
}

/* True: readable on both roads, and equal. */
static bool compare(struct kd_session *s, uint64_t address)
{
	uint8_t by_kd[PAGE], by_ram[PAGE];
	size_t n = read_page_by_kd(s, address, by_kd), done = 0;
	struct kd_session_counters before, after;

	kd_session_counters(s, &before);
	if (kd_memory_read(s, address, by_ram, PAGE, &done, &err) != KD_OK)
		done = 0;
	kd_session_counters(s, &after);
	if (n != done || memcmp(by_kd, by_ram, n) != 0) {
		fprintf(stderr, "memory_roads: 0x%llx: %zu bytes by KD, %zu by RAM, not the same\n",
			(unsigned long long)address, n, done);
		exit(1);
	}
	return n == PAGE && after.memory_direct - before.memory_direct == PAGE;
}

static uint64_t value_of(struct kd_session *s, const char *expression)
{
	uint64_t value;

	must(expression, kd_expression_evaluate(s, expression, NULL, &value, &err));
	return value;
}

/* Asking changes the transport's own data and the kernel's buffers for packets. */
static bool is_changed_by_asking(const struct kd_module *m, uint64_t page, uint64_t buffers)
{
	return !strcmp(m->name, "kdcom") ||
	       (page + PAGE > buffers && page < buffers + 3 * KD_PAYLOAD_MAX);
}

static unsigned compare_kernel(struct kd_session *s)
{
	uint64_t buffers = value_of(s, "nt!KdpBuffers");
	const struct kd_module *const *modules;
	uint32_t random = 42;
	unsigned n_equal = 0;
	size_t n;

	must("modules", kd_module_list(s, &modules, &n, &err));
	for (int i = 0; i < TRIES && n_equal < PAGES; i++) {
		const struct kd_module *m = modules[random % n];
		uint64_t page = m->base + (random >> 8) % (m->size / PAGE) * PAGE;

		random = random * 1664525u + 1013904223u;
		if (!is_changed_by_asking(m, page, buffers))
			n_equal += compare(s, page);
	}
	return n_equal;
}

int main(int argc, char **argv)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	struct kd_session *s;
	unsigned kernel;

	if (argc != 3)
		return 2;
	options.initial_break = true;
	options.symbol_path = argv[2];
	must(argv[1], kd_session_create(argv[1], &options, &s, &err));
	wait_stop(s);
	add(s, "demo!DemoTick");
	add(s, "demo!DemoWork");
	add(s, "nt!KeBugCheckEx");
	for (int i = 0; i < 20; i++) { /* until its programs run */
		must("go", kd_session_go(s, KD_GO, &err));
		wait_stop(s);
	}
	kernel = compare_kernel(s);
	printf("pages equal and read directly: %u of %d\n", kernel, PAGES);
	kd_session_destroy(s);
	return kernel < PAGES;
}
