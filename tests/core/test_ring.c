/* SPDX-License-Identifier: MIT */
/* Both ends of the ring on memory that is simply there: what each step promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/ring/ring_announce.h"
#include "core/ring/ring_guest.h"
#include "core/ring/ring_host.h"

enum { BOOT = 0x1234, MS = 1000000 };

struct pair {
	_Alignas(4096) uint8_t pages[KD_RING_BYTES];
	struct kd_ring_memory m;
	struct kd_ring_guest guest;
	struct kd_ring_host host;
	uint64_t now;
	uint8_t payload[KD_RING_PAYLOAD_MAX];
	struct kd_ring_record record;
};

static int setup(void **state)
{
	struct pair *p = aligned_alloc(4096, (sizeof *p + 4095) / 4096 * 4096);

	assert_non_null(p);
	memset(p, 0xA5, sizeof *p);
	p->m = kd_ring_memory_direct(p->pages);
	p->now = 1;
	kd_ring_guest_open(&p->guest, &p->m, KD_RING_ARCH_X64, 8, BOOT);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void attach(struct pair *p)
{
	assert_int_equal(kd_ring_host_attach(&p->host, &p->m, BOOT, 0xABCDEF0123456789), KD_OK);
	assert_true(kd_ring_guest_is_live(&p->guest, &p->m, p->now));
	assert_int_equal(kd_ring_host_guest_state(&p->m), KD_RING_GUEST_RING);
}

static enum kd_status host_take(struct pair *p)
{
	return kd_ring_host_take(&p->host, &p->m, &p->record, p->payload);
}

static enum kd_status guest_take(struct pair *p)
{
	return kd_ring_guest_receive(&p->guest, &p->m, &p->record, p->payload);
}

static void test_layout(void **state)
{
	struct pair *p = *state;

	assert_memory_equal(p->pages, "OKDRING1", 8);
	assert_int_equal(kd_get16(p->pages + 8), 1);
	assert_int_equal(kd_get16(p->pages + 10), 17);
	assert_int_equal(p->pages[12], 8);
	assert_int_equal(p->pages[13], KD_RING_ARCH_X64);
	assert_int_equal(kd_get64(p->pages + 0x10), BOOT);
	attach(p);
	assert_int_equal(kd_get32(p->pages + 0x140), 1);
	assert_int_equal(kd_ring_guest_send(&p->guest, &p->m, 7, "head", 4, "data!", 5), KD_OK);
	assert_int_equal(kd_get32(p->pages + 0x040), 32);
	assert_memory_equal(p->pages + 4096, "\x20\0\0\0\x07\0\x04\0\x09\0\0\0\0\0\0\0headdata!",
			    25);
	assert_int_equal(kd_ring_host_put(&p->host, &p->m, 2, "q", 1, NULL, 0), KD_OK);
	assert_int_equal(kd_get32(p->pages + 0x0C0), 32);
	assert_memory_equal(p->pages + 9 * 4096, "\x20\0\0\0\x02\0\x01\0\x01\0\0\0\0\0\0\0q", 17);
	assert_int_equal(host_take(p), KD_OK);
	assert_int_equal(kd_get32(p->pages + 0x080), 32);
	assert_int_equal(guest_take(p), KD_OK);
	assert_int_equal(kd_get32(p->pages + 0x100), 32);
	kd_ring_host_break_in(&p->host, &p->m);
	assert_int_equal(kd_get32(p->pages + 0x1C0), 1);
	assert_true(kd_ring_guest_poll(&p->guest, &p->m));
	assert_false(kd_ring_guest_poll(&p->guest, &p->m));
	assert_int_equal(kd_get32(p->pages + 0x200), 1);
	assert_int_equal(kd_get32(p->pages + 0x240), 2);
	assert_int_equal(kd_get32(p->pages + 0x244), 1);
	assert_int_equal(kd_get32(p->pages + 0x248), 1);
}

/* Every size, many laps, both ways, several in flight: all arrive whole and in order. */
static void test_stream(void **state)
{
	struct pair *p = *state;
	uint8_t bytes[KD_RING_PAYLOAD_MAX];
	uint32_t sent = 0, got = 0, seed = 1;

	attach(p);
	while (got < 4000) {
		seed = seed * 1664525 + 1013904223;
		size_t size = seed >> 8 & (seed & 1 ? 0x1FFF : 0xFF), header = size / 3;

		memset(bytes, (int)sent, size);
		if (kd_ring_guest_send(&p->guest, &p->m, (uint16_t)sent, bytes, header,
				       bytes + header, size - header) == KD_OK) {
			kd_put32(bytes, (uint32_t)size);
			sent++;
			continue;
		}
		while (host_take(p) == KD_OK) {
			assert_int_equal(p->record.type, (uint16_t)got);
			assert_int_equal(p->record.header_size, p->record.size / 3);
			for (uint32_t i = 0; i < p->record.size; i++)
				assert_int_equal(p->payload[i], (uint8_t)got);
			got++;
		}
		assert_int_equal(got, sent);
	}
	assert_int_equal(p->host.rx_packets, got);
}

