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
	TYPE_DEPTH_MAX = 32, /* chains of modifiers, arrays of arrays, pointers to pointers */
};

struct kd_types {
	const uint8_t *bytes; /* records */
	uint32_t size, first, n;
	uint32_t *offsets;         /* of record `first + i` */
	uint32_t *buckets, *chain; /* names of definitions -> index + 1 */
	uint32_t n_buckets;
};

struct kd_definition {
	uint16_t count, properties;
	uint32_t fields, underlying;
	uint64_t size;
	const char *name;
};

enum kd_status kd__types_get(struct kd_pdb *pdb, struct kd_types **ret, struct kd_error *err);
bool kd__types_record(const struct kd_types *t, uint32_t type, uint16_t *kind_ret,
		      struct kd_cursor *body_ret);
bool kd__types_definition(uint16_t kind, struct kd_cursor body, struct kd_definition *ret);
uint64_t kd__types_numeric(struct kd_cursor *c);
uint32_t kd__types_by_name(const struct kd_types *t, const char *name);

#endif
