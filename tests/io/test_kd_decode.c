/* SPDX-License-Identifier: MIT */
/* The decoder of recordings: what it finds in clean, noisy, cut and repeated streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include <openkd/sys/decode.h>

#include "core/wire/api.h"
#include "core/wire/packet.h"
#include "lib/io/pcapng.h"
#include "tests/core/wire_rows.h"
#include "tests/core/wire_vectors.h"

enum { MAX_RECORDS = 4000, BIG = 1 << 20 };

struct seen {
	enum kd_decode_kind kind;
	enum kd_decode_direction direction;
	uint16_t type;
	size_t size;
	uint64_t offset;
	bool is_repeat, has_problem;
	char summary[200];
};

struct log {
	struct seen records[MAX_RECORDS];
	size_t n;
	size_t n_of[5];
	uint64_t next_offset[2];
	FILE *text;
	FILE *json;
};

static struct log seen;

/* Every byte of each direction is in exactly one record. */
static void see(void *ctx, const struct kd_decode_record *r)
{
	struct log *l = ctx;
	struct seen *s = &l->records[l->n % MAX_RECORDS];

	assert_int_equal(r->number, l->n + 1);
	assert_true(r->stream_offset == l->next_offset[r->direction]);
	assert_true((r->size > 0) == (r->kind != KD_DECODE_NOTE));
	assert_non_null(r->summary);
	assert_true((r->kind == KD_DECODE_DAMAGED) == (r->problem != NULL) ||
		    r->kind == KD_DECODE_PACKET);
	l->next_offset[r->direction] += r->size;
	*s = (struct seen){ r->kind,          r->direction, r->type,    r->size,
			    r->stream_offset, r->is_repeat, r->problem, "" };
	snprintf(s->summary, sizeof(s->summary), "%s", r->summary);
	l->n++;
	l->n_of[r->kind]++;
	if (l->text)
		assert_int_equal(kd_decode_write_text(l->text, r, true), KD_OK);
	if (l->json)
		assert_int_equal(kd_decode_write_json(l->json, r), KD_OK);
}

static struct kd_decoder *start(bool is_datagrams)
{
	struct kd_decoder_config config = KD_DECODER_CONFIG_INIT;
	struct kd_decoder *d = NULL;

	memset(&seen, 0, sizeof(seen));
	config.is_datagrams = is_datagrams;
	config.fn = see;
	config.ctx = &seen;
	assert_int_equal(kd_decoder_create(&config, &d, NULL), KD_OK);
	return d;
}

static size_t vector(const char *name, uint8_t out[KD_PACKET_MAX])
{
	for (size_t i = 0; i < n_wire_vectors; i++)
		if (strncmp(wire_vectors[i].name, name, strlen(name)) == 0 &&
		    wire_vectors[i].name[strlen(name)] == ' ')
			return wire_hex(out, KD_PACKET_MAX, wire_vectors[i].hex);
	fail_msg("no vector %s", name);
	return 0;
}

/* A conversation of stream vectors: what the first packets after boot look like. */
static void feed_boot(struct kd_decoder *d, size_t chunk)
{
	static const char *const names[] = { "S1", "S2", "S3", "S2", "S4", "S6", "S7", "S10" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		enum kd_decode_direction direction = i == 0 || i == 4 ? KD_DECODE_FROM_TARGET
								      : KD_DECODE_TO_TARGET;
		uint8_t bytes[KD_PACKET_MAX];
		size_t size = vector(names[i], bytes);

		for (size_t at = 0; at < size; at += chunk)
			kd_decoder_feed(d, direction, 1000 * i, bytes + at,
					size - at < chunk ? size - at : chunk);
	}
	kd_decoder_finish(d);
}

