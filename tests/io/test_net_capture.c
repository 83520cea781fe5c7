/* SPDX-License-Identifier: MIT */
/*
 * A real session of WinDbg with Windows, all of it: every datagram opened and sealed again, every
 * KD packet decoded and encoded again, to the same bytes; and then both of our ends in the place of
 * the recorded ones, with the recorded randomness and clock. They say what the recorded ends said,
 * datagram for datagram, byte for byte. Skipped (77) where the capture is not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/net.h"
#include "core/wire/api.h"
#include "lib/io/net_crypto.h"
#include "lib/io/net_listen.h"
#include "lib/io/pcapng.h"
#include "lib/io/udp_frame.h"
#include "tests/core/wire_oracle.h"
#include "tests/io/io_check.h"
#include "tests/io/net_capture.h"

enum { FRAMES_MAX = 1200 };

/* The capture as the listener understands it. */
static struct frame {
	uint64_t time;
	uint8_t *copy; /* owned: what udp points into */
	struct kd__udp udp;
	struct kd__heard heard;
	uint8_t body[KD_NET_BODY_MAX];
} frames[FRAMES_MAX];
static size_t n_frames;

static struct kd_net_crypto crypto;
static struct kd_net_keys control;
static struct kd__net_listener listener;

static bool is_data(const struct frame *f)
{
	return f->heard.d.channel == KD_NET_DATA;
}

static bool is_to_target(const struct frame *f)
{
	return f->heard.d.is_to_target;
}

static void load(const char *bytes, size_t size)
{
	struct kd_pcapng_reader *reader;
	struct kd_pcapng_packet p;
	const char *why;

	assert_int_equal(kd__net_crypto_create(&crypto, NULL), KD_OK);
	assert_int_equal(kd_net_key_from_text("8.8.8.8", &control, NULL), KD_OK);
	kd__listen_init(&listener, &crypto, &control);
	assert_int_equal(kd_pcapng_reader_open_memory(bytes, size, &reader, NULL), KD_OK);
	while (kd_pcapng_next(reader, &p, NULL) == KD_OK) {
		struct frame *f = &frames[n_frames];

		assert_true(n_frames < FRAMES_MAX);
		f->copy = malloc(p.size);
		assert_non_null(f->copy);
		memcpy(f->copy, p.data, p.size);
		f->time = p.time_ns;
		assert_int_equal(kd__udp_frame(p.link_type, f->copy, p.size, &f->udp, &why), KD_OK);
		if (kd__listen(&listener, f->udp.payload, f->udp.size, &f->heard, &why) != KD_OK)
			fail_msg("frame %zu: %s", n_frames + 1, why);
		memcpy(f->body, f->heard.d.body, f->heard.d.size);
		f->heard.d.body = f->body;
		n_frames++;
	}
	kd_pcapng_reader_destroy(reader);
}

static void test_counts(void **state)
{
	size_t n[2][2] = { { 0 } };

	(void)state;
	for (size_t i = 0; i < n_frames; i++)
		n[is_data(&frames[i])][is_to_target(&frames[i])]++;
	assert_int_equal(n_frames, 955);
	assert_int_equal(n[0][0], 427); /* pokes */
	assert_int_equal(n[0][1], 1);   /* the response */
	assert_int_equal(n[1][0], 265);
	assert_int_equal(n[1][1], 262);
}

