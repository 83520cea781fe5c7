/* SPDX-License-Identifier: MIT */
/*
 * What a session knows without running anything: modules, symbols, types, expressions, code and
 * stacks, of an image made from static_image.c that lies in the fake target's memory. Arguments:
 * image and PDB for x64, image and PDB for x86.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openkd/code.h>
#include <openkd/event.h>
#include <openkd/expression.h>
#include <openkd/memory.h>
#include <openkd/module.h>
#include <openkd/register.h>
#include <openkd/symbol.h>

#include "lib/base.h"
#include "lib/sym/pe.h"
#include "tests/engine/fake_host.h"

struct machine {
	uint16_t number;
	const char *image, *pdb; /* files */
	const char *module;      /* name */
};

static struct machine machines[] = {
	{ .number = KD_MACHINE_AMD64, .module = "static_x86_64" },
	{ .number = KD_MACHINE_X86, .module = "static_i686" },
};

struct fixture {
	const struct machine *machine;
	struct fake_host *host;
	struct kd_session *s;
	uint64_t base, unloaded; /* the image; where MmUnloadedDrivers is */
	char folder[64];         /* an empty one, the symbol path */
};

static struct kd_error err;

static void ok(enum kd_status status)
{
	if (status != KD_OK)
		fail_msg("status %d: %s", status, err.text);
}

/* The image as a loader lays it out. It is linked to where it goes: no relocation. */
static uint8_t *load(const char *path, uint32_t *size_ret, uint64_t *base_ret)
{
	struct kd_mapping map;
	struct kd_pe pe;
	size_t done;
	uint8_t *bytes;

	ok(kd_mapping_open(path, &map, &err));
	ok(kd_pe_open(&pe, kd_mapping_read, &map, 0, true, &err));
	bytes = calloc(1, pe.size_of_image);
	assert_non_null(bytes);
	memcpy(bytes, map.bytes, KD_MIN(map.size, pe.size_of_headers));
	for (size_t i = 0; i < pe.n_sections; i++)
		kd_pe_read(&pe, pe.sections[i].rva, bytes + pe.sections[i].rva,
			   pe.sections[i].virtual_size, &done);
	*size_ret = pe.size_of_image;
	*base_ret = pe.is_64 ? pe.image_base : (uint64_t)(int64_t)(int32_t)pe.image_base;
	kd_mapping_close(&map);
	return bytes;
}

static void add_image(struct fixture *f)
{
	char name[64];
	uint32_t size;
	uint8_t *bytes = load(f->machine->image, &size, &f->base);

	snprintf(name, sizeof name, "%s.sys", f->machine->module);
	fake_host_lock(f->host);
	assert_non_null(kd_fake_add_image(f->host->fake, name, f->base, size, bytes, size));
	fake_host_unlock(f->host);
	free(bytes);
}

static struct kd_event wait_for(struct kd_session *s, enum kd_event_kind kind)
{
	struct kd_event event;

	do {
		ok(kd_session_wait(s, 5000, &event, &err));
	} while (event.kind != kind);
	return event;
}

static void put_kdbg(struct kd_fake *fake, const char *name, uint64_t value)
{
	const struct kd_kdbg_field *field = kd_kdbg_find(name);
	uint8_t bytes[8];

	kd_put_sized(bytes, 8, value);
	kd_fake_write(fake, fake->kdbg + field->offset, bytes, field->size);
}

