/* SPDX-License-Identifier: MIT */
/*
 * Unwinding by hand-made unwind data: what no compiler here writes. Expected results are computed
 * by hand from the description of the format (facts: symbols 3.1, 3.2).
 *
 * The stack holds word(i) at STACK + 8 * i, so a register tells from which slot it was loaded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "lib/sym/unwind_x64.h"

enum {
	BASE = 0x10000,
	IMAGE = 0x4000,
	FUNCTION = 0x1000, /* 0x100 bytes of code, filled with NOP */
	FUNCTION_END = 0x1100,
	OTHER = 0x2000, /* a second function */
	OTHER_END = 0x2040,
	INFO = 0x3000, /* unwind data of FUNCTION */
	INFO_OTHER = 0x3100,
	ENTRY_OTHER = 0x3200, /* a RUNTIME_FUNCTION that says what `find` says of OTHER */
	STACK = 0x80000,
	STACK_WORDS = 512,
	RAX = 0,
	RBX = 3,
	RSP = 4,
	RBP = 5,
	RSI = 6,
	RDI = 7,
	R15 = 15,
};

static struct {
	uint8_t image[IMAGE], stack[8 * STACK_WORDS];
	struct kd_x64_function function, other;
} world;

static uint64_t word(unsigned i)
{
	return 0xAA0000u + i;
}

static enum kd_status read_memory(void *context, uint64_t address, void *buffer, size_t size,
				  size_t *done_ret)
{
	*done_ret = 0;
	if (address >= BASE && address < BASE + IMAGE) {
		*done_ret = KD_MIN(size, (size_t)(BASE + IMAGE - address));
		memcpy(buffer, world.image + (address - BASE), *done_ret);
	} else if (address >= STACK && address < STACK + sizeof world.stack) {
		*done_ret = KD_MIN(size, (size_t)(STACK + sizeof world.stack - address));
		memcpy(buffer, world.stack + (address - STACK), *done_ret);
	}
	return KD_OK;
}

static bool is_within(const struct kd_x64_function *f, uint64_t rva)
{
	return rva >= f->begin && rva < f->end;
}

static bool find(void *context, uint64_t address, uint64_t *base_ret,
		 struct kd_x64_function *function_ret)
{
	uint64_t rva = address - BASE;

	if (rva >= IMAGE)
		return false;
	*base_ret = BASE;
	if (is_within(&world.function, rva))
		*function_ret = world.function;
	else if (is_within(&world.other, rva))
		*function_ret = world.other;
	else
		memset(function_ret, 0, sizeof *function_ret);
	return true;
}

static const struct kd_x64_unwinder unwinder = { read_memory, find, NULL };

static size_t put_hex(uint8_t *out, const char *hex)
{
	size_t n = 0;
	unsigned byte;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		out[n++] = (uint8_t)byte;
		hex++;
	}
	return n;
}

static void reset(void)
{
	memset(&world, 0, sizeof world);
	memset(world.image + FUNCTION, 0x90, FUNCTION_END - FUNCTION);
	memset(world.image + OTHER, 0x90, OTHER_END - OTHER);
	for (unsigned i = 0; i < STACK_WORDS; i++)
		kd_put64(world.stack + 8 * i, word(i));
	world.function = (struct kd_x64_function){ FUNCTION, FUNCTION_END, INFO };
	world.other = (struct kd_x64_function){ OTHER, OTHER_END, INFO_OTHER };
	put_hex(world.image + INFO, "01 00 00 00");
	put_hex(world.image + INFO_OTHER, "01 00 00 00");
	kd_put32(world.image + ENTRY_OTHER, OTHER);
	kd_put32(world.image + ENTRY_OTHER + 4, OTHER_END);
	kd_put32(world.image + ENTRY_OTHER + 8, INFO_OTHER);
}

static struct kd_x64_frame frame_at(uint32_t offset)
{
	struct kd_x64_frame f = { .rip = BASE + FUNCTION + offset };

	for (unsigned i = 0; i < KD_X64_REGS; i++)
		f.regs[i] = 0x1000 + i;
	f.regs[RSP] = STACK;
	f.regs[RBP] = STACK + 0x100;
	return f;
}

