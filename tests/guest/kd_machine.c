/* SPDX-License-Identifier: MIT */
#include "tests/guest/kd_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"
#include "lib/sym/pdb.h"

const char *kd_machine_images, *kd_machine_run_demo;
unsigned kd_machine_processors = 1;

#define X86                                                                                      \
	.machine = KD_MACHINE_X86, .build = 3790, .version_flags = KD_VERSION_DATA, .pc = "eip", \
	.status = "eax", .kernel_cs = 0x08, .user_cs = 0x1B, .data_block_size = 0x318,           \
	.shared_data = 0xFFFFFFFFFFDF0000, .kpcr_version_block = 0x34,                           \
	.special_address = KD_SPECIAL_OFFSET_X86, .special_size = KD_SPECIAL_SIZE_X86,           \
	.cr3 = 0x08, .dr0 = 0x10, .dr3 = 0x1C, .entry_size = 0x48, .dll_base = 0x18,             \
	.name_length = 0x2C, .name_buffer = 0x30

static const struct kd_machine_arch arches[] = {
	{
		.name = "x64",
		.machine = KD_MACHINE_AMD64,
		.is_64 = true,
		.build = 19041,
		.secondary = 2,
		.version_flags = KD_VERSION_DATA | KD_VERSION_PTR64,
		.pc = "rip",
		.status = "rcx",
		.kernel_cs = 0x10,
		.user_cs = 0x33,
		.data_block_size = 0x380,
		.pte_base = 0xFFFFF68000000000,
		.shared_data = 0xFFFFF78000000000,
		.kpcr_version_block = 0x108,
		.special_address = 2,
		.special_size = 0xF0,
		.cr3 = 0x10,
		.dr0 = 0x20,
		.dr3 = 0x38,
		.entry_size = 0x88,
		.dll_base = 0x30,
		.name_length = 0x58,
		.name_buffer = 0x60,
	},
	{ .name = "x86", .option = { "--arch", "x86" }, .has_pae = true, X86 },
	{ .name = "x86-nopae", .option = { "--arch", "x86", "--no-pae" }, X86 },
};
const struct kd_machine_arch *kd_machine_arch = &arches[0];
static const char *images_root; /* as run-demo wants it */

bool kd_machine_choose(const char *images, const char *run_demo, const char *processors)
{
	static char folder[512];
	const char *name = getenv("KD_DEMO_ARCH");

	kd_machine_arch = NULL;
	for (size_t i = 0; i < sizeof(arches) / sizeof(arches[0]); i++)
		if (strcmp(name ? name : "x64", arches[i].name) == 0)
			kd_machine_arch = &arches[i];
	if (!kd_machine_arch) {
		fprintf(stderr, "KD_DEMO_ARCH: x64, x86 or x86-nopae\n");
		return false;
	}
	snprintf(folder, sizeof(folder), "%s%s", images, kd_machine_arch->is_64 ? "" : "/x86");
	kd_machine_images = folder;
	images_root = images;
	kd_machine_run_demo = run_demo;
	kd_machine_processors = (unsigned)atoi(processors);
	return true;
}

static const struct {
	const char *name, *pdb, *file;
} known_images[KD_MACHINE_N_PDBS] = {
	{ "nt", "ntkrnlmp.pdb", "ntoskrnl.exe" },
	{ "hal", "hal.pdb", "hal.dll" },
	{ "demo", "demo.pdb", "demo.sys" },
	{ "null", "null.pdb", "null.sys" },
};

/* --- the process --- */

static void run_qemu(const struct kd_machine *m, const char *options)
{
	const char *const *o = kd_machine_arch->option;
	char smp[16], log[96];
	int fd;

	snprintf(smp, sizeof(smp), "%u", kd_machine_processors);
	snprintf(log, sizeof(log), "%s/qemu.log", m->folder);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
	}
	execl(kd_machine_run_demo, kd_machine_run_demo, "--images", images_root, "--smp", smp,
	      "--serial", m->socket, "--console", m->console, "--options", options, o[0], o[1],
	      o[2], (char *)NULL);
	_exit(127);
}

bool kd_machine_start(struct kd_machine *m, const char *options)
{
	memset(m, 0, sizeof(*m));
	strcpy(m->folder, "/tmp/openkd-test-XXXXXX");
	if (!mkdtemp(m->folder))
		return false;
	snprintf(m->socket, sizeof(m->socket), "%s/com1", m->folder);
	snprintf(m->console, sizeof(m->console), "%s/console", m->folder);
	m->client.fd = -1;
	m->pid = fork();
	if (m->pid == 0)
		run_qemu(m, options);
	return m->pid > 0;
}

