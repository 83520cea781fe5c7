/* SPDX-License-Identifier: MIT */
/* Where RAM lies: what QEMU said once (golden), and what it says now, held against gpa2hva. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vm/ram_layout.h"
#include "tests/vm/mtree_samples.h"
#include "tests/vm/vm_check.h"

#define MB(n) ((uint64_t)(n) << 20)
#define GB(n) ((uint64_t)(n) << 30)

static struct kd_error err;
static struct kd_ram_layout layout;

static void set_backends(const char *first, uint64_t first_size, const char *second,
			 uint64_t second_size)
{
	memset(&layout, 0, sizeof layout);
	strcpy(layout.backends[0].id, first);
	layout.backends[0].size = first_size;
	layout.n_backends = 1;
	if (!second)
		return;
	strcpy(layout.backends[1].id, second);
	layout.backends[1].size = second_size;
	layout.n_backends = 2;
}

static void assert_range(size_t i, uint64_t start, uint64_t end, uint64_t offset, unsigned backend,
			 bool is_rom)
{
	const struct kd_ram_range *r = &layout.ranges[i];

	assert_true(i < layout.n_ranges);
	if (r->start != start || r->start + r->size != end || r->offset != offset ||
	    r->backend != backend || r->is_rom != is_rom)
		fail_msg("range %zu: %" PRIx64 "-%" PRIx64 " @%" PRIx64 " of %u, rom %d", i,
			 r->start, r->start + r->size, r->offset, r->backend, r->is_rom);
}

/* --- golden --- */

static void test_thresholds(void **state)
{
	static const struct {
		const char *name, *text;
		uint64_t size, low; /* bytes in all, and below 4 GB */
	} rows[] = {
		{ "pc, 3583 MB", mtree_pc_3583, MB(3583), MB(3583) },
		{ "pc, 3584 MB", mtree_pc_3584, MB(3584), GB(3) },
		{ "q35, 2815 MB", mtree_q35_2815, MB(2815), MB(2815) },
		{ "q35, 2816 MB", mtree_q35_2816, MB(2816), GB(2) },
		{ "max-ram-below-4g=1G", mtree_split, GB(2), GB(1) },
		{ "pc-i440fx-3.1", mtree_canonical, MB(512), MB(512) },
	};

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		bool has_high = rows[i].size > rows[i].low;

		print_message("%s\n", rows[i].name);
		set_backends("m0", rows[i].size, NULL, 0);
		assert_status(KD_OK, kd_ram_layout_parse(rows[i].text, true, &layout, &err));
		assert_int_equal(layout.n_ranges, 2 + has_high);
		assert_range(0, 0, 0xC0000, 0, 0, false);
		assert_range(1, MB(1), rows[i].low, MB(1), 0, false);
		if (has_high)
			assert_range(2, GB(4), GB(4) + rows[i].size - rows[i].low, rows[i].low, 0,
				     false);
	}
}

static void test_shadows(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		set_backends("pc.ram", MB(256), NULL, 0);
		assert_status(KD_OK, kd_ram_layout_parse(i ? mtree_q35_running : mtree_shadowed_kvm,
							 true, &layout, &err));
		assert_int_equal(layout.n_ranges, 7);
		assert_range(0, 0, 0xA0000, 0, 0, false);
		assert_range(1, 0xC0000, 0xCA000, 0xC0000, 0, true);
		assert_range(2, 0xCA000, 0xCD000, 0xCA000, 0, false);
		assert_range(5, 0xF0000, 0x100000, 0xF0000, 0, true);
		assert_range(6, MB(1), MB(256), MB(1), 0, false);
		assert_int_equal(kd_ram_layout_size(&layout), MB(256) - 0x20000);
	}
}

static void test_several_backends(void **state)
{
	(void)state;
	set_backends("m0", MB(256), "m1", MB(256));
	strcpy(layout.backends[2].id, "sh");
	layout.backends[2].size = MB(1);
	layout.n_backends = 3;
	assert_status(KD_OK, kd_ram_layout_parse(mtree_numa, false, &layout, &err));
	assert_int_equal(layout.n_ranges, 6);
	assert_range(4, MB(1), MB(256), MB(1), 0, false);
	assert_range(5, MB(256), MB(512), 0, 1, false);
	/* With any priority the device's memory would count. */
	assert_status(KD_OK, kd_ram_layout_parse(mtree_numa, true, &layout, &err));
	assert_int_equal(layout.n_ranges, 7);

	set_backends("pc.ram", MB(512), "m1", MB(256));
	assert_status(KD_OK, kd_ram_layout_parse(mtree_dimm, true, &layout, &err));
	assert_int_equal(layout.n_ranges, 3);
	assert_range(2, GB(4), GB(4) + MB(256), 0, 1, false);
}

