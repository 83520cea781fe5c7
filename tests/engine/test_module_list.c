/* SPDX-License-Identifier: MIT */
/* Module lists, good ones and hostile ones, in a synthetic memory of one region. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "lib/base.h"
#include "lib/engine/module_list.h"

enum {
	MEMORY = 1 << 20,
	HEAD = 0x100,
	FIRST = 0x1000, /* entry i is at FIRST + i * STRIDE, its names behind it */
	STRIDE = 0x200,
	NAMES = 0x100,
};

struct fixture {
	uint8_t bytes[MEMORY];
	uint64_t base;
	unsigned pointer_size;
	uint64_t hole, hole_end; /* unreadable */
	size_t n_reads;
	enum kd_status fail; /* what every read comes to, if not KD_OK */
};

static enum kd_status read_memory(void *context, uint64_t address, void *buffer, size_t size,
				  size_t *done_ret, struct kd_error *err)
{
	struct fixture *f = context;

	f->n_reads++;
	*done_ret = 0;
	if (f->fail != KD_OK)
		return kd_error_set(err, f->fail, address, "as the test wants it");
	while (*done_ret < size) {
		uint64_t at = address + *done_ret;

		if (at - f->base >= MEMORY || (at >= f->hole && at < f->hole_end))
			break;
		((uint8_t *)buffer)[(*done_ret)++] = f->bytes[at - f->base];
	}
	return KD_OK;
}

static enum kd_status read_text(void *context, uint64_t address, size_t size, char *out,
				size_t out_size, struct kd_error *err)
{
	struct fixture *f = context;
	uint8_t bytes[2 * KD__MODULE_PATH_MAX];
	size_t done, n = 0;
	enum kd_status s;

	assert_true(size <= sizeof bytes && size % 2 == 0);
	s = read_memory(f, address, bytes, size, &done, err);
	if (s != KD_OK || !done)
		return s != KD_OK ? s : KD_E_UNREADABLE;
	for (; n < done / 2 && n + 1 < out_size; n++)
		out[n] = (char)bytes[2 * n];
	out[n] = 0;
	return KD_OK;
}

static void put_pointer(struct fixture *f, uint64_t at, uint64_t value)
{
	kd_put_sized(f->bytes + (at - f->base), f->pointer_size, value);
}

static void put_wide(struct fixture *f, uint64_t field, uint64_t where, const char *text)
{
	size_t n = strlen(text);

	kd_put16(f->bytes + (field - f->base), (uint16_t)(2 * n));
	kd_put16(f->bytes + (field - f->base) + 2, (uint16_t)(2 * n));
	put_pointer(f, field + f->pointer_size, where);
	for (size_t i = 0; i < n; i++)
		kd_put16(f->bytes + (where - f->base) + 2 * i, (uint8_t)text[i]);
}

static uint64_t entry_at(const struct fixture *f, size_t i)
{
	return f->base + FIRST + i * STRIDE;
}

/* "\SystemRoot\modN.sys"; the base name is the path's end. */
static void make_entry(struct fixture *f, size_t i)
{
	bool x64 = f->pointer_size == 8;
	uint64_t e = entry_at(f, i);
	char path[64];

	snprintf(path, sizeof path, "\\SystemRoot\\Mod%zu.sys", i);
	put_pointer(f, e + (x64 ? 0x30 : 0x18), f->base + 0x10000000 + i * 0x10000);
	put_pointer(f, e + (x64 ? 0x38 : 0x1C), f->base + 0x10000000 + i * 0x10000 + 0x1234);
	kd_put32(f->bytes + (e - f->base) + (x64 ? 0x40 : 0x20), 0x8000);
	put_wide(f, e + (x64 ? 0x48 : 0x24), e + NAMES, path);
	put_wide(f, e + (x64 ? 0x58 : 0x2C), e + NAMES + 24, path + 12);
	kd_put32(f->bytes + (e - f->base) + (x64 ? 0x78 : 0x40), (uint32_t)(0x1000 + i));
	kd_put32(f->bytes + (e - f->base) + (x64 ? 0x9C : 0x58), (uint32_t)(0x5000 + i));
	kd_put32(f->bytes + (e - f->base) + (x64 ? 0x80 : 0x44), (uint32_t)(0x6000 + i));
}