static void test_a_conversation_in_any_chunks(void **state)
{
	static const char *const want[] = {
		"STATE_MANIPULATE",
		"IO_PRINT_STRING text=\"Hi\\n\"",
		"KD_ACKNOWLEDGE",
		"GET_VERSION",
		"KD_ACKNOWLEDGE",
		("GET_VERSION reply return_status=0x00000000 SUCCESS major=0xf minor=9600 "
		 "protocol=6 machine=0x8664 max_manipulate=0x31 kern_base=0xfffff8026bc18000"),
		"READ_VIRTUAL address=0xfffff8026bee22d0 count=16",
		"CONTINUE2 continue_status=0x00010002 DBG_CONTINUE trace_flag=1 dr7=0x400",
		"IO_GET_STRING reply text=\"b\"",
	};
	static const size_t chunks[] = { 1, 2, 7, 15, 16, 17, 64, 5000 };

	(void)state;
	for (size_t c = 0; c < sizeof(chunks) / sizeof(chunks[0]); c++) {
		struct kd_decoder *d = start(false);

		feed_boot(d, chunks[c]);
		assert_int_equal(seen.n, 8);
		assert_int_equal(seen.n_of[KD_DECODE_PACKET], 8);
		for (size_t i = 0; i < 8; i++) {
			assert_string_equal(seen.records[i].summary, want[i + 1]);
			assert_false(seen.records[i].has_problem);
		}
		kd_decoder_destroy(d);
	}
}

static void test_text_and_leader_runs_before_a_packet(void **state)
{
	static const char boot[] = "GRUB 00i0\r\nbooting 0000000iiii\n000";
	struct kd_decoder *d = start(false);
	uint8_t bytes[KD_PACKET_MAX];
	size_t size = vector("S1", bytes);

	(void)state;
	for (size_t i = 0; boot[i]; i++)
		kd_decoder_feed(d, KD_DECODE_FROM_TARGET, i, boot + i, 1);
	kd_decoder_feed(d, KD_DECODE_FROM_TARGET, 100, bytes, size);
	assert_int_equal(seen.n, 4); /* lines of text, then the packet */
	assert_string_equal(seen.records[0].summary, "\"GRUB 00i0\\r\\n\"");
	assert_string_equal(seen.records[1].summary, "\"booting 0000000iiii\\n\"");
	assert_string_equal(seen.records[2].summary, "\"000\"");
	assert_int_equal(seen.records[3].kind, KD_DECODE_PACKET);
	kd_decoder_destroy(d);
}

static void test_break_in(void **state)
{
	struct kd_decoder *d = start(false);
	uint8_t ack[KD_PACKET_MAX];
	size_t size = vector("S2", ack);

	(void)state;
	kd_decoder_feed(d, KD_DECODE_TO_TARGET, 1, "b", 1);
	assert_int_equal(seen.n, 1); /* at once */
	kd_decoder_feed(d, KD_DECODE_TO_TARGET, 2, "bb", 2);
	kd_decoder_feed(d, KD_DECODE_TO_TARGET, 3, ack, size);
	kd_decoder_feed(d, KD_DECODE_FROM_TARGET, 4, "b", 1); /* a target doesn't break in */
	kd_decoder_finish(d);
	assert_int_equal(seen.n, 4);
	assert_int_equal(seen.records[0].kind, KD_DECODE_BREAK_IN);
	assert_int_equal(seen.records[1].kind, KD_DECODE_BREAK_IN);
	assert_int_equal(seen.records[1].size, 2);
	assert_int_equal(seen.records[2].type, KD_PACKET_ACKNOWLEDGE);
	assert_int_equal(seen.records[3].kind, KD_DECODE_NOISE);
	kd_decoder_destroy(d);
}

