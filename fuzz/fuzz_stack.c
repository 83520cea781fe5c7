/* SPDX-License-Identifier: MIT */
/*
 * Stack walks where code, unwind data, function table and stack are all the fuzzer's: an end within
 * the caps, no frame below the one before unless a machine frame is between them, few reads.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "lib/base.h"
#include "lib/engine/stack_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IMAGE_SIZE = 0x400, STACK_SIZE = 0x400, FRAMES = 40, READS_PER_FRAME = 1200 };

static const uint64_t image = 0xFFFFFFFF80500000, stack = 0xFFFFFFFF90000000;

struct world {
	uint8_t code[IMAGE_SIZE], bytes[STACK_SIZE];
	uint32_t unwind;
	size_t n_reads;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static enum kd_status read_world(void *context, uint64_t address, void *buffer, size_t size,
				 size_t *done_ret)
{
	struct world *w = context;

	w->n_reads++;
	for (*done_ret = 0; *done_ret < size; (*done_ret)++) {
		uint64_t at = address + *done_ret;

		if (at - image < IMAGE_SIZE)
			((uint8_t *)buffer)[*done_ret] = w->code[at - image];
		else if (at - stack < STACK_SIZE)
			((uint8_t *)buffer)[*done_ret] = w->bytes[at - stack];
		else
			break;
	}
	return KD_OK;
}

/* The image's upper half is one function, its lower half leaves. */
static bool find(void *context, uint64_t address, uint64_t *base_ret, struct kd_x64_function *ret)
{
	const struct world *w = context;

	if (address - image >= IMAGE_SIZE)
		return false;
	*base_ret = image;
	memset(ret, 0, sizeof *ret);
	if (address - image >= IMAGE_SIZE / 2)
		*ret = (struct kd_x64_function){ IMAGE_SIZE / 2, IMAGE_SIZE, w->unwind };
	return true;
}

static bool is_code(void *context, uint64_t address)
{
	return address - image < IMAGE_SIZE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .unwind = 0 };
	struct kd_x64_frame regs = { .rip = image };
	struct kd__stack_host host = { .unwinder = { read_world, find, &w }, .is_code = is_code };
	struct kd_frame frames[FRAMES];
	char note[80];
	size_t n = 0;

	if (size < 8)
		return 0;
	host.is_64 = data[0] & 1;
	host.user_end = host.is_64 ? UINT64_C(1) << 47 : 0x80000000;
	if (data[0] & 2) {
		host.low = stack;
		host.high = stack + STACK_SIZE;
	}
	regs.rip += kd_get16(data + 1) % IMAGE_SIZE;
	regs.regs[KD_X64_RSP] = stack + data[3];
	regs.regs[KD_X64_RBP] = stack + data[4];
	w.unwind = data[5];
	memcpy(w.code, data + 6, KD_MIN(size - 6, (size_t)IMAGE_SIZE));
	if (size - 6 > IMAGE_SIZE)
		memcpy(w.bytes, data + 6 + IMAGE_SIZE,
		       KD_MIN(size - 6 - IMAGE_SIZE, (size_t)STACK_SIZE));
	require(kd__stack_walk(&host, &regs, frames, FRAMES, &n, note, sizeof note, NULL) == KD_OK);
	require(n >= 1 && n <= FRAMES && memchr(note, 0, sizeof note));
	require(w.n_reads <= FRAMES * READS_PER_FRAME);
	for (size_t i = 1; i < n; i++)
		require(frames[i].is_trap || frames[i].sp > frames[i - 1].sp);
	return 0;
}
