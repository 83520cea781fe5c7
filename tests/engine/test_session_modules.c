/* SPDX-License-Identifier: MIT */
/* Modules and their symbol files: lists good and bad, notices, stores, what is missing or wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/engine/static_world.h"

/* --- modules --- */

static void test_modules(void **state)
{
	struct fixture *f = *state;
	const struct kd_module *const *list;
	uint64_t before = requests(f);
	size_t n;

	ok(kd_module_list(f->s, &list, &n, &err));
	print_message("the list of %zu modules: %u requests\n", n,
		      (unsigned)(requests(f) - before));
	assert_int_equal(n, 6);
	assert_true(requests(f) - before <= 2 * 6 + 3);
	assert_string_equal(list[0]->name, "nt");
	assert_string_equal(list[0]->image_name, "ntoskrnl.exe");
	assert_string_equal(list[1]->name, "driver0");
	assert_string_equal(list[1]->image_path, "\\SystemRoot\\System32\\Driver0.sys");
	assert_int_equal(list[1]->timestamp, 0x5F000002);
	assert_int_equal(list[1]->checksum, 0x13000);
	assert_int_equal(list[1]->symbols, KD_SYMBOLS_DEFERRED);
	assert_true(kd_module_find(f->s, "NTKRNLMP") == list[0]);
	assert_true(kd_module_find(f->s, "ntoskrnl.exe") == list[0]);
	assert_true(kd_module_find(f->s, "Driver3.SYS") == list[4]);
	assert_true(kd_module_at(f->s, f->base) == list[5]);
	assert_true(kd_module_at(f->s, list[5]->base + list[5]->size - 1) == list[5]);
	assert_null(kd_module_at(f->s, f->base - 1));
	before = requests(f);
	for (int i = 0; i < 100; i++) {
		assert_null(kd_module_find(f->s, "nosuch"));
		assert_null(kd_module_at(f->s, f->base - 1));
		ok(kd_module_list(f->s, &list, &n, &err));
	}
	assert_true(requests(f) - before <= 1);
}

static void test_notices(void **state)
{
	struct fixture *f = *state;
	const struct kd_module *const *list;
	const struct kd_module *m;
	size_t n;

	ok(kd_module_list(f->s, &list, &n, &err));
	/* A driver of a name that is there already comes, one goes; both are told. */
	fake_host_lock(f->host);
	kd_fake_add_module(f->host->fake, "driver1.sys", 0x2000);
	kd_fake_do_module(f->host->fake, KD_FAKE_LOAD, f->host->fake->n_modules - 1);
	kd_fake_do_module(f->host->fake, KD_FAKE_UNLOAD, 3); /* Driver2 */
	fake_host_unlock(f->host);
	ok(kd_session_go(f->s, KD_GO, &err));
	wait_for(f->s, KD_EVENT_MODULE_LOAD);
	wait_for(f->s, KD_EVENT_MODULE_UNLOAD);
	kd_session_break_in(f->s);
	wait_for(f->s, KD_EVENT_STOP);
	ok(kd_module_list(f->s, &list, &n, &err));
	assert_int_equal(n, 7);
	m = kd_module_find(f->s, text("driver1_%llx", (unsigned long long)list[5]->base));
	assert_non_null(m);
	assert_true(m == list[5] && m->size == 0x2000);
	assert_true(kd_module_find(f->s, "driver1") == list[2]);
	assert_null(kd_module_find(f->s, "driver2"));
	assert_true(list[6]->is_unloaded);
	assert_string_equal(list[6]->image_name, "Driver2.sys");
	/* An address in it tells so. */
	{
		char where[128];

		kd_symbol_format(f->s, list[6]->base + 0x10, where, sizeof where);
		assert_string_equal(where, "<Unloaded_Driver2.sys>+0x10");
	}
}

/* A module that comes without a notice is found when something in it is asked for. */
static void test_silent_load(void **state)
{
	struct fixture *f = *state;
	const struct kd_module *const *list;
	const struct kd_fake_module *fake;
	size_t n;

	ok(kd_module_list(f->s, &list, &n, &err));
	ok(kd_session_go(f->s, KD_GO, &err));
	fake_host_lock(f->host);
	fake = kd_fake_add_module(f->host->fake, "late.sys", 0x3000);
	fake_host_unlock(f->host);
	kd_session_break_in(f->s);
	wait_for(f->s, KD_EVENT_STOP);
	assert_non_null(kd_module_at(f->s, fake->base + 0x10));
	assert_non_null(kd_module_find(f->s, "late"));
}

