/* SPDX-License-Identifier: MIT */
/* Register files and the debugger data block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/wire/api.h"
#include "core/wire/context.h"
#include "core/wire/message.h"
#include "tests/core/wire_vectors.h"

enum { MAX_SIZE = KD_CONTEXT_MAX };

static const uint16_t machines[] = { KD_MACHINE_AMD64, KD_MACHINE_X86, KD_MACHINE_ARM64 };

/* i: 0 to 5. */
static const struct kd_reg_layout *layout_of(size_t i)
{
	return i % 2 ? kd_special_layout(machines[i / 2]) : kd_context_layout(machines[i / 2]);
}

static void test_layouts(void **state)
{
	static const size_t sizes[] = { 1232, 0xF0, 716, 84, 912, 160 };

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		const struct kd_reg_layout *layout = layout_of(i);
		size_t end = 0;

		assert_non_null(layout);
		assert_int_equal(layout->size, sizes[i]);
		for (size_t k = 0; k < layout->n_fields; k++) {
			const struct kd_reg_field *f = &layout->fields[k];

			if (f->offset < end)
				fail_msg("layout %zu: %s overlaps", i, f->name);
			assert_ptr_equal(kd_reg_find(layout, f->name), f); /* names are unique */
			end = (size_t)f->offset + f->size;
		}
		assert_true(end <= layout->size);
		assert_null(kd_reg_find(layout, "nothing"));
	}
	assert_null(kd_context_layout(KD_MACHINE_ARM));
	assert_null(kd_special_layout(0));
}

/* Setting a register changes its bytes, all of them, and no other. */
static void test_every_register_get_and_set(void **state)
{
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		const struct kd_reg_layout *layout = layout_of(i);
		uint8_t bytes[MAX_SIZE], want[MAX_SIZE];

		for (size_t k = 0; k < layout->n_fields; k++) {
			const struct kd_reg_field *f = &layout->fields[k];
			const uint64_t value = 0x1122334455667788u;
			uint64_t mask = f->size >= 8 ? UINT64_MAX : (1ull << 8 * f->size) - 1;

			if (f->size > 8)
				continue;
			memset(bytes, 0xEE, sizeof(bytes));
			memset(want, 0xEE, sizeof(want));
			for (size_t n = 0; n < f->size; n++)
				want[f->offset + n] = (uint8_t)(value >> 8 * n);
			kd_reg_set(bytes, f, value);
			assert_memory_equal(bytes, want, sizeof(bytes));
			assert_true(kd_reg_get(bytes, f) == (value & mask));
		}
	}
}

