/* SPDX-License-Identifier: MIT */
/* What a relay sees in bytes, and the files it writes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/wire/packet.h"
#include "lib/fleet/relay_log.h"
#include "lib/fleet/relay_sight.h"
#include "tests/io/io_check.h"

struct heard {
	char events[64]; /* a letter each */
	char lines[256];
	unsigned records;
};

static void on_record(void *context, const struct kd_decode_record *record)
{
	(void)record;
	((struct heard *)context)->records++;
}

static void on_event(void *context, enum kd_relay_event_kind kind, const char *text)
{
	struct heard *h = context;

	(void)text;
	h->events[strlen(h->events)] = "CLSRNUDP"[kind];
}

static void on_line(void *context, const char *line, size_t size)
{
	struct heard *h = context;
	size_t n = strlen(h->lines);

	snprintf(h->lines + n, sizeof h->lines - n, "%.*s|", (int)size, line);
}

/* A packet with its trailer; how many bytes. */
static size_t packet(uint8_t *out, uint16_t type, uint32_t id, const void *payload, size_t size)
{
	bool is_control = type == KD_PACKET_RESET || type == KD_PACKET_ACKNOWLEDGE;
	const struct kd_packet_hdr hdr = { .leader = is_control ? KD_LEADER_CONTROL
								: KD_LEADER_DATA,
					   .type = type,
					   .length = (uint16_t)size,
					   .id = id,
					   .checksum = kd_checksum(payload, size) };

	kd_packet_hdr_encode(out, &hdr);
	memcpy(out + KD_HDR_SIZE, payload, size);
	if (is_control)
		return KD_HDR_SIZE;
	out[KD_HDR_SIZE + size] = KD_BYTE_TRAILER;
	return KD_HDR_SIZE + size + 1;
}

static size_t print(uint8_t *out, uint32_t id, const char *text, size_t size)
{
	uint8_t payload[300] = { 0 };

	kd_put32(payload, 0x3230);
	kd_put32(payload + 8, (uint32_t)size);
	memcpy(payload + 16, text, size);
	return packet(out, KD_PACKET_DEBUG_IO, id, payload, 16 + size);
}

static size_t stop(uint8_t *out, uint32_t id, uint32_t kind)
{
	uint8_t payload[240] = { 0 };

	kd_put32(payload, kind);
	return packet(out, KD_PACKET_STATE_CHANGE64, id, payload, sizeof payload);
}

static size_t request(uint8_t *out, uint32_t id, uint32_t api)
{
	uint8_t payload[56] = { 0 };

	kd_put32(payload, api);
	return packet(out, KD_PACKET_STATE_MANIPULATE, id, payload, sizeof payload);
}

enum { IN = KD_DECODE_FROM_TARGET, OUT = KD_DECODE_TO_TARGET };

static void feed(struct kd__sight *s, int direction, const uint8_t *bytes, size_t n, uint64_t now)
{
	kd__sight_feed(s, (enum kd_decode_direction)direction, bytes, n, now);
}

