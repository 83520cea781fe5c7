/* SPDX-License-Identifier: MIT */
/* Every API of the answering end, when it works and when it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "tests/support/kd_fake_target.h"

#define OK         KD_NT_SUCCESS
#define UNSUCCESS  ((uint32_t)KD_NT_UNSUCCESSFUL)
#define BAD_ARG    ((uint32_t)KD_NT_INVALID_PARAMETER)
#define NO_DEVICE  ((uint32_t)KD_NT_NO_SUCH_DEVICE)
#define NO_MORE    ((uint32_t)KD_NT_NO_MORE_ENTRIES)
#define MISALIGNED ((uint32_t)KD_NT_DATATYPE_MISALIGNMENT)

enum { KERNEL_SELECTOR_SPECIAL = 2 };

static struct kd_fake *fake;
static struct kd_target *target;
static struct kd_manipulate m;       /* the request to be made */
static struct kd_manipulate r;       /* its reply */
static struct kd_target_action last; /* what was to be done */
static uint8_t request_bytes[KD_PAYLOAD_MAX], reply_bytes[KD_PAYLOAD_MAX];

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

static int setup(void **state)
{
	(void)state;
	start(KD_MACHINE_AMD64, 2);
	return 0;
}

static int setup_x86(void **state)
{
	(void)state;
	start(KD_MACHINE_X86, 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kd_fake_destroy(fake);
	return 0;
}

static void make(uint32_t api, uint16_t processor)
{
	kd_manipulate_init(&m, api, fake->config.machine, processor);
}

/* Make the request; its reply is in `r`. Returns its status; UINT32_MAX: there is none. */
static uint32_t ask_with(size_t reply_cap)
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

static uint32_t ask(void)
{
	const uint32_t status = ask_with(sizeof(reply_bytes));

	if (status != UINT32_MAX && last.kind != KD_TARGET_CONTINUE)
		assert_int_equal(last.kind, KD_TARGET_REPLY);
	return status;
}

static void with_data(const void *data, size_t size)
{
	m.data = data;
	m.data_size = size;
}

/* --- memory --- */

static uint32_t read_memory(uint32_t api, uint64_t address, uint32_t count)
{
	make(api, 0);
	m.u.read_memory.address = address;
	m.u.read_memory.count = count;
	return ask();
}

static uint32_t write_memory(uint32_t api, uint64_t address, const void *bytes, uint32_t count)
{
	make(api, 0);
	m.u.write_memory.address = address;
	m.u.write_memory.count = count;
	with_data(bytes, count);
	return ask();
}

static void test_read_virtual(void **state)
{
	const uint64_t at = kd_fake_alloc(fake, 8192);
	uint8_t bytes[8192];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	kd_fake_write(fake, at, bytes, sizeof(bytes));
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, at + 3, 100), OK);
	assert_int_equal(r.u.read_memory.actual, 100);
	assert_int_equal(r.data_size, 100);
	assert_memory_equal(r.data, bytes + 3, 100);
	/* More than a packet holds: success, and short. */
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, at, 5000), OK);
	assert_int_equal(r.u.read_memory.actual, KD_READ_MAX);
	assert_int_equal(r.data_size, KD_READ_MAX);
	assert_memory_equal(r.data, bytes, KD_READ_MAX);
	/* Into a hole: what comes before it, and no success. */
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, at + 8192 - 5, 16), UNSUCCESS);
	assert_int_equal(r.u.read_memory.actual, 5);
	assert_int_equal(r.data_size, 5);
	assert_memory_equal(r.data, bytes + 8192 - 5, 5);
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, at + 8192, 16), UNSUCCESS);
	assert_int_equal(last.reply_size, KD_MANIPULATE_SIZE);
	assert_int_equal(r.u.read_memory.actual, 0);
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, UINT64_MAX - 3, UINT32_MAX), UNSUCCESS);
	assert_int_equal(read_memory(KD_API_READ_VIRTUAL, at, 0), OK);
}