/* Where the registers of the three machines are, written down a second time. */
/* clang-format off */
static const struct {
	size_t layout; /* of layout_of() */
	const char *name;
	size_t offset, size;
} known[] = {
	{ 0, "contextflags", 0x30, 4 }, { 0, "mxcsr", 0x34, 4 }, { 0, "cs", 0x38, 2 },
	{ 0, "ss", 0x42, 2 }, { 0, "efl", 0x44, 4 }, { 0, "dr0", 0x48, 8 },
	{ 0, "dr7", 0x70, 8 }, { 0, "rax", 0x78, 8 }, { 0, "rcx", 0x80, 8 },
	{ 0, "rdx", 0x88, 8 }, { 0, "rbx", 0x90, 8 }, { 0, "rsp", 0x98, 8 },
	{ 0, "rbp", 0xA0, 8 }, { 0, "rsi", 0xA8, 8 }, { 0, "rdi", 0xB0, 8 },
	{ 0, "r8", 0xB8, 8 }, { 0, "r15", 0xF0, 8 }, { 0, "rip", 0xF8, 8 },
	{ 0, "fpcw", 0x100, 2 }, { 0, "fpip", 0x108, 4 }, { 0, "st0", 0x120, 10 },
	{ 0, "st7", 0x190, 10 }, { 0, "xmm0", 0x1A0, 16 }, { 0, "xmm15", 0x290, 16 },
	{ 0, "vector25", 0x490, 16 }, { 0, "vectorcontrol", 0x4A0, 8 },
	{ 0, "exfrom", 0x4C8, 8 }, { 1, "cr0", 0, 8 }, { 1, "cr3", 0x10, 8 },
	{ 1, "cr4", 0x18, 8 }, { 1, "kdr7", 0x48, 8 }, { 1, "gdtl", 0x56, 2 },
	{ 1, "gdtr", 0x58, 8 }, { 1, "idtr", 0x68, 8 }, { 1, "tr", 0x70, 2 },
	{ 1, "cr8", 0xA0, 8 }, { 1, "msrlstar", 0xC0, 8 }, { 1, "msrsyscallmask", 0xD0, 8 },
	{ 1, "xcr0", 0xD8, 8 }, { 1, "msrfsbase", 0xE0, 8 }, { 2, "dr7", 0x18, 4 },
	{ 2, "fpcw", 0x1C, 4 }, { 2, "st0", 0x38, 10 }, { 2, "cr0npxstate", 0x88, 4 },
	{ 2, "gs", 0x8C, 4 }, { 2, "edi", 0x9C, 4 }, { 2, "eax", 0xB0, 4 },
	{ 2, "eip", 0xB8, 4 }, { 2, "efl", 0xC0, 4 }, { 2, "esp", 0xC4, 4 },
	{ 2, "ss", 0xC8, 4 }, { 2, "mxcsr", 0xE4, 4 }, { 2, "xmm7", 0x1DC, 16 },
	{ 3, "cr3", 8, 4 }, { 3, "kdr7", 0x24, 4 }, { 3, "gdtr", 0x2C, 4 },
	{ 3, "idtr", 0x34, 4 }, { 3, "ldtr", 0x3A, 2 }, { 4, "cpsr", 4, 4 }, { 4, "x0", 8, 8 },
	{ 4, "x28", 0xE8, 8 }, { 4, "fp", 0xF0, 8 }, { 4, "lr", 0xF8, 8 },
	{ 4, "sp", 0x100, 8 }, { 4, "pc", 0x108, 8 }, { 4, "v31", 0x300, 16 },
	{ 4, "fpcr", 0x310, 4 }, { 4, "bvr0", 0x338, 8 }, { 4, "wcr1", 0x37C, 4 },
	{ 4, "wvr1", 0x388, 8 }, { 5, "spsr_el1", 8, 4 }, { 5, "kbvr0", 0x28, 8 },
	{ 5, "kbcr0", 0x68, 4 }, { 5, "kwvr0", 0x88, 8 }, { 5, "kwcr1", 0x9C, 4 },
	{ 0, "ds", 0x3A, 2 }, { 0, "es", 0x3C, 2 }, { 0, "fs", 0x3E, 2 }, { 0, "gs", 0x40, 2 },
	{ 0, "r9", 0xC0, 8 }, { 0, "r10", 0xC8, 8 }, { 0, "r11", 0xD0, 8 },
	{ 0, "r12", 0xD8, 8 }, { 0, "r13", 0xE0, 8 }, { 0, "r14", 0xE8, 8 },
	{ 0, "dr1", 0x50, 8 }, { 0, "dr2", 0x58, 8 }, { 0, "dr3", 0x60, 8 },
	{ 0, "dr6", 0x68, 8 }, { 2, "fs", 0x90, 4 }, { 2, "es", 0x94, 4 }, { 2, "ds", 0x98, 4 },
	{ 2, "esi", 0xA0, 4 }, { 2, "ebx", 0xA4, 4 }, { 2, "edx", 0xA8, 4 },
	{ 2, "ecx", 0xAC, 4 }, { 2, "ebp", 0xB4, 4 }, { 2, "cs", 0xBC, 4 },
	{ 2, "dr0", 0x4, 4 }, { 2, "dr3", 0x10, 4 }, { 2, "dr6", 0x14, 4 },
	{ 3, "cr0", 0x0, 4 }, { 3, "cr2", 0x4, 4 }, { 3, "cr4", 0xC, 4 },
	{ 3, "kdr0", 0x10, 4 }, { 1, "cr2", 0x8, 8 }, { 1, "kdr0", 0x20, 8 },
	{ 1, "kdr3", 0x38, 8 }, { 1, "kdr6", 0x40, 8 }, { 1, "idtl", 0x66, 2 },
	{ 1, "ldtr", 0x72, 2 }, { 1, "msrgsbase", 0xA8, 8 }, { 1, "msrgsswap", 0xB0, 8 },
	{ 1, "msrstar", 0xB8, 8 }, { 1, "msrcstar", 0xC8, 8 }, { 4, "x1", 0x10, 8 },
	{ 4, "x15", 0x80, 8 }, { 4, "x19", 0xA0, 8 },
};
/* clang-format on */

