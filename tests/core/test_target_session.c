/* SPDX-License-Identifier: MIT */
/* Whole conversations with the fake target: core/target, serve and link behind each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "tests/support/kd_client.h"
#include "tests/support/kd_fake_target.h"

enum { MS = KD_NS_PER_MS };

struct session {
	struct kd_fake *fake;
	struct kd_client *client;
};

static struct kd_client client;

static struct session begin(const struct kd_fake_config *config)
{
	struct session s = { kd_fake_create(config), &client };

	kd_client_init_fake(s.client, s.fake);
	return s;
}

static struct session begin_stopped(uint16_t machine, uint16_t n_processors)
{
	struct session s = begin(&(struct kd_fake_config){
		.machine = machine,
		.n_processors = n_processors,
		.stop_at_boot = true,
	});

	assert_true(kd_client_wait_stop(s.client));
	return s;
}

static void end(struct session *s)
{
	kd_client_deinit(s->client);
	kd_fake_destroy(s->fake);
}

static uint64_t put_code(struct session *s, const uint8_t *code, size_t size)
{
	const uint64_t at = kd_fake_alloc(s->fake, size);

	kd_fake_write(s->fake, at, code, size);
	return at;
}

static void test_boot(void **state)
{
	struct session s = begin_stopped(KD_MACHINE_AMD64, 2);
	struct kd_manipulate m;

	(void)state;
	assert_int_equal(s.client->first_id, 0x80800800); /* SYNC */
	assert_int_equal(s.client->n_restarts, 1);
	assert_int_equal(s.client->stop.hdr.new_state, KD_STATE_LOAD_SYMBOLS);
	assert_int_equal(s.client->stop.hdr.n_processors, 2);
	assert_string_equal(s.client->stop.name, "\\SystemRoot\\System32\\ntoskrnl.exe");
	assert_int_equal(s.client->stop.u.load_symbols.base, s.fake->kernel_base);

	kd_manipulate_init(&m, KD_API_GET_VERSION, KD_MACHINE_AMD64, 0xFFFF);
	assert_true(kd_client_request(s.client, &m));
	assert_int_equal(s.client->reply.u.version.machine, KD_MACHINE_AMD64);
	assert_int_equal(s.client->reply.u.version.kern_base, s.fake->kernel_base);
	for (uint32_t handle = 1; handle <= 32; handle++)
		assert_false(kd_client_clear_breakpoint(s.client, handle));
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_idle(s.client, 50));
	assert_false(s.client->is_stopped);
	end(&s);
}

static void test_data_structures(void **state)
{
	struct session s = begin_stopped(KD_MACHINE_AMD64, 1);
	const struct kd_fake_module *disk = kd_fake_add_module(s.fake, "disk.sys", 0x6000);
	uint64_t list, block, entry, name;
	struct kd_manipulate m;
	uint8_t text[16];

	(void)state;
	kd_manipulate_init(&m, KD_API_GET_VERSION, KD_MACHINE_AMD64, 0);
	assert_true(kd_client_request(s.client, &m));
	list = s.client->reply.u.version.loaded_module_list;
	block = kd_client_read64(s.client, s.client->reply.u.version.debugger_data_list);
	assert_int_equal(kd_client_read32(s.client, block + 16), KD_KDBG_TAG);
	assert_int_equal(kd_client_read32(s.client, block + 20), KD_FAKE_KDBG_SIZE);
	assert_int_equal(kd_client_read64(s.client, block + 0x48), list);

	entry = kd_client_read64(s.client, kd_client_read64(s.client, list));
	assert_int_equal(kd_client_read64(s.client, entry + 0x30), disk->base);
	assert_int_equal(kd_client_read32(s.client, entry + 0x40), 0x6000);
	name = kd_client_read64(s.client, entry + 0x60);
	assert_true(kd_client_read(s.client, name, text, sizeof(text)));
	assert_memory_equal(text, "d\0i\0s\0k\0.\0s\0y\0s", 16);
	assert_int_equal(kd_client_read64(s.client, entry), list);
	end(&s);
}