/* A byte lost anywhere in a packet costs that packet alone. */
static void test_a_lost_byte_costs_one_packet(void **state)
{
	uint8_t first[KD_PACKET_MAX], second[KD_PACKET_MAX];
	size_t first_size = vector("S6", first), second_size = vector("S7", second);

	(void)state;
	for (size_t lost = 0; lost < first_size; lost++) {
		struct kd_decoder *d = start(false);

		kd_decoder_feed(d, KD_DECODE_TO_TARGET, 0, first, lost);
		kd_decoder_feed(d, KD_DECODE_TO_TARGET, 1, first + lost + 1, first_size - lost - 1);
		kd_decoder_feed(d, KD_DECODE_TO_TARGET, 2, second, second_size);
		kd_decoder_feed(d, KD_DECODE_TO_TARGET, 3, first, first_size);
		kd_decoder_finish(d);
		assert_int_equal(seen.n_of[KD_DECODE_PACKET], 2);
		assert_true(seen.n_of[KD_DECODE_DAMAGED] + seen.n_of[KD_DECODE_NOISE] > 0);
		assert_int_equal(seen.next_offset[0], 2 * first_size - 1 + second_size);
		kd_decoder_destroy(d);
	}
}

/* A turned bit in a data packet never gives a good packet with other content. */
static void test_turned_bits_are_damage(void **state)
{
	uint8_t packet[KD_PACKET_MAX];
	size_t size = vector("S6", packet);

	(void)state;
	for (size_t bit = 0; bit < 8 * size; bit++) {
		struct kd_decoder *d = start(false);
		bool is_unprotected = bit / 8 == 4 || (bit / 8 >= 8 && bit / 8 < 12);

		packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
		kd_decoder_feed(d, KD_DECODE_TO_TARGET, 0, packet, size);
		kd_decoder_finish(d);
		packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
		/* type and id are covered by no sum */
		if (!is_unprotected)
			assert_int_equal(seen.n_of[KD_DECODE_PACKET], 0);
		assert_int_equal(seen.next_offset[0], size);
		kd_decoder_destroy(d);
	}
}

static void test_repeats_are_marked(void **state)
{
	struct kd_decoder *d = start(false);
	uint8_t read[KD_PACKET_MAX], step[KD_PACKET_MAX], ack[KD_PACKET_MAX];
	size_t read_size = vector("S6", read), step_size = vector("S7", step);
	size_t ack_size = vector("S2", ack);

	(void)state;
	kd_decoder_feed(d, KD_DECODE_TO_TARGET, 0, read, read_size);
	kd_decoder_feed(d, KD_DECODE_TO_TARGET, 1, ack, ack_size);
	kd_decoder_feed(d, KD_DECODE_TO_TARGET, 2, read, read_size);
	kd_decoder_feed(d, KD_DECODE_TO_TARGET, 3, ack, ack_size);
	kd_decoder_feed(d, KD_DECODE_TO_TARGET, 4, step, step_size);
	kd_decoder_feed(d, KD_DECODE_TO_TARGET, 5, read, read_size);
	assert_int_equal(seen.n, 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(seen.records[i].is_repeat, i == 2);
	kd_decoder_destroy(d);
}

/* The machine of the version reply changes how later packets are read. */
static void test_machine_is_learnt(void **state)
{
	uint8_t payload[WIRE_ROW_MAX], packet[KD_PACKET_MAX];
	struct kd_decoder *d = start(false);

	(void)state;
	for (int round = 0; round < 2; round++) {
		size_t size = vector("S8", packet);

		kd_decoder_feed(d, KD_DECODE_TO_TARGET, 0, packet, size);
		size = vector("S4", packet);
		memcpy(payload, packet + KD_HDR_SIZE, 56);
		kd_put16(payload + 24, KD_MACHINE_X86);
		memcpy(packet + KD_HDR_SIZE, payload, 56);
		kd_put32(packet + 12, kd_checksum(payload, 56));
		kd_decoder_feed(d, KD_DECODE_FROM_TARGET, 1, packet, size);
	}
	assert_int_equal(seen.n, 4);
	/* read as AMD64: dr7 takes the 1 of symbol_start with it */
	assert_non_null(strstr(seen.records[0].summary, "dr7=0x100000400"));
	assert_non_null(strstr(seen.records[2].summary, "dr7=0x400"));
	kd_decoder_destroy(d);
}

/* A connection that breaks in a packet: what follows is read from its begin. */
static void test_notes_end_packets(void **state)
{
	struct kd_decoder *d = start(false);
	uint8_t bytes[KD_PACKET_MAX];
	size_t size = vector("S6", bytes);

	(void)state;
	kd_decoder_feed(d, KD_DECODE_TO_TARGET, 0, bytes, size - 5);
	kd_decoder_note(d, 1, "link down:\n", 11);
	kd_decoder_feed(d, KD_DECODE_TO_TARGET, 2, bytes, size);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.records[0].kind, KD_DECODE_DAMAGED);
	assert_int_equal(seen.records[1].kind, KD_DECODE_NOTE);
	assert_string_equal(seen.records[1].summary, "\"link down:\\n\"");
	assert_int_equal(seen.records[2].kind, KD_DECODE_PACKET);
	kd_decoder_destroy(d);
}

