/* SPDX-License-Identifier: MIT */
/*
 * Any bytes at any time to a whole target: link, server, requests, a machine that runs between
 * them. Input: pairs of a step and its argument n: feed n of the bytes that follow, as they are or
 * as the payload of a well-formed request; acknowledge what is outstanding; let 10 n milliseconds
 * pass. Oracles: the link's invariants, progress, the sanitizers.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/bytes.h"
#include "core/link/link_internal.h"
#include "tests/support/kd_fake_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_RUNS = 64 };

static void must_hold(const char *wrong)
{
	if (!wrong)
		return;
	fprintf(stderr, "fuzz_serve: %s\n", wrong);
	abort();
}

/* The machine's turn. What it writes is thrown away, as by a debugger that does not listen. */
static void run(struct kd_fake *f, uint64_t now)
{
	const uint8_t *out;
	size_t size;

	for (int i = 0; i < MAX_RUNS && kd_fake_run(f, now); i++)
		while ((out = kd_fake_next_output(f, &size)) != NULL)
			kd_fake_output_done(f, size, now);
	while ((out = kd_fake_next_output(f, &size)) != NULL)
		kd_fake_output_done(f, size, now);
	must_hold(kd__link_check(&f->server.link));
}

static void feed_control(struct kd_fake *f, uint16_t type, uint64_t now)
{
	const struct kd_packet_hdr hdr = { .leader = KD_LEADER_CONTROL,
					   .type = type,
					   .id = f->server.link.next_send & ~KD_PACKET_ID_SYNC };
	uint8_t bytes[KD_HDR_SIZE];

	kd_packet_hdr_encode(bytes, &hdr);
	kd_fake_feed(f, bytes, sizeof(bytes), now);
}

static void feed_request(struct kd_fake *f, const uint8_t *payload, size_t size, uint64_t now)
{
	uint8_t bytes[KD_HDR_SIZE + 256 + KD_MANIPULATE_SIZE + 1] = { 0 };
	const size_t length = size < KD_MANIPULATE_SIZE ? KD_MANIPULATE_SIZE : size;
	struct kd_packet_hdr hdr = { .leader = KD_LEADER_DATA,
				     .type = KD_PACKET_STATE_MANIPULATE,
				     .length = (uint16_t)length,
				     .id = f->server.link.expected };

	/* What is short is filled up; the number is brought near the APIs' range. */
	kd_copy(bytes + KD_HDR_SIZE, payload, size);
	kd_put32(bytes + KD_HDR_SIZE, KD_API_READ_VIRTUAL + bytes[KD_HDR_SIZE] % 64u);
	hdr.checksum = kd_checksum(bytes + KD_HDR_SIZE, length);
	kd_packet_hdr_encode(bytes, &hdr);
	bytes[KD_HDR_SIZE + length] = KD_BYTE_TRAILER;
	kd_fake_feed(f, bytes, KD_HDR_SIZE + length + 1, now);
}

enum step { STEP_BYTES, STEP_REQUEST, STEP_ACK, STEP_RESET, STEP_WAIT, N_STEPS };

/* Returns how many of the bytes were used up. */
static size_t take_step(struct kd_fake *f, uint8_t step, size_t n, const uint8_t *data,
			uint64_t *now)
{
	switch (step % N_STEPS) {
	case STEP_BYTES: kd_fake_feed(f, data, n, *now); return n;
	case STEP_REQUEST: feed_request(f, data, n, *now); return n;
	case STEP_ACK: feed_control(f, KD_PACKET_ACKNOWLEDGE, *now); return 0;
	case STEP_RESET: feed_control(f, KD_PACKET_RESET, *now); return 0;
	default: *now += n * 10u * KD_NS_PER_MS; return 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kd_fake *f = kd_fake_create(&(struct kd_fake_config){
		.n_processors = 2, .ram_size = 512 << 10, .stop_at_boot = true });
	uint64_t now = 0;

	f->target.config.search_max = 1 << 20;
	kd_fake_do(f, KD_FAKE_PRINT, "fuzz\n");
	kd_fake_do(f, KD_FAKE_PROMPT, "? ");
	run(f, now);
	while (size >= 2) {
		const size_t n = data[1] < size - 2 ? data[1] : size - 2;
		const size_t used = 2 + take_step(f, data[0], n, data + 2, &now);

		data += used;
		size -= used;
		run(f, now);
	}
	kd_fake_destroy(f);
	return 0;
}