/* --- not so golden --- */

#define VIEW "FlatView #0\n Root memory region: system\n"

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *text, *says;
		enum kd_status status;
	} rows[] = {
		{ "", "no flat view", KD_E_NOT_FOUND },
		{ " Root memory region: systemd\n  0-1 (prio 0, ram): m0\n", "no flat view",
		  KD_E_NOT_FOUND },
		{ " Root memory region: system", "no RAM", KD_E_NOT_FOUND },
		{ VIEW, "no RAM", KD_E_NOT_FOUND },
		{ VIEW "  0-fff (prio 0, ram): m1\n", "no RAM", KD_E_NOT_FOUND },
		{ VIEW "  0-fff (prio 0, i/o): m0\n", "no RAM", KD_E_NOT_FOUND },
		/* Another view's lines are not ours. */
		{ VIEW "\nFlatView #1\n Root memory region: io\n  0-fff (prio 0, ram): m0\n",
		  "no RAM", KD_E_NOT_FOUND },
		{ VIEW "  0-fffff (prio 0, ram): m0\n", "not in backend m0", KD_E_MALFORMED },
		{ VIEW "  0-fff (prio 0, ram): m0 @10000\n", "not in backend", KD_E_MALFORMED },
		{ VIEW "  0-fff (prio 0, ram): m0 @ffffffffffffffff\n", "not in backend",
		  KD_E_MALFORMED },
		{ VIEW "  1000-fff (prio 0, ram): m0\n", "not in backend", KD_E_MALFORMED },
		{ VIEW "  1000-0 (prio 0, ram): m0\n", "not in backend", KD_E_MALFORMED },
		{ VIEW "  0-ffffffffffffffff (prio 0, ram): m0\n", "not in backend",
		  KD_E_MALFORMED },
		{ VIEW "  fffffffffffff000-ffffffffffffffff (prio 0, ram): m0\n", "not in backend",
		  KD_E_MALFORMED },
		{ VIEW "  0-fff (prio 0, ram): m0\n  0-fff (prio 0, ram): m0\n", "told twice",
		  KD_E_MALFORMED },
		{ VIEW "  2000-2fff (prio 0, ram): m0\n  0-fff (prio 0, ram): m0\n", "out of order",
		  KD_E_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++) {
		set_backends("m0", 0x10000, NULL, 0);
		assert_status(rows[i].status,
			      kd_ram_layout_parse(rows[i].text, true, &layout, &err));
		assert_says(rows[i].says);
	}
}

static void test_odd_but_right(void **state)
{
	(void)state;
	set_backends("m0", 0x10000, NULL, 0);
	assert_status(KD_OK,
		      kd_ram_layout_parse(VIEW "  0-fff (prio 0, ram): m0\n"
					       "  1000-1fff (prio -1, nv-ram): m0 @1000\n"
					       "  2000-2fff (prio 0, i/o): a name with blanks @1\n"
					       "  3000-3fff (prio 0, ram): m0\n"
					       "  4000-4fff (prio 0, ram): m0x\n"
					       "  10000000000000000-1 (prio 0, ram): m0\n"
					       "  5000-5fff (prio 0, ram): m0\n",
					  true, &layout, &err));
	/* The first two continue each other; the seventeen digits end the view. */
	assert_int_equal(layout.n_ranges, 2);
	assert_range(0, 0, 0x2000, 0, 0, false);
	assert_range(1, 0x3000, 0x4000, 0, 0, false);
	assert_null(kd_ram_range_find(&layout, 0x2000));
	assert_null(kd_ram_range_find(&layout, UINT64_MAX));
	assert_ptr_equal(kd_ram_range_find(&layout, 0x1FFF), &layout.ranges[0]);
	assert_ptr_equal(kd_ram_range_find(&layout, 0x3000), &layout.ranges[1]);
}

static void test_too_many_ranges(void **state)
{
	char *text = malloc(KD_RAM_RANGES_MAX * 48 + 256), *p;

	(void)state;
	assert_non_null(text);
	set_backends("m0", GB(1), NULL, 0);
	for (unsigned extra = 0; extra < 2; extra++) {
		p = stpcpy(text, VIEW);
		for (unsigned i = 0; i < KD_RAM_RANGES_MAX + extra; i++)
			p += sprintf(p, "  %x-%x (prio 0, ram): m0\n", i * 0x2000,
				     i * 0x2000 + 0xFFF);
		assert_status(extra ? KD_E_TOO_BIG : KD_OK,
			      kd_ram_layout_parse(text, true, &layout, &err));
	}
	free(text);
}

/* --- asked for --- */

#define PROPERTY(name, value)                                                                   \
	{                                                                                       \
		"\"property\":\"" name "\"", "{\"return\": " value ", \"id\": \"$ID\"}\n", NULL \
	}

