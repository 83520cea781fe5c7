/* SPDX-License-Identifier: MIT */
/*
 * Sessions on x86 targets: the forms of GetVersion and KDBG from XP to 8.1, addresses with and
 * without their sign, registers, page walks with and without PAE.
 */
#include "tests/engine/session_fixture.h"

#include <stdlib.h>
#include <string.h>

#include <openkd/module.h>
#include <openkd/session.h>

#include "core/bytes.h"
#include "lib/engine/engine.h"

enum { KDBG_HEADER_SIZE = 0x14, VALID = 1, WRITE = 2, LARGE = 0x80, CR4_PAE = 0x20 };

/* A target that is not attached to yet. */
static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->host = fake_host_start(
		&(struct kd_fake_config){ .machine = KD_MACHINE_X86, .n_processors = 2 });
	setenv("XDG_STATE_HOME", f->host->folder, 1);
	setenv("XDG_RUNTIME_DIR", f->host->folder, 1);
	*state = f;
	return 0;
}

static uint32_t get_word(struct fixture *f, uint64_t address)
{
	uint8_t bytes[4] = { 0 };

	fake_host_lock(f->host);
	kd_fake_read(f->host->fake, address, bytes, sizeof bytes);
	fake_host_unlock(f->host);
	return kd_get32(bytes);
}

/* --- who is there --- */

static const struct {
	const char *name;
	uint16_t build, flags;
	uint8_t max_manipulate;
	uint32_t kdbg_size; /* 0: no block, and no list */
	bool is_zero_extended;
} forms[] = {
	{ "XP SP2", 2600, KD_VERSION_DATA, 0x2D, 0x290, false },
	{ "XP SP2, two processors", 2600, KD_VERSION_DATA | KD_VERSION_MP, 0x2D, 0x290, false },
	{ "Server 2003, ReactOS", 3790, KD_VERSION_DATA, 0x31, 0x318, false },
	{ "Vista", 6001, KD_VERSION_DATA | KD_VERSION_MP, 0x2E, 0x330, false },
	{ "7", 7601, KD_VERSION_DATA | KD_VERSION_MP, 0x2E, 0x340, false },
	{ "8.1", 9600, KD_VERSION_DATA | KD_VERSION_MP, 0x31, 0x360, false },
	/* Stubs: no data list, a wrong PTR64, no signs. */
	{ "VirtualBox", 2600, 0x0005, 0x2E, 0, true },
	{ "a list that is not there", 7601, KD_VERSION_DATA, 0x2E, 0, false },
};

static void take_form(struct fixture *f, size_t i)
{
	struct kd_fake *fake = f->host->fake;
	uint8_t size[4];

	fake_host_lock(f->host);
	fake->version.minor = forms[i].build;
	fake->version.flags = forms[i].flags;
	fake->version.secondary = 0;
	fake->version.max_manipulate = forms[i].max_manipulate;
	if (forms[i].is_zero_extended) {
		fake->version.kern_base = (uint32_t)fake->version.kern_base;
		fake->version.loaded_module_list = (uint32_t)fake->version.loaded_module_list;
	}
	if (!forms[i].kdbg_size)
		fake->version.debugger_data_list = 0;
	kd_put32(size, forms[i].kdbg_size);
	kd_fake_write(fake, fake->kdbg + KDBG_HEADER_SIZE, size, sizeof size);
	fake_host_unlock(f->host);
}

static void test_versions(void **state)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(forms); i++) {
		struct fixture *f;
		struct kd_target_info info;
		const struct kd_module *const *modules;
		size_t n = 0;

		set_up(state);
		f = *state;
		take_form(f, i);
		fixture_attach(f, "");
		OK(kd_session_target(f->session, &info, &err));
		assert_int_equal(info.machine, KD_MACHINE_X86);
		assert_int_equal(info.pointer_size, 4);
		assert_int_equal(info.build, forms[i].build);
		assert_int_equal(info.kernel_base >> 32, 0xFFFFFFFF);
		assert_int_equal((uint32_t)info.kernel_base, (uint32_t)f->host->fake->kernel_base);
		OK(kd_module_list(f->session, &modules, &n, &err));
		assert_true(n >= 1);
		assert_string_equal(modules[0]->name, "nt");
		assert_int_equal(modules[0]->base, info.kernel_base);
		fixture_tear_down(state);
	}
}

