/* SPDX-License-Identifier: MIT */
/*
 * PE images: a hand-made one for what linkers at hand do not write (NB10, forwarders, exports by
 * ordinal, headers of more than a page), and the number of reads, which over KD are round trips.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "lib/sym/pe.h"

enum {
	SIZE = 0x8000,
	NT = 0x80,
	OPTIONAL = NT + 0x18,
	DIRS = OPTIONAL + 0x70,
	SECTIONS = OPTIONAL + 0xF0,
	EXPORTS = 0x2000,
	EXPORTS_SIZE = 0x200,
	DEBUG = 0x3000,
	CODEVIEW = 0x3100,
	IMPORTS = 0x4000,
};

static struct {
	uint8_t bytes[SIZE];
	size_t n_reads;
	uint64_t hole, hole_end; /* not readable */
} memory;

static enum kd_status read_memory(void *context, uint64_t address, void *buffer, size_t size,
				  size_t *done_ret)
{
	size_t end = SIZE;

	memory.n_reads++;
	*done_ret = 0;
	if (address >= memory.hole && address < memory.hole_end)
		return KD_OK;
	if (address < memory.hole && memory.hole < end)
		end = (size_t)memory.hole;
	if (address >= end)
		return KD_OK;
	*done_ret = KD_MIN(size, end - (size_t)address);
	memcpy(buffer, memory.bytes + address, *done_ret);
	return KD_OK;
}

static void put32(uint32_t at, uint32_t value)
{
	kd_put32(memory.bytes + at, value);
}

static void put_text(uint32_t at, const char *text)
{
	memcpy(memory.bytes + at, text, strlen(text) + 1);
}

static void put_dir(unsigned i, uint32_t rva, uint32_t size)
{
	put32(DIRS + 8 * i, rva);
	put32(DIRS + 8 * i + 4, size);
}

static void put_section(unsigned i, const char *name, uint32_t rva, uint32_t size)
{
	uint32_t at = SECTIONS + 40 * i;

	memcpy(memory.bytes + at, name, strlen(name));
	put32(at + 8, size);
	put32(at + 12, rva);
	put32(at + 16, size);
	put32(at + 20, rva); /* file layout is memory layout here */
	put32(at + 36, 0x60000020);
}

static void put_exports(void)
{
	put_dir(KD_PE_DIR_EXPORT, EXPORTS, EXPORTS_SIZE);
	put32(EXPORTS + 0x10, 5); /* base of ordinals */
	put32(EXPORTS + 0x14, 4);
	put32(EXPORTS + 0x18, 3);
	put32(EXPORTS + 0x1C, EXPORTS + 0x40);
	put32(EXPORTS + 0x20, EXPORTS + 0x60);
	put32(EXPORTS + 0x24, EXPORTS + 0x80);
	put32(EXPORTS + 0x40, 0x1100); /* #5, without a name */
	put32(EXPORTS + 0x44, 0x1200);
	put32(EXPORTS + 0x48, EXPORTS + 0xC0); /* a forwarder */
	put32(EXPORTS + 0x4C, 0x1100);         /* the place of #5 again, with a name */
	put32(EXPORTS + 0x60, EXPORTS + 0xA0);
	put32(EXPORTS + 0x64, EXPORTS + 0xA8);
	put32(EXPORTS + 0x68, EXPORTS + 0xB0);
	kd_put16(memory.bytes + EXPORTS + 0x80, 1);
	kd_put16(memory.bytes + EXPORTS + 0x82, 2);
	kd_put16(memory.bytes + EXPORTS + 0x84, 3);
	put_text(EXPORTS + 0xA0, "Alpha");
	put_text(EXPORTS + 0xA8, "Beta");
	put_text(EXPORTS + 0xB0, "Gamma");
	put_text(EXPORTS + 0xC0, "HAL.Beta");
}

static void put_codeview(uint32_t record, const char *path)
{
	put_dir(KD_PE_DIR_DEBUG, DEBUG, 2 * 28);
	put32(DEBUG + 12, 16); /* REPRO comes first: all entries are looked at */
	put32(DEBUG + 28 + 12, 2);
	put32(DEBUG + 28 + 16, 0x100);
	put32(DEBUG + 28 + 20, CODEVIEW);
	put32(DEBUG + 28 + 24, CODEVIEW);
	put32(CODEVIEW, record);
	put_text(CODEVIEW + (record == 0x53445352 ? 24 : 16), path);
}

static void put_imports(void)
{
	put_dir(KD_PE_DIR_IMPORT, IMPORTS, 40);
	put32(IMPORTS, IMPORTS + 0x100);
	put32(IMPORTS + 12, IMPORTS + 0x80);
	put32(IMPORTS + 16, IMPORTS + 0x200);
	put_text(IMPORTS + 0x80, "HAL.dll");
	kd_put64(memory.bytes + IMPORTS + 0x100, IMPORTS + 0x90);
	kd_put64(memory.bytes + IMPORTS + 0x108, 1ull << 63 | 77);
	put_text(IMPORTS + 0x92, "KfLowerIrql");
}

