/* SPDX-License-Identifier: MIT */
/* The demo guest at protocol level: what it says when it stops, and what it answers then. */
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

/* Numbers of guest/demo/drivers/demo_driver.h. */
enum {
	DO_READ_HANDLED = 1,
	DO_DIVIDE = 3,
	DO_BREAKPOINT = 4,
	DO_ASSERTION = 5,
	DO_PRINT = 6,
	DO_PROMPT = 7,
	DO_LOAD = 9,
	DO_UNLOAD = 10,
	DO_USER_COMMAND = 13,
	USER_COMMAND_INT3 = 3,
};

enum { NORMAL_DR7 = 0x400 };

static struct kd_machine machine;
static struct kd_client *const c = &machine.client;

static int teardown(void **state)
{
	(void)state;
	kd_machine_stop(&machine);
	return 0;
}

/* Stopped by a break-in, with symbols. */
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

static uint64_t pc(void)
{
	return c->stop.hdr.program_counter;
}

static uint32_t counter(void)
{
	return kd_client_read32(c, symbol("demo!DemoCounter"));
}

static uint64_t kdbg(const char *name)
{
	const struct kd_kdbg_field *field = kd_kdbg_find(name);
	uint8_t bytes[8] = { 0 };

	assert_non_null(field);
	assert_true(kd_client_read(c, machine.data_block + field->offset, bytes, field->size));
	return kd_get_sized(bytes, field->size);
}

/* An address among the fields, which x86 keeps without its sign. */
static uint64_t kdbg_address(const char *name)
{
	return kd_machine_extend(kdbg(name));
}

/* Of processor 0: x64 tells it, on x86 it is the base of fs and stands at one place. */
static uint64_t kpcr(void)
{
	uint8_t pcr[8];

	if (!kd_machine_arch->is_64)
		return 0xFFFFFFFFFFDFF000;
	assert_true(kd_client_read_control(c, 0, 0, pcr, sizeof(pcr)));
	return kd_get64(pcr);
}

/* The n-th argument (from 0) at the first instruction of a function. */
static uint64_t argument(unsigned n)
{
	static const char *const names[] = { "rcx", "rdx" };
	const uint16_t cpu = c->stop.hdr.processor;

	if (kd_machine_arch->is_64)
		return kd_client_get_register(c, cpu, names[n]);
	return kd_client_read32(
		c, kd_machine_extend(kd_client_get_register(c, cpu, "esp")) + 4 + 4 * n);
}

static bool set_argument(unsigned n, uint32_t value)
{
	static const char *const names[] = { "rcx", "rdx" };
	const uint16_t cpu = c->stop.hdr.processor;
	uint8_t bytes[4];

	if (kd_machine_arch->is_64)
		return kd_client_set_register(c, cpu, names[n], value);
	kd_put32(bytes, value);
	return kd_client_write(
		c, kd_machine_extend(kd_client_get_register(c, cpu, "esp")) + 4 + 4 * n, bytes, 4);
}

static void stop_on_every_exception(void)
{
	static const uint8_t one[4] = { 1 };

	assert_true(kd_client_write(c, symbol("nt!NtGlobalFlag"), one, sizeof(one)));
}

/* --- boot --- */

static void check_version(const struct kd_w_version *v)
{
	assert_int_equal(v->major, 0x000F);
	assert_int_equal(v->minor, kd_machine_arch->build);
	assert_int_equal(v->protocol, 6);
	assert_int_equal(v->secondary, kd_machine_arch->secondary);
	assert_int_equal(v->machine, kd_machine_arch->machine);
	assert_int_equal(v->max_packet_type, 12);
	assert_int_equal(v->max_state_change, 3);
	assert_int_equal(v->flags & (KD_VERSION_DATA | KD_VERSION_PTR64),
			 kd_machine_arch->version_flags);
}

