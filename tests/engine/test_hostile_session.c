/* SPDX-License-Identifier: MIT */
/* Targets that lie, flood, restart at the prompt or have little to tell: calls end, and truly. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/wire/message.h"
#include "core/wire/packet.h"
#include "tests/engine/session_fixture.h"

/* --- short answers --- */

static struct kd_target_ops stingy;

static size_t ten_bytes_at_most(void *user, const struct kd_target_memory *at, uint8_t *out,
				size_t size)
{
	return kd_fake_ops.read_memory(user, at, out, size > 10 ? 10 : size);
}

static void test_short_reads(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[PROGRAM_SIZE];

	stingy = kd_fake_ops;
	stingy.read_memory = ten_bytes_at_most;
	fake_host_lock(f->host);
	f->host->fake->target.ops = &stingy;
	fake_host_unlock(f->host);
	kd_memory_flush(f->session);
	OK(kd_memory_read(f->session, f->code, bytes, sizeof bytes, NULL, &err));
	assert_memory_equal(bytes, fixture_program, sizeof bytes);
}

/* --- a flood --- */

/* What is kept for the user is bounded; some more may wait in the socket when the flood ends. */
enum { PROMPTS_MAX = 4096 + 256 + 1024 };

struct flood {
	struct fake_host *host;
	atomic_bool quit;
};

static size_t make_prompt(uint8_t *out, uint32_t id)
{
	static const uint8_t text[1000];
	struct kd_debug_io prompt = { .hdr = { .api = KD_IO_GET_STRING,
					       .length_of_string = sizeof text,
					       .length_of_string_read = 10 },
				      .text = text,
				      .text_size = sizeof text };
	struct kd_packet_hdr hdr = { .leader = KD_LEADER_DATA,
				     .type = KD_PACKET_DEBUG_IO,
				     .id = id };
	size_t size;

	kd_debug_io_encode(out + KD_HDR_SIZE, 2000, &size, &prompt);
	hdr.length = (uint16_t)size;
	hdr.checksum = kd_checksum(out + KD_HDR_SIZE, size);
	kd_packet_hdr_encode(out, &hdr);
	out[KD_HDR_SIZE + size] = KD_BYTE_TRAILER;
	return KD_HDR_SIZE + size + 1;
}

static void *flood(void *context)
{
	struct flood *flood = context;
	uint32_t id = KD_PACKET_ID_INITIAL;

	while (!atomic_load(&flood->quit)) {
		uint8_t packet[2048], junk[4096];
		size_t size = make_prompt(packet, id), sent = 0;

		while (sent < size && !atomic_load(&flood->quit)) {
			ssize_t n = send(flood->host->peer, packet + sent, size - sent,
					 MSG_NOSIGNAL | MSG_DONTWAIT);

			sent += n > 0 ? (size_t)n : 0;
		}
		while (recv(flood->host->peer, junk, sizeof junk, MSG_DONTWAIT) > 0)
			;
		id ^= 1;
	}
	return NULL;
}