static void test_datagrams(void **state)
{
	struct kd_decoder *d = start(true);
	uint8_t bytes[KD_PACKET_MAX];
	size_t size = vector("K4", bytes);

	(void)state;
	kd_decoder_feed(d, KD_DECODE_FROM_TARGET, 0, bytes, size);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.records[0].summary,
			    "STATE_EXCEPTION processor=0 program_counter=0xfffff8026bd72b90 "
			    "code=0x80000003 BREAKPOINT first_chance=1");
	kd_decoder_feed(d, KD_DECODE_TO_TARGET, 1, "b", 1);
	assert_int_equal(seen.records[1].kind, KD_DECODE_BREAK_IN);
	kd_decoder_feed(d, KD_DECODE_FROM_TARGET, 2, bytes, size - 1); /* nothing is awaited */
	assert_int_equal(seen.records[2].kind, KD_DECODE_DAMAGED);
	kd_decoder_feed(d, KD_DECODE_FROM_TARGET, 3, bytes, size);
	assert_int_equal(seen.records[3].kind, KD_DECODE_PACKET);
	kd_decoder_feed(d, KD_DECODE_FROM_TARGET, 4, "0000", 4);
	assert_int_equal(seen.records[4].kind, KD_DECODE_NOISE);
	kd_decoder_destroy(d);
}

/* A packet of known type whose payload is too short is shown with its bytes, and said so. */
static void test_bad_payload_is_reported(void **state)
{
	struct kd_decoder *d = start(true);
	uint8_t packet[KD_HDR_SIZE + 20] = { 0x30, 0x30, 0x30, 0x30, 7, 0, 20, 0 };
	char *text = NULL;
	size_t size = 0;

	(void)state;
	packet[KD_HDR_SIZE] = 0x30;
	packet[KD_HDR_SIZE + 1] = 0x30;
	kd_put32(packet + 12, 0x60);
	seen.text = open_memstream(&text, &size);
	kd_decoder_feed(d, KD_DECODE_FROM_TARGET, 0, packet, sizeof(packet));
	fclose(seen.text);
	assert_int_equal(seen.n_of[KD_DECODE_PACKET], 1);
	assert_true(seen.records[0].has_problem);
	assert_non_null(strstr(text, "(payload is shorter than its type)"));
	assert_non_null(strstr(text, "undecoded.bytes 30 30 00"));
	free(text);
	kd_decoder_destroy(d);
}

static void test_text_output(void **state)
{
	struct kd_decoder *d = start(false);
	char *text = NULL;
	size_t size = 0;

	(void)state;
	seen.text = open_memstream(&text, &size);
	feed_boot(d, 5000);
	fclose(seen.text);
	assert_non_null(strstr(text, "    1 0.000000 T>D 80800800 IO_PRINT_STRING text=\"Hi\\n\"\n"
				     "\tdebug_io.api 0x3230 IO_PRINT_STRING\n"
				     "\tdebug_io.processor_level 6\n"
				     "\tdebug_io.processor 0\n"
				     "\tdebug_io.length_of_string 3\n"
				     "\tdebug_io.length_of_string_read 0\n"
				     "\tdata.text \"Hi\\n\"\n"));
	assert_non_null(strstr(text, "    6 0.000005 D>T 80800001 READ_VIRTUAL"));
	free(text);
	kd_decoder_destroy(d);
}