static void test_boot_stops(void **state)
{
	struct kd_machine_report report;
	struct kd_manipulate m;
	uint8_t mz[2];
	uint64_t kernel;

	(void)state;
	assert_true(kd_machine_start(&machine, "/DEBUG /DEBUGPORT=COM1 /BREAK"));
	assert_true(kd_machine_connect(&machine));
	assert_true(kd_client_wait_stop(c));
	assert_int_equal(c->first_id, 0x80800800);
	assert_int_equal(c->stop.hdr.new_state, KD_STATE_LOAD_SYMBOLS);
	assert_int_equal(c->stop.hdr.n_processors, 1);
	assert_string_equal(c->stop.name, "\\SystemRoot\\system32\\ntoskrnl.exe");
	assert_int_equal(c->stop.u.load_symbols.unload, 0);
	/* -1, as wide as a pointer of the target's */
	assert_int_equal(c->stop.u.load_symbols.process_id,
			 kd_machine_arch->is_64 ? UINT64_MAX : UINT32_MAX);
	assert_true(c->stop.u.load_symbols.size_of_image > 0x10000);
	assert_true(c->stop.u.load_symbols.checksum != 0);
	kernel = c->stop.u.load_symbols.base;
	assert_true(kd_client_read(c, kernel, mz, 2));
	assert_memory_equal(mz, "MZ", 2);

	kd_manipulate_init(&m, KD_API_GET_VERSION, kd_machine_arch->machine, 0xFFFF);
	assert_true(kd_client_request(c, &m));
	assert_int_equal(c->reply.hdr.return_status, KD_NT_SUCCESS);
	check_version(&c->reply.u.version);
	assert_int_equal(c->reply.u.version.kern_base, kernel);
	/* As WinDbg does at every connect. */
	for (uint32_t handle = 1; handle <= 32; handle++)
		assert_false(kd_client_clear_breakpoint(c, handle));

	assert_true(kd_client_go(c, false));
	assert_true(kd_client_wait_stop(c));
	assert_string_equal(c->stop.name, "\\SystemRoot\\system32\\hal.dll");
	/* The debug service's int3 is where PC is; the target steps over it by itself. */
	kd_machine_report(&machine, &report);
	assert_int_equal(report.stream[0], 0xCC);
	assert_true(kd_client_go(c, false));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_client_is_exception(c, BREAKPOINT));
	assert_true(kd_machine_look(&machine));
	assert_int_equal(pc(), symbol("nt!RtlpBreakWithStatusInstruction"));
	assert_int_equal(kd_client_get_register(c, 0, kd_machine_arch->status), 1);
}

static void test_data_block(void **state)
{
	uint8_t header[24], version[40];
	struct kd_w_version v;

	(void)state;
	assert_true(kd_client_read(c, machine.data_block, header, sizeof(header)));
	assert_int_equal(kd_get32(header + 16), KD_KDBG_TAG);
	assert_int_equal(kd_get32(header + 20), kd_machine_arch->data_block_size);
	/* the only entry, with links as wide as the target's */
	assert_int_equal(kd_machine_get(header, 0),
			 kd_machine_get(header, kd_machine_arch->is_64 ? 8 : 4));
	if (!kd_machine_arch->is_64) /* the block has no signs */
		assert_int_equal(kdbg("KernBase") >> 32, 0);
	assert_int_equal(kdbg_address("KernBase"), machine.images[0].base);
	assert_int_equal(kdbg("PaeEnabled"), kd_machine_arch->is_64 || kd_machine_arch->has_pae);
	assert_int_equal(kdbg_address("PsLoadedModuleList"), machine.module_list);
	assert_int_equal(kdbg_address("PsLoadedModuleList"), symbol("nt!PsLoadedModuleList"));
	assert_int_equal(kdbg_address("PsActiveProcessHead"), symbol("nt!PsActiveProcessHead"));
	assert_int_equal(kdbg_address("BreakpointWithStatus"), pc());
	assert_int_equal(kdbg_address("KiBugcheckData"), symbol("nt!KiBugCheckData"));
	assert_int_equal(kdbg("MmPageSize"), 0x1000);
	assert_int_equal(kdbg("PteBase"), kd_machine_arch->pte_base);
	assert_int_equal(kd_client_read32(c, symbol("nt!KdpDataBlockEncoded")) & 0xFF, 0);
	assert_true(kd_client_read64(c, kdbg_address("MmHighestPhysicalPage")) > 0x1000);
	assert_int_equal(kd_client_read32(c, kdbg_address("KiProcessorBlock")),
			 kd_client_read32(c, symbol("nt!KiProcessorBlock")));
	/* The version block once more, by the KPCR of processor 0. */
	assert_true(kd_client_read(
		c, kd_machine_pointer(&machine, kpcr() + kd_machine_arch->kpcr_version_block),
		version, sizeof(version)));
	kd_w_version_decode(&v, version);
	check_version(&v);
	assert_int_equal(kd_client_read32(c, kd_machine_arch->shared_data + 0x2D4) & 0xFF, 3);
	assert_int_equal(kd_client_read32(c, symbol("nt!KdDebuggerNotPresent")) & 0xFF, 0);
}