static int set_up_machine(void **state, const struct machine *machine)
{
	struct kd_session_options options = KD_SESSION_OPTIONS_INIT;
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	setenv("XDG_STATE_HOME", "/tmp/openkd-test-state", 1);
	setenv("XDG_RUNTIME_DIR", "/tmp", 0);
	f->machine = machine;
	strcpy(f->folder, "/tmp/openkd-static-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->host = fake_host_start(&(struct kd_fake_config){ .machine = machine->number });
	fake_host_lock(f->host);
	for (int i = 0; i < 4; i++) {
		char name[32];

		snprintf(name, sizeof name, "Driver%d.sys", i);
		kd_fake_add_module(f->host->fake, name, 0x3000);
	}
	f->unloaded = kd_fake_alloc(f->host->fake, 0x1000);
	put_kdbg(f->host->fake, "MmUnloadedDrivers", f->unloaded);
	put_kdbg(f->host->fake, "MmLastUnloadedDriver", f->unloaded + 0x10);
	fake_host_unlock(f->host);
	add_image(f);
	options.initial_break = true;
	options.symbol_path = f->folder;
	ok(kd_session_create(f->host->endpoint, &options, &f->s, &err));
	wait_for(f->s, KD_EVENT_STOP);
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_machine(state, &machines[0]);
}

static int set_up_x86(void **state)
{
	return set_up_machine(state, &machines[1]);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[160];

	kd_session_destroy(f->s);
	fake_host_stop(f->host);
	snprintf(command, sizeof command, "rm -r '%s'", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static uint64_t requests(const struct fixture *f)
{
	struct kd_session_counters c;

	kd_session_counters(f->s, &c);
	return c.requests;
}

/* A link to `target` in the symbol folder. */
static void put_file(const struct fixture *f, const char *name, const char *target)
{
	char path[256], full[4096];

	assert_non_null(realpath(target, full));
	snprintf(path, sizeof path, "%s/%s", f->folder, name);
	unlink(path);
	assert_int_equal(symlink(full, path), 0);
}

static const struct kd_module *module(const struct fixture *f)
{
	const struct kd_module *m = kd_module_find(f->s, f->machine->module);

	assert_non_null(m);
	return m;
}

static void with_pdb(const struct fixture *f)
{
	char name[64];

	snprintf(name, sizeof name, "%s.pdb", f->machine->module);
	put_file(f, name, f->machine->pdb);
	ok(kd_module_reload(f->s, f->machine->module, &err));
	assert_int_equal(module(f)->symbols, KD_SYMBOLS_DEFERRED);
	ok(kd_module_load_symbols(f->s, module(f), &err));
	assert_int_equal(module(f)->symbols, KD_SYMBOLS_PRIVATE);
}

static const char *text(const char *fmt, ...) KD_PRINTF(1, 2);
static const char *text(const char *fmt, ...)
{
	static char out[4][256];
	static unsigned n;
	va_list ap;

	n++;
	va_start(ap, fmt);
	vsnprintf(out[n % 4], sizeof out[0], fmt, ap);
	va_end(ap);
	return out[n % 4];
}

static uint64_t eval(const struct fixture *f, const char *expression)
{
	uint64_t value = 0;

	if (kd_expression_evaluate(f->s, expression, NULL, &value, &err) != KD_OK)
		fail_msg("%s: %s", expression, err.text);
	return value;
}

static uint64_t address_of(const struct fixture *f, const char *name)
{
	return eval(f, text("%s!%s", f->machine->module, name));
}

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

/* --- symbols --- */

struct found {
	size_t n;
	char names[64][64];
	uint64_t last;
};

static bool note_symbol(void *context, const struct kd_symbol *symbol)
{
	struct found *found = context;

	assert_true(symbol->address >= found->last);
	found->last = symbol->address;
	if (found->n < 64)
		snprintf(found->names[found->n++], 64, "%.63s", symbol->name);
	return true;
}

static bool note_text(void *context, const char *name)
{
	struct found *found = context;

	if (found->n < 64)
		snprintf(found->names[found->n++], 64, "%.63s", name);
	return true;
}

static size_t count(const struct found *found, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < found->n; i++)
		n += !strcmp(found->names[i], name);
	return n;
}

static void test_symbols(void **state)
{
	struct fixture *f = *state;
	const char *m = f->machine->module;
	struct kd_symbol symbol, other;
	uint64_t displacement;
	char where[128];

	with_pdb(f);
	ok(kd_symbol_find(f->s, text("%s!Inner", m), &symbol, &err));
	assert_string_equal(symbol.name, "Inner");
	assert_true(symbol.is_function && !symbol.is_export_only && symbol.size > 4);
	assert_true(symbol.module == module(f));
	ok(kd_symbol_find(f->s, "inner", &other, &err));
	assert_true(other.address == symbol.address);
	ok(kd_symbol_find(f->s, m, &other, &err));
	assert_true(other.address == f->base);
	ok(kd_symbol_at(f->s, symbol.address + 3, &other, &displacement, &err));
	assert_string_equal(other.name, "Inner");
	assert_int_equal(displacement, 3);
	ok(kd_symbol_after(f->s, symbol.address, &other, &err));
	assert_true(other.address > symbol.address);
	kd_symbol_format(f->s, symbol.address + 3, where, sizeof where);
	assert_string_equal(where, text("%s!Inner+0x3", m));
	kd_symbol_format(f->s, symbol.address, where, sizeof where);
	assert_string_equal(where, text("%s!Inner", m));
	kd_symbol_format(f->s, f->base + 0x10, where, sizeof where); /* headers: no symbol there */
	assert_string_equal(where, text("%s+0x10", m));
	kd_symbol_format(f->s, f->base - 0x10, where, sizeof where);
	assert_string_equal(where, "");
	assert_int_equal(kd_symbol_find(f->s, "nomod!x", &symbol, &err), KD_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "no module 'nomod'"));
	assert_int_equal(kd_symbol_find(f->s, text("%s!nosuch", m), &symbol, &err), KD_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "has no symbol 'nosuch'"));
	assert_int_equal(kd_symbol_find(f->s, "nosuch", &symbol, &err), KD_E_NOT_FOUND);
	assert_int_equal(kd_symbol_at(f->s, f->base - 1, &symbol, &displacement, &err),
			 KD_E_NOT_FOUND);
}

