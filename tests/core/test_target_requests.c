/* SPDX-License-Identifier: MIT */
/* Every other API of the answering end, when it works and when it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "tests/core/target_rig.h"

enum { KERNEL_SELECTOR_SPECIAL = 2 };

/* --- contexts --- */

static void test_context(void **state)
{
	uint8_t context[KD_CONTEXT_SIZE_AMD64];
	struct kd_w_exception e = { .code = (uint32_t)KD_NT_SINGLE_STEP };
	uint8_t payload[KD_STATE_CHANGE_SIZE];
	size_t size;

	(void)state;
	memset(context, 0, sizeof(context));
	make(KD_API_SET_CONTEXT, 1);
	with_data(context, sizeof(context));
	assert_int_equal(ask(), UNSUCCESS); /* nothing was read yet */

	kd_fake_set_register(fake, 1, "r12", 0x1122334455667788);
	make(KD_API_GET_CONTEXT, 1);
	assert_int_equal(ask(), OK);
	assert_int_equal(r.data_size, sizeof(context));
	memcpy(context, r.data, sizeof(context));
	assert_int_equal(kd_get64(context + 0xD8), 0x1122334455667788);
	kd_put64(context + 0xD8, 77);
	make(KD_API_SET_CONTEXT, 1);
	with_data(context, sizeof(context));
	assert_int_equal(ask(), OK);
	assert_int_equal(kd_fake_get_register(fake, 1, "r12"), 77);

	with_data(context, sizeof(context) - 1);
	assert_int_equal(ask(), UNSUCCESS);
	make(KD_API_SET_CONTEXT, 2);
	with_data(context, sizeof(context));
	assert_int_equal(ask(), UNSUCCESS);
	make(KD_API_GET_CONTEXT, 2);
	assert_int_equal(ask(), UNSUCCESS);
	assert_int_equal(r.data_size, 0);

	/* The next stop takes the permission away. */
	assert_int_equal(kd_target_exception(target, 0, &e, payload, sizeof(payload), &size),
			 KD_OK);
	make(KD_API_SET_CONTEXT, 1);
	with_data(context, sizeof(context));
	assert_int_equal(ask(), UNSUCCESS);
}

static uint32_t get_ex(uint16_t processor, uint32_t offset, uint32_t count)
{
	make(KD_API_GET_CONTEXT_EX, processor);
	m.u.context_ex.offset = offset;
	m.u.context_ex.count = count;
	return ask();
}

static uint32_t set_ex(uint16_t processor, const uint8_t *context, uint32_t offset, uint32_t count,
		       uint32_t total)
{
	make(KD_API_SET_CONTEXT_EX, processor);
	m.u.context_ex.offset = offset;
	m.u.context_ex.count = count;
	m.u.context_ex.copied = total;
	with_data(context + offset, count);
	return ask();
}

static void test_context_ex(void **state)
{
	enum { TOTAL = KD_CONTEXT_SIZE_AMD64 };
	uint8_t context[TOTAL] = { 0 };

	(void)state;
	assert_int_equal(set_ex(0, context, 0, TOTAL, TOTAL), UNSUCCESS);
	assert_int_equal(r.u.context_ex.copied, 0);
	kd_fake_set_register(fake, 0, "rbx", 0x42);
	assert_int_equal(get_ex(0, 0, TOTAL), OK);
	assert_int_equal(r.u.context_ex.copied, TOTAL);
	memcpy(context, r.data, TOTAL);
	assert_int_equal(get_ex(0, 0x90, 8), OK);
	assert_int_equal(r.data_size, 8);
	assert_int_equal(kd_get64(r.data), 0x42);
	assert_int_equal(get_ex(0, TOTAL - 1, 2), UNSUCCESS);
	assert_int_equal(get_ex(0, UINT32_MAX, 2), UNSUCCESS);
	assert_int_equal(get_ex(9, 0, 8), UNSUCCESS);
	assert_int_equal(r.u.context_ex.copied, 0);

	/* Staged: nothing changes until the last window. */
	kd_put64(context + 0x90, 0x43);
	kd_put64(context + 0x300, 0x44); /* vector registers are part of it */
	assert_int_equal(set_ex(0, context, 0, 512, TOTAL), OK);
	assert_int_equal(r.u.context_ex.copied, 512);
	assert_int_equal(set_ex(0, context, 512, 512, TOTAL), OK);
	assert_int_equal(kd_fake_get_register(fake, 0, "rbx"), 0x42);
	assert_int_equal(set_ex(0, context, 1024, TOTAL - 1024, TOTAL), OK);
	assert_int_equal(kd_fake_get_register(fake, 0, "rbx"), 0x43);
	assert_int_equal(kd_get64(fake->processors[0].context + 0x300), 0x44);

	assert_int_equal(set_ex(0, context, 0, 512, TOTAL + 1), UNSUCCESS);
	assert_int_equal(set_ex(0, context, 0, 512, 0), UNSUCCESS);
	assert_int_equal(set_ex(9, context, 0, 512, TOTAL), UNSUCCESS);
	make(KD_API_SET_CONTEXT_EX, 0);
	m.u.context_ex.offset = TOTAL;
	m.u.context_ex.count = 8;
	m.u.context_ex.copied = TOTAL;
	with_data(context, 8);
	assert_int_equal(ask(), UNSUCCESS);
	/* An older release does not know the API. */
	fake->version.max_manipulate = KD_MAX_API_VISTA;
	assert_int_equal(get_ex(0, 0, TOTAL), UNSUCCESS);
	assert_int_equal(r.data_size, 0);
}

