/* SPDX-License-Identifier: MIT */
/* The demo guest at protocol level: beginnings, ends, and who else is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "tests/guest/kd_machine.h"

#define BREAKPOINT  ((uint32_t)KD_NT_BREAKPOINT)
#define SINGLE_STEP ((uint32_t)KD_NT_SINGLE_STEP)
#define NOT_HANDLED ((uint32_t)KD_NT_DBG_EXCEPTION_NOT_HANDLED)
#define DEBUG       "/DEBUG /DEBUGPORT=COM1"

enum { DO_READ_UNHANDLED = 2, DO_BUGCHECK = 8, DO_REBOOT = 12 };
enum { STATUS_CONTROL_C = 1, STATUS_BUGCHECK_FIRST = 3, STATUS_BUGCHECK_SECOND = 4 };
enum { NORMAL_DR7 = 0x400 };

static struct kd_machine machine;
static struct kd_client *const c = &machine.client;

static int teardown(void **state)
{
	(void)state;
	kd_machine_stop(&machine);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	if (kd_machine_boot(&machine))
		return 0;
	fprintf(stderr, "boot failed; console:\n%s\n", kd_machine_console_text(&machine));
	kd_machine_stop(&machine);
	return -1;
}

static uint64_t symbol(const char *name)
{
	const uint64_t address = kd_machine_symbol(&machine, name);

	if (!address)
		fail_msg("no symbol %s", name);
	return address;
}

static uint64_t status_of_break(void)
{
	assert_true(kd_client_is_exception(c, BREAKPOINT));
	assert_int_equal(c->stop.hdr.program_counter, symbol("nt!RtlpBreakWithStatusInstruction"));
	return kd_client_get_register(c, c->stop.hdr.processor, kd_machine_arch->status);
}

static void check_unload_all(void)
{
	assert_int_equal(c->stop.hdr.new_state, KD_STATE_LOAD_SYMBOLS);
	assert_int_equal(c->stop.u.load_symbols.base, UINT64_MAX);
	assert_int_equal(c->stop.u.load_symbols.unload, 1);
	assert_int_equal(c->stop.name_size, 0);
}

/* The machine starts anew: a SYNC id, and the kernel's image once more. */
static void check_restart(void)
{
	const unsigned before = c->n_restarts;

	assert_true(kd_client_go(c, false));
	assert_true(kd_client_wait_stop(c));
	assert_int_equal(c->n_restarts, before + 1);
	assert_int_equal(c->stop.hdr.new_state, KD_STATE_LOAD_SYMBOLS);
	assert_string_equal(c->stop.name, "\\SystemRoot\\system32\\ntoskrnl.exe");
}

/* --- bugchecks --- */

static void check_data(uint64_t code, uint64_t first)
{
	const uint64_t data = symbol("nt!KiBugCheckData");

	const unsigned word = kd_machine_arch->is_64 ? 8 : 4;

	assert_int_equal(kd_machine_pointer(&machine, data), kd_machine_extend(code));
	assert_int_equal(kd_machine_pointer(&machine, data + word), kd_machine_extend(first));
}

static void test_bugcheck(void **state)
{
	(void)state;
	assert_true(kd_machine_do(&machine, DO_BUGCHECK, 0xDEAD));
	assert_true(kd_client_wait_stop(c));
	assert_non_null(
		strstr(c->text, kd_machine_arch->is_64
					? "\n*** Fatal System Error: 0x0000dead\n"
					  "                       "
					  "(0x0000000000000001,0x0000000000000002,"
					  "0x0000000000000003,0x0000000000000004)\n\n"
					: "\n*** Fatal System Error: 0x0000dead\n"
					  "                       "
					  "(0x00000001,0x00000002,0x00000003,0x00000004)\n\n"));
	assert_int_equal(status_of_break(), STATUS_BUGCHECK_FIRST);
	check_data(0xDEAD, 1);
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_wait_stop(c));
	assert_int_equal(status_of_break(), STATUS_BUGCHECK_SECOND);
	assert_non_null(strstr(kd_machine_console_text(&machine), "*** STOP: 0x0000dead"));
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_wait_stop(c));
	check_unload_all();
	check_restart();
}