/* One slot of MmUnloadedDrivers: UNICODE_STRING, start, end, time. */
static void put_slot(struct kd_fake *fake, uint64_t array, size_t i, uint64_t start)
{
	size_t word = fake->word, slot = word == 8 ? 0x28 : 0x18;
	uint64_t at = array + i * slot, text_at = array + 0x1000 + i * 0x20;
	uint8_t size[2] = { 10, 0 }, wide[10] = { 'o', 0, 'l', 0, 'd', 0, '0', 0, '0', 0 };

	wide[6] = (uint8_t)('0' + i / 10);
	wide[8] = (uint8_t)('0' + i % 10);
	kd_fake_write(fake, at, size, 2);
	kd_fake_put_word(fake, at + word, text_at);
	kd_fake_put_word(fake, at + 2 * word, start);
	kd_fake_put_word(fake, at + 3 * word, start + 0x1000);
	kd_fake_write(fake, text_at, wide, sizeof wide);
}

/* Drivers that were gone before we came: a ring whose oldest entry is number 2. */
static void test_unloaded_before(void **state)
{
	struct fixture *f = *state;
	struct kd_fake *fake = f->host->fake;
	const struct kd_module *const *list;
	uint64_t array;
	char where[128];
	size_t n;

	fake_host_lock(f->host);
	array = kd_fake_alloc(fake, 0x2000);
	kd_fake_put_word(fake, f->unloaded, array);
	kd_fake_put_word(fake, f->unloaded + 0x10, 2); /* the next slot to be written */
	for (size_t i = 0; i < 50; i++)
		put_slot(fake, array, i, fake->kernel_base - 0x1000000 + i * 0x2000);
	kd_fake_put_word(fake, array + 7 * (fake->word == 8 ? 0x28 : 0x18), 0); /* no name */
	fake_host_unlock(f->host);
	ok(kd_module_list(f->s, &list, &n, &err));
	assert_int_equal(n, 6); /* only when asked for: each name is a request */
	ok(kd_module_reload(f->s, NULL, &err));
	ok(kd_module_list(f->s, &list, &n, &err));
	assert_int_equal(n, 6 + 49);
	assert_string_equal(list[6]->image_name, "old02");
	assert_string_equal(list[n - 1]->image_name, "old01");
	assert_true(list[6]->is_unloaded && list[6]->size == 0x1000);
	kd_symbol_format(f->s, list[6]->base + 4, where, sizeof where);
	assert_string_equal(where, "<Unloaded_old02>+0x4");
	ok(kd_module_reload(f->s, NULL, &err));
	ok(kd_module_list(f->s, &list, &n, &err));
	assert_int_equal(n, 6 + 49); /* not twice */
}

static void test_damaged_list(void **state)
{
	struct fixture *f = *state;
	const struct kd_module *const *list;
	size_t n;

	fake_host_lock(f->host);
	kd_fake_put_word(f->host->fake, f->host->fake->modules[2].entry, 0x41414140);
	fake_host_unlock(f->host);
	assert_int_equal(kd_module_list(f->s, &list, &n, &err), KD_E_MALFORMED);
	assert_int_equal(n, 6); /* both ends of it */
	assert_non_null(strstr(err.text, "after 3 entries"));
	assert_non_null(kd_module_find(f->s, f->machine->module));
}