static void test_bounds_and_lines(void **state)
{
	struct fixture *f = *state;
	uint64_t inner, begin, end, displacement, address;
	struct kd_symbol symbol;
	char file[256];
	uint32_t line;

	with_pdb(f);
	inner = address_of(f, "Inner");
	ok(kd_symbol_find(f->s, "Inner", &symbol, &err));
	ok(kd_symbol_function_bounds(f->s, inner + 2, &begin, &end, &err));
	assert_true(begin == inner && end == inner + symbol.size);
	ok(kd_symbol_line(f->s, inner, file, sizeof file, &line, &displacement, &err));
	assert_non_null(strstr(file, "static_image.c"));
	assert_int_equal(displacement, 0);
	ok(kd_symbol_line_address(f->s, NULL, "static_image.c", line, &address, &err));
	assert_true(address == inner);
	assert_true(eval(f, text("`static_image.c:%u`", line)) == inner);
	assert_true(eval(f, text("`%s!static_image.c:%u`", f->machine->module, line)) == inner);
	assert_int_equal(
		kd_symbol_line_address(f->s, f->machine->module, "other.c", 1, &address, &err),
		KD_E_NOT_FOUND);
	assert_int_equal(
		kd_symbol_line(f->s, f->base, file, sizeof file, &line, &displacement, &err),
		KD_E_NOT_FOUND);
}