static void test_reply_room(void **state)
{
	const uint64_t at = kd_fake_alloc(fake, 4096);

	(void)state;
	make(KD_API_READ_VIRTUAL, 0);
	m.u.read_memory.address = at;
	m.u.read_memory.count = 1000;
	assert_int_equal(ask_with(KD_MANIPULATE_SIZE + 10), OK);
	assert_int_equal(r.u.read_memory.actual, 10);
	assert_int_equal(reply_bytes[KD_MANIPULATE_SIZE + 10], 0xA5);
	make(KD_API_GET_CONTEXT, 0);
	assert_int_equal(ask_with(KD_MANIPULATE_SIZE + 10), UNSUCCESS);
}

static void test_write_virtual(void **state)
{
	const uint64_t at = kd_fake_alloc(fake, 4096);
	uint8_t seen[8] = { 0 };

	(void)state;
	assert_int_equal(write_memory(KD_API_WRITE_VIRTUAL, at + 1, "abcd", 4), OK);
	assert_int_equal(r.u.write_memory.actual, 4);
	assert_int_equal(last.reply_size, KD_MANIPULATE_SIZE);
	kd_fake_read(fake, at, seen, sizeof(seen));
	assert_memory_equal(seen, "\0abcd\0\0", 8);
	assert_int_equal(write_memory(KD_API_WRITE_VIRTUAL, at + 4094, "abcd", 4), UNSUCCESS);
	assert_int_equal(r.u.write_memory.actual, 2);
	/* The data is not all there: nothing is written. */
	make(KD_API_WRITE_VIRTUAL, 0);
	m.u.write_memory.address = at;
	m.u.write_memory.count = 5;
	with_data("zzzz", 4);
	assert_int_equal(ask(), UNSUCCESS);
	assert_int_equal(r.u.write_memory.actual, 0);
	kd_fake_read(fake, at, seen, sizeof(seen));
	assert_memory_equal(seen, "\0abcd\0\0", 8);
}

static void test_physical(void **state)
{
	const uint64_t at = kd_fake_alloc(fake, 4096);
	uint64_t pa;
	uint8_t seen[4];

	(void)state;
	assert_true(kd_fake_translate(fake, at, &pa));
	assert_int_equal(write_memory(KD_API_WRITE_PHYSICAL, pa + 8, "wxyz", 4), OK);
	kd_fake_read(fake, at + 8, seen, sizeof(seen));
	assert_memory_equal(seen, "wxyz", 4);
	assert_int_equal(read_memory(KD_API_READ_PHYSICAL, pa + 8, 4), OK);
	assert_memory_equal(r.data, "wxyz", 4);
	assert_int_equal(read_memory(KD_API_READ_PHYSICAL, fake->ram_size - 2, 4), UNSUCCESS);
	assert_int_equal(r.u.read_memory.actual, 2);
	assert_int_equal(write_memory(KD_API_WRITE_PHYSICAL, UINT64_MAX, "wxyz", 4), UNSUCCESS);
}

static uint32_t search(uint64_t address, uint64_t length, const void *pattern, uint32_t size)
{
	make(KD_API_SEARCH_MEMORY, 0);
	m.u.search_memory.address = address;
	m.u.search_memory.length = length;
	m.u.search_memory.pattern_length = size;
	with_data(pattern, size);
	return ask();
}

