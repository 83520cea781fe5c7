/* SPDX-License-Identifier: MIT */
/*
 * The link byte by byte: the stream vectors of the protocol (facts 7.7), what is written between
 * what, limits, and that it does not matter how a stream is cut into pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/lossy_pipe.h"

#include "core/link/link_internal.h"
#include "lib/base.h"

#define MS ((uint64_t)KD_NS_PER_MS)

static struct kd_link link_under_test, *const l = &link_under_test;
static uint64_t now;

static void start(enum kd_link_role role)
{
	struct kd_link_config cfg;

	now = 7 * MS;
	kd_link_config_init(&cfg, role, false);
	kd_link_init(l, &cfg);
}

static void check(void)
{
	const char *broken = kd__link_check(l);

	if (broken)
		fail_msg("%s", broken);
}

static size_t from_hex(uint8_t *out, const char *hex)
{
	size_t n = 0;
	unsigned byte;
	int used;

	for (; sscanf(hex, " %2x%n", &byte, &used) == 1; hex += used)
		out[n++] = (uint8_t)byte;
	return n;
}

static void feed_hex(const char *hex)
{
	uint8_t bytes[512];
	size_t size = from_hex(bytes, hex), n = 0;

	while (n < size) {
		size_t taken = kd_link_feed(l, bytes + n, size - n, now);

		check();
		n += taken;
		if (!taken)
			break;
	}
	assert_int_equal(n, size);
}

static void expect_event(enum kd_link_event_kind kind)
{
	struct kd_link_event ev;

	assert_true(kd_link_next_event(l, &ev));
	assert_int_equal(ev.kind, kind);
	check();
}

static void expect_no_event(void)
{
	struct kd_link_event ev;

	assert_false(kd_link_next_event(l, &ev));
}

/* Writes at most `size` bytes of the next output. */
static size_t write_some(uint8_t *out, size_t size)
{
	size_t n = 0, avail;
	const uint8_t *bytes;

	while (n < size && (bytes = kd_link_next_output(l, &avail))) {
		avail = KD_MIN(avail, size - n);
		memcpy(out + n, bytes, avail);
		n += avail;
		kd_link_output_done(l, avail, now);
		check();
	}
	return n;
}

static void expect_hex(const char *hex)
{
	uint8_t want[512], got[512];
	size_t size = from_hex(want, hex);

	assert_int_equal(write_some(got, size), size);
	assert_memory_equal(got, want, size);
}

static void expect_silence(void)
{
	size_t size;

	assert_null(kd_link_next_output(l, &size));
	assert_int_equal(size, 0);
}

/* ---- facts 7.7 ---- */

#define S1                                     \
	"30303030 0300 1300 00088080 26010000" \
	"30320000 06000000 03000000 00000000 48690a aa"
#define S2 "69696969 0400 0000 00008080 00000000"
#define S3 "30303030 0200 3800 00008080 77000000 46310000" ZEROS_52 "aa"
#define S4                                                                         \
	"30303030 0200 3800 01008080 1e120000 46310000 00000000 00000000 00000000" \
	"0f008025 06020700 64860c03 31000000 0080c16b 02f8ffff d022ee6b 02f8ffff"  \
	"f091ef6b 02f8ffff aa"
#define ACK_1     "69696969 0400 0000 01008080 00000000"
#define S5_RESET  "69696969 0600 0000 00000000 00000000"
#define S5_RESEND "69696969 0500 0000 00000000 00000000"
#define S6                                                                         \
	"30303030 0200 3800 01008080 b4050000 30310000 00000000 00000000 00000000" \
	"d022ee6b 02f8ffff 10000000 00000000 00000000 00000000 00000000 00000000"  \
	"00000000 00000000 aa"
#define S7                                                                         \
	"30303030 0200 3800 00008080 76000000 3c310000 00000000 00000000 00000000" \
	"02000100 01000000 00040000 00000000 01000000 00000000 00000000 00000000"  \
	"00000000 00000000 aa"
