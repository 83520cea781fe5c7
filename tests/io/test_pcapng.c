/* SPDX-License-Identifier: MIT */
/* Recordings: written by us and read by us, by capinfos and by tshark; foreign and damaged files.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/bytes.h"
#include "lib/io/pcapng.h"
#include "tests/io/io_check.h"

static struct kd_error err;

static const uint8_t hello[] = "hello";

static const struct kd_pcapng_packet samples[] = {
	{ .direction = KD_PCAPNG_OUTBOUND,
	  .time_ns = 1700000000123456789u,
	  .data = hello,
	  .size = 5 },
	{ .direction = KD_PCAPNG_INBOUND,
	  .time_ns = 1700000000123456790u,
	  .data = hello,
	  .size = 4,
	  .original_size = 9,
	  .comment = "cut \xC3\xA4" },
	{ .direction = KD_PCAPNG_INBOUND, .time_ns = 1700000001000000000u, .comment = "link down" },
	{ .direction = KD_PCAPNG_UNKNOWN,
	  .time_ns = 1700000002000000001u,
	  .data = hello,
	  .size = 1,
	  .interface_id = 1 },
};

static struct kd_pcapng_writer *begin(const char *name)
{
	struct kd_pcapng_writer *w = NULL;
	uint32_t id;

	assert_status(KD_OK,
		      kd_pcapng_writer_create(io_path(name), "test 1", "about", 1000, &w, &err));
	assert_status(KD_OK, kd_pcapng_add_interface(w, KD_LINKTYPE_USER0, "unix:/tmp/x", "words",
						     &id, &err));
	assert_int_equal(id, 0);
	assert_status(KD_OK, kd_pcapng_add_interface(w, 1, "second", NULL, &id, &err));
	assert_int_equal(id, 1);
	return w;
}

static void write_samples(const char *name)
{
	struct kd_pcapng_writer *w = begin(name);

	for (size_t i = 0; i < KD_ARRAY_LEN(samples); i++)
		assert_status(KD_OK, kd_pcapng_write(w, &samples[i], &err));
	assert_status(KD_OK, kd_pcapng_writer_close(w, &err));
}

static void assert_sample(const struct kd_pcapng_packet *got, size_t i)
{
	const struct kd_pcapng_packet *want = &samples[i];

	assert_int_equal(got->interface_id, want->interface_id);
	assert_int_equal(got->link_type, want->interface_id ? 1 : KD_LINKTYPE_USER0);
	assert_int_equal(got->direction, want->direction);
	assert_true(got->time_ns == want->time_ns);
	assert_int_equal(got->size, want->size);
	assert_int_equal(got->original_size, KD_MAX(want->original_size, want->size));
	if (want->size)
		assert_memory_equal(got->data, want->data, want->size);
	assert_int_equal(got->comment_size, want->comment ? strlen(want->comment) : 0);
	if (want->comment)
		assert_memory_equal(got->comment, want->comment, got->comment_size);
}

static void test_round_trip(void **state)
{
	struct kd_pcapng_reader *r;
	struct kd_pcapng_packet p;
	struct stat st;

	(void)state;
	write_samples("a.pcapng");
	assert_int_equal(stat(io_path("a.pcapng"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_status(KD_OK, kd_pcapng_reader_open(io_path("a.pcapng"), &r, &err));
	assert_null(kd_pcapng_interface_name(r, 0));
	for (size_t i = 0; i < KD_ARRAY_LEN(samples); i++) {
		assert_status(KD_OK, kd_pcapng_next(r, &p, &err));
		assert_sample(&p, i);
	}
	assert_string_equal(kd_pcapng_interface_name(r, 0), "unix:/tmp/x");
	assert_string_equal(kd_pcapng_interface_name(r, 1), "second");
	assert_null(kd_pcapng_interface_name(r, 2));
	assert_status(KD_E_NOT_FOUND, kd_pcapng_next(r, &p, &err));
	assert_status(KD_E_NOT_FOUND, kd_pcapng_next(r, &p, &err));
	kd_pcapng_reader_destroy(r);
	kd_pcapng_reader_destroy(NULL);
}

static void test_capinfos_and_tshark(void **state)
{
	const char *out;
	int status;

	(void)state;
	if (!io_has_program("capinfos") || !io_has_program("tshark")) {
		print_message("skipped: capinfos and tshark are not installed (package tshark)\n");
		skip();
	}
	write_samples("b.pcapng");
	out = io_shell(io_text("capinfos -M %s", io_path("b.pcapng")), &status);
	assert_int_equal(status, 0);
	assert_non_null(strstr(out, "pcapng"));
	assert_non_null(strstr(out, "Number of packets:   4"));
	assert_non_null(strstr(out, "test 1"));
	assert_non_null(strstr(out, "Name = unix:/tmp/x"));
	assert_non_null(strstr(out, "Time precision = nanoseconds (9)"));
	assert_non_null(strstr(out, "Capture length = 262144"));
	out = io_shell(io_text("tshark -r %s -T fields -E separator=\"|\" -e frame.time_epoch "
			       "-e frame.cap_len -e frame.len -e frame.packet_flags_direction "
			       "-e frame.interface_name -e frame.comment 2>/dev/null",
			       io_path("b.pcapng")),
		       &status);
	assert_int_equal(status, 0);
	assert_string_equal(out, "1700000000.123456789|5|5|0x00000002|unix:/tmp/x|\n"
				 "1700000000.123456790|4|9|0x00000001|unix:/tmp/x|cut \xC3\xA4\n"
				 "1700000001.000000000|0|0|0x00000001|unix:/tmp/x|link down\n"
				 "1700000002.000000001|1|1|0x00000000|second|\n");
}

static void test_old_file_survives(void **state)
{
	struct kd_pcapng_writer *w;
	uint8_t *bytes;
	size_t size;
	int status;
	pid_t pid;

	(void)state;
	io_write_file(io_path("c.pcapng"), "precious", 8);
	w = begin("c.pcapng");
	assert_status(KD_OK, kd_pcapng_write(w, &samples[0], &err));
	assert_status(KD_OK, kd_pcapng_flush(w, &err));
	kd_pcapng_writer_abort(w);
	bytes = io_read_file(io_path("c.pcapng"), &size);
	assert_string_equal((char *)bytes, "precious");
	free(bytes);

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		w = begin("c.pcapng");
		kd_pcapng_write(w, &samples[0], NULL);
		kd_pcapng_flush(w, NULL);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	bytes = io_read_file(io_path("c.pcapng"), &size);
	assert_string_equal((char *)bytes, "precious");
	free(bytes);
	/* And what the killed one had flushed can be read. */
	io_shell(io_text("mv %s/.c.pcapng.*.part %s", io_path(""), io_path("d.pcapng")), &status);
	assert_int_equal(status, 0);
	{
		struct kd_pcapng_reader *r;
		struct kd_pcapng_packet p;

		assert_status(KD_OK, kd_pcapng_reader_open(io_path("d.pcapng"), &r, &err));
		assert_status(KD_OK, kd_pcapng_next(r, &p, &err));
		assert_sample(&p, 0);
		assert_status(KD_E_NOT_FOUND, kd_pcapng_next(r, &p, &err));
		kd_pcapng_reader_destroy(r);
	}
}

