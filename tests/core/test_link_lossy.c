/* SPDX-License-Identifier: MIT */
/*
 * Two links over bad lines under a virtual clock. Byte loss alone: nothing is lost, doubled or
 * reordered, whatever the payload looks like, and the price of a loss is bounded. Other damage is
 * kept apart: KD's checksum is a sum over the payload, so doubled bytes and flipped bits can do
 * what the protocol cannot see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/core/link_world.h"

#include "lib/base.h"

#define MS  ((uint64_t)KD_NS_PER_MS)
#define US  ((uint64_t)1000)
#define DAY (86400 * 1000 * MS)

struct tally {
	uint64_t packets, requests, losses, retransmits, resends, resets, duplicates, wrong,
		gave_up, asked, repeats, noise, virtual_ms;
};

static void add(struct tally *t, const struct world *w, const struct world_debugger *d,
		const struct world_link_target *target)
{
	const struct kd_link_counters *a = kd_link_counters(&d->link);
	const struct kd_link_counters *b = kd_link_counters(&target->link);

	t->packets += d->n_packets;
	t->requests += target->kernel->n_requests + target->kernel->n_continues;
	t->losses += w->to_target.n_losses + w->to_debugger.n_losses;
	t->retransmits += a->retransmits + b->retransmits;
	t->resends += a->resends_sent + b->resends_sent;
	t->resets += a->resets_sent + b->resets_sent;
	t->duplicates += a->duplicates + b->duplicates;
	t->noise += a->noise_bytes + b->noise_bytes;
	t->wrong += d->n_wrong + target->kernel->n_wrong_requests;
	t->gave_up += d->n_gave_up + target->n_given_up;
	t->asked += d->n_asked;
	t->repeats += d->n_repeats;
	t->virtual_ms += w->now / MS;
}

static void print_tally(const char *name, const struct tally *t)
{
	printf("%-22s %7llu packets %6llu losses %6llu retransmits %6llu RESENDs %4llu RESETs "
	       "%5llu duplicates %3llu wrong %3llu given up %3llu silent %4llu repeats %8llu s\n",
	       name, (unsigned long long)(t->packets + t->requests), (unsigned long long)t->losses,
	       (unsigned long long)t->retransmits, (unsigned long long)t->resends,
	       (unsigned long long)t->resets, (unsigned long long)t->duplicates,
	       (unsigned long long)t->wrong, (unsigned long long)t->gave_up,
	       (unsigned long long)t->asked, (unsigned long long)t->repeats,
	       (unsigned long long)(t->virtual_ms / 1000));
}

struct run {
	struct lossy_config line;
	enum world_fill fill;
	uint32_t max_fill;
	bool is_serial;
	uint64_t n_packets;
};

static void run_one(const struct run *r, uint64_t seed, struct tally *t)
{
	static struct world_kernel kernel;
	static struct world_link_target target;
	static struct world_debugger debugger;
	struct kd_link_config cfg;
	struct lossy_config down = r->line, up = r->line;
	struct world w;

	down.seed = seed * 2 + 1;
	up.seed = seed * 2 + 2;
	world_init(&w, &down, &up);
	world_kernel_init(&kernel, seed, r->fill, r->max_fill);
	kd_link_config_init(&cfg, KD_LINK_TARGET, r->is_serial);
	world_link_target_init(&target, &w.target, &kernel, &cfg);
	kd_link_config_init(&cfg, KD_LINK_DEBUGGER, r->is_serial);
	world_debugger_init(&debugger, seed ^ 0x5555, r->fill, r->max_fill, &cfg);
	w.debugger = &debugger;
	world_run(&w, DAY, &debugger.n_packets, r->n_packets);
	if (debugger.n_packets < r->n_packets)
		fail_msg("seed %llu, fill %d: stuck after %llu packets", (unsigned long long)seed,
			 (int)r->fill, (unsigned long long)debugger.n_packets);
	add(t, &w, &debugger, &target);
	world_deinit(&w);
}

static const char *const fill_names[] = { "0x30", "0x69", "0x62", "0xAA", "random", "images" };

static void nothing_is_lost(const struct tally *t)
{
	assert_int_equal(t->wrong, 0);
	assert_int_equal(t->gave_up, 0);
	assert_int_equal(t->asked, 0);
}

static void test_clean_line(void **state)
{
	struct run r = { .line = { .latency_ns = 50 * US }, .max_fill = 3900, .n_packets = 2000 };
	struct tally t = { 0 };

	for (r.fill = 0; r.fill < N_FILLS; r.fill++)
		run_one(&r, r.fill, &t);
	print_tally("clean", &t);
	nothing_is_lost(&t);
	assert_int_equal(t.retransmits + t.resends + t.resets + t.duplicates, 0);
}

/* A clean serial line at 115200 baud: slow is not silent. */
static void test_slow_line(void **state)
{
	struct run r = { .line = { .latency_ns = 5 * MS, .byte_ns = 86806 },
			 .max_fill = 3900,
			 .is_serial = true,
			 .fill = FILL_RANDOM,
			 .n_packets = 500 };
	struct tally t = { 0 };

	run_one(&r, 1, &t);
	print_tally("clean, 115200 baud", &t);
	nothing_is_lost(&t);
	assert_int_equal(t.retransmits + t.resends + t.resets + t.duplicates, 0);
}

