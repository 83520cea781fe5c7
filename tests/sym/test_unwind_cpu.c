/* SPDX-License-Identifier: MIT */
/*
 * Unwinding against the truth: the CPU itself. The image of unwind_image.c and unwind_entry.S is
 * mapped into this process and run with the trap flag set. Behind every instruction the unwinder
 * walks from the registers of that moment up to this file; return address, stack pointer and all
 * preserved registers must be those with which the image was called, and every frame between must
 * return behind a call. Arguments: the image.
 */
#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cmocka.h>

#include "lib/sym/unwind_x64.h"

enum { TRAP_FLAG = 0x100, FRAMES_MAX = 64, STACK_SIZE = 4 << 20, IMAGE_MAX = 1 << 20 };

static const char *image_path;
static struct kd_mapping file;
static struct kd_pe pe;
static struct kd_x64_functions functions;
static uint8_t *image;
static uint8_t alternative_stack[256 * 1024];

/* What the handler found; checked when the image has returned. */
static struct {
	bool entered;
	struct kd_x64_frame caller; /* the truth */
	size_t n_steps, n_frames, n_exact_leaves;
	char failure[512];
} run;

static bool is_in_image(uint64_t address)
{
	return address - (uint64_t)(uintptr_t)image < pe.size_of_image;
}

static enum kd_status read_memory(void *context, uint64_t address, void *buffer, size_t size,
				  size_t *done_ret)
{
	uint64_t low = run.caller.regs[KD_X64_RSP] - STACK_SIZE;

	*done_ret = 0;
	if (is_in_image(address))
		*done_ret = KD_MIN(
			size, pe.size_of_image - (size_t)(address - (uint64_t)(uintptr_t)image));
	else if (address >= low && address < low + STACK_SIZE + 4096)
		*done_ret = size;
	for (size_t i = 0; i < *done_ret; i++) /* no memcpy: sanitizers watch the stack */
		((uint8_t *)buffer)[i] = ((volatile uint8_t *)(uintptr_t)address)[i];
	return KD_OK;
}

static bool find(void *context, uint64_t address, uint64_t *base_ret,
		 struct kd_x64_function *function_ret)
{
	const struct kd_x64_function *f;

	if (!is_in_image(address))
		return false;
	*base_ret = (uint64_t)(uintptr_t)image;
	f = kd_x64_function_at(&functions, (uint32_t)(address - *base_ret));
	*function_ret = f ? *f : (struct kd_x64_function){ 0 };
	return true;
}

static const int greg_of[KD_X64_REGS] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
					  REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
					  REG_R12, REG_R13, REG_R14, REG_R15 };
static const int preserved[] = { 3, 4, 5, 6, 7, 12, 13, 14, 15 };

static void fail_at(const struct kd_x64_frame *at, const char *what, uint64_t got, uint64_t wanted)
{
	if (!run.failure[0])
		snprintf(run.failure, sizeof run.failure,
			 "at rva 0x%llx: %s is 0x%llx instead of 0x%llx",
			 (unsigned long long)(at->rip - (uint64_t)(uintptr_t)image), what,
			 (unsigned long long)got, (unsigned long long)wanted);
}

static void check(const struct kd_x64_frame *at)
{
	static const struct kd_x64_unwinder u = { read_memory, find, NULL };
	struct kd_x64_frame f = *at;
	struct kd_x64_step step;
	size_t n = 0;

	for (; is_in_image(f.rip); n++) {
		struct kd_error err = { .text = "" };

		if (n == FRAMES_MAX || kd_x64_unwind(&u, &f, n == 0, &step, &err) != KD_OK) {
			fail_at(at, err.text, n, FRAMES_MAX);
			return;
		}
		run.n_exact_leaves += n == 0 && step.is_leaf;
	}
	run.n_frames += n;
	if (f.rip != run.caller.rip)
		fail_at(at, "rip", f.rip, run.caller.rip);
	for (size_t i = 0; i < KD_ARRAY_LEN(preserved); i++)
		if (f.regs[preserved[i]] != run.caller.regs[preserved[i]])
			fail_at(at, "a register", f.regs[preserved[i]],
				run.caller.regs[preserved[i]]);
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	struct kd_x64_frame f = { .rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP] };

	for (int i = 0; i < KD_X64_REGS; i++)
		f.regs[i] = (uint64_t)uc->uc_mcontext.gregs[greg_of[i]];
	if (!is_in_image(f.rip)) {
		if (run.entered)
			uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
		return;
	}
	if (!run.entered) {
		run.entered = true;
		run.caller = f;
		run.caller.rip = *(volatile uint64_t *)(uintptr_t)f.regs[KD_X64_RSP];
		run.caller.regs[KD_X64_RSP] += 8;
	}
	run.n_steps++;
	check(&f);
}

static void load(void)
{
	struct kd_error err;
	size_t done;

	assert_int_equal(kd_mapping_open(image_path, &file, &err), KD_OK);
	assert_int_equal(kd_pe_open(&pe, kd_mapping_read, &file, 0, true, &err), KD_OK);
	assert_in_range(pe.size_of_image, 4096, IMAGE_MAX);
	image = mmap((void *)(uintptr_t)pe.image_base, pe.size_of_image,
		     PROT_READ | PROT_WRITE | PROT_EXEC,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_equal(image, (void *)(uintptr_t)pe.image_base);
	for (size_t i = 0; i < pe.n_sections; i++)
		assert_int_equal(kd_pe_read(&pe, pe.sections[i].rva, image + pe.sections[i].rva,
					    pe.sections[i].virtual_size, &done),
				 KD_OK);
	assert_int_equal(kd_x64_functions_load(&pe, &functions, &err), KD_OK);
	assert_true(functions.n >= 10);
}

static int call_stepped(int argument)
{
	int(__attribute__((ms_abi)) *
	    entry)(int) = (int(__attribute__((ms_abi)) *)(int))(uintptr_t)(image + pe.entry_rva);
	int result;

	__asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq" ::: "memory", "cc");
	result = entry(argument);
	return result;
}

static void test_every_instruction(void **state)
{
	stack_t stack = { .ss_sp = alternative_stack, .ss_size = sizeof alternative_stack };
	struct sigaction act = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	load();
	sigaltstack(&stack, NULL);
	sigaction(SIGTRAP, &act, NULL);
	for (int argument = 0; argument < 3; argument++) {
		run.entered = false;
		call_stepped(argument);
		assert_true(run.entered);
		assert_string_equal(run.failure, "");
	}
	print_message("%zu instructions, %zu frames\n", run.n_steps, run.n_frames);
	assert_true(run.n_steps > 3000);
	assert_true(run.n_frames > 2 * run.n_steps);
	assert_true(run.n_exact_leaves > 100);
	kd_x64_functions_free(&functions);
	kd_mapping_close(&file);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_instruction) };

	if (argc != 2)
		return 2;
	image_path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