/* --- control space, ports, MSRs, buses --- */

static uint32_t read_control(uint16_t processor, uint64_t selector, uint32_t count)
{
	make(KD_API_READ_CONTROL_SPACE, processor);
	m.u.read_memory.address = selector;
	m.u.read_memory.count = count;
	return ask();
}

static uint32_t write_control(uint16_t processor, uint64_t selector, const void *bytes,
			      uint32_t count)
{
	make(KD_API_WRITE_CONTROL_SPACE, processor);
	m.u.write_memory.address = selector;
	m.u.write_memory.count = count;
	with_data(bytes, count);
	return ask();
}

static void test_control_space(void **state)
{
	const struct kd_fake_processor *p = &fake->processors[1];
	uint8_t special[KD_SPECIAL_SIZE_AMD64 + 8];
	const uint64_t pointers[] = { p->kpcr, p->kprcb, 0, p->kthread };

	(void)state;
	for (uint64_t i = 0; i < 4; i++) {
		if (i == KERNEL_SELECTOR_SPECIAL)
			continue;
		assert_int_equal(read_control(1, i, 8), OK);
		assert_int_equal(r.data_size, 8);
		assert_int_equal(kd_get64(r.data), pointers[i]);
	}
	assert_int_equal(read_control(1, 2, 0x200), OK);
	assert_int_equal(r.data_size, KD_SPECIAL_SIZE_AMD64);
	assert_int_equal(r.u.read_memory.actual, KD_SPECIAL_SIZE_AMD64);
	assert_int_equal(kd_get64(r.data + 0x10), fake->cr3);
	memcpy(special, r.data, KD_SPECIAL_SIZE_AMD64);
	assert_int_equal(read_control(1, 2, 0x18), OK);
	assert_int_equal(r.data_size, 0x18);
	assert_int_equal(read_control(1, 4, 8), UNSUCCESS);
	assert_int_equal(read_control(1, UINT64_MAX, 8), UNSUCCESS);
	assert_int_equal(read_control(2, 2, 8), UNSUCCESS);
	assert_int_equal(r.u.read_memory.actual, 0);

	kd_put64(special + 0x20, 0x1234);
	assert_int_equal(write_control(1, 2, special, 0x28), OK);
	assert_int_equal(r.u.write_memory.actual, 0x28);
	assert_int_equal(last.reply_size, KD_MANIPULATE_SIZE);
	assert_int_equal(kd_fake_get_special(fake, 1, "kdr0"), 0x1234);
	assert_int_equal(kd_fake_get_special(fake, 0, "kdr0"), 0);
	assert_int_equal(write_control(1, 2, special, sizeof(special)), OK);
	assert_int_equal(r.u.write_memory.actual, KD_SPECIAL_SIZE_AMD64);
	assert_int_equal(write_control(1, 0, special, 8), UNSUCCESS);
	assert_int_equal(write_control(5, 2, special, 8), UNSUCCESS);
	make(KD_API_WRITE_CONTROL_SPACE, 1);
	m.u.write_memory.address = 2;
	m.u.write_memory.count = 16;
	with_data(special, 8);
	assert_int_equal(ask(), UNSUCCESS);
}