static void test_modules(void **state)
{
	static const char *const names[] = { "ntoskrnl.exe", "hal.dll", "kdcom.dll", "null.sys",
					     "demo.sys" };
	uint8_t mz[2];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const uint64_t base = kd_machine_find_module(&machine, names[i]);

		if (!base)
			fail_msg("%s is not in the list", names[i]);
		assert_true(kd_client_read(c, base, mz, 2));
		assert_memory_equal(mz, "MZ", 2);
	}
	assert_int_equal(kd_machine_find_module(&machine, "late.sys"), 0);
}

/* --- running --- */

static void test_break_in(void **state)
{
	uint32_t before, after;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(kd_client_is_exception(c, BREAKPOINT));
		assert_int_equal(pc(), kdbg_address("BreakpointWithStatus"));
		assert_int_equal(
			kd_client_get_register(c, c->stop.hdr.processor, kd_machine_arch->status),
			1);
		before = kd_client_read32(c, symbol("demo!DemoTicks"));
		assert_true(kd_machine_go(&machine));
		assert_true(kd_client_idle(c, 200));
		assert_false(c->is_stopped);
		assert_true(kd_client_break_in(c));
		after = kd_client_read32(c, symbol("demo!DemoTicks"));
		assert_true(after > before);
	}
	/* The PC rule: nothing advances PC for us on a hard-coded breakpoint. */
	assert_true(kd_client_go(c, false));
	assert_true(kd_client_wait_stop(c));
	assert_int_equal(pc(), kdbg_address("BreakpointWithStatus"));
}

static void test_breakpoint(void **state)
{
	const uint64_t at = symbol("demo!DemoTick");
	struct kd_machine_report report;
	uint8_t code[16];
	uint64_t count;
	uint32_t handle;

	(void)state;
	assert_true(kd_client_read(c, at, code, sizeof(code)));
	handle = kd_client_set_breakpoint(c, at);
	assert_int_equal(handle, 1);
	assert_true(kd_client_read(c, at, report.stream, 16));
	assert_memory_equal(report.stream, code, 16); /* hidden */
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_client_is_exception(c, BREAKPOINT));
	assert_int_equal(pc(), at);
	assert_int_equal(c->stop.u.exception.address, at);
	kd_machine_report(&machine, &report);
	assert_int_equal(report.count, 16);
	assert_memory_equal(report.stream, code, 16);
	assert_int_equal(report.flags, 3);
	assert_int_equal(report.cs, kd_machine_arch->kernel_cs);
	assert_false(kd_client_clear_breakpoint(c, handle)); /* deleted by the stop */
	count = argument(0);

	/* Step over it, put it back, and the next tick hits it. */
	assert_true(kd_client_go(c, true));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_client_is_exception(c, SINGLE_STEP));
	assert_true(pc() > at && pc() <= at + 15);
	assert_int_equal(kd_client_set_breakpoint(c, at), 1);
	assert_true(kd_client_go(c, false));
	assert_true(kd_client_wait_stop(c));
	assert_int_equal(pc(), at);
	assert_int_equal(argument(0), count + 1);
}