static void test_breakpoint(void **state)
{
	/* nop; inc eax; nop; jmp self */
	static const uint8_t code[] = { 0x90, 0xFF, 0xC0, 0x90, 0xEB, 0xFE };
	struct session s = begin_stopped(KD_MACHINE_AMD64, 1);
	const uint64_t at = put_code(&s, code, sizeof(code));
	uint32_t handle;
	uint8_t seen[6];

	(void)state;
	kd_fake_go_to(s.fake, 0, at);
	handle = kd_client_set_breakpoint(s.client, at + 1);
	assert_int_equal(handle, 1);
	assert_int_equal(kd_client_set_breakpoint(s.client, at + 1), 0);
	kd_fake_read(s.fake, at, seen, sizeof(seen));
	assert_int_equal(seen[1], 0xCC);
	assert_true(kd_client_read(s.client, at, seen, sizeof(seen)));
	assert_memory_equal(seen, code, sizeof(code));

	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_wait_stop(s.client));
	assert_true(kd_client_is_exception(s.client, (uint32_t)KD_NT_BREAKPOINT));
	assert_int_equal(s.client->stop.hdr.program_counter, at + 1);
	/* The target deleted it: bytes are back, the handle is unknown. */
	kd_fake_read(s.fake, at, seen, sizeof(seen));
	assert_memory_equal(seen, code, sizeof(code));
	assert_false(kd_client_clear_breakpoint(s.client, handle));

	assert_true(kd_client_go(s.client, true));
	assert_true(kd_client_wait_stop(s.client));
	assert_true(kd_client_is_exception(s.client, (uint32_t)KD_NT_SINGLE_STEP));
	assert_int_equal(s.client->stop.hdr.program_counter, at + 3);
	assert_int_equal(kd_client_get_register(s.client, 0, "rax"), 1);
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_idle(s.client, 20));
	assert_false(s.client->is_stopped);
	end(&s);
}

static void test_break_in(void **state)
{
	struct session s = begin(&(struct kd_fake_config){ 0 });
	uint64_t rcx;

	(void)state;
	assert_true(kd_client_idle(s.client, 100));
	assert_true(kd_client_break_in(s.client));
	assert_true(kd_client_is_exception(s.client, (uint32_t)KD_NT_BREAKPOINT));
	assert_int_equal(s.client->stop.hdr.program_counter, s.fake->break_instruction);
	rcx = kd_client_get_register(s.client, 0, "rcx");
	assert_int_equal(rcx, 1);
	/* PC rule: it stays on a hard-coded breakpoint until the debugger moves it. */
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_wait_stop(s.client));
	assert_int_equal(s.client->stop.hdr.program_counter, s.fake->break_instruction);
	assert_true(kd_client_set_register(s.client, 0, "rip", s.fake->break_instruction + 1));
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_idle(s.client, 50));
	assert_false(s.client->is_stopped);
	assert_int_equal(kd_fake_get_register(s.fake, 0, "rcx"), 0);
	end(&s);
}

static void test_text(void **state)
{
	struct session s = begin(&(struct kd_fake_config){ 0 });

	(void)state;
	s.client->answer = "blue";
	kd_fake_do(s.fake, KD_FAKE_PRINT, "Hello, debugger\n");
	kd_fake_do(s.fake, KD_FAKE_PROMPT, "Colour? ");
	kd_fake_do(s.fake, KD_FAKE_CREATE_FILE, "\\Windows\\null.sys");
	kd_fake_do(s.fake, KD_FAKE_PRINT, "Bye\n");
	assert_true(kd_client_wait_text(s.client, "Bye\n"));
	assert_string_equal(s.client->text, "Hello, debugger\nBye\n");
	assert_string_equal(s.client->prompt, "Colour? ");
	assert_string_equal(s.fake->answer, "blue");
	assert_string_equal(s.client->file_name, "\\Windows\\null.sys");
	assert_int_equal(s.fake->file_status, (uint32_t)KD_NT_NO_SUCH_FILE);
	end(&s);
}

static void test_modules_come_and_go(void **state)
{
	struct session s = begin(&(struct kd_fake_config){ 0 });
	const struct kd_fake_module *m = kd_fake_add_module(s.fake, "null.sys", 0x3000);

	(void)state;
	kd_fake_do_module(s.fake, KD_FAKE_LOAD, 1);
	kd_fake_do_module(s.fake, KD_FAKE_UNLOAD, 1);
	kd_fake_do(s.fake, KD_FAKE_COMMAND, ".echo hi");
	assert_true(kd_client_wait_stop(s.client));
	assert_string_equal(s.client->stop.name, "\\SystemRoot\\System32\\null.sys");
	assert_int_equal(s.client->stop.u.load_symbols.base, m->base);
	assert_int_equal(s.client->stop.u.load_symbols.unload, 0);
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_wait_stop(s.client));
	assert_int_equal(s.client->stop.u.load_symbols.unload, 1);
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_wait_stop(s.client));
	assert_int_equal(s.client->stop.hdr.new_state, KD_STATE_COMMAND_STRING);
	assert_string_equal((const char *)s.client->stop.data, "fake");
	assert_string_equal((const char *)s.client->stop.data + 5, ".echo hi");
	end(&s);
}