static void test_control_space_x86(void **state)
{
	uint8_t value[4];

	(void)state;
	assert_int_equal(read_control(0, KD_SPECIAL_OFFSET_X86, KD_SPECIAL_SIZE_X86), OK);
	assert_int_equal(r.data_size, KD_SPECIAL_SIZE_X86);
	assert_int_equal(kd_get32(r.data + 8), fake->cr3);
	assert_int_equal(read_control(0, 0xB8, 4), OK); /* Eip */
	assert_int_equal(kd_get32(r.data), (uint32_t)fake->idle);
	assert_int_equal(read_control(0, KD_SPECIAL_OFFSET_X86, KD_SPECIAL_SIZE_X86 + 1),
			 UNSUCCESS);
	assert_int_equal(r.data_size, 0);
	assert_int_equal(read_control(0, UINT64_MAX, 4), UNSUCCESS);
	kd_put32(value, 0x401);
	assert_int_equal(write_control(1, KD_SPECIAL_OFFSET_X86 + 0x24, value, 4), OK);
	assert_int_equal(kd_fake_get_special(fake, 1, "kdr7"), 0x401);
	/* The CONTEXT half needs the permission that SetContext needs. */
	assert_int_equal(write_control(1, 0xB0, value, 4), UNSUCCESS);
	make(KD_API_GET_CONTEXT, 1);
	assert_int_equal(ask(), OK);
	assert_int_equal(r.data_size, KD_CONTEXT_SIZE_X86);
	assert_int_equal(write_control(1, 0xB0, value, 4), OK);
	assert_int_equal(kd_fake_get_register(fake, 1, "eax"), 0x401);
}

static uint32_t io(uint32_t api, uint64_t port, uint32_t size, uint32_t value)
{
	make(api, 0);
	m.u.io.address = port;
	m.u.io.size = size;
	m.u.io.value = value;
	return ask();
}

static uint32_t io_ex(uint32_t api, uint32_t interface, uint32_t space, uint64_t port,
		      uint32_t value)
{
	make(api, 0);
	m.u.io_extended.interface_type = interface;
	m.u.io_extended.address_space = space;
	m.u.io_extended.size = 2;
	m.u.io_extended.address = port;
	m.u.io_extended.value = value;
	return ask();
}

static void test_ports(void **state)
{
	(void)state;
	assert_int_equal(io(KD_API_WRITE_IO, 0x3F8, 4, 0x11223344), OK);
	assert_int_equal(io(KD_API_READ_IO, 0x3F8, 1, 99), OK);
	assert_int_equal(r.u.io.value, 0x44);
	assert_int_equal(io(KD_API_READ_IO, 0x3FA, 2, 0), OK);
	assert_int_equal(r.u.io.value, 0x1122);
	assert_int_equal(io(KD_API_READ_IO, 0x3F8, 3, 0), BAD_ARG);
	assert_int_equal(io(KD_API_WRITE_IO, 0x3F8, 0, 0), BAD_ARG);
	assert_int_equal(io(KD_API_READ_IO, 0x3F9, 2, 0), MISALIGNED);
	assert_int_equal(io(KD_API_READ_IO, 0x10000, 1, 0), UNSUCCESS);
	assert_int_equal(io_ex(KD_API_WRITE_IO_EXTENDED, 1, 1, 0x60, 0xBEEF), OK);
	assert_int_equal(io_ex(KD_API_READ_IO_EXTENDED, 1, 1, 0x60, 0), OK);
	assert_int_equal(r.u.io_extended.value, 0xBEEF);
	assert_int_equal(io_ex(KD_API_READ_IO_EXTENDED, 5, 1, 0x60, 0), UNSUCCESS);
	assert_int_equal(io_ex(KD_API_READ_IO_EXTENDED, 1, 0, 0x60, 0), UNSUCCESS);
	assert_int_equal(io_ex(KD_API_WRITE_IO_EXTENDED, 1, 1, 0x61, 0), MISALIGNED);
}

static uint32_t msr(uint32_t api, uint32_t number, uint64_t value)
{
	make(api, 0);
	m.u.msr.msr = number;
	m.u.msr.value_low = (uint32_t)value;
	m.u.msr.value_high = (uint32_t)(value >> 32);
	return ask();
}

static void test_msrs(void **state)
{
	(void)state;
	assert_int_equal(msr(KD_API_READ_MSR, 0xC0000082, 0), OK);
	assert_int_equal(r.u.msr.value_low, 0x1234);
	assert_int_equal(r.u.msr.value_high, 0xFFFFF800);
	assert_int_equal(msr(KD_API_WRITE_MSR, 0xC0000082, 0x123456789A), OK);
	assert_int_equal(fake->msrs[0].value, 0x123456789A);
	assert_int_equal(msr(KD_API_READ_MSR, 0x12345, 0), NO_DEVICE);
	assert_int_equal(msr(KD_API_WRITE_MSR, 0x12345, 0), NO_DEVICE);
}

