/* SPDX-License-Identifier: MIT */
/* Sessions recorded with the tap, looked at with tshark, and played back with replay:. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io/packet_scan.h"
#include "lib/io/pcapng.h"
#include "tests/io/io_debugger.h"

enum { PAGE = 1024, PAGES = 8 };

static struct io_debugger d;
static struct kd_error err;

/* What was read from the real target, to be read again from its recording. */
static uint64_t base;
static uint8_t pages[PAGES][PAGE];
static char text_seen[sizeof d.text];

static void read_pages(uint8_t out[PAGES][PAGE])
{
	for (unsigned i = 0; i < PAGES; i++)
		assert_true(io_debugger_read(&d, base + i * PAGE, out[i], PAGE));
}

static struct kd_transport *open_recorded(const char *endpoint, const char *path)
{
	struct kd_open_options options = { .record_path = path };
	struct kd_transport *t = NULL;

	assert_status(KD_OK, kd_transport_open_text(endpoint, &options, &t, &err));
	return t;
}

/* Boot stop, reads, go, a print, a break-in, reads. */
static void record_session(void)
{
	struct io_child target = io_fake_target(io_path("vm"), "--stop-at-boot");

	io_debugger_init(&d, open_recorded(io_text("unix:%s", io_path("vm")), io_path("s.pcapng")));
	io_debugger_stop(&d);
	base = io_debugger_kernel_base(&d);
	read_pages(pages);
	io_debugger_go(&d);
	io_child_say(&target, "print recorded words");
	io_debugger_wait_text(&d, "recorded words");
	io_debugger_stop(&d);
	assert_true(io_debugger_read(&d, base, pages[0], PAGE));
	memcpy(text_seen, d.text, sizeof text_seen);
	assert_status(KD_OK, kd_transport_tap_status(d.transport, &err));
	/* Until it is complete, there is no such file. */
	assert_int_equal(access(io_path("s.pcapng"), F_OK), -1);
	io_debugger_deinit(&d);
	io_child_kill(&target, SIGTERM);
}

/* Bytes of one direction of a recording. */
static size_t bytes_of(const char *path, enum kd_pcapng_direction direction, uint8_t *out,
		       size_t cap, unsigned *n_markers)
{
	struct kd_pcapng_reader *r;
	struct kd_pcapng_packet p;
	size_t n = 0;

	*n_markers = 0;
	assert_status(KD_OK, kd_pcapng_reader_open(path, &r, &err));
	while (kd_pcapng_next(r, &p, &err) == KD_OK) {
		assert_int_equal(p.link_type, KD_LINKTYPE_USER0);
		*n_markers += p.size == 0;
		if (p.direction != direction)
			continue;
		assert_true(n + p.size <= cap);
		memcpy(out + n, p.data, p.size);
		n += p.size;
	}
	assert_int_equal(err.status, KD_E_NOT_FOUND);
	kd_pcapng_reader_destroy(r);
	return n;
}