static void test_round_trips(void **state)
{
	size_t n_packets = 0;

	(void)state;
	for (size_t i = 0; i < n_frames; i++) {
		const struct frame *f = &frames[i];
		const struct kd_net_keys *keys = is_data(f) ? &listener.sessions[0] : &control;
		uint8_t again[KD_NET_DATAGRAM_MAX];
		struct kd_packet_hdr hdr;
		size_t size = 0;
		const char *broken;

		assert_int_equal(
			kd_net_seal(&crypto, keys, &f->heard.d, again, sizeof again, &size), KD_OK);
		assert_int_equal(size, f->udp.size);
		assert_memory_equal(again, f->udp.payload, size);
		if (f->heard.kind != KD__HEARD_PACKET)
			continue;
		n_packets++;
		assert_int_equal(kd_packet_hdr_decode(&hdr, f->body), KD_OK);
		assert_int_equal(f->heard.d.size, KD_HDR_SIZE + (size_t)hdr.length);
		assert_int_equal(kd_checksum(f->body + KD_HDR_SIZE, hdr.length), hdr.checksum);
		broken = wire_oracle_hdr(f->body);
		if (!broken && hdr.length)
			broken = wire_oracle_payload(KD_MACHINE_AMD64, f->body + KD_HDR_SIZE,
						     hdr.length);
		if (!broken)
			broken = wire_oracle_describe(&hdr, KD_MACHINE_AMD64, f->body + KD_HDR_SIZE,
						      hdr.length);
		if (broken)
			fail_msg("frame %zu: %s", i + 1, broken);
	}
	assert_int_equal(n_packets, 955 - 427 - 1 - 1);
}

/* --- our ends in the recorded session --- */

static const uint8_t *next_random;
static size_t random_size;

static bool recorded_random(void *context, uint8_t *out, size_t size)
{
	(void)context;
	assert_true(size <= random_size);
	memcpy(out, next_random, size);
	next_random += size;
	random_size -= size;
	return true;
}

/* OpenSSL's take their own context: these are called with it and don't look at it. */
static struct kd_net_crypto replayed(const uint8_t *bytes, size_t size)
{
	struct kd_net_crypto c = crypto;

	next_random = bytes;
	random_size = size;
	c.random = recorded_random;
	return c;
}

/* The next datagram of our end must be the one of frame `i`. */
static void must_say(struct kd_net *n, size_t i)
{
	const struct frame *f = &frames[i];
	struct kd_net_address to;
	size_t size;
	const uint8_t *out = kd_net_next_output(n, &to, &size);

	if (!out)
		fail_msg("frame %zu: our end says nothing", i + 1);
	if (size != f->udp.size || memcmp(out, f->udp.payload, size) != 0)
		fail_msg("frame %zu: our end says something else, %zu bytes", i + 1, size);
	assert_true(kd_net_address_is_same(&to, &f->udp.to));
	kd_net_output_done(n, f->time);
}

/* Data packets that the owner begins; what the link repeats and acknowledges is its own affair. */
static void say_data(struct kd_net *n, const struct frame *f)
{
	uint16_t type = kd_get16(f->body + 4), length = kd_get16(f->body + 6);

	if (kd_get32(f->body) != KD_LEADER_DATA || kd_net_link_is_busy(kd_net_link(n)))
		return;
	assert_int_equal(kd_net_link_send(kd_net_link(n), type, f->body + KD_HDR_SIZE, length, NULL,
					  0, false, f->time),
			 KD_OK);
}

struct tally {
	size_t n_said, n_packets, n_events;
};

static void hear(struct kd_net *n, size_t i, struct tally *t)
{
	const struct frame *f = &frames[i];
	struct kd_net_event ev;

	assert_int_equal(kd_net_feed(n, &f->udp.from, f->udp.payload, f->udp.size, f->time), KD_OK);
	while (kd_net_next_event(n, &ev)) {
		t->n_events++;
		if (ev.kind != KD_NET_LINK || ev.link.kind != KD_LINK_PACKET)
			continue;
		/* Delivered as it stands in the recording. */
		assert_int_equal(ev.link.length, f->heard.d.size - KD_HDR_SIZE);
		assert_memory_equal(ev.link.payload, f->body + KD_HDR_SIZE, ev.link.length);
		t->n_packets++;
	}
}

/*
 * WinDbg did not process two of the target's datagrams: the first print, which came before it was
 * ready (frame 4), and the reply 0x60 of the recovery that the facts describe. Without them ours
 * does the same as WinDbg, to the last byte.
 */
static bool was_lost(size_t i)
{
	const struct frame *f = &frames[i];

	return i == 3 || (f->heard.d.size > KD_HDR_SIZE && kd_get32(f->body + 8) == 0x60 &&
			  kd_get32(f->body) == KD_LEADER_DATA && !is_to_target(f));
}

