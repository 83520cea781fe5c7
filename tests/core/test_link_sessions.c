/* SPDX-License-Identifier: MIT */
/*
 * What happens to debuggers in their lives: targets that boot, reboot, run alone, are paused;
 * debuggers that come late, die and come back. Each story is told with our own target, with NT's
 * and with ReactOS' (as the protocol's tables describe them), at sixteen moments each, and ends
 * with a conversation in which nothing is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/core/link_nt_model.h"

#include "lib/base.h"

#define MS     ((uint64_t)KD_NS_PER_MS)
#define SECOND (1000 * MS)

enum { OURS = REACTOS + 1, N_KINDS, N_MOMENTS = 16, FOREVER_PRINTS = 1 << 30 };

static const char *const kinds[] = { "NT", "ReactOS", "ours" };

struct scene {
	struct world w;
	struct world_kernel kernel;
	struct nt nt;
	struct world_link_target ours;
	struct world_debugger d;
	int kind;
	uint64_t moment;
	uint32_t n_debuggers;
};

static struct scene s;

static void new_debugger(void)
{
	struct kd_link_config cfg;

	kd_link_config_init(&cfg, KD_LINK_DEBUGGER, false);
	world_debugger_init(&s.d, s.n_debuggers + 99, FILL_RANDOM, 200, &cfg);
	s.d.request_serial = WORLD_SESSION * s.n_debuggers++;
	/* The connect procedure begins with throwing away what is buffered. */
	lossy_pipe_drain(&s.w.to_debugger);
	s.w.debugger = &s.d;
}

static void boot(void)
{
	if (s.kind == OURS) {
		world_link_target_boot(&s.ours, s.w.now);
	} else {
		/* The UART's buffer survives no reset; what is in the pipe does. */
		nt_boot(&s.nt, &s.w.target, (enum nt_flavour)s.kind, &s.kernel, s.w.now);
	}
}

static void begin(int kind, uint64_t seed)
{
	const struct lossy_config line = { .latency_ns = MS / 2, .byte_ns = 1000 };
	struct kd_link_config cfg;

	memset(&s, 0, sizeof(s));
	s.kind = kind;
	s.moment = seed;
	world_init(&s.w, &line, &line);
	world_kernel_init(&s.kernel, seed, FILL_RANDOM, 200);
	if (kind == OURS) {
		kd_link_config_init(&cfg, KD_LINK_TARGET, false);
		world_link_target_init(&s.ours, &s.w.target, &s.kernel, &cfg);
	} else {
		boot();
	}
}

static void pass(uint64_t time)
{
	world_run(&s.w, s.w.now + time, NULL, 0);
}

static void talk(uint64_t n_packets)
{
	uint64_t enough = s.d.n_packets + n_packets;

	world_run(&s.w, s.w.now + n_packets * SECOND, &s.d.n_packets, enough);
	if (s.d.n_packets < enough)
		fail_msg("%s: the conversation stopped", kinds[s.kind]);
}

/* It stops within `limit`, then everything is as it should be. */
static void all_is_well(uint64_t limit)
{
	uint64_t stops = s.d.n_stops, since = s.w.now, gave_up, asked;

	world_run(&s.w, s.w.now + limit, &s.d.n_stops, stops + 1);
	if (s.d.n_stops == stops)
		fail_msg("%s: no stop within %llu ms (seed %llu)", kinds[s.kind],
			 (unsigned long long)((s.w.now - since) / MS),
			 (unsigned long long)s.moment);
	talk(20);
	s.d.n_wrong = s.kernel.n_wrong_requests = 0;
	gave_up = s.d.n_gave_up;
	asked = s.d.n_asked;
	talk(100);
	if (s.d.n_wrong || s.kernel.n_wrong_requests || s.d.n_gave_up != gave_up ||
	    s.d.n_asked != asked)
		fail_msg("%s: %llu wrong packets, %llu wrong requests afterwards", kinds[s.kind],
			 (unsigned long long)s.d.n_wrong,
			 (unsigned long long)s.kernel.n_wrong_requests);
}

static void end(void)
{
	world_deinit(&s.w);
}

/* kill -9, at some moment: maybe in the middle of a request. */
static void kill_debugger(bool in_mid_packet)
{
	uint8_t half[40];

	if (in_mid_packet) {
		memset(half, 0, sizeof(half));
		memcpy(half, "00002\0\x38\0\0\0\x80\x80", 12);
		half[4] = KD_PACKET_STATE_MANIPULATE;
		half[8] = (uint8_t)s.d.link.next_send;
		lossy_pipe_write(&s.w.to_target, half, sizeof(half), s.w.now);
	}
	s.w.debugger = NULL;
}

#define EACH_MOMENT(kind, moment)                  \
	for (int kind = 0; kind < N_KINDS; kind++) \
		for (int moment = 0; moment < N_MOMENTS; moment++)

/* The debugger waits, the target boots: SYNC, and no RESET is needed. */
static void test_boot(void **state)
{
	EACH_MOMENT(kind, moment)
	{
		begin(kind, (uint64_t)moment);
		new_debugger();
		all_is_well(SECOND);
		assert_true(kd_link_is_synced(&s.d.link));
		assert_int_equal(kd_link_counters(&s.d.link)->resets_sent, 0);
		assert_int_equal(s.d.n_restarts, 1);
		end();
	}
}

