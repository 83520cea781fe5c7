/* SPDX-License-Identifier: MIT */
/* Every known message both ways, cut everywhere, with every bit turned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/wire/message.h"
#include "tests/core/wire_check.h"
#include "tests/core/wire_oracle.h"
#include "tests/core/wire_rows.h"
#include "tests/core/wire_vectors.h"

/* One known payload with its header. */
struct sample {
	const char *name;
	struct kd_packet_hdr hdr;
	uint16_t machine;
	int is_reply;
	uint8_t payload[WIRE_ROW_MAX];
	size_t size;
	const char *expect;
};

static size_t sample_count(void)
{
	return n_wire_vectors + 2 * n_wire_rows + n_wire_payloads;
}

static bool load_vector(struct sample *s, const struct wire_vector *v)
{
	uint8_t packet[KD_PACKET_MAX];
	size_t size = wire_hex(packet, sizeof(packet), v->hex);

	s->name = v->name;
	s->machine = v->machine;
	s->is_reply = v->sender == WIRE_FROM_TARGET;
	s->expect = v->expect;
	assert_int_equal(kd_packet_hdr_decode(&s->hdr, packet), KD_OK);
	s->size = s->hdr.length;
	assert_true(KD_HDR_SIZE + s->size <= size);
	memcpy(s->payload, packet + KD_HDR_SIZE, s->size);
	if (s->hdr.type == KD_PACKET_FILE_IO) /* the target asks, the debugger replies */
		s->is_reply = !s->is_reply;
	return true;
}

static void fill_hdr(struct sample *s, uint16_t type)
{
	s->hdr = (struct kd_packet_hdr){
		.leader = KD_LEADER_DATA,
		.type = type,
		.length = (uint16_t)s->size,
		.id = KD_PACKET_ID_INITIAL,
		.checksum = kd_checksum(s->payload, s->size),
	};
}

static bool load_row(struct sample *s, const struct wire_row *row, int is_reply)
{
	const struct wire_half *half = is_reply ? &row->reply : &row->request;

	if (!half->member)
		return false;
	s->name = kd_api_find(row->api)->name;
	s->machine = row->machine;
	s->is_reply = is_reply;
	s->expect = half->expect;
	s->size = wire_row_payload(s->payload, row, is_reply);
	fill_hdr(s, KD_PACKET_STATE_MANIPULATE);
	return true;
}

static bool load_payload(struct sample *s, const struct wire_payload *p)
{
	s->name = p->name;
	s->machine = p->machine;
	s->is_reply = p->is_reply;
	s->expect = p->expect;
	s->size = wire_hex(s->payload, sizeof(s->payload), p->hex);
	fill_hdr(s, p->type);
	return true;
}

/* False: there is no such sample (an API that is acknowledged only has no reply). */
static bool load(struct sample *s, size_t i)
{
	memset(s, 0, sizeof(*s));
	if (i < n_wire_vectors)
		return load_vector(s, &wire_vectors[i]);
	i -= n_wire_vectors;
	if (i < 2 * n_wire_rows)
		return load_row(s, &wire_rows[i / 2], i % 2);
	return load_payload(s, &wire_payloads[i - 2 * n_wire_rows]);
}

static void check(const struct sample *s, const char *broken)
{
	if (broken)
		fail_msg("%s (%s): %s", s->name, s->is_reply ? "reply" : "request", broken);
}

static void test_headers_byte_exact(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_wire_vectors; i++) {
		uint8_t packet[KD_PACKET_MAX], again[KD_HDR_SIZE];
		size_t size = wire_hex(packet, sizeof(packet), wire_vectors[i].hex);
		bool is_stream = wire_vectors[i].name[0] == 'S';
		struct kd_packet_hdr hdr;

		assert_int_equal(kd_packet_hdr_decode(&hdr, packet), KD_OK);
		kd_packet_hdr_encode(again, &hdr);
		assert_memory_equal(packet, again, sizeof(again));
		assert_int_equal(hdr.checksum, kd_checksum(packet + KD_HDR_SIZE, hdr.length));
		if (hdr.leader == KD_LEADER_CONTROL || !is_stream) {
			assert_int_equal(size, KD_HDR_SIZE + hdr.length);
		} else {
			assert_int_equal(size, KD_HDR_SIZE + hdr.length + 1);
			assert_int_equal(packet[size - 1], KD_BYTE_TRAILER);
		}
	}
}