static void test_sight(void **state)
{
	struct heard h = { .events = "" };
	const struct kd__sight_sink sink = { on_record, on_event, on_line, &h };
	struct kd__sight s;
	struct kd_error err;
	struct kd_vm_counters c;
	uint8_t b[400];
	size_t n;

	(void)state;
	assert_status(KD_OK, kd__sight_init(&s, &sink, &err));
	feed(&s, IN, b, print(b, 0x80800800, "one\ntw", 6), 1000);
	feed(&s, IN, b, print(b, 0x80800001, "o\n\x1bx\0y\n", 7), 2000);
	assert_string_equal(h.lines, "one|two|xy|");
	feed(&s, OUT, b, packet(b, KD_PACKET_RESET, 0, "", 0), 3000);
	/* Module loads are stops, but nobody's to look at. */
	feed(&s, IN, b, stop(b, 0x80800000, 0x3031), 4000);
	assert_true(s.is_stopped);
	feed(&s, OUT, b, request(b, 0x80800000, 0x3136), 5000);
	assert_false(s.is_stopped);
	feed(&s, IN, b, stop(b, 0x80800001, 0x3030), 6000);
	feed(&s, IN, b, stop(b, 0x80800001, 0x3030), 7000); /* said again */
	assert_string_equal(h.events, "S");
	n = request(b, 0x80800001, 0x3130);
	feed(&s, OUT, b, 20, 8000);
	assert_false(kd__sight_is_between_packets(&s, 8000));
	assert_true(kd__sight_is_between_packets(&s, 8000 + 300000000u)); /* it is not coming */
	feed(&s, OUT, b + 20, n - 20, 9000);
	assert_true(kd__sight_is_between_packets(&s, 9000));
	feed(&s, IN, b, request(b, 0x80800000, 0x3130), 9000 + 6400);
	feed(&s, OUT, b, request(b, 0x80800000, 0x313C), 20000);
	assert_string_equal(h.events, "SR");
	kd__sight_counters(&s, &c);
	assert_int_equal(c.rx_packets, 5);
	assert_int_equal(c.tx_packets, 3);
	assert_int_equal(c.stops, 2);
	assert_int_equal(c.prints, 2);
	assert_int_equal(c.resyncs, 1);
	assert_int_equal(c.resends, 1);
	assert_int_equal(c.round_trip_ns_median, 6400);
	assert_int_equal(c.tx_bytes, 16 + 3 * n);
	/* A line without an end is told after a second. */
	feed(&s, IN, b, print(b, 0x80800001, "half", 4), 30000);
	kd__sight_timeout(&s, 40000);
	assert_string_equal(h.lines, "one|two|xy|");
	assert_int_equal(kd__sight_deadline(&s), 1000030000u);
	kd__sight_timeout(&s, 1000030000u);
	assert_string_equal(h.lines, "one|two|xy|half|");
	kd__sight_deinit(&s);
}

static void ack(struct kd__sight *s, uint32_t id, uint64_t now)
{
	uint8_t b[KD_HDR_SIZE];

	feed(s, OUT, b, packet(b, KD_PACKET_ACKNOWLEDGE, id, "", 0), now);
}

/* SYNC is a boot, but not when a RESET asked for it, or when nobody took the packet before it. */
static void test_restarts(void **state)
{
	struct heard h = { .events = "" };
	const struct kd__sight_sink sink = { on_record, on_event, on_line, &h };
	const uint64_t second = 1000000000;
	struct kd__sight s;
	struct kd_error err;
	uint8_t b[400];

	(void)state;
	assert_status(KD_OK, kd__sight_init(&s, &sink, &err));
	feed(&s, IN, b, print(b, 0x80800800, "one\n", 4), second);     /* nobody was there before */
	feed(&s, IN, b, print(b, 0x80800800, "two\n", 4), 2 * second); /* nobody took "one" */
	assert_string_equal(h.events, "");
	ack(&s, 0x80800000, 2 * second);
	feed(&s, IN, b, stop(b, 0x80800001, 0x3030), 3 * second);
	ack(&s, 0x80800001, 3 * second);
	/* A debugger comes, and the target says where it stands. */
	feed(&s, OUT, b, packet(b, KD_PACKET_RESET, 0, "", 0), 4 * second);
	feed(&s, IN, b, stop(b, 0x80800800, 0x3030), 4 * second + 1000);
	ack(&s, 0x80800000, 4 * second + 2000);
	assert_string_equal(h.events, "S");
	assert_true(s.is_stopped);
	/* It boots. */
	feed(&s, IN, b, print(b, 0x80800800, "three\n", 6), 5 * second);
	assert_string_equal(h.events, "SN");
	assert_false(s.is_stopped);
	ack(&s, 0x80800000, 5 * second);
	/* A RESET that a running target did not hear explains nothing later. */
	feed(&s, OUT, b, packet(b, KD_PACKET_RESET, 0, "", 0), 6 * second);
	feed(&s, IN, b, print(b, 0x80800001, "four\n", 5), 8 * second);
	ack(&s, 0x80800001, 8 * second);
	feed(&s, IN, b, print(b, 0x80800800, "five\n", 5), 9 * second);
	assert_string_equal(h.events, "SNN");
	kd__sight_deinit(&s);
}

static size_t breakpoint(uint8_t *out, uint32_t id, uint32_t api, uint32_t handle)
{
	uint8_t payload[56] = { 0 };

	kd_put32(payload, api);
	kd_put32(payload + 16 + (api == 0x3134 ? 8 : 0), handle);
	return packet(out, KD_PACKET_STATE_MANIPULATE, id, payload, sizeof payload);
}