/* First chance is silent, second chance is ours, and then nobody is left. */
static void test_unhandled_violation(void **state)
{
	(void)state;
	assert_true(kd_machine_do(&machine, DO_READ_UNHANDLED, 0x10));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_client_is_exception(c, (uint32_t)KD_NT_ACCESS_VIOLATION));
	assert_int_equal(c->stop.u.exception.first_chance, 0);
	assert_int_equal(c->stop.u.exception.information[1], 0x10);
	assert_true(kd_client_go_with(c, NOT_HANDLED, false, NORMAL_DR7));
	assert_true(kd_client_wait_stop(c));
	assert_non_null(strstr(c->text, "*** Fatal System Error: 0x0000001e"));
	assert_int_equal(status_of_break(), STATUS_BUGCHECK_FIRST);
	check_data(0x1E, 0xFFFFFFFFC0000005);
}

/* Its address repaired by the debugger, the same instruction succeeds. */
static void test_repaired_violation(void **state)
{
	static const char *const names[] = { "rax", "rcx", "rdx", "r8", NULL };
	static const char *const names_x86[] = { "eax", "ecx", "edx", "esi", NULL };
	const char *const *name = kd_machine_arch->is_64 ? names : names_x86;
	bool done = false;

	(void)state;
	assert_true(kd_machine_do(&machine, DO_READ_UNHANDLED, 0x10));
	assert_true(kd_client_wait_stop(c));
	for (; *name; name++) {
		if (kd_client_get_register(c, c->stop.hdr.processor, *name) != 0x10)
			continue;
		done = kd_client_set_register(c, c->stop.hdr.processor, *name,
					      machine.images[0].base);
	}
	assert_true(done);
	assert_true(kd_client_go(c, false));
	assert_true(kd_client_idle(c, 100));
	assert_true(kd_machine_wait_done(&machine, 1));
	assert_int_equal(kd_client_read32(c, symbol("demo!DemoResult")) & 0xFFFF, 0x5A4D);
}

/* The debugger's own: no text, no first break. */
static void test_caused_bugcheck(void **state)
{
	struct kd_manipulate m;

	(void)state;
	kd_manipulate_init(&m, KD_API_CAUSE_BUGCHECK, kd_machine_arch->machine, 0);
	assert_true(kd_client_command(c, &m));
	assert_true(kd_client_wait_stop(c));
	assert_null(strstr(c->text, "Fatal System Error"));
	assert_int_equal(status_of_break(), STATUS_BUGCHECK_SECOND);
	check_data(0xE2, 0);
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_wait_stop(c));
	check_unload_all();
}

/* --- restarts --- */

static void test_reboot(void **state)
{
	struct kd_manipulate m;
	const unsigned before = c->n_restarts;

	(void)state;
	kd_manipulate_init(&m, KD_API_REBOOT, kd_machine_arch->machine, 0);
	assert_true(kd_client_command(c, &m));
	assert_true(kd_client_wait_stop(c));
	assert_int_equal(c->n_restarts, before + 1);
	assert_string_equal(c->stop.name, "\\SystemRoot\\system32\\ntoskrnl.exe");
}

static void test_restart_of_its_own(void **state)
{
	(void)state;
	assert_true(kd_machine_do(&machine, DO_REBOOT, 0));
	assert_true(kd_client_wait_stop(c));
	check_unload_all();
	check_restart();
}

/* --- without a debugger, and with the next one --- */

static void test_no_debugging(void **state)
{
	(void)state;
	assert_true(kd_machine_start(&machine, ""));
	assert_true(kd_machine_wait_console(&machine, "no debugging", 10000));
	/* A break-in byte means nothing to it. */
	assert_true(kd_machine_connect(&machine));
	c->limit_ms = 1000;
	assert_false(kd_client_break_in(c));
}

