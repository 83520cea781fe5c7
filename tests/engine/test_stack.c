/* SPDX-License-Identifier: MIT */
/*
 * Walks over synthetic memory: one image of code and unwind data at IMAGE, one stack at STACK.
 * The functions of the x64 image, their unwind codes written by hand from the ABI:
 *
 *   A [0x1000, 0x1100)  sub rsp,28h
 *   B [0x1100, 0x1200)  push rbx; sub rsp,20h
 *   T [0x1200, 0x1300)  trap handler: machine frame with error code, sub rsp,60h
 *   L [0x1300, 0x1400)  leaf: no entry
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "lib/base.h"
#include "lib/engine/stack_walk.h"

#define IMAGE   0xFFFFF80100000000u
#define STACK   0xFFFFA00000001000u
#define IMAGE32 0xFFFFFFFF80500000u
#define STACK32 0xFFFFFFFFF8001000u

enum { IMAGE_SIZE = 0x3000, STACK_SIZE = 0x1000, UNWIND = 0x2000 };

struct world {
	struct kd__stack_host host;
	uint64_t image, stack;
	uint8_t code[IMAGE_SIZE], bytes[STACK_SIZE];
	uint64_t hole, hole_end;
	bool is_silent; /* every read fails as a dead link does */
	size_t n_reads;
};

static const struct kd_x64_function functions[] = {
	{ 0x1000, 0x1100, UNWIND },
	{ 0x1100, 0x1200, UNWIND + 0x10 },
	{ 0x1200, 0x1300, UNWIND + 0x20 },
};

static enum kd_status read_world(void *context, uint64_t address, void *buffer, size_t size,
				 size_t *done_ret)
{
	struct world *w = context;

	w->n_reads++;
	*done_ret = 0;
	if (w->is_silent)
		return KD_E_TIMEOUT;
	for (; *done_ret < size; (*done_ret)++) {
		uint64_t at = address + *done_ret;
		uint8_t *out = (uint8_t *)buffer + *done_ret;

		if (at >= w->hole && at < w->hole_end)
			break;
		if (at - w->image < IMAGE_SIZE)
			*out = w->code[at - w->image];
		else if (at - w->stack < STACK_SIZE)
			*out = w->bytes[at - w->stack];
		else
			break;
	}
	return KD_OK;
}

static bool find(void *context, uint64_t address, uint64_t *base_ret, struct kd_x64_function *ret)
{
	struct world *w = context;

	if (address - w->image >= IMAGE_SIZE)
		return false;
	*base_ret = w->image;
	memset(ret, 0, sizeof *ret);
	for (size_t i = 0; i < KD_ARRAY_LEN(functions); i++)
		if (address - w->image >= functions[i].begin &&
		    address - w->image < functions[i].end)
			*ret = functions[i];
	return true;
}

static bool is_code(void *context, uint64_t address)
{
	const struct world *w = context;

	return address - w->image >= 0x1000 && address - w->image < 0x2000;
}

static void put_stack(struct world *w, uint64_t offset, uint64_t value)
{
	kd_put_sized(w->bytes + offset, w->host.is_64 ? 8 : 4, value);
}

/* A call ends at each multiple of 0x10 in the image's code. */
static struct world *make(bool is_64)
{
	static const uint8_t a[] = { 1, 4, 1, 0, 0x04, 0x42 };
	static const uint8_t b[] = { 1, 5, 2, 0, 0x05, 0x32, 0x01, 0x30 };
	static const uint8_t t[] = { 1, 4, 2, 0, 0x04, 0xB2, 0x00, 0x1A };
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->image = is_64 ? IMAGE : IMAGE32;
	w->stack = is_64 ? STACK : STACK32;
	w->host = (struct kd__stack_host){
		.is_64 = is_64,
		.unwinder = { read_world, find, w },
		.is_code = is_code,
		.low = w->stack,
		.high = w->stack + STACK_SIZE,
		.user_end = is_64 ? UINT64_C(1) << 47 : 0x80000000,
	};
	memset(w->code, 0x90, sizeof w->code);
	for (size_t at = 0x1010; at < 0x2000; at += 0x10)
		w->code[at - 5] = 0xE8;
	memset(w->code + UNWIND, 0, IMAGE_SIZE - UNWIND);
	memcpy(w->code + UNWIND, a, sizeof a);
	memcpy(w->code + UNWIND + 0x10, b, sizeof b);
	memcpy(w->code + UNWIND + 0x20, t, sizeof t);
	return w;
}