static void test_prompts_without_end(void **state)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	struct fixture *f = *state;
	struct flood context = { .host = f->host };
	struct kd_error why = { 0 };
	struct kd_event event;
	pthread_t thread;
	uint8_t byte;
	unsigned n_prompts = 0;

	kd_session_destroy(f->session);
	assert_true(fake_host_runs_alone(f->host));
	options.initial_break = true;
	options.request_timeout_ms = 1000;
	OK(kd_session_create(f->host->endpoint, &options, &f->session, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	kd_memory_flush(f->session);
	atomic_store(&f->host->paused, true);
	usleep(20000); /* its thread is past its last look at the socket */
	assert_int_equal(pthread_create(&thread, NULL, flood, &context), 0);
	assert_int_equal(kd_memory_read(f->session, f->code, &byte, 1, NULL, &why), KD_E_TIMEOUT);
	assert_non_null(strstr(why.text, "did not answer READ_VIRTUAL in 1."));
	atomic_store(&context.quit, true);
	pthread_join(thread, NULL);
	while (kd_session_wait(f->session, 0, &event, NULL) == KD_OK)
		n_prompts += event.kind == KD_EVENT_PROMPT;
	assert_in_range(n_prompts, 1, PROMPTS_MAX);
	atomic_store(&f->host->paused, false);
}

/* --- another boot --- */

static void test_reset_at_the_prompt(void **state)
{
	struct fixture *f = *state;
	const struct kd_breakpoint *b;
	int id = fixture_break(f, f->code + DATA, 0);
	uint8_t bytes[8];

	fake_host_lock(f->host);
	f->host->fake->config.stop_at_boot = true;
	kd_fake_restart(f->host->fake, 0);
	fake_host_unlock(f->host);
	for (int i = 0; i < 3; i++) {
		kd_memory_flush(f->session);
		assert_int_equal(kd_memory_read(f->session, f->code, bytes, 8, NULL, NULL),
				 KD_E_RESET);
	}
	assert_int_equal(kd_session_go(f->session, KD_GO, NULL), KD_E_RESET);
	fixture_wait(f->session, KD_EVENT_RESTART);
	fixture_wait(f->session, KD_EVENT_NOTICE);
	b = kd_breakpoint_find(f->session, id);
	assert_non_null(b);
	assert_false(b->is_enabled);
	fixture_wait(f->session, KD_EVENT_CONNECTED);
	OK(kd_session_detach(f->session, true, &err));
	assert_true(fake_host_runs_alone(f->host));
	assert_int_equal(fixture_raw_byte(f, f->code + DATA), 0);
}

/* --- identification --- */

static uint64_t write_protected;

static size_t write_elsewhere(void *user, const struct kd_target_memory *at, const uint8_t *bytes,
			      size_t size)
{
	return at->address == write_protected ? 0 : kd_fake_ops.write_memory(user, at, bytes, size);
}

/* As if the debugger was killed: its breakpoints stay, its table is lost, its journal is there. */
static void kill_debugger(struct fixture *f)
{
	fixture_break(f, f->code + DATA, 0);
	fixture_break(f, f->code + DATA + 1, 0);
	OK(kd_session_go(f->session, KD_GO, &err));
	fake_host_lock(f->host);
	shutdown(f->host->peer, SHUT_RDWR);
	fake_host_unlock(f->host);
	kd_session_destroy(f->session);
	fake_host_lock(f->host);
	memset(f->host->fake->target.breakpoints, 0, sizeof f->host->fake->target.breakpoints);
	fake_host_unlock(f->host);
}

/* Up to the first stop it is identified once, and nothing of it is tried again. */
static void attach_at_once(struct fixture *f)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	unsigned n_connected = 0;
	struct kd_event event;

	options.initial_break = true;
	OK(kd_session_create(f->host->endpoint, &options, &f->session, &err));
	do {
		OK(kd_session_wait(f->session, 5000, &event, &err));
		n_connected += event.kind == KD_EVENT_CONNECTED;
		if (event.kind == KD_EVENT_NOTICE)
			assert_null(strstr(event.text, "starting over"));
	} while (event.kind != KD_EVENT_STOP);
	assert_int_equal(n_connected, 1);
}

static void test_what_cannot_be_repaired_yet(void **state)
{
	struct fixture *f = *state;

	kill_debugger(f);
	stingy = kd_fake_ops;
	stingy.write_memory = write_elsewhere;
	write_protected = f->code + DATA;
	fake_host_lock(f->host);
	f->host->fake->target.ops = &stingy;
	fake_host_unlock(f->host);
	attach_at_once(f);
	assert_int_equal(fixture_raw_byte(f, f->code + DATA), 0xCC);
	assert_int_equal(fixture_raw_byte(f, f->code + DATA + 1), 0);
	kd_session_destroy(f->session);
	assert_true(fake_host_runs_alone(f->host));
	fake_host_lock(f->host);
	f->host->fake->target.ops = &kd_fake_ops;
	fake_host_unlock(f->host);
	fixture_attach(f, ""); /* the journal was kept: now it can */
	assert_int_equal(fixture_raw_byte(f, f->code + DATA), 0);
}

static void test_kdbg_comes_later(void **state)
{
	struct fixture *f = *state;
	uint64_t head, first, value;

	kd_session_destroy(f->session);
	assert_true(fake_host_runs_alone(f->host));
	fake_host_lock(f->host);
	head = f->host->fake->data_list;
	first = kd_fake_get_word(f->host->fake, head);
	kd_fake_put_word(f->host->fake, head, 0);
	fake_host_unlock(f->host);
	fixture_attach(f, "");
	assert_int_equal(kd_session_kdbg(f->session, "PsLoadedModuleList", &value, NULL),
			 KD_E_NOT_FOUND);
	fake_host_lock(f->host);
	kd_fake_put_word(f->host->fake, head, first);
	fake_host_unlock(f->host);
	OK(kd_session_step(f->session, KD_STEP_INTO, true, 0, &err));
	fixture_wait(f->session, KD_EVENT_STOP);
	OK(kd_session_kdbg(f->session, "PsLoadedModuleList", &value, &err));
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_short_reads),         T(test_prompts_without_end),
		T(test_reset_at_the_prompt), T(test_what_cannot_be_repaired_yet),
		T(test_kdbg_comes_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
