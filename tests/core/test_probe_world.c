/* SPDX-License-Identifier: MIT */
/* The probe's two ends under traffic: order, nothing lost, limits, hosts that die and come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/core/probe_world.h"

static struct probe_world world;

/* Traffic on every flow, while driver and host come to their turn now and then. */
static void play(struct probe_world *w, unsigned rounds, uint32_t size_max)
{
	for (unsigned i = 0; i < rounds; i++) {
		unsigned flow = pw_random(w, PW_FLOWS);
		enum kd_probe_direction direction = pw_random(w, 2) ? KD_PROBE_IN : KD_PROBE_OUT;

		if (!w->flows[flow].is_open)
			pw_open(w, flow, pw_random(w, 4) == 0);
		else if (pw_random(w, 400) == 0 && !w->flows[flow].flow.lanes[0].first &&
			 !w->flows[flow].flow.lanes[1].first)
			pw_close(w, flow);
		else if (!w->flows[flow].lanes[direction].is_deferred)
			pw_send(w, flow, direction, 8 + pw_random(w, size_max));
		w->now += pw_random(w, PW_MS);
		if (pw_random(w, 4) == 0)
			pw_work(w);
		if (pw_random(w, 4) == 0)
			pw_host_step(w);
	}
}

static void settle(struct probe_world *w)
{
	for (unsigned i = 0; i < 20000 && (i < 10 || w->probe.oldest || w->host.n_held); i++) {
		w->now += PW_MS;
		pw_work(w);
		pw_host_step(w);
	}
	pw_work(w);
}

static void capture_tells_everything_once(void **state)
{
	struct probe_world *w = &world;
	uint64_t sent = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		pw_init(w, seed);
		pw_attach(w, KD_PROBE_CAPTURE);
		pw_work(w);
		play(w, 5000, 4000);
		settle(w);
		pw_check_all_arrived(w);
		sent = w->probe.counters[KD_PROBE_N_ITEMS];
		assert_true(sent > 3000);
		assert_int_equal(w->host.received + w->host.lost, sent);
		assert_int_equal(w->host.lost, w->probe.counters[KD_PROBE_N_LOST]);
		pw_end(w);
	}
}

static void intercept_keeps_order_whatever_the_verdicts(void **state)
{
	struct probe_world *w = &world;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		pw_init(w, seed);
		pw_attach(w, KD_PROBE_INTERCEPT);
		w->host.edit = 3;
		w->host.drop = 7;
		w->host.inject = 5;
		pw_work(w);
		play(w, 5000, seed % 2 ? 600 : 20000);
		settle(w);
		pw_check_all_arrived(w);
		assert_true(w->probe.counters[KD_PROBE_N_EDITED] > 10);
		assert_true(w->probe.counters[KD_PROBE_N_DROPPED] > 10);
		assert_int_equal(w->probe.counters[KD_PROBE_N_REFUSED], 0);
		pw_end(w);
	}
}

static void pass(struct probe_world *w, uint64_t flow, uint64_t item)
{
	struct kd_probe_w_verdict v = { .verdict = KD_PROBE_PASS };
	struct kd_probe_order order = { .type = KD_PROBE_VERDICT, .flow = flow, .item = item };
	uint8_t head[KD_PROBE_SIZE_verdict];

	kd_probe_w_verdict_encode(head, &v);
	order.head = head;
	order.head_size = sizeof head;
	assert_int_equal(kd_probe_host_put(&w->host.end, &order), KD_OK);
	pw_work(w);
}