/* A hundred steps stay on the same thread and end where the code goes. */
static void test_steps(void **state)
{
	uint64_t thread, last;

	(void)state;
	assert_int_equal(kd_client_set_breakpoint(c, symbol("demo!DemoTick")), 1);
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_wait_stop(c));
	thread = c->stop.hdr.thread;
	for (int i = 0; i < 100; i++) {
		last = pc();
		assert_true(kd_client_go(c, true));
		assert_true(kd_client_wait_stop(c));
		assert_true(kd_client_is_exception(c, SINGLE_STEP));
		assert_int_not_equal(pc(), last);
		if (c->stop.hdr.thread != thread)
			break; /* another thread's turn: the flag went with ours */
	}
	assert_true(kd_client_go(c, false));
	assert_true(kd_client_idle(c, 100));
	assert_false(c->is_stopped);
}

static void test_registers(void **state)
{
	const uint64_t at = symbol("demo!DemoWork");

	(void)state;
	assert_int_equal(kd_client_set_breakpoint(c, at), 1);
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_wait_stop(c));
	/* No rounds: the seed comes back. */
	assert_true(set_argument(0, 0x1234567));
	assert_true(set_argument(1, 0));
	assert_int_equal(kd_client_set_breakpoint(c, symbol("demo!DemoTick")), 1);
	assert_true(kd_client_go(c, false));
	assert_true(kd_client_wait_stop(c));
	assert_int_equal(pc(), symbol("demo!DemoTick"));
	/* What DemoTick made of it: the result XOR the tick count, in the high bits the seed. */
	assert_int_equal(kd_client_read32(c, symbol("demo!DemoLastWork")) >> 20, 0x1234567 >> 20);
}

/* --- text --- */

static void test_print(void **state)
{
	uint64_t buffer;
	uint8_t history[4096];

	(void)state;
	assert_true(kd_machine_do(&machine, DO_PRINT, 3));
	assert_true(kd_client_wait_text(c, "demo: line 3 of 3\n"));
	assert_non_null(strstr(c->text, "demo: line 1 of 3\ndemo: line 2 of 3\n"));
	assert_true(kd_machine_wait_done(&machine, 1));
	buffer = kdbg_address("KdPrintCircularBuffer");
	assert_int_equal(kdbg_address("KdPrintCircularBufferEnd") - buffer, sizeof(history));
	assert_true(kd_client_read(c, buffer, history, sizeof(history)));
	history[sizeof(history) - 1] = 0;
	assert_non_null(strstr((char *)history, "demo: line 2 of 3\n"));
	assert_true(kd_machine_pointer(&machine, kdbg_address("KdPrintWritePointer")) > buffer);
}

static void test_prompt(void **state)
{
	char text[16];

	(void)state;
	c->answer = "sing";
	assert_true(kd_machine_do(&machine, DO_PROMPT, 0));
	assert_true(kd_machine_wait_done(&machine, 1));
	assert_string_equal(c->prompt, "demo: what now? ");
	assert_int_equal(kd_client_read64(c, symbol("demo!DemoResult")), 4);
	assert_true(kd_client_read(c, symbol("demo!DemoText"), text, sizeof(text)));
	assert_string_equal(text, "sing");
}

/* The debugger dies while the target waits for an answer; the next one is asked again. */
static void test_prompt_again(void **state)
{
	const uint64_t result = symbol("demo!DemoResult");

	(void)state;
	assert_true(kd_machine_do(&machine, DO_PROMPT, 0)); /* no answer */
	assert_true(kd_client_idle(c, 500));
	assert_int_equal(c->n_prompts, 1);
	kd_machine_disconnect(&machine);
	assert_true(kd_machine_connect(&machine));
	c->answer = "dance!";
	for (int i = 0; i < 100 && !c->n_prompts; i++)
		assert_true(kd_client_idle(c, 100));
	assert_int_not_equal(c->n_prompts, 0);
	assert_true(kd_client_idle(c, 300));
	assert_true(kd_client_break_in(c));
	assert_int_equal(kd_client_read64(c, result), 6);
}

/* --- exceptions --- */