static void test_exceptions(void **state)
{
	/* mov eax, 10h; mov cl, [rax] */
	static const uint8_t code[] = { 0xB8, 0x10, 0, 0, 0, 0x8A, 0x08, 0xEB, 0xFE };
	struct session s = begin_stopped(KD_MACHINE_AMD64, 1);
	const uint64_t at = put_code(&s, code, sizeof(code));
	const uint32_t not_handled = (uint32_t)KD_NT_DBG_EXCEPTION_NOT_HANDLED;

	(void)state;
	s.fake->config.stop_on_exception = true;
	kd_fake_go_to(s.fake, 0, at);
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_wait_stop(s.client));
	assert_true(kd_client_is_exception(s.client, (uint32_t)KD_NT_ACCESS_VIOLATION));
	assert_int_equal(s.client->stop.u.exception.first_chance, 1);
	assert_int_equal(s.client->stop.u.exception.information[1], 0x10);
	assert_int_equal(s.client->stop.hdr.program_counter, at + 5);
	assert_true(kd_client_go_with(s.client, not_handled, false, 0x400));
	assert_true(kd_client_wait_stop(s.client));
	assert_int_equal(s.client->stop.u.exception.first_chance, 0);
	/* Repaired by the debugger: it goes on. */
	assert_true(kd_client_set_register(s.client, 0, "rax", at));
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_idle(s.client, 20));
	assert_false(s.client->is_stopped);
	assert_int_equal(kd_fake_get_register(s.fake, 0, "rcx"), 0xB8);
	end(&s);
}

static void test_switch_processor(void **state)
{
	struct session s = begin_stopped(KD_MACHINE_AMD64, 2);
	struct kd_manipulate m;

	(void)state;
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_idle(s.client, 20));
	assert_true(kd_client_break_in(s.client));
	kd_manipulate_init(&m, KD_API_SWITCH_PROCESSOR, KD_MACHINE_AMD64, 1);
	assert_true(kd_client_command(s.client, &m));
	assert_true(kd_client_wait_stop(s.client));
	assert_true(kd_client_is_exception(s.client, (uint32_t)KD_NT_WAKE_SYSTEM_DEBUGGER));
	assert_int_equal(s.client->stop.hdr.processor, 1);
	assert_int_equal(s.client->stop.hdr.program_counter, s.fake->idle);
	/* Continuing it gives the word back to the owner of the stop. */
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_wait_stop(s.client));
	assert_true(kd_client_is_exception(s.client, (uint32_t)KD_NT_BREAKPOINT));
	assert_int_equal(s.client->stop.hdr.processor, 0);
	/* A processor that does not exist: the stop is said again. */
	kd_manipulate_init(&m, KD_API_SWITCH_PROCESSOR, KD_MACHINE_AMD64, 7);
	assert_true(kd_client_command(s.client, &m));
	assert_true(kd_client_wait_stop(s.client));
	assert_true(kd_client_is_exception(s.client, (uint32_t)KD_NT_BREAKPOINT));
	end(&s);
}

static void test_hardware_breakpoint(void **state)
{
	static const uint8_t code[] = { 0x90, 0x90, 0x90, 0xEB, 0xFE };
	struct session s = begin_stopped(KD_MACHINE_AMD64, 2);
	const uint64_t at = put_code(&s, code, sizeof(code));
	uint8_t special[KD_SPECIAL_SIZE_AMD64];
	struct kd_w_report_amd64 report;

	(void)state;
	for (uint16_t i = 0; i < 2; i++) {
		assert_true(kd_client_read_control(s.client, i, 2, special, sizeof(special)));
		kd_put64(special + 0x20, at + 2);
		assert_true(kd_client_write_control(s.client, i, 2, special, sizeof(special)));
	}
	kd_fake_go_to(s.fake, 1, at);
	assert_true(kd_client_go_with(s.client, KD_NT_DBG_CONTINUE, false, 0x401));
	assert_true(kd_client_wait_stop(s.client));
	assert_true(kd_client_is_exception(s.client, (uint32_t)KD_NT_SINGLE_STEP));
	assert_int_equal(s.client->stop.hdr.processor, 1);
	assert_int_equal(s.client->stop.hdr.program_counter, at + 2);
	kd_w_report_amd64_decode(&report, s.client->stop.report);
	assert_int_equal(report.dr6 & 1, 1);
	assert_int_equal(report.dr7, 0x401);
	end(&s);
}

