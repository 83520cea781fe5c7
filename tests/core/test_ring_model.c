/* SPDX-License-Identifier: MIT */
/* The races of the ring: wake-ups, a debugger killed in the middle, memory that goes back in time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/ring/ring_guest.h"
#include "core/ring/ring_host.h"
#include "tests/core/ring_model.h"

enum { BOOT = 99, PACKETS = 3 };

struct race {
	struct kd_ring_guest guest;
	struct kd_ring_host host;
	bool doorbell,
		posted;     /* a byte on COM1; a request is on its way, as a stopped guest spins */
	bool without_fence; /* the mistake that the fences are there against */
	unsigned got, asked, n_sent;
	bool has_reset;
};

/* --- the guest --- */

static void ring_if_asked(struct race *r, const struct kd_ring_memory *memory)
{
	bool needed = r->without_fence
			      ? memory->ops->load(memory->context, KD_RING_AT_HOST_SLEEPING) != 0
			      : kd_ring_guest_needs_doorbell(memory);

	if (needed)
		model_raise(&r->doorbell);
}

static void guest_sends(struct model *m, void *context)
{
	struct kd_ring_memory memory = model_memory(m);
	struct race *r = context;

	for (unsigned i = 0; i < PACKETS; i++) {
		uint8_t bytes[4];

		kd_put32(bytes, i);
		if (kd_ring_guest_send(&r->guest, &memory, 7, bytes, 4, NULL, 0) != KD_OK)
			model_fail(m, "the guest cannot send");
		r->n_sent++;
		ring_if_asked(r, &memory);
	}
}

/* --- the host --- */

static void take_one(struct model *m, struct race *r, const struct kd_ring_memory *memory)
{
	uint8_t payload[KD_RING_PAYLOAD_MAX];
	struct kd_ring_record record;
	enum kd_status status = kd_ring_host_take(&r->host, memory, &record, payload);

	if (status == KD_E_AGAIN) {
		if (kd_ring_host_may_sleep(&r->host, memory))
			model_wait(m, &r->doorbell);
		kd_ring_host_wake(memory);
		return;
	}
	if (status != KD_OK)
		model_fail(m, "the host read nonsense");
	if (record.size != 4 || kd_get32(payload) != r->got)
		model_fail(m, "a packet was lost, doubled or torn");
	r->got++;
}

static void host_takes(struct model *m, void *context)
{
	struct kd_ring_memory memory = model_memory(m);
	struct race *r = context;

	while (r->got < PACKETS)
		take_one(m, r, &memory);
}

/* --- set up --- */

static void reset(struct model *m, void *context)
{
	struct kd_ring_memory memory = kd_ring_memory_direct(model_bytes(m));
	struct race *r = context;
	bool without_fence = r->without_fence;

	*r = (struct race){ .without_fence = without_fence };
	kd_ring_guest_open(&r->guest, &memory, KD_RING_ARCH_X64, 8, BOOT);
	if (kd_ring_host_attach(&r->host, &memory, BOOT, 1) != KD_OK ||
	    !kd_ring_guest_is_live(&r->guest, &memory, 0))
		model_fail(m, "no ring to begin with");
}

static const char *all_arrived(struct model *m, void *context)
{
	const struct race *r = context;

	(void)m;
	return r->got == PACKETS ? NULL : "packets are missing";
}

static void search(struct model_world *w, bool expects_complaint, uint64_t least)
{
	const char *complaint;
	uint64_t runs = model_search(w, &complaint);

	print_message("%llu runs, %s\n", (unsigned long long)runs, complaint ? complaint : "right");
	if (expects_complaint)
		assert_non_null(complaint);
	else
		assert_null(complaint);
	assert_true(expects_complaint || runs >= least);
}

static struct model_world wake_up_world(struct race *r)
{
	return (struct model_world){ .n_actors = 2,
				     .actors = { { host_takes, r }, { guest_sends, r } },
				     .switches_max = 3,
				     .runs_max = 3000000,
				     .reset = reset,
				     .judge = all_arrived,
				     .context = r };
}

static void test_wake_ups(void **state)
{
	struct race r = { .without_fence = false };
	struct model_world w = wake_up_world(&r);

	search(&w, false, 10000);
}