static void test_writer_limits(void **state)
{
	static uint8_t big[KD_PCAPNG_DATA_MAX + 1];
	static char comment[2 * KD_PCAPNG_TEXT_MAX];
	struct kd_pcapng_packet p = { .data = big, .size = sizeof big }, got;
	struct kd_pcapng_writer *w = begin("e.pcapng");
	struct kd_pcapng_reader *r;
	uint32_t id;

	(void)state;
	assert_status(KD_E_TOO_BIG, kd_pcapng_write(w, &p, &err));
	p.size--;
	/* A text is cut between characters. */
	memset(comment, 'x', sizeof comment - 1);
	memcpy(comment + KD_PCAPNG_TEXT_MAX - 1, "\xC3\xA4", 2);
	p.comment = comment;
	for (int i = 0; i < 20; i++)
		assert_status(KD_OK, kd_pcapng_write(w, &p, &err));
	p.interface_id = 2;
	assert_status(KD_E_TOO_BIG, kd_pcapng_write(w, &p, &err));
	for (int i = 2; i < KD_PCAPNG_INTERFACES_MAX; i++)
		assert_status(KD_OK, kd_pcapng_add_interface(w, 1, "n", NULL, &id, &err));
	assert_status(KD_E_FULL, kd_pcapng_add_interface(w, 1, "n", NULL, &id, &err));
	assert_status(KD_OK, kd_pcapng_writer_close(w, &err));
	assert_status(KD_OK, kd_pcapng_reader_open(io_path("e.pcapng"), &r, &err));
	for (int i = 0; i < 20; i++) {
		assert_status(KD_OK, kd_pcapng_next(r, &got, &err));
		assert_int_equal(got.size, KD_PCAPNG_DATA_MAX);
		assert_int_equal(got.comment_size, KD_PCAPNG_TEXT_MAX - 1);
	}
	assert_status(KD_E_NOT_FOUND, kd_pcapng_next(r, &got, &err));
	kd_pcapng_reader_destroy(r);
}

