/* SPDX-License-Identifier: MIT */
/* x64 unwinding over hostile unwind data, code and stack: ends, and never reads out of bounds. */
#include <string.h>

#include "core/bytes.h"
#include "lib/sym/unwind_x64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BASE = 0x10000, HEADER = 24 };

static bool find(void *context, uint64_t address, uint64_t *base_ret,
		 struct kd_x64_function *function_ret)
{
	const struct kd_mapping *m = context;

	if (address < BASE || address - BASE >= m->size)
		return false;
	*base_ret = BASE;
	function_ret->begin = kd_get32(m->bytes) % (uint32_t)m->size;
	function_ret->end = kd_get32(m->bytes + 4) % (uint32_t)m->size;
	function_ret->unwind = kd_get32(m->bytes + 8) % (uint32_t)m->size;
	return true;
}

static enum kd_status read_based(void *context, uint64_t address, void *buffer, size_t size,
				 size_t *done_ret)
{
	*done_ret = 0;
	return address < BASE ? KD_OK
			      : kd_mapping_read(context, address - BASE, buffer, size, done_ret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kd_mapping m = { data, size };
	struct kd_x64_unwinder u = { read_based, find, &m };
	struct kd_x64_frame frame = { 0 };

	if (size < HEADER)
		return 0;
	for (size_t i = 0; i < KD_X64_REGS; i++)
		frame.regs[i] = BASE + kd_get32(data + 12) % size;
	frame.rip = BASE + kd_get32(data + 16) % size;
	for (int i = 0; i < 64; i++) {
		struct kd_x64_step step;

		if (kd_x64_unwind(&u, &frame, i == 0, &step, NULL) != KD_OK)
			break;
	}
	return 0;
}