/* Items are found by their number: the flow must be theirs, and each is decided once. */
static void a_verdict_is_for_one_item_once(void **state)
{
	enum { ITEMS = 2 * KD_PROBE_WAIT_BUCKETS + 3 };
	struct probe_world *w = &world;
	uint64_t first, flow, other;

	(void)state;
	pw_init(w, 2);
	pw_attach(w, KD_PROBE_INTERCEPT);
	w->host.forget = 1;
	pw_work(w);
	pw_open(w, 0, false);
	pw_open(w, 1, false);
	flow = w->flows[0].flow.id;
	other = w->flows[1].flow.id;
	first = w->probe.next_item;
	for (unsigned i = 0; i < ITEMS; i++) {
		pw_send(w, 0, KD_PROBE_OUT, 10);
		pw_host_step(w);
	}
	assert_int_equal(w->probe.counters[KD_PROBE_N_HELD_NOW], ITEMS);
	pass(w, other, first);
	pass(w, flow + 1000, first);
	pass(w, flow, first + ITEMS);
	assert_int_equal(w->probe.counters[KD_PROBE_N_LATE], 3);
	assert_int_equal(w->probe.counters[KD_PROBE_N_HELD_NOW], ITEMS);
	for (unsigned i = ITEMS; i-- > 0;) /* the last first: they still go in order */
		pass(w, flow, first + i);
	pass(w, flow, first);
	assert_int_equal(w->probe.counters[KD_PROBE_N_LATE], 4);
	assert_int_equal(w->probe.counters[KD_PROBE_N_PASSED], ITEMS);
	pw_check_all_arrived(w);
	pw_end(w);
}

static void a_dead_host_holds_nothing_up(void **state)
{
	struct probe_world *w = &world;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		pw_init(w, seed);
		pw_attach(w, KD_PROBE_INTERCEPT);
		pw_work(w);
		play(w, 2000, 3000);
		w->host.is_alive = false;
		for (unsigned i = 0; i < PW_FLOWS; i++)
			if (w->flows[i].is_open)
				pw_send(w, i, KD_PROBE_OUT, 100);
		assert_non_null(w->probe.oldest);
		for (unsigned ms = 0; ms < 2200; ms++) {
			w->now += PW_MS;
			pw_work(w);
		}
		assert_null(w->probe.oldest);
		pw_check_all_arrived(w);
		play(w, 2000, 3000);
		pw_work(w);
		pw_check_all_arrived(w);
		/* another one takes over, and is told of all flows */
		pw_attach(w, KD_PROBE_INTERCEPT);
		for (unsigned i = 0; i < 5; i++) {
			w->now += PW_MS;
			pw_work(w);
			pw_host_step(w);
		}
		assert_true(w->host.is_synced);
		play(w, 2000, 3000);
		settle(w);
		pw_check_all_arrived(w);
		pw_end(w);
	}
}

/* A new host while the old one's payloads are still held gets them again. */
static void a_second_host_takes_over_what_is_held(void **state)
{
	struct probe_world *w = &world;
	unsigned held;

	(void)state;
	pw_init(w, 3);
	pw_attach(w, KD_PROBE_INTERCEPT);
	pw_work(w);
	for (unsigned i = 0; i < PW_FLOWS; i++) {
		pw_open(w, i, false);
		pw_send(w, i, KD_PROBE_OUT, 100);
		pw_send(w, i, KD_PROBE_IN, 100);
	}
	held = 2 * PW_FLOWS;
	assert_int_equal(w->probe.counters[KD_PROBE_N_HELD_NOW], held);
	pw_attach(w, KD_PROBE_INTERCEPT);
	pw_work(w);
	w->host.forget = 1; /* looks only */
	pw_host_step(w);
	assert_true(w->host.is_synced);
	assert_int_equal(w->probe.counters[KD_PROBE_N_HELD_NOW], held);
	w->host.forget = 0;
	pw_attach(w, KD_PROBE_INTERCEPT);
	pw_work(w);
	settle(w);
	pw_check_all_arrived(w);
	assert_int_equal(w->probe.counters[KD_PROBE_N_PASSED], held);
	pw_end(w);
}

static void what_nobody_decides_passes_in_time(void **state)
{
	struct probe_world *w = &world;

	(void)state;
	pw_init(w, 4);
	pw_attach(w, KD_PROBE_INTERCEPT);
	w->host.forget = 1;
	pw_work(w);
	pw_open(w, 0, false);
	pw_send(w, 0, KD_PROBE_OUT, 100);
	for (unsigned s = 0; s < 3100; s++) {
		w->now += 100 * PW_MS;
		pw_host_step(w);
		pw_work(w);
		assert_int_equal(w->flows[0].lanes[0].n_arrived, s >= 2999);
	}
	assert_int_equal(w->probe.counters[KD_PROBE_N_AUTO_TIMEOUT], 1);
	pw_end(w);
}

