/* SPDX-License-Identifier: MIT */
/* The table of breakpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "tests/core/target_rig.h"

static uint32_t set_breakpoint(uint64_t address)
{
	make(KD_API_WRITE_BREAKPOINT, 0);
	m.u.write_breakpoint.address = address;
	return ask();
}

static uint32_t clear_breakpoint(uint32_t handle)
{
	make(KD_API_RESTORE_BREAKPOINT, 0);
	m.u.restore_breakpoint.handle = handle;
	return ask();
}

static uint8_t raw_byte(uint64_t address)
{
	uint8_t byte = 0;

	assert_int_equal(kd_fake_read(fake, address, &byte, 1), 1);
	return byte;
}

static void test_breakpoint_table(void **state)
{
	const uint64_t at = kd_fake_alloc(fake, 4096);

	(void)state;
	for (uint32_t i = 0; i < 32; i++) {
		assert_int_equal(set_breakpoint(at + 16 * i), OK);
		assert_int_equal(r.u.write_breakpoint.handle, i + 1);
		assert_int_equal(raw_byte(at + 16 * i), 0xCC);
	}
	assert_int_equal(set_breakpoint(at + 16 * 32), UNSUCCESS);
	assert_int_equal(r.u.write_breakpoint.handle, 0);
	assert_int_equal(raw_byte(at + 16 * 32), 0);
	assert_int_equal(clear_breakpoint(7), OK);
	assert_int_equal(raw_byte(at + 16 * 6), 0);
	assert_int_equal(clear_breakpoint(7), UNSUCCESS);
	assert_int_equal(clear_breakpoint(0), UNSUCCESS);
	assert_int_equal(clear_breakpoint(33), UNSUCCESS);
	assert_int_equal(clear_breakpoint(UINT32_MAX), UNSUCCESS);
	assert_int_equal(set_breakpoint(at + 16), UNSUCCESS); /* there is one */
	assert_int_equal(set_breakpoint(at + 16 * 32), OK);
	assert_int_equal(r.u.write_breakpoint.handle, 7);
	assert_int_equal(kd_target_find_breakpoint(target, at + 16 * 32), 7);
	kd_target_remove_breakpoints(target);
	for (uint32_t i = 0; i < 33; i++)
		assert_int_equal(raw_byte(at + 16 * i), 0);
	assert_int_equal(kd_target_find_breakpoint(target, at), 0);
}

/* Reads show what was there, writes go under it, and it is what comes back. */
static void test_breakpoint_is_hidden(void **state)
{
	const uint64_t at = kd_fake_alloc(fake, 4096);
	uint64_t pa;

	(void)state;
	kd_fake_write(fake, at, "0123456789", 10);
	assert_true(kd_fake_translate(fake, at, &pa));
	assert_int_equal(set_breakpoint(at + 3), OK);
	assert_int_equal(set_breakpoint(at + 5), OK);
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, at, 10), OK);
	assert_memory_equal(r.data, "0123456789", 10);
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, at + 3, 1), OK);
	assert_memory_equal(r.data, "3", 1);
	assert_int_equal(read_memory(KD_API_READ_PHYSICAL, pa + 2, 4), OK);
	assert_memory_equal(r.data, "2345", 4);
	assert_int_equal(search(at, 4096, "345", 3), OK);
	assert_int_equal(write_memory(KD_API_WRITE_VIRTUAL, at + 2, "abcd", 4), OK);
	assert_int_equal(r.u.write_memory.actual, 4);
	assert_int_equal(raw_byte(at + 3), 0xCC);
	assert_int_equal(raw_byte(at + 5), 0xCC);
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, at, 10), OK);
	assert_memory_equal(r.data, "01abcd6789", 10);
	assert_int_equal(write_memory(KD_API_WRITE_PHYSICAL, pa + 5, "D", 1), OK);
	assert_int_equal(clear_breakpoint(1), OK);
	assert_int_equal(clear_breakpoint(2), OK);
	assert_int_equal(raw_byte(at + 3), 'b');
	assert_int_equal(raw_byte(at + 5), 'D');
}

