/* SPDX-License-Identifier: MIT */
/* How values read, and whole packets field by field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/wire/api.h"
#include "core/wire/context.h"
#include "core/wire/describe.h"
#include "tests/core/wire_vectors.h"

static void test_values_as_text(void **state)
{
	static const struct {
		enum kd_format format;
		size_t element_size;
		const char *hex, *name, *want;
	} rows[] = {
		{ KD_FORMAT_HEX, 1, "00", NULL, "0x0" },
		{ KD_FORMAT_HEX, 4, "efbe0000", NULL, "0xbeef" },
		{ KD_FORMAT_HEX, 8, "ffffffffffffffff", NULL, "0xffffffffffffffff" },
		{ KD_FORMAT_FLAGS, 2, "0300", NULL, "0x3" },
		{ KD_FORMAT_DEC, 1, "00", NULL, "0" },
		{ KD_FORMAT_DEC, 2, "0a00", NULL, "10" },
		{ KD_FORMAT_DEC, 4, "ffffffff", NULL, "4294967295" },
		{ KD_FORMAT_DEC, 8, "ffffffffffffffff", NULL, "18446744073709551615" },
		{ KD_FORMAT_DEC, 8, "0000e8890423c78a", NULL, "10000000000000000000" },
		{ KD_FORMAT_DEC, 8, "ffffe7890423c78a", NULL, "9999999999999999999" },
		{ KD_FORMAT_ADDR, 4, "00004080", NULL, "0x80400000" },
		{ KD_FORMAT_ADDR, 8, "0010000000f8ffff", NULL, "0xfffff80000001000" },
		{ KD_FORMAT_NTSTATUS, 4, "010000c0", "UNSUCCESSFUL", "0xc0000001 UNSUCCESSFUL" },
		{ KD_FORMAT_API, 4, "30310000", "READ_VIRTUAL", "0x3130 READ_VIRTUAL" },
		{ KD_FORMAT_BYTES, 1, "ccc30f", NULL, "cc c3 0f" },
		{ KD_FORMAT_BYTES, 16, "00*16", NULL,
		  "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00" },
		{ KD_FORMAT_ADDR, 4, "01000000 02000000", NULL, "0x00000001 0x00000002" },
		{ KD_FORMAT_DEC, 2, "0100 0200 ffff", NULL, "1 2 65535" },
		{ KD_FORMAT_CHARS, 1, "48690a0d09225c00e97f", NULL,
		  "\"Hi\\n\\r\\t\\\"\\\\\\0\\xe9\\x7f\"" },
		{ KD_FORMAT_UTF16, 2, "5c00 4100 e900 0a00", NULL, "\"\\\\A\\u00e9\\n\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[64];
		char text[200], cut[8];
		struct kd_described d = {
			.format = rows[i].format,
			.bytes = bytes,
			.size = wire_hex(bytes, sizeof(bytes), rows[i].hex),
			.element_size = rows[i].element_size,
			.text = rows[i].name,
		};

		assert_int_equal(kd_described_text(text, sizeof(text), &d), strlen(rows[i].want));
		assert_string_equal(text, rows[i].want);
		if (strlen(text) < sizeof(cut))
			continue;
		/* cut: the begin, then three dots */
		assert_int_equal(kd_described_text(cut, sizeof(cut), &d), 7);
		assert_memory_equal(cut, text, 4);
		assert_string_equal(cut + 4, "...");
	}
}