static void test_no_place_to_write(void **state)
{
	struct kd_pcapng_writer *w;

	(void)state;
	assert_status(KD_E_NOT_FOUND, kd_pcapng_writer_create(io_path("no/such.pcapng"), "t", NULL,
							      1000, &w, &err));
	assert_says("no/such.pcapng");
	assert_status(KD_E_EXISTS, kd_pcapng_writer_create(io_path(""), "t", NULL, 1000, &w, &err));
	/* A full disk: a device that says so at the first byte. */
	assert_status(KD_E_IO, kd_pcapng_writer_create("/dev/full", "t", NULL, 1000, &w, &err));
	assert_says("No space");
}

/* --- FIFOs --- */

static void test_fifo(void **state)
{
	struct kd_pcapng_writer *w = NULL;
	struct kd_pcapng_reader *r;
	struct kd_pcapng_packet p;
	const char *fifo = io_path("fifo");
	static uint8_t bytes[4096];
	uint64_t start = kd_now_ns();
	uint32_t id;
	ssize_t n;
	int fd;

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_status(KD_E_TIMEOUT, kd_pcapng_writer_create(fifo, "t", NULL, 60, &w, &err));
	assert_says("nobody reads");
	assert_true(kd_now_ns() - start < (60 + LATE_MS) * 1000000ull);

	/* Live: the bytes are there without a flush. */
	fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_status(KD_OK, kd_pcapng_writer_create(fifo, "t", NULL, 1000, &w, &err));
	assert_status(KD_OK, kd_pcapng_add_interface(w, KD_LINKTYPE_USER0, "i", NULL, &id, &err));
	assert_status(KD_OK, kd_pcapng_write(w, &samples[0], &err));
	n = read(fd, bytes, sizeof bytes);
	assert_true(n > 0);
	assert_status(KD_OK, kd_pcapng_reader_open_memory(bytes, (size_t)n, &r, &err));
	assert_status(KD_OK, kd_pcapng_next(r, &p, &err));
	assert_sample(&p, 0);
	kd_pcapng_reader_destroy(r);

	/* The reader goes: the recording ends, the process does not. */
	close(fd);
	assert_status(KD_E_CLOSED, kd_pcapng_write(w, &samples[0], &err));
	assert_says("gone");
	assert_status(KD_E_CLOSED, kd_pcapng_write(w, &samples[0], &err));
	assert_status(KD_E_CLOSED, kd_pcapng_writer_close(w, &err));
	assert_int_equal(access(fifo, F_OK), 0);
}

/*
 * A reader that sleeps is waited for with 32 MB; beyond that it costs packets, never time, and
 * never half a packet.
 */