static void test_debugger_comes_later(void **state)
{
	(void)state;
	assert_true(kd_machine_start(&machine, DEBUG));
	assert_true(kd_machine_wait_console(&machine, "no debugger yet", 20000));
	assert_true(kd_machine_connect(&machine));
	assert_true(kd_client_idle(c, 1200)); /* silence, as the break-in needs */
	assert_true(kd_client_break_in(c));
	assert_int_equal(c->first_id, 0x80800800);
	assert_true(kd_machine_look(&machine));
	assert_int_equal(status_of_break(), STATUS_CONTROL_C);
	assert_int_equal(kd_client_read32(c, kd_machine_arch->shared_data + 0x2D4) & 0xFF, 3);
	assert_int_equal(kd_client_read32(c, symbol("nt!KdDebuggerNotPresent")) & 0xFF, 0);
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_idle(c, 300));
	assert_false(c->is_stopped);
}

/* The UART as stock kdcom sets it up: slower, not different. */
static void test_stock_fifo(void **state)
{
	uint8_t code[4096];

	(void)state;
	assert_true(kd_machine_start(&machine, DEBUG " /FIFO=STOCK"));
	assert_true(kd_machine_connect(&machine));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_machine_look(&machine));
	assert_true(kd_client_read(c, machine.images[0].base, code, sizeof(code)));
	assert_memory_equal(code, "MZ", 2);
}

/* A port that is not there: the kernel runs on without debugging. */
static void test_no_such_port(void **state)
{
	(void)state;
	assert_true(kd_machine_start(&machine, "/DEBUG /DEBUGPORT=COM4"));
	assert_true(kd_machine_wait_console(&machine, "no debugging", 10000));
}

/* Killed while the target was stopped with a breakpoint set: the next one finds both. */
static void test_next_debugger(void **state)
{
	const uint64_t at = symbol("demo!DemoTick");

	(void)state;
	assert_int_equal(kd_client_set_breakpoint(c, at), 1);
	assert_true(kd_client_idle(c, 50));
	kd_machine_disconnect(&machine);
	assert_true(kd_machine_connect(&machine));
	assert_true(kd_client_wait_stop(c));
	assert_int_equal(status_of_break(), STATUS_CONTROL_C);
	assert_true(kd_client_clear_breakpoint(c, 1));
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_idle(c, 200));
	assert_false(c->is_stopped);
}

/* Killed while it ran, with a breakpoint set: the hit waits for whoever comes. */
static void test_stop_waits_for_debugger(void **state)
{
	(void)state;
	assert_int_equal(kd_client_set_breakpoint(c, symbol("demo!DemoTick")), 1);
	assert_true(kd_machine_go(&machine));
	kd_machine_disconnect(&machine);
	assert_true(kd_machine_connect(&machine));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_client_is_exception(c, BREAKPOINT));
	assert_int_equal(c->stop.hdr.program_counter, symbol("demo!DemoTick"));
}

static void test_bugcheck_and_nobody_left(void **state)
{
	(void)state;
	/* Start with one, crash it, and be gone: it must not wait for ever. */
	assert_true(kd_machine_do(&machine, DO_BUGCHECK, 0xBEEF));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_machine_go(&machine)); /* unload-all is given up when nobody answers */
	kd_machine_disconnect(&machine);
	assert_true(kd_machine_wait_console(&machine, "is restarting", 5000));
	assert_true(kd_machine_wait_console(&machine, "no debugger yet", 30000));
}

/* --- processors --- */

static void switch_to(uint16_t processor)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_SWITCH_PROCESSOR, kd_machine_arch->machine, processor);
	assert_true(kd_client_command(c, &m));
	assert_true(kd_client_wait_stop(c));
}