/* --- one step each --- */

static const struct {
	const char *name;
	const char *info;            /* unwind data of the function */
	const char *code;            /* at `offset` of the function, NOP elsewhere */
	uint32_t offset;             /* rip */
	bool is_return;              /* rip is a return address */
	unsigned rip_slot, rsp_slot; /* word that became rip; where rsp is then */
	int reg;
	unsigned reg_slot; /* word that became `reg`; reg 0: none to look at */
} steps[] = {
	/* clang-format off */
	{ "no codes", "01 00 00 00", "", 0x20, false, 0, 1, 0, 0 },
	{ "push rbx, alloc 0x28, in the body", "01 05 02 00 0542 0130", "", 0x20, false, 6, 7, RBX, 5 },
	{ "the same before the first instruction", "01 05 02 00 0542 0130", "", 0, false, 0, 1, 0, 0 },
	{ "behind the push", "01 05 02 00 0542 0130", "", 1, false, 1, 2, RBX, 0 },
	{ "inside of the allocation", "01 05 02 00 0542 0130", "", 4, false, 1, 2, RBX, 0 },
	{ "behind the allocation", "01 05 02 00 0542 0130", "", 5, false, 6, 7, RBX, 5 },
	{ "large allocation, 16 bits", "01 07 02 00 0701 2000", "", 0x20, false, 32, 33, 0, 0 },
	{ "large allocation, 32 bits", "01 07 03 00 0711 00020000", "", 0x20, false, 64, 65, 0, 0 },
	{ "save by 16 bits", "01 09 03 00 0964 0300 0442", "", 0x20, false, 5, 6, RSI, 3 },
	{ "save by 32 bits", "01 09 04 00 0975 18000000 0442", "", 0x20, false, 5, 6, RDI, 3 },
	{ "save not reached yet", "01 09 03 00 0964 0300 0442", "", 8, false, 5, 6, 0, 0 },
	{ "frame register: rsp counts from it", "01 08 03 25 0803 0442 0150", "", 0x20, false,
	  32 - 4 + 6, 32 - 4 + 7, RBP, 32 - 4 + 5 },
	{ "frame register not set yet", "01 08 03 25 0803 0442 0150", "", 7, false, 6, 7, RBP, 5 },
	{ "save counts from the frame register", "01 0c 05 05 0c64 0200 0803 0442 0150", "", 0x20, false,
	  32 + 6, 32 + 7, RSI, 34 },
	{ "vector registers are skipped", "01 12 07 00 1268 0100 0a79 10000000 0442 0130", "", 0x20, false,
	  6, 7, RBX, 5 },
	{ "version 1: old vector codes have 2 and 3 slots", "01 12 07 00 1266 0100 0a77 10000000 0442 0130",
	  "", 0x20, false, 6, 7, RBX, 5 },
	{ "version 2: spare has 1 slot", "02 12 03 00 1207 0442 0130", "", 0x20, false, 6, 7, RBX, 5 },
	/* an epilog in version 1 is known by its bytes only */
	{ "epilog from its release", "01 05 02 00 0542 0130", "48 83 c4 28 5b c3", 0x20, false, 6, 7, RBX, 5 },
	{ "epilog: long release", "01 05 02 00 0542 0130", "48 81 c4 28000000 5b c3", 0x20, false, 6, 7, RBX, 5 },
	{ "epilog from its pop", "01 05 02 00 0542 0130", "5b c3", 0x20, false, 1, 2, RBX, 0 },
	{ "epilog: pop r15", "01 05 02 00 0542 01f0", "41 5f c3", 0x20, false, 1, 2, R15, 0 },
	{ "epilog: ret", "01 05 02 00 0542 0130", "c3", 0x20, false, 0, 1, 0, 0 },
	{ "epilog: ret n", "01 05 02 00 0542 0130", "c2 0800", 0x20, false, 0, 1, 0, 0 },
	{ "epilog: rep ret", "01 05 02 00 0542 0130", "f3 c3", 0x20, false, 0, 1, 0, 0 },
	{ "epilog: lea from the frame register", "01 08 03 25 0803 0442 0150", "48 8d 65 08 5d c3", 0x20, false,
	  34, 35, RBP, 33 },
	{ "lea from another register is none", "01 08 03 25 0803 0442 0150", "48 8d 66 08 5d c3", 0x20, false,
	  34, 35, RBP, 33 },
	{ "two releases are no epilog", "01 05 02 00 0542 0130", "48 83 c4 08 48 83 c4 28 5b c3", 0x20, false,
	  6, 7, RBX, 5 },
	{ "a pop that does not return", "01 05 02 00 0542 0130", "5b 90 c3", 0x20, false, 6, 7, RBX, 5 },
	{ "tail call far away", "01 05 02 00 0542 0130", "5b e9 d90f0000", 0x20, false, 1, 2, RBX, 0 },
	{ "tail call through memory", "01 05 02 00 0542 0130", "ff 25 00000000", 0x20, false, 0, 1, 0, 0 },
	{ "tail call through a register", "01 05 02 00 0542 0130", "48 ff e0", 0x20, false, 0, 1, 0, 0 },
	{ "the same without the mark: a switch", "01 05 02 00 0542 0130", "ff e0", 0x20, false, 6, 7, RBX, 5 },
	{ "but behind pops it ends an epilog", "01 05 02 00 0542 0130", "5b 41 ff e0", 0x20, false, 1, 2, RBX, 0 },
	{ "jump inside the function", "01 05 02 00 0542 0130", "eb 10", 0x20, false, 6, 7, RBX, 5 },
	{ "jump to its own beginning", "01 05 02 00 0542 0130", "eb de", 0x20, false, 6, 7, RBX, 5 },
	{ "a return address is never in an epilog", "01 05 02 00 0542 0130", "c3", 0x20, true, 6, 7, RBX, 5 },
	{ "a call as the last instruction", "01 05 02 00 0542 0130", "", FUNCTION_END - FUNCTION, true, 6, 7, RBX, 5 },
	/* version 2 lists its epilogs: first code size and whether one ends the function, then distances */
	{ "listed at the end: first byte", "02 05 03 00 0216 0542 0130", "5b c3", 0xFE, false, 1, 2, RBX, 0 },
	{ "listed at the end: last byte", "02 05 03 00 0216 0542 0130", "c3", 0xFF, false, 0, 1, 0, 0 },
	{ "listed: before it is body", "02 05 03 00 0216 0542 0130", "5b c3", 0xFD, false, 6, 7, RBX, 5 },
	{ "not listed: bytes do not count", "02 05 03 00 0216 0542 0130", "5b c3", 0x20, false, 6, 7, RBX, 5 },
	{ "listed in the middle", "02 05 04 00 0206 a006 0542 0130", "5b c3", 0x60, false, 1, 2, RBX, 0 },
	{ "listed in the middle, none at the end", "02 05 04 00 0206 a006 0542 0130", "5b c3", 0xFE, false, 6, 7, RBX, 5 },
	{ "listed, with a jump that bytes would not tell", "02 05 03 00 0316 0542 0130", "5b ff e0", 0xFD, false,
	  1, 2, RBX, 0 },
	/* clang-format on */
};