static void replay_debugger(bool is_lossless, struct tally *t)
{
	static struct kd_net n;
	struct kd_net_config cfg;
	struct kd_net_crypto c = replayed(frames[1].body + 34, KD_NET_RANDOM_SIZE);

	kd_net_config_init(&cfg, KD_LINK_DEBUGGER);
	cfg.keys = control;
	cfg.crypto = &c;
	assert_int_equal(kd_net_init(&n, &cfg, frames[0].time), KD_OK);
	for (size_t i = 0; i < n_frames; i++) {
		const struct frame *f = &frames[i];

		if (!is_to_target(f)) {
			if (is_lossless || !was_lost(i))
				hear(&n, i, t);
			continue;
		}
		if (is_data(f))
			say_data(&n, f);
		t->n_said++;
		if (!is_lossless)
			must_say(&n, i);
		while (is_lossless) {
			struct kd_net_address to;
			size_t size;

			if (!kd_net_next_output(&n, &to, &size))
				break;
			kd_net_output_done(&n, f->time);
		}
	}
	assert_int_equal(kd_net_counters(&n)->forged + kd_net_counters(&n)->replayed, 0);
	assert_int_equal(kd_net_counters(&n)->sessions, 1);
	assert_int_equal(kd_net_counters(&n)->pokes, 427);
	assert_int_equal(kd_net_counters(&n)->responses, 1);
	kd_net_deinit(&n);
}

static void test_our_debugger(void **state)
{
	struct tally t = { 0 };

	(void)state;
	replay_debugger(false, &t);
	assert_int_equal(t.n_said, 1 + 262);
	/* Prints, replies, file requests, stops; without what was lost, and a second 0x62. */
	assert_int_equal(t.n_packets, 7 + 92 + 33 + 3 - 2 - 1);
}

/*
 * All of it: ours has the reply 0x60, so it hears a RESET that it did not ask for, and behind it
 * 0x62 once more.
 */
static void test_our_debugger_hears_all(void **state)
{
	struct tally t = { 0 };

	(void)state;
	replay_debugger(true, &t);
	assert_int_equal(t.n_packets, 7 + 92 + 33 + 3 - 1);
}

static void test_our_target(void **state)
{
	static struct kd_net n;
	struct kd_net_config cfg;
	uint8_t nonce[KD_NET_NONCE_SIZE];
	struct kd_net_crypto c = replayed(nonce, sizeof nonce);
	size_t n_said = 0;
	struct tally t = { 0 };

	(void)state;
	memcpy(nonce, frames[0].body + 2, sizeof nonce);
	nonce[0]--; /* each poke counts first */
	kd_net_config_init(&cfg, KD_LINK_TARGET);
	cfg.keys = control;
	cfg.crypto = &c;
	cfg.self = frames[0].udp.from;
	cfg.debugger = frames[0].udp.to;
	cfg.poke_gap = 1; /* whenever the recorded one did */
	assert_int_equal(kd_net_init(&n, &cfg, frames[0].time - 2), KD_OK);
	for (size_t i = 0; i < n_frames; i++) {
		const struct frame *f = &frames[i];

		if (is_to_target(f)) {
			hear(&n, i, &t);
			continue;
		}
		n_said++;
		if (f->heard.kind == KD__HEARD_PACKET)
			say_data(&n, f);
		else if (f->heard.kind == KD__HEARD_POKE)
			kd_net_timeout(&n, f->time);
		must_say(&n, i);
	}
	assert_int_equal(n_said, 427 + 265);
	assert_int_equal(kd_net_counters(&n)->forged + kd_net_counters(&n)->replayed, 0);
	kd_net_deinit(&n);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),       cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_our_debugger), cmocka_unit_test(test_our_debugger_hears_all),
		cmocka_unit_test(test_our_target),
	};
	size_t size;
	char *bytes = argc > 1 ? net_capture_load(argv[1], &size) : NULL;
	int failed;

	if (!bytes) {
		fprintf(stderr, "the capture is not there: set OPENKD_DATA\n");
		return NET_CAPTURE_SKIP;
	}
	load(bytes, size);
	free(bytes);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < n_frames; i++)
		free(frames[i].copy);
	kd__listen_deinit(&listener);
	kd__net_crypto_destroy(&crypto);
	return failed;
}
