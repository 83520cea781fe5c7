/* SPDX-License-Identifier: MIT */
/* What lets a target go whose debugger died, against the answering end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/ring/ring_orphan.h"
#include "tests/core/target_rig.h"

enum { NOT_HANDLED = 0x80010001, CONTINUE = 0x00010002, REQUESTS_MAX = 64 };

static struct kd_orphan orphan;
static struct kd_manipulate last_request;
static uint64_t stopped_at;

/* A state change of processor 0, as the target makes it; the orphan begins with it. */
static void begin(uint32_t code)
{
	struct kd_w_exception e = { .code = code, .address = stopped_at, .first_chance = 1 };
	uint8_t payload[KD_PAYLOAD_MAX];
	size_t size;

	assert_int_equal(kd_target_exception(target, 0, &e, payload, sizeof payload, &size), KD_OK);
	kd_orphan_begin(&orphan, fake->config.machine, payload, KD_STATE_CHANGE_SIZE);
}

/* Let it ask and the target answer; how many requests it took. */
static unsigned run(void)
{
	uint8_t header[KD_MANIPULATE_SIZE];
	const uint8_t *data;
	size_t size;
	unsigned n = 0;

	while (kd_orphan_request(&orphan, header, &data, &size)) {
		uint8_t bytes[KD_PAYLOAD_MAX];

		assert_true(n++ < REQUESTS_MAX);
		memcpy(bytes, header, sizeof header);
		kd_copy(bytes + sizeof header, data, size);
		assert_int_equal(kd_manipulate_decode(&last_request, fake->config.machine, bytes,
						      sizeof header + size),
				 KD_OK);
		kd_target_request(target, bytes, sizeof header + size, reply_bytes,
				  sizeof reply_bytes, &last);
		if (last.reply_size)
			kd_orphan_reply(&orphan, reply_bytes, KD_MANIPULATE_SIZE,
					reply_bytes + KD_MANIPULATE_SIZE,
					last.reply_size - KD_MANIPULATE_SIZE);
	}
	assert_false(kd_orphan_is_active(&orphan));
	assert_int_equal(last_request.hdr.api, KD_API_CONTINUE2);
	assert_int_equal(last.kind, KD_TARGET_CONTINUE);
	return n;
}

static uint64_t program_counter(void)
{
	const struct kd_reg_layout *layout = kd_context_layout(fake->config.machine);
	bool is_x64 = fake->config.machine == KD_MACHINE_AMD64;

	make(KD_API_GET_CONTEXT, 0);
	assert_int_equal(ask(), OK);
	return kd_reg_get(r.data, kd_reg_find(layout, is_x64 ? "rip" : "eip"));
}

static void set_program_counter(uint64_t pc)
{
	const struct kd_reg_layout *layout = kd_context_layout(fake->config.machine);
	bool is_x64 = fake->config.machine == KD_MACHINE_AMD64;
	uint8_t context[KD_CONTEXT_MAX];

	make(KD_API_GET_CONTEXT, 0);
	assert_int_equal(ask(), OK);
	memcpy(context, r.data, layout->size);
	kd_reg_set(context, kd_reg_find(layout, is_x64 ? "rip" : "eip"), pc);
	make(KD_API_SET_CONTEXT, 0);
	with_data(context, layout->size);
	assert_int_equal(ask(), OK);
	stopped_at = pc;
}

static uint32_t plant(uint64_t address)
{
	make(KD_API_WRITE_BREAKPOINT, 0);
	m.u.write_breakpoint.address = address;
	return ask();
}

static uint8_t raw_byte(uint64_t address)
{
	uint8_t byte = 0;

	assert_int_equal(kd_fake_read(fake, address, &byte, 1), 1);
	return byte;
}

/* Everybody's breakpoints go, whatever it stopped for. */
static void test_breakpoints_go(void **state)
{
	const uint64_t at = kd_fake_alloc(fake, 4096);

	(void)state;
	kd_fake_write(fake, at, "\x90\x90\x90\x90", 4);
	set_program_counter(at + 100);
	for (int i = 0; i < 32; i++)
		assert_int_equal(plant(at + 256 + 16 * (uint64_t)i), OK);
	begin(KD_NT_BREAKPOINT);
	run();
	for (int i = 0; i < 32; i++)
		assert_int_equal(raw_byte(at + 256 + 16 * (uint64_t)i), 0);
	assert_int_equal(program_counter(), at + 100);
	assert_int_equal(last_request.u.continue2_amd64.continue_status, CONTINUE);
	assert_int_equal(last_request.u.continue2_amd64.trace_flag, 0);
	assert_int_equal(last_request.u.continue2_amd64.dr7, 0);
}

/* A breakpoint that belongs to the code is stepped over, also where one of ours lay on top. */
static void test_hard_coded(void **state)
{
	const uint64_t at = kd_fake_alloc(fake, 4096);

	(void)state;
	kd_fake_write(fake, at, "\xCC\x90", 2);
	set_program_counter(at);
	begin(KD_NT_BREAKPOINT);
	run();
	assert_int_equal((uint32_t)program_counter(), (uint32_t)at + 1); /* x86: 32 bits */
}

static void test_step_is_forgotten(void **state)
{
	const uint64_t at = kd_fake_alloc(fake, 4096);

	(void)state;
	kd_fake_write(fake, at, "\xCC", 1);
	set_program_counter(at);
	begin(KD_NT_SINGLE_STEP);
	run();
	assert_int_equal(program_counter(), at); /* it has not executed the int3 yet */
	assert_int_equal(last_request.u.continue2_amd64.continue_status, CONTINUE);
}

/* What no debugger caused takes its way as without one. */
static void test_fault_goes_on(void **state)
{
	(void)state;
	begin(KD_NT_ACCESS_VIOLATION);
	run();
	assert_int_equal((uint32_t)last_request.u.continue2_amd64.continue_status, NOT_HANDLED);
}

static void test_nonsense_begins(void **state)
{
	(void)state;
	kd_orphan_begin(&orphan, fake->config.machine, (const uint8_t *)"short", 5);
	run();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_breakpoints_go, setup), ON(test_hard_coded, setup),
		ON(test_hard_coded, setup_x86), ON(test_step_is_forgotten, setup),
		ON(test_fault_goes_on, setup),  ON(test_nonsense_begins, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