static void test_known_offsets(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const struct kd_reg_field *f = kd_reg_find(layout_of(known[i].layout),
							   known[i].name);

		if (!f || f->offset != known[i].offset || f->size != known[i].size)
			fail_msg("layout %zu: %s", known[i].layout, known[i].name);
	}
}

/* The CONTEXT of a real Windows 8.1 (K15), changed and sent back: the rest stays as it was. */
static void test_context_of_a_capture(void **state)
{
	const struct kd_reg_layout *layout = kd_context_layout(KD_MACHINE_AMD64);
	uint8_t packet[KD_PACKET_MAX], before[KD_CONTEXT_SIZE_AMD64];
	struct kd_manipulate m;
	size_t size = 0, n = 0;

	(void)state;
	for (size_t i = 0; i < n_wire_vectors; i++)
		if (strncmp(wire_vectors[i].name, "K15 ", 4) == 0)
			size = wire_hex(packet, sizeof(packet), wire_vectors[i].hex);
	assert_int_equal(size, 1304);
	assert_int_equal(kd_manipulate_decode(&m, KD_MACHINE_AMD64, packet + 16, size - 16), KD_OK);
	assert_int_equal(kd_manipulate_data_size(&m, true, &n), KD_OK);
	assert_int_equal(n, sizeof(before));
	memcpy(before, m.data, n);

	const struct kd_reg_field *rip = kd_reg_find(layout, "rip");
	uint8_t after[KD_CONTEXT_SIZE_AMD64];

	assert_true(kd_reg_get(before, rip) == 0xFFFFF8026BD72B90u);
	memcpy(after, before, n);
	kd_reg_set(after, rip, 0xFFFFF8026BD72B91u);
	assert_int_equal(after[0xF8], 0x91);
	after[0xF8] = before[0xF8];
	assert_memory_equal(after, before, n);
}

/* Size of the block by release, and the last field that it has. */
static const struct {
	const char *release;
	size_t size;
	const char *last;
} releases[] = {
	{ "XP", 0x290, "MmSystemParentTablePage" },
	{ "2003", 0x318, "IopTriageDumpDataBlocks" },
	{ "Vista", 0x330, "MmZeroedPageSingleBitErrorsDetected" },
	{ "7", 0x340, "OffsetPrcbMaxWatchpoints" },
	{ "8", 0x360, "Padding" },
	{ "8.1", 0x360, "Padding" },
	{ "10 1607", 0x368, "PteBase" },
	{ "10 1809", 0x380, "OffsetEProcessMmHotPatchContext" },
	{ "11 21H2", 0x390, "ShadowStackEnabled" },
	{ "11 22H2", 0x3A0, "OffsetPrcbExceptionStack" },
	{ "newer 11", 0x3A8, "PointerIgnoreBits" },
};

static void test_kdbg_by_release(void **state)
{
	uint8_t block[KD_KDBG_SIZE_MAX + 64];
	size_t n;
	const struct kd_kdbg_field *fields = kd_kdbg_table(&n);

	(void)state;
	memset(block, 0xFF, sizeof(block));
	for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
		const char *last = NULL;

		kd_put32(block + 0x14, (uint32_t)releases[i].size);
		for (size_t k = 0; k < n; k++) {
			size_t end = (size_t)fields[k].offset + fields[k].size;
			uint64_t value;
			bool is_there = kd_kdbg_get(block, sizeof(block), KD_MACHINE_AMD64,
						    &fields[k], &value);

			assert_int_equal(is_there, end <= releases[i].size);
			if (is_there)
				last = fields[k].name;
		}
		assert_string_equal(last, releases[i].last);
	}
}

