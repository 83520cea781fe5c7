/* SPDX-License-Identifier: MIT */
/*
 * The rules of the datagram link, row by row of docs/protocol/kdnet.md, and the recovery that was
 * recorded when a reply got lost. A packet stands as text: "A 80000000" an ACK, "S" RESEND, "R 62"
 * RESET, "b" the break-in, "2 5E xx" a data packet of type 2 whose payload is 56 bytes of API
 * number 0xxx.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/net/net_link.h"
#include "core/wire/api.h"

#define MS ((uint64_t)KD_NS_PER_MS)

enum { PAYLOAD = 56, TEXT = 64 };

static struct kd_net_link l;
static uint64_t now;

static void begin(enum kd_link_role role)
{
	struct kd_link_config cfg;

	kd_net_link_config_init(&cfg, role);
	kd_net_link_init(&l, &cfg);
	now = 10 * MS;
}

static size_t make(const char *text, uint8_t *out)
{
	struct kd_packet_hdr hdr = { .leader = KD_LEADER_CONTROL };
	unsigned id = 0, api = 0;
	char what = text[0];

	if (what == 'b') {
		out[0] = KD_BYTE_BREAKIN;
		return 1;
	}
	sscanf(text + 1, "%x %x", &id, &api);
	hdr.id = id;
	hdr.type = what == 'A'   ? KD_PACKET_ACKNOWLEDGE
		   : what == 'S' ? KD_PACKET_RESEND
		   : what == 'R' ? KD_PACKET_RESET
				 : (uint16_t)(what - '0');
	if (what >= '1' && what <= '9') {
		memset(out + KD_HDR_SIZE, 0, PAYLOAD);
		kd_put32(out + KD_HDR_SIZE, api);
		hdr.leader = KD_LEADER_DATA;
		hdr.length = PAYLOAD;
		hdr.checksum = kd_checksum(out + KD_HDR_SIZE, PAYLOAD);
	}
	kd_packet_hdr_encode(out, &hdr);
	return KD_HDR_SIZE + (size_t)hdr.length;
}

/* The packet comes in. */
static void in(const char *text)
{
	uint8_t packet[KD_HDR_SIZE + PAYLOAD];
	size_t size = make(text, packet);

	assert_true(kd_net_link_feed(&l, packet, size, now));
	assert_null(kd__net_link_check(&l));
}

/* Exactly these packets go out, in this order: "A 0|S". */
static void out(const char *want)
{
	const uint8_t *p;
	size_t size;

	while (*want) {
		char one[TEXT];
		uint8_t packet[KD_HDR_SIZE + PAYLOAD];
		size_t n = strcspn(want, "|"), expected;

		snprintf(one, sizeof(one), "%.*s", (int)n, want);
		want += n + (want[n] == '|');
		expected = make(one, packet);
		p = kd_net_link_next_output(&l, &size);
		if (!p)
			fail_msg("nothing goes out instead of %s", one);
		if (size != expected || memcmp(p, packet, size) != 0)
			fail_msg("not %s: type %u id %x", one, kd_get16(p + 4), kd_get32(p + 8));
		kd_net_link_output_done(&l, now);
		assert_null(kd__net_link_check(&l));
	}
	p = kd_net_link_next_output(&l, &size);
	if (p)
		fail_msg("too much goes out: type %u id %x", kd_get16(p + 4), kd_get32(p + 8));
}

/* Exactly these events: letters A(CKED) P(ACKET) p(acket, a repeat) G(AVE_UP) s(RESEND_ASKED)
 * R(ESET_SEEN) B(REAKIN). */
static void events(const char *want)
{
	static const char letters[] = {
		[KD_LINK_PACKET] = 'P',       [KD_LINK_ACKED] = 'A',      [KD_LINK_GAVE_UP] = 'G',
		[KD_LINK_RESEND_ASKED] = 's', [KD_LINK_RESET_SEEN] = 'R', [KD_LINK_BREAKIN] = 'B',
		[KD_LINK_RESTARTED] = '!',    [KD_LINK_NOISE] = '?',
	};
	struct kd_link_event ev;
	char got[TEXT] = "";
	size_t n = 0;

	while (kd_net_link_next_event(&l, &ev) && n < TEXT - 1)
		got[n++] = ev.repeat ? 'p' : letters[ev.kind];
	assert_string_equal(got, want);
}