/* The page is not there: owed, and inserted when it is. */
static void test_breakpoint_is_owed(void **state)
{
	const uint64_t at = 0x400000;

	(void)state;
	assert_int_equal(set_breakpoint(at), OK);
	assert_int_equal(r.u.write_breakpoint.handle, 1);
	assert_int_equal(set_breakpoint(at), UNSUCCESS);
	kd_fake_map(fake, at, 0x1000, true);
	assert_int_equal(raw_byte(at), 0);
	make(KD_API_CONTINUE, 0);
	m.u.cont.continue_status = KD_NT_DBG_CONTINUE;
	assert_int_equal(ask(), UINT32_MAX);
	assert_int_equal(raw_byte(at), 0xCC);
	assert_int_equal(clear_breakpoint(1), OK);
	assert_int_equal(raw_byte(at), 0);
	/* Removed before it was inserted. */
	assert_int_equal(set_breakpoint(0x500000), OK);
	assert_int_equal(clear_breakpoint(1), OK);
	kd_fake_map(fake, 0x500000, 0x1000, true);
	kd_target_settle_breakpoints(target);
	assert_int_equal(raw_byte(0x500000), 0);
}

/* The page has another owner by now: its bytes are not ours to restore. */
static void test_breakpoint_page_was_reused(void **state)
{
	const uint64_t at = kd_fake_alloc(fake, 4096);

	(void)state;
	kd_fake_write(fake, at, "\x11", 1);
	assert_int_equal(set_breakpoint(at), OK);
	kd_fake_write(fake, at, "\x22", 1);
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, at, 1), OK);
	assert_int_equal(r.data[0], 0x22);
	assert_int_equal(clear_breakpoint(1), OK);
	assert_int_equal(raw_byte(at), 0x22);
}

/* Another address space is current when it has to go: it is found by its physical address. */
static void test_breakpoint_of_another_process(void **state)
{
	const uint64_t at = 0x400000, other = 0x800000;
	uint64_t pa, pte_table;

	(void)state;
	kd_fake_map(fake, at, 0x1000, true);
	kd_fake_map(fake, other, 0x1000, true);
	kd_fake_write(fake, at, "\x55", 1);
	kd_fake_write(fake, other, "\x66", 1);
	assert_int_equal(set_breakpoint(at), OK);
	assert_true(kd_fake_translate(fake, at, &pa));
	kd_fake_unmap(fake, at, 0x1000);
	kd_fake_map(fake, at, 0x1000, true); /* the same address is other memory now */
	kd_fake_write(fake, at, "\xCC", 1);
	assert_true(kd_fake_translate(fake, at, &pte_table));
	assert_int_not_equal(pa, pte_table);
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, at, 1), OK);
	assert_int_equal(r.data[0], 0xCC); /* its own int3 */
	assert_int_equal(read_memory(KD_API_READ_PHYSICAL, pa, 1), OK);
	assert_int_equal(r.data[0], 0x55);
	assert_int_equal(clear_breakpoint(1), OK);
	assert_int_equal(fake->ram[pa], 0x55);
	assert_int_equal(raw_byte(at), 0xCC);
}

/* Without translation a breakpoint waits for its page. */
static void test_breakpoint_is_leaving(void **state)
{
	struct kd_target_ops ops = kd_fake_ops;
	const uint64_t at = kd_fake_alloc(fake, 4096);
	uint64_t pa;

	(void)state;
	ops.translate = NULL;
	target->ops = &ops;
	assert_int_equal(set_breakpoint(at), OK);
	assert_true(kd_fake_translate(fake, at, &pa));
	kd_fake_unmap(fake, at, 4096);
	assert_int_equal(clear_breakpoint(1), OK);
	assert_int_equal(clear_breakpoint(1), UNSUCCESS);
	assert_int_equal(fake->ram[pa], 0xCC);
	/* The page comes back with its bytes. */
	kd_fake_map(fake, at, 4096, false);
	kd_fake_write(fake, at, "\xCC", 1);
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, at, 1), OK);
	assert_int_equal(r.data[0], 0);
	kd_target_settle_breakpoints(target);
	assert_int_equal(raw_byte(at), 0);
	assert_int_equal(set_breakpoint(at), OK);
	target->ops = &kd_fake_ops;
}