/* What a smaller block does not have is unknown, not zero bytes of something else. */
static void test_short_block(void **state)
{
	struct fixture *f = *state;

	take_form(f, 0);
	fixture_attach(f, "");
	assert_int_equal(kd__kdbg(f->session, "PsLoadedModuleList"),
			 (uint64_t)(int64_t)(int32_t)f->host->fake->module_list);
	assert_int_equal(kd__kdbg(f->session, "OffsetKThreadTeb"), 0);  /* 2003 */
	assert_int_equal(kd__kdbg(f->session, "OffsetPrcbContext"), 0); /* 7 */
}

/* --- addresses --- */

static void test_signs(void **state)
{
	struct fixture *f = *state;
	uint64_t at;
	uint8_t with[4], without[4];
	struct kd_event stop;

	fake_host_lock(f->host);
	at = kd_fake_alloc(f->host->fake, 0x1000);
	kd_fake_write(f->host->fake, at, "\x90\x90\xEB\xFC", 4); /* nops, and back to the first */
	kd_fake_go_to(f->host->fake, 0, at);
	fake_host_unlock(f->host);
	fixture_attach(f, "");
	at = (uint32_t)at;
	assert_int_equal(kd__normalise(f->session, at), (uint64_t)(int64_t)(int32_t)at);
	OK(kd_memory_read(f->session, at, without, 4, NULL, &err));
	OK(kd_memory_read(f->session, (uint64_t)(int64_t)(int32_t)at, with, 4, NULL, &err));
	assert_memory_equal(with, "\x90\x90\xEB\xFC", 4);
	assert_memory_equal(without, with, 4);
	/* A breakpoint given without its sign is hit, and told with it. */
	fixture_break(f, at, 1);
	OK(kd_session_go(f->session, KD_GO, &err));
	stop = fixture_wait(f->session, KD_EVENT_STOP);
	assert_int_equal(stop.stop.reason, KD_STOP_BREAKPOINT);
	assert_int_equal(stop.stop.pc, (uint64_t)(int64_t)(int32_t)at);
	assert_int_equal(fixture_pc(f), stop.stop.pc);
}

/* The break-in is known by KDBG.BreakpointWithStatus, which has no sign, and by eax. */
static void test_break_in_by_status(void **state)
{
	struct fixture *f = *state;
	struct kd_event stop;
	uint64_t eax = 0;

	fixture_attach(f, "");
	OK(kd_session_go(f->session, KD_GO, &err));
	kd_session_break_in(f->session);
	stop = fixture_wait(f->session, KD_EVENT_STOP);
	assert_int_equal(stop.stop.reason, KD_STOP_BREAK_IN);
	OK(kd_register_get(f->session, "eax", &eax, &err));
	assert_int_equal(eax, 1);
}

/* --- registers --- */

static void test_registers(void **state)
{
	static const char *const names[] = { "eax", "ebx", "ecx", "edx", "esi", "edi",
					     "esp", "ebp", "eip", "efl", "cs",  "ss" };
	struct fixture *f = *state;
	const struct kd_register_info *table;
	uint64_t value = 0;
	size_t n = 0;

	fixture_attach(f, "");
	table = kd_register_table(f->session, &n);
	for (size_t i = 0; i < n; i++) { /* each of the table has a place */
		uint8_t bytes[16];
		size_t size = 0;

		OK(kd_register_read_bytes(f->session, table[i].name, bytes, sizeof bytes, &size,
					  &err));
		assert_true(size >= table[i].size); /* segments have 32 bits there */
	}
	for (size_t i = 0; i < KD_ARRAY_LEN(names); i++) {
		OK(kd_register_get(f->session, names[i], &value, &err));
		assert_int_equal(value, kd_fake_get_register(f->host->fake, 0, names[i]));
	}
	OK(kd_register_get(f->session, "cr3", &value, &err));
	assert_int_equal(value, f->host->fake->cr3);
	OK(kd_register_set(f->session, "ebx", 0x89ABCDEF, &err));
	OK(kd_register_set(f->session, "bl", 0x11, &err));
	OK(kd_register_set(f->session, "bh", 0x22, &err));
	assert_int_equal(kd_fake_get_register(f->host->fake, 0, "ebx"), 0x89AB2211);
	OK(kd_register_get(f->session, "bx", &value, &err));
	assert_int_equal(value, 0x2211);
	assert_int_equal(kd_register_get(f->session, "rax", &value, NULL), KD_E_NOT_FOUND);
}

/* --- page walks --- */