static enum kd_status query_script(const struct monitor_step *steps, size_t n)
{
	struct kd_qmp *q = NULL;
	enum kd_status s;

	assert_status(KD_OK, kd_qmp_open(monitor_start(steps, n), kd_deadline_after_ms(LIMIT_MS),
					 NULL, &q, &err));
	s = kd_ram_layout_query(q, kd_deadline_after_ms(LIMIT_MS), NULL, &layout, &err);
	kd_qmp_close(q);
	assert_int_equal(monitor_stop(), 0);
	return s;
}

static void test_hostile_answers(void **state)
{
	static const struct monitor_step old[] = {
		MONITOR_HELLO,
		{ "memory-backend",
		  "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Property not found\"}, "
		  "\"id\": \"$ID\"}\n",
		  NULL },
	};
	static const struct monitor_step sizeless[] = {
		MONITOR_HELLO,
		PROPERTY("memory-backend", "\"/objects/m0\""),
		PROPERTY("type", "\"memory-backend-ram\""),
		PROPERTY("size", "-1"),
		PROPERTY("share", "true"),
		PROPERTY("mem-path", "7"),
	};
	static const struct monitor_step long_id[] = {
		MONITOR_HELLO,
		PROPERTY("memory-backend",
			 "\"/objects/"
			 "0123456789012345678901234567890123456789012345678901234567890123"
			 "\""),
	};
	static const struct monitor_step no_text[] = {
		MONITOR_HELLO,
		PROPERTY("memory-backend", "\"/objects/m0\""),
		PROPERTY("type", "\"memory-backend-ram\""),
		PROPERTY("size", "4096"),
		PROPERTY("share", "false"),
		PROPERTY("mem-path", "\"/x\""),
		{ "query-memory-devices",
		  "{\"return\": [{}, 3, {\"data\": []}], \"id\": \"$ID\"}\n", NULL },
		{ "info mtree -f", "{\"return\": [], \"id\": \"$ID\"}\n", NULL },
	};

	(void)state;
	assert_status(KD_E_UNSUPPORTED, query_script(old, KD_ARRAY_LEN(old)));
	assert_says("7.2.22");
	assert_status(KD_E_MALFORMED, query_script(sizeless, KD_ARRAY_LEN(sizeless)));
	assert_status(KD_E_TOO_BIG, query_script(long_id, KD_ARRAY_LEN(long_id)));
	assert_status(KD_E_MALFORMED, query_script(no_text, KD_ARRAY_LEN(no_text)));
}

/* Where QEMU has the byte in its own address space; 0: it is not RAM. */
static uint64_t host_address(struct kd_qmp *q, uint64_t gpa, char *region, size_t size)
{
	uint64_t hva = 0;
	char name[64] = "";
	char *text;

	assert_status(KD_OK,
		      kd_qmp_monitor_command(q, io_text("gpa2hva 0x%" PRIx64, gpa),
					     kd_deadline_after_ms(LIMIT_MS), NULL, &text, &err));
	if (sscanf(text, "Host virtual address for %*s (%63[^)]) is %" SCNx64, name, &hva) != 2)
		hva = 0;
	snprintf(region, size, "%s", name);
	free(text);
	return hva;
}

/*
 * Each range is told again by gpa2hva: first and last byte are that backend's, at the same distance
 * from the backend's start; the bytes before and behind are no RAM of it at that place.
 */
static void check_against_qemu(struct kd_qmp *q)
{
	uint64_t base[KD_RAM_BACKENDS_MAX] = { 0 };
	char region[80];

	for (size_t i = 0; i < layout.n_ranges; i++) {
		const struct kd_ram_range *r = &layout.ranges[i];
		const char *id = layout.backends[r->backend].id;
		uint64_t first = host_address(q, r->start, region, sizeof region);
		uint64_t end = r->start + r->size;

		assert_string_equal(region, id);
		assert_int_equal(host_address(q, end - 1, region, sizeof region),
				 first + r->size - 1);
		if (!base[r->backend])
			base[r->backend] = first - r->offset;
		assert_int_equal(first - r->offset, base[r->backend]);
		if (host_address(q, end, region, sizeof region) && !strcmp(region, id))
			assert_non_null(kd_ram_range_find(&layout, end));
	}
}

