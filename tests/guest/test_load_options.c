/* SPDX-License-Identifier: MIT */
/* What a transport DLL understands of boot options, and where it looks for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guest/transport/load_options.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		struct load_options want;
	} rows[] = {
		{ NULL, { 1, 115200, false, false } },
		{ "", { 1, 115200, false, false } },
		{ "/DEBUG /DEBUGPORT=COM1", { 1, 115200, false, false } },
		{ "/debugport=com2 /baudrate=57600", { 2, 57600, false, false } },
		{ " NOEXECUTE=OPTIN  DEBUG  DEBUGPORT=COM3 BAUDRATE=19200",
		  { 3, 19200, false, false } },
		{ "/DEBUG/DEBUGPORT=COM4/FIFO=STOCK", { 4, 115200, true, false } },
		{ "fifo=stock", { 1, 115200, true, false } },
		{ "fifo=stocks", { 1, 115200, false, false } },
		{ "fifo=fast", { 1, 115200, false, false } },
		{ "/DEBUGPORT=COM9 /BAUDRATE=0", { 1, 115200, false, false } },
		{ "/DEBUGPORT=COM /BAUDRATE=99999999999", { 1, 115200, false, false } },
		{ "/DEBUGPORT=RING", { 1, 115200, false, false } },
		{ "/DEBUGPORT=RING /BAUDRATE=19200 /RINGPORT=COM2", { 2, 19200, false, false } },
		{ "/DEBUGPORT=RING ring=ivshmem", { 1, 115200, false, true } },
		{ "/RING=IVSHMEM/DEBUG", { 1, 115200, false, true } },
		{ "ring=ivshmem2", { 1, 115200, false, false } },
		{ "/NODEBUGPORT=COM2",
		  { 1, 115200, false, false } }, /* not at the start of a word */
		{ "/DEBUGPORT=COM2 /DEBUGPORT=COM3", { 3, 115200, false, false } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct load_options o;

		load_options_parse(rows[i].text, &o);
		assert_int_equal(o.com_port, rows[i].want.com_port);
		assert_int_equal(o.baud_rate, rows[i].want.baud_rate);
		assert_int_equal(o.has_stock_fifo, rows[i].want.has_stock_fifo);
		assert_int_equal(o.ring_is_pci, rows[i].want.ring_is_pci);
	}
}

static void test_find(void **state)
{
	static const struct {
		uint32_t major, minor;
		size_t offset;
	} rows[] = {
		{ 10, 0, 0xD8 }, { 6, 3, 0xC8 },
		{ 6, 2, 0xB8 },  { 6, 1, 0x98 },
		{ 6, 0, 0x98 },  { 0x80123450, 0xFFFFF800, 0x88 /* XP: a pointer */ },
	};
	const uint64_t text = 0xFFFFF80000001234;
	uint64_t block[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(block, 0, sizeof(block));
		memcpy(block, &rows[i].major, 4);
		memcpy((char *)block + 4, &rows[i].minor, 4);
		assert_null(load_options_find(block)); /* no kernel address there */
		block[rows[i].offset / 8] = text;
		assert_int_equal((uintptr_t)load_options_find(block), text);
	}
	memset(block, 0, sizeof(block));
	block[0] = 7; /* a version nobody knows */
	assert_null(load_options_find(block));
	assert_null(load_options_find(NULL));
	assert_null(load_options_kernel_base(NULL));
	assert_null(load_options_kernel_base(block));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