static void test_steps(void **state)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(steps); i++) {
		struct kd_x64_frame f = frame_at(steps[i].offset);
		struct kd_error err = { .text = "" };
		struct kd_x64_step step;

		reset();
		put_hex(world.image + INFO, steps[i].info);
		put_hex(world.image + FUNCTION + steps[i].offset, steps[i].code);
		if (kd_x64_unwind(&unwinder, &f, !steps[i].is_return, &step, &err) != KD_OK)
			fail_msg("%s: %s", steps[i].name, err.text);
		if (f.rip != word(steps[i].rip_slot) ||
		    f.regs[RSP] != STACK + 8 * (uint64_t)steps[i].rsp_slot ||
		    (steps[i].reg && f.regs[steps[i].reg] != word(steps[i].reg_slot)))
			fail_msg("%s: rip 0x%llx rsp slot %lld reg 0x%llx", steps[i].name,
				 (unsigned long long)f.rip, (long long)(f.regs[RSP] - STACK) / 8,
				 (unsigned long long)f.regs[steps[i].reg]);
		assert_true(step.has_function && !step.is_machine_frame && !step.is_leaf);
		assert_int_equal(step.function, BASE + FUNCTION);
		assert_int_equal(step.return_slot, STACK + 8 * (steps[i].rsp_slot - 1));
	}
}

