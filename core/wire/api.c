/* SPDX-License-Identifier: MIT */
#include "core/wire/api.h"

static const struct kd_api_info infos[] = {
#define KD_API(number, name, member, in, out, answered, ms_name) \
	{ number,                                                \
	  #name,                                                 \
	  ms_name,                                               \
	  KD_MEMBER_##member,                                    \
	  KD_DATA_##in,                                          \
	  KD_DATA_##out,                                         \
	  KD_ANSWERED_##answered },
#include "core/wire/api.def"
#undef KD_API
};

const struct kd_api_info *kd_api_find(uint32_t number)
{
	size_t low = 0, high = sizeof(infos) / sizeof(infos[0]);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (infos[middle].number == number)
			return &infos[middle];
		if (infos[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct kd_api_info *kd_api_table(size_t *n_ret)
{
	*n_ret = sizeof(infos) / sizeof(infos[0]);
	return infos;
}

enum kd_member kd_api_continue2_member(uint16_t machine)
{
	if (machine == KD_MACHINE_X86)
		return KD_MEMBER_continue2_x86;
	if (machine == KD_MACHINE_ARM64)
		return KD_MEMBER_continue2_arm64;
	return KD_MEMBER_continue2_amd64;
}

const char *kd_code_name(uint32_t number)
{
	static const struct {
		uint32_t number;
		const char *name;
	} names[] = {
#define KD_X(name, number, ms_name) { number, #name },
		KD_CODE_TABLE(KD_X)
#undef KD_X
	};
	const struct kd_api_info *api = kd_api_find(number);

	if (api)
		return api->name;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == number)
			return names[i].name;
	return NULL;
}

const char *kd_nt_name(uint32_t status)
{
	static const struct {
		uint32_t value;
		const char *name;
	} names[] = {
#define KD_X(name, value) { value, #name },
		KD_NT_TABLE(KD_X)
#undef KD_X
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].value == status)
			return names[i].name;
	return NULL;
}