static void test_bad_headers_are_refused(void **state)
{
	static const struct {
		const char *name, *hex;
		enum kd_status want;
	} rows[] = {
		{ "unknown leader", "31303030 0200 3800 00008080 00000000", KD_E_MALFORMED },
		{ "mixed leader", "30306969 0200 3800 00008080 00000000", KD_E_MALFORMED },
		{ "data leader, control type", "30303030 0400 0000 00008080 00000000",
		  KD_E_MALFORMED },
		{ "control leader, data type", "69696969 0200 0000 00008080 00000000",
		  KD_E_MALFORMED },
		{ "control with payload", "69696969 0400 0100 00008080 00000000", KD_E_MALFORMED },
		{ "type 0", "30303030 0000 3800 00008080 00000000", KD_E_MALFORMED },
		{ "type 8 is never sent", "30303030 0800 3800 00008080 00000000", KD_E_MALFORMED },
		{ "type 12", "30303030 0c00 3800 00008080 00000000", KD_E_MALFORMED },
		{ "a run of leader bytes", "30303030 3030 0200 38000000 80800000", KD_E_MALFORMED },
		{ "over the limit", "30303030 0200 0111 00008080 00000000", KD_E_TOO_BIG },
		{ "at the limit", "30303030 0200 0011 00008080 00000000", KD_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t in[KD_HDR_SIZE];
		struct kd_packet_hdr hdr = { .type = 0xFFFF };
		enum kd_status got;

		assert_int_equal(wire_hex(in, sizeof(in), rows[i].hex), sizeof(in));
		got = kd_packet_hdr_decode(&hdr, in);
		if (got != rows[i].want)
			fail_msg("%s: got %d", rows[i].name, (int)got);
		if (got != KD_OK) /* written on KD_OK only */
			assert_int_equal(hdr.type, 0xFFFF);
	}
}

static void test_noise_before_a_packet(void **state)
{
	/* S11: boot text with leader bytes in it; the ACK of 0x80800001 is at 14. */
	uint8_t bytes[30];
	struct kd_packet_hdr hdr;
	size_t at = 0;

	(void)state;
	wire_hex(bytes, sizeof(bytes),
		 "47525542 20303069 300d0a00 30306969 69690400 00000100 80800000 0000");
	while (kd_packet_hdr_decode(&hdr, bytes + at) != KD_OK)
		assert_true(++at <= sizeof(bytes) - KD_HDR_SIZE);
	assert_int_equal(at, 14);
	assert_int_equal(hdr.type, KD_PACKET_ACKNOWLEDGE);
	assert_int_equal(hdr.id, 0x80800001u);
}

static void test_messages_byte_exact(void **state)
{
	(void)state;
	for (size_t i = 0; i < sample_count(); i++) {
		struct sample s;

		if (!load(&s, i))
			continue;
		check(&s, wire_oracle_payload(s.machine, s.payload, s.size));
		check(&s, wire_oracle_describe(&s.hdr, s.machine, s.payload, s.size));
		check(&s, wire_check_fields(&s.hdr, s.machine, s.payload, s.size, s.expect));
	}
}

/* The type's own decoder takes the sample: an oracle that skips everything would prove nothing. */
static void test_messages_decode(void **state)
{
	union {
		struct kd_manipulate m;
		struct kd_state_change s;
		struct kd_state_change32 s32;
		struct kd_debug_io d;
		struct kd_file_io f;
		struct kd_trace_io t;
		struct kd_w_control_request c;
	} u;

	(void)state;
	for (size_t i = 0; i < sample_count(); i++) {
		struct sample s;
		enum kd_status got = KD_OK;

		if (!load(&s, i))
			continue;
		switch (s.hdr.type) {
		case KD_PACKET_STATE_MANIPULATE:
			got = kd_manipulate_decode_reply(&u.m, s.machine, s.payload, s.size);
			break;
		case KD_PACKET_STATE_CHANGE64:
			got = kd_state_change_decode(&u.s, s.payload, s.size);
			break;
		case KD_PACKET_STATE_CHANGE32:
			got = kd_state_change32_decode(&u.s32, s.payload, s.size);
			break;
		case KD_PACKET_DEBUG_IO: got = kd_debug_io_decode(&u.d, s.payload, s.size); break;
		case KD_PACKET_FILE_IO: got = kd_file_io_decode(&u.f, s.payload, s.size); break;
		case KD_PACKET_TRACE_IO: got = kd_trace_io_decode(&u.t, s.payload, s.size); break;
		case KD_PACKET_CONTROL_REQUEST:
			got = kd_control_request_decode(&u.c, s.payload, s.size);
			break;
		default: assert_int_equal(s.size, 0); break;
		}
		check(&s, got == KD_OK ? NULL : "is not decoded");
	}
}

/* Shorter forms that real peers send, or whose end no length field tells. */
static bool is_legal_short(const struct sample *s, size_t n)
{
	uint32_t api = kd_get32(s->payload);
	size_t name_size = s->size > 36 && (api & 0xFFFF) == KD_STATE_LOAD_SYMBOLS
				   ? kd_get32(s->payload + 32)
				   : 0;

	switch (s->hdr.type) {
	case KD_PACKET_STATE_MANIPULATE:
		return n >= KD_MANIPULATE_SIZE &&
		       (!kd_api_find(api) || api == KD_API_READ_PHYSICAL_LONG);
	case KD_PACKET_STATE_CHANGE64: return n >= KD_STATE_CHANGE_MIN + name_size;
	case KD_PACKET_STATE_CHANGE32: return true; /* refused anyway */
	case KD_PACKET_FILE_IO:
		return n >= KD_FILE_IO_SIZE && (api == KD_FILE_CREATE || api > KD_FILE_CLOSE);
	case KD_PACKET_DEBUG_IO:
		if (api == KD_IO_PRINT_STRING) /* an old stub's header has four bytes less */
			return n == 12 + kd_get32(s->payload + 8);
		if (api == KD_IO_GET_STRING) /* a prompt cut to the size of its answer */
			return n >= 16 + kd_get32(s->payload + 12);
		return n >= KD_DEBUG_IO_SIZE;
	default: return false;
	}
}

static void test_truncations_are_seen(void **state)
{
	(void)state;
	for (size_t i = 0; i < sample_count(); i++) {
		struct sample s;

		if (!load(&s, i))
			continue;
		for (size_t n = 0; n < s.size; n++) {
			int seen = wire_is_truncation_seen(s.hdr.type, s.machine, s.is_reply,
							   s.payload, n);

			if (!seen != is_legal_short(&s, n) &&
			    s.hdr.type != KD_PACKET_STATE_CHANGE32)
				fail_msg("%s, reply %d, cut to %zu of %zu: seen %d", s.name,
					 s.is_reply, n, s.size, seen);
			check(&s, wire_oracle_payload(s.machine, s.payload, n));
			check(&s, wire_oracle_describe(&s.hdr, s.machine, s.payload, n));
		}
	}
}

static void test_bit_flips_are_harmless(void **state)
{
	/* Beyond, in register files and bytes of memory, no structure changes. */
	const size_t described = 256;

	(void)state;
	for (size_t i = 0; i < sample_count(); i++) {
		struct sample s;

		if (!load(&s, i))
			continue;
		for (size_t bit = 0; bit < 8 * s.size; bit++) {
			s.payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
			check(&s, wire_oracle_payload(s.machine, s.payload, s.size));
			if (bit / 8 < described)
				check(&s,
				      wire_oracle_describe(&s.hdr, s.machine, s.payload, s.size));
			if (kd_checksum(s.payload, s.size) == s.hdr.checksum)
				check(&s, "the checksum misses a bit");
			s.payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		for (size_t bit = 0; bit < 8 * KD_HDR_SIZE; bit++) {
			uint8_t hdr[KD_HDR_SIZE];

			kd_packet_hdr_encode(hdr, &s.hdr);
			hdr[bit / 8] ^= (uint8_t)(1u << bit % 8);
			check(&s, wire_oracle_hdr(hdr));
		}
	}
}

static void test_requests_of_our_own_are_zeroed(void **state)
{
	size_t n;
	const struct kd_api_info *apis = kd_api_table(&n);
	static const uint8_t zeros[40];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		uint8_t out[KD_MANIPULATE_SIZE];
		struct kd_manipulate m;

		memset(&m, 0xEE, sizeof(m));
		memset(out, 0xEE, sizeof(out));
		kd_manipulate_init(&m, apis[i].number, KD_MACHINE_AMD64, 3);
		kd_manipulate_encode_hdr(out, &m);
		assert_int_equal(kd_get32(out), apis[i].number);
		assert_int_equal(kd_get16(out + 4), 0);
		assert_int_equal(kd_get16(out + 6), 3);
		assert_memory_equal(out + 8, zeros, 8);
		assert_memory_equal(out + 16, zeros, 40);
	}
}

/* S3, S6 and S7 made with the interface that the engine uses. */
static void test_requests_of_our_own_match_vectors(void **state)
{
	uint8_t want[KD_PACKET_MAX], got[KD_MANIPULATE_SIZE];
	struct kd_manipulate m;

	(void)state;
	for (size_t i = 0; i < n_wire_vectors; i++) {
		const char *name = wire_vectors[i].name;

		if (strncmp(name, "S3 ", 3) == 0) {
			kd_manipulate_init(&m, KD_API_GET_VERSION, KD_MACHINE_AMD64, 0);
		} else if (strncmp(name, "S6 ", 3) == 0) {
			kd_manipulate_init(&m, KD_API_READ_VIRTUAL, KD_MACHINE_AMD64, 0);
			m.u.read_memory.address = 0xFFFFF8026BEE22D0u;
			m.u.read_memory.count = 16;
		} else if (strncmp(name, "S7 ", 3) == 0) {
			kd_manipulate_init(&m, KD_API_CONTINUE2, KD_MACHINE_AMD64, 0);
			m.u.continue2_amd64.continue_status = KD_NT_DBG_CONTINUE;
			m.u.continue2_amd64.trace_flag = 1;
			m.u.continue2_amd64.dr7 = 0x400;
			m.u.continue2_amd64.symbol_start = 1;
		} else {
			continue;
		}
		wire_hex(want, sizeof(want), wire_vectors[i].hex);
		kd_manipulate_encode_hdr(got, &m);
		assert_memory_equal(got, want + KD_HDR_SIZE, sizeof(got));
	}
}

static void test_load_symbols_of_our_own(void **state)
{
	static const char name[] = "a.sys";
	struct kd_state_change s = { .hdr = { .new_state = KD_STATE_LOAD_SYMBOLS } }, back;
	uint8_t out[KD_PAYLOAD_MAX];
	size_t size = 0;

	(void)state;
	s.u.load_symbols.path_name_length = sizeof(name);
	s.u.load_symbols.base = 0x1000;
	s.name = name;
	s.name_size = sizeof(name);
	assert_int_equal(kd_state_change_encode(out, sizeof(out), &size, &s), KD_OK);
	assert_int_equal(size, 240 + sizeof(name));
	assert_int_equal(kd_state_change_decode(&back, out, size), KD_OK);
	assert_int_equal(back.name_size, sizeof(name));
	assert_string_equal(back.name, name);
	assert_int_equal(back.fixed_size, 240);
	assert_int_equal(back.u.load_symbols.base, 0x1000);

	/* A name that would begin inside the fixed part. */
	kd_put32(out + 32, (uint32_t)size - 191);
	assert_int_equal(kd_state_change_decode(&back, out, size), KD_E_MALFORMED);
	kd_put32(out + 32, 0xFFFFFFFFu);
	assert_int_equal(kd_state_change_decode(&back, out, size), KD_E_MALFORMED);
}

static void test_short_replies_only_refuse(void **state)
{
	uint8_t bytes[16] = { 0x56, 0x31 };
	struct kd_manipulate m;

	(void)state;
	assert_int_equal(kd_manipulate_decode_reply(&m, 0, bytes, 16), KD_E_TRUNCATED);
	kd_put32(bytes + 8, (uint32_t)KD_NT_NOT_IMPLEMENTED);
	assert_int_equal(kd_manipulate_decode_reply(&m, 0, bytes, 11), KD_E_TRUNCATED);
	assert_int_equal(kd_manipulate_decode(&m, 0, bytes, 16), KD_E_TRUNCATED);
	assert_int_equal(kd_manipulate_decode_reply(&m, 0, bytes, 16), KD_OK);
	assert_int_equal(m.hdr.api, KD_API_SEARCH_MEMORY);
	assert_int_equal(m.hdr.return_status, (uint32_t)KD_NT_NOT_IMPLEMENTED);
	assert_int_equal(m.data_size, 0);
}

/* More than was promised is not data; less is reported. */
static void test_data_follows_the_length_fields(void **state)
{
	uint8_t bytes[56 + 8] = { 0 };
	struct kd_manipulate m;
	size_t n = 0;

	(void)state;
	kd_put32(bytes, KD_API_READ_CONTROL_SPACE);
	kd_put32(bytes + 28, 3);
	assert_int_equal(kd_manipulate_decode(&m, KD_MACHINE_AMD64, bytes, sizeof(bytes)), KD_OK);
	assert_int_equal(kd_manipulate_data_size(&m, true, &n), KD_OK);
	assert_int_equal(n, 3);
	m.u.read_memory.actual = 9;
	assert_int_equal(kd_manipulate_data_size(&m, true, &n), KD_E_TRUNCATED);
	assert_int_equal(n, 8);
	assert_int_equal(kd_manipulate_data_size(&m, false, &n), KD_OK);
	assert_int_equal(n, 0);

	kd_put32(bytes, KD_API_WRITE_BREAKPOINT_EX);
	kd_put32(bytes + 16, 0x10000001); /* times 16 is 16 in 32 bits */
	assert_int_equal(kd_manipulate_decode(&m, KD_MACHINE_AMD64, bytes, sizeof(bytes)), KD_OK);
	assert_int_equal(kd_manipulate_data_size(&m, false, &n), KD_E_TRUNCATED);
	kd_put32(bytes, KD_API_QUERY_SPECIAL_CALLS);
	kd_put32(bytes + 16, 0x20000001);
	assert_int_equal(kd_manipulate_decode(&m, KD_MACHINE_AMD64, bytes, sizeof(bytes)), KD_OK);
	assert_int_equal(kd_manipulate_data_size(&m, true, &n), KD_E_TRUNCATED);
}

static void test_checksum_of_every_size(void **state)
{
	uint8_t bytes[4400];
	uint32_t want = 0;

	(void)state;
	memset(bytes, 0xFF, sizeof(bytes)); /* the worst case for the lanes */
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		assert_int_equal(kd_checksum(bytes, n), want);
		want += 0xFF;
	}
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 167 + i / 256);
	for (size_t start = 0; start < 9; start++) { /* any alignment */
		want = 0;
		for (size_t n = 0; n < 300; n++) {
			assert_int_equal(kd_checksum(bytes + start, n), want);
			want += bytes[start + n];
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers_byte_exact),
		cmocka_unit_test(test_bad_headers_are_refused),
		cmocka_unit_test(test_noise_before_a_packet),
		cmocka_unit_test(test_messages_byte_exact),
		cmocka_unit_test(test_messages_decode),
		cmocka_unit_test(test_truncations_are_seen),
		cmocka_unit_test(test_bit_flips_are_harmless),
		cmocka_unit_test(test_requests_of_our_own_are_zeroed),
		cmocka_unit_test(test_requests_of_our_own_match_vectors),
		cmocka_unit_test(test_load_symbols_of_our_own),
		cmocka_unit_test(test_short_replies_only_refuse),
		cmocka_unit_test(test_data_follows_the_length_fields),
		cmocka_unit_test(test_checksum_of_every_size),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