static void check_json_line(const char *line)
{
	json_error_t error;
	json_t *o = json_loads(line, JSON_ALLOW_NUL, &error);
	const char *kind, *bytes;
	size_t covered = 0, i;
	json_t *field, *fields;

	if (!o)
		fail_msg("%s in %.200s", error.text, line);
	kind = json_string_value(json_object_get(o, "kind"));
	bytes = json_string_value(json_object_get(o, "bytes"));
	fields = json_object_get(o, "fields");
	assert_non_null(kind);
	assert_non_null(bytes);
	assert_true(json_is_array(fields));
	json_array_foreach(fields, i, field)
	{
		assert_int_equal(json_integer_value(json_object_get(field, "offset")), covered);
		covered += (size_t)json_integer_value(json_object_get(field, "size"));
	}
	if (strcmp(kind, "packet") == 0) /* header and payload; the trailer is no field */
		assert_true(covered == strlen(bytes) / 2 || covered + 1 == strlen(bytes) / 2);
	else
		assert_int_equal(covered, 0);
	json_decref(o);
}

/* Every known message, and junk between them. */
static void feed_everything(struct kd_decoder *d)
{
	for (size_t i = 0; i < n_wire_vectors; i++) {
		uint8_t bytes[KD_PACKET_MAX];
		size_t n = wire_hex(bytes, sizeof(bytes), wire_vectors[i].hex);

		kd_decoder_feed(d,
				wire_vectors[i].sender == WIRE_FROM_TARGET ? KD_DECODE_FROM_TARGET
									   : KD_DECODE_TO_TARGET,
				i, bytes, n);
		kd_decoder_feed(d, KD_DECODE_FROM_TARGET, i, "\x80\xFF\x00\"\\\n", 6);
		kd_decoder_feed(d, KD_DECODE_TO_TARGET, i, "b", 1);
		kd_decoder_feed(d, KD_DECODE_FROM_TARGET, i, bytes, n / 2 + 8);
	}
	kd_decoder_note(d, n_wire_vectors, "link down: gone", 15);
	kd_decoder_finish(d);
}

/* A strict reader takes every line. */
static void test_json_output(void **state)
{
	struct kd_decoder *d = start(true);
	char *text = NULL, *line, *rest;
	size_t size = 0, n_lines = 0;

	(void)state;
	seen.json = open_memstream(&text, &size);
	feed_everything(d);
	fclose(seen.json);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		check_json_line(line);
		n_lines++;
	}
	assert_int_equal(n_lines, seen.n);
	assert_true(seen.n_of[KD_DECODE_PACKET] >= n_wire_vectors);
	assert_true(seen.n_of[KD_DECODE_DAMAGED] > 0);
	assert_int_equal(seen.n_of[KD_DECODE_BREAK_IN], n_wire_vectors);
	free(text);
	kd_decoder_destroy(d);
}

/* With "--json" in place of the tests: for scripts/check-json. */
static int print_everything(void)
{
	struct kd_decoder *d = start(true);

	seen.json = stdout;
	feed_everything(d);
	kd_decoder_destroy(d);
	return 0;
}

