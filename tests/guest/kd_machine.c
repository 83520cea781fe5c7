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
	execl(kd_machine_run_demo, kd_machine_run_demo, "--images", kd_machine_images, "--smp", smp,
	      "--serial", m->socket, "--console", m->console, "--options", options, (char *)NULL);
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
		remove_file(m, "console");
		remove_file(m, "qemu.log");
		rmdir(m->folder);
	}
}

bool kd_machine_connect(struct kd_machine *m)
{
	int fd = kd_client_connect(m->socket, 10000);

	if (fd < 0)
		return false;
	kd_client_init_fd(&m->client, fd);
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

static bool read_name(struct kd_machine *m, const uint8_t *entry, char *name, size_t cap)
{
	uint8_t wide[128];
	size_t n = kd_get16(entry + 0x58) / 2u;

	if (n >= cap || n * 2 > sizeof(wide) ||
	    !kd_client_read(&m->client, kd_get64(entry + 0x60), wide, n * 2))
		return false;
	for (size_t i = 0; i < n; i++)
		name[i] = (char)wide[2 * i];
	name[n] = 0;
	return true;
}

uint64_t kd_machine_find_module(struct kd_machine *m, const char *name)
{
	uint64_t at = kd_client_read64(&m->client, m->module_list);
	uint8_t entry[0x88];
	char found[64];

	for (int i = 0; i < 64 && at && at != m->module_list; i++) {
		if (!kd_client_read(&m->client, at, entry, sizeof(entry)))
			return 0;
		if (read_name(m, entry, found, sizeof(found)) && strcasecmp(found, name) == 0)
			return kd_get64(entry + 0x30);
		at = kd_get64(entry);
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

	kd_manipulate_init(&r, KD_API_GET_VERSION, KD_MACHINE_AMD64, 0);
	if (!kd_client_request(&m->client, &r))
		return false;
	m->module_list = m->client.reply.u.version.loaded_module_list;
	m->data_block = kd_client_read64(&m->client, m->client.reply.u.version.debugger_data_list);
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
	struct kd_w_report_amd64 report;

	kd_w_report_amd64_decode(&report, s->report);
	if (kd_client_is_exception(c, (uint32_t)KD_NT_BREAKPOINT) && report.instruction_count &&
	    report.instruction_stream[0] == 0xCC &&
	    !kd_client_set_register(c, s->hdr.processor, "rip", s->hdr.program_counter + 1))
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