static void send(char type, unsigned api, bool abandonable)
{
	uint8_t payload[PAYLOAD] = { 0 };

	kd_put32(payload, api);
	assert_int_equal(kd_net_link_send(&l, (uint16_t)(type - '0'), payload, PAYLOAD, NULL, 0,
					  abandonable, now),
			 KD_OK);
}

static void pass(uint64_t ms)
{
	now += ms * MS;
	while (kd_net_link_deadline(&l) <= now) {
		kd_net_link_timeout(&l, now);
		break;
	}
}

/* --- debugger --- */

/* A stop of a target that starts, acknowledged. */
static void attach(void)
{
	begin(KD_LINK_DEBUGGER);
	in("7 0 3030");
	events("P");
	out("A 0");
	assert_true(kd_net_link_is_synced(&l));
}

static void test_request(void **state)
{
	(void)state;
	attach();
	send('2', 0x3130, false);
	assert_true(kd_net_link_is_busy(&l));
	assert_int_equal(kd_net_link_send(&l, 2, NULL, 0, NULL, 0, false, now), KD_E_BUSY);
	out("2 80000000 3130");
	in("A 80000002"); /* of another id: nothing */
	events("");
	in("A 80000000");
	events("A");
	in("2 2 3130");
	events("P");
	out("A 2");
	send('2', 0x3130, false);
	out("2 80000002 3130");
}

static void test_too_big(void **state)
{
	static const uint8_t bytes[KD_NET_PAYLOAD_MAX + 1];

	(void)state;
	attach();
	assert_int_equal(kd_net_link_send(&l, 2, bytes, PAYLOAD, bytes,
					  KD_NET_PAYLOAD_MAX - PAYLOAD + 1, false, now),
			 KD_E_TOO_BIG);
	assert_int_equal(kd_net_link_send(&l, 2, bytes, PAYLOAD, bytes,
					  KD_NET_PAYLOAD_MAX - PAYLOAD, false, now),
			 KD_OK);
}

/* As recorded: the reply 60 is lost, and only RESETs bring both together again. */
static void test_recorded_recovery(void **state)
{
	(void)state;
	begin(KD_LINK_DEBUGGER);
	l.rx_fresh = false;
	l.next_send = 0x8000005C;
	l.expected = 0x60;
	send('2', 0x3132, false);
	out("2 8000005c 3132");
	in("A 8000005c");
	events("A");
	/* The reply does not come; WinDbg asks again, as a new packet. */
	pass(485);
	send('2', 0x3132, false);
	out("2 8000005e 3132");
	in("S");
	pass(15);
	out("2 8000005e 3132");
	in("A 8000005e");
	events("A");
	in("2 62 3132");
	events("");
	out("R 80000060");
	in("R 62");
	events("R");
	in("2 62 3132");
	events("P");
	out("A 62");
}

/* The same from the other side. */
static void test_recorded_recovery_of_target(void **state)
{
	(void)state;
	begin(KD_LINK_TARGET);
	l.next_send = 0x60;
	l.expected = 0x8000005C;
	in("2 8000005c 3132");
	events("P");
	out("A 8000005c");
	send('2', 0x3132, false);
	out("2 60 3132");
	in("2 8000005e 3132");
	events("A");
	out("S");
	in("2 8000005e 3132");
	events("P");
	out("A 8000005e");
	send('2', 0x3132, false);
	out("2 62 3132");
	in("R 80000060");
	events("R");
	out("R 62|2 62 3132");
	in("A 62");
	events("A");
}

static void test_retransmits_and_gives_up(void **state)
{
	(void)state;
	attach();
	send('2', 0x3130, false);
	for (int i = 0; i < 5; i++) {
		out("2 80000000 3130");
		pass(499);
		out("");
		pass(1);
	}
	events("G");
	out("R 80000000");
	assert_false(kd_net_link_is_busy(&l));
	assert_int_equal(kd_net_link_counters(&l)->retransmits, 4);
}