static void test_slow_fifo(void **state)
{
	enum { SENT = 4000 };
	static uint8_t data[10000], all[40 << 20];
	struct kd_pcapng_packet p = { .data = data, .size = sizeof data };
	struct kd_pcapng_writer *w = NULL;
	struct kd_pcapng_reader *r;
	struct kd_pcapng_counters c;
	const char *fifo = io_path("slow");
	uint64_t slowest = 0, seen = 0, first;
	size_t size = 0;
	uint32_t id, last = 0;
	int fd;

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0);
	fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_status(KD_OK, kd_pcapng_writer_create(fifo, "t", NULL, 1000, &w, &err));
	assert_status(KD_OK, kd_pcapng_add_interface(w, KD_LINKTYPE_USER0, "i", NULL, &id, &err));
	for (unsigned i = 0; i < SENT; i++) {
		uint64_t start = kd_now_ns();
		enum kd_status s;

		kd_put32(data, i);
		s = kd_pcapng_write(w, &p, &err);
		assert_true(s == KD_OK || s == KD_E_FULL);
		slowest = KD_MAX(slowest, kd_now_ns() - start);
	}
	assert_true(slowest < LATE_MS * 1000000ull);
	kd_pcapng_writer_counters(w, &c);
	assert_int_equal(c.packets + c.left_out, SENT);
	assert_true(c.packets >= 3200 && c.left_out >= 500);
	/* It wakes up: when there is room, later packets arrive again. */
	first = c.packets;
	for (int turn = 0; turn < 1000 && c.packets < first + 10; turn++) {
		enum kd_status s;
		ssize_t n;

		while ((n = read(fd, all + size, sizeof all - size)) > 0)
			size += (size_t)n;
		kd_put32(data, SENT);
		s = kd_pcapng_write(w, &p, &err);
		assert_true(s == KD_OK || s == KD_E_FULL);
		kd_pcapng_writer_counters(w, &c);
	}
	assert_int_equal(c.packets, first + 10);
	for (int turn = 0; turn < 1000; turn++) {
		for (ssize_t n; (n = read(fd, all + size, sizeof all - size)) > 0;)
			size += (size_t)n;
		assert_status(KD_OK, kd_pcapng_flush(w, &err));
	}
	/* The rest fits into the pipe now. */
	assert_status(KD_OK, kd_pcapng_writer_close(w, &err));
	for (ssize_t n; (n = read(fd, all + size, sizeof all - size)) > 0;)
		size += (size_t)n;
	close(fd);
	assert_status(KD_OK, kd_pcapng_reader_open_memory(all, size, &r, &err));
	while (kd_pcapng_next(r, &p, &err) == KD_OK) {
		assert_int_equal(p.size, sizeof data);
		assert_in_range(kd_get32(p.data), last, SENT);
		last = kd_get32(p.data);
		seen++;
	}
	assert_int_equal(err.status, KD_E_NOT_FOUND);
	assert_int_equal(seen, c.packets);
	kd_pcapng_reader_destroy(r);
}

/* --- foreign files, put together by hand --- */

struct build {
	uint8_t bytes[4096];
	size_t n;
	bool big;
};

static void b32(struct build *b, uint32_t v)
{
	kd_put32(b->bytes + b->n, b->big ? __builtin_bswap32(v) : v);
	b->n += 4;
}

static void b16(struct build *b, uint16_t v)
{
	kd_put16(b->bytes + b->n, b->big ? __builtin_bswap16(v) : v);
	b->n += 2;
}

static void b_section(struct build *b)
{
	b32(b, 0x0A0D0D0A);
	b32(b, 28);
	b32(b, 0x1A2B3C4D);
	b16(b, 1);
	b16(b, 0);
	b32(b, UINT32_MAX);
	b32(b, UINT32_MAX);
	b32(b, 28);
}

static void b_interface(struct build *b, uint16_t link_type, uint32_t snap, int resolution,
			uint64_t offset)
{
	uint32_t size = 20 + (resolution >= 0 ? 8 : 0) + (offset ? 12 : 0) + 4;

	b32(b, 1);
	b32(b, size);
	b16(b, link_type);
	b16(b, 0);
	b32(b, snap);
	if (resolution >= 0) {
		b16(b, 9);
		b16(b, 1);
		b->bytes[b->n] = (uint8_t)resolution;
		b->n += 4;
	}
	if (offset) {
		b16(b, 14);
		b16(b, 8);
		b32(b, (uint32_t)(b->big ? offset >> 32 : offset));
		b32(b, (uint32_t)(b->big ? offset : offset >> 32));
	}
	b16(b, 0);
	b16(b, 0);
	b32(b, size);
}