static void test_search(void **state)
{
	const uint64_t at = kd_fake_alloc(fake, 0x8000);
	uint8_t pattern[KD_TARGET_PATTERN_MAX + 1] = { 1 };

	(void)state;
	kd_fake_write(fake, at + 0x2FFE, "needle", 6); /* over a page's end */
	kd_fake_write(fake, at + 0x5000, "needle", 6);
	assert_int_equal(search(at, 0x8000, "needle", 6), OK);
	assert_int_equal(r.u.search_memory.address, at + 0x2FFE);
	assert_int_equal(search(at + 0x2FFF, 0x4000, "needle", 6), OK);
	assert_int_equal(r.u.search_memory.address, at + 0x5000);
	/* The whole match has to be inside. */
	assert_int_equal(search(at, 0x2FFE + 6, "needle", 6), OK);
	assert_int_equal(search(at, 0x2FFE + 5, "needle", 6), NO_MORE);
	assert_int_equal(search(at, 5, "needle", 6), NO_MORE);
	assert_int_equal(search(at, 0x8000, "thread", 6), NO_MORE);
	/* Holes are passed. */
	kd_fake_unmap(fake, at + 0x1000, 0x1000);
	assert_int_equal(search(at, 0x8000, "needle", 6), OK);
	assert_int_equal(r.u.search_memory.address, at + 0x2FFE);
	/* A match that begins before a hole is none. */
	kd_fake_write(fake, at + 0xFFD, "needle", 3);
	assert_int_equal(search(at, 0x2000, "needle", 6), NO_MORE);

	assert_int_equal(search(at, 0x8000, "", 0), BAD_ARG);
	assert_int_equal(search(at, 0x8000, pattern, sizeof(pattern)), BAD_ARG);
	assert_int_equal(search(at, 0x8000, pattern, sizeof(pattern) - 1), NO_MORE);
	assert_int_equal(search(at, KD_TARGET_SEARCH_MAX + 1ull, "needle", 6), BAD_ARG);
	assert_int_equal(search(UINT64_MAX - 4, 0x8000, "needle", 6), BAD_ARG);
	make(KD_API_SEARCH_MEMORY, 0);
	m.u.search_memory.address = at;
	m.u.search_memory.length = 0x1000;
	m.u.search_memory.pattern_length = 7; /* more than comes */
	with_data("needle", 6);
	assert_int_equal(ask(), BAD_ARG);
}

static uint32_t fill(uint64_t address, uint32_t length, uint16_t flags, const void *pattern,
		     uint16_t size)
{
	make(KD_API_FILL_MEMORY, 0);
	m.u.fill_memory.address = address;
	m.u.fill_memory.length = length;
	m.u.fill_memory.flags = flags;
	m.u.fill_memory.pattern_length = size;
	with_data(pattern, size);
	return ask();
}

static void test_fill(void **state)
{
	enum { LENGTH = 0x2000 - 5 };
	const uint64_t at = kd_fake_alloc(fake, 0x2000);
	uint8_t seen[0x2000], pattern[3000];
	uint64_t pa;

	(void)state;
	assert_int_equal(fill(at + 1, LENGTH, 1, "abc", 3), OK);
	assert_int_equal(r.u.fill_memory.length, LENGTH);
	kd_fake_read(fake, at, seen, sizeof(seen));
	assert_int_equal(seen[0], 0);
	for (size_t i = 0; i < LENGTH; i++)
		assert_int_equal(seen[1 + i], "abc"[i % 3]);
	assert_int_equal(seen[1 + LENGTH], 0);
	/* A pattern larger than the scratch space keeps its phase. */
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i % 251);
	assert_int_equal(fill(at, 0x2000, 1, pattern, sizeof(pattern)), OK);
	kd_fake_read(fake, at, seen, sizeof(seen));
	for (size_t i = 0; i < sizeof(seen); i++)
		assert_int_equal(seen[i], pattern[i % sizeof(pattern)]);

	assert_true(kd_fake_translate(fake, at, &pa));
	assert_int_equal(fill(pa, 16, 2, "\x5A", 1), OK);
	kd_fake_read(fake, at, seen, 17);
	assert_int_equal(seen[15], 0x5A);
	assert_int_equal(seen[16], pattern[16]);

	assert_int_equal(fill(at + 0x1FF0, 0x20, 1, "abc", 3), UNSUCCESS);
	assert_int_equal(r.u.fill_memory.length, 0x10);
	assert_int_equal(fill(at, 16, 0, "abc", 3), BAD_ARG);
	assert_int_equal(fill(at, 16, 3, "abc", 3), BAD_ARG);
	assert_int_equal(fill(at, 16, 1, "", 0), BAD_ARG);
}