static void test_reboot(void **state)
{
	struct session s = begin_stopped(KD_MACHINE_AMD64, 1);
	struct kd_manipulate m;

	(void)state;
	/* Asked by the debugger: no notice, just a SYNC id. */
	kd_manipulate_init(&m, KD_API_REBOOT, KD_MACHINE_AMD64, 0);
	assert_true(kd_client_command(s.client, &m));
	assert_true(kd_client_wait_stop(s.client));
	assert_int_equal(s.fake->n_reboots, 1);
	assert_int_equal(s.client->n_restarts, 2);
	/* By itself: everything is unloaded first. */
	kd_fake_do(s.fake, KD_FAKE_RESTART, NULL);
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_wait_stop(s.client));
	assert_int_equal(s.client->stop.u.load_symbols.base, UINT64_MAX);
	assert_int_equal(s.client->stop.u.load_symbols.unload, 1);
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_wait_stop(s.client));
	assert_int_equal(s.fake->n_reboots, 2);
	assert_int_equal(s.client->n_restarts, 3);
	end(&s);
}

static void test_bugcheck(void **state)
{
	struct session s = begin_stopped(KD_MACHINE_AMD64, 1);
	struct kd_manipulate m;

	(void)state;
	kd_manipulate_init(&m, KD_API_CAUSE_BUGCHECK, KD_MACHINE_AMD64, 0);
	assert_true(kd_client_command(s.client, &m));
	assert_true(kd_client_wait_stop(s.client));
	assert_non_null(strstr(s.client->text, "*** Fatal System Error: 0x000000e2"));
	assert_int_equal(kd_client_get_register(s.client, 0, "rcx"), 3);
	end(&s);
}

/* The debugger dies while the target is stopped; the next one asks with RESET. */
static void test_new_debugger(void **state)
{
	struct session s = begin_stopped(KD_MACHINE_AMD64, 1);

	(void)state;
	assert_int_equal(kd_client_set_breakpoint(s.client, s.fake->idle), 1);
	assert_true(kd_client_idle(s.client, 1)); /* the ACK of the reply */
	kd_client_init_fake(s.client, s.fake);
	kd_link_reset(&s.client->link, s.client->now);
	assert_true(kd_client_wait_stop(s.client));
	assert_int_equal(s.client->stop.hdr.new_state, KD_STATE_LOAD_SYMBOLS);
	assert_true(kd_client_clear_breakpoint(s.client, 1));
	assert_true(kd_client_go(s.client, false));
	end(&s);
}

/* As above, but the ACK of the last reply died with it: first the reply comes again. */
static void test_new_debugger_in_mid_reply(void **state)
{
	struct session s = begin_stopped(KD_MACHINE_AMD64, 1);

	(void)state;
	assert_int_equal(kd_client_set_breakpoint(s.client, s.fake->idle), 1);
	kd_client_init_fake(s.client, s.fake);
	kd_link_reset(&s.client->link, s.client->now);
	assert_true(kd_client_idle(s.client, 2000));
	assert_true(s.client->has_reply);
	assert_false(s.client->is_stopped);
	kd_link_ask_resend(&s.client->link, s.client->now);
	assert_true(kd_client_wait_stop(s.client));
	assert_true(kd_client_clear_breakpoint(s.client, 1));
	end(&s);
}