static uint32_t bus(uint32_t api, uint32_t slot, uint32_t offset, const void *data, uint32_t length)
{
	make(api, 0);
	m.u.bus_data.bus_data_type = 4;
	m.u.bus_data.slot_number = slot;
	m.u.bus_data.offset = offset;
	m.u.bus_data.length = length;
	if (data)
		with_data(data, length);
	return ask();
}

static void test_buses(void **state)
{
	(void)state;
	assert_int_equal(bus(KD_API_SET_BUS_DATA, 0, 0x10, "\x86\x80", 2), OK);
	assert_int_equal(r.u.bus_data.length, 2);
	assert_int_equal(bus(KD_API_GET_BUS_DATA, 0, 0x10, NULL, 4), OK);
	assert_int_equal(r.data_size, 4);
	assert_memory_equal(r.data, "\x86\x80\0\0", 4);
	assert_int_equal(bus(KD_API_GET_BUS_DATA, 0, 0xFC, NULL, 8), OK);
	assert_int_equal(r.u.bus_data.length, 4);
	assert_int_equal(bus(KD_API_GET_BUS_DATA, 0, 0, NULL, UINT32_MAX), OK);
	assert_int_equal(r.u.bus_data.length, 256);
	assert_int_equal(bus(KD_API_GET_BUS_DATA, 1, 0, NULL, 4), UNSUCCESS);
	assert_int_equal(r.u.bus_data.length, 0);
	assert_int_equal(bus(KD_API_SET_BUS_DATA, 1, 0, "ab", 2), UNSUCCESS);
}

/* --- the others --- */

static void test_version(void **state)
{
	(void)state;
	make(KD_API_GET_VERSION, 0xFFFF);
	assert_int_equal(ask(), OK);
	assert_int_equal(r.u.version.protocol, 6);
	assert_int_equal(r.u.version.secondary, 2);
	assert_int_equal(r.u.version.machine, KD_MACHINE_AMD64);
	assert_int_equal(r.u.version.kern_base, fake->kernel_base);
	assert_int_equal(r.u.version.debugger_data_list, fake->data_list);
}

static void test_refused(void **state)
{
	static const uint32_t apis[] = {
		KD_API_QUERY_SPECIAL_CALLS,
		KD_API_SET_SPECIAL_CALL,
		KD_API_CLEAR_SPECIAL_CALLS,
		KD_API_SET_INTERNAL_BREAKPOINT,
		KD_API_GET_INTERNAL_BREAKPOINT,
		KD_API_PAGE_IN,
		KD_API_OLD_VLM1,
		KD_API_OLD_VLM2,
		KD_API_SWITCH_PARTITION,
		KD_API_READ_PHYSICAL_LONG,
		0x314A,
		0x3163,
		0,
		UINT32_MAX,
	};

	(void)state;
	fake->version.max_manipulate = 0;
	for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++) {
		make(apis[i], 0);
		assert_int_equal(ask(), UNSUCCESS);
		assert_int_equal(last.reply_size, KD_MANIPULATE_SIZE);
	}
	make(KD_API_CHECK_LOW_MEMORY, 0);
	assert_int_equal(ask(), OK);
}

static enum kd_target_action_kind act(uint32_t api, uint16_t processor)
{
	make(api, processor);
	assert_int_equal(ask_with(sizeof(reply_bytes)), UINT32_MAX);
	return last.kind;
}

static void test_actions(void **state)
{
	(void)state;
	assert_int_equal(act(KD_API_REBOOT, 0), KD_TARGET_REBOOT);
	assert_int_equal(act(KD_API_CAUSE_BUGCHECK, 0), KD_TARGET_BUGCHECK);
	assert_int_equal(act(KD_API_CLEAR_INTERNAL_BREAKPOINTS, 0), KD_TARGET_STAY);
	assert_int_equal(act(KD_API_SWITCH_PROCESSOR, 1), KD_TARGET_SWITCH);
	assert_int_equal(last.processor, 1);
	assert_int_equal(act(KD_API_SWITCH_PROCESSOR, 0), KD_TARGET_RESEND_STATE);
	assert_int_equal(act(KD_API_SWITCH_PROCESSOR, 2), KD_TARGET_RESEND_STATE);
	for (size_t size = 0; size < KD_MANIPULATE_SIZE; size++)
		assert_int_equal(kd_target_request(target, request_bytes, size, reply_bytes,
						   sizeof(reply_bytes), &last),
				 KD_TARGET_MALFORMED);
}