static void link_entries(struct fixture *f, size_t n)
{
	uint64_t head = f->base + HEAD, before = head;

	for (size_t i = 0; i <= n; i++) {
		uint64_t at = i == n ? head : entry_at(f, i);

		put_pointer(f, before, at);
		put_pointer(f, at + f->pointer_size, before);
		before = at;
	}
}

static struct fixture *make(size_t n, unsigned pointer_size)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->pointer_size = pointer_size;
	f->base = pointer_size == 8 ? 0xFFFFF80100000000 : 0xFFFFFFFF80500000;
	for (size_t i = 0; i < n; i++)
		make_entry(f, i);
	link_entries(f, n);
	return f;
}

struct result {
	size_t n, stop_after;
	uint64_t known_end;
	struct kd__list_entry entries[16]; /* the first ones */
};

static bool collect(void *context, const struct kd__list_entry *e)
{
	struct result *r = context;

	assert_true(strlen(e->path) < sizeof e->path && strlen(e->name) < sizeof e->name);
	if (r->n < KD_ARRAY_LEN(r->entries))
		r->entries[r->n] = *e;
	r->n++;
	return r->n != r->stop_after;
}

static enum kd_status walk(struct fixture *f, struct result *r, struct kd_error *err)
{
	struct kd__list_reader reader = { f, f->pointer_size, true, read_memory, read_text };

	memset(r, 0, offsetof(struct result, entries));
	f->n_reads = 0;
	return kd__list_walk(&reader, f->base + HEAD, collect, r, err);
}

static void test_good(void **state)
{
	for (unsigned size = 4; size <= 8; size += 4) {
		struct fixture *f = make(6, size);
		struct result r;

		assert_int_equal(walk(f, &r, NULL), KD_OK);
		assert_int_equal(r.n, 6);
		assert_true(f->n_reads <= 1 + 2 * 6);
		for (size_t i = 0; i < 6; i++) {
			const struct kd__list_entry *e = &r.entries[i];
			char name[16], path[40];

			snprintf(name, sizeof name, "Mod%zu.sys", i);
			snprintf(path, sizeof path, "\\SystemRoot\\%s", name);
			assert_string_equal(e->name, name);
			assert_string_equal(e->path, path);
			assert_int_equal(e->base, f->base + 0x10000000 + i * 0x10000);
			assert_int_equal(e->entry_point, e->base + 0x1234);
			assert_int_equal(e->size, 0x8000);
			assert_int_equal(e->checksum, 0x1000 + i);
			assert_int_equal(e->timestamp, 0x5000 + i);
			assert_int_equal(e->address, entry_at(f, i));
		}
		free(f);
	}
}

static void test_empty_and_stop(void **state)
{
	struct fixture *f = make(0, 8);
	struct kd__list_reader reader = { f, 8, false, read_memory, read_text };
	struct result r;

	assert_int_equal(walk(f, &r, NULL), KD_OK);
	assert_int_equal(r.n, 0);
	make_entry(f, 0);
	make_entry(f, 1);
	link_entries(f, 2);
	r = (struct result){ .stop_after = 1 };
	assert_int_equal(kd__list_walk(&reader, f->base + HEAD, collect, &r, NULL), KD_OK);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.entries[0].timestamp, 0x6000); /* before Windows 8 */
	free(f);
}

/* dump_diskdump.sys: path and base name differ. */
static void test_other_name(void **state)
{
	struct fixture *f = make(1, 8);
	struct result r;
	uint64_t e = entry_at(f, 0);

	put_wide(f, e + 0x58, e + NAMES + 0x80, "dump_disk.sys");
	assert_int_equal(walk(f, &r, NULL), KD_OK);
	assert_string_equal(r.entries[0].name, "dump_disk.sys");
	assert_string_equal(r.entries[0].path, "\\SystemRoot\\Mod0.sys");
	put_pointer(f, e + 0x50, 0x10); /* the path cannot be read */
	assert_int_equal(walk(f, &r, NULL), KD_OK);
	assert_string_equal(r.entries[0].name, "dump_disk.sys");
	assert_string_equal(r.entries[0].path, "dump_disk.sys");
	put_wide(f, e + 0x58, e + NAMES + 0x80, "a\x1b[2Jb.sys");
	assert_int_equal(walk(f, &r, NULL), KD_OK);
	assert_string_equal(r.entries[0].name, "a?[2Jb.sys");
	free(f);
}