static uint32_t query(uint64_t address, uint32_t space)
{
	make(KD_API_QUERY_MEMORY, 0);
	m.u.query_memory.address = address;
	m.u.query_memory.address_space = space;
	return ask();
}

static void test_query(void **state)
{
	(void)state;
	kd_fake_map(fake, 0x400000, 0x1000, true);
	assert_int_equal(query(fake->kdbg, 0), OK);
	assert_int_equal(r.u.query_memory.address_space, KD_TARGET_MEMORY_KERNEL);
	assert_int_equal(r.u.query_memory.flags, KD_TARGET_MEMORY_READ);
	assert_int_equal(query(0x400000, 0), OK);
	assert_int_equal(r.u.query_memory.address_space, KD_TARGET_MEMORY_PROCESS);
	assert_int_equal(query(0x500000, 0), UNSUCCESS);
	assert_int_equal(query(fake->kdbg, 1), BAD_ARG);
}

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

/* --- breakpoints --- */

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

/* --- what the target says by itself --- */

static void test_exception_fields(void **state)
{
	struct kd_w_exception e = { .code = (uint32_t)KD_NT_ACCESS_VIOLATION,
				    .address = 0x80401234,
				    .n_parameters = 99,
				    .information = { 1, 0x80000010 },
				    .first_chance = 1 };
	uint8_t payload[KD_STATE_CHANGE_SIZE];
	struct kd_state_change s;
	size_t size;

	(void)state;
	assert_int_equal(kd_target_exception(target, 0, &e, payload, sizeof(payload) - 1, &size),
			 KD_E_TOO_BIG);
	assert_int_equal(kd_target_exception(target, 2, &e, payload, sizeof(payload), &size),
			 KD_E_INVALID);
	assert_int_equal(kd_target_exception(target, 0, &e, payload, sizeof(payload), &size),
			 KD_OK);
	assert_int_equal(kd_state_change_decode(&s, payload, size), KD_OK);
	/* A 32-bit machine's addresses are sign-extended. */
	assert_int_equal(s.hdr.program_counter, fake->idle);
	assert_int_equal(s.u.exception.address, 0xFFFFFFFF80401234);
	assert_int_equal(s.u.exception.information[0], 1);
	assert_int_equal(s.u.exception.information[1], 0xFFFFFFFF80000010);
	assert_int_equal(s.u.exception.n_parameters, 15);
	assert_int_equal(kd_get16(s.report + 36 - 8), 8); /* SegCs */
}

static void test_load_symbols_name(void **state)
{
	const struct kd_w_load_symbols l = { .base = 0x1000, .size_of_image = 0x2000 };
	uint8_t payload[KD_PAYLOAD_MAX];
	char name[KD_PAYLOAD_MAX];
	struct kd_state_change s;
	size_t size;

	(void)state;
	assert_int_equal(
		kd_target_load_symbols(target, 0, &l, NULL, 0, payload, sizeof(payload), &size),
		KD_OK);
	assert_int_equal(size, KD_STATE_CHANGE_SIZE);
	memset(name, 'x', sizeof(name));
	memcpy(name + sizeof(name) - 4, ".sys", 4);
	assert_int_equal(kd_target_load_symbols(target, 0, &l, name, sizeof(name), payload,
						sizeof(payload), &size),
			 KD_OK);
	assert_int_equal(size, KD_PAYLOAD_MAX);
	assert_int_equal(kd_state_change_decode(&s, payload, size), KD_OK);
	assert_int_equal(s.name_size, KD_PAYLOAD_MAX - KD_STATE_CHANGE_SIZE);
	assert_string_equal(s.name + s.name_size - 5, ".sys");
}