/* 1 byte of 2000 vanishes, packets of up to 500 bytes: many packets are hit. */
static void test_loss(void **state)
{
	for (enum world_fill fill = 0; fill < N_FILLS; fill++) {
		struct run r = { .line = { .latency_ns = 200 * US, .loss_ppm = 500 },
				 .max_fill = 500,
				 .fill = fill,
				 .n_packets = 1200 };
		struct tally t = { 0 };

		for (uint64_t seed = 0; seed < 60; seed++)
			run_one(&r, 1000 * fill + seed, &t);
		print_tally(fill_names[fill], &t);
		nothing_is_lost(&t);
		/* Each is asserted by itself: the prototype delivered all and yet stormed. */
		assert_true(t.losses > 5000);
		assert_true(10 * t.retransmits < 12 * t.losses);
		assert_true(t.resends <= t.losses);
		assert_true(t.duplicates < t.losses);
	}
}

static void test_loss_big_packets(void **state)
{
	for (enum world_fill fill = 0; fill < N_FILLS; fill++) {
		struct run r = { .line = { .latency_ns = 200 * US, .loss_ppm = 50 },
				 .max_fill = 3900,
				 .fill = fill,
				 .n_packets = 1500 };
		struct tally t = { 0 };

		for (uint64_t seed = 0; seed < 10; seed++)
			run_one(&r, 5000 * fill + seed, &t);
		print_tally("big packets", &t);
		nothing_is_lost(&t);
		assert_true(t.losses > 100);
		assert_true(10 * t.retransmits < 12 * t.losses);
	}
}

/*
 * An overrun: 40 bytes in a row, now and then; hides whole control packets and headers. Without a
 * trace of the header nobody can tell a payload that consists of packets from packets: that is
 * the one pattern left out.
 */
static void test_bursts(void **state)
{
	for (enum world_fill fill = 0; fill < FILL_IMAGES; fill++) {
		struct run r = {
			.line = { .latency_ns = 200 * US, .loss_ppm = 100, .loss_burst = 40 },
			.max_fill = 1000,
			.fill = fill,
			.n_packets = 1500
		};
		struct tally t = { 0 };

		for (uint64_t seed = 0; seed < 10; seed++)
			run_one(&r, 9000 * fill + seed, &t);
		print_tally("bursts", &t);
		nothing_is_lost(&t);
		assert_true(10 * t.retransmits < 20 * t.losses);
	}
}

/*
 * A line on which hardly a packet arrives whole. The debugger loses patience at times and sends
 * RESET, which may double the one packet that it interrupts: the target cannot know whether that
 * had arrived.
 */
static void test_heavy_loss(void **state)
{
	struct run r = { .line = { .latency_ns = 200 * US, .loss_ppm = 10000 },
			 .max_fill = 60,
			 .fill = FILL_RANDOM,
			 .n_packets = 300 };
	struct tally t = { 0 };

	for (uint64_t seed = 0; seed < 20; seed++)
		run_one(&r, seed, &t);
	print_tally("heavy loss", &t);
	assert_true(t.losses > 5000);
	assert_true(t.wrong <= t.resets);
	assert_true(t.retransmits < t.losses);
}

/* Latency above every time-out: everything is sent several times, nothing is taken twice. */
static void test_long_latency(void **state)
{
	struct run r = { .line = { .latency_ns = 900 * MS }, .max_fill = 100, .n_packets = 400 };
	struct tally t = { 0 };

	run_one(&r, 1, &t);
	print_tally("latency 0.9 s", &t);
	nothing_is_lost(&t);
	assert_true(t.retransmits > 400 && t.retransmits < 8 * 400);
}

/*
 * Corruption: the link promises that it stays alive and within bounds; what slips through is
 * counted and printed. A payload that differs in more than the sum cannot come through.
 */
static void test_corruption(void **state)
{
	static const struct {
		const char *name;
		struct lossy_config line;
	} rows[] = {
		{ "doubled bytes", { .latency_ns = 200 * US, .dup_ppm = 300 } },
		{ "flipped bits", { .latency_ns = 200 * US, .flip_ppm = 300 } },
		{ "all of it",
		  { .latency_ns = 200 * US, .dup_ppm = 100, .flip_ppm = 100, .loss_ppm = 100 } },
	};

	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		for (enum world_fill fill = 0; fill < N_FILLS; fill++) {
			struct run r = { .line = rows[i].line,
					 .max_fill = 500,
					 .fill = fill,
					 .n_packets = 1200 };
			struct tally t = { 0 };

			for (uint64_t seed = 0; seed < 10; seed++)
				run_one(&r, 7000 * fill + seed, &t);
			print_tally(rows[i].name, &t);
			assert_true(1000 * t.wrong < t.packets + t.requests);
			assert_true(t.retransmits < 2 * t.noise);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean_line),   cmocka_unit_test(test_slow_line),
		cmocka_unit_test(test_loss),         cmocka_unit_test(test_loss_big_packets),
		cmocka_unit_test(test_bursts),       cmocka_unit_test(test_heavy_loss),
		cmocka_unit_test(test_long_latency), cmocka_unit_test(test_corruption),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