static void test_lists_of_symbols(void **state)
{
	struct fixture *f = *state;
	struct found found = { 0 };

	with_pdb(f);
	ok(kd_symbol_enumerate(f->s, text("%s!*", f->machine->module), note_symbol, &found, &err));
	assert_int_equal(count(&found, "Inner"), 1); /* private and public: told once */
	assert_int_equal(count(&found, "StaticBox"), 1);
	found = (struct found){ 0 };
	ok(kd_symbol_enumerate(f->s, "static*!?n[m-o]er", note_symbol, &found, &err));
	assert_int_equal(found.n, 1);
	assert_string_equal(found.names[0], "Inner");
	found = (struct found){ 0 };
	ok(kd_symbol_enumerate(f->s, "static*!nosuch*", note_symbol, &found, &err));
	assert_int_equal(found.n, 0);
	assert_int_equal(kd_symbol_enumerate(f->s, "nomod!*", note_symbol, &found, &err),
			 KD_E_NOT_FOUND);
	assert_int_equal(kd_symbol_enumerate(f->s, "static*![", note_symbol, &found, &err),
			 KD_E_SYNTAX);

	kd_symbol_complete(f->s, "dri", 100, note_text, &found);
	assert_int_equal(found.n, 4);
	assert_string_equal(found.names[0], "driver0!");
	found = (struct found){ 0 };
	kd_symbol_complete(f->s, text("%s!StaticB", f->machine->module), 100, note_text, &found);
	assert_int_equal(found.n, 1);
	assert_string_equal(found.names[0], text("%s!StaticBox", f->machine->module));
	found = (struct found){ 0 };
	kd_symbol_complete(f->s, "statiC", 2, note_text, &found);
	assert_int_equal(found.n, 2);
}

/* --- types --- */

static void test_types(void **state)
{
	struct fixture *f = *state;
	bool x64 = f->machine->number == KD_MACHINE_AMD64;
	struct kd_type box, element;
	struct kd_field_info field;
	struct found found = { 0 };
	uint64_t n, address;
	char out[64];

	with_pdb(f);
	ok(kd_type_find(f->s, "_STATIC_BOX", &box, &err));
	assert_int_equal(kd_type_kind(f->s, box), KD_TYPE_STRUCT);
	assert_int_equal(kd_type_size(f->s, box), x64 ? 0x70 : 0x44);
	kd_type_format(f->s, box, out, sizeof out);
	assert_string_equal(out, "_STATIC_BOX");
	ok(kd_type_member(f->s, box, 0, &field));
	assert_string_equal(field.name, "Link");
	ok(kd_type_field(f->s, box, "Link.Key", &field, &err));
	assert_int_equal(field.offset, x64 ? 8 : 4);
	kd_type_format(f->s, field.type, out, sizeof out);
	assert_string_equal(out, "Uint4B");
	ok(kd_type_field(f->s, box, "Rows[2].Key", &field, &err));
	assert_int_equal(field.offset, x64 ? 0x18 + 2 * 0x10 + 8 : 0x10 + 2 * 8 + 4);
	ok(kd_type_field(f->s, box, "Rows[0x3]", &field, &err));
	assert_int_equal(kd_type_kind(f->s, field.type), KD_TYPE_STRUCT);
	ok(kd_type_field(f->s, box, "Name", &field, &err));
	kd_type_format(f->s, field.type, out, sizeof out);
	assert_string_equal(out, "[16] UChar");
	ok(kd_type_element(f->s, field.type, &element, &n));
	assert_int_equal(n, 16);
	ok(kd_type_field(f->s, box, "Parent", &field, &err));
	kd_type_format(f->s, field.type, out, sizeof out);
	assert_string_equal(out, x64 ? "Ptr64 _STATIC_BOX" : "Ptr32 _STATIC_BOX");
	ok(kd_type_field(f->s, box, "State", &field, &err));
	assert_int_equal(kd_type_kind(f->s, field.type), KD_TYPE_ENUM);
	ok(kd_type_enumerator(f->s, field.type, 5, out, sizeof out));
	assert_string_equal(out, "StaticBusy");
	ok(kd_type_enumerator(f->s, field.type, 0xFFFFFFFF, out, sizeof out));
	assert_string_equal(out, "StaticBroken");
	assert_int_equal(kd_type_enumerator(f->s, field.type, 9, out, sizeof out), KD_E_NOT_FOUND);
	ok(kd_type_field(f->s, box, "High", &field, &err));
	assert_int_equal(field.bit_position, 3);
	assert_int_equal(field.bit_length, 29);
	assert_int_equal(kd_type_size(f->s, field.type), 4);
	assert_int_equal(kd_type_field(f->s, box, "Nothing", &field, &err), KD_E_NOT_FOUND);
	assert_string_equal(err.text, "_STATIC_BOX has no member 'Nothing'");
	assert_int_equal(kd_type_field(f->s, box, "Link.", &field, &err), KD_E_SYNTAX);
	assert_int_equal(kd_type_field(f->s, box, "Link[1]", &field, &err), KD_E_NOT_FOUND);
	assert_int_equal(kd_type_field(f->s, box, "Rows[x]", &field, &err), KD_E_SYNTAX);
	assert_int_equal(kd_type_field(f->s, box, "Rows[1", &field, &err), KD_E_SYNTAX);
	assert_int_equal(kd_type_field(f->s, box, "", &field, &err), KD_E_SYNTAX);
	assert_int_equal(kd_type_member(f->s, box, 1000, &field), KD_E_NOT_FOUND);
	assert_int_equal(kd_type_find(f->s, "_NO_SUCH", &box, &err), KD_E_NOT_FOUND);
	ok(kd_type_of_symbol(f->s, text("%s!StaticBox", f->machine->module), &box, &address, &err));
	kd_type_format(f->s, box, out, sizeof out);
	assert_string_equal(out, "_STATIC_BOX");
	assert_true(address == address_of(f, "StaticBox"));
	ok(kd_type_enumerate(f->s, "static*!_STATIC_*", note_text, &found, &err));
	assert_int_equal(count(&found, text("%s!_STATIC_BOX", f->machine->module)), 1);
	assert_int_equal(count(&found, text("%s!_STATIC_LINK", f->machine->module)), 1);
}