static void remove_file(const struct kd_machine *m, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", m->folder, name);
	unlink(path);
}

void kd_machine_stop(struct kd_machine *m)
{
	for (size_t i = 0; i < KD_MACHINE_N_PDBS; i++) {
		if (m->images[i].pdb)
			kd_pdb_close(m->images[i].pdb);
		m->images[i].pdb = NULL;
	}
	kd_machine_disconnect(m);
	if (m->pid > 0) {
		kill(m->pid, SIGKILL);
		waitpid(m->pid, NULL, 0);
		m->pid = 0;
	}
	if (m->folder[0]) {
		remove_file(m, "com1");
		remove_file(m, "com1.qmp");
		remove_file(m, "console");
		remove_file(m, "qemu.log");
		rmdir(m->folder);
	}
}

bool kd_machine_connect(struct kd_machine *m)
{
	int fd = kd_client_connect(m->socket, 60000);

	if (fd < 0)
		return false;
	kd_client_init_fd(&m->client, fd);
	m->client.machine = kd_machine_arch->machine;
	m->is_connected = true;
	kd_link_reset(&m->client.link, m->client.now);
	return true;
}

void kd_machine_disconnect(struct kd_machine *m)
{
	if (m->is_connected)
		kd_client_deinit(&m->client);
	m->is_connected = false;
}

/* --- what is where --- */

uint64_t kd_machine_extend(uint64_t value)
{
	return kd_machine_arch->is_64 ? value : (uint64_t)(int64_t)(int32_t)value;
}

uint64_t kd_machine_pointer(struct kd_machine *m, uint64_t at)
{
	return kd_machine_arch->is_64 ? kd_client_read64(&m->client, at)
				      : kd_machine_extend(kd_client_read32(&m->client, at));
}

void kd_machine_report(const struct kd_machine *m, struct kd_machine_report *ret)
{
	struct kd_w_report_amd64 a;
	struct kd_w_report_x86 x;

	kd_w_report_amd64_decode(&a, m->client.stop.report);
	kd_w_report_x86_decode(&x, m->client.stop.report);
	*ret = kd_machine_arch->is_64
		       ? (struct kd_machine_report){ a.dr6,
						     a.dr7,
						     a.report_flags,
						     a.seg_cs,
						     a.instruction_count,
						     { 0 } }
		       : (struct kd_machine_report){
				 x.dr6, x.dr7, x.report_flags, x.seg_cs, x.instruction_count, { 0 }
			 };
	memcpy(ret->stream, kd_machine_arch->is_64 ? a.instruction_stream : x.instruction_stream,
	       16);
}

bool kd_machine_read_special(struct kd_machine *m, uint16_t processor, uint8_t *bytes)
{
	return kd_client_read_control(&m->client, processor, kd_machine_arch->special_address,
				      bytes, kd_machine_arch->special_size);
}

bool kd_machine_write_special(struct kd_machine *m, uint16_t processor, const uint8_t *bytes)
{
	return kd_client_write_control(&m->client, processor, kd_machine_arch->special_address,
				       bytes, kd_machine_arch->special_size);
}

uint64_t kd_machine_get(const uint8_t *bytes, uint32_t at)
{
	return kd_get_sized(bytes + at, kd_machine_arch->is_64 ? 8 : 4);
}

void kd_machine_put(uint8_t *bytes, uint32_t at, uint64_t value)
{
	kd_put_sized(bytes + at, kd_machine_arch->is_64 ? 8 : 4, value);
}

static bool read_name(struct kd_machine *m, const uint8_t *entry, char *name, size_t cap)
{
	uint8_t wide[128];
	size_t n = kd_get16(entry + kd_machine_arch->name_length) / 2u;

	if (n >= cap || n * 2 > sizeof(wide) ||
	    !kd_client_read(&m->client,
			    kd_machine_extend(kd_machine_get(entry, kd_machine_arch->name_buffer)),
			    wide, n * 2))
		return false;
	for (size_t i = 0; i < n; i++)
		name[i] = (char)wide[2 * i];
	name[n] = 0;
	return true;
}

uint64_t kd_machine_find_module(struct kd_machine *m, const char *name)
{
	uint64_t at = kd_machine_pointer(m, m->module_list);
	uint8_t entry[0x88];
	char found[64];

	for (int i = 0; i < 64 && at && at != m->module_list; i++) {
		if (!kd_client_read(&m->client, at, entry, kd_machine_arch->entry_size))
			return 0;
		if (read_name(m, entry, found, sizeof(found)) && strcasecmp(found, name) == 0)
			return kd_machine_extend(kd_machine_get(entry, kd_machine_arch->dll_base));
		at = kd_machine_extend(kd_machine_get(entry, 0));
	}
	return 0;
}

