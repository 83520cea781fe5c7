/* SPDX-License-Identifier: MIT */
/* Shared by types.c (records by index and name) and types_shape.c (what they mean). */
#ifndef KD_LIB_SYM_TYPES_PRIVATE_H
#define KD_LIB_SYM_TYPES_PRIVATE_H

#include "lib/sym/pdb_private.h"
#include "lib/sym/types.h"

enum {
	LF_MODIFIER = 0x1001,
	LF_POINTER = 0x1002,
	LF_PROCEDURE = 0x1008,
	LF_MFUNCTION = 0x1009,
	LF_ARGLIST = 0x1201,
	LF_FIELDLIST = 0x1203,
	LF_BITFIELD = 0x1205,
	LF_BCLASS = 0x1400,
	LF_VBCLASS = 0x1401,
	LF_IVBCLASS = 0x1402,
	LF_INDEX = 0x1404,
	LF_VFUNCTAB = 0x1409,
	LF_ENUMERATE = 0x1502,
	LF_ARRAY = 0x1503,
	LF_CLASS = 0x1504,
	LF_STRUCTURE = 0x1505,
	LF_UNION = 0x1506,
	LF_ENUM = 0x1507,
	LF_MEMBER = 0x150D,
	LF_STMEMBER = 0x150E,
	LF_METHOD = 0x150F,
	LF_NESTTYPE = 0x1510,
	LF_ONEMETHOD = 0x1511,
	LF_INTERFACE = 0x1519,
	PROPERTY_FORWARD = 0x80,
	PADDING = 0xF0,      /* in field lists: low four bits say how many bytes to skip */
	TYPE_DEPTH_MAX = 32, /* chains of modifiers, arrays of arrays, pointers to pointers */
};

struct kd_types {
	const uint8_t *bytes; /* records */
	uint32_t size, first, n;
	const uint8_t *marks; /* {type, offset} every few KiB, where the linker left them */
	uint32_t n_marks;
	const uint8_t *hashes; /* u32 a type: bucket of its name, for most definitions */
	uint32_t n_hash_buckets;
	uint32_t n_walks;          /* records that were looked for by marks */
	bool is_damaged;           /* `n` is what could be read */
	uint32_t *offsets;         /* of record `first + i`; NULL: not needed so far */
	uint32_t *buckets, *chain; /* names of definitions -> index + 1; NULL: as above */
	uint32_t n_buckets;
};

struct kd_definition {
	uint16_t count, properties;
	uint32_t fields, underlying;
	uint64_t size;
	const char *name;
};

/* KD_E_NOT_FOUND: the PDB has none; KD_E_MALFORMED: damaged. */
enum kd_status kd__types_get(struct kd_pdb *pdb, struct kd_types **ret, struct kd_error *err);
bool kd__types_record(struct kd_types *t, uint32_t type, uint16_t *kind_ret,
		      struct kd_cursor *body_ret);
/* The offset of every record is known from here on. */
enum kd_status kd__types_index(struct kd_types *t, struct kd_error *err);
bool kd__types_definition(uint16_t kind, struct kd_cursor body, struct kd_definition *ret);
/* A number as CodeView stores it; negative ones are sign-extended. */
uint64_t kd__types_numeric(struct kd_cursor *c);
/* The complete definition of this name, or a forward reference, or 0. */
uint32_t kd__types_by_name(struct kd_types *t, const char *name);

#endif
