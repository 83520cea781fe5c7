/* SPDX-License-Identifier: MIT */
/*
 * C structs and codecs of every wire structure, generated from structs.def:
 *
 *   struct kd_w_<name>                                  host order, natural C types
 *   void kd_w_<name>_decode(struct kd_w_<name> *, const uint8_t in[SIZE])
 *   void kd_w_<name>_encode(uint8_t out[SIZE], const struct kd_w_<name> *)
 *   KD_W_SIZE_<name>
 *
 * decode reads exactly SIZE bytes: the caller has checked that they are there. encode writes the
 * named fields only and leaves all other bytes of `out` as they are: a decoded message that keeps
 * its raw bytes encodes to the same bytes; a message of our own starts from zeros.
 */
#ifndef KD_CORE_WIRE_STRUCTS_H
#define KD_CORE_WIRE_STRUCTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/bytes.h"

typedef uint8_t kd_w_u8;
typedef uint16_t kd_w_u16;
typedef uint32_t kd_w_u32;
typedef uint64_t kd_w_u64;

/* Sizes first: array parameters below need them. */
#define KD_STRUCT(name, size) enum { KD_W_SIZE_##name = size };
#define KD_FIELD(st, type, name, offset, format)
#define KD_ARRAY(st, type, name, offset, count, format)
#define KD_END(name)
#include "core/wire/structs.def"
#undef KD_STRUCT
#undef KD_FIELD
#undef KD_ARRAY
#undef KD_END

/* clang-format off */
#define KD_STRUCT(name, size)                           struct kd_w_##name {
#define KD_FIELD(st, type, name, offset, format)        kd_w_##type name;
#define KD_ARRAY(st, type, name, offset, count, format) kd_w_##type name[count];
#define KD_END(name)                                    };
/* clang-format on */
#include "core/wire/structs.def"
#undef KD_STRUCT
#undef KD_FIELD
#undef KD_ARRAY
#undef KD_END

#define KD_STRUCT(name, size)                                                                    \
	void kd_w_##name##_decode(struct kd_w_##name *ret, const uint8_t in[KD_AT_LEAST(size)]); \
	void kd_w_##name##_encode(uint8_t out[KD_AT_LEAST(size)], const struct kd_w_##name *v);
#define KD_FIELD(st, type, name, offset, format)
#define KD_ARRAY(st, type, name, offset, count, format)
#define KD_END(name)
#include "core/wire/structs.def"
#undef KD_STRUCT
#undef KD_FIELD
#undef KD_ARRAY
#undef KD_END

#endif