static void make(void)
{
	memset(&memory, 0, sizeof memory);
	put32(0, 0x5A4D);
	put32(0x3C, NT);
	put32(NT, 0x4550);
	kd_put16(memory.bytes + NT + 4, 0x8664);
	kd_put16(memory.bytes + NT + 6, 3);
	put32(NT + 8, 0x69485D9C);
	kd_put16(memory.bytes + NT + 20, 0xF0);
	kd_put16(memory.bytes + OPTIONAL, 0x20B);
	put32(OPTIONAL + 0x10, 0x1234);
	kd_put64(memory.bytes + OPTIONAL + 0x18, 0x140000000);
	put32(OPTIONAL + 0x38, SIZE);
	put32(OPTIONAL + 0x3C, 0x400);
	put32(OPTIONAL + 0x40, 0xC0FFEE);
	put32(OPTIONAL + 0x6C, 16);
	put_section(0, "PAGEVRFY", 0x1000, 0x1000);
	put_section(1, ".rdata", 0x2000, 0x2000);
	put_section(2, "INIT", 0x4000, 0x1000);
	put_exports();
	put_imports();
}

static struct kd_pe open_image(bool is_file)
{
	struct kd_pe pe;
	struct kd_error err = { .text = "" };

	if (kd_pe_open(&pe, read_memory, NULL, 0, is_file, &err) != KD_OK)
		fail_msg("%s", err.text);
	return pe;
}

static void test_headers(void **state)
{
	struct kd_pe pe;

	make();
	pe = open_image(false);
	assert_int_equal(memory.n_reads, 1);
	assert_int_equal(pe.machine, 0x8664);
	assert_true(pe.is_64);
	assert_int_equal(pe.timestamp, 0x69485D9C);
	assert_int_equal(pe.entry_rva, 0x1234);
	assert_int_equal(pe.image_base, 0x140000000);
	assert_int_equal(pe.size_of_image, SIZE);
	assert_int_equal(pe.checksum, 0xC0FFEE);
	assert_int_equal(pe.n_sections, 3);
	assert_string_equal(pe.sections[0].name, "PAGEVRFY");
	assert_string_equal(kd_pe_section_at(&pe, 0x4FFF)->name, "INIT");
	assert_null(kd_pe_section_at(&pe, 0x5000));
	assert_null(kd_pe_section_at(&pe, 0));
}

/* Ninety sections behind a late NT header reach into the second page: one more read. */
static void test_long_headers(void **state)
{
	struct kd_pe pe;

	make();
	memmove(memory.bytes + 0xC00, memory.bytes + NT, 0x200);
	put32(0x3C, 0xC00);
	kd_put16(memory.bytes + 0xC00 + 6, 90);
	pe = open_image(false);
	assert_int_equal(memory.n_reads, 2);
	assert_int_equal(pe.n_sections, 90);
	kd_put16(memory.bytes + 0xC00 + 6, 60000);
	pe = open_image(false);
	assert_int_equal(pe.n_sections, KD_PE_SECTIONS_MAX);
}

static void test_exports(void **state)
{
	struct kd_pe_exports e;
	struct kd_pe pe;

	make();
	pe = open_image(false);
	memory.n_reads = 0;
	assert_int_equal(kd_pe_exports_load(&pe, &e, NULL), KD_OK);
	assert_int_equal(memory.n_reads, 1);
	assert_int_equal(e.n, 4);
	assert_int_equal(kd_pe_export_find(&e, "Alpha")->rva, 0x1200);
	assert_int_equal(kd_pe_export_find(&e, "Alpha")->ordinal, 6);
	assert_string_equal(kd_pe_export_find(&e, "Beta")->forwarder, "HAL.Beta");
	assert_null(kd_pe_export_find(&e, "beta"));
	assert_null(kd_pe_export_find(&e, ""));
	assert_string_equal(kd_pe_export_at(&e, 0x1110)->name, "Gamma");
	assert_string_equal(kd_pe_export_at(&e, 0x1200)->name, "Alpha");
	assert_string_equal(kd_pe_export_at(&e, 0x7000)->name, "Alpha"); /* never a forwarder */
	assert_null(kd_pe_export_at(&e, 0x10FF));
	kd_pe_exports_free(&e);
	put32(EXPORTS + 0x14, 0xFFFFFFFF); /* more functions than fit */
	assert_int_equal(kd_pe_exports_load(&pe, &e, NULL), KD_E_MALFORMED);
	put_dir(KD_PE_DIR_EXPORT, 0, 0);
	pe = open_image(false);
	assert_int_equal(kd_pe_exports_load(&pe, &e, NULL), KD_E_NOT_FOUND);
}