/* No API is forgotten: each row of api.def is answered, or has an action. */
static void test_every_api(void **state)
{
	size_t n;
	const struct kd_api_info *table = kd_api_table(&n);

	(void)state;
	fake->version.max_manipulate = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t status;

		make(table[i].number, 0);
		status = ask_with(sizeof(reply_bytes));
		if (table[i].answered == KD_ANSWERED_ACK_ONLY)
			assert_int_equal(status, UINT32_MAX);
		else
			assert_int_not_equal(status, UINT32_MAX);
	}
}

static uint64_t eflags(uint16_t processor)
{
	return kd_fake_get_register(fake, processor, "efl");
}

static void test_continue(void **state)
{
	(void)state;
	make(KD_API_CONTINUE, 0);
	m.u.cont.continue_status = KD_NT_DBG_EXCEPTION_HANDLED;
	assert_int_equal(ask_with(sizeof(reply_bytes)), UINT32_MAX);
	assert_int_equal(last.kind, KD_TARGET_CONTINUE);
	assert_int_equal(last.continue_status, KD_NT_DBG_EXCEPTION_HANDLED);
	assert_false(last.has_control_set);
	assert_int_equal(kd_fake_get_special(fake, 0, "kdr6"), 0xFFFF0FF0); /* untouched */

	make(KD_API_CONTINUE2, 0);
	m.u.continue2_amd64.continue_status = KD_NT_DBG_CONTINUE;
	m.u.continue2_amd64.trace_flag = 5;
	m.u.continue2_amd64.dr7 = 0x700000401;
	m.u.continue2_amd64.symbol_start = 1;
	assert_int_equal(ask_with(sizeof(reply_bytes)), UINT32_MAX);
	assert_int_equal(last.kind, KD_TARGET_CONTINUE);
	assert_true(last.has_control_set && last.trace);
	assert_int_equal(last.dr7, 0x700000401);
	assert_int_equal(last.symbol_start, 1);
	assert_int_equal(eflags(0), 0x302);
	assert_int_equal(eflags(1), 0x202);
	for (uint16_t i = 0; i < 2; i++) {
		assert_int_equal(kd_fake_get_special(fake, i, "kdr7"), 0x700000401);
		assert_int_equal(kd_fake_get_special(fake, i, "kdr6"), 0);
	}
	m.u.continue2_amd64.trace_flag = 0;
	assert_int_equal(ask_with(sizeof(reply_bytes)), UINT32_MAX);
	assert_int_equal(eflags(0), 0x202);
	/* Not handled: the control set means nothing. */
	m.u.continue2_amd64.continue_status = (uint32_t)KD_NT_DBG_EXCEPTION_NOT_HANDLED;
	m.u.continue2_amd64.trace_flag = 1;
	m.u.continue2_amd64.dr7 = 0;
	assert_int_equal(ask_with(sizeof(reply_bytes)), UINT32_MAX);
	assert_false(last.has_control_set);
	assert_int_equal(eflags(0), 0x202);
	assert_int_equal(kd_fake_get_special(fake, 0, "kdr7"), 0x700000401);
}

static void test_continue_x86(void **state)
{
	(void)state;
	make(KD_API_CONTINUE2, 0);
	assert_int_equal(m.kind, KD_MEMBER_continue2_x86);
	m.u.continue2_x86.continue_status = KD_NT_DBG_CONTINUE;
	m.u.continue2_x86.trace_flag = 1;
	m.u.continue2_x86.dr7 = 0x402;
	m.u.continue2_x86.symbol_start = 1;
	assert_int_equal(ask_with(sizeof(reply_bytes)), UINT32_MAX);
	assert_int_equal(last.dr7, 0x402);
	assert_int_equal(eflags(0), 0x302);
	assert_int_equal(kd_fake_get_special(fake, 1, "kdr7"), 0x402);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_context, setup),
		ON(test_context_ex, setup),
		ON(test_control_space, setup),
		ON(test_control_space_x86, setup_x86),
		ON(test_ports, setup),
		ON(test_msrs, setup),
		ON(test_buses, setup),
		ON(test_version, setup),
		ON(test_refused, setup),
		ON(test_actions, setup),
		ON(test_every_api, setup),
		ON(test_continue, setup),
		ON(test_continue_x86, setup_x86),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