static void test_command_string(void **state)
{
	char name[200], command[KD_PAYLOAD_MAX];
	uint8_t payload[KD_PAYLOAD_MAX];
	size_t size;

	(void)state;
	memset(name, 'n', sizeof(name));
	memset(command, 'c', sizeof(command));
	assert_int_equal(kd_target_command_string(target, 0, name, sizeof(name), command,
						  sizeof(command), payload, sizeof(payload), &size),
			 KD_OK);
	assert_int_equal(size, KD_PAYLOAD_MAX);
	assert_int_equal(kd_get32(payload), KD_STATE_COMMAND_STRING);
	assert_int_equal(strlen((char *)payload + 240), 127);
	assert_int_equal(payload[240 + 128], 'c');
	assert_int_equal(payload[size - 1], 0);
}

static void test_text(void **state)
{
	static const uint8_t s10[] = { 0x31, 0x32, 0, 0, 6, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 'b' };
	uint8_t payload[KD_PAYLOAD_MAX], junk[32] = { 0x30, 0x32 };
	char text[5000];
	const uint8_t *answer;
	size_t size, taken, answer_size;

	(void)state;
	memset(text, 't', sizeof(text));
	assert_int_equal(kd_target_print(target, 1, text, sizeof(text), payload, sizeof(payload),
					 &size, &taken),
			 KD_OK);
	assert_int_equal(size, KD_PAYLOAD_MAX);
	assert_int_equal(taken, KD_PAYLOAD_MAX - 16);
	assert_int_equal(kd_get32(payload), KD_IO_PRINT_STRING);
	assert_int_equal(kd_get16(payload + 6), 1);
	assert_int_equal(kd_get32(payload + 8), taken);
	assert_int_equal(kd_target_print(target, 0, text, 5, payload, 16, &size, &taken),
			 KD_E_TOO_BIG);
	assert_int_equal(
		kd_target_prompt(target, 0, "Yes? ", 5, 80, payload, sizeof(payload), &size),
		KD_OK);
	assert_int_equal(size, 21);
	assert_int_equal(kd_get32(payload + 8), 5);
	assert_int_equal(kd_get32(payload + 12), 80);
	assert_int_equal(kd_target_prompt(target, 0, text, sizeof(text), 80, payload,
					  sizeof(payload), &size),
			 KD_E_TOO_BIG);

	assert_int_equal(kd_target_prompt_answer(s10, sizeof(s10), 80, &answer, &answer_size),
			 KD_OK);
	assert_int_equal(answer_size, 1);
	assert_int_equal(answer[0], 'b');
	assert_int_equal(kd_target_prompt_answer(s10, 16, 80, &answer, &answer_size), KD_OK);
	assert_int_equal(answer_size, 0);
	assert_int_equal(kd_target_prompt_answer(s10, 15, 80, &answer, &answer_size),
			 KD_E_TRUNCATED);
	assert_int_equal(kd_target_prompt_answer(s10, sizeof(s10), 0, &answer, &answer_size),
			 KD_OK);
	assert_int_equal(answer_size, 0);
	assert_int_equal(kd_target_prompt_answer(junk, sizeof(junk), 80, &answer, &answer_size),
			 KD_E_MALFORMED);
}