static void test_planted(void **state)
{
	struct heard h = { .events = "" };
	const struct kd__sight_sink sink = { on_record, on_event, on_line, &h };
	static const struct {
		uint32_t api, handle;
		bool is_left;
	} rows[] = {
		{ 0x3134, 1, true },   { 0x3134, 2, true },  { 0x3135, 1, true },
		{ 0x3135, 31, true },  { 0x3135, 2, false }, { 0x3134, 32, true },
		{ 0x3135, 32, false },
	};
	struct kd__sight s;
	struct kd_error err;
	uint8_t b[400];

	(void)state;
	assert_status(KD_OK, kd__sight_init(&s, &sink, &err));
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		uint32_t id = 0x80800000 | (i & 1);

		feed(&s, OUT, b, breakpoint(b, id, rows[i].api, rows[i].handle), i * 1000);
		feed(&s, IN, b, breakpoint(b, id, rows[i].api, rows[i].handle), i * 1000 + 100);
		ack(&s, id, i * 1000 + 200);
		assert_int_equal(s.planted != 0, rows[i].is_left);
	}
	kd__sight_deinit(&s);
}

/* The stop of a snapshot that was taken back to is a repetition, but it is one. */
static void test_back_in_time(void **state)
{
	struct heard h = { .events = "" };
	const struct kd__sight_sink sink = { on_record, on_event, on_line, &h };
	const uint64_t second = 1000000000;
	struct kd__sight s;
	struct kd_error err;
	uint8_t b[400];

	(void)state;
	assert_status(KD_OK, kd__sight_init(&s, &sink, &err));
	feed(&s, IN, b, stop(b, 0x80800000, 0x3030), second);
	feed(&s, OUT, b, request(b, 0x80800000, 0x3136), 2 * second);
	feed(&s, IN, b, stop(b, 0x80800000, 0x3030), 2 * second + 1000); /* it crossed our ACK */
	assert_false(s.is_stopped);
	feed(&s, IN, b, stop(b, 0x80800000, 0x3030), 5 * second);
	assert_true(s.is_stopped);
	assert_string_equal(h.events, "SRS");
	kd__sight_deinit(&s);
}

static void put(struct kd__relay_traces *t, const char *line)
{
	struct kd_error err;

	assert_status(KD_OK, kd__relay_traces_line(t, line, strlen(line), &err));
}

static long size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void test_traces(void **state)
{
	struct kd__relay_traces t = { .n = 0 };
	struct kd_error err;
	char long_line[4096];

	(void)state;
	memset(long_line, 'a', sizeof long_line - 1);
	long_line[sizeof long_line - 1] = '\0';
	assert_status(KD_OK, kd__relay_trace_start(&t, "a", io_path("a.log"), &err));
	assert_status(KD_E_EXISTS, kd__relay_trace_start(&t, "a", io_path("b.log"), &err));
	assert_status(KD_E_NOT_FOUND, kd__relay_trace_start(&t, "b", io_path("no/b.log"), &err));
	assert_int_equal(t.n, 1);
	put(&t, "b");
	put(&t, "");
	put(&t, "ab");
	assert_int_equal(size_of(io_path("a.log")), 3);
	/* At 64 MB it is renamed, and one before it replaced. */
	for (int i = 0; i < (64 << 20) / 4096; i++)
		put(&t, long_line);
	assert_int_equal(size_of(io_path("a.log.1")), (64 << 20) + 3);
	put(&t, "ac");
	assert_int_equal(size_of(io_path("a.log")), 3);
	assert_status(KD_OK, kd__relay_trace_stop(&t, "a", &err));
	assert_status(KD_E_NOT_FOUND, kd__relay_trace_stop(&t, "a", &err));
	/* A disk that is full ends this trace, not the others. */
	assert_status(KD_OK, kd__relay_trace_start(&t, "x", "/dev/full", &err));
	assert_status(KD_OK, kd__relay_trace_start(&t, "", io_path("all.log"), &err));
	assert_status(KD_E_IO, kd__relay_traces_line(&t, "xyz", 3, &err));
	assert_int_equal(t.n, 1);
	assert_int_equal(size_of(io_path("all.log")), 4);
	kd__relay_traces_deinit(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sight),   cmocka_unit_test(test_restarts),
		cmocka_unit_test(test_planted), cmocka_unit_test(test_back_in_time),
		cmocka_unit_test(test_traces),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