static void test_handled_violation_is_silent(void **state)
{
	(void)state;
	assert_true(kd_machine_do(&machine, DO_READ_HANDLED, 0x10));
	assert_true(kd_client_idle(c, 200));
	assert_false(c->is_stopped);
	assert_true(kd_machine_wait_done(&machine, 1));
	assert_int_equal(kd_client_read32(c, symbol("demo!DemoResult")),
			 (uint32_t)KD_NT_ACCESS_VIOLATION);
}

static void test_violation_first_chance(void **state)
{
	(void)state;
	stop_on_every_exception();
	assert_true(kd_machine_do(&machine, DO_READ_HANDLED, 0x10));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_client_is_exception(c, (uint32_t)KD_NT_ACCESS_VIOLATION));
	assert_int_equal(c->stop.u.exception.first_chance, 1);
	assert_int_equal(c->stop.u.exception.n_parameters, 2);
	assert_int_equal(c->stop.u.exception.information[0], 0);
	assert_int_equal(c->stop.u.exception.information[1], 0x10);
	assert_int_equal(c->stop.u.exception.address, pc());
	/* Not handled by us: by the driver. */
	assert_true(kd_client_go_with(c, NOT_HANDLED, false, NORMAL_DR7));
	assert_true(kd_client_idle(c, 200));
	assert_false(c->is_stopped);
	assert_true(kd_machine_wait_done(&machine, 1));
	assert_int_equal(kd_client_read32(c, symbol("demo!DemoResult")),
			 (uint32_t)KD_NT_ACCESS_VIOLATION);
}

static void test_divide(void **state)
{
	(void)state;
	stop_on_every_exception();
	assert_true(kd_machine_do(&machine, DO_DIVIDE, 0));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_client_is_exception(c, (uint32_t)KD_NT_INTEGER_DIVIDE_BY_ZERO));
	assert_int_equal(c->stop.u.exception.first_chance, 1);
	assert_true(kd_client_go_with(c, NOT_HANDLED, false, NORMAL_DR7));
	assert_true(kd_client_idle(c, 100));
	assert_true(kd_machine_wait_done(&machine, 1));
	assert_int_equal(kd_client_read32(c, symbol("demo!DemoResult")),
			 (uint32_t)KD_NT_INTEGER_DIVIDE_BY_ZERO);
}

static void test_assertion(void **state)
{
	uint8_t code[2];

	(void)state;
	assert_true(kd_machine_do(&machine, DO_ASSERTION, 5));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_client_is_exception(c, (uint32_t)KD_NT_ASSERTION_FAILURE));
	assert_true(kd_client_read(c, pc(), code, 2));
	assert_memory_equal(code, "\xCD\x2C", 2);
	assert_true(
		kd_client_set_register(c, c->stop.hdr.processor, kd_machine_arch->pc, pc() + 2));
	assert_true(kd_client_go(c, false));
	assert_true(kd_client_idle(c, 100));
	assert_true(kd_machine_wait_done(&machine, 1));
	assert_int_equal(kd_client_read64(c, symbol("demo!DemoResult")), 5);
}

static void test_hard_coded_breakpoint(void **state)
{
	(void)state;
	assert_true(kd_machine_do(&machine, DO_BREAKPOINT, 77));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_client_is_exception(c, BREAKPOINT));
	assert_int_equal(pc(), symbol("nt!DbgBreakPoint"));
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_idle(c, 100));
	assert_true(kd_machine_wait_done(&machine, 1));
	assert_int_equal(kd_client_read64(c, symbol("demo!DemoResult")), 77);
}

static void test_user_breakpoint(void **state)
{
	struct kd_machine_report report;

	(void)state;
	assert_true(kd_machine_do(&machine, DO_USER_COMMAND, USER_COMMAND_INT3));
	assert_true(kd_client_wait_stop(c));
	assert_true(kd_client_is_exception(c, BREAKPOINT));
	kd_machine_report(&machine, &report);
	assert_int_equal(report.cs, kd_machine_arch->user_cs);
	assert_int_equal(report.flags, 1);
	assert_int_equal(pc() >> 63, 0);
	assert_int_equal(report.stream[0], 0xCC);
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_idle(c, 200));
	assert_false(c->is_stopped);
}