static void test_switch_processor(void **state)
{
	const uint16_t owner = c->stop.hdr.processor;
	const uint16_t other = owner ? 0 : 1;
	uint64_t saved_pc, thread;

	(void)state;
	assert_int_equal(c->stop.hdr.n_processors, 2);
	saved_pc = kd_machine_extend(kd_client_get_register(c, other, kd_machine_arch->pc));
	switch_to(other);
	assert_true(kd_client_is_exception(c, (uint32_t)KD_NT_WAKE_SYSTEM_DEBUGGER));
	assert_int_equal(c->stop.hdr.processor, other);
	assert_int_equal(c->stop.hdr.program_counter, saved_pc);
	thread = c->stop.hdr.thread;
	/* And straight on to the owner. */
	switch_to(owner);
	assert_true(kd_client_is_exception(c, BREAKPOINT));
	assert_int_equal(c->stop.hdr.processor, owner);
	assert_int_not_equal(c->stop.hdr.thread, thread);
	/* The same once more, given back by continuing. */
	switch_to(other);
	assert_true(kd_client_go(c, false));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_client_is_exception(c, BREAKPOINT));
	assert_int_equal(c->stop.hdr.processor, owner);
	/* No such processor: the same stop again. */
	switch_to(9);
	assert_true(kd_client_is_exception(c, BREAKPOINT));
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_idle(c, 200));
	assert_false(c->is_stopped);
}

/* A step of the processor that did not stop: armed there, done when the owner goes on. */
static void test_step_other_processor(void **state)
{
	const uint16_t owner = c->stop.hdr.processor;
	const uint16_t other = owner ? 0 : 1;

	(void)state;
	switch_to(other);
	assert_true(kd_client_go(c, true));
	assert_true(kd_client_wait_stop(c));
	assert_int_equal(c->stop.hdr.processor, owner);
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_client_is_exception(c, SINGLE_STEP));
	assert_int_equal(c->stop.hdr.processor, other);
	assert_true(kd_client_go(c, false));
	assert_true(kd_client_idle(c, 200));
	assert_false(c->is_stopped);
}

/* Registers of a processor that did not stop, and that they are taken back. */
static void test_set_registers_of_other_processor(void **state)
{
	const uint16_t other = c->stop.hdr.processor ? 0 : 1;
	/* in the idle loop, which does not use it */
	const char *const name = kd_machine_arch->is_64 ? "r15" : "edi";
	const uint64_t before = kd_client_get_register(c, other, name);

	(void)state;
	assert_true(kd_client_set_register(c, other, name, before ^ 1));
	assert_int_equal(kd_client_get_register(c, other, name), before ^ 1);
	assert_true(kd_client_set_register(c, other, name, before));
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_idle(c, 300));
	assert_false(c->is_stopped);
	assert_true(kd_client_break_in(c));
	assert_int_equal(c->stop.hdr.n_processors, 2);
}

#define ON(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define OFF(name) cmocka_unit_test_teardown(name, teardown)

static const struct CMUnitTest ends[] = {
	ON(test_bugcheck),
	ON(test_unhandled_violation),
	ON(test_repaired_violation),
	ON(test_caused_bugcheck),
	ON(test_reboot),
	ON(test_restart_of_its_own),
};

static const struct CMUnitTest alone[] = {
	OFF(test_no_debugging),
	OFF(test_debugger_comes_later),
	OFF(test_stock_fifo),
	OFF(test_no_such_port),
	ON(test_next_debugger),
	ON(test_stop_waits_for_debugger),
	ON(test_bugcheck_and_nobody_left),
};

static const struct CMUnitTest processors[] = {
	ON(test_switch_processor),
	ON(test_step_other_processor),
	ON(test_set_registers_of_other_processor),
};

static int run_group(const char *name)
{
	if (strcmp(name, "ends") == 0)
		return cmocka_run_group_tests(ends, NULL, NULL);
	if (strcmp(name, "alone") == 0)
		return cmocka_run_group_tests(alone, NULL, NULL);
	if (strcmp(name, "processors") == 0)
		return cmocka_run_group_tests(processors, NULL, NULL);
	fprintf(stderr, "no group %s\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 5 || !kd_machine_choose(argv[1], argv[2], argv[3])) {
		fprintf(stderr, "usage: %s IMAGES RUN-DEMO PROCESSORS GROUP [TEST]\n", argv[0]);
		return 2;
	}
	if (argc > 5)
		cmocka_set_test_filter(argv[5]);
	return run_group(argv[4]);
}