static void test_full_and_too_big(void **state)
{
	struct pair *p = *state;
	static uint8_t big[KD_RING_PAYLOAD_MAX + 1];
	unsigned n = 0;

	attach(p);
	assert_int_equal(kd_ring_host_put(&p->host, &p->m, 2, big, sizeof big, NULL, 0),
			 KD_E_TOO_BIG);
	assert_int_equal(kd_ring_host_put(&p->host, &p->m, 2, big, 1, big, sizeof big - 1),
			 KD_E_TOO_BIG);
	while (kd_ring_host_put(&p->host, &p->m, 2, big, 4080, NULL, 0) == KD_OK)
		n++;
	assert_int_equal(n, 8); /* to the last byte */
	assert_int_equal(kd_ring_host_put(&p->host, &p->m, 2, NULL, 0, NULL, 0), KD_E_FULL);
	assert_int_equal(guest_take(p), KD_OK);
	assert_int_equal(kd_ring_host_put(&p->host, &p->m, 2, big, 4080, NULL, 0), KD_OK);
}

/* Each way to be nonsense, from either side, is noticed and ends the ring. */
static void test_nonsense(void **state)
{
	static const struct {
		uint32_t offset, value;
	} bad[] = {
		{ KD_RING_AT_G2H_HEAD, 16 + KD_RING_SIZE + 16 },
		{ KD_RING_AT_G2H_HEAD, 24 },
		{ KD_RING_AT_G2H_HEAD, 0u - 16 },
		{ KD_RING_PAGE, 0 },                /* total */
		{ KD_RING_PAGE, 0xFFFFFFF0 },       /* total */
		{ KD_RING_PAGE, 64 },               /* more than is there */
		{ KD_RING_PAGE + 4, 7 | 6u << 16 }, /* header above payload */
		{ KD_RING_PAGE + 8, 17 },           /* payload above total */
		{ KD_RING_PAGE + 8, KD_RING_PAYLOAD_MAX + 1 },
		{ KD_RING_PAGE + 12, 1 }, /* place */
	};
	struct pair *p = *state;

	attach(p);
	assert_int_equal(kd_ring_guest_send(&p->guest, &p->m, 7, "12345", 5, NULL, 0), KD_OK);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint32_t good = kd_get32(p->pages + bad[i].offset);

		kd_put32(p->pages + bad[i].offset, bad[i].value);
		assert_int_equal(host_take(p), KD_E_MALFORMED);
		kd_put32(p->pages + bad[i].offset, good);
	}
	assert_int_equal(host_take(p), KD_OK);
	kd_put32(p->pages + KD_RING_AT_H2G_TAIL, 8);
	assert_int_equal(kd_ring_host_put(&p->host, &p->m, 2, "x", 1, NULL, 0), KD_E_MALFORMED);
	kd_put32(p->pages + KD_RING_AT_G2H_TAIL, 48);
	assert_int_equal(kd_ring_guest_send(&p->guest, &p->m, 7, "x", 1, NULL, 0), KD_E_MALFORMED);
	assert_false(kd_ring_guest_is_live(&p->guest, &p->m, ++p->now));
	assert_int_equal(kd_ring_host_beat(&p->host, &p->m), KD_E_NOT_FOUND);
}