/* The search would find it: without the guest's fence a doorbell is missed. */
static void test_finds_lost_wake_up(void **state)
{
	struct race r = { .without_fence = true };
	struct model_world w = wake_up_world(&r);

	search(&w, true, 0);
}

/* --- a debugger is killed anywhere, and the next one attaches while the guest goes on --- */

static void host_dies_and_comes_back(struct model *m, void *context)
{
	struct kd_ring_memory memory = model_memory(m);
	struct race *r = context;

	while (r->got < PACKETS && !model_is_killed(m))
		take_one(m, r, &memory);
	if (kd_ring_host_attach(&r->host, &memory, BOOT, 2) != KD_OK)
		model_fail(m, "the second debugger cannot attach");
	if (kd_ring_host_resync(&r->host, &memory) != KD_OK)
		model_fail(m, "the second debugger cannot ask");
	memory.ops->fence(memory.context); /* a guest that waits spins: it sees it sometime */
	model_raise(&r->posted);
	while (r->got < PACKETS)
		take_one(m, r, &memory);
}

static void guest_sends_and_listens(struct model *m, void *context)
{
	struct kd_ring_memory memory = model_memory(m);
	uint8_t payload[KD_RING_PAYLOAD_MAX];
	struct kd_ring_record record;
	struct race *r = context;
	enum kd_status status;

	guest_sends(m, context);
	do {
		status = kd_ring_guest_receive(&r->guest, &memory, &record, payload);
		if (status == KD_E_AGAIN)
			model_wait(m, &r->posted);
	} while (status == KD_E_AGAIN);
	if (status != KD_E_RESET)
		model_fail(m, "the guest did not hear the second debugger");
	if (!kd_ring_guest_is_live(&r->guest, &memory, 0))
		model_fail(m, "the guest gave the ring up");
}

static void test_second_debugger(void **state)
{
	struct race r = { .without_fence = false };
	struct model_world w = wake_up_world(&r);

	w.actors[0].run = host_dies_and_comes_back;
	w.actors[1].run = guest_sends_and_listens;
	w.switches_max = 2;
	search(&w, false, 10000);
}

/* --- the guest starts anew while a host attaches to what it said before --- */

static void host_attaches(struct model *m, void *context)
{
	struct kd_ring_memory memory = model_memory(m);
	struct race *r = context;
	enum kd_status status = kd_ring_host_attach(&r->host, &memory, BOOT, 3);

	if (status != KD_OK && status != KD_E_NOT_FOUND && status != KD_E_MALFORMED &&
	    status != KD_E_UNSUPPORTED)
		model_fail(m, "attaching ended in an odd way");
}

static void guest_reboots(struct model *m, void *context)
{
	struct kd_ring_memory memory = model_memory(m);
	struct race *r = context;

	kd_ring_guest_open(&r->guest, &memory, KD_RING_ARCH_X64, 8, BOOT + 1);
}

static void reset_announced(struct model *m, void *context)
{
	struct kd_ring_memory memory = kd_ring_memory_direct(model_bytes(m));
	struct race *r = context;

	*r = (struct race){ .got = 0 };
	kd_ring_guest_open(&r->guest, &memory, KD_RING_ARCH_X64, 8, BOOT);
}

/* The new boot's page holds no word of a host that attached to the old one. */
static const char *nobody_attached(struct model *m, void *context)
{
	struct kd_ring_memory memory = kd_ring_memory_direct(model_bytes(m));
	struct race *r = context;
	struct kd_ring_host next;

	if (kd_ring_guest_is_live(&r->guest, &memory, 0))
		return "the new boot believes in a host that is not there";
	if (kd_ring_host_attach(&next, &memory, BOOT + 1, 4) != KD_OK)
		return "nobody can attach to the new boot";
	return NULL;
}

static void test_reboot_under_attach(void **state)
{
	struct race r = { .got = 0 };
	struct model_world w = wake_up_world(&r);

	w.actors[0].run = host_attaches;
	w.actors[1].run = guest_reboots;
	w.reset = reset_announced;
	w.judge = nobody_attached;
	w.switches_max = 2;
	search(&w, false, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wake_ups),
		cmocka_unit_test(test_finds_lost_wake_up),
		cmocka_unit_test(test_second_debugger),
		cmocka_unit_test(test_reboot_under_attach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