static void test_loop(void **state)
{
	struct fixture *f = make(6, 8);
	struct kd_error err = { 0 };
	struct result r;

	put_pointer(f, entry_at(f, 3), entry_at(f, 1));
	assert_int_equal(walk(f, &r, &err), KD_E_MALFORMED);
	assert_int_equal(err.where, entry_at(f, 1));
	assert_non_null(strstr(err.text, "loops back"));
	assert_int_equal(r.n, 6); /* 4 and 5 from the other end */
	put_pointer(f, entry_at(f, 0), entry_at(f, 0));
	assert_int_equal(walk(f, &r, &err), KD_E_MALFORMED);
	assert_int_equal(r.n, 6);
	free(f);
}

static void test_half_linked(void **state)
{
	struct fixture *f = make(6, 8);
	struct kd_error err = { 0 };
	struct result r;

	put_pointer(f, entry_at(f, 2), 0x4141414141414141);
	assert_int_equal(walk(f, &r, &err), KD_E_MALFORMED);
	assert_int_equal(err.where, 0x4141414141414141);
	assert_non_null(strstr(err.text, "after 3 entries"));
	assert_int_equal(r.n, 6);
	for (size_t i = 0; i < 6; i++) /* in order all the same */
		assert_int_equal(r.entries[i].address, entry_at(f, i));
	/* An entry is being linked: its own links are set, nobody's backward link is yet. */
	put_pointer(f, entry_at(f, 2), entry_at(f, 3));
	put_pointer(f, f->base + HEAD + 8, entry_at(f, 4));
	assert_int_equal(walk(f, &r, &err), KD_OK);
	assert_int_equal(r.n, 6);
	free(f);
}

static bool known_below(void *context, uint64_t address)
{
	const struct result *r = context;

	return address < r->known_end;
}

static void test_new(void **state)
{
	struct fixture *f = make(6, 8);
	struct kd__list_reader reader = { f, 8, true, read_memory, read_text };
	struct result r = { .known_end = entry_at(f, 4) };

	assert_int_equal(kd__list_new(&reader, f->base + HEAD, known_below, collect, &r, NULL),
			 KD_OK);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.entries[0].address, entry_at(f, 4));
	assert_int_equal(r.entries[1].address, entry_at(f, 5));
	r = (struct result){ .known_end = UINT64_MAX };
	f->n_reads = 0;
	assert_int_equal(kd__list_new(&reader, f->base + HEAD, known_below, collect, &r, NULL),
			 KD_OK);
	assert_int_equal(r.n, 0);
	assert_int_equal(f->n_reads, 1);
	r = (struct result){ .known_end = 0 }; /* nothing known: all of it */
	assert_int_equal(kd__list_new(&reader, f->base + HEAD, known_below, collect, &r, NULL),
			 KD_OK);
	assert_int_equal(r.n, 6);
	put_pointer(f, entry_at(f, 5) + 8, entry_at(f, 5));
	r = (struct result){ .known_end = 0 };
	assert_int_equal(kd__list_new(&reader, f->base + HEAD, known_below, collect, &r, NULL),
			 KD_E_MALFORMED);
	assert_int_equal(r.n, 1);
	free(f);
}

static void test_hole(void **state)
{
	struct fixture *f = make(6, 8);
	struct kd_error err = { 0 };
	struct result r;

	f->hole = entry_at(f, 4);
	f->hole_end = f->hole + 0x100;
	assert_int_equal(walk(f, &r, &err), KD_E_MALFORMED);
	assert_int_equal(err.where, f->hole);
	assert_int_equal(r.n, 5);
	f->hole = entry_at(f, 4) + 0x80; /* the tail of an entry does not matter */
	f->hole_end = f->hole + 0x80;
	assert_int_equal(walk(f, &r, &err), KD_OK);
	assert_int_equal(r.n, 6);
	assert_int_equal(r.entries[4].timestamp, 0);
	f->hole = f->base + HEAD;
	assert_int_equal(walk(f, &r, &err), KD_E_UNREADABLE);
	assert_int_equal(r.n, 0);
	free(f);
}