static void test_what_is_a_number(void **state)
{
	static const struct {
		enum kd_format format;
		size_t size, element_size;
		bool want;
	} rows[] = {
		{ KD_FORMAT_HEX, 4, 4, true },    { KD_FORMAT_HEX, 8, 4, false },
		{ KD_FORMAT_BYTES, 1, 1, false }, { KD_FORMAT_CHARS, 1, 1, false },
		{ KD_FORMAT_UTF16, 2, 2, false }, { KD_FORMAT_DEC, 1, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kd_described d = { .format = rows[i].format,
					  .size = rows[i].size,
					  .element_size = rows[i].element_size };

		assert_int_equal(kd_described_is_number(&d), rows[i].want);
	}
}

struct text {
	char bytes[8192];
	size_t size;
};

static void add_line(void *ctx, const struct kd_described *d)
{
	struct text *t = ctx;
	char value[100];

	kd_described_text(value, sizeof(value), d);
	t->size += (size_t)snprintf(t->bytes + t->size, sizeof(t->bytes) - t->size,
				    "%zu %s.%s %s\n", d->offset, d->structure, d->name, value);
}

static void describe_vector(const char *name, struct text *text_ret)
{
	struct kd_packet_hdr hdr;
	uint8_t packet[KD_PACKET_MAX];

	memset(text_ret, 0, sizeof(*text_ret));
	for (size_t i = 0; i < n_wire_vectors; i++) {
		if (strncmp(wire_vectors[i].name, name, strlen(name)) != 0)
			continue;
		wire_hex(packet, sizeof(packet), wire_vectors[i].hex);
		assert_int_equal(kd_packet_hdr_decode(&hdr, packet), KD_OK);
		assert_int_equal(kd_describe_packet(&hdr, packet + KD_HDR_SIZE, hdr.length,
						    KD_MACHINE_AMD64, add_line, text_ret),
				 KD_OK);
	}
}

/* One packet of each shape, whole. */
static void test_packets_line_by_line(void **state)
{
	static const struct {
		const char *vector, *want;
	} rows[] = {
		{ "K9b ",
		  "0 packet.leader 0x30303030\n"
		  "4 packet.type 2 KD_STATE_MANIPULATE\n"
		  "6 packet.length 72\n"
		  "8 packet.id 0x6\n"
		  "12 packet.checksum 0x11e5\n"
		  "16 manipulate_hdr.api 0x3130 READ_VIRTUAL\n"
		  "20 manipulate_hdr.processor_level 37\n"
		  "22 manipulate_hdr.processor 0\n"
		  "24 manipulate_hdr.return_status 0x00000000 SUCCESS\n"
		  "28 manipulate_hdr.padding 0x0\n"
		  "32 read_memory.address 0x0000000000ad5e60\n"
		  "40 read_memory.count 16\n"
		  "44 read_memory.actual 16\n"
		  "48 read_memory.unnamed a6 01 00 00 00 00 00 00 d0 eb c7 d2 25 00 00 00 11 "
		  "02 00 13 fe 7f 00 00\n"
		  "72 data.bytes 30 9e c4 7b 01 f8 ff ff 50 86 c5 7b 01 f8 ff ff\n" },
		{ "K8 ", "0 packet.leader 0x30303030\n"
			 "4 packet.type 3 KD_DEBUG_IO\n"
			 "6 packet.length 46\n"
			 "8 packet.id 0x0\n"
			 "12 packet.checksum 0xbdf\n"
			 "16 debug_io.api 0x3230 IO_PRINT_STRING\n"
			 "20 debug_io.processor_level 0\n"
			 "22 debug_io.processor 0\n"
			 "24 debug_io.length_of_string 30\n"
			 "28 debug_io.length_of_string_read 2047\n"
			 "32 data.text \"BD: Boot Debugger Initialized\\n\"\n" },
		{ "K22b ", "0 packet.leader 0x69696969\n"
			   "4 packet.type 5 KD_RESEND\n"
			   "6 packet.length 0\n"
			   "8 packet.id 0x0\n"
			   "12 packet.checksum 0x0\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct text t;

		describe_vector(rows[i].vector, &t);
		assert_string_equal(t.bytes, rows[i].want);
	}
}

static void test_file_name_and_path(void **state)
{
	struct text t;

	(void)state;
	describe_vector("K20a ", &t);
	assert_non_null(strstr(
		t.bytes,
		"80 data.file_name \"\\\\Windows\\\\system32\\\\en-GB\\\\winload.efi.MUI\\0\"\n"));
	describe_vector("K5 ", &t);
	assert_non_null(strstr(t.bytes, "256 data.path_name \"winload.efi\\0\"\n"));
	assert_non_null(strstr(t.bytes, "228 report_amd64.instruction_count 16\n"));
}

/* A payload that isn't what its type says still shows every byte. */
static void test_undecodable_payload(void **state)
{
	static const uint8_t payload[5] = { 1, 2, 3, 4, 5 };
	static const uint16_t types[] = { 1, 2, 3, 7, 9, 10, 11 };
	struct text t;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct kd_packet_hdr hdr = { .leader = KD_LEADER_DATA, .type = types[i] };

		memset(&t, 0, sizeof(t));
		assert_int_equal(
			kd_describe_packet(&hdr, payload, sizeof(payload), 0, add_line, &t),
			KD_E_TRUNCATED);
		assert_non_null(strstr(t.bytes, "16 undecoded.bytes 01 02 03 04 05\n"));
	}
}

static void test_register_file(void **state)
{
	uint8_t bytes[KD_CONTEXT_SIZE_X86] = { 0 };
	struct text t = { .size = 0 };

	(void)state;
	kd_put32(bytes + 0xB8, 0x80401000);
	kd_describe_registers(kd_context_layout(KD_MACHINE_X86), "context", bytes, sizeof(bytes),
			      1000, add_line, &t);
	assert_non_null(strstr(t.bytes, "1184 context.eip 0x80401000\n"));
	assert_non_null(strstr(t.bytes, "1476 context.xmm7 00 00"));
	/* half of it: as far as it goes */
	memset(&t, 0, sizeof(t));
	kd_describe_registers(kd_context_layout(KD_MACHINE_X86), "context", bytes, 0xBA, 0,
			      add_line, &t);
	assert_null(strstr(t.bytes, "context.eip"));
	assert_non_null(strstr(t.bytes, "184 context.unnamed 00 10\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_as_text),
		cmocka_unit_test(test_what_is_a_number),
		cmocka_unit_test(test_packets_line_by_line),
		cmocka_unit_test(test_file_name_and_path),
		cmocka_unit_test(test_undecodable_payload),
		cmocka_unit_test(test_register_file),
	};

	return cmocka_run_group_tests_name("wire describe", tests, NULL, NULL);
}
