/* SPDX-License-Identifier: MIT */
#include "core/wire/context.h"

#include "core/text.h"
#include "core/wire/api.h"

#define KD_REGS(layout)                    static const struct kd_reg_field layout##_fields[] = {
#define KD_REG(layout, name, offset, size) { name, offset, size },
/* clang-format off */
#define KD_REGS_END(layout) };
/* clang-format on */
#include "core/wire/registers.def"
#undef KD_REGS
#undef KD_REG
#undef KD_REGS_END

#define LAYOUT(name, size)                                                            \
	{                                                                             \
		name##_fields, sizeof(name##_fields) / sizeof(name##_fields[0]), size \
	}

static const struct {
	uint16_t machine;
	struct kd_reg_layout context, special;
} machines[] = {
	{ KD_MACHINE_AMD64, LAYOUT(context_amd64, KD_CONTEXT_SIZE_AMD64),
	  LAYOUT(special_amd64, KD_SPECIAL_SIZE_AMD64) },
	{ KD_MACHINE_X86, LAYOUT(context_x86, KD_CONTEXT_SIZE_X86),
	  LAYOUT(special_x86, KD_SPECIAL_SIZE_X86) },
	{ KD_MACHINE_ARM64, LAYOUT(context_arm64, KD_CONTEXT_SIZE_ARM64),
	  LAYOUT(special_arm64, KD_SPECIAL_SIZE_ARM64) },
};

const struct kd_reg_layout *kd_context_layout(uint16_t machine)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (machines[i].machine == machine)
			return &machines[i].context;
	return NULL;
}

const struct kd_reg_layout *kd_special_layout(uint16_t machine)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++)
		if (machines[i].machine == machine)
			return &machines[i].special;
	return NULL;
}

const struct kd_reg_field *kd_reg_find(const struct kd_reg_layout *layout, const char *name)
{
	for (size_t i = 0; i < layout->n_fields; i++)
		if (kd_text_is_equal(layout->fields[i].name, name))
			return &layout->fields[i];
	return NULL;
}

uint64_t kd_reg_get(const uint8_t *bytes, const struct kd_reg_field *field)
{
	return kd_get_sized(bytes + field->offset, field->size);
}

void kd_reg_set(uint8_t *bytes, const struct kd_reg_field *field, uint64_t value)
{
	kd_put_sized(bytes + field->offset, field->size, value);
}
