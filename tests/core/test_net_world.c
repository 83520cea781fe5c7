/* SPDX-License-Identifier: MIT */
/*
 * Both ends of KDNET against each other: over a good network, over one that loses, doubles,
 * reorders and damages, with an attacker who replays, through crashes of debuggers and reboots of
 * targets, several on one port, with wrong keys. Nothing may be lost, doubled or invented.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/core/net_world.h"

#define MS     ((uint64_t)KD_NS_PER_MS)
#define SECOND (1000 * MS)
#define DAY    (86400 * SECOND)

static const char key[] = "1.2.3.4";

static struct net_world world;
static struct net_target target, other_target;
static struct net_debugger debugger, other_debugger;

static struct kd_net_address target_at, debugger_at, other_at;

static void places(void)
{
	target_at = net_address(10, 0, 0, 2, 50000);
	debugger_at = net_address(10, 0, 0, 1, 50000);
	other_at = net_address(10, 0, 0, 3, 50000);
}

/* One target, one debugger. */
static void begin(const struct net_line *line, uint64_t seed)
{
	struct net_line own = *line;
	struct net_debugger *port[] = { &debugger };

	places();
	own.seed = seed;
	net_world_init(&world, &own);
	net_target_boot(&target, key, &target_at, &debugger_at, seed, 0);
	net_debugger_start(&debugger, key, seed + 1, 0);
	net_world_add_target(&world, &target, &target_at);
	net_world_add_port(&world, port, 1, &debugger_at);
}

static void run_for(uint64_t ns)
{
	net_world_run(&world, world.now + ns, NULL, 0);
}

static void nothing_wrong(void)
{
	assert_int_equal(debugger.n_wrong, 0);
	assert_int_equal(target.kernel.n_wrong_requests, 0);
}

static uint64_t retransmits(void)
{
	return kd_net_link_counters(kd_net_link(&debugger.net))->retransmits +
	       kd_net_link_counters(kd_net_link(&target.net))->retransmits;
}

static const struct net_line good = { .latency_ns = 200000 };

static void test_good_network(void **state)
{
	const struct kd_net_counters *c;

	(void)state;
	begin(&good, 1);
	net_world_run(&world, DAY, &debugger.n_packets, 5000);
	assert_int_equal(debugger.n_packets, 5000);
	nothing_wrong();
	assert_int_equal(retransmits(), 0);
	assert_int_equal(debugger.n_connected, 1);
	assert_int_equal(debugger.n_restarts, 1);
	assert_true(kd_net_link_is_synced(kd_net_link(&debugger.net)));
	assert_true(debugger.n_gave_up + debugger.n_asked + debugger.n_silent == 0);
	c = kd_net_counters(&debugger.net);
	assert_true(c->forged + c->replayed + c->misdirected + c->refused == 0);
	/* All pokes but the first are keep-alives. */
	assert_int_equal(c->responses, 1);
	assert_int_equal(c->pokes, kd_net_counters(&target.net)->pokes);
	assert_int_equal(c->rx_datagrams, kd_net_counters(&target.net)->tx_datagrams);
}