static const struct real {
	const char *machine, *megabytes;
	uint64_t low; /* RAM below 4 GB */
	const char *args[8];
} reals[] = {
	{ "pc", "64", MB(64), { NULL } },
	{ "pc", "3583", MB(3583), { NULL } },
	{ "pc", "3584", GB(3), { NULL } },
	{ "pc", "6144", GB(3), { NULL } },
	{ "q35", "2815", MB(2815), { NULL } },
	{ "q35", "2816", GB(2), { NULL } },
	{ "q35", "6144", GB(2), { NULL } },
	{ "pc,max-ram-below-4g=512M", "1024", MB(512), { NULL } },
	{ "q35",
	  "128",
	  MB(128),
	  { "-device", "ivshmem-plain,memdev=sh", "-object",
	    "memory-backend-memfd,id=sh,size=1M,share=on" } },
};

static void test_real_layouts(void **state)
{
	(void)state;
	NEED_QEMU();
	for (size_t i = 0; i < KD_ARRAY_LEN(reals); i++) {
		const struct real *row = &reals[i];
		uint64_t size = MB(strtoull(row->megabytes, NULL, 10));
		const char *args[24] = {
			"-machine", io_text("%s,memory-backend=m0", row->machine),
			"-m",       row->megabytes,
			"-object",  io_text("memory-backend-memfd,id=m0,size=%sM", row->megabytes),
		};
		const struct kd_ram_range *last;
		struct vm vm;

		for (size_t k = 0; row->args[k]; k++)
			args[6 + k] = row->args[k];
		vm = vm_start(args);
		assert_status(KD_OK, kd_ram_layout_query(vm.qmp, kd_deadline_after_ms(LIMIT_MS),
							 NULL, &layout, &err));
		assert_int_equal(layout.n_backends, 1);
		assert_int_equal(layout.backends[0].size, size);
		assert_true(layout.backends[0].is_shared);
		assert_string_equal(layout.backends[0].type, "memory-backend-memfd");
		assert_string_equal(layout.backends[0].path, "");
		last = &layout.ranges[layout.n_ranges - 1];
		assert_int_equal(last->start + last->size,
				 size > row->low ? GB(4) + size - row->low : size);
		assert_non_null(kd_ram_range_find(&layout, row->low - 1));
		assert_null(kd_ram_range_find(&layout, row->low));
		check_against_qemu(vm.qmp);
		vm_stop(&vm);
	}
}

static void test_real_backends(void **state)
{
	struct vm vm;

	(void)state;
	NEED_QEMU();
	/* QEMU's own, private. */
	vm = VM_START("-m", "96");
	assert_status(KD_OK, kd_ram_layout_query(vm.qmp, kd_deadline_after_ms(LIMIT_MS), NULL,
						 &layout, &err));
	assert_string_equal(layout.backends[0].id, "pc.ram");
	assert_false(layout.backends[0].is_shared);
	assert_int_equal(layout.backends[0].size, MB(96));
	check_against_qemu(vm.qmp);
	vm_stop(&vm);

	/* A file; a DIMM beside it. */
	vm = VM_START(
		"-machine", "q35,memory-backend=f", "-m", "64,slots=2,maxmem=1G", "-object",
		io_text("memory-backend-file,id=f,size=64M,share=on,mem-path=%s", io_path("ram")),
		"-object", "memory-backend-ram,id=plugged,size=128M", "-device",
		"pc-dimm,memdev=plugged");
	assert_status(KD_OK, kd_ram_layout_query(vm.qmp, kd_deadline_after_ms(LIMIT_MS), NULL,
						 &layout, &err));
	assert_int_equal(layout.n_backends, 2);
	assert_string_equal(layout.backends[0].path, io_path("ram"));
	assert_false(layout.backends[1].is_shared);
	assert_int_equal(kd_ram_range_find(&layout, GB(4))->backend, 1);
	check_against_qemu(vm.qmp);
	vm_stop(&vm);

	/* NUMA: the machine has no backend of its own. */
	vm = VM_START("-machine", "q35", "-m", "128", "-object",
		      "memory-backend-ram,id=n0,size=64M", "-object",
		      "memory-backend-memfd,id=n1,size=64M", "-numa", "node,memdev=n0", "-numa",
		      "node,memdev=n1");
	assert_status(KD_OK, kd_ram_layout_query(vm.qmp, kd_deadline_after_ms(LIMIT_MS), NULL,
						 &layout, &err));
	assert_int_equal(layout.n_backends, 2);
	assert_int_not_equal(kd_ram_range_find(&layout, MB(32))->backend,
			     kd_ram_range_find(&layout, MB(96))->backend);
	check_against_qemu(vm.qmp);
	vm_stop(&vm);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thresholds),       cmocka_unit_test(test_shadows),
		cmocka_unit_test(test_several_backends), cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_odd_but_right),    cmocka_unit_test(test_too_many_ranges),
		cmocka_unit_test(test_hostile_answers),  cmocka_unit_test(test_real_layouts),
		cmocka_unit_test(test_real_backends),
	};

	return cmocka_run_group_tests(tests, io_setup, io_teardown);
}