static void test_files(void **state)
{
	static const uint16_t name[] = { '\\', 'a', '.', 's', 'y', 's' };
	uint8_t payload[KD_PAYLOAD_MAX];
	struct kd_target_file_answer a;
	size_t size;

	(void)state;
	assert_int_equal(kd_target_file_create(name, 6, payload, sizeof(payload), &size), KD_OK);
	assert_int_equal(size, 64 + 14);
	assert_int_equal(kd_get32(payload), KD_FILE_CREATE);
	assert_int_equal(kd_get32(payload + 8), 0x00120089);
	assert_memory_equal(payload + 64, "\\\0a\0.\0s\0y\0s\0\0", 14);
	assert_int_equal(kd_target_file_create(name, 6, payload, 64 + 13, &size), KD_E_TOO_BIG);
	kd_put64(payload + 32, 0x77);
	kd_put64(payload + 40, 5000);
	assert_int_equal(kd_target_file_answer(KD_FILE_CREATE, payload, 64, &a), KD_OK);
	assert_int_equal(a.handle, 0x77);
	assert_int_equal(a.length, 5000);
	assert_int_equal(kd_target_file_answer(KD_FILE_READ, payload, 64, &a), KD_E_MALFORMED);

	assert_int_equal(kd_target_file_read(0x77, 0x1000, 100, payload, sizeof(payload), &size),
			 KD_OK);
	assert_int_equal(size, 64);
	assert_int_equal(kd_get64(payload + 16), 0x1000);
	assert_int_equal(kd_target_file_answer(KD_FILE_READ, payload, 64 + 100, &a), KD_OK);
	assert_ptr_equal(a.data, payload + 64);
	assert_int_equal(kd_target_file_answer(KD_FILE_READ, payload, 64 + 99, &a), KD_E_MALFORMED);
	assert_int_equal(kd_target_file_answer(KD_FILE_READ, payload, 63, &a), KD_E_TRUNCATED);
	assert_int_equal(kd_target_file_close(0x77, payload, sizeof(payload), &size), KD_OK);
	assert_int_equal(kd_get32(payload), KD_FILE_CLOSE);
	assert_int_equal(kd_get64(payload + 8), 0x77);
	assert_int_equal(kd_target_file_close(0x77, payload, 64, &size), KD_E_TOO_BIG);
}

static void test_init(void **state)
{
	struct kd_w_version version = { .machine = KD_MACHINE_ARM };
	struct kd_target_config config = { .version = &version };
	struct kd_target_ops ops = kd_fake_ops;
	struct kd_target t;

	(void)state;
	assert_int_equal(kd_target_init(&t, &config, &ops, NULL), KD_E_UNSUPPORTED);
	version.machine = KD_MACHINE_ARM64;
	assert_int_equal(kd_target_init(&t, &config, &ops, NULL), KD_OK);
	config.special_size = KD_SPECIAL_SIZE_ARM64 + 1;
	assert_int_equal(kd_target_init(&t, &config, &ops, NULL), KD_E_UNSUPPORTED);
	config.special_size = 0;
	config.payload_max = 100;
	assert_int_equal(kd_target_init(&t, &config, &ops, NULL), KD_E_INVALID);
	config.payload_max = 0;
	ops.get_special = NULL;
	assert_int_equal(kd_target_init(&t, &config, &ops, NULL), KD_E_INVALID);
}

#define ON(name, f) cmocka_unit_test_setup_teardown(name, f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_read_virtual, setup),
		ON(test_reply_room, setup),
		ON(test_write_virtual, setup),
		ON(test_physical, setup),
		ON(test_search, setup),
		ON(test_fill, setup),
		ON(test_query, setup),
		ON(test_context, setup),
		ON(test_context_ex, setup),
		ON(test_breakpoint_table, setup),
		ON(test_breakpoint_is_hidden, setup),
		ON(test_breakpoint_is_owed, setup),
		ON(test_breakpoint_page_was_reused, setup),
		ON(test_breakpoint_of_another_process, setup),
		ON(test_breakpoint_is_leaving, setup),
		ON(test_breakpoints_in_stream, setup),
		ON(test_custom_breakpoint, setup),
		ON(test_breakpoints_ex, setup),
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
		ON(test_exception_fields, setup_x86),
		ON(test_load_symbols_name, setup),
		ON(test_command_string, setup),
		ON(test_text, setup),
		ON(test_files, setup),
		ON(test_init, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
