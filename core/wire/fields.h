/* SPDX-License-Identifier: MIT */
/* The layouts of structs.def as data: for printing, comparing and dissecting. */
#ifndef KD_CORE_WIRE_FIELDS_H
#define KD_CORE_WIRE_FIELDS_H

#include <stddef.h>
#include <stdint.h>

/* How a value is best shown. */
enum kd_format {
	KD_FORMAT_HEX,
	KD_FORMAT_DEC,
	KD_FORMAT_ADDR,     /* of the target's memory */
	KD_FORMAT_NTSTATUS, /* kd_nt_name() may know it */
	KD_FORMAT_API,      /* a number of the packet's own API space */
	KD_FORMAT_BYTES,
	KD_FORMAT_CHARS, /* text in the target's code page */
	KD_FORMAT_UTF16, /* UTF-16LE text */
	KD_FORMAT_FLAGS,
};

struct kd_field {
	const char *name;
	uint16_t offset;
	uint8_t size;  /* bytes of one element: 1, 2, 4 or 8 */
	uint8_t count; /* 1, or the elements of an array */
	enum kd_format format;
};

struct kd_struct_info {
	const char *name;
	const struct kd_field *fields; /* in ascending order of their offset */
	size_t n_fields;
	size_t size;
};

enum kd_struct_id {
#define KD_STRUCT(name, size) KD_STRUCT_ID_##name,
#define KD_FIELD(st, type, name, offset, format)
#define KD_ARRAY(st, type, name, offset, count, format)
#define KD_END(name)
#include "core/wire/structs.def"
#undef KD_STRUCT
#undef KD_FIELD
#undef KD_ARRAY
#undef KD_END
	KD_N_STRUCTS,
};

const struct kd_struct_info *kd_struct_get(enum kd_struct_id id);

/* NULL: structs.def has no structure of this name. */
const struct kd_struct_info *kd_struct_find(const char *name);

/* NULL: the structure has no such field. */
const struct kd_field *kd_field_find(const struct kd_struct_info *info, const char *name);

#endif