/* Many bad networks; the price of a loss stays small. */
static void test_bad_network(void **state)
{
	static const struct net_line lines[] = {
		{ .latency_ns = 200000, .loss_ppm = 20000 },
		{ .latency_ns = 200000, .loss_ppm = 150000 },
		{ .latency_ns = 200000, .double_ppm = 200000 },
		{ .latency_ns = 200000, .jitter_ns = 30000000 },
		{ .latency_ns = 200000, .damage_ppm = 50000 },
		{ .latency_ns = 200000, .replay_ppm = 300000 },
		{ .latency_ns = 100000,
		  .jitter_ns = 3000000,
		  .loss_ppm = 50000,
		  .double_ppm = 50000,
		  .damage_ppm = 20000,
		  .replay_ppm = 100000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		uint64_t events = 0, repeated = 0, replayed = 0, forged = 0;

		for (uint64_t seed = 1; seed <= 6; seed++) {
			begin(&lines[i], seed * 100 + i);
			net_world_run(&world, DAY, &debugger.n_packets, 1500);
			if (debugger.n_packets < 1500)
				fail_msg("line %zu, seed %llu: stuck", i, (unsigned long long)seed);
			nothing_wrong();
			events += world.n_lost + world.n_damaged;
			repeated += retransmits();
			replayed += kd_net_counters(&debugger.net)->replayed +
				    kd_net_counters(&target.net)->replayed;
			forged += kd_net_counters(&debugger.net)->forged +
				  kd_net_counters(&target.net)->forged;
		}
		print_message("line %zu: %llu lost, %llu retransmits, %llu replays and %llu "
			      "forgeries refused\n",
			      i, (unsigned long long)events, (unsigned long long)repeated,
			      (unsigned long long)replayed, (unsigned long long)forged);
		assert_true(lines[i].jitter_ns || repeated <= 2 * events);
		assert_true(!lines[i].replay_ppm || replayed > 1000);
		assert_true(!lines[i].damage_ppm || forged > 100);
	}
}

/* The debugger dies and a new one comes, again and again: the target's ids go on. */
static void test_debugger_restarts(void **state)
{
	static const struct net_line line = { .latency_ns = 200000, .loss_ppm = 20000 };

	(void)state;
	begin(&line, 7);
	for (uint64_t i = 0; i < 60; i++) {
		uint64_t from = world.now;

		net_world_run(&world, DAY, &debugger.n_packets, 40 + i);
		assert_int_equal(debugger.n_packets, 40 + i);
		assert_int_equal(debugger.n_restarts, 1);
		assert_true(world.now - from < 60 * SECOND);
		nothing_wrong();
		net_debugger_start(&debugger, key, i + 50, world.now);
	}
	assert_true(kd_net_link(&target.net)->next_send > 60 * 40 * 2);
	assert_true(target.n_sessions >= 59);
}

/* The target reboots in the middle: a session each, and one event that says so. */
static void test_target_reboots(void **state)
{
	static const struct net_line line = { .latency_ns = 200000,
					      .loss_ppm = 20000,
					      .replay_ppm = 100000 };

	(void)state;
	begin(&line, 8);
	for (uint64_t i = 1; i <= 40; i++) {
		net_world_run(&world, DAY, &debugger.n_packets, 50 * i);
		assert_int_equal(debugger.n_packets, 50 * i);
		nothing_wrong();
		assert_int_equal(debugger.n_restarts, i);
		net_target_boot(&target, key, &target_at, &debugger_at, 1000 + i, world.now);
	}
	print_message("%llu sessions of 40 boots\n", (unsigned long long)debugger.n_connected);
}

/* The debugger comes before the target, or after it, or both sleep: they find each other. */
static void test_who_comes_first(void **state)
{
	(void)state;
	begin(&good, 9);
	world.ends[0].is_off = true;
	run_for(20 * SECOND);
	assert_int_equal(debugger.n_connected, 0);
	world.ends[0].is_off = false;
	run_for(4 * SECOND);
	assert_int_equal(debugger.n_connected, 1);

	begin(&good, 10);
	world.ends[1].is_off = true;
	run_for(20 * SECOND);
	world.ends[1].is_off = false;
	run_for(4 * SECOND);
	assert_int_equal(debugger.n_connected, 1);
	nothing_wrong();
}

/* A debugger that starts beside a target that prints asks for a poke and need not wait for one. */
static void test_asks_for_poke(void **state)
{
	uint64_t from;

	(void)state;
	begin(&good, 11);
	run_for(3 * SECOND + 1200 * MS); /* a poke was 1.2 s ago */
	net_debugger_start(&debugger, key, 77, world.now);
	from = world.now;
	/* It retransmits to a debugger who is no more. */
	net_world_run(&world, DAY, &debugger.n_connected, 1);
	assert_true(world.now - from < SECOND);
}

static void test_wrong_key(void **state)
{
	(void)state;
	begin(&good, 12);
	net_debugger_start(&debugger, "1.2.3.5", 3, 0);
	run_for(60 * SECOND);
	assert_int_equal(debugger.n_connected, 0);
	assert_int_equal(kd_net_counters(&debugger.net)->forged, 20);
	assert_int_equal(kd_net_counters(&debugger.net)->tx_datagrams, 0);
	assert_false(kd_net_is_connected(&target.net));
}

static void test_silence(void **state)
{
	uint64_t from;

	(void)state;
	begin(&good, 13);
	net_world_run(&world, DAY, &debugger.n_stops, 5);
	world.ends[0].is_off = true;
	run_for(9 * SECOND);
	assert_int_equal(debugger.n_silent, 0);
	run_for(30 * SECOND);
	assert_int_equal(debugger.n_silent, 1);
	world.ends[0].is_off = false;
	run_for(30 * SECOND);
	assert_int_equal(debugger.n_heard, 1);
	assert_int_equal(debugger.n_silent, 1);
	assert_int_equal(debugger.n_connected, 1);
	from = debugger.n_stops;
	run_for(5 * SECOND);
	assert_true(debugger.n_stops > from + 50);
	nothing_wrong();
}

/* Our response is lost a few times. */
static void test_lost_responses(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 5; n++) {
		begin(&good, 14 + n);
		for (unsigned i = 0; i < n; i++) {
			world.line.loss_ppm = 0;
			net_world_run(&world, DAY, &kd_net_counters(&debugger.net)->pokes, i + 1);
			world.n_flight = 0; /* what answers the poke */
		}
		net_world_run(&world, DAY, &debugger.n_stops, 3);
		assert_int_equal(debugger.n_stops, 3);
		assert_int_equal(debugger.n_connected, 1);
		nothing_wrong();
	}
}