static void test_breakpoints_in_stream(void **state)
{
	const struct kd_w_exception e = { .code = (uint32_t)KD_NT_BREAKPOINT };
	const uint64_t at = kd_fake_alloc(fake, 4096);
	uint8_t payload[KD_STATE_CHANGE_SIZE];
	struct kd_state_change s;
	struct kd_w_report_amd64 report;
	size_t size;

	(void)state;
	kd_fake_write(fake, at, "ABCDEFGHIJKLMNOPQRS", 19);
	assert_int_equal(set_breakpoint(at - 0), OK);
	assert_int_equal(set_breakpoint(at + 1), OK);
	assert_int_equal(set_breakpoint(at + 16), OK);
	assert_int_equal(set_breakpoint(at + 17), OK);
	kd_fake_go_to(fake, 1, at + 1);
	assert_int_equal(kd_target_exception(target, 1, &e, payload, sizeof(payload), &size),
			 KD_OK);
	assert_int_equal(size, KD_STATE_CHANGE_SIZE);
	assert_int_equal(kd_state_change_decode(&s, payload, size), KD_OK);
	assert_int_equal(s.hdr.processor, 1);
	assert_int_equal(s.hdr.n_processors, 2);
	assert_int_equal(s.hdr.processor_level, 6);
	assert_int_equal(s.hdr.thread, fake->processors[1].kthread);
	assert_int_equal(s.hdr.program_counter, at + 1);
	kd_w_report_amd64_decode(&report, s.report);
	assert_int_equal(report.instruction_count, 16);
	assert_memory_equal(report.instruction_stream, "BCDEFGHIJKLMNOPQ", 16);
	assert_int_equal(report.report_flags, 3);
	assert_int_equal(report.seg_cs, 0x10);
	assert_int_equal(report.seg_fs, 0x53);
	assert_int_equal(report.eflags, 0x202);
	assert_int_equal(report.dr6, 0xFFFF0FF0);
	assert_int_equal(report.dr7, 0x400);
	/* [at + 1, at + 16] went, the others stay. */
	assert_int_equal(raw_byte(at), 0xCC);
	assert_int_equal(raw_byte(at + 1), 'B');
	assert_int_equal(raw_byte(at + 16), 'Q');
	assert_int_equal(raw_byte(at + 17), 0xCC);
	assert_int_equal(clear_breakpoint(1), OK);
	assert_int_equal(clear_breakpoint(2), UNSUCCESS);
	assert_int_equal(clear_breakpoint(3), UNSUCCESS);
	assert_int_equal(clear_breakpoint(4), OK);
	/* At the end of a page less is reported. */
	kd_fake_go_to(fake, 1, at + 4096 - 3);
	assert_int_equal(kd_target_exception(target, 1, &e, payload, sizeof(payload), &size),
			 KD_OK);
	assert_int_equal(kd_get16(payload + 212), 3);
	kd_fake_go_to(fake, 1, 0x10);
	assert_int_equal(kd_target_exception(target, 1, &e, payload, sizeof(payload), &size),
			 KD_OK);
	assert_int_equal(kd_get16(payload + 212), 0);
}