#define S8                                                                         \
	"30303030 0200 3800 01008080 75000000 3c310000 00000000 00000000 00000000" \
	"02000100 00000000 00040000 01000000 00000000 00000000 00000000 00000000"  \
	"00000000 00000000 aa"
#define S9                                                                         \
	"30303030 0200 3800 00008080 5a050000 34310000 00000000 00000000 00000000" \
	"902bd76b 02f8ffff 00000000 00000000 00000000 00000000 00000000 00000000"  \
	"00000000 00000000 aa"
#define S10 "30303030 0300 1100 00008080 d1000000 31320000 06000000 05000000 01000000 62 aa"
#define S11 "47525542 20303069 300d0a00 30306969 69690400 00000100 80800000 0000"
#define ZEROS_52                                                                           \
	"00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000" \
	"00000000 00000000 00000000 00000000"
#define ACK_0 S2

/* Sends the payload of a vector; its id and checksum must come out. */
static void send_vector(const char *hex, bool in_two_parts)
{
	uint8_t bytes[512];
	size_t size = from_hex(bytes, hex) - KD_HDR_SIZE - 1;
	size_t first = in_two_parts ? size / 3 : size;

	assert_int_equal(kd_link_send(l, kd_get16(bytes + 4), bytes + KD_HDR_SIZE, first,
				      bytes + KD_HDR_SIZE + first, size - first, false, now),
			 KD_OK);
	check();
	expect_hex(hex);
	expect_silence();
}

static void test_vectors_debugger(void **state)
{
	start(KD_LINK_DEBUGGER);
	kd_link_reset(l, now);
	expect_hex(S5_RESET);
	feed_hex(S1);
	expect_event(KD_LINK_RESTARTED);
	expect_event(KD_LINK_PACKET);
	expect_hex(S2);
	send_vector(S3, true);
	feed_hex(ACK_0);
	expect_event(KD_LINK_ACKED);
	feed_hex(S4);
	expect_event(KD_LINK_PACKET);
	expect_hex(ACK_1);
	send_vector(S6, false);
	feed_hex(ACK_1);
	expect_event(KD_LINK_ACKED);
	send_vector(S7, true);
	feed_hex(ACK_0);
	expect_event(KD_LINK_ACKED);
	send_vector(S8, true);
	feed_hex(ACK_1);
	expect_event(KD_LINK_ACKED);
	send_vector(S9, false);
	feed_hex(ACK_0);
	expect_event(KD_LINK_ACKED);
	kd_link_ask_resend(l, now);
	expect_hex(S5_RESEND);
	expect_silence();
	expect_no_event();
}

static void test_vectors_target(void **state)
{
	struct kd_link_event ev;

	start(KD_LINK_TARGET);
	send_vector(S1, true);
	feed_hex(S2);
	expect_event(KD_LINK_ACKED);
	feed_hex(S3);
	assert_true(kd_link_next_event(l, &ev));
	assert_int_equal(ev.kind, KD_LINK_PACKET);
	assert_int_equal(ev.type, KD_PACKET_STATE_MANIPULATE);
	assert_int_equal(ev.id, 0x80800000);
	assert_int_equal(ev.length, 56);
	assert_int_equal(kd_get32(ev.payload), 0x3146);
	expect_hex(ACK_0);
	send_vector(S4, false);
	feed_hex(ACK_1);
	expect_event(KD_LINK_ACKED);
	feed_hex(S6);
	expect_event(KD_LINK_PACKET);
	expect_hex(ACK_1);
	feed_hex(S10);
	expect_event(KD_LINK_PACKET);
	expect_hex(ACK_0);
	expect_silence();
}

