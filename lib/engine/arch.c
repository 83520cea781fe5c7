/* SPDX-License-Identifier: MIT */
#include "lib/engine/arch.h"

static const struct kd__arch *const arches[] = {
	&kd__arch_amd64,
	&kd__arch_x86,
};

const struct kd__arch *kd__arch_find(uint16_t machine)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(arches); i++)
		if (arches[i]->machine == machine)
			return arches[i];
	return NULL;
}