/* --- expressions --- */

static void test_expressions(void **state)
{
	struct fixture *f = *state;
	const char *m = f->machine->module;
	bool x64 = f->machine->number == KD_MACHINE_AMD64;
	uint64_t v, before;

	with_pdb(f);
	assert_true(eval(f, m) == f->base);
	assert_int_equal(eval(f, text("dwo(%s!StaticCounter)", m)), 0x11223344);
	assert_int_equal(eval(f, "dwo(StaticCounter)"), 0x11223344);
	assert_int_equal(eval(f, text("%s!Inner - %s", m, m)), address_of(f, "Inner") - f->base);
	assert_true(eval(f, "nt") == f->host->fake->kernel_base);
	assert_int_equal(eval(f, "@nt"), 0); /* the flag */
	assert_true(eval(f, "$ip") == eval(f, x64 ? "@rip" : "@eip"));
	assert_true(eval(f, x64 ? "rsp" : "esp") == eval(f, "$csp"));
	assert_int_equal(eval(f, "$ptrsize"), x64 ? 8 : 4);
	assert_int_equal(eval(f, "@$pagesize"), 0x1000);
	ok(kd_pseudo_set(f->s, "$t3", 0x77, &err));
	assert_int_equal(eval(f, "$t3 + @$t4"), 0x77);
	assert_int_equal(kd_pseudo_set(f->s, "$t20", 1, &err), KD_E_NOT_FOUND);
	assert_int_equal(kd_pseudo_set(f->s, "$ip", 1, &err), KD_E_NOT_FOUND);
	kd_pseudo_note(f->s, "$exp", 0x99);
	assert_int_equal(eval(f, "$exp"), 0x99);
	assert_true(eval(f, text("$iment(%s)", m)) != 0);
	assert_int_equal(eval(f, text("$vvalid(%s, 100)", m)), 1);
	assert_int_equal(eval(f, "$vvalid(10, 1)"), 0);
	assert_int_equal(kd_expression_evaluate(f->s, "$nosuch", NULL, &v, &err), KD_E_NOT_FOUND);
	assert_string_equal(err.text, "there is no pseudo-register $nosuch");
	assert_int_equal(kd_expression_evaluate(f->s, "poi(10)", NULL, &v, &err), KD_E_UNREADABLE);
	assert_int_equal(kd_expression_evaluate(f->s, "1 + nosuch", NULL, &v, &err),
			 KD_E_NOT_FOUND);
	assert_int_equal(err.where, 4);
	ok(kd_expression_set_radix(f->s, 10));
	assert_int_equal(eval(f, "10"), 10);
	assert_int_equal(kd_expression_set_radix(f->s, 7), KD_E_INVALID);
	/* Numbers and registers ask the target for nothing (once the registers are here). */
	before = requests(f);
	eval(f, x64 ? "rax + rbx + 5" : "eax + ebx + 5");
	assert_int_equal(requests(f), before);
}