/* The connection check is lost, and the target has nothing to say: a break-in gets through. */
static void test_silent_target(void **state)
{
	(void)state;
	begin(&good, 20);
	target.kernel.wake = KD_TIME_NEVER;
	net_world_run(&world, DAY, &target.n_sessions, 1);
	world.n_flight = 0;
	target.net.check_wanted = false;
	kd_net_link_break_in(kd_net_link(&debugger.net), world.now);
	run_for(400 * MS);
	assert_int_equal(target.n_breakins, 0);
	run_for(400 * MS);
	assert_int_equal(target.n_breakins, 1);
	assert_int_equal(debugger.n_connected, 1);
	assert_true(debugger.n_stops > 0);
}

/* Another debugger takes the target away; ours says so and leaves it alone, until it is told to. */
static void test_taken(void **state)
{
	struct net_debugger *port[] = { &other_debugger };

	(void)state;
	begin(&good, 21);
	run_for(5 * SECOND);
	/* It answers from elsewhere: the target follows who has the key. */
	net_debugger_start(&other_debugger, key, 99, world.now);
	net_world_add_port(&world, port, 1, &other_at);
	world.ends[1].is_off = true;
	world.ends[1].at = other_at;
	world.ends[2].at = debugger_at;
	run_for(5 * SECOND);
	assert_int_equal(other_debugger.n_connected, 1);
	/* It is gone, and ours hears the pokes again, which name the other one's address. */
	world.ends[2].is_off = true;
	world.ends[1].is_off = false;
	world.ends[1].at = debugger_at;
	target.net.sessions[0].peer = other_at;
	run_for(2 * SECOND);
	assert_int_equal(debugger.n_taken, 0);
	run_for(7 * SECOND);
	assert_int_equal(debugger.n_taken, 1);
	assert_true(kd_net_address_is_same(&debugger.last_peer, &other_at));
	run_for(30 * SECOND);
	assert_int_equal(debugger.n_connected, 1);
	kd_net_restart(&debugger.net, world.now);
	run_for(4 * SECOND);
	assert_int_equal(debugger.n_connected, 2);
	assert_int_equal(debugger.n_restarts, 2);
}

/* A second machine with the same key is ignored while the first is there. */
static void test_other_machine(void **state)
{
	(void)state;
	begin(&good, 22);
	net_world_run(&world, DAY, &debugger.n_stops, 5);
	net_target_boot(&other_target, key, &other_at, &debugger_at, 555, world.now);
	net_world_add_target(&world, &other_target, &other_at);
	run_for(30 * SECOND);
	assert_int_equal(debugger.n_other, 1);
	assert_true(kd_net_address_is_same(&debugger.last_peer, &other_at));
	assert_int_equal(debugger.n_connected, 1);
	assert_false(kd_net_is_connected(&other_target.net));
	nothing_wrong();
	/* The first is switched off: the other one may come. */
	world.ends[0].is_off = true;
	run_for(30 * SECOND);
	assert_int_equal(debugger.n_connected, 2);
	assert_true(kd_net_is_connected(&other_target.net));
}

/* Three targets with three keys on one port; one of them even has the address of another. */
static void test_several_targets(void **state)
{
	static const char *const keys[] = { "1.2.3.4", "1.2.3.5", "zz.0.0.1" };
	static struct net_target targets[3];
	static struct net_debugger debuggers[3];
	struct net_debugger *port[3];

	(void)state;
	places();
	net_world_init(&world, &(struct net_line){ .seed = 23,
						   .latency_ns = 200000,
						   .jitter_ns = 500000,
						   .loss_ppm = 10000 });
	for (unsigned i = 0; i < 3; i++) {
		struct kd_net_address at = net_address(10, 0, 0, 10, (uint16_t)(50000 + i));

		net_target_boot(&targets[i], keys[i], &at, &debugger_at, 30 + i, 0);
		net_debugger_start(&debuggers[i], keys[i], 40 + i, 0);
		net_world_add_target(&world, &targets[i], &at);
		port[i] = &debuggers[i];
	}
	net_world_add_port(&world, port, 3, &debugger_at);
	run_for(300 * SECOND);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(debuggers[i].n_connected, 1);
		assert_int_equal(kd_net_counters(&debuggers[i].net)->forged, 0);
		assert_int_equal(debuggers[i].n_wrong + targets[i].kernel.n_wrong_requests, 0);
		assert_true(debuggers[i].n_replies > 500);
	}
}

