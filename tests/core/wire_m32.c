/* SPDX-License-Identifier: MIT */
/*
 * The oracles and known messages as a program of its own, without cmocka: built for a 32-bit
 * machine, where u64 aligns to 4 and size_t has 32 bits.
 */
#include <stdio.h>
#include <string.h>

#include "tests/core/wire_check.h"
#include "tests/core/wire_oracle.h"
#include "tests/core/wire_rows.h"
#include "tests/core/wire_vectors.h"

static unsigned n_checks, n_broken;

static void check(const char *name, const char *broken)
{
	n_checks++;
	if (broken && n_broken++ < 10)
		printf("%s: %s\n", name, broken);
}

static void check_all(const char *name, const struct kd_packet_hdr *hdr, uint16_t machine,
		      uint8_t *payload, size_t size, const char *expect)
{
	check(name, wire_check_fields(hdr, machine, payload, size, expect));
	for (size_t n = 0; n <= size; n++) {
		check(name, wire_oracle_payload(machine, payload, n));
		check(name, wire_oracle_describe(hdr, machine, payload, n));
	}
	for (size_t i = 0; i < size && i < 256; i++) {
		payload[i] ^= 0x80;
		check(name, wire_oracle_payload(machine, payload, size));
		check(name, wire_oracle_describe(hdr, machine, payload, size));
		payload[i] ^= 0x80;
	}
}

int main(void)
{
	static uint8_t packet[KD_PACKET_MAX], payload[KD_PACKET_MAX];
	struct kd_packet_hdr hdr;

	for (size_t i = 0; i < n_wire_vectors; i++) {
		const struct wire_vector *v = &wire_vectors[i];

		wire_hex(packet, sizeof(packet), v->hex);
		if (kd_packet_hdr_decode(&hdr, packet) != KD_OK)
			check(v->name, "header");
		else
			check_all(v->name, &hdr, v->machine, packet + KD_HDR_SIZE, hdr.length,
				  v->expect);
	}
	hdr = (struct kd_packet_hdr){ KD_LEADER_DATA, KD_PACKET_STATE_MANIPULATE, 0, 0, 0 };
	for (size_t i = 0; i < n_wire_rows; i++) {
		const struct wire_row *row = &wire_rows[i];
		size_t size = wire_row_payload(payload, row, 0);
		const char *name = kd_api_find(row->api)->name;

		check_all(name, &hdr, row->machine, payload, size, row->request.expect);
		if (!row->reply.member)
			continue;
		size = wire_row_payload(payload, row, 1);
		check_all(name, &hdr, row->machine, payload, size, row->reply.expect);
	}
	for (size_t i = 0; i < n_wire_payloads; i++) {
		const struct wire_payload *p = &wire_payloads[i];
		size_t size = wire_hex(payload, sizeof(payload), p->hex);

		hdr.type = p->type;
		check_all(p->name, &hdr, p->machine, payload, size, p->expect);
	}
	printf("%u checks with %zu-bit pointers, %u broken\n", n_checks, 8 * sizeof(void *),
	       n_broken);
	return n_broken != 0;
}