static void test_implied_ack(void **state)
{
	(void)state;
	attach();
	send('2', 0x3130, false);
	out("2 80000000 3130");
	in("2 2 3130"); /* the reply; its ACK was lost */
	events("AP");
	out("A 2");
	send('2', 0x3130, false);
	out("2 80000002 3130");
	in("3 4 3230"); /* a print says nothing about a read */
	events("P");
	out("A 4");
	assert_true(kd_net_link_is_busy(&l));
	in("A 80000002");
	events("A");
	send('2', 0x313C, false); /* Continue2: whatever comes now comes from a target that runs */
	out("2 80000004 313c");
	in("3 6 3230");
	events("AP");
}

static void test_duplicate_and_repeat(void **state)
{
	(void)state;
	attach();
	in("7 0 3030");
	events("");
	out("A 0");
	assert_int_equal(kd_net_link_counters(&l)->duplicates, 1);
	in("7 2 3030"); /* said again as a new packet, since it was asked for */
	events("p");
	out("A 2");
}

/* Bit 0x800 is a bit of a counter here, no SYNC. */
static void test_no_sync(void **state)
{
	(void)state;
	attach();
	l.expected = 0x80800800;
	in("7 80800800 3031");
	events("P");
	out("A 80800800");
}

/* The counter wraps. */
static void test_wrap(void **state)
{
	(void)state;
	attach();
	l.expected = 0xFFFFFFFE;
	l.next_send = 0xFFFFFFFE;
	in("7 fffffffe 3031");
	events("P");
	out("A fffffffe");
	in("7 0 3031");
	events("p");
	out("A 0");
	in("7 fffffffe 3031");
	events("");
	out("A fffffffe");
	send('2', 0x3130, false);
	out("2 fffffffe 3130");
	in("A fffffffe");
	events("A");
	send('2', 0x3130, false);
	out("2 0 3130");
}

/* A target that had a debugger: RESET instead of an ACK. */
static void test_fresh(void **state)
{
	(void)state;
	begin(KD_LINK_DEBUGGER);
	in("7 926 3030");
	events("");
	out("R 80000000");
	in("7 926 3030"); /* too early for another one */
	events("");
	out("");
	in("R 926");
	events("R");
	assert_true(kd_net_link_is_synced(&l));
	in("7 926 3030");
	events("P");
	out("A 926");
}

/* ... and does not answer: it is taken as it is. */
static void test_fresh_without_answer(void **state)
{
	(void)state;
	begin(KD_LINK_DEBUGGER);
	for (int i = 0; i < 3; i++) {
		in("7 926 3030");
		events("");
		out("R 80000000");
		pass(500);
	}
	in("7 926 3030");
	events("P");
	out("A 926");
	assert_false(kd_net_link_is_synced(&l));
}

/* After the answer to our RESET the request waits for the target's packet. */
static void test_reset_holds_back(void **state)
{
	(void)state;
	attach();
	send('2', 0x3130, false);
	out("2 80000000 3130");
	kd_net_link_reset(&l, now);
	out("R 80000000");
	in("R 2");
	events("R");
	out("");
	in("7 2 3030");
	events("P");
	out("A 2|2 80000000 3130");
	/* One that nobody asked for is answered, and the request goes at once. */
	pass(1);
	l.reset_pending = false;
	in("R 4");
	events("R");
	out("R 80000000|2 80000000 3130");
	/* The target answers that one; no storm comes of it. */
	in("R 4");
	events("R");
	out("");
}

static void test_reset_gap(void **state)
{
	(void)state;
	attach();
	kd_net_link_reset(&l, now);
	out("R 80000000");
	kd_net_link_reset(&l, now);
	out("");
	pass(499);
	out("");
	pass(1);
	out("R 80000000");
}

static void test_cancel(void **state)
{
	(void)state;
	attach();
	send('2', 0x3130, false);
	kd_net_link_cancel(&l); /* never sent */
	out("");
	send('2', 0x3130, false);
	out("2 80000000 3130");
	kd_net_link_cancel(&l);
	in("A 80000000");
	events("");
	send('2', 0x3130, false);
	out("2 80000002 3130");
}