static bool open_pdb(struct kd_machine *m, size_t i)
{
	struct kd_error err;
	char path[512];

	if (m->images[i].pdb)
		return true;
	snprintf(path, sizeof(path), "%s/%s", kd_machine_images, known_images[i].pdb);
	return kd_pdb_open(path, &m->images[i].pdb, &err) == KD_OK;
}

bool kd_machine_look(struct kd_machine *m)
{
	struct kd_manipulate r;

	kd_manipulate_init(&r, KD_API_GET_VERSION, kd_machine_arch->machine, 0);
	if (!kd_client_request(&m->client, &r))
		return false;
	m->module_list = m->client.reply.u.version.loaded_module_list;
	m->data_block = kd_machine_pointer(m, m->client.reply.u.version.debugger_data_list);
	for (size_t i = 0; i < KD_MACHINE_N_PDBS; i++) {
		m->images[i].name = known_images[i].name;
		if (!open_pdb(m, i))
			return false;
		m->images[i].base = kd_machine_find_module(m, known_images[i].file);
	}
	return m->images[0].base != 0;
}

uint64_t kd_machine_symbol(struct kd_machine *m, const char *name)
{
	const char *mark = strchr(name, '!');
	const struct kd_pdb_symbol *s;

	for (size_t i = 0; mark && i < KD_MACHINE_N_PDBS; i++) {
		if (!m->images[i].base || strlen(m->images[i].name) != (size_t)(mark - name) ||
		    strncmp(m->images[i].name, name, (size_t)(mark - name)) != 0)
			continue;
		s = kd_pdb_find(m->images[i].pdb, mark + 1);
		return s ? m->images[i].base + s->rva : 0;
	}
	return 0;
}

/* --- running it --- */

bool kd_machine_go(struct kd_machine *m)
{
	struct kd_client *c = &m->client;
	const struct kd_state_change *s = &c->stop;
	struct kd_machine_report report;

	kd_machine_report(m, &report);
	if (kd_client_is_exception(c, (uint32_t)KD_NT_BREAKPOINT) && report.count &&
	    report.stream[0] == 0xCC &&
	    !kd_client_set_register(c, s->hdr.processor, kd_machine_arch->pc,
				    s->hdr.program_counter + 1))
		return false;
	return kd_client_go(c, false);
}

bool kd_machine_do(struct kd_machine *m, uint32_t command, uint64_t argument)
{
	uint8_t bytes[8];

	kd_put64(bytes, argument);
	if (!kd_client_write(&m->client, kd_machine_symbol(m, "demo!DemoArgument"), bytes, 8))
		return false;
	kd_put32(bytes, command);
	return kd_client_write(&m->client, kd_machine_symbol(m, "demo!DemoCommand"), bytes, 4) &&
	       kd_machine_go(m);
}

static bool wait_counter(struct kd_machine *m, const char *name, uint32_t count)
{
	for (int i = 0; i < 50; i++) {
		if (!m->client.is_stopped && !kd_client_break_in(&m->client))
			return false;
		if (kd_client_read32(&m->client, kd_machine_symbol(m, name)) >= count)
			return true;
		if (!kd_machine_go(m) || !kd_client_idle(&m->client, 50))
			return false;
	}
	return false;
}

bool kd_machine_wait_done(struct kd_machine *m, uint32_t count)
{
	return wait_counter(m, "demo!DemoCounter", count);
}

/* Every stop until the machine runs by itself. */
static bool continue_boot(struct kd_machine *m)
{
	do {
		if (!kd_client_wait_stop(&m->client) || !kd_machine_go(m) ||
		    !kd_client_idle(&m->client, 150))
			return false;
	} while (m->client.is_stopped);
	return true;
}

bool kd_machine_boot(struct kd_machine *m)
{
	if (!kd_machine_start(m, "/DEBUG /DEBUGPORT=COM1") || !kd_machine_connect(m) ||
	    !continue_boot(m) || !kd_client_break_in(&m->client) || !kd_machine_look(m))
		return false;
	return wait_counter(m, "demo!DemoTicks", 1);
}

const char *kd_machine_console_text(struct kd_machine *m)
{
	static char text[1 << 16];
	FILE *f = fopen(m->console, "rb");
	size_t n = 0;

	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = 0;
	return text;
}

bool kd_machine_wait_console(struct kd_machine *m, const char *text, unsigned limit_ms)
{
	for (unsigned waited = 0; waited < limit_ms; waited += 50) {
		if (strstr(kd_machine_console_text(m), text))
			return true;
		usleep(50000);
	}
	return false;
}