/* "since" of kdbg.def: the field fits into that release's block. */
static void test_kdbg_since_fits(void **state)
{
	static const struct {
		size_t end;
		const char *name, *since;
	} rows[] = {
#define KD_KDBG(offset, size, name, meaning, since) { (offset) + (size), #name, since },
#include "core/wire/kdbg.def"
#undef KD_KDBG
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t k = 0; k < sizeof(releases) / sizeof(releases[0]); k++)
			if (strcmp(rows[i].since, releases[k].release) == 0 &&
			    rows[i].end > releases[k].size)
				fail_msg("%s is not in %s", rows[i].name, rows[i].since);
}

static void test_kdbg_table(void **state)
{
	size_t n;
	const struct kd_kdbg_field *fields = kd_kdbg_table(&n);
	size_t end = KD_KDBG_HEADER_SIZE;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		const struct kd_kdbg_field *f = &fields[i];

		assert_true(f->offset >= end);
		assert_true(f->size == 2 || f->size == 4 || f->size == 8);
		assert_int_equal(f->offset % f->size, 0);
		/* only gaps that alignment explains, or that no release fills */
		assert_true(f->offset - end < 8);
		end = (size_t)f->offset + f->size;
		assert_ptr_equal(kd_kdbg_find(f->name), f);
		assert_true(f->size == 8 || f->meaning == KD_KDBG_VALUE);
	}
	assert_int_equal(end, KD_KDBG_SIZE_MAX);
	assert_null(kd_kdbg_find("Nothing"));
	assert_int_equal(kd_kdbg_find("PsLoadedModuleList")->offset, 0x48);
	assert_int_equal(kd_kdbg_find("PsActiveProcessHead")->offset, 0x50);
	assert_int_equal(kd_kdbg_find("KiProcessorBlock")->offset, 0x218);
	assert_int_equal(kd_kdbg_find("OffsetEprocessDirectoryTableBase")->offset, 0x2AE);
	assert_int_equal(kd_kdbg_find("PteBase")->offset, 0x360);
}

static void test_kdbg_values(void **state)
{
	uint8_t block[0x290] = { 0 };
	const struct kd_kdbg_field *base = kd_kdbg_find("KernBase");
	const struct kd_kdbg_field *pae = kd_kdbg_find("PaeEnabled");
	uint64_t value = 0;

	(void)state;
	kd_put32(block + 0x10, KD_KDBG_TAG);
	kd_put32(block + 0x14, sizeof(block));
	kd_put64(block + 0x18, 0xFFFFFFFF804D8000u);
	kd_put16(block + 0x36, 1);
	assert_true(kd_kdbg_get(block, sizeof(block), KD_MACHINE_AMD64, base, &value));
	assert_true(value == 0xFFFFFFFF804D8000u);
	assert_true(kd_kdbg_get(block, sizeof(block), KD_MACHINE_X86, base, &value));
	assert_true(value == 0x804D8000u);
	assert_true(kd_kdbg_get(block, sizeof(block), KD_MACHINE_X86, pae, &value));
	assert_true(value == 1);
	/* less was read than the block says */
	assert_false(kd_kdbg_get(block, 0x1F, KD_MACHINE_AMD64, base, &value));
	assert_true(kd_kdbg_get(block, 0x20, KD_MACHINE_AMD64, base, &value));
	/* the block says less than was read */
	kd_put32(block + 0x14, 0x1F);
	assert_false(kd_kdbg_get(block, sizeof(block), KD_MACHINE_AMD64, base, &value));
	assert_false(kd_kdbg_get(block, 23, KD_MACHINE_AMD64, base, &value));
	assert_memory_equal(block + 0x10, "KDBG", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_every_register_get_and_set),
		cmocka_unit_test(test_known_offsets),
		cmocka_unit_test(test_context_of_a_capture),
		cmocka_unit_test(test_kdbg_by_release),
		cmocka_unit_test(test_kdbg_since_fits),
		cmocka_unit_test(test_kdbg_table),
		cmocka_unit_test(test_kdbg_values),
	};

	return cmocka_run_group_tests_name("wire context", tests, NULL, NULL);
}
