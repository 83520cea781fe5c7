/* SPDX-License-Identifier: MIT */
#include "apps/kd/trap_frame.h"

#include <string.h>

#include "apps/kd/text.h"
#include "apps/kd/value.h"

/* Offsets in KTRAP_FRAME and CONTEXT: stable from NT 5.2 to current builds (docs of NT structures).
 */
struct move {
	uint16_t frame, context, size;
};

/* clang-format off */
static const struct move moves_64[] = {
	{ 0x2C, 0x34, 4 },                                        /* mxcsr */
	{ 0x30, 0x78, 8 }, { 0x38, 0x80, 8 }, { 0x40, 0x88, 8 },  /* rax rcx rdx */
	{ 0x48, 0xB8, 8 }, { 0x50, 0xC0, 8 },                     /* r8 r9 */
	{ 0x58, 0xC8, 8 }, { 0x60, 0xD0, 8 },                     /* r10 r11 */
	{ 0x70, 0x1A0, 0x60 },                                    /* xmm0 to xmm5 */
	{ 0x140, 0x90, 8 }, { 0x148, 0xB0, 8 },                   /* rbx rdi */
	{ 0x150, 0xA8, 8 }, { 0x158, 0xA0, 8 },                   /* rsi rbp */
	{ 0x168, 0xF8, 8 }, { 0x170, 0x38, 2 },                   /* rip cs */
	{ 0x178, 0x44, 4 }, { 0x180, 0x98, 8 }, { 0x188, 0x42, 2 }, /* efl rsp ss */
}, moves_32[] = {
	{ 0x30, 0x8C, 4 }, { 0x50, 0x90, 4 },                     /* gs fs */
	{ 0x34, 0x94, 4 }, { 0x38, 0x98, 4 },                     /* es ds */
	{ 0x3C, 0xA8, 4 }, { 0x40, 0xAC, 4 }, { 0x44, 0xB0, 4 },  /* edx ecx eax */
	{ 0x54, 0x9C, 4 }, { 0x58, 0xA0, 4 }, { 0x5C, 0xA4, 4 },  /* edi esi ebx */
	{ 0x60, 0xB4, 4 }, { 0x68, 0xB8, 4 },                     /* ebp eip */
	{ 0x6C, 0xBC, 4 }, { 0x70, 0xC0, 4 },                     /* cs efl */
	{ 0x74, 0xC4, 4 }, { 0x78, 0xC8, 4 },                     /* esp ss */
};
/* clang-format on */

enum { FRAME_CS_32 = 0x6C, FRAME_ESP_32 = 0x74, CONTEXT_ESP_32 = 0xC4, CONTEXT_SS_32 = 0xC8 };

static void apply(const struct move *moves, size_t n, const uint8_t *frame, uint8_t *context)
{
	for (size_t i = 0; i < n; i++)
		memcpy(context + moves[i].context, frame + moves[i].frame, moves[i].size);
}

bool trap_frame_is_whole(unsigned pointer_size, const uint8_t *frame, size_t size)
{
	if (pointer_size == 8)
		return size == TRAP_FRAME_SIZE_64;
	return size == TRAP_FRAME_SIZE_32 ||
	       (size >= FRAME_ESP_32 && (frame[FRAME_CS_32] & 3) == 0);
}

void trap_frame_apply(unsigned pointer_size, uint64_t address, const uint8_t *frame,
		      uint8_t *context)
{
	if (pointer_size == 8) {
		apply(moves_64, APP_ARRAY_LEN(moves_64), frame, context);
		return;
	}
	apply(moves_32, APP_ARRAY_LEN(moves_32), frame, context);
	/* A trap out of the kernel pushes neither esp nor ss: the stack went on above the frame. */
	if ((frame[FRAME_CS_32] & 3) == 0) {
		value_store(context + CONTEXT_ESP_32, 4, address + FRAME_ESP_32);
		value_store(context + CONTEXT_SS_32, 4, 0x10);
	}
}