static void test_custom_breakpoint(void **state)
{
	static const uint8_t instruction[8] = { 0x0F, 0x0B };
	const uint64_t at = kd_fake_alloc(fake, 4096);
	static const struct {
		uint64_t skew;
		uint8_t size, align;
		uint32_t status;
	} rows[] = { { 0, 2, 2, OK },         { 1, 2, 2, UNSUCCESS },
		     { 16, 8, 8, OK },        { 32, 9, 1, UNSUCCESS },
		     { 32, 0, 1, UNSUCCESS }, { 32, 2, 0, UNSUCCESS },
		     { 32, 2, 3, UNSUCCESS }, { 1, 2, 1, UNSUCCESS /* overlaps */ } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(KD_API_WRITE_CUSTOM_BREAKPOINT_10, 0);
		m.u.write_custom_breakpoint.address = at + rows[i].skew;
		m.u.write_custom_breakpoint.instruction = kd_get64(instruction);
		m.u.write_custom_breakpoint.instruction_size = rows[i].size;
		m.u.write_custom_breakpoint.instruction_alignment = rows[i].align;
		assert_int_equal(ask(), rows[i].status);
	}
	assert_int_equal(raw_byte(at), 0x0F);
	assert_int_equal(raw_byte(at + 1), 0x0B);
	assert_int_equal(set_breakpoint(at + 1), UNSUCCESS);
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, at + 1, 4), OK);
	assert_memory_equal(r.data, "\0\0\0\0", 4);
	assert_int_equal(clear_breakpoint(1), OK);
	assert_int_equal(raw_byte(at + 1), 0);
}

static void test_breakpoints_ex(void **state)
{
	const uint64_t at = kd_fake_alloc(fake, 4096);
	uint8_t entries[3 * KD_W_SIZE_write_breakpoint_entry] = { 0 };
	uint8_t handles[33 * 4] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		kd_put64(entries + 16 * i, at + 8 * (i % 2)); /* the third is there already */
	make(KD_API_WRITE_BREAKPOINT_EX, 0);
	m.u.breakpoint_ex.count = 2;
	with_data(entries, 2 * 16);
	assert_int_equal(ask(), OK);
	assert_int_equal(r.data_size, 32);
	assert_int_equal(kd_get32(r.data + 8), 1);
	assert_int_equal(kd_get32(r.data + 24), 2);
	m.u.breakpoint_ex.count = 3;
	with_data(entries, sizeof(entries));
	assert_int_equal(ask(), UNSUCCESS);
	assert_int_equal(last.kind, KD_TARGET_REPLY);
	m.u.breakpoint_ex.count = 4; /* more than comes */
	assert_int_equal(ask(), UNSUCCESS);
	assert_int_equal(r.data_size, 0);

	kd_put32(handles, 2);
	kd_put32(handles + 4, 9);
	make(KD_API_RESTORE_BREAKPOINT_EX, 0);
	m.u.breakpoint_ex.count = 2;
	with_data(handles, 8);
	assert_int_equal(ask(), UNSUCCESS);
	assert_int_equal(r.data_size, 8);
	assert_int_equal(kd_get32(r.data), OK);
	assert_int_equal(kd_get32(r.data + 4), UNSUCCESS);
	m.u.breakpoint_ex.count = 33;
	with_data(handles, sizeof(handles));
	assert_int_equal(ask(), UNSUCCESS);
	/* With a status to continue with: reply, then run on. */
	kd_put32(handles, 1);
	m.u.breakpoint_ex.count = 1;
	m.u.breakpoint_ex.continue_status = KD_NT_DBG_CONTINUE;
	with_data(handles, 4);
	assert_int_equal(ask(), OK);
	assert_int_equal(last.kind, KD_TARGET_CONTINUE);
	assert_int_equal(last.continue_status, KD_NT_DBG_CONTINUE);
	assert_int_equal(raw_byte(at), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_breakpoint_table, setup),
		ON(test_breakpoint_is_hidden, setup),
		ON(test_breakpoint_is_owed, setup),
		ON(test_breakpoint_page_was_reused, setup),
		ON(test_breakpoint_of_another_process, setup),
		ON(test_breakpoint_is_leaving, setup),
		ON(test_breakpoints_in_stream, setup),
		ON(test_custom_breakpoint, setup),
		ON(test_breakpoints_ex, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