static void b_packet(struct build *b, uint32_t interface, uint64_t time, uint32_t size)
{
	uint32_t padded = (size + 3) / 4 * 4;

	b32(b, 6);
	b32(b, 32 + padded);
	b32(b, interface);
	b32(b, (uint32_t)(time >> 32));
	b32(b, (uint32_t)time);
	b32(b, size);
	b32(b, size);
	memset(b->bytes + b->n, 0x42, size);
	b->n += padded;
	b32(b, 32 + padded);
}

static void b_other(struct build *b, uint32_t type, uint32_t words)
{
	b32(b, type);
	b32(b, 12 + 4 * words);
	b->n += 4 * (size_t)words;
	b32(b, 12 + 4 * words);
}

static enum kd_status first_of(const struct build *b, struct kd_pcapng_packet *p)
{
	struct kd_pcapng_reader *r;
	enum kd_status s = kd_pcapng_reader_open_memory(b->bytes, b->n, &r, &err);

	if (s != KD_OK)
		return s;
	s = kd_pcapng_next(r, p, &err);
	kd_pcapng_reader_destroy(r);
	return s;
}

static void test_both_byte_orders(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		struct build b = { .big = big };
		struct kd_pcapng_packet p;

		b_section(&b);
		b_other(&b, 0x0BAD, 3); /* custom, name resolution, statistics: skipped */
		b_other(&b, 4, 0);
		b_interface(&b, 147, 0, -1, 0);
		b_other(&b, 5, 5);
		b_packet(&b, 0, 0x600000000u, 5);
		assert_status(KD_OK, first_of(&b, &p));
		assert_int_equal(p.link_type, 147);
		assert_int_equal(p.size, 5);
		assert_true(p.time_ns == 0x600000000u * 1000); /* microseconds unless said */
		assert_int_equal(p.direction, KD_PCAPNG_UNKNOWN);
	}
}

static void test_time_resolutions(void **state)
{
	static const struct {
		int resolution;
		uint64_t offset, units, want;
	} rows[] = {
		{ 0, 0, 12, 12000000000u },
		{ 3, 0, 1234, 1234000000u },
		{ 9, 0, 1700000000123456789u, 1700000000123456789u },
		{ 12, 0, 1234567890123u, 1234567890u },
		{ 127, 0, 5, 0 },
		{ 0x80, 0, 3, 3000000000u },
		{ 0x81, 0, 3, 1500000000u },
		{ 0x8A, 0, 1024 + 512, 1500000000u },
		{ 0xC0, 0, UINT64_MAX, 999999999u },
		{ 0xFF, 0, UINT64_MAX, 0 },
		{ 9, 100, 5, 100000000005u },
		{ 9, (uint64_t)-1, 3000000000u, 2000000000u },
	};

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		struct build b = { 0 };
		struct kd_pcapng_packet p;

		b_section(&b);
		b_interface(&b, 147, 0, rows[i].resolution, rows[i].offset);
		b_packet(&b, 0, rows[i].units, 0);
		assert_status(KD_OK, first_of(&b, &p));
		if (p.time_ns != rows[i].want)
			fail_msg("row %zu: %llu", i, (unsigned long long)p.time_ns);
	}
}

static void test_simple_packets_and_sections(void **state)
{
	struct build b = { 0 };
	struct kd_pcapng_reader *r;
	struct kd_pcapng_packet p;

	(void)state;
	b_section(&b);
	b_interface(&b, 7, 3, -1, 0);
	b32(&b, 3); /* simple packet, cut by the snap length */
	b32(&b, 20);
	b32(&b, 100);
	memcpy(b.bytes + b.n, "abc", 3);
	b.n += 4;
	b32(&b, 20);
	b.big = true; /* a new section forgets interfaces and byte order */
	b_section(&b);
	b_packet(&b, 0, 0, 1);
	assert_status(KD_OK, kd_pcapng_reader_open_memory(b.bytes, b.n, &r, &err));
	assert_status(KD_OK, kd_pcapng_next(r, &p, &err));
	assert_int_equal(p.size, 3);
	assert_memory_equal(p.data, "abc", 3);
	assert_int_equal(p.original_size, 100);
	assert_int_equal(p.link_type, 7);
	assert_status(KD_E_MALFORMED, kd_pcapng_next(r, &p, &err));
	assert_says("not described");
	kd_pcapng_reader_destroy(r);
}

