/* SPDX-License-Identifier: MIT */
/* Requests about memory, when they work and when they do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "tests/core/target_rig.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_read_virtual, setup),  ON(test_reply_room, setup),
		ON(test_write_virtual, setup), ON(test_physical, setup),
		ON(test_search, setup),        ON(test_fill, setup),
		ON(test_query, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