/* --- machine frames --- */

/* As KiPageFault has it: error code, trap frame of 0x158 bytes below, rbp = trap frame + 0x80. */
static void test_trap(void **state)
{
	struct kd_x64_frame f = frame_at(0x40);
	struct kd_x64_step step;
	unsigned slot = 0x158 / 8;

	reset();
	put_hex(world.image + INFO, "01 10 05 85 1003 0801 2b00 0150 001a");
	f.regs[RSP] = 0x7777; /* elsewhere: rbp is what counts */
	f.regs[RBP] = STACK + 0x80;
	kd_put64(world.stack + 8 * (slot + 2), BASE + OTHER); /* behind rbp and the error code */
	kd_put64(world.stack + 8 * (slot + 5), STACK + 0x800);
	assert_int_equal(kd_x64_unwind(&unwinder, &f, true, &step, NULL), KD_OK);
	assert_true(step.is_machine_frame);
	assert_int_equal(step.machine_frame, STACK + 8 * (slot + 2));
	assert_int_equal(f.rip, BASE + OTHER);
	assert_int_equal(f.regs[RSP], STACK + 0x800);
	assert_int_equal(f.regs[RBP], word(slot));
}

static void test_interrupt(void **state)
{
	struct kd_x64_frame f = frame_at(0x40);
	struct kd_x64_step step;

	reset(); /* no error code, and another stack below this one */
	put_hex(world.image + INFO, "01 04 02 00 0412 000a");
	kd_put64(world.stack + 8 * 2, BASE + OTHER + 4);
	kd_put64(world.stack + 8 * 5, STACK - 0x1000);
	assert_int_equal(kd_x64_unwind(&unwinder, &f, true, &step, NULL), KD_OK);
	assert_true(step.is_machine_frame);
	assert_int_equal(f.rip, BASE + OTHER + 4);
	assert_int_equal(f.regs[RSP], STACK - 0x1000);
}

/* --- split functions --- */

/* FUNCTION is a second part of OTHER: saves rsi; OTHER pushes rbx and allocates. */
static void chain(void)
{
	reset();
	put_hex(world.image + INFO, "21 05 02 00 0564 0200");
	kd_put32(world.image + INFO + 8, OTHER);
	kd_put32(world.image + INFO + 12, OTHER_END);
	kd_put32(world.image + INFO + 16, INFO_OTHER);
	put_hex(world.image + INFO_OTHER, "01 05 02 00 0542 0130");
}

static void test_chain(void **state)
{
	struct kd_x64_frame f = frame_at(0x40);
	struct kd_x64_step step;

	chain();
	assert_int_equal(kd_x64_unwind(&unwinder, &f, true, &step, NULL), KD_OK);
	assert_int_equal(f.rip, word(6));
	assert_int_equal(f.regs[RSI], word(2));
	assert_int_equal(f.regs[RBX], word(5));
	f = frame_at(2); /* rsi is not saved yet */
	assert_int_equal(kd_x64_unwind(&unwinder, &f, true, &step, NULL), KD_OK);
	assert_int_equal(f.rip, word(6));
	assert_int_equal(f.regs[RSI], 0x1000 + RSI);
}

static void test_jump_between_parts(void **state)
{
	struct kd_x64_frame f = frame_at(0x20);
	struct kd_x64_step step;

	chain(); /* jmp into OTHER: the same function, so the frame stands */
	put_hex(world.image + FUNCTION + 0x20, "e9 eb0f0000");
	assert_int_equal(kd_x64_unwind(&unwinder, &f, true, &step, NULL), KD_OK);
	assert_int_equal(f.rip, word(6));
	reset(); /* the same bytes when OTHER is another function: a tail call */
	put_hex(world.image + INFO, "01 05 02 00 0542 0130");
	put_hex(world.image + FUNCTION + 0x20, "e9 eb0f0000");
	f = frame_at(0x20);
	assert_int_equal(kd_x64_unwind(&unwinder, &f, true, &step, NULL), KD_OK);
	assert_int_equal(f.rip, word(0));
}

