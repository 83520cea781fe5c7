/* SPDX-License-Identifier: MIT */
#include "tests/core/target_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct kd_fake *fake;
struct kd_target *target;
struct kd_manipulate m;       /* the request to be made */
struct kd_manipulate r;       /* its reply */
struct kd_target_action last; /* what was to be done */
uint8_t request_bytes[KD_PAYLOAD_MAX], reply_bytes[KD_PAYLOAD_MAX];

static void start(uint16_t machine, uint16_t n_processors)
{
	struct kd_w_exception e = { .code = (uint32_t)KD_NT_BREAKPOINT };
	uint8_t payload[KD_STATE_CHANGE_SIZE];
	size_t size;

	fake = kd_fake_create(
		&(struct kd_fake_config){ .machine = machine, .n_processors = n_processors });
	target = &fake->target;
	assert_int_equal(kd_target_exception(target, 0, &e, payload, sizeof(payload), &size),
			 KD_OK);
}

int setup(void **state)
{
	(void)state;
	start(KD_MACHINE_AMD64, 2);
	return 0;
}

int setup_x86(void **state)
{
	(void)state;
	start(KD_MACHINE_X86, 2);
	return 0;
}

int teardown(void **state)
{
	(void)state;
	kd_fake_destroy(fake);
	return 0;
}

void make(uint32_t api, uint16_t processor)
{
	kd_manipulate_init(&m, api, fake->config.machine, processor);
}

/* Make the request; its reply is in `r`. Returns its status; UINT32_MAX: there is none. */
uint32_t ask_with(size_t reply_cap)
{
	size_t size;

	assert_int_equal(kd_manipulate_encode(request_bytes, sizeof(request_bytes), &size, &m),
			 KD_OK);
	memset(reply_bytes, 0xA5, sizeof(reply_bytes));
	kd_target_request(target, request_bytes, size, reply_bytes, reply_cap, &last);
	assert_int_equal(last.api, m.hdr.api);
	if (!last.reply_size)
		return UINT32_MAX;
	assert_true(last.reply_size <= reply_cap);
	assert_int_equal(
		kd_manipulate_decode(&r, fake->config.machine, reply_bytes, last.reply_size),
		KD_OK);
	assert_int_equal(r.hdr.api, m.hdr.api);
	assert_int_equal(r.hdr.processor, m.hdr.processor);
	return r.hdr.return_status;
}

uint32_t ask(void)
{
	const uint32_t status = ask_with(sizeof(reply_bytes));

	if (status != UINT32_MAX && last.kind != KD_TARGET_CONTINUE)
		assert_int_equal(last.kind, KD_TARGET_REPLY);
	return status;
}

void with_data(const void *data, size_t size)
{
	m.data = data;
	m.data_size = size;
}

uint32_t read_memory(uint32_t api, uint64_t address, uint32_t count)
{
	make(api, 0);
	m.u.read_memory.address = address;
	m.u.read_memory.count = count;
	return ask();
}

uint32_t write_memory(uint32_t api, uint64_t address, const void *bytes, uint32_t count)
{
	make(api, 0);
	m.u.write_memory.address = address;
	m.u.write_memory.count = count;
	with_data(bytes, count);
	return ask();
}

uint32_t search(uint64_t address, uint64_t length, const void *pattern, uint32_t size)
{
	make(KD_API_SEARCH_MEMORY, 0);
	m.u.search_memory.address = address;
	m.u.search_memory.length = length;
	m.u.search_memory.pattern_length = size;
	with_data(pattern, size);
	return ask();
}