/* Anything on the wire, leaders and break-in bytes above all; then a debugger that knows better. */
static void test_garbage(void **state)
{
	static const uint8_t likely[] = { 0x30, 0x69, 0x62, 0xAA, 0x00, 0x02, 0x38, 0x80 };
	struct session s = begin_stopped(KD_MACHINE_AMD64, 2);
	uint32_t seed = 1;
	struct kd_manipulate m;

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 5000; i++) {
			uint8_t byte;

			seed = seed * 1664525u + 1013904223u;
			byte = seed >> 31 ? likely[seed >> 28 & 7] : (uint8_t)(seed >> 20);
			kd_fake_feed(s.fake, &byte, 1, s.client->now);
		}
		kd_client_init_fake(s.client, s.fake);
		assert_true(kd_client_idle(s.client, 2000));
		for (int i = 0; i < 5 && !s.client->is_stopped; i++) {
			kd_link_reset(&s.client->link, s.client->now);
			assert_true(kd_client_idle(s.client, 2500));
			kd_link_ask_resend(&s.client->link, s.client->now);
			assert_true(kd_client_idle(s.client, 2500));
		}
		assert_true(s.client->is_stopped);
		kd_manipulate_init(&m, KD_API_GET_VERSION, KD_MACHINE_AMD64, 0);
		assert_true(kd_client_request(s.client, &m));
		assert_int_equal(s.client->reply.u.version.kern_base, s.fake->kernel_base);
	}
	end(&s);
}

/* Nobody listens: prints are given up, and the machine runs on; a break-in finds it. */
static void test_no_debugger(void **state)
{
	struct session s = begin(&(struct kd_fake_config){ .stop_at_boot = true });
	const uint8_t *bytes;
	size_t size;

	(void)state;
	kd_fake_do(s.fake, KD_FAKE_PRINT, "anybody?\n");
	for (uint64_t now = 0; now < 60000 * (uint64_t)MS; now += 100 * MS) {
		while (kd_fake_run(s.fake, now))
			;
		while ((bytes = kd_fake_next_output(s.fake, &size)) != NULL)
			kd_fake_output_done(s.fake, size, now);
	}
	assert_false(s.fake->debugger_present);
	assert_false(kd_fake_is_stopped(s.fake));
	s.client->now = s.fake->now;
	assert_true(kd_client_break_in(s.client));
	assert_int_equal(s.client->first_id, 0x80800800);
	end(&s);
}

static void test_x86(void **state)
{
	static const uint8_t code[] = { 0x90, 0xFF, 0xC0, 0xEB, 0xFE };
	struct session s = begin_stopped(KD_MACHINE_X86, 2);
	const uint64_t at = put_code(&s, code, sizeof(code));
	uint8_t special[KD_SPECIAL_SIZE_X86];
	struct kd_w_report_x86 report;

	(void)state;
	assert_int_equal(s.client->stop.u.load_symbols.base, 0xFFFFFFFF80400000u);
	assert_true(kd_client_read_control(s.client, 1, KD_SPECIAL_OFFSET_X86, special,
					   sizeof(special)));
	assert_int_equal(kd_get32(special + 8), s.fake->cr3);
	kd_fake_go_to(s.fake, 0, at);
	assert_int_equal(kd_client_set_breakpoint(s.client, at + 1), 1);
	assert_true(kd_client_go(s.client, false));
	assert_true(kd_client_wait_stop(s.client));
	assert_true(kd_client_is_exception(s.client, (uint32_t)KD_NT_BREAKPOINT));
	assert_int_equal(s.client->stop.hdr.program_counter, at + 1);
	kd_w_report_x86_decode(&report, s.client->stop.report);
	assert_int_equal(report.seg_cs, 8);
	assert_int_equal(report.report_flags, 3);
	assert_int_equal(report.instruction_count, 16);
	assert_memory_equal(report.instruction_stream, code + 1, sizeof(code) - 1);
	assert_true(kd_client_go(s.client, true));
	assert_true(kd_client_wait_stop(s.client));
	assert_int_equal(kd_client_get_register(s.client, 0, "eax"), 1);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boot),
		cmocka_unit_test(test_data_structures),
		cmocka_unit_test(test_breakpoint),
		cmocka_unit_test(test_break_in),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_modules_come_and_go),
		cmocka_unit_test(test_exceptions),
		cmocka_unit_test(test_switch_processor),
		cmocka_unit_test(test_hardware_breakpoint),
		cmocka_unit_test(test_reboot),
		cmocka_unit_test(test_bugcheck),
		cmocka_unit_test(test_new_debugger),
		cmocka_unit_test(test_new_debugger_in_mid_reply),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_no_debugger),
		cmocka_unit_test(test_x86),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