struct result {
	struct kd_frame frames[64];
	struct kd_x64_frame regs; /* of the last frame */
	size_t n;
	char note[160];
	struct kd_error err;
};

static enum kd_status walk(struct world *w, uint64_t rip, uint64_t sp, struct result *r, size_t max)
{
	memset(r, 0xAA, sizeof *r);
	memset(&r->err, 0, sizeof r->err);
	memset(&r->regs, 0, sizeof r->regs);
	r->regs.rip = rip;
	r->regs.regs[KD_X64_RSP] = sp;
	return kd__stack_walk(&w->host, &r->regs, r->frames, max, &r->n, r->note, sizeof r->note,
			      &r->err);
}

/* A in its body, called by B, called by A, called by nobody. */
static uint64_t lay_out(struct world *w)
{
	put_stack(w, 0x100 + 0x28, IMAGE + 0x1150); /* A's return to B */
	put_stack(w, 0x130 + 0x20, 0x1111);         /* rbx, pushed by B */
	put_stack(w, 0x130 + 0x28, IMAGE + 0x1050); /* B's return to A */
	put_stack(w, 0x160 + 0x28, 0);              /* the base */
	for (unsigned i = 0; i < 4; i++)            /* A's home area: B's bottom */
		put_stack(w, 0x130 + 8 * i, 0xA0 + i);
	return STACK + 0x100;
}

static void test_x64(void **state)
{
	struct world *w = make(true);
	uint64_t sp = lay_out(w);
	struct result r;

	assert_int_equal(walk(w, IMAGE + 0x1020, sp, &r, 64), KD_OK);
	assert_int_equal(r.n, 3);
	assert_string_equal(r.note, "");
	assert_int_equal(r.frames[0].pc, IMAGE + 0x1020);
	assert_int_equal(r.frames[0].sp, STACK + 0x100);
	assert_int_equal(r.frames[0].return_address, IMAGE + 0x1150);
	assert_true(r.frames[0].has_function_entry);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(r.frames[0].arguments[i], 0xA0 + i);
	assert_int_equal(r.frames[1].pc, IMAGE + 0x1150);
	assert_int_equal(r.frames[1].sp, STACK + 0x130);
	assert_int_equal(r.frames[1].return_address, IMAGE + 0x1050);
	assert_int_equal(r.frames[2].pc, IMAGE + 0x1050);
	assert_int_equal(r.frames[2].sp, STACK + 0x160);
	assert_int_equal(r.frames[2].return_address, 0);
	assert_int_equal(r.regs.regs[3], 0x1111); /* rbx as it was in the last frame */
	for (size_t i = 0; i < r.n; i++)
		assert_true(!r.frames[i].is_trap && !r.frames[i].is_scanned);
	/* No more than asked for, and the registers of the last one. */
	assert_int_equal(walk(w, IMAGE + 0x1020, sp, &r, 2), KD_OK);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.regs.rip, IMAGE + 0x1150);
	assert_int_equal(r.regs.regs[KD_X64_RSP], STACK + 0x130);
	assert_int_equal(walk(w, IMAGE + 0x1020, sp, &r, 0), KD_OK);
	assert_int_equal(r.n, 0);
	free(w);
}

static void test_prolog_and_leaf(void **state)
{
	struct world *w = make(true);
	struct result r;

	put_stack(w, 0x200, IMAGE + 0x1150);
	put_stack(w, 0x208 + 0x28, 0);
	/* The first byte of A: nothing is pushed yet. */
	assert_int_equal(walk(w, IMAGE + 0x1000, STACK + 0x200, &r, 64), KD_OK);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.frames[1].sp, STACK + 0x208);
	assert_int_equal(walk(w, IMAGE + 0x1300, STACK + 0x200, &r, 64), KD_OK);
	assert_int_equal(r.n, 2);
	assert_false(r.frames[0].has_function_entry);
	assert_int_equal(r.frames[1].pc, IMAGE + 0x1150);
	free(w);
}

/* A page fault in A: T's frame, the machine frame, and A as it was interrupted. */
static uint64_t lay_out_trap(struct world *w, uint64_t at, uint64_t rip, uint64_t rsp)
{
	put_stack(w, at + 0x60, 0xE7); /* error code */
	put_stack(w, at + 0x68, rip);
	put_stack(w, at + 0x68 + 8, 0x10); /* cs */
	put_stack(w, at + 0x68 + 0x18, rsp);
	return STACK + at;
}