/* --- code --- */

static void test_code(void **state)
{
	struct fixture *f = *state;
	uint64_t at, end, starts[64] = { 0 }, before;
	struct kd_instruction insn;
	size_t n = 0, n_calls = 0;
	char line[256];

	with_pdb(f);
	ok(kd_symbol_function_bounds(f->s, address_of(f, "Middle"), &at, &end, &err));
	before = requests(f);
	for (; at < end; at += insn.size) {
		starts[n++] = at;
		ok(kd_code_decode(f->s, at, &insn, &err));
		assert_true(insn.is_valid && n < 64);
		n_calls += insn.flow == KD_FLOW_CALL && insn.target == address_of(f, "Inner");
	}
	assert_true(requests(f) - before <= 2);
	assert_int_equal(n_calls, 2);
	for (size_t i = 1; i < n; i++) {
		uint64_t back;

		ok(kd_code_before(f->s, starts[i], (unsigned)i, &back, &err));
		assert_true(back == starts[0]);
		ok(kd_code_before(f->s, starts[i], 1, &back, &err));
		assert_true(back == starts[i - 1]);
	}
	/* Over the start of the function: what is before it is decoded too. */
	ok(kd_code_before(f->s, starts[1], 3, &at, &err));
	assert_true(at < starts[0]);
	assert_int_equal(kd_code_before(f->s, 0x1000, 4, &at, &err), KD_E_NOT_FOUND);
	assert_int_equal(kd_code_decode(f->s, 0x10, &insn, &err), KD_E_UNREADABLE);
	/* The first call, as u prints it. */
	for (size_t i = 0; i < n; i++) {
		ok(kd_code_decode(f->s, starts[i], &insn, &err));
		if (insn.flow == KD_FLOW_CALL)
			break;
	}
	snprintf(line, sizeof line, "%s %s", insn.mnemonic, insn.operands);
	assert_memory_equal(line, text("call %s!Inner (", f->machine->module),
			    strlen(f->machine->module) + 13);
}

/* --- stacks --- */

/* After the call in `caller` to `callee`. */
static uint64_t return_address(const struct fixture *f, const char *caller, const char *callee)
{
	uint64_t at, end, target = address_of(f, callee);
	struct kd_instruction insn;

	ok(kd_symbol_function_bounds(f->s, address_of(f, caller), &at, &end, &err));
	for (; at < end; at += insn.size) {
		ok(kd_code_decode(f->s, at, &insn, &err));
		if (insn.flow == KD_FLOW_CALL && insn.target == target)
			return at + insn.size;
	}
	fail_msg("%s does not call %s", caller, callee);
	return 0;
}

/* Bytes that a prologue of pushes and one `sub rsp` takes. */
static uint64_t frame_size(const struct fixture *f, const char *function)
{
	uint64_t at = address_of(f, function), size = 0;
	struct kd_instruction insn;

	for (;; at += insn.size) {
		ok(kd_code_decode(f->s, at, &insn, &err));
		if (!strcmp(insn.mnemonic, "push"))
			size += 8;
		else if (!strcmp(insn.mnemonic, "sub") && !strncmp(insn.operands, "rsp,", 4))
			return size + strtoull(insn.operands + 4, NULL, 16);
		else
			return size;
	}
}