static void too_much_held_passes_oldest_first(void **state)
{
	struct probe_world *w = &world;

	(void)state;
	pw_init(w, 5);
	pw_attach(w, KD_PROBE_INTERCEPT);
	w->host.forget = 1;
	pw_work(w);
	pw_open(w, 0, false);
	for (unsigned i = 0; i < 3000; i++) {
		pw_send(w, 0, KD_PROBE_OUT, 1000);
		pw_host_step(w);
		pw_work(w);
		assert_true(w->probe.held <= 1 << 20);
	}
	assert_int_equal(w->probe.counters[KD_PROBE_N_AUTO_MEMORY], 3000 - (1 << 20) / 1000);
	/* inbound the sender is made to wait instead */
	while (pw_send(w, 0, KD_PROBE_IN, 1000)) {
		pw_host_step(w);
		pw_work(w);
	}
	assert_in_range(w->flows[0].flow.lanes[1].queued, 64 << 10, 66 << 10);
	pw_policy(w, KD_PROBE_CAPTURE); /* all that waits passes */
	pw_work(w);
	pw_check_all_arrived(w);
	pw_end(w);
}

static void a_full_ring_is_no_obstacle(void **state)
{
	struct probe_world *w = &world;

	(void)state;
	for (enum kd_probe_mode mode = KD_PROBE_CAPTURE; mode <= KD_PROBE_INTERCEPT; mode++) {
		pw_init(w, 6);
		pw_attach(w, mode);
		pw_work(w);
		pw_host_step(w);
		for (unsigned i = 0; i < 8; i++)
			pw_open(w, i, i == 7);
		for (unsigned i = 0; i < 4000; i++) {
			pw_send(w, i % 8, KD_PROBE_OUT, 1000);
			if (i % 100 == 0) {
				kd_probe_host_beat(&w->host.end); /* alive, but does not read */
				pw_work(w);
			}
		}
		assert_true(w->probe.counters[KD_PROBE_N_LOST] > 3000);
		settle(w);
		play(w, 100, 100);
		settle(w);
		pw_check_all_arrived(w);
		assert_int_equal(w->host.received + w->host.lost,
				 w->probe.counters[KD_PROBE_N_ITEMS]);
		pw_end(w);
	}
}

/* The guest's memory goes back, the host's does not: it notices, attaches anew, all is well. */
static void a_snapshot_is_no_obstacle(void **state)
{
	struct probe_world *w = &world, *saved = malloc(sizeof *saved);

	(void)state;
	pw_init(w, 8);
	pw_attach(w, KD_PROBE_CAPTURE);
	pw_work(w);
	play(w, 500, 500);
	pw_work(w);
	*saved = *w;
	play(w, 500, 500);
	pw_host_step(w);
	/* all of the guest: nothing is held, so nothing of it lies on the heap */
	memcpy(w->memory, saved->memory, sizeof w->memory);
	memcpy(w->flows, saved->flows, sizeof w->flows);
	w->probe = saved->probe;
	free(saved);
	assert_int_equal(kd_probe_host_check(&w->host.end), KD_E_STALE);
	pw_attach(w, KD_PROBE_CAPTURE);
	pw_work(w);
	pw_host_step(w);
	assert_true(w->host.is_synced);
	play(w, 500, 500);
	settle(w);
	pw_check_all_arrived(w);
	pw_end(w);
}

static void a_host_that_leaves_lets_all_go(void **state)
{
	struct probe_world *w = &world;

	(void)state;
	pw_init(w, 9);
	pw_attach(w, KD_PROBE_INTERCEPT);
	pw_work(w);
	play(w, 1000, 500);
	kd_probe_host_detach(&w->host.end);
	w->host.is_alive = false;
	pw_work(w);
	pw_check_all_arrived(w);
	assert_int_equal(w->probe.policy.mode, KD_PROBE_OFF);
	pw_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capture_tells_everything_once),
		cmocka_unit_test(intercept_keeps_order_whatever_the_verdicts),
		cmocka_unit_test(a_verdict_is_for_one_item_once),
		cmocka_unit_test(a_dead_host_holds_nothing_up),
		cmocka_unit_test(a_second_host_takes_over_what_is_held),
		cmocka_unit_test(what_nobody_decides_passes_in_time),
		cmocka_unit_test(too_much_held_passes_oldest_first),
		cmocka_unit_test(a_full_ring_is_no_obstacle),
		cmocka_unit_test(a_snapshot_is_no_obstacle),
		cmocka_unit_test(a_host_that_leaves_lets_all_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
