/* SPDX-License-Identifier: MIT */
/* Headers of crash dumps, byte by byte, and what is no header. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "lib/dump/dump_header.h"

static struct kd_dump_header header(bool is_64bit)
{
	struct kd_dump_header h = {
		.is_64bit = is_64bit,
		.major_version = 0xF,
		.minor_version = 19041,
		.directory_base = 0x1AD000,
		.pfn_database = 0x11111111,
		.loaded_modules = 0x22222222,
		.processes = 0x33333333,
		.debugger_data = 0x44444444,
		.machine = is_64bit ? 0x8664 : 0x14C,
		.n_processors = 2,
		.bugcheck_code = 0xD1,
		.bugcheck_parameters = { 1, 2, 3, 4 },
		.exception_code = 0x80000003,
		.exception_address = 0x55555555,
		.n_exception_parameters = 2,
		.exception_parameters = { 7, 8 },
		.type = KD_DUMP_FULL,
		.required_space = 0x123456789A,
		.system_time = UINT64_C(0x01DA000000000001),
		.up_time = 12345678,
		.product_type = 1,
		.suite_mask = 0x110,
		.n_runs = 2,
		.runs = { { 1, 0x9E }, { 0x100, 0x7EE0 } },
		.context_size = is_64bit ? 1232 : 716,
		.comment = "why",
	};

	memset(h.context, 0xC7, h.context_size);
	return h;
}

static void check_64(const uint8_t *b)
{
	assert_memory_equal(b, "PAGEDU64", 8);
	assert_int_equal(kd_get32(b + 0x008), 0xF);
	assert_int_equal(kd_get32(b + 0x00C), 19041);
	assert_int_equal(kd_get64(b + 0x010), 0x1AD000);
	assert_int_equal(kd_get64(b + 0x018), 0x11111111);
	assert_int_equal(kd_get64(b + 0x020), 0x22222222);
	assert_int_equal(kd_get64(b + 0x028), 0x33333333);
	assert_int_equal(kd_get32(b + 0x030), 0x8664);
	assert_int_equal(kd_get32(b + 0x034), 2);
	assert_int_equal(kd_get32(b + 0x038), 0xD1);
	assert_memory_equal(b + 0x03C, "PAGE", 4); /* a gap: filler */
	assert_int_equal(kd_get64(b + 0x058), 4);
	assert_int_equal(kd_get64(b + 0x080), 0x44444444);
	assert_int_equal(kd_get32(b + 0x088), 2);
	assert_int_equal(kd_get64(b + 0x090), 0x9E + 0x7EE0);
	assert_int_equal(kd_get64(b + 0x098), 1);
	assert_int_equal(kd_get64(b + 0x0B0), 0x7EE0);
	assert_int_equal(b[0x348], 0xC7);
	assert_int_equal(b[0x348 + 1231], 0xC7);
	assert_int_equal(b[0x348 + 1232], 0);
	assert_int_equal(kd_get32(b + 0xF00), 0x80000003);
	assert_int_equal(kd_get64(b + 0xF10), 0x55555555);
	assert_int_equal(kd_get32(b + 0xF18), 2);
	assert_int_equal(kd_get64(b + 0xF28), 8);
	assert_int_equal(kd_get32(b + 0xF98), 1);
	assert_int_equal(kd_get64(b + 0xFA0), 0x123456789A);
	assert_int_equal(kd_get64(b + 0xFA8), 0x01DA000000000001);
	assert_string_equal((const char *)b + 0xFB0, "why");
	assert_int_equal(kd_get64(b + 0x1030), 12345678);
	assert_int_equal(kd_get32(b + 0x1040), 1);
	assert_int_equal(kd_get32(b + 0x1044), 0x110);
	assert_memory_equal(b + 0x1FFC, "PAGE", 4);
}