/* --- drivers --- */

static void test_driver_comes_and_goes(void **state)
{
	uint64_t base;

	(void)state;
	assert_true(kd_machine_do(&machine, DO_LOAD, 0));
	assert_true(kd_client_wait_stop(c));
	assert_int_equal(c->stop.hdr.new_state, KD_STATE_LOAD_SYMBOLS);
	assert_non_null(strstr(c->stop.name, "late.sys"));
	assert_int_equal(c->stop.u.load_symbols.unload, 0);
	base = c->stop.u.load_symbols.base;
	assert_int_equal(kd_machine_find_module(&machine, "late.sys"), base);
	assert_true(kd_machine_go(&machine));
	assert_true(kd_client_wait_text(c, "late: loaded"));
	assert_true(kd_machine_wait_done(&machine, 1));
	assert_int_equal(kd_client_read32(c, symbol("demo!DemoResult")), 0);

	assert_true(kd_machine_do(&machine, DO_UNLOAD, 0));
	assert_true(kd_client_wait_stop(c));
	assert_int_equal(c->stop.hdr.new_state, KD_STATE_LOAD_SYMBOLS);
	assert_int_equal(c->stop.u.load_symbols.unload, 1);
	assert_int_equal(c->stop.u.load_symbols.base, base);
	assert_true(kd_machine_go(&machine));
	assert_true(kd_machine_wait_done(&machine, 2));
	assert_int_equal(kd_machine_find_module(&machine, "late.sys"), 0);
	assert_int_equal(counter(), 2);
}

/* --- the rest of the machine --- */

/* QEMU's TCG has no MSR that faults, so only what works is asked for. */
static uint64_t read_msr(uint32_t msr)
{
	struct kd_manipulate m;

	kd_manipulate_init(&m, KD_API_READ_MSR, kd_machine_arch->machine, 0);
	m.u.msr.msr = msr;
	assert_true(kd_client_request(c, &m));
	assert_int_equal(c->reply.hdr.return_status, KD_NT_SUCCESS);
	return c->reply.u.msr.value_low | (uint64_t)c->reply.u.msr.value_high << 32;
}

static void test_machine(void **state)
{
	struct kd_manipulate m;
	uint8_t special[0xF0];

	(void)state;
	assert_true(kd_machine_read_special(&machine, 0, special));
	if (kd_machine_arch->is_64)
		assert_int_equal(read_msr(0xC0000082), kd_get64(special + 0xC0));
	else
		assert_int_equal(read_msr(0x174), kd_machine_arch->kernel_cs); /* SYSENTER_CS */

	kd_manipulate_init(&m, KD_API_READ_IO, kd_machine_arch->machine, 0);
	m.u.io.address = 0x3FA; /* COM1: FIFOs are on */
	m.u.io.size = 1;
	assert_true(kd_client_request(c, &m));
	assert_int_equal(c->reply.u.io.value & 0xC0, 0xC0);
	kd_manipulate_init(&m, KD_API_GET_BUS_DATA, kd_machine_arch->machine, 0);
	m.u.bus_data.bus_data_type = 4;
	m.u.bus_data.length = 4;
	assert_true(kd_client_request(c, &m));
	assert_int_equal(c->reply.hdr.return_status, KD_NT_SUCCESS);
	assert_int_equal(kd_get32(c->reply.data), 0x12378086); /* QEMU's i440FX */

	kd_manipulate_init(&m, KD_API_QUERY_MEMORY, kd_machine_arch->machine, 0);
	m.u.query_memory.address = symbol("demo!DemoTick");
	assert_true(kd_client_request(c, &m));
	assert_int_equal(c->reply.u.query_memory.address_space, 2);
	assert_int_equal(c->reply.u.query_memory.flags, 1 | 4 | 8); /* read, execute, fixed */
}