/* The ACK is found at offset 14, the noise before it is told. */
static void test_vector_noise(void **state)
{
	struct kd_link_event ev;
	uint8_t bytes[64];

	start(KD_LINK_DEBUGGER);
	feed_hex(S1);
	expect_event(KD_LINK_RESTARTED);
	expect_event(KD_LINK_PACKET);
	expect_hex(S2);
	send_vector(S3, false);
	feed_hex(ACK_0);
	expect_event(KD_LINK_ACKED);
	send_vector(S6, false); /* id 1 */
	assert_int_equal(kd_link_feed(l, bytes, from_hex(bytes, S11), now), 16);
	assert_true(kd_link_next_event(l, &ev)); /* up to the end of the line */
	assert_int_equal(ev.kind, KD_LINK_NOISE);
	assert_int_equal(ev.length, 11);
	assert_memory_equal(ev.payload, "GRUB 00i0\r\n", 11);
	assert_int_equal(kd_link_feed(l, bytes + 16, 14, now), 14);
	assert_true(kd_link_next_event(l, &ev));
	assert_int_equal(ev.kind, KD_LINK_NOISE);
	assert_int_equal(ev.length, 3);
	assert_memory_equal(ev.payload,
			    "\0"
			    "00",
			    3);
	expect_event(KD_LINK_ACKED);
	assert_int_equal(kd_link_counters(l)->noise_bytes, 14);
	assert_int_equal(kd_link_counters(l)->acks_seen, 2);
}

/* ---- what is written when ---- */

static void debugger_up(void)
{
	start(KD_LINK_DEBUGGER);
	feed_hex(S1);
	expect_event(KD_LINK_RESTARTED);
	expect_event(KD_LINK_PACKET);
	expect_hex(S2);
}

static void send_read(void)
{
	uint8_t bytes[512];

	from_hex(bytes, S3);
	assert_int_equal(kd_link_send(l, 2, bytes + KD_HDR_SIZE, 56, NULL, 0, false, now), KD_OK);
}

/* Nothing comes between the bytes of a data packet, all that waits comes directly behind it. */
static void test_no_byte_inside_packets(void **state)
{
	uint8_t half[30], rest[43];
	uint8_t whole[128];

	debugger_up();
	send_read();
	assert_int_equal(write_some(half, sizeof(half)), sizeof(half));
	kd_link_ask_resend(l, now);
	kd_link_break_in(l, now);
	assert_int_equal(write_some(rest, sizeof(rest)), sizeof(rest));
	from_hex(whole, S3);
	assert_memory_equal(half, whole, sizeof(half));
	assert_memory_equal(rest, whole + sizeof(half), sizeof(rest));
	expect_hex(S5_RESEND);
	expect_hex("62");
	expect_silence();
}

/* Control packets first, when nothing of the data packet is out yet. */
static void test_controls_first(void **state)
{
	debugger_up();
	send_read();
	kd_link_ask_resend(l, now);
	expect_hex(S5_RESEND);
	expect_hex(S3);
	expect_silence();
}

static void test_reset_inside_packet(void **state)
{
	uint8_t bytes[128];

	debugger_up();
	send_read();
	feed_hex(ACK_0); /* nothing is out yet: an old one */
	expect_no_event();
	assert_int_equal(write_some(bytes, 30), 30);
	feed_hex(S5_RESET);
	expect_event(KD_LINK_RESET_SEEN);
	assert_int_equal(write_some(bytes + 30, 43), 43);
	feed_hex(ACK_0); /* under the new id nothing is out */
	expect_no_event();
	expect_hex(S5_RESET);
	expect_hex(S3); /* again, under the new id (which happens to be the old one) */
	expect_silence();
	assert_int_equal(kd_link_counters(l)->retransmits, 0);
	feed_hex(ACK_0);
	expect_event(KD_LINK_ACKED);
}

static void test_cancel_inside_packet(void **state)
{
	uint8_t bytes[128];

	debugger_up();
	send_read();
	assert_int_equal(write_some(bytes, 30), 30);
	kd_link_cancel(l);
	check();
	assert_false(kd_link_is_busy(l));
	assert_int_equal(kd_link_send(l, 2, bytes, 4, NULL, 0, false, now), KD_E_BUSY);
	assert_int_equal(write_some(bytes + 30, 43), 43);
	expect_silence();
	assert_int_equal(kd_link_deadline(l), KD_TIME_NEVER);
	feed_hex(ACK_0); /* it did arrive: the next one has the next id */
	expect_no_event();
	send_vector(S6, false);
}

