/* SPDX-License-Identifier: MIT */
/* Our debugger's end against NT's and ReactOS' targets as the protocol's tables describe them. */
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

struct scene {
	struct world w;
	struct world_kernel kernel;
	struct nt nt;
	struct world_debugger d;
};

static void scene_init(struct scene *s, enum nt_flavour flavour, uint64_t seed,
		       const struct lossy_config *line, enum world_fill fill, uint32_t max_fill)
{
	struct lossy_config down = *line, up = *line;
	struct kd_link_config cfg;

	memset(s, 0, sizeof(*s));
	down.seed = 2 * seed + 1;
	up.seed = 2 * seed + 2;
	world_init(&s->w, &down, &up);
	world_kernel_init(&s->kernel, seed, fill, max_fill);
	nt_boot(&s->nt, &s->w.target, flavour, &s->kernel, 0);
	kd_link_config_init(&cfg, KD_LINK_DEBUGGER, line->byte_ns > 0);
	/* Images in requests would be believed by this target. */
	world_debugger_init(&s->d, seed ^ 0x77, fill == FILL_IMAGES ? FILL_RANDOM : fill, max_fill,
			    &cfg);
	s->w.debugger = &s->d;
}

static void need_packets(struct scene *s, uint64_t n)
{
	uint64_t enough = s->d.n_packets + n;

	world_run(&s->w, s->w.now + 3 * n * SECOND, &s->d.n_packets, enough);
	if (s->d.n_packets >= enough)
		return;
	printf("debugger: halted %d, waiting %d, continuing %d, breaking %d, busy %d, send %08x, "
	       "expected %08x; target: doing %d, send %08x, expected %08x, present %d\n",
	       s->d.is_halted, s->d.is_waiting, s->d.is_continuing, s->d.wants_break,
	       kd_link_is_busy(&s->d.link), s->d.link.next_send, s->d.link.expected, s->nt.doing,
	       s->nt.next_send, s->nt.expected, s->nt.present);
	fail_msg("stuck after %llu packets", (unsigned long long)s->d.n_packets);
}

static const char *const flavours[] = { "NT", "ReactOS" };

static void test_clean(void **state)
{
	static struct scene s;
	const struct lossy_config line = { .latency_ns = MS };

	for (enum nt_flavour f = NT; f <= REACTOS; f++) {
		for (enum world_fill fill = 0; fill < N_FILLS; fill++) {
			const struct kd_link_counters *c = kd_link_counters(&s.d.link);

			scene_init(&s, f, fill, &line, fill, 3900);
			need_packets(&s, 2000);
			assert_int_equal(s.d.n_wrong + s.kernel.n_wrong_requests + s.d.n_asked, 0);
			assert_int_equal(c->retransmits + c->resends_sent + c->resets_sent, 0);
			assert_int_equal(c->duplicates + c->resends_seen, 0);
			assert_int_equal(s.nt.n_given_up, 0);
			world_deinit(&s.w);
		}
	}
}

struct sum {
	uint64_t packets, losses, ours, theirs, wrong, asked, repeats, given_up, resets;
};

static void add(struct sum *t, const struct scene *s)
{
	t->packets += s->d.n_packets;
	t->losses += s->w.to_target.n_losses + s->w.to_debugger.n_losses;
	t->ours += kd_link_counters(&s->d.link)->retransmits;
	t->resets += kd_link_counters(&s->d.link)->resets_sent;
	t->theirs += s->nt.n_transmits - s->kernel.serial;
	t->wrong += s->d.n_wrong + s->kernel.n_wrong_requests;
	t->asked += s->d.n_asked;
	t->repeats += s->d.n_repeats;
	t->given_up += s->nt.n_given_up + s->d.n_gave_up;
}

static void print(const char *name, enum nt_flavour f, const struct sum *t)
{
	printf("%-8s %-10s %7llu packets %6llu losses, again: %5llu ours %5llu theirs, %3llu wrong "
	       "%3llu silent %3llu repeats %3llu given up %3llu RESETs\n",
	       flavours[f], name, (unsigned long long)t->packets, (unsigned long long)t->losses,
	       (unsigned long long)t->ours, (unsigned long long)t->theirs,
	       (unsigned long long)t->wrong, (unsigned long long)t->asked,
	       (unsigned long long)t->repeats, (unsigned long long)t->given_up,
	       (unsigned long long)t->resets);
}

static void lossy(enum nt_flavour f, const char *name, const struct lossy_config *line,
		  uint32_t max_fill, uint64_t n_seeds, uint64_t n_packets)
{
	static struct scene s;
	struct sum t = { 0 };

	for (uint64_t seed = 0; seed < n_seeds; seed++) {
		scene_init(&s, f, seed, line, (enum world_fill)(seed % N_FILLS), max_fill);
		need_packets(&s, n_packets);
		add(&t, &s);
		world_deinit(&s.w);
	}
	print(name, f, &t);
	assert_true(t.losses > 100);
	/*
	 * ReactOS takes the retransmission of an old request for the ACK of its reply, which is
	 * lost for good when it had been damaged. The debugger notices the silence and asks again.
	 */
	assert_true(t.wrong <= (f == REACTOS ? t.asked : 0));
	assert_true(t.asked <= (f == REACTOS ? 8 : 0));
	assert_int_equal(t.given_up, 0);
	assert_true(10 * (t.ours + t.theirs) < 16 * t.losses);
}

static void test_loss(void **state)
{
	const struct lossy_config socket = { .latency_ns = MS / 5, .loss_ppm = 300 };
	const struct lossy_config serial = { .latency_ns = MS, .byte_ns = 86806, .loss_ppm = 100 };

	for (enum nt_flavour f = NT; f <= REACTOS; f++) {
		lossy(f, "socket", &socket, 300, 60, 600);
		lossy(f, "serial", &serial, 1000, 30, 600);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