static void test_attach_refused(void **state)
{
	struct pair *p = *state;
	struct kd_ring_host h;

	assert_int_equal(kd_ring_host_attach(&h, &p->m, BOOT + 1, 1), KD_E_NOT_FOUND);
	p->pages[0] ^= 1;
	assert_int_equal(kd_ring_host_attach(&h, &p->m, BOOT, 1), KD_E_NOT_FOUND);
	p->pages[0] ^= 1;
	p->pages[8] = 2;
	assert_int_equal(kd_ring_host_attach(&h, &p->m, BOOT, 1), KD_E_UNSUPPORTED);
	p->pages[8] = 1;
	kd_put32(p->pages + KD_RING_AT_G2H_HEAD, 5);
	assert_int_equal(kd_ring_host_attach(&h, &p->m, BOOT, 1), KD_E_MALFORMED);
	assert_false(kd_ring_guest_is_live(&p->guest, &p->m, p->now));
}

/* Silence that the guest saw awake is death; what it slept through is not. */
static void test_death(void **state)
{
	struct pair *p = *state;
	unsigned looks = 0;

	attach(p);
	p->now += UINT64_C(3600000) * MS; /* the machine was paused for an hour */
	assert_true(kd_ring_guest_is_live(&p->guest, &p->m, p->now));
	for (int i = 0; i < 100; i++) {
		p->now += 90 * MS;
		assert_int_equal(kd_ring_host_beat(&p->host, &p->m), KD_OK);
		assert_true(kd_ring_guest_is_live(&p->guest, &p->m, p->now));
	}
	while (kd_ring_guest_is_live(&p->guest, &p->m, p->now += MS))
		looks++;
	assert_in_range(looks, KD_RING_DEATH_NS / MS - 2, KD_RING_DEATH_NS / MS + 2);
	assert_true(p->guest.is_host_dead);
	assert_int_equal(kd_ring_host_beat(&p->host, &p->m), KD_E_NOT_FOUND);
	/* Announced again, and attached again. */
	kd_ring_guest_open(&p->guest, &p->m, KD_RING_ARCH_X64, 8, BOOT);
	attach(p);
}

static void test_detach(void **state)
{
	struct pair *p = *state;

	attach(p);
	kd_ring_host_detach(&p->host, &p->m);
	assert_false(kd_ring_guest_is_live(&p->guest, &p->m, ++p->now));
	assert_false(p->guest.is_host_dead);
	assert_int_equal(kd_ring_host_guest_state(&p->m), KD_RING_GUEST_SERIAL);
}

/* The debugger was killed and another one comes: nothing is lost, and the guest repeats itself. */
static void test_reattach(void **state)
{
	struct pair *p = *state;

	attach(p);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(kd_ring_guest_send(&p->guest, &p->m, 7, "abc", 3, NULL, 0), KD_OK);
		assert_int_equal(kd_ring_host_put(&p->host, &p->m, 2, "q", 1, NULL, 0), KD_OK);
	}
	assert_int_equal(host_take(p), KD_OK);
	assert_int_equal(guest_take(p), KD_OK);
	attach(p);
	assert_int_equal(kd_ring_host_resync(&p->host, &p->m), KD_OK);
	assert_int_equal(host_take(p), KD_OK);
	assert_int_equal(host_take(p), KD_OK);
	assert_int_equal(host_take(p), KD_E_AGAIN);
	assert_int_equal(guest_take(p), KD_OK);
	assert_int_equal(guest_take(p), KD_OK);
	assert_int_equal(guest_take(p), KD_E_RESET);
	assert_int_equal(guest_take(p), KD_E_AGAIN);
}

/* A snapshot is taken back: the guest and its memory are as they were, the host is not. */
static void revert(struct pair *p, const struct pair *snapshot)
{
	memcpy(p->pages, snapshot->pages, sizeof p->pages);
	p->guest = snapshot->guest;
}