static void test_recording(void **state)
{
	static uint8_t bytes[1 << 20];
	struct kd__packet_scan scan = { .n = 0 };
	struct kd__scan_item item;
	unsigned n_markers, n_data = 0, n_reset = 0, n_break = 0;
	struct stat st;
	size_t n;

	(void)state;
	record_session();
	assert_int_equal(stat(io_path("s.pcapng"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	n = bytes_of(io_path("s.pcapng"), KD_PCAPNG_OUTBOUND, bytes, sizeof bytes, &n_markers);
	assert_int_equal(n_markers, 1); /* "link up"; nobody hung up */
	for (size_t at = 0; at < n;) {
		at += kd__packet_scan(&scan, bytes + at, n - at, &item);
		n_data += item.kind == KD__SCAN_DATA;
		n_break += item.kind == KD__SCAN_BREAKIN;
		n_reset += item.kind == KD__SCAN_CONTROL && item.hdr.type == KD_PACKET_RESET;
	}
	/* version, pages, continue, one page more */
	assert_int_equal(n_data, 1 + PAGES + 1 + 1);
	assert_true(n_reset >= 1 && n_break == 1);
	n = bytes_of(io_path("s.pcapng"), KD_PCAPNG_INBOUND, bytes, sizeof bytes, &n_markers);
	assert_non_null(memmem(bytes, n, "recorded words", 14));
}

static void test_recording_in_tshark(void **state)
{
	const char *out;
	int status;

	(void)state;
	if (!io_has_program("tshark")) {
		print_message("skipped: tshark is not installed (package tshark)\n");
		skip();
	}
	out = io_shell(io_text("capinfos %s", io_path("s.pcapng")), &status);
	assert_int_equal(status, 0);
	assert_non_null(strstr(out, io_text("Name = unix:%s", io_path("vm"))));
	assert_non_null(strstr(out, "Capture application: OpenKD"));
	assert_non_null(strstr(out, "USER 0"));
	assert_non_null(strstr(out, "docs/recording-format.md"));
	assert_non_null(strstr(out, "Strict time order:   True"));
	/* One packet holds the words of the print, inbound. */
	out = io_shell(io_text("tshark -r %s -Y 'frame contains \"recorded words\"' -T fields "
			       "-e frame.packet_flags_direction 2>/dev/null",
			       io_path("s.pcapng")),
		       &status);
	assert_int_equal(status, 0);
	assert_string_equal(out, "0x00000001\n");
}

/* --- playing back --- */

static struct kd_replay_counters counters(void)
{
	struct kd_replay_counters c;

	assert_int_equal(kd_transport_replay_counters(d.transport, &c), KD_OK);
	return c;
}

static void test_replay(void **state)
{
	uint8_t again[PAGES][PAGE];
	struct kd_replay_counters c;

	(void)state;
	io_debugger_init(&d, io_open(io_text("replay:%s", io_path("s.pcapng"))));
	assert_true(kd_transport_info(d.transport)->is_replay);
	io_debugger_stop(&d);
	assert_true(io_debugger_kernel_base(&d) == base);
	read_pages(again);
	assert_memory_equal(again, pages, sizeof pages);
	io_debugger_go(&d);
	io_debugger_wait_text(&d, "recorded words");
	io_debugger_stop(&d);
	assert_true(io_debugger_read(&d, base, again[0], PAGE));
	assert_memory_equal(again, pages, sizeof pages);
	assert_string_equal(d.text, text_seen);
	assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(LIMIT_MS)), KD_E_CLOSED);
	assert_non_null(strstr(d.err.text, "end of the recording"));
	c = counters();
	assert_int_equal(c.expected, 1 + PAGES + 1 + 1);
	assert_int_equal(c.written, c.expected);
	assert_int_equal(c.equal, c.expected);
	assert_int_equal(c.first_difference, 0);
	assert_true(c.at_end);
	io_debugger_deinit(&d);
}

static bool same_api(void *context, uint16_t type, const uint8_t *a, size_t a_size,
		     const uint8_t *b, size_t b_size)
{
	unsigned *n = context;

	++*n;
	return type == KD_PACKET_STATE_MANIPULATE && a_size >= 4 && b_size >= 4 &&
	       kd_get32(a) == kd_get32(b);
}

/* Another question than the recorded one: counted, its place told, and its answer is the old one.
 */
static void test_replay_of_other_questions(void **state)
{
	uint8_t page[PAGE];
	struct kd_replay_counters c;
	unsigned n_compared = 0;

	(void)state;
	for (int lenient = 0; lenient < 2; lenient++) {
		io_debugger_init(&d, io_open(io_text("replay:%s", io_path("s.pcapng"))));
		if (lenient)
			assert_int_equal(
				kd_transport_replay_set_compare(d.transport, same_api, &n_compared),
				KD_OK);
		io_debugger_stop(&d);
		assert_true(io_debugger_kernel_base(&d) == base);
		assert_true(io_debugger_read(&d, base + 0x123000, page, PAGE));
		assert_memory_equal(page, pages[0], PAGE);
		c = counters();
		assert_int_equal(c.written, 2);
		assert_int_equal(c.equal, lenient ? 2 : 1);
		assert_true(lenient ? c.first_difference == 0 : c.first_difference > 0);
		assert_false(c.at_end);
		io_debugger_deinit(&d);
	}
	assert_int_equal(n_compared, 2);
}

/* No answer before its question, however long it takes. */
static void test_replay_waits(void **state)
{
	struct kd_manipulate m;

	(void)state;
	io_debugger_init(&d, io_open(io_text("replay:%s", io_path("s.pcapng"))));
	io_debugger_stop(&d);
	assert_int_equal(io_debugger_step(&d, kd_deadline_after_ms(500)), KD_E_TIMEOUT);
	assert_false(d.has_reply);
	kd_manipulate_init(&m, KD_API_GET_VERSION, 0, 0);
	assert_true(io_debugger_request(&d, &m, 500));
	io_debugger_deinit(&d);
}

/* A debugger that says nothing at all gets what came before the first question. */
static void test_replay_to_a_silent_debugger(void **state)
{
	struct kd_replay_counters c;
	struct kd_transport *t = io_open(io_text("replay:%s", io_path("s.pcapng")));
	uint8_t buf[4096];
	uint64_t until = kd_deadline_after_ms(1000);
	size_t n, total = 0;

	(void)state;
	while (kd_now_ns() < until) {
		if (kd_transport_read(t, buf, sizeof buf, &n, &err) == KD_OK)
			total += n;
		else
			kd_transport_wait(t, until, NULL, NULL);
	}
	assert_in_range(total, 16, 1000);
	assert_int_equal(kd_transport_replay_counters(t, &c), KD_OK);
	assert_int_equal(c.waits_given_up, 1); /* the RESET */
	assert_int_equal(c.written, 0);
	kd_transport_destroy(t);
}

static void test_no_recording(void **state)
{
	struct kd_transport *t = NULL;
	struct kd_replay_counters c;

	(void)state;
	assert_status(KD_E_NOT_FOUND, kd_transport_open_text(io_text("replay:%s", io_path("none")),
							     NULL, &t, &err));
	io_write_file(io_path("text"), "not a recording at all, only words", 34);
	assert_status(KD_E_MALFORMED, kd_transport_open_text(io_text("replay:%s", io_path("text")),
							     NULL, &t, &err));
	t = io_open("pty:");
	assert_int_equal(kd_transport_replay_counters(t, &c), KD_E_NOT_FOUND);
	assert_status(KD_E_NOT_FOUND, kd_transport_tap_status(t, &err));
	assert_status(KD_E_NOT_FOUND, kd_transport_tap_finish(t, &err));
	kd_transport_destroy(t);
}

/* A recorder that was killed: what there is can be played, and says where it breaks off. */
static void test_replay_of_a_cut_recording(void **state)
{
	uint8_t *bytes;
	size_t size, n;
	struct kd_transport *t;
	uint8_t buf[4096];
	enum kd_status s;

	(void)state;
	bytes = io_read_file(io_path("s.pcapng"), &size);
	io_write_file(io_path("cut.pcapng"), bytes, size / 2 + 1);
	free(bytes);
	t = io_open(io_text("replay:%s", io_path("cut.pcapng")));
	io_debugger_init(&d, t);
	io_debugger_stop(&d);
	io_debugger_kernel_base(&d);
	while (io_debugger_read(&d, base, buf, PAGE))
		;
	while ((s = kd_transport_read(t, buf, sizeof buf, &n, &err)) == KD_OK || s == KD_E_AGAIN)
		;
	assert_status(KD_E_CLOSED, s);
	assert_says("breaks off");
	io_debugger_deinit(&d);
}

/* Ends and beginnings of connections are recorded and played. */
static void test_reconnections(void **state)
{
	int listener = io_unix_listen(io_path("re"));
	struct kd_transport *t = open_recorded(io_text("unix:%s,reconnect", io_path("re")),
					       io_path("re.pcapng"));
	static uint8_t bytes[4096];
	unsigned n_markers;

	(void)state;
	for (int i = 0; i < 3; i++) {
		int peer = io_accept(listener);

		io_until_up(t, true);
		assert_int_equal(send(peer, "abc", 3, 0), 3);
		close(peer);
		io_read_all(t, bytes, 3);
		assert_status(KD_E_CLOSED, io_read_to_end(t, &err));
		io_until_up(t, true);
	}
	assert_int_equal(kd_transport_info(t)->generation, 4);
	assert_status(KD_OK, kd_transport_tap_finish(t, &err));
	assert_status(KD_E_NOT_FOUND, kd_transport_tap_finish(t, &err));
	kd_transport_destroy(t);
	close(listener);
	assert_int_equal(
		bytes_of(io_path("re.pcapng"), KD_PCAPNG_INBOUND, bytes, sizeof bytes, &n_markers),
		9);
	assert_int_equal(n_markers, 4 + 3);

	t = io_open(io_text("replay:%s", io_path("re.pcapng")));
	for (uint32_t i = 1; i <= 3; i++) {
		assert_int_equal(kd_transport_info(t)->generation, i);
		io_read_all(t, bytes, 3);
		assert_memory_equal(bytes, "abc", 3);
		assert_status(KD_E_CLOSED, io_read_to_end(t, &err));
		assert_says("link down");
		io_until_up(t, true);
	}
	assert_status(KD_E_CLOSED, io_read_to_end(t, &err));
	assert_says("end of the recording");
	kd_transport_destroy(t);
}

/* The disk is full: the session goes on, and the user can know. */
static void test_recording_fails(void **state)
{
	struct kd_open_options options = { .record_path = io_path("no/such/folder/x.pcapng") };
	int listener = io_unix_listen(io_path("f"));
	struct kd_transport *t = NULL;
	const char *fifo = io_path("fifo");
	int fd, peer;
	uint8_t buf[8];

	(void)state;
	assert_status(KD_E_NOT_FOUND,
		      kd_transport_open_text(io_text("unix:%s", io_path("f")), &options, &t, &err));
	close(io_accept(listener));
	assert_int_equal(mkfifo(fifo, 0600), 0);
	fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	t = open_recorded(io_text("unix:%s", io_path("f")), fifo);
	peer = io_accept(listener);
	assert_status(KD_OK, kd_transport_tap_status(t, &err));
	close(fd);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send(peer, "still", 5, 0), 5);
		io_read_all(t, buf, 5);
		assert_memory_equal(buf, "still", 5);
		io_write_all(t, buf, 5);
	}
	assert_status(KD_E_CLOSED, kd_transport_tap_status(t, &err));
	assert_says("reader of the recording is gone");
	kd_transport_destroy(t);
	close(peer);
	close(listener);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recording), /* makes what the next ones read */
		cmocka_unit_test(test_recording_in_tshark),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_replay_of_other_questions),
		cmocka_unit_test(test_replay_waits),
		cmocka_unit_test(test_replay_to_a_silent_debugger),
		cmocka_unit_test(test_no_recording),
		cmocka_unit_test(test_replay_of_a_cut_recording),
		cmocka_unit_test(test_reconnections),
		cmocka_unit_test(test_recording_fails),
	};

	if (argc < 2)
		return 2;
	io_fake_target_program = argv[1];
	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