static void check_32(const uint8_t *b)
{
	assert_memory_equal(b, "PAGEDUMP", 8);
	assert_int_equal(kd_get32(b + 0x010), 0x1AD000);
	assert_int_equal(kd_get32(b + 0x014), 0x11111111);
	assert_int_equal(kd_get32(b + 0x01C), 0x33333333);
	assert_int_equal(kd_get32(b + 0x020), 0x14C);
	assert_int_equal(kd_get32(b + 0x028), 0xD1);
	assert_int_equal(kd_get32(b + 0x038), 4);
	assert_int_equal(b[0x5C], 1);
	assert_int_equal(kd_get32(b + 0x060), 0x44444444);
	assert_int_equal(kd_get32(b + 0x064), 2);
	assert_int_equal(kd_get32(b + 0x068), 0x9E + 0x7EE0);
	assert_int_equal(kd_get32(b + 0x078), 0x7EE0);
	assert_int_equal(b[0x320 + 715], 0xC7);
	assert_int_equal(kd_get32(b + 0x7D0), 0x80000003);
	assert_int_equal(kd_get32(b + 0x7E8), 8);
	assert_string_equal((const char *)b + 0x820, "why");
	assert_int_equal(kd_get32(b + 0xF88), 1);
	assert_int_equal(kd_get64(b + 0xFA0), 0x123456789A);
	assert_int_equal(kd_get64(b + 0xFB8), 12345678);
	assert_int_equal(kd_get64(b + 0xFC0), 0x01DA000000000001);
}

static void round_trip(struct kd_dump_header h, void (*check)(const uint8_t *))
{
	uint8_t bytes[KD_DUMP_HEADER_64];
	struct kd_dump_header back;
	size_t size = kd_dump_header_size(h.is_64bit);

	assert_int_equal(kd_dump_header_encode(&h, bytes, NULL), KD_OK);
	check(bytes);
	assert_int_equal(kd_dump_header_decode(bytes, size, &back, NULL), KD_OK);
	/* The area is read whole. */
	h.context_size = back.context_size;
	assert_memory_equal(&h, &back, sizeof h);
	for (size_t cut = 0; cut < size; cut++)
		assert_int_equal(kd_dump_header_decode(bytes, cut, &back, NULL), KD_E_MALFORMED);
}

static void test_round_trips(void **state)
{
	struct kd_dump_header h = header(false);

	(void)state;
	round_trip(header(true), check_64);
	h.pae_enabled = 1;
	round_trip(h, check_32);
}

static void test_places(void **state)
{
	struct kd_dump_header h = header(true);
	uint64_t at;

	(void)state;
	assert_int_equal(kd_dump_pages(&h), 0x9E + 0x7EE0);
	assert_false(kd_dump_file_offset(&h, 0xFFF, &at));
	assert_true(kd_dump_file_offset(&h, 0x1000, &at));
	assert_int_equal(at, 0x2000);
	assert_true(kd_dump_file_offset(&h, 0x9EFFF, &at));
	assert_int_equal(at, 0x2000 + 0x9DFFF);
	assert_false(kd_dump_file_offset(&h, 0x9F000, &at));
	assert_true(kd_dump_file_offset(&h, 0x100010, &at));
	assert_int_equal(at, 0x2000 + 0x9E010);
	assert_false(kd_dump_file_offset(&h, UINT64_C(0x7FE0000), &at));
}

static void test_limits(void **state)
{
	struct kd_dump_header h = header(true);
	uint8_t bytes[KD_DUMP_HEADER_64];
	struct kd_error err = { 0 };

	(void)state;
	h.n_runs = KD_DUMP_RUNS_64 + 1;
	assert_int_equal(kd_dump_header_encode(&h, bytes, &err), KD_E_TOO_BIG);
	h = header(false);
	h.context_size = KD_DUMP_CONTEXT_32 + 1;
	assert_int_equal(kd_dump_header_encode(&h, bytes, &err), KD_E_TOO_BIG);
	h = header(true);
	h.n_exception_parameters = 16;
	assert_int_equal(kd_dump_header_encode(&h, bytes, &err), KD_E_TOO_BIG);
}

/* Headers that lie about runs: where the lie is, is said. */
static void test_lies(void **state)
{
	static const struct {
		uint16_t offset;
		uint64_t value;
	} lies[] = {
		{ 0x088, 43 },                /* more runs than there is room for */
		{ 0x0A8, 0x9E },              /* the second begins in the first */
		{ 0x098, UINT64_C(1) << 41 }, /* beyond all memory */
		{ 0x0A0, 0 },                 /* empty */
		{ 0x0B0, UINT64_MAX },        /* ends before it begins */
	};
	struct kd_dump_header h = header(true), back;
	uint8_t bytes[KD_DUMP_HEADER_64];

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(lies); i++) {
		struct kd_error err = { 0 };

		assert_int_equal(kd_dump_header_encode(&h, bytes, NULL), KD_OK);
		kd_put64(bytes + lies[i].offset, lies[i].value);
		assert_int_equal(kd_dump_header_decode(bytes, sizeof bytes, &back, &err),
				 KD_E_MALFORMED);
		assert_true(err.where >= 0x88 && err.where <= 0xB0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