static void test_two_levels(void **state)
{
	struct fixture *f = *state;
	struct kd_translation t;
	uint64_t at, physical = 0;

	fake_host_lock(f->host);
	at = kd_fake_alloc(f->host->fake, 0x1000);
	kd_fake_translate(f->host->fake, at, &physical);
	fake_host_unlock(f->host);
	fixture_attach(f, "");
	OK(kd_memory_translate(f->session, 0, at + 0x123, &t, &err));
	assert_true(t.is_valid);
	assert_int_equal(t.physical, physical + 0x123);
	assert_int_equal(t.n_levels, 2);
	assert_int_equal(t.entry_size, 4);
	assert_int_equal(t.page_size, 0x1000);
	assert_int_equal((uint32_t)t.levels[0].entry_virtual,
			 0xC0300000 + ((uint32_t)at >> 22) * 4);
	assert_int_equal((uint32_t)t.levels[1].entry_virtual,
			 0xC0000000 + ((uint32_t)at >> 12) * 4);
	OK(kd_memory_translate(f->session, 0, 0x1000, &t, &err));
	assert_false(t.is_valid);
}

static void put_entry(struct kd_fake *fake, uint64_t table, unsigned index, uint64_t entry)
{
	uint8_t bytes[8];

	kd_put64(bytes, entry);
	kd_fake_write(fake, table + 8 * index, bytes, sizeof bytes);
}

static uint64_t physical_of(struct kd_fake *fake, uint64_t address)
{
	uint64_t physical = 0;

	assert_true(kd_fake_translate(fake, address, &physical));
	return physical;
}

/* Tables with PAE laid into the target's RAM by hand, at a directory base of 32 bytes. */
static void test_pae(void **state)
{
	struct fixture *f = *state;
	struct kd_fake *fake = f->host->fake;
	struct kd_translation t;
	uint64_t top, directory, table, base;

	fake_host_lock(f->host);
	top = kd_fake_alloc(fake, 0x1000);
	directory = kd_fake_alloc(fake, 0x1000);
	table = kd_fake_alloc(fake, 0x1000);
	base = physical_of(fake, top) + 0x60;
	put_entry(fake, top + 0x60, 2, physical_of(fake, directory) | VALID);
	put_entry(fake, directory, 4, physical_of(fake, table) | VALID | WRITE);
	put_entry(fake, directory, 5, UINT64_C(0x1234600000) | VALID | WRITE | LARGE);
	put_entry(fake, table, 3, UINT64_C(0x8000000987654000) | VALID);
	fake_host_unlock(f->host);
	fixture_attach(f, "");
	OK(kd_register_set(f->session, "cr4", CR4_PAE, &err));

	OK(kd_memory_translate(f->session, base, 0xFFFFFFFF80803ABC, &t, &err));
	assert_true(t.is_valid);
	assert_int_equal(t.physical, UINT64_C(0x987654ABC));
	assert_int_equal(t.n_levels, 3);
	assert_int_equal(t.entry_size, 8);
	assert_int_equal((uint32_t)t.levels[1].entry_virtual, 0xC0600000 + (0x80803ABC >> 21) * 8);
	assert_int_equal((uint32_t)t.levels[2].entry_virtual, 0xC0000000 + (0x80803ABC >> 12) * 8);
	OK(kd_memory_translate(f->session, base, 0x80A12345, &t, &err)); /* no sign: the same */
	assert_true(t.is_valid);
	assert_int_equal(t.page_size, 0x200000);
	assert_int_equal(t.physical, UINT64_C(0x1234612345));
	OK(kd_memory_translate(f->session, base, 0x80804000, &t, &err));
	assert_false(t.is_valid);
	assert_int_equal(t.n_levels, 3);
	OK(kd_memory_translate(f->session, base, 0x1000, &t, &err));
	assert_int_equal(t.n_levels, 1);
}

/* --- pointers --- */

static void test_pointer_size(void **state)
{
	struct fixture *f = *state;
	uint64_t list = f->host->fake->module_list, value = 0;

	fixture_attach(f, "");
	OK(kd_memory_read_pointer(f->session, list, &value, &err));
	assert_int_equal(value, (uint64_t)(int64_t)(int32_t)get_word(f, list));
}

#define ON(test) cmocka_unit_test_setup_teardown(test, set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		ON(test_short_block),
		ON(test_signs),
		ON(test_break_in_by_status),
		ON(test_registers),
		ON(test_two_levels),
		ON(test_pae),
		ON(test_pointer_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