static void test_revert(void **state)
{
	struct pair *p = *state, *snapshot = aligned_alloc(4096, (sizeof *p + 4095) / 4096 * 4096);

	assert_non_null(snapshot);
	attach(p);
	assert_int_equal(kd_ring_guest_send(&p->guest, &p->m, 7, "one", 3, NULL, 0), KD_OK);
	memcpy(snapshot, p, sizeof *p);
	/* Without a beat between, by the indices... */
	assert_int_equal(host_take(p), KD_OK);
	revert(p, snapshot);
	assert_int_equal(host_take(p), KD_E_RESET);
	assert_int_equal(kd_ring_host_recover(&p->host, &p->m, 77), KD_OK);
	assert_int_equal(host_take(p), KD_OK);
	assert_memory_equal(p->payload, "one", 3);
	assert_int_equal(guest_take(p), KD_E_RESET);
	/* ... and by the nonce. */
	revert(p, snapshot);
	assert_int_equal(kd_ring_host_beat(&p->host, &p->m), KD_E_RESET);
	assert_int_equal(kd_ring_host_recover(&p->host, &p->m, 78), KD_OK);
	assert_int_equal(kd_ring_host_beat(&p->host, &p->m), KD_OK);
	assert_true(kd_ring_guest_is_live(&p->guest, &p->m, ++p->now));
	free(snapshot);
}

/* --- the announcement --- */

static void check_announcement(const struct kd_ring_announcement *a)
{
	char text[KD_RING_LINE_MAX * 2] = "boot text OKDRI\r\n";
	struct kd_ring_announcement back;
	size_t lead = strlen(text), size, end;

	size = kd_ring_announcement_write(a, text + lead, KD_RING_LINE_MAX);
	assert_int_equal(size, strlen(text + lead));
	assert_true(size > 0);
	assert_null(strstr(text, "0000"));
	assert_null(strstr(text, "iiii"));
	assert_int_equal(kd_ring_announcement_find(text, strlen(text), &back, &end), KD_OK);
	assert_int_equal(kd_ring_announcement_find(text + lead, size, &back, &end), KD_OK);
	assert_int_equal(end, size - 2);
	assert_true(kd_ring_announcement_is_same(&back, a));
	back.nonce ^= 1;
	assert_false(kd_ring_announcement_is_same(&back, a));
	back.nonce ^= 1;
	back.device ^= a->is_pci;
	back.runs[0].frame ^= !a->is_pci;
	assert_false(kd_ring_announcement_is_same(&back, a));
	/* Cut anywhere it is incomplete; changed anywhere it is not one. */
	for (size_t i = 0; i < size - 2; i++)
		assert_int_equal(kd_ring_announcement_find(text + lead, i, &back, &end),
				 KD_E_NOT_FOUND);
	for (size_t i = 2; i < size - 2; i++) {
		text[lead + i] ^= 1;
		assert_int_not_equal(kd_ring_announcement_find(text + lead, size, &back, &end),
				     KD_OK);
		text[lead + i] ^= 1;
	}
	for (size_t room = 0; room <= size; room++)
		assert_int_equal(kd_ring_announcement_write(a, text, room), 0);
}

static void test_announcement(void **state)
{
	struct kd_ring_announcement a = { .version = 1,
					  .pages = KD_RING_PAGES,
					  .arch = KD_RING_ARCH_X64,
					  .nonce = 0x1000000000000001,
					  .n_runs = 1,
					  .runs = { { 0x10000, KD_RING_PAGES } } };

	check_announcement(&a);
	a.nonce = 0;
	for (a.n_runs = 0; a.n_runs < KD_RING_PAGES; a.n_runs++)
		a.runs[a.n_runs] = (struct kd_ring_run){ 0x100000000 + 2 * a.n_runs, 1 };
	check_announcement(&a);
	a = (struct kd_ring_announcement){ .version = 1,
					   .pages = KD_RING_PAGES,
					   .arch = KD_RING_ARCH_X86,
					   .nonce = UINT64_MAX,
					   .is_pci = true,
					   .bus = 255,
					   .device = 31,
					   .function = 7 };
	check_announcement(&a);
}

static void test_other_version(void **state)
{
	static const char text[] = "\r\nOKDRING1 v=2 whatever\r\n";
	struct kd_ring_announcement a;
	size_t end;

	assert_int_equal(kd_ring_announcement_find(text, sizeof text - 1, &a, &end),
			 KD_E_UNSUPPORTED);
	assert_int_equal(a.version, 2);
	assert_int_equal(end, sizeof text - 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_layout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_and_too_big, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attach_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death, setup, teardown),
		cmocka_unit_test_setup_teardown(test_detach, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reattach, setup, teardown),
		cmocka_unit_test_setup_teardown(test_revert, setup, teardown),
		cmocka_unit_test(test_announcement),
		cmocka_unit_test(test_other_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