static void test_memory(void **state)
{
	const uint64_t page = symbol("demo!DemoText") & ~(uint64_t)0xFFF;
	struct kd_manipulate m;
	uint8_t buffer[3944 * 2 + 100], again[100];

	(void)state;
	/* Large reads, and small ones out of the middle, agree. */
	assert_true(kd_client_read(c, machine.images[0].base, buffer, sizeof(buffer)));
	assert_true(kd_client_read(c, machine.images[0].base + 3900, again, sizeof(again)));
	assert_memory_equal(buffer + 3900, again, sizeof(again));
	/* A hole: what is before it. */
	kd_manipulate_init(&m, KD_API_READ_VIRTUAL, kd_machine_arch->machine, 0);
	m.u.read_memory.address = 0x10;
	m.u.read_memory.count = 8;
	assert_true(kd_client_request(c, &m));
	assert_int_equal(c->reply.hdr.return_status, (uint32_t)KD_NT_UNSUCCESSFUL);
	assert_int_equal(c->reply.data_size, 0);
	/* Read-only code can be written. */
	assert_true(kd_client_read(c, symbol("demo!DemoRecursion"), again, 8));
	assert_true(kd_client_write(c, symbol("demo!DemoRecursion"), again, 8));

	kd_manipulate_init(&m, KD_API_FILL_MEMORY, kd_machine_arch->machine, 0);
	m.u.fill_memory.address = symbol("demo!DemoText");
	m.u.fill_memory.length = 32;
	m.u.fill_memory.flags = 1;
	m.u.fill_memory.pattern_length = 6;
	m.data = (const uint8_t *)"needle";
	m.data_size = 6;
	assert_true(kd_client_request(c, &m));
	assert_int_equal(c->reply.hdr.return_status, KD_NT_SUCCESS);
	kd_manipulate_init(&m, KD_API_SEARCH_MEMORY, kd_machine_arch->machine, 0);
	m.u.search_memory.address = page;
	m.u.search_memory.length = 0x1000;
	m.u.search_memory.pattern_length = 8;
	m.data = (const uint8_t *)"edleneed";
	m.data_size = 8;
	assert_true(kd_client_request(c, &m));
	assert_int_equal(c->reply.hdr.return_status, KD_NT_SUCCESS);
	assert_int_equal(c->reply.u.search_memory.address, symbol("demo!DemoText") + 2);
}

/* The road of physical memory, and breakpoints hidden on it. */
static void test_physical_memory(void **state)
{
	const uint64_t at = symbol("demo!DemoTick");
	struct kd_manipulate m;
	const bool is_small = !kd_machine_arch->is_64 && !kd_machine_arch->has_pae;
	const uint32_t size = is_small ? 4 : 8;
	const unsigned bits = is_small ? 10 : 9;
	const int levels = kd_machine_arch->is_64 ? 4 : is_small ? 2 : 3;
	uint8_t special[0xF0], entry[8], code[8];
	uint64_t table;

	(void)state;
	assert_true(kd_client_read(c, at, code, sizeof(code)));
	assert_int_equal(kd_client_set_breakpoint(c, at), 1);
	assert_true(kd_machine_read_special(&machine, 0, special));
	table = kd_machine_get(special, kd_machine_arch->cr3) & 0x000FFFFFFFFFF000;
	for (int level = levels; level >= 1; level--) {
		const unsigned shift = 12 + bits * (unsigned)(level - 1);
		const uint64_t index = (at & (kd_machine_arch->is_64 ? UINT64_MAX : UINT32_MAX)) >>
					       shift &
				       ((1u << bits) - 1);

		kd_manipulate_init(&m, KD_API_READ_PHYSICAL, kd_machine_arch->machine, 0);
		m.u.read_memory.address = table + size * index;
		m.u.read_memory.count = size;
		assert_true(kd_client_request(c, &m));
		assert_int_equal(c->reply.data_size, size);
		memcpy(entry, c->reply.data, size);
		assert_int_equal(entry[0] & 1, 1);
		table = kd_get_sized(entry, size) & 0x000FFFFFFFFFF000;
	}
	m.u.read_memory.count = sizeof(code);
	m.u.read_memory.address = table + (at & 0xFFF);
	assert_true(kd_client_request(c, &m));
	assert_memory_equal(c->reply.data, code, sizeof(code));
}

