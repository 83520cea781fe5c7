/* SPDX-License-Identifier: MIT */
#include "core/wire/context.h"

#include "core/text.h"
#include "core/wire/api.h"

enum { SIZE_OFFSET = 0x14 };

static const struct kd_kdbg_field fields[] = {
#define KD_KDBG(offset, size, name, meaning, since) { #name, offset, size, KD_KDBG_##meaning },
#include "core/wire/kdbg.def"
#undef KD_KDBG
};

const struct kd_kdbg_field *kd_kdbg_table(size_t *n_ret)
{
	*n_ret = sizeof(fields) / sizeof(fields[0]);
	return fields;
}

const struct kd_kdbg_field *kd_kdbg_find(const char *name)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (kd_text_is_equal(fields[i].name, name))
			return &fields[i];
	return NULL;
}

bool kd_kdbg_get(const uint8_t *block, size_t size, uint16_t machine,
		 const struct kd_kdbg_field *field, uint64_t *value_ret)
{
	size_t end = (size_t)field->offset + field->size;
	uint64_t value;

	if (size < KD_KDBG_HEADER_SIZE || end > size || end > kd_get32(block + SIZE_OFFSET))
		return false;
	value = kd_get_sized(block + field->offset, field->size);
	*value_ret = machine == KD_MACHINE_X86 ? (uint32_t)value : value;
	return true;
}
