/* SPDX-License-Identifier: MIT */
#include "tests/engine/static_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/sym/pe.h"

struct machine machines[] = {
	{ .number = KD_MACHINE_AMD64, .module = "static_x86_64" },
	{ .number = KD_MACHINE_X86, .module = "static_i686" },
};

struct kd_error err;

void ok(enum kd_status status)
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

struct kd_event wait_for(struct kd_session *s, enum kd_event_kind kind)
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

int set_up(void **state)
{
	return set_up_machine(state, &machines[0]);
}

int set_up_x86(void **state)
{
	return set_up_machine(state, &machines[1]);
}

int tear_down(void **state)
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

uint64_t requests(const struct fixture *f)
{
	struct kd_session_counters c;

	kd_session_counters(f->s, &c);
	return c.requests;
}

/* A link to `target` in the symbol folder. */
void put_file(const struct fixture *f, const char *name, const char *target)
{
	char path[256], full[4096];

	assert_non_null(realpath(target, full));
	snprintf(path, sizeof path, "%s/%s", f->folder, name);
	unlink(path);
	assert_int_equal(symlink(full, path), 0);
}

const struct kd_module *module(const struct fixture *f)
{
	const struct kd_module *m = kd_module_find(f->s, f->machine->module);

	assert_non_null(m);
	return m;
}

void with_pdb(const struct fixture *f)
{
	char name[64];

	snprintf(name, sizeof name, "%s.pdb", f->machine->module);
	put_file(f, name, f->machine->pdb);
	ok(kd_module_reload(f->s, f->machine->module, &err));
	assert_int_equal(module(f)->symbols, KD_SYMBOLS_DEFERRED);
	ok(kd_module_load_symbols(f->s, module(f), &err));
	assert_int_equal(module(f)->symbols, KD_SYMBOLS_PRIVATE);
}

const char *text(const char *fmt, ...)
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

uint64_t eval(const struct fixture *f, const char *expression)
{
	uint64_t value = 0;

	if (kd_expression_evaluate(f->s, expression, NULL, &value, &err) != KD_OK)
		fail_msg("%s: %s", expression, err.text);
	return value;
}

uint64_t address_of(const struct fixture *f, const char *name)
{
	return eval(f, text("%s!%s", f->machine->module, name));
}

int world_main(const char *name, int argc, char **argv, const struct CMUnitTest *tests, size_t n)
{
	if (argc != 5) {
		fprintf(stderr, "usage: %s X64-IMAGE X64-PDB X86-IMAGE X86-PDB\n", argv[0]);
		return 2;
	}
	machines[0].image = argv[1];
	machines[0].pdb = argv[2];
	machines[1].image = argv[3];
	machines[1].pdb = argv[4];
	return _cmocka_run_group_tests(name, tests, n, NULL, NULL);
}