static void test_no_list(void **state)
{
	struct fixture *f = *state;
	const struct kd_module *const *list;
	size_t n;

	fake_host_lock(f->host);
	kd_fake_put_word(f->host->fake, f->host->fake->module_list, 0);
	kd_fake_put_word(f->host->fake, f->host->fake->module_list + f->host->fake->word, 0);
	fake_host_unlock(f->host);
	kd_memory_flush(f->s); /* the head lies next to KDBG's list */
	/* Early at boot: the kernel alone, and what the user tells. */
	ok(kd_module_list(f->s, &list, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(list[0]->name, "nt");
	assert_int_equal(list[0]->size, 0x8000);
	ok(kd_module_add(f->s, "mine.sys", f->base, 0, &err));
	ok(kd_module_list(f->s, &list, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(list[1]->name, "mine");
	assert_int_equal(kd_module_add(f->s, "bad", f->base + 1, 0x1000, &err), KD_E_INVALID);
	assert_int_equal(kd_module_add(f->s, "bad", f->base, UINT32_MAX, &err), KD_E_INVALID);
}

/* --- symbol files --- */

static void test_missing_pdb(void **state)
{
	struct fixture *f = *state;
	struct kd_symbol symbol;
	const char *path = text("%s;srv*%s/none*https://example.invalid/x", f->folder, f->folder);
	uint64_t before;

	ok(kd_symbol_path_set(f->s, path, &err));
	assert_int_equal(kd_module_load_symbols(f->s, module(f), &err), KD_E_NOT_FOUND);
	assert_int_equal(module(f)->symbols, KD_SYMBOLS_EXPORT);
	assert_non_null(strstr(err.text, module(f)->pdb_name));
	assert_non_null(strstr(err.text, module(f)->pdb_id));
	assert_string_equal(module(f)->symbol_note, err.text);
	assert_string_equal(module(f)->symbol_file, "");
	assert_string_equal(module(f)->pdb_name, text("%s.pdb", f->machine->module));
	assert_non_null(strstr(kd_symbol_search_log(f->s), "example.invalid"));
	assert_non_null(strstr(kd_symbol_search_log(f->s), text("%s/none", f->folder)));
	/* The exports serve, and are marked. */
	ok(kd_symbol_find(f->s, text("%s!Outer", f->machine->module), &symbol, &err));
	assert_true(symbol.is_export_only && symbol.is_function);
	assert_int_equal(kd_symbol_find(f->s, text("%s!Inner", f->machine->module), &symbol, &err),
			 KD_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "only exports"));
	/* A miss is remembered. */
	before = requests(f);
	assert_int_equal(kd_module_load_symbols(f->s, module(f), &err), KD_E_NOT_FOUND);
	assert_int_equal(requests(f), before);
}

static void test_wrong_pdb(void **state)
{
	struct fixture *f = *state;
	const struct machine *other = f->machine == machines ? &machines[1] : &machines[0];

	put_file(f, text("%s.pdb", f->machine->module), other->pdb);
	assert_int_equal(kd_module_load_symbols(f->s, module(f), &err), KD_E_MISMATCH);
	assert_non_null(strstr(err.text, module(f)->pdb_id));
	assert_int_equal(module(f)->symbols, KD_SYMBOLS_EXPORT);
	/* The right one comes; a new look finds it. */
	with_pdb(f);
	assert_string_equal(module(f)->symbol_file,
			    text("%s/%s.pdb", f->folder, f->machine->module));
	assert_string_equal(module(f)->symbol_note, "");
}

static void test_store(void **state)
{
	struct fixture *f = *state;
	const char *name = text("%s.pdb", f->machine->module);
	char folder[200];

	assert_int_equal(kd_module_load_symbols(f->s, module(f), &err), KD_E_NOT_FOUND);
	snprintf(folder, sizeof folder, "%s/%s", f->folder, name);
	assert_int_equal(mkdir(folder, 0700), 0);
	snprintf(folder, sizeof folder, "%s/%s/%s", f->folder, name, module(f)->pdb_id);
	assert_int_equal(mkdir(folder, 0700), 0);
	put_file(f, text("%s/%s/%s", name, module(f)->pdb_id, name), f->machine->pdb);
	ok(kd_symbol_path_set(f->s, text("srv*%s", f->folder), &err));
	ok(kd_module_load_symbols(f->s, module(f), &err));
	assert_int_equal(module(f)->symbols, KD_SYMBOLS_PRIVATE);
}

/* --- a running target --- */

static void test_running(void **state)
{
	struct fixture *f = *state;
	const struct kd_module *const *list;
	struct kd_instruction insn;
	struct kd_frame frame;
	char where[64], note[64];
	uint64_t v;
	size_t n;

	ok(kd_module_list(f->s, &list, &n, &err));
	ok(kd_session_go(f->s, KD_GO, &err));
	ok(kd_module_list(f->s, &list, &n, &err)); /* known */
	assert_int_equal(n, 6);
	kd_symbol_format(f->s, f->base + 0x20, where, sizeof where);
	assert_string_equal(where, text("%s+0x20", f->machine->module));
	ok(kd_expression_evaluate(f->s, "1+1", NULL, &v, &err));
	assert_int_equal(kd_code_decode(f->s, f->base, &insn, &err), KD_E_RUNNING);
	assert_int_equal(kd_stack_walk(f->s, &frame, 1, &n, note, sizeof note, &err), KD_E_RUNNING);
	assert_int_equal(kd_module_load_symbols(f->s, module(f), &err), KD_E_RUNNING);
	assert_int_equal(module(f)->symbols, KD_SYMBOLS_DEFERRED);
	assert_int_equal(kd_module_reload(f->s, NULL, &err), KD_E_RUNNING);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_modules),         BOTH(test_notices),      BOTH(test_silent_load),
		BOTH(test_unloaded_before), BOTH(test_damaged_list), BOTH(test_no_list),
		BOTH(test_missing_pdb),     BOTH(test_wrong_pdb),    BOTH(test_store),
		BOTH(test_running),
	};

	return world_main("session_modules", argc, argv, tests, KD_ARRAY_LEN(tests));
}