static void test_cancel_before_writing(void **state)
{
	debugger_up();
	send_read();
	kd_link_cancel(l);
	expect_silence();
	feed_hex(ACK_0); /* of something else */
	send_read();
	expect_hex(S3);
}

/* The ACK of the first copy comes while the second is half written. */
static void test_ack_inside_retransmission(void **state)
{
	uint8_t bytes[128];

	debugger_up();
	send_read();
	expect_hex(S3);
	feed_hex(S5_RESEND);
	assert_int_equal(write_some(bytes, 30), 30);
	feed_hex(ACK_0);
	expect_event(KD_LINK_ACKED);
	assert_int_equal(kd_link_send(l, 2, bytes, 4, NULL, 0, false, now), KD_E_BUSY);
	assert_int_equal(write_some(bytes + 30, 100), 43);
	send_vector(S6, false);
}

/* A peer that does not read is not flooded, however often we would have had to answer. */
static void test_output_is_bounded(void **state)
{
	uint8_t bytes[512];
	size_t size;

	debugger_up();
	for (int i = 0; i < 1000; i++) {
		kd_link_ask_resend(l, now);
		kd_link_break_in(l, now);
		feed_hex(S1);
		expect_no_event();
		kd_link_reset(l, now);
		now += 300 * MS;
		kd_link_timeout(l, now);
		check();
	}
	size = write_some(bytes, sizeof(bytes));
	assert_in_range(size, 1, KD_LINK_N_CONTROLS * KD_HDR_SIZE);
	expect_silence();
}

/* What waits is not said twice; what is half said may have to be. */
static void test_repeated_controls(void **state)
{
	uint8_t bytes[64];

	start(KD_LINK_DEBUGGER);
	for (int i = 0; i < 3; i++)
		kd_link_ask_resend(l, now);
	expect_hex(S5_RESEND);
	expect_silence();
	kd_link_ask_resend(l, now);
	assert_int_equal(write_some(bytes, 5), 5);
	kd_link_ask_resend(l, now);
	kd_link_ask_resend(l, now);
	assert_int_equal(write_some(bytes, 11), 11);
	expect_hex(S5_RESEND);
	expect_silence();
}

/* A request that was on its way before our packet is even out is no ACK of it. */
static void test_request_before_our_packet(void **state)
{
	uint8_t bytes[64];
	size_t size = from_hex(bytes, S1) - KD_HDR_SIZE - 1;

	start(KD_LINK_TARGET);
	kd_link_send(l, 3, bytes + KD_HDR_SIZE, size, NULL, 0, false, now);
	feed_hex(S3);
	expect_no_event();
	assert_true(kd_link_is_busy(l));
	expect_hex(S5_RESEND);
	expect_hex(S1);
	feed_hex(S3);
	expect_event(KD_LINK_ACKED);
	expect_hex(S5_RESEND);
}

/* NT takes 4000 bytes, so does our target; a debugger takes what some stubs send. */
static void test_payload_of_4001(void **state)
{
	static uint8_t packet[KD_HDR_SIZE + KD_PAYLOAD_MAX + 2];
	struct kd_packet_hdr hdr = {
		.leader = KD_LEADER_DATA,
		.type = 2,
		.length = KD_PAYLOAD_MAX + 1,
		.id = KD_PACKET_ID_INITIAL,
	};

	kd_packet_hdr_encode(packet, &hdr);
	packet[sizeof(packet) - 1] = KD_BYTE_TRAILER;
	start(KD_LINK_TARGET);
	assert_int_equal(kd_link_feed(l, packet, sizeof(packet), now), sizeof(packet));
	expect_no_event();
	expect_hex(S5_RESEND);
	start(KD_LINK_DEBUGGER);
	assert_int_equal(kd_link_feed(l, packet, sizeof(packet), now), sizeof(packet));
	expect_event(KD_LINK_PACKET);
	expect_hex(ACK_0);
}