static void test_impossible_images(void **state)
{
	struct fixture *f = make(6, 8);
	struct result r;

	put_pointer(f, entry_at(f, 1) + 0x30, 0);
	put_pointer(f, entry_at(f, 2) + 0x30, f->base + 0x10000123);
	kd_put32(f->bytes + FIRST + 3 * STRIDE + 0x40, 0);
	kd_put32(f->bytes + FIRST + 4 * STRIDE + 0x40, 0xFFFFFFFF);
	put_pointer(f, entry_at(f, 5) + 0x30, 0xFFFFFFFFFFFFF000);
	assert_int_equal(walk(f, &r, NULL), KD_OK);
	assert_int_equal(r.n, 1);
	free(f);
}

static void test_endless(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct kd_error err = { 0 };
	struct result r;

	/* Entries that overlap: each one 16 bytes behind the other. */
	assert_non_null(f);
	f->pointer_size = 8;
	f->base = 0xFFFFF80100000000;
	for (uint64_t at = HEAD; at < 0x10000; at += 16)
		put_pointer(f, f->base + at, f->base + at + 16);
	assert_int_equal(walk(f, &r, &err), KD_E_MALFORMED);
	assert_non_null(strstr(err.text, "too many"));
	assert_true(f->n_reads <= 3 * KD__MODULES_MAX + 2);
	free(f);
}

static void test_other_failures(void **state)
{
	struct fixture *f = make(2, 8);
	struct kd_error err = { 0 };
	struct result r;

	f->fail = KD_E_TIMEOUT;
	assert_int_equal(walk(f, &r, &err), KD_E_TIMEOUT);
	assert_int_equal(err.status, KD_E_TIMEOUT);
	free(f);
}

/* Whatever a byte of the list turns into: an end, and no more reads than the caps allow. */
static void test_flips(void **state)
{
	struct fixture *f = make(6, 8);
	struct result r;
	uint32_t seed = 1;

	for (int i = 0; i < 20000; i++) {
		uint8_t *byte;
		uint8_t before;

		seed = seed * 1664525 + 1013904223;
		byte = f->bytes + (seed % 8 == 0 ? HEAD + (seed >> 8) % 16
						 : FIRST + (seed >> 8) % (6 * STRIDE));
		before = *byte;
		*byte ^= (uint8_t)(1u << (seed >> 29));
		walk(f, &r, NULL);
		assert_true(r.n <= 6 + 1);
		*byte = before;
	}
	free(f);
}

static void test_names(void **state)
{
	static const struct {
		const char *image, *name;
	} rows[] = {
		{ "\\SystemRoot\\system32\\HAL.dll", "hal" },
		{ "ntoskrnl.exe", "ntoskrnl" },
		{ "C:/drivers/my-driver 2.x.sys", "my_driver_2_x" },
		{ "noextension", "noextension" },
		{ ".sys", "_sys" },
		{ "", "" },
		{ "\\dir\\", "" },
		{ "3ware.sys", "3ware" },
		{ "a!b`c.sys", "a_b_c" },
	};
	char name[64];

	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		kd__module_name(rows[i].image, name, sizeof name);
		assert_string_equal(name, rows[i].name);
	}
	kd__module_name("longer than the room.sys", name, 5);
	assert_string_equal(name, "long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),        cmocka_unit_test(test_empty_and_stop),
		cmocka_unit_test(test_other_name),  cmocka_unit_test(test_loop),
		cmocka_unit_test(test_half_linked), cmocka_unit_test(test_new),
		cmocka_unit_test(test_hole),        cmocka_unit_test(test_impossible_images),
		cmocka_unit_test(test_endless),     cmocka_unit_test(test_other_failures),
		cmocka_unit_test(test_flips),       cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("module_list", tests, NULL, NULL);
}
