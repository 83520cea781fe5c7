/* SPDX-License-Identifier: MIT */
/* What must hold for any bytes: shared by the unit tests, the fuzzer and the 32-bit run. */
#ifndef KD_TESTS_CORE_WIRE_ORACLE_H
#define KD_TESTS_CORE_WIRE_ORACLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/wire/packet.h"

/*
 * Every decoder over `payload`, whatever its type is: decode -> encode gives the same bytes,
 * encode -> decode the same values, and no output is written beyond its size. NULL, or what broke.
 */
const char *wire_oracle_payload(uint16_t machine, const uint8_t *payload, size_t size);

/*
 * The description of the packet covers every byte once, in order, and each value prints as clean
 * ASCII in any room. NULL, or what broke.
 */
const char *wire_oracle_describe(const struct kd_packet_hdr *hdr, uint16_t machine,
				 const uint8_t *payload, size_t size);

/* kd_packet_hdr_decode -> encode. NULL, or what broke. */
const char *wire_oracle_hdr(const uint8_t in[KD_AT_LEAST(16)]);

#endif