static void test_limits(void **state)
{
	static uint8_t big[KD_PAYLOAD_MAX + 1], out[2 * KD_PACKET_MAX];

	start(KD_LINK_DEBUGGER);
	assert_int_equal(kd_link_send(l, 2, big, KD_PAYLOAD_MAX + 1, NULL, 0, false, now),
			 KD_E_TOO_BIG);
	assert_int_equal(kd_link_send(l, 2, big, 56, big, KD_PAYLOAD_MAX - 55, false, now),
			 KD_E_TOO_BIG);
	assert_int_equal(kd_link_send(l, 2, big, 56, big, SIZE_MAX, false, now), KD_E_TOO_BIG);
	assert_int_equal(kd_link_send(l, 2, big, SIZE_MAX, big, 56, false, now), KD_E_TOO_BIG);
	expect_silence();
	assert_int_equal(kd_link_send(l, 2, big, 56, big, KD_PAYLOAD_MAX - 56, false, now), KD_OK);
	assert_int_equal(write_some(out, sizeof(out)), KD_HDR_SIZE + KD_PAYLOAD_MAX + 1);
}

/* The largest packet that a tolerant debugger takes; one byte more is none. */
static void test_largest_packet(void **state)
{
	static uint8_t packet[KD_PACKET_MAX];
	struct kd_packet_hdr hdr = {
		.leader = KD_LEADER_DATA,
		.type = 2,
		.length = KD_PAYLOAD_ACCEPT,
		.id = KD_PACKET_ID_INITIAL,
		.checksum = KD_PAYLOAD_ACCEPT * 0x30,
	};
	struct kd_link_event ev;

	start(KD_LINK_DEBUGGER);
	memset(packet, 0x30, sizeof(packet));
	kd_packet_hdr_encode(packet, &hdr);
	packet[sizeof(packet) - 1] = KD_BYTE_TRAILER;
	/* Starting in the middle of the buffer: noise came first. */
	feed_hex("2e2e2e");
	assert_int_equal(kd_link_feed(l, packet, sizeof(packet), now), sizeof(packet));
	expect_event(KD_LINK_NOISE);
	assert_true(kd_link_next_event(l, &ev));
	assert_int_equal(ev.kind, KD_LINK_PACKET);
	assert_int_equal(ev.length, KD_PAYLOAD_ACCEPT);
	assert_int_equal(ev.payload[KD_PAYLOAD_ACCEPT - 1], 0x30);
}

/* An owner that does not fetch its events keeps everything else waiting, and loses nothing. */
static void test_events_hold_the_rest(void **state)
{
	uint8_t bytes[256];
	size_t size = from_hex(bytes, S1), n;

	start(KD_LINK_DEBUGGER);
	memcpy(bytes + size, bytes, size);
	n = kd_link_feed(l, bytes, 2 * size, now);
	assert_int_equal(n, size);
	assert_int_equal(kd_link_feed(l, bytes + n, size, now), 0);
	kd_link_send(l, 2, bytes, 56, NULL, 0, false, now);
	expect_hex(S2);
	write_some(bytes + 128, 128);
	now += 60000 * MS;
	kd_link_timeout(l, now);
	expect_silence();
	expect_event(KD_LINK_RESTARTED);
	kd_link_timeout(l, now);
	expect_silence();
	expect_event(KD_LINK_PACKET);
	kd_link_timeout(l, now);
	assert_int_equal(write_some(bytes + 128, 128), KD_HDR_SIZE + 56 + 1);
}

/* The object may be moved: nothing in it points into itself. */
static void test_can_be_moved(void **state)
{
	static struct kd_link other;
	struct kd_link_event ev;

	start(KD_LINK_DEBUGGER);
	feed_hex(S1);
	other = *l;
	memset(l, 0xEE, sizeof(*l));
	assert_true(kd_link_next_event(&other, &ev));
	assert_true(kd_link_next_event(&other, &ev));
	assert_int_equal(ev.kind, KD_LINK_PACKET);
	assert_ptr_equal(ev.payload, other.last);
	assert_memory_equal(ev.payload + 16, "Hi\n", 3);
}