static void test_json_values(void **state)
{
	static const char file[] = "30340000 00000000 00*56 5c00 4100 e900 3dd8 00de 00d8 0000";
	struct kd_decoder *d = start(true);
	uint8_t packet[KD_PACKET_MAX] = { 0x30, 0x30, 0x30, 0x30, 11 };
	char *text = NULL;
	size_t size = 0, n = wire_hex(packet + KD_HDR_SIZE, 4000, file);

	(void)state;
	kd_put16(packet + 6, (uint16_t)n);
	kd_put32(packet + 12, kd_checksum(packet + KD_HDR_SIZE, n));
	seen.json = open_memstream(&text, &size);
	kd_decoder_feed(d, KD_DECODE_FROM_TARGET, 0, packet, KD_HDR_SIZE + n);
	fclose(seen.json);
	assert_non_null(strstr(text, "\"value\":\"\\\\A\xC3\xA9\xF0\x9F\x98\x80\xEF\xBF\xBD\""));
	assert_non_null(strstr(text, "\"code\":\"0x3430\",\"name\":\"FILE_CREATE\""));
	assert_non_null(strstr(text, "\"name\":\"status\",\"offset\":20,\"size\":4,"
				     "\"value\":\"0x0\",\"text\":\"SUCCESS\""));
	assert_non_null(strstr(text, "\"name\":\"length\",\"offset\":6,\"size\":2,\"value\":78"));
	free(text);
	kd_decoder_destroy(d);
}

static void count_field(void *ctx, const struct kd_decode_field *field)
{
	size_t *end = ctx;

	assert_int_equal(field->offset, *end);
	assert_non_null(field->text);
	*end += field->size;
}

static void see_fields(void *ctx, const struct kd_decode_record *r)
{
	size_t end = 0;

	kd_decode_fields(r, count_field, &end);
	*(size_t *)ctx += end;
}

static void test_fields(void **state)
{
	struct kd_decoder_config config = KD_DECODER_CONFIG_INIT;
	struct kd_decoder *d = NULL;
	uint8_t bytes[KD_PACKET_MAX];
	size_t total = 0, size = vector("K15", bytes);

	(void)state;
	config.fn = see_fields;
	config.ctx = &total;
	config.is_datagrams = true;
	assert_int_equal(kd_decoder_create(&config, &d, NULL), KD_OK);
	kd_decoder_feed(d, KD_DECODE_FROM_TARGET, 0, bytes, size);
	assert_int_equal(total, size);
	kd_decoder_feed(d, KD_DECODE_FROM_TARGET, 0, "noise\n", 6);
	assert_int_equal(total, size);
	kd_decoder_destroy(d);
}

/* A recording as lib/io writes it; link_type 1 is Ethernet, which is none of ours. */
static void write_recording(const char *path, uint16_t link_type)
{
	struct kd_pcapng_packet p = { .comment = "link up", .time_ns = 5000000000 };
	struct kd_pcapng_writer *w = NULL;
	uint8_t bytes[KD_PACKET_MAX];

	assert_int_equal(kd_pcapng_writer_create(path, "test", NULL, 100, &w, NULL), KD_OK);
	assert_int_equal(kd_pcapng_add_interface(w, link_type, "t", NULL, &p.interface_id, NULL),
			 KD_OK);
	assert_int_equal(kd_pcapng_write(w, &p, NULL), KD_OK);
	p.comment = NULL;
	p.data = bytes;
	p.size = vector("S1", bytes);
	p.direction = KD_PCAPNG_INBOUND;
	p.time_ns++;
	assert_int_equal(kd_pcapng_write(w, &p, NULL), KD_OK);
	p.size = vector("S2", bytes);
	p.direction = KD_PCAPNG_OUTBOUND;
	p.time_ns += 2000;
	assert_int_equal(kd_pcapng_write(w, &p, NULL), KD_OK);
	assert_int_equal(kd_pcapng_writer_close(w, NULL), KD_OK);
}

static enum kd_status decode_file(const char *path, struct kd_error *err)
{
	struct kd_decoder_config config = KD_DECODER_CONFIG_INIT;

	memset(&seen, 0, sizeof(seen));
	config.fn = see;
	config.ctx = &seen;
	return kd_decode_file(path, &config, err);
}

