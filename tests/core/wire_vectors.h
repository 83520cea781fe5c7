/* SPDX-License-Identifier: MIT */
/* Known packets, shared by the tests of wire and link, the fuzzers' corpus and the decoder's tests.
 */
#ifndef KD_TESTS_CORE_WIRE_VECTORS_H
#define KD_TESTS_CORE_WIRE_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#include "core/wire/api.h"
#include "core/wire/packet.h"

enum wire_sender { WIRE_FROM_DEBUGGER, WIRE_FROM_TARGET };

struct wire_vector {
	const char *name;
	enum wire_sender sender;
	uint16_t machine;
	const char *hex; /* for wire_hex(): header, payload, and of S vectors the trailer */
	/* "field=value structure.field=value": what kd_describe_packet() must say. */
	const char *expect;
};

extern const struct wire_vector wire_vectors[];
extern const size_t n_wire_vectors;

/*
 * "0102 03*4" is the bytes 01 02 03 03 03 03. Returns how many there are; exits with a message if
 * the text is wrong or they are more than `cap`.
 */
size_t wire_hex(uint8_t *out, size_t cap, const char *hex);

#endif
