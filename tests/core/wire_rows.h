/* SPDX-License-Identifier: MIT */
/*
 * Messages made by hand from docs/protocol: a request and a reply of every row of api.def, and the
 * forms of the other packet types that no capture shows.
 */
#ifndef KD_TESTS_CORE_WIRE_ROWS_H
#define KD_TESTS_CORE_WIRE_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "core/wire/api.h"

struct wire_half {
	const char *member; /* for wire_hex(): the bytes from offset 16; the rest of 40 is junk */
	const char *data;
	const char *expect; /* as in struct wire_vector; every named field of the member */
};

struct wire_row {
	uint32_t api;
	uint16_t machine;
	struct wire_half request;
	uint32_t status;        /* of the reply */
	struct wire_half reply; /* member NULL: acknowledged only */
};

struct wire_payload {
	const char *name;
	uint16_t type;
	uint16_t machine;
	int is_reply;
	const char *hex;
	const char *expect;
};

enum { WIRE_ROW_MAX = 56 + 1300 };

extern const struct wire_row wire_rows[];
extern const size_t n_wire_rows;
extern const struct wire_payload wire_payloads[];
extern const size_t n_wire_payloads;

/* The whole payload; junk fills what the half does not say. */
size_t wire_row_payload(uint8_t out[WIRE_ROW_MAX], const struct wire_row *row, int is_reply);

#endif