/* ---- pieces ---- */

struct record {
	uint8_t bytes[1 << 15];
	size_t size;
};

static void note(struct record *r, const void *bytes, size_t size)
{
	size = KD_MIN(size, sizeof(r->bytes) - r->size);
	memcpy(r->bytes + r->size, bytes, size);
	r->size += size;
}

static void note_all(struct record *r)
{
	struct kd_link_event ev;
	uint8_t out[512];

	while (kd_link_next_event(l, &ev)) {
		uint32_t head[4] = { ev.kind, ev.type, ev.id, (uint32_t)ev.length };

		note(r, head, sizeof(head));
		if (ev.length)
			note(r, ev.payload, ev.length);
		check();
	}
	/* Not compared: what is asked for twice before it is written is written once. */
	while (write_some(out, sizeof(out)))
		;
}

/* Noise, packets, damaged packets, runs of leaders: what a bad line carries. */
static size_t make_stream(uint8_t *out, size_t cap, uint64_t *rng)
{
	static const char *const parts[] = { S1,   S2,   S4,   S10,      S11,       "3030303030",
					     "62", "69", "80", S5_RESET, S5_RESEND, "30303030 02",
					     ACK_1 };
	size_t size = 0;

	while (size + 256 < cap) {
		size_t n = from_hex(out + size, parts[lossy_random(rng) % KD_ARRAY_LEN(parts)]);

		if (lossy_random(rng) % 3 == 0)
			n -= lossy_random(rng) % n;
		if (n && lossy_random(rng) % 3 == 0)
			out[size + lossy_random(rng) % n] ^= (uint8_t)(1 << lossy_random(rng) % 8);
		size += n;
	}
	return size;
}

static void run_stream(struct record *r, enum kd_link_role role, const uint8_t *bytes, size_t size,
		       uint64_t *piece_rng)
{
	size_t n = 0;

	r->size = 0;
	start(role);
	while (n < size) {
		size_t piece = piece_rng ? 1 + lossy_random(piece_rng) % 64 : size;

		n += kd_link_feed(l, bytes + n, KD_MIN(piece, size - n), now);
		check();
		note_all(r);
	}
	while (kd_link_deadline(l) < now + 450 * MS) {
		kd_link_timeout(l, kd_link_deadline(l));
		check();
		note_all(r);
	}
}

static void test_pieces_do_not_matter(void **state)
{
	static struct record whole, pieces;
	static uint8_t stream[800];
	uint64_t rng = 4711;
	size_t total = 0;

	for (int i = 0; i < 4000; i++) {
		size_t size = make_stream(stream, sizeof(stream), &rng);
		enum kd_link_role role = i % 2 ? KD_LINK_TARGET : KD_LINK_DEBUGGER;

		run_stream(&whole, role, stream, size, NULL);
		run_stream(&pieces, role, stream, size, &rng);
		assert_int_equal(whole.size, pieces.size);
		assert_memory_equal(whole.bytes, pieces.bytes, whole.size);
		total += whole.size;
	}
	print_message("%zu bytes of events\n", total);
	assert_true(total > 4000 * 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_debugger),
		cmocka_unit_test(test_vectors_target),
		cmocka_unit_test(test_vector_noise),
		cmocka_unit_test(test_no_byte_inside_packets),
		cmocka_unit_test(test_controls_first),
		cmocka_unit_test(test_reset_inside_packet),
		cmocka_unit_test(test_cancel_inside_packet),
		cmocka_unit_test(test_cancel_before_writing),
		cmocka_unit_test(test_ack_inside_retransmission),
		cmocka_unit_test(test_output_is_bounded),
		cmocka_unit_test(test_repeated_controls),
		cmocka_unit_test(test_request_before_our_packet),
		cmocka_unit_test(test_payload_of_4001),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_largest_packet),
		cmocka_unit_test(test_events_hold_the_rest),
		cmocka_unit_test(test_can_be_moved),
		cmocka_unit_test(test_pieces_do_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