static void test_machine_frame(void **state)
{
	struct world *w = make(true);
	struct result r;
	uint64_t sp = lay_out_trap(w, 0x400, IMAGE + 0x1000, STACK + 0x800);

	put_stack(w, 0x800, IMAGE + 0x1150); /* A was at its first byte */
	put_stack(w, 0x808 + 0x28, 0);
	assert_int_equal(walk(w, IMAGE + 0x1240, sp, &r, 64), KD_OK);
	assert_int_equal(r.n, 3);
	assert_true(r.frames[1].is_trap);
	assert_int_equal(r.frames[0].trap_frame, STACK + 0x468 - 0x168);
	assert_int_equal(r.frames[1].pc, IMAGE + 0x1000);
	assert_int_equal(r.frames[1].sp, STACK + 0x800);
	assert_int_equal(r.frames[2].pc, IMAGE + 0x1150);
	assert_false(r.frames[2].is_trap);
	assert_string_equal(r.note, "");
	free(w);
}

static void test_user_border(void **state)
{
	struct world *w = make(true);
	struct result r;
	uint64_t sp = lay_out_trap(w, 0x400, 0x7FF712345678, 0x1000);

	assert_int_equal(walk(w, IMAGE + 0x1240, sp, &r, 64), KD_OK);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.frames[0].return_address, 0x7FF712345678);
	assert_string_equal(r.note, "user mode begins: it goes on at 0x7ff712345678");
	free(w);
}

/* Two traps, each in the other's handler: an end all the same. */
static void test_trap_loop(void **state)
{
	struct world *w = make(true);
	static struct kd_frame frames[200];
	struct kd_x64_frame regs = { .rip = IMAGE + 0x1240 };
	char note[100];
	size_t n;

	regs.regs[KD_X64_RSP] = lay_out_trap(w, 0x400, IMAGE + 0x1240, STACK + 0x600);
	lay_out_trap(w, 0x600, IMAGE + 0x1240, STACK + 0x400);
	assert_int_equal(kd__stack_walk(&w->host, &regs, frames, 200, &n, note, sizeof note, NULL),
			 KD_OK);
	assert_int_equal(n, KD__MACHINE_FRAMES_MAX + 1);
	assert_non_null(strstr(note, "too many machine frames"));
	free(w);
}

static void test_null_call(void **state)
{
	struct world *w = make(true);
	uint64_t sp = lay_out(w);
	struct result r;

	/* call 0 from A's body: rip is nowhere, the return address is on top. */
	put_stack(w, 0x100 - 8, IMAGE + 0x1020);
	assert_int_equal(walk(w, 0xFFFF900000000000, sp - 8, &r, 64), KD_OK);
	assert_int_equal(r.n, 4);
	assert_false(r.frames[0].is_scanned);
	assert_true(r.frames[1].is_scanned);
	assert_int_equal(r.frames[1].pc, IMAGE + 0x1020);
	assert_false(r.frames[2].is_scanned);
	assert_int_equal(r.frames[3].return_address, 0);
	/* What is not behind a call is not a return address. */
	put_stack(w, 0x100 - 8, IMAGE + 0x1021);
	assert_int_equal(walk(w, 0xFFFF900000000000, sp - 8, &r, 2), KD_OK);
	assert_int_equal(r.frames[1].pc, IMAGE + 0x1150);
	free(w);
}

static void test_paged_out(void **state)
{
	struct world *w = make(true);
	uint64_t sp = lay_out(w);
	struct result r;

	w->hole = STACK + 0x130;
	w->hole_end = STACK + STACK_SIZE;
	assert_int_equal(walk(w, IMAGE + 0x1020, sp, &r, 64), KD_OK);
	assert_int_equal(r.n, 2);
	assert_non_null(strstr(r.note, "the stack is not readable at 0x"));
	assert_int_equal(r.frames[1].return_address, 0);
	w->hole = w->hole_end = 0;
	/* Not known where the stack ends; it is left all the same where memory does. */
	w->host.low = w->host.high = 0;
	assert_int_equal(walk(w, IMAGE + 0x1020, sp, &r, 64), KD_OK);
	assert_int_equal(r.n, 3);
	w->is_silent = true;
	assert_int_equal(walk(w, IMAGE + 0x1020, sp, &r, 64), KD_E_TIMEOUT);
	assert_int_equal(r.err.status, KD_E_TIMEOUT);
	assert_true(r.err.text[0]);
	free(w);
}

