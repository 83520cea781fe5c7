/* SPDX-License-Identifier: MIT */
/* The codecs of structs.h, one pair for each KD_STRUCT of structs.def. */
#include "core/wire/structs.h"

#include "core/bytes.h"

#define get_u8  kd_get8
#define get_u16 kd_get16
#define get_u32 kd_get32
#define get_u64 kd_get64
#define put_u8  kd_put8
#define put_u16 kd_put16
#define put_u32 kd_put32
#define put_u64 kd_put64

/* Every field lies inside its structure. */
#define KD_STRUCT(name, size)
#define KD_FIELD(st, type, name, offset, format) \
	_Static_assert((offset) + sizeof(kd_w_##type) <= KD_W_SIZE_##st, #st "." #name);
#define KD_ARRAY(st, type, name, offset, count, format) \
	_Static_assert((offset) + (count) * sizeof(kd_w_##type) <= KD_W_SIZE_##st, #st "." #name);
#define KD_END(name)
#include "core/wire/structs.def"
#undef KD_STRUCT
#undef KD_FIELD
#undef KD_ARRAY
#undef KD_END

#define KD_STRUCT(name, size)                                                                   \
	void kd_w_##name##_decode(struct kd_w_##name *ret, const uint8_t in[KD_AT_LEAST(size)]) \
	{
#define KD_FIELD(st, type, name, offset, format) ret->name = get_##type(in + (offset));
#define KD_ARRAY(st, type, name, offset, count, format) \
	for (size_t i = 0; i < (count); i++)            \
		ret->name[i] = get_##type(in + (offset) + i * sizeof(kd_w_##type));
#define KD_END(name) }
#include "core/wire/structs.def"
#undef KD_STRUCT
#undef KD_FIELD
#undef KD_ARRAY
#undef KD_END

#define KD_STRUCT(name, size)                                                                  \
	void kd_w_##name##_encode(uint8_t out[KD_AT_LEAST(size)], const struct kd_w_##name *v) \
	{
#define KD_FIELD(st, type, name, offset, format) put_##type(out + (offset), v->name);
#define KD_ARRAY(st, type, name, offset, count, format) \
	for (size_t i = 0; i < (count); i++)            \
		put_##type(out + (offset) + i * sizeof(kd_w_##type), v->name[i]);
#define KD_END(name) }
#include "core/wire/structs.def"
#undef KD_STRUCT
#undef KD_FIELD
#undef KD_ARRAY
#undef KD_END