/* Hardware breakpoints: a written variable, on whichever processor it happens. */
static void test_data_breakpoint(void **state)
{
	const uint64_t variable = symbol("demo!DemoTicks");
	const uint64_t dr7 = NORMAL_DR7 | 1 | (uint64_t)(1 | 3 << 2) << 16; /* write, 4 bytes */
	struct kd_machine_report report;
	uint8_t special[0xF0];
	uint32_t before;

	(void)state;
	for (uint16_t i = 0; i < c->stop.hdr.n_processors; i++) {
		assert_true(kd_machine_read_special(&machine, i, special));
		kd_machine_put(special, kd_machine_arch->dr0, variable);
		assert_true(kd_machine_write_special(&machine, i, special));
	}
	before = kd_client_read32(c, variable);
	assert_true(
		kd_client_set_register(c, c->stop.hdr.processor, kd_machine_arch->pc, pc() + 1));
	for (uint32_t i = 1; i <= 3; i++) {
		assert_true(kd_client_go_with(c, KD_NT_DBG_CONTINUE, false, dr7));
		assert_true(kd_client_wait_stop(c));
		assert_true(kd_client_is_exception(c, SINGLE_STEP));
		kd_machine_report(&machine, &report);
		assert_int_equal(report.dr6 & 0xF, 1);
		assert_int_equal(report.dr7 & 0xFFFF03FF, dr7 & 0xFFFF03FF);
		assert_int_equal(kd_client_read32(c, variable), before + i);
	}
	assert_true(kd_client_go_with(c, KD_NT_DBG_CONTINUE, false, NORMAL_DR7));
	assert_true(kd_client_idle(c, 100));
	assert_false(c->is_stopped);
}

static void test_execution_breakpoint(void **state)
{
	const uint64_t at = symbol("demo!DemoWork");
	uint8_t special[0xF0];

	(void)state;
	for (uint16_t i = 0; i < c->stop.hdr.n_processors; i++) {
		assert_true(kd_machine_read_special(&machine, i, special));
		kd_machine_put(special, kd_machine_arch->dr3, at);
		assert_true(kd_machine_write_special(&machine, i, special));
	}
	assert_true(
		kd_client_set_register(c, c->stop.hdr.processor, kd_machine_arch->pc, pc() + 1));
	for (int i = 0; i < 3; i++) {
		/* It passes its own instruction when it goes on. */
		assert_true(kd_client_go_with(c, KD_NT_DBG_CONTINUE, false, NORMAL_DR7 | 0x40));
		assert_true(kd_client_wait_stop(c));
		assert_true(kd_client_is_exception(c, SINGLE_STEP));
		assert_int_equal(pc(), at);
	}
}

#define ON(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest stops[] = {
	cmocka_unit_test_teardown(test_boot_stops, teardown),
	ON(test_break_in),
	ON(test_breakpoint),
	ON(test_steps),
	ON(test_registers),
	ON(test_handled_violation_is_silent),
	ON(test_violation_first_chance),
	ON(test_divide),
	ON(test_assertion),
	ON(test_hard_coded_breakpoint),
	ON(test_user_breakpoint),
};

static const struct CMUnitTest inside[] = {
	ON(test_data_block),
	ON(test_modules),
	ON(test_print),
	ON(test_prompt),
	ON(test_prompt_again),
	ON(test_driver_comes_and_goes),
	ON(test_machine),
	ON(test_memory),
	ON(test_physical_memory),
	ON(test_data_breakpoint),
	ON(test_execution_breakpoint),
};

int main(int argc, char **argv)
{
	if (argc < 5 || !kd_machine_choose(argv[1], argv[2], argv[3])) {
		fprintf(stderr, "usage: %s IMAGES RUN-DEMO PROCESSORS stops|inside [TEST]\n",
			argv[0]);
		return 2;
	}
	if (argc > 5)
		cmocka_set_test_filter(argv[5]);
	if (strcmp(argv[4], "stops") == 0)
		return cmocka_run_group_tests(stops, NULL, NULL);
	return cmocka_run_group_tests(inside, NULL, NULL);
}