/* Whoever sends a datagram back to its sender achieves nothing, even before it was replayed. */
static void test_reflected(void **state)
{
	uint64_t n_from_target = 0, n_sessions;

	(void)state;
	begin(&good, 26);
	net_world_run(&world, DAY, &debugger.n_stops, 20);
	n_sessions = target.n_sessions;
	for (size_t i = 0; i < world.n_kept; i++) {
		const struct net_flight *f = &world.kept[i];
		bool is_from_target = kd_net_address_is_same(&f->from, &target_at);
		struct kd_net *sender = is_from_target ? &target.net : &debugger.net;

		n_from_target += is_from_target;
		sender->sessions[0].rx_sequence = 0;
		assert_int_equal(kd_net_feed(sender, &f->to, f->bytes, f->size, world.now),
				 KD_E_STALE);
	}
	assert_true(n_from_target > 20);
	assert_int_equal(kd_net_counters(&target.net)->misdirected, n_from_target);
	assert_int_equal(kd_net_counters(&debugger.net)->misdirected, world.n_kept - n_from_target);
	assert_int_equal(target.n_sessions, n_sessions);
}

/* The target has a key that we do not have, and says that it is ours: another one is agreed on. */
static void test_unreadable(void **state)
{
	(void)state;
	begin(&good, 27);
	run_for(5 * SECOND);
	debugger.net.sessions[0].keys.cipher[5] ^= 1;
	run_for(20 * SECOND);
	assert_int_equal(debugger.n_connected, 2);
	assert_int_equal(debugger.n_restarts, 1); /* the same boot: the link goes on */
	nothing_wrong();
}

/* The first response comes after we made the second, which is lost: the first is good, too. */
static void test_late_response(void **state)
{
	static struct net_flight late;

	(void)state;
	begin(&good, 28);
	net_world_run(&world, DAY, &kd_net_counters(&debugger.net)->pokes, 1);
	net_world_run(&world, world.now + 1, NULL, 0); /* it goes out */
	assert_int_equal(world.n_flight, 1);
	late = world.flight[0];
	world.n_flight = 0;
	net_world_run(&world, DAY, &kd_net_counters(&debugger.net)->pokes, 2);
	net_world_run(&world, world.now + 1, NULL, 0);
	assert_int_equal(world.n_flight, 1);
	world.flight[0] = late;
	run_for(SECOND);
	assert_int_equal(debugger.n_connected, 1);
	assert_int_equal(kd_net_counters(&debugger.net)->responses, 2);
}

/* No entropy: no answer, and nothing breaks. */
static void test_broken_primitives(void **state)
{
	struct kd_net_config cfg = { 0 };

	(void)state;
	begin(&good, 24);
	debugger.random.is_broken = true;
	run_for(10 * SECOND);
	assert_int_equal(kd_net_counters(&debugger.net)->tx_datagrams, 0);
	debugger.random.is_broken = false;
	run_for(4 * SECOND);
	assert_int_equal(debugger.n_connected, 1);
	assert_int_equal(kd_net_init(&debugger.net, &cfg, 0), KD_E_INVALID);
}

/* Old pokes of boots long gone, all over again, cannot end a session. */
static void test_replayed_boots(void **state)
{
	(void)state;
	begin(&good, 25);
	for (unsigned i = 0; i < 12; i++) {
		net_world_run(&world, world.now + 4 * SECOND, NULL, 0);
		net_target_boot(&target, key, &target_at, &debugger_at, 2000 + i, world.now);
	}
	run_for(4 * SECOND);
	assert_int_equal(debugger.n_connected, 13);
	/* A debugger that knows none of them. */
	net_debugger_start(&debugger, key, 500, world.now);
	run_for(4 * SECOND);
	assert_int_equal(debugger.n_connected, 1);
	world.line.replay_ppm = 900000;
	run_for(120 * SECOND);
	assert_int_equal(debugger.n_connected, 1);
	assert_true(world.n_replayed > 1000);
	nothing_wrong();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_network),
		cmocka_unit_test(test_bad_network),
		cmocka_unit_test(test_debugger_restarts),
		cmocka_unit_test(test_target_reboots),
		cmocka_unit_test(test_who_comes_first),
		cmocka_unit_test(test_asks_for_poke),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_lost_responses),
		cmocka_unit_test(test_silent_target),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_other_machine),
		cmocka_unit_test(test_several_targets),
		cmocka_unit_test(test_reflected),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_late_response),
		cmocka_unit_test(test_broken_primitives),
		cmocka_unit_test(test_replayed_boots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
