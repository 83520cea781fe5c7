/* SPDX-License-Identifier: MIT */
/*
 * Every decoder of core/wire over any bytes; the oracles of tests/core/wire_oracle.h abort when a
 * round trip changes a byte or a description leaves one out.
 *
 * Input: packet type, machine, known message, then bytes. They are XORed over that message (so that
 * the fuzzer starts at valid ones), or taken as they are.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire/api.h"
#include "tests/core/wire_oracle.h"
#include "tests/core/wire_rows.h"
#include "tests/core/wire_vectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INTRO = 3, CAP = KD_PAYLOAD_ACCEPT };

static void check(const char *broken)
{
	if (broken) {
		fprintf(stderr, "fuzz_wire: %s\n", broken);
		abort();
	}
}

/* The known message `which` in out; its type in *type. Nothing when there is no such message. */
static size_t known(uint8_t out[CAP], uint8_t which, uint16_t *type)
{
	uint8_t packet[KD_PACKET_MAX];
	size_t n;

	if (which < n_wire_vectors) {
		n = wire_hex(packet, sizeof(packet), wire_vectors[which].hex) - KD_HDR_SIZE;
		*type = kd_get16(packet + 4);
		memcpy(out, packet + KD_HDR_SIZE, n);
		return n;
	}
	which = (uint8_t)(which - n_wire_vectors);
	if (which < n_wire_rows) {
		*type = KD_PACKET_STATE_MANIPULATE;
		return wire_row_payload(out, &wire_rows[which],
					wire_rows[which].reply.member != NULL);
	}
	which = (uint8_t)(which - n_wire_rows);
	if (which < n_wire_payloads) {
		*type = wire_payloads[which].type;
		return wire_hex(out, CAP, wire_payloads[which].hex);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t machines[] = { KD_MACHINE_AMD64, KD_MACHINE_X86, KD_MACHINE_ARM64,
					     KD_MACHINE_ARM, 0 };
	uint8_t payload[CAP] = { 0 };
	uint8_t *exact;
	struct kd_packet_hdr hdr = { .leader = KD_LEADER_DATA };
	uint16_t machine;
	size_t n;

	if (size < INTRO)
		return 0;
	hdr.type = data[0];
	machine = machines[data[1] % (sizeof(machines) / sizeof(machines[0]))];
	n = known(payload, data[2], &hdr.type);
	data += INTRO;
	size -= INTRO;
	if (size >= KD_HDR_SIZE)
		check(wire_oracle_hdr(data));
	if (size > CAP)
		return 0;
	if (n < size)
		n = size;
	for (size_t i = 0; i < size; i++)
		payload[i] ^= data[i];

	/* of exactly this size, so that the sanitizer sees the first byte too far */
	exact = malloc(n ? n : 1);
	memcpy(exact, payload, n);
	hdr.length = (uint16_t)n;
	check(wire_oracle_payload(machine, exact, n));
	check(wire_oracle_describe(&hdr, machine, exact, n));
	free(exact);
	return 0;
}