static void test_break_in(void **state)
{
	(void)state;
	begin(KD_LINK_DEBUGGER);
	kd_net_link_break_in(&l, now);
	kd_net_link_break_in(&l, now);
	out("b");
	in("b"); /* no debugger takes one */
	events("");
	assert_int_equal(kd_net_link_counters(&l)->header_errors, 1);
	begin(KD_LINK_TARGET);
	in("b");
	events("B");
}

/* --- target --- */

static void test_target_sends(void **state)
{
	(void)state;
	begin(KD_LINK_TARGET);
	send('7', 0x3030, false);
	out("7 0 3030");
	in("S");
	events("");
	out("7 0 3030");
	in("S"); /* again: not before the time is up */
	out("");
	pass(500);
	out("7 0 3030");
	in("A 2");
	events("");
	in("A 0");
	events("A");
	in("S");
	events("s");
}

static void test_target_receives(void **state)
{
	(void)state;
	begin(KD_LINK_TARGET);
	in("2 80000000 3130");
	events("P");
	out("A 80000000");
	in("2 80000000 3130");
	events("");
	out("A 80000000");
	in("2 80000004 3130"); /* one is missing */
	events("");
	out("S");
	in("2 80000004 3130");
	out("");
	pass(500);
	in("2 80000004 3130");
	out("S");
	in("R 80000004");
	events("R");
	out("R 0");
	in("2 80000004 3131");
	events("P");
	out("A 80000004");
}

static void test_target_wants(void **state)
{
	(void)state;
	begin(KD_LINK_TARGET);
	kd_net_link_want(&l, KD_PACKET_STATE_MANIPULATE);
	in("3 80000000 3130");
	events("");
	out("A 80000000");
	in("2 80000000 3130"); /* not counted */
	events("P");
	out("A 80000000");
	kd_net_link_want(&l, KD_PACKET_FILE_IO); /* 64 bytes at least */
	in("9 80000002 3130");
	events("");
	out("S");
}

/* Prints are given up, first after 5 tries, then after 20; stops never are. */
static void test_target_gives_up(void **state)
{
	(void)state;
	begin(KD_LINK_TARGET);
	send('3', 0x3230, true);
	for (int i = 0; i < 6; i++) {
		out("3 0 3230");
		pass(500);
	}
	events("G");
	out("");
	/* The debugger may have it: the id is not used again. */
	send('7', 0x3030, false);
	for (int i = 0; i < 60; i++) {
		out("7 2 3030");
		pass(500);
	}
	events("");
}

static void test_damaged_packets(void **state)
{
	uint8_t packet[KD_HDR_SIZE + PAYLOAD];
	size_t size = make("2 80000000 3130", packet);

	(void)state;
	begin(KD_LINK_TARGET);
	for (size_t n = 0; n < size; n++)
		assert_true(kd_net_link_feed(&l, packet, n, now));
	events("");
	out("");
	packet[KD_HDR_SIZE]++;
	assert_true(kd_net_link_feed(&l, packet, size, now));
	events("");
	out("S");
	/* While an event waits nothing is taken. */
	in("2 80000000 3130");
	assert_false(kd_net_link_feed(&l, packet, size, now));
	events("P");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_recorded_recovery),
		cmocka_unit_test(test_recorded_recovery_of_target),
		cmocka_unit_test(test_retransmits_and_gives_up),
		cmocka_unit_test(test_implied_ack),
		cmocka_unit_test(test_duplicate_and_repeat),
		cmocka_unit_test(test_no_sync),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_fresh),
		cmocka_unit_test(test_fresh_without_answer),
		cmocka_unit_test(test_reset_holds_back),
		cmocka_unit_test(test_reset_gap),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_break_in),
		cmocka_unit_test(test_target_sends),
		cmocka_unit_test(test_target_receives),
		cmocka_unit_test(test_target_wants),
		cmocka_unit_test(test_target_gives_up),
		cmocka_unit_test(test_damaged_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