static void test_indirect(void **state)
{
	struct kd_x64_frame f = frame_at(0x40);
	struct kd_x64_step step;

	reset();
	world.function.unwind = ENTRY_OTHER | 1;
	put_hex(world.image + INFO_OTHER, "01 05 02 00 0542 0130");
	assert_int_equal(kd_x64_unwind(&unwinder, &f, true, &step, NULL), KD_OK);
	assert_int_equal(f.rip, word(6));
	assert_int_equal(f.regs[RBX], word(5));
}

/* The frame register stands in the chained part's header; its code is in the first part. */
static void test_chain_with_frame_register(void **state)
{
	struct kd_x64_frame f = frame_at(0x40);
	struct kd_x64_step step;

	chain();
	put_hex(world.image + INFO, "21 05 02 05 0564 0200");
	put_hex(world.image + INFO_OTHER, "01 08 03 05 0803 0442 0150");
	f.regs[RSP] = STACK + 8; /* moved by alloca */
	assert_int_equal(kd_x64_unwind(&unwinder, &f, true, &step, NULL), KD_OK);
	assert_int_equal(f.regs[RSI], word(32 + 2));
	assert_int_equal(f.rip, word(32 + 6));
}

/* --- refusals --- */

static void expect(enum kd_status wanted, struct kd_x64_frame f, uint64_t where)
{
	struct kd_error err = { .text = "" };
	struct kd_x64_step step;

	assert_int_equal(kd_x64_unwind(&unwinder, &f, true, &step, &err), wanted);
	assert_int_equal(err.status, wanted);
	assert_true(err.text[0]);
	if (where)
		assert_int_equal(err.where, where);
}

static void test_refusals(void **state)
{
	struct kd_x64_frame f = frame_at(0x40);

	reset();
	f.regs[RSP] = STACK + sizeof world.stack - 4;
	expect(KD_E_UNREADABLE, f, STACK + sizeof world.stack); /* half a word */
	f = frame_at(0x40);
	f.rip = 0x12;
	expect(KD_E_NOT_FOUND, f, 0x12);
	f = frame_at(0x40);
	put_hex(world.image + INFO, "03 00 00 00");
	expect(KD_E_MALFORMED, f, BASE + INFO);
	put_hex(world.image + INFO, "01 05 01 00 0511"); /* an operand is missing */
	expect(KD_E_MALFORMED, f, 0);
	world.function.unwind = 0x7000000;
	expect(KD_E_UNREADABLE, f, BASE + 0x7000000);
	chain(); /* a chain that bites its tail */
	put_hex(world.image + INFO_OTHER, "21 00 00 00");
	kd_put32(world.image + INFO_OTHER + 4, OTHER);
	kd_put32(world.image + INFO_OTHER + 8, OTHER_END);
	kd_put32(world.image + INFO_OTHER + 12, INFO_OTHER);
	expect(KD_E_MALFORMED, f, 0);
	reset(); /* an interrupt that returns to itself */
	put_hex(world.image + INFO, "01 00 01 00 000a");
	kd_put64(world.stack, f.rip);
	kd_put64(world.stack + 0x18, STACK);
	expect(KD_E_MALFORMED, f, f.rip);
	reset(); /* a frame register that leads down the stack */
	put_hex(world.image + INFO, "01 08 03 05 0803 0442 0150");
	f.regs[RSP] = STACK + 0x400;
	expect(KD_E_MALFORMED, f, f.rip);
}

static void test_leaf(void **state)
{
	struct kd_x64_frame f = frame_at(0x40);
	struct kd_x64_step step;

	reset();
	memset(&world.function, 0, sizeof world.function);
	assert_int_equal(kd_x64_unwind(&unwinder, &f, true, &step, NULL), KD_OK);
	assert_true(step.is_leaf && !step.has_function);
	assert_int_equal(f.rip, word(0));
	assert_int_equal(f.regs[RSP], STACK + 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_trap),
		cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_jump_between_parts),
		cmocka_unit_test(test_indirect),
		cmocka_unit_test(test_chain_with_frame_register),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_leaf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