/* The target booted alone, gave up its prints and runs; or it stopped and waits. */
static void test_attach_late(void **state)
{
	EACH_MOMENT(kind, moment)
	{
		begin(kind, (uint64_t)moment);
		s.kernel.n_prints = moment % 4 ? FOREVER_PRINTS : 0;
		pass(20 * SECOND + (uint64_t)moment * 37 * MS);
		new_debugger();
		world_debugger_break(&s.d, s.w.now);
		/* A break-in byte that meets a print is lost on ReactOS: several tries. */
		all_is_well(15 * SECOND);
		end();
	}
}

/* Killed at any moment; the next one connects at once or a minute later. */
static void test_killed_debugger(void **state)
{
	EACH_MOMENT(kind, moment)
	{
		begin(kind, (uint64_t)moment);
		new_debugger();
		talk(20);
		pass((uint64_t)moment * 3 * MS);
		kill_debugger(moment % 3 == 0);
		pass(moment % 2 ? 20 * SECOND : 300 * MS);
		new_debugger();
		world_debugger_break(&s.d, s.w.now);
		all_is_well(20 * SECOND);
		end();
	}
}

/* Attaching to a running system that another debugger left running. */
static void test_attach_running(void **state)
{
	EACH_MOMENT(kind, moment)
	{
		begin(kind, (uint64_t)moment);
		new_debugger();
		talk(20 + (uint64_t)moment % 7);
		/* `g`, and the debugger goes away in peace. */
		world_run(&s.w, s.w.now + 60 * SECOND, &s.kernel.n_continues,
			  s.kernel.n_continues + 1);
		s.kernel.n_prints = FOREVER_PRINTS;
		pass(5 * MS);
		s.w.debugger = NULL;
		pass(15 * SECOND);
		new_debugger();
		world_debugger_break(&s.d, s.w.now);
		all_is_well(15 * SECOND);
		assert_true(kd_link_is_synced(&s.d.link));
		end();
	}
}

static void firmware(void)
{
	static const char text[] = "\r\nSeaBIOS (version 1.16)\r\n\x1b[2JBooting from 0000:7c00 "
				   "iiii 0000000000 biosb\r\nNTLDR0000";

	lossy_pipe_write(&s.w.to_debugger, (const uint8_t *)text, sizeof(text) - 1, s.w.now);
}

/* Power off and on in the middle of everything, firmware text on the same wire. */
static void test_reboot(void **state)
{
	EACH_MOMENT(kind, moment)
	{
		uint64_t restarts;

		begin(kind, (uint64_t)moment);
		new_debugger();
		talk(20);
		pass((uint64_t)moment * 777 * 1000);
		restarts = s.d.n_restarts;
		firmware();
		pass((uint64_t)(moment % 5) * 200 * MS);
		boot();
		/* A new kernel takes requests from 1 again; so does the debugger. */
		s.d.request_serial = WORLD_SESSION * s.n_debuggers++;
		s.kernel.n_prints = 3;
		all_is_well(10 * SECOND);
		/* NT marks its first state change too, not only its first print. */
		assert_int_equal(s.d.n_restarts, restarts + (kind == OURS ? 1 : 2));
		end();
	}
}

/* A VM that is paused while the debugger asks, loses patience and sends RESETs into the pipe. */
static void test_pause(void **state)
{
	EACH_MOMENT(kind, moment)
	{
		struct world_target real;
		struct world w;
		uint64_t resets;

		begin(kind, (uint64_t)moment);
		new_debugger();
		talk(20);
		pass((uint64_t)moment * 777 * 1000);
		/* Only the debugger lives for a while. */
		real = s.w.target;
		w = s.w;
		for (int i = 0; i < 60 + moment; i++) {
			kd_link_reset(&s.d.link, s.w.now);
			for (int k = 0; k < 10; k++) {
				const uint8_t *bytes;
				size_t size;

				s.w.now += 100 * MS;
				kd_link_timeout(&s.d.link, s.w.now);
				while ((bytes = kd_link_next_output(&s.d.link, &size))) {
					lossy_pipe_write(&s.w.to_target, bytes, size, s.w.now);
					kd_link_output_done(&s.d.link, size, s.w.now);
				}
			}
		}
		resets = kd_link_counters(&s.d.link)->resets_sent;
		assert_in_range(resets, 50, 61 + (uint64_t)moment);
		assert_true(real.self == w.target.self);
		world_debugger_break(&s.d, s.w.now);
		all_is_well(30 * SECOND);
		/* The burst of answers did not bounce. */
		assert_in_range(kd_link_counters(&s.d.link)->resets_sent, resets, resets + 8);
		pass(60 * SECOND);
		assert_in_range(kd_link_counters(&s.d.link)->resets_sent, resets, resets + 8);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boot),
		cmocka_unit_test(test_attach_late),
		cmocka_unit_test(test_killed_debugger),
		cmocka_unit_test(test_attach_running),
		cmocka_unit_test(test_reboot),
		cmocka_unit_test(test_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