static void test_refused(void **state)
{
	static const struct {
		const char *why;
		size_t offset; /* of a 32-bit field to be overwritten, behind the section */
		uint32_t value;
		enum kd_status want;
		const char *says;
	} rows[] = {
		{ "length not a multiple of 4", 32, 33, KD_E_MALFORMED, "impossible length" },
		{ "length below the frame", 32, 8, KD_E_MALFORMED, "impossible length" },
		{ "length above the limit", 32, 0x7FFFFFF0, KD_E_TOO_BIG, "offset 28" },
		{ "length beyond the end", 32, 0x1000, KD_E_TRUNCATED, "offset 28" },
		{ "tail differs", 48, 4, KD_E_MALFORMED, "two different lengths" },
		{ "packet longer than its block", 28 + 24 + 20, 400, KD_E_MALFORMED, "longer" },
		{ "packet above the limit", 28 + 24 + 20, 0xFFFFFFFF, KD_E_TOO_BIG, "4294967295" },
		{ "no such interface", 28 + 24 + 8, 1, KD_E_MALFORMED, "not described" },
	};
	struct build good = { 0 };
	struct kd_pcapng_packet p;

	(void)state;
	b_section(&good);
	b_interface(&good, 147, 0, -1, 0);
	b_packet(&good, 0, 0, 8);
	assert_status(KD_OK, first_of(&good, &p));
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		struct build b = good;

		kd_put32(b.bytes + rows[i].offset, rows[i].value);
		err.text[0] = '\0';
		if (first_of(&b, &p) != rows[i].want)
			fail_msg("%s: %s", rows[i].why, err.text);
		assert_says(rows[i].says);
	}
	{
		struct build b = { 0 };

		assert_status(KD_E_MALFORMED, first_of(&b, &p));
		assert_says("empty");
		io_write_file(io_path("text"), "this is a text file, not a recording", 36);
	}
	{
		struct kd_pcapng_reader *r;

		assert_status(KD_E_MALFORMED, kd_pcapng_reader_open(io_path("text"), &r, &err));
		assert_says("not a pcapng file");
		assert_status(KD_E_NOT_FOUND, kd_pcapng_reader_open(io_path("none"), &r, &err));
		assert_status(KD_E_IO, kd_pcapng_reader_open(io_path(""), &r, &err));
	}
}

/* Every truncation ends with what came before it; every flipped bit ends somehow. */
static void test_damage(void **state)
{
	uint8_t *bytes;
	size_t size;

	(void)state;
	write_samples("f.pcapng");
	bytes = io_read_file(io_path("f.pcapng"), &size);
	for (size_t n = 0; n < size; n++) {
		struct kd_pcapng_reader *r;
		struct kd_pcapng_packet p;
		size_t seen = 0;
		enum kd_status s = kd_pcapng_reader_open_memory(bytes, n, &r, &err);

		if (s != KD_OK) {
			assert_int_equal(s, KD_E_MALFORMED);
			continue;
		}
		while ((s = kd_pcapng_next(r, &p, &err)) == KD_OK)
			assert_sample(&p, seen++);
		assert_true(s == KD_E_TRUNCATED || s == KD_E_NOT_FOUND);
		assert_true(seen < KD_ARRAY_LEN(samples));
		kd_pcapng_reader_destroy(r);
	}
	for (size_t bit = 0; bit < size * 8; bit++) {
		struct kd_pcapng_reader *r;
		struct kd_pcapng_packet p;
		size_t seen = 0;

		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (kd_pcapng_reader_open_memory(bytes, size, &r, &err) == KD_OK) {
			while (kd_pcapng_next(r, &p, &err) == KD_OK)
				seen++;
			assert_true(seen <= KD_ARRAY_LEN(samples));
			kd_pcapng_reader_destroy(r);
		}
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(bytes);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_capinfos_and_tshark),
		cmocka_unit_test(test_old_file_survives),
		cmocka_unit_test(test_writer_limits),
		cmocka_unit_test(test_no_place_to_write),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_slow_fifo),
		cmocka_unit_test(test_both_byte_orders),
		cmocka_unit_test(test_time_resolutions),
		cmocka_unit_test(test_simple_packets_and_sections),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