static void test_imports(void **state)
{
	struct kd_pe_imports i;
	struct kd_pe pe;

	make();
	pe = open_image(false);
	memory.n_reads = 0;
	assert_int_equal(kd_pe_imports_load(&pe, &i, NULL), KD_OK);
	assert_int_equal(memory.n_reads, 1);
	assert_int_equal(i.n, 2);
	assert_string_equal(i.list[0].dll, "HAL.dll");
	assert_string_equal(i.list[0].name, "KfLowerIrql");
	assert_int_equal(i.list[0].slot_rva, IMPORTS + 0x200);
	assert_string_equal(i.list[1].name, "");
	assert_int_equal(i.list[1].ordinal, 77);
	assert_int_equal(i.list[1].slot_rva, IMPORTS + 0x208);
	kd_pe_imports_free(&i);
	memory.hole = 0x4000; /* INIT was discarded */
	memory.hole_end = 0x5000;
	assert_int_equal(kd_pe_imports_load(&pe, &i, NULL), KD_E_UNREADABLE);
}

static void test_codeview(void **state)
{
	static const uint8_t guid[16] = { 0xD5, 0xB7, 0x9F, 0xFB, 0xE2, 0x8A, 0xB9, 0x47,
					  0x98, 0x89, 0x73, 0xDA, 0xF1, 0x57, 0xF7, 0xAB };
	struct kd_pe_codeview cv;
	struct kd_pe pe;

	make();
	put_codeview(0x53445352, "D:\\a\\s\\build/conpty.pdb");
	memcpy(memory.bytes + CODEVIEW + 4, guid, 16);
	put32(CODEVIEW + 20, 0x1A);
	pe = open_image(false);
	memory.n_reads = 0;
	assert_int_equal(kd_pe_codeview(&pe, &cv, NULL), KD_OK);
	assert_int_equal(memory.n_reads, 2); /* the directory, the record */
	assert_string_equal(cv.name, "conpty.pdb");
	assert_string_equal(cv.id, "FB9FB7D58AE247B9988973DAF157F7AB1A");
	assert_int_equal(cv.signature, 0);
	put_codeview(0x3031424E, "old.pdb");
	put32(CODEVIEW + 8, 0x3B7D84C6);
	put32(CODEVIEW + 12, 2);
	assert_int_equal(kd_pe_codeview(&pe, &cv, NULL), KD_OK);
	assert_string_equal(cv.name, "old.pdb");
	assert_string_equal(cv.id, "3B7D84C62");
	assert_int_equal(cv.signature, 0x3B7D84C6);
	memory.hole = DEBUG;
	memory.hole_end = DEBUG + 0x1000;
	assert_int_equal(kd_pe_codeview(&pe, &cv, NULL), KD_E_UNREADABLE);
}

static void test_file_names(void **state)
{
	static const struct {
		const char *path, *name;
	} rows[] = {
		{ "a.pdb", "a.pdb" },
		{ "C:\\x\\a.pdb", "a.pdb" },
		{ "/x/a.pdb", "a.pdb" },
		{ "../../etc/x", "x" },
		{ "..", "" },
		{ "x/..", "" },
		{ "C:a.pdb", "a.pdb" },
		{ "a\x1b[2Jb\n", "a[2Jb" },
		{ "dir\\", "" },
		{ "\x7f..", "" },
	};
	char out[64];

	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		kd_pe_file_name(out, sizeof out, rows[i].path, strlen(rows[i].path));
		assert_string_equal(out, rows[i].name);
	}
}

/* A file is not as long as its image: sections end early, the rest is zero. */
static void test_file_layout(void **state)
{
	uint8_t bytes[0x20];
	struct kd_pe pe;
	size_t done;

	make();
	put32(SECTIONS + 16, 0x10); /* .text: 16 bytes in the file */
	memset(memory.bytes + 0x1000, 0xCC, 0x1000);
	pe = open_image(true);
	assert_int_equal(kd_pe_read(&pe, 0x1008, bytes, sizeof bytes, &done), KD_OK);
	assert_int_equal(done, sizeof bytes);
	assert_int_equal(bytes[7], 0xCC);
	assert_int_equal(bytes[8], 0);
	assert_int_equal(kd_pe_read(&pe, SIZE, bytes, sizeof bytes, &done), KD_OK);
	assert_int_equal(done, 0);
}

static void test_refusals(void **state)
{
	struct kd_error err;
	struct kd_pe pe;

	make();
	put32(0x3C, 0x2000);
	assert_int_equal(kd_pe_open(&pe, read_memory, NULL, 0, false, &err), KD_E_MALFORMED);
	put32(0x3C, NT + 1);
	assert_int_equal(kd_pe_open(&pe, read_memory, NULL, 0, false, &err), KD_E_MALFORMED);
	make();
	kd_put16(memory.bytes + OPTIONAL, 0x107);
	assert_int_equal(kd_pe_open(&pe, read_memory, NULL, 0, false, &err), KD_E_MALFORMED);
	make();
	memory.hole_end = SIZE;
	assert_int_equal(kd_pe_open(&pe, read_memory, NULL, 0, false, &err), KD_E_UNREADABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),     cmocka_unit_test(test_long_headers),
		cmocka_unit_test(test_exports),     cmocka_unit_test(test_imports),
		cmocka_unit_test(test_codeview),    cmocka_unit_test(test_file_names),
		cmocka_unit_test(test_file_layout), cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
