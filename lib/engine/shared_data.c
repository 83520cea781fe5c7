/* SPDX-License-Identifier: MIT */
/* KUSER_SHARED_DATA: a page at a fixed address in which NT tells everybody what it is. */
#include <string.h>

#include "lib/engine/engine.h"

/* The kernel's view of it, and where in it (docs/crash-dump.md). */
static const uint64_t place_64 = UINT64_C(0xFFFFF78000000000);
static const uint64_t place_32 = UINT64_C(0xFFFFFFFFFFDF0000);
enum {
	INTERRUPT_TIME = 0x08, /* KSYSTEM_TIME: low, high, high again */
	SYSTEM_TIME = 0x14,
	PRODUCT_TYPE = 0x264,
	NT_MAJOR = 0x26C,
	NT_MINOR = 0x270,
	SUITE_MASK = 0x2D0,
	SIZE = SUITE_MASK + 4,
};

KD_EXPORT enum kd_status kd_session_shared_data(struct kd_session *s, struct kd_shared_data *ret,
						struct kd_error *err)
{
	uint8_t bytes[SIZE];
	enum kd_status status = kd_memory_read(s, kd__pointer_size(s) == 8 ? place_64 : place_32,
					       bytes, sizeof bytes, NULL, err);

	memset(ret, 0, sizeof *ret);
	if (status != KD_OK)
		return status;
	ret->interrupt_time = kd_get64(bytes + INTERRUPT_TIME);
	ret->system_time = kd_get64(bytes + SYSTEM_TIME);
	ret->product_type = kd_get32(bytes + PRODUCT_TYPE);
	ret->nt_major = kd_get32(bytes + NT_MAJOR);
	ret->nt_minor = kd_get32(bytes + NT_MINOR);
	ret->suite_mask = kd_get32(bytes + SUITE_MASK);
	return KD_OK;
}
