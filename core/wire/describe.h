/* SPDX-License-Identifier: MIT */
/*
 * Any packet, field by field, from the tables of structs.def and registers.def: the one walk that
 * text, JSON and dissectors are made from.
 */
#ifndef KD_CORE_WIRE_DESCRIBE_H
#define KD_CORE_WIRE_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

#include "core/wire/fields.h"
#include "core/wire/packet.h"

/*
 * One field, or the elements of an array. `structure` is the name in structs.def, or "packet" (the
 * header), "context", "special_registers" (data that is a register file), "data" (other additional
 * data). Bytes that no table names come as a field "unnamed".
 */
struct kd_described {
	const char *structure;
	const char *name;
	enum kd_format format;
	size_t offset;        /* in the packet: the header has 0 to 15, the payload begins at 16 */
	const uint8_t *bytes; /* `size` of them; valid during the call */
	size_t size;
	size_t element_size; /* 1, 2, 4, 8: elements are integers; `size` for wide registers */
	uint64_t value;      /* of the only element; 0 for arrays and wide registers */
	const char *text;    /* what the value is called (API, NTSTATUS, packet type), or NULL */
};

typedef void (*kd_describe_fn)(void *ctx, const struct kd_described *field);

/*
 * Calls `fn` for every field in ascending order of the offset; together the calls cover every byte
 * of header and payload exactly once, whatever the payload is. `machine` chooses control reports,
 * CONTEXTs and the form of Continue2.
 *
 * KD_OK; KD_E_TRUNCATED or KD_E_MALFORMED: the payload is not what the type says; the rest of its
 * bytes were given as structure "undecoded".
 */
enum kd_status kd_describe_packet(const struct kd_packet_hdr *hdr, const uint8_t *payload,
				  size_t size, uint16_t machine, kd_describe_fn fn, void *ctx);

/* The walk over one register file: `layout` of context.h, at packet offset `offset`. */
struct kd_reg_layout;
void kd_describe_registers(const struct kd_reg_layout *layout, const char *structure,
			   const uint8_t *bytes, size_t size, size_t offset, kd_describe_fn fn,
			   void *ctx);

/* `value` says it all: one integer, not bytes or characters. */
bool kd_described_is_number(const struct kd_described *field);

/*
 * The value as ASCII text: "0x10", "16", "0xC0000001 UNSUCCESSFUL", "\"text\\n\"", "cc c3". Writes
 * at most cap - 1 characters and a NUL, cuts with "..."; returns the length written. cap 0:
 * nothing.
 */
size_t kd_described_text(char *out, size_t cap, const struct kd_described *field);

#endif
