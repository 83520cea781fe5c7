/* SPDX-License-Identifier: MIT */
#include "core/wire/fields.h"

#include "core/text.h"
#include "core/wire/structs.h"

#define KD_STRUCT(name, size) static const struct kd_field fields_of_##name[] = {
#define KD_FIELD(st, type, name, offset, format) \
	{ #name, offset, sizeof(kd_layout_##type), 1, KD_FORMAT_##format },
#define KD_ARRAY(st, type, name, offset, count, format) \
	{ #name, offset, sizeof(kd_layout_##type), count, KD_FORMAT_##format },
/* clang-format off */
#define KD_END(name) };
/* clang-format on */
#include "core/wire/structs.def"
#undef KD_STRUCT
#undef KD_FIELD
#undef KD_ARRAY
#undef KD_END

static const struct kd_struct_info infos[KD_N_STRUCTS] = {
#define KD_STRUCT(name, size)                              \
	[KD_STRUCT_ID_##name] = { #name, fields_of_##name, \
				  sizeof(fields_of_##name) / sizeof(fields_of_##name[0]), size },
#define KD_FIELD(st, type, name, offset, format)
#define KD_ARRAY(st, type, name, offset, count, format)
#define KD_END(name)
#include "core/wire/structs.def"
#undef KD_STRUCT
#undef KD_FIELD
#undef KD_ARRAY
#undef KD_END
};

const struct kd_struct_info *kd_struct_get(enum kd_struct_id id)
{
	return &infos[id];
}

const struct kd_struct_info *kd_struct_find(const char *name)
{
	for (size_t i = 0; i < KD_N_STRUCTS; i++)
		if (kd_text_is_equal(infos[i].name, name))
			return &infos[i];
	return NULL;
}

const struct kd_field *kd_field_find(const struct kd_struct_info *info, const char *name)
{
	for (size_t i = 0; i < info->n_fields; i++)
		if (kd_text_is_equal(info->fields[i].name, name))
			return &info->fields[i];
	return NULL;
}