static void test_files(void **state)
{
	char folder[] = "/tmp/test_kd_decode.XXXXXX", path[64];
	struct kd_error err;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a.pcapng", folder);
	assert_int_equal(decode_file(path, &err), KD_E_NOT_FOUND);
	assert_non_null(strstr(err.text, path));

	write_recording(path, KD_LINKTYPE_USER0);
	assert_int_equal(decode_file(path, &err), KD_OK);
	assert_int_equal(seen.n, 3);
	assert_string_equal(seen.records[0].summary, "\"link up\"");
	assert_string_equal(seen.records[1].summary, "IO_PRINT_STRING text=\"Hi\\n\"");
	assert_int_equal(seen.records[1].direction, KD_DECODE_FROM_TARGET);
	assert_int_equal(seen.records[2].type, KD_PACKET_ACKNOWLEDGE);
	assert_int_equal(seen.records[2].direction, KD_DECODE_TO_TARGET);

	/* the recorder was killed while it wrote the last block */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 10), 0);
	assert_int_equal(decode_file(path, &err), KD_E_TRUNCATED);
	assert_int_equal(seen.n, 2);

	write_recording(path, 1);
	assert_int_equal(decode_file(path, &err), KD_E_UNSUPPORTED);
	assert_int_equal(seen.n, 0);
	assert_int_equal(truncate(path, 3), 0);
	assert_int_not_equal(decode_file(path, &err), KD_OK);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void test_bad_configurations(void **state)
{
	struct kd_decoder_config config = KD_DECODER_CONFIG_INIT;
	struct kd_decoder *d = NULL;

	(void)state;
	assert_int_equal(kd_decoder_create(&config, &d, NULL), KD_E_INVALID);
	config.fn = see;
	config.size--;
	assert_int_equal(kd_decoder_create(&config, &d, NULL), KD_E_INVALID);
	assert_null(d);
	kd_decoder_destroy(NULL);
}

/* Random bytes with packets strewn in: nothing is lost, nothing said twice. */
static void test_junk(void **state)
{
	struct kd_decoder *d = start(false);
	static uint8_t junk[BIG];
	uint8_t packet[KD_PACKET_MAX];
	size_t size = vector("S6", packet), at = 0;
	uint32_t random = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(junk); i++) {
		random = random * 1664525u + 1013904223u;
		/* often leader bytes, the worst case for the hunt */
		junk[i] = random >> 28 < 5   ? 0x30
			  : random >> 28 < 9 ? 0x69
					     : (uint8_t)(random >> 20);
		if ((random >> 8) % 1000 == 0 && i + size < sizeof(junk)) {
			memcpy(junk + i, packet, size);
			i += size - 1;
		}
	}
	while (at < sizeof(junk)) {
		size_t n = 1 + (random >> 16) % 600;

		random = random * 1664525u + 1013904223u;
		n = n < sizeof(junk) - at ? n : sizeof(junk) - at;
		kd_decoder_feed(d, random >> 31 ? KD_DECODE_TO_TARGET : KD_DECODE_FROM_TARGET, at,
				junk + at, n);
		at += n;
	}
	kd_decoder_finish(d);
	assert_int_equal(seen.next_offset[0] + seen.next_offset[1], sizeof(junk));
	assert_true(seen.n > 1000);
	kd_decoder_destroy(d);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_conversation_in_any_chunks),
		cmocka_unit_test(test_text_and_leader_runs_before_a_packet),
		cmocka_unit_test(test_break_in),
		cmocka_unit_test(test_a_lost_byte_costs_one_packet),
		cmocka_unit_test(test_turned_bits_are_damage),
		cmocka_unit_test(test_repeats_are_marked),
		cmocka_unit_test(test_machine_is_learnt),
		cmocka_unit_test(test_notes_end_packets),
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_bad_payload_is_reported),
		cmocka_unit_test(test_text_output),
		cmocka_unit_test(test_json_output),
		cmocka_unit_test(test_json_values),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_bad_configurations),
		cmocka_unit_test(test_junk),
	};

	if (argc > 1 && strcmp(argv[1], "--json") == 0)
		return print_everything();
	return cmocka_run_group_tests_name("kd decode", tests, NULL, NULL);
}