static void test_bounds(void **state)
{
	struct world *w = make(true);
	uint64_t sp = lay_out(w);
	struct result r;

	w->host.high = STACK + 0x140;
	assert_int_equal(walk(w, IMAGE + 0x1020, sp, &r, 64), KD_OK);
	assert_int_equal(r.n, 2);
	assert_non_null(strstr(r.note, "left the thread's stack"));
	/* A frame whose prologue adds nothing and whose return address is itself cannot loop. */
	for (unsigned at = 0; at + 8 <= STACK_SIZE; at += 8)
		put_stack(w, at, IMAGE + 0x1310);
	w->host.low = w->host.high = 0;
	assert_int_equal(walk(w, IMAGE + 0x1310, STACK, &r, 64), KD_OK);
	assert_int_equal(r.n, 64);
	assert_int_equal(walk(w, IMAGE + 0x1020, STACK + 0x101, &r, 64), KD_OK);
	free(w);
}

/* push ebp; mov ebp,esp frames: F at 0x1000 called by G at 0x1100. */
static void lay_out_32(struct world *w)
{
	static const uint8_t prologue[] = { 0x55, 0x8B, 0xEC };

	memcpy(w->code + 0x1000, prologue, sizeof prologue);
	w->code[0x1080] = 0xC3;
	put_stack(w, 0x100, STACK32 + 0x120);  /* F's saved ebp */
	put_stack(w, 0x104, IMAGE32 + 0x1110); /* F's return to G */
	put_stack(w, 0x108, 0x77);             /* F's first argument */
	put_stack(w, 0x120, 0);
	put_stack(w, 0x124, IMAGE32 + 0x1210);
	put_stack(w, 0x128, 0);
}

static enum kd_status walk32(struct world *w, uint64_t eip, uint64_t esp, uint64_t ebp,
			     struct result *r)
{
	memset(r, 0, sizeof *r);
	r->regs.rip = eip;
	r->regs.regs[KD_X64_RSP] = esp;
	r->regs.regs[KD_X64_RBP] = ebp;
	return kd__stack_walk(&w->host, &r->regs, r->frames, 64, &r->n, r->note, sizeof r->note,
			      &r->err);
}

static void test_x86(void **state)
{
	struct world *w = make(false);
	struct result r;
	static const struct {
		uint32_t eip, esp, ebp;
	} places[] = {
		{ 0x1020, 0xF0, 0x100 },  /* F's body */
		{ 0x1000, 0x104, 0x120 }, /* at push ebp */
		{ 0x1001, 0x100, 0x120 }, /* at mov ebp,esp */
		{ 0x1080, 0x104, 0x120 }, /* at ret */
	};

	lay_out_32(w);
	for (size_t i = 0; i < KD_ARRAY_LEN(places); i++) {
		assert_int_equal(walk32(w, IMAGE32 + places[i].eip, STACK32 + places[i].esp,
					STACK32 + places[i].ebp, &r),
				 KD_OK);
		assert_in_range(r.n, 3, 3);
		assert_int_equal(r.frames[0].return_address, IMAGE32 + 0x1110);
		assert_int_equal(r.frames[0].arguments[0], 0x77);
		assert_int_equal(r.frames[1].pc, IMAGE32 + 0x1110);
		assert_int_equal(r.frames[1].sp, STACK32 + 0x108);
		assert_int_equal(r.frames[2].pc, IMAGE32 + 0x1210);
	}
	free(w);
}

/* Code without a frame of its own that is known as such: int3; ret, and a base with ebp 0. */
static void test_x86_leaf(void **state)
{
	struct world *w = make(false);
	struct result r;

	lay_out_32(w);
	memcpy(w->code + 0x1300, "\xCC\xC2\x04\x00", 4);
	put_stack(w, 0xF0, IMAGE32 + 0x1020); /* into F's body */
	assert_int_equal(walk32(w, IMAGE32 + 0x1300, STACK32 + 0xF0, STACK32 + 0x100, &r), KD_OK);
	assert_int_equal(r.frames[0].return_address, IMAGE32 + 0x1020);
	assert_int_equal(r.frames[1].return_address, IMAGE32 + 0x1110);

	assert_int_equal(walk32(w, IMAGE32 + 0x1020, STACK32 + 0xF0, 0, &r), KD_OK);
	assert_string_equal(r.note, "");
	free(w);
}