struct scene {
	uint64_t stack, sp, middle, outer, entry;
};

/* The processor stands at Inner's first instruction, called by Middle, Outer and NtEntry. */
static void lay_out(struct fixture *f, struct scene *scene)
{
	struct kd_fake *fake = f->host->fake;
	bool x64 = fake->word == 8;
	uint64_t sp;

	scene->middle = return_address(f, "Middle", "Inner");
	scene->outer = return_address(f, "Outer", "Middle");
	scene->entry = return_address(f, "NtEntry", "Outer");
	fake_host_lock(f->host);
	scene->stack = kd_fake_alloc(fake, 0x2000);
	sp = scene->sp = scene->stack + 0x1000;
	kd_fake_put_word(fake, sp, scene->middle);
	if (x64) {
		fake_host_unlock(f->host);
		uint64_t sizes[3] = { frame_size(f, "Middle"), frame_size(f, "Outer"),
				      frame_size(f, "NtEntry") };
		fake_host_lock(f->host);
		kd_fake_put_word(fake, sp + 8 + sizes[0], scene->outer);
		kd_fake_put_word(fake, sp + 16 + sizes[0] + sizes[1], scene->entry);
		kd_fake_put_word(fake, sp + 24 + sizes[0] + sizes[1] + sizes[2], 0);
	} else {
		uint64_t ebp = sp + 0x20;

		kd_fake_put_word(fake, ebp, ebp + 0x20);
		kd_fake_put_word(fake, ebp + 4, scene->outer);
		kd_fake_put_word(fake, ebp + 0x20, ebp + 0x40);
		kd_fake_put_word(fake, ebp + 0x24, scene->entry);
		kd_fake_put_word(fake, ebp + 0x40, 0);
		kd_fake_put_word(fake, ebp + 0x44, 0);
	}
	fake_host_unlock(f->host);
}

static void enter(struct fixture *f, const struct scene *scene)
{
	bool x64 = f->host->fake->word == 8;

	ok(kd_register_set(f->s, x64 ? "rip" : "eip", address_of(f, "Inner"), &err));
	ok(kd_register_set(f->s, x64 ? "rsp" : "esp", scene->sp, &err));
	if (!x64)
		ok(kd_register_set(f->s, "ebp", scene->sp + 0x20, &err));
	kd_memory_flush(f->s);
}

static void check_stack(struct fixture *f, const struct scene *scene)
{
	struct kd_frame frames[32];
	uint64_t before;
	size_t n;
	char note[160];

	enter(f, scene);
	before = requests(f);
	ok(kd_stack_walk(f->s, frames, 32, &n, note, sizeof note, &err));
	print_message("a stack of %zu frames: %u requests\n", n, (unsigned)(requests(f) - before));
	assert_int_equal(n, 4);
	assert_string_equal(note, "");
	assert_true(frames[0].pc == address_of(f, "Inner"));
	assert_true(frames[0].return_address == scene->middle);
	assert_true(frames[1].pc == scene->middle);
	assert_true(frames[2].pc == scene->outer);
	assert_true(frames[3].pc == scene->entry);
	assert_int_equal(frames[3].return_address, 0);
	assert_true(eval(f, "$ra") == scene->middle);
	/* Another time: the unwind data are here. */
	kd_memory_flush(f->s);
	before = requests(f);
	ok(kd_stack_walk(f->s, frames, 32, &n, note, sizeof note, &err));
	print_message("the same again: %u requests\n", (unsigned)(requests(f) - before));
	assert_true(requests(f) - before <= 6);
}