/* A switched-out thread: the host knows where the first return address is. */
static void test_x86_first_slot(void **state)
{
	struct world *w = make(false);
	struct result r;

	lay_out_32(w);
	w->code[0x1110 - 5] = 0xE8;
	put_stack(w, 0xEC, IMAGE32 + 0x1110); /* behind a call */
	w->host.first_slot = STACK32 + 0xEC;
	assert_int_equal(walk32(w, IMAGE32 + 0x1020, STACK32 + 0xE0, STACK32 + 0x120, &r), KD_OK);
	assert_int_equal(r.frames[0].return_address, IMAGE32 + 0x1110);
	assert_int_equal(r.frames[1].sp, STACK32 + 0xF0);
	put_stack(w, 0xEC, IMAGE32 + 0x1021); /* not behind one: not believed */
	assert_int_equal(walk32(w, IMAGE32 + 0x1020, STACK32 + 0xE0, STACK32 + 0x100, &r), KD_OK);
	assert_int_equal(r.frames[0].return_address, IMAGE32 + 0x1110);
	free(w);
}

static void test_x86_trap(void **state)
{
	struct world *w = make(false);
	struct result r;
	uint64_t trap = STACK32 + 0x80;

	lay_out_32(w);
	put_stack(w, 0x80 + 0x08, 0xBADB0D00);
	put_stack(w, 0x80 + 0x60, STACK32 + 0x100);  /* ebp of F */
	put_stack(w, 0x80 + 0x68, IMAGE32 + 0x1020); /* in F's body */
	put_stack(w, 0x80 + 0x6C, 8);
	assert_int_equal(walk32(w, IMAGE32 + 0x1520, trap - 0x20, trap, &r), KD_OK);
	assert_in_range(r.n, 4, 4);
	assert_true(r.frames[1].is_trap);
	assert_int_equal(r.frames[0].trap_frame, trap);
	assert_int_equal(r.frames[1].pc, IMAGE32 + 0x1020);
	assert_int_equal(r.frames[1].sp, trap + 0x74); /* no stack switch from the kernel */
	assert_int_equal(r.frames[2].pc, IMAGE32 + 0x1110);
	put_stack(w, 0x80 + 0x6C, 0x1B); /* from user mode */
	put_stack(w, 0x80 + 0x68, 0x401000);
	put_stack(w, 0x80 + 0x74, 0x12FF00);
	assert_int_equal(walk32(w, IMAGE32 + 0x1520, trap - 0x20, trap, &r), KD_OK);
	assert_int_equal(r.n, 1);
	assert_non_null(strstr(r.note, "user mode begins: it goes on at 0x401000"));
	free(w);
}

/* Whatever is on the stack and in the unwind data: an end, frames inside the array. */
static void test_noise(void **state)
{
	uint32_t seed = 7;

	for (int i = 0; i < 3000; i++) {
		bool is_64 = i % 2;
		struct world *w = make(is_64);
		struct result r;

		for (size_t at = 0; at < STACK_SIZE; at += is_64 ? 8 : 4) {
			seed = seed * 1664525 + 1013904223;
			put_stack(w, at,
				  seed >> 28 < 9 ? w->image + (seed >> 4 & 0x2FFF)
						 : w->stack + (seed >> 4 & 0xFFF));
		}
		for (size_t at = UNWIND; at < UNWIND + 0x40; at++) {
			seed = seed * 1664525 + 1013904223;
			if (seed >> 30 == 0)
				w->code[at] = (uint8_t)(seed >> 8);
		}
		if (is_64)
			walk(w, w->image + 0x1000 + (seed & 0x3FF), w->stack + 8 * (seed >> 25), &r,
			     64);
		else
			walk32(w, w->image + 0x1020, w->stack, w->stack + 4 * (seed >> 25), &r);
		assert_in_range(r.n, 1, 64);
		assert_true(w->n_reads < 64 * 300);
		free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_x64),           cmocka_unit_test(test_prolog_and_leaf),
		cmocka_unit_test(test_machine_frame), cmocka_unit_test(test_user_border),
		cmocka_unit_test(test_trap_loop),     cmocka_unit_test(test_null_call),
		cmocka_unit_test(test_paged_out),     cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_x86),           cmocka_unit_test(test_x86_trap),
		cmocka_unit_test(test_x86_leaf),      cmocka_unit_test(test_x86_first_slot),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