static void test_stack(void **state)
{
	struct fixture *f = *state;
	bool x64 = f->machine->number == KD_MACHINE_AMD64;
	struct kd_frame frames[8];
	struct scene scene;
	uint8_t context[KD_CONTEXT_MAX];
	const struct kd_reg_layout *layout = kd_context_layout(f->machine->number);
	size_t n, size;
	char note[160];

	with_pdb(f);
	lay_out(f, &scene);
	check_stack(f, &scene);
	/* With the image at hand as a file. */
	put_file(f, text("%s.sys", f->machine->module), f->machine->image);
	ok(kd_module_reload(f->s, f->machine->module, &err));
	check_stack(f, &scene);

	ok(kd_stack_frame_context(f->s, 2, context, sizeof context, &size, &err));
	assert_int_equal(size, layout->size);
	ok(kd_context_set(f->s, context, size, &err));
	assert_true(eval(f, "$ip") == scene.outer);
	ok(kd_stack_walk(f->s, frames, 8, &n, note, sizeof note, &err));
	assert_int_equal(n, 2);
	ok(kd_context_set(f->s, NULL, 0, &err));
	assert_int_equal(kd_stack_frame_context(f->s, 4, context, sizeof context, &size, &err),
			 KD_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "only 4 frames"));
	if (x64) {
		ok(kd_stack_walk_from(f->s, scene.sp, address_of(f, "Inner"), frames, 8, &n, note,
				      sizeof note, &err));
		assert_int_equal(n, 4);
	}
}

/* Without a PDB .pdata is enough for x64. */
static void test_stack_without_symbols(void **state)
{
	struct fixture *f = *state;
	struct kd_frame frames[8];
	struct scene scene;
	uint64_t inner, begin, end;
	size_t n;
	char note[160];

	with_pdb(f);
	lay_out(f, &scene);
	enter(f, &scene);
	inner = address_of(f, "Inner");
	ok(kd_symbol_path_set(f->s, "", &err));
	ok(kd_module_reload(f->s, f->machine->module, &err));
	assert_int_equal(kd_module_load_symbols(f->s, module(f), &err), KD_E_NOT_FOUND);
	assert_int_equal(module(f)->symbols, KD_SYMBOLS_EXPORT);
	ok(kd_stack_walk(f->s, frames, 8, &n, note, sizeof note, &err));
	assert_int_equal(n, 4);
	assert_true(frames[3].pc == scene.entry);
	ok(kd_symbol_function_bounds(f->s, scene.middle, &begin, &end, &err));
	assert_true(begin > inner && scene.middle > begin && scene.middle < end);
	/* The middle of the stack is paged out. */
	fake_host_lock(f->host);
	kd_fake_unmap(f->host->fake, scene.stack + 0x1000, 0x1000);
	fake_host_unlock(f->host);
	kd_memory_flush(f->s);
	ok(kd_stack_walk(f->s, frames, 8, &n, note, sizeof note, &err));
	assert_int_equal(n, 1);
	assert_non_null(strstr(note, "not readable"));
}

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

#define BOTH(test)                                              \
	{ #test " x64", test, set_up, tear_down, NULL },        \
	{                                                       \
#test " x86", test, set_up_x86, tear_down, NULL \
	}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_modules),
		BOTH(test_notices),
		BOTH(test_silent_load),
		BOTH(test_unloaded_before),
		BOTH(test_damaged_list),
		BOTH(test_no_list),
		BOTH(test_missing_pdb),
		BOTH(test_wrong_pdb),
		BOTH(test_store),
		BOTH(test_symbols),
		BOTH(test_bounds_and_lines),
		BOTH(test_lists_of_symbols),
		BOTH(test_types),
		BOTH(test_expressions),
		BOTH(test_code),
		BOTH(test_stack),
		{ "test_stack_without_symbols", test_stack_without_symbols, set_up, tear_down,
		  NULL },
		BOTH(test_running),
	};

	if (argc != 5) {
		fprintf(stderr, "usage: %s X64-IMAGE X64-PDB X86-IMAGE X86-PDB\n", argv[0]);
		return 2;
	}
	machines[0].image = argv[1];
	machines[0].pdb = argv[2];
	machines[1].image = argv[3];
	machines[1].pdb = argv[4];
	return cmocka_run_group_tests_name("static_session", tests, NULL, NULL);
}
