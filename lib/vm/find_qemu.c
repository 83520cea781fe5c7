/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/vm/qmp.h"
#include "lib/vm/vm_found.h"
#include "lib/wait.h"

enum { GREETING_MS = 100 }; /* a monitor that is free greets at once */

/* Relative paths are the process's. */
static void make_absolute(pid_t pid, char path[KD_QEMU_PATH_SIZE])
{
	char link[64], folder[KD_QEMU_PATH_SIZE], whole[2 * KD_QEMU_PATH_SIZE];
	ssize_t n;

	if (path[0] == '/' || !path[0])
		return;
	snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
	n = readlink(link, folder, sizeof folder - 1);
	if (n <= 0)
		return;
	folder[n] = '\0';
	n = snprintf(whole, sizeof whole, "%s/%s", folder, path);
	if (n < KD_QEMU_PATH_SIZE)
		memcpy(path, whole, (size_t)n + 1);
}

static bool has_path(const struct kd_qemu_port *port)
{
	return port->kind == KD_QEMU_PORT_UNIX || port->kind == KD_QEMU_PORT_FILE ||
	       port->kind == KD_QEMU_PORT_PIPE;
}

static void take_port(struct kd_vm_found *vm, const struct kd_qemu_port *from)
{
	struct kd_qemu_port port = *from;

	if (has_path(&port))
		make_absolute(vm->process.pid, port.path);
	if (port.use == KD_QEMU_SERIAL && vm->n_serials < KD_VM_SERIALS_MAX)
		vm->serials[vm->n_serials++] = port;
	if (port.use == KD_QEMU_QMP && port.kind == KD_QEMU_PORT_UNIX && port.is_server &&
	    vm->n_monitors < KD_VM_MONITORS_MAX)
		memcpy(vm->monitors[vm->n_monitors++], port.path, sizeof port.path);
}

/* The main memory's backend; without one named QEMU makes its own, which is private. */
static const char *memory_of(const struct kd_qemu_cmdline *c)
{
	const struct kd_qemu_backend *b = kd_qemu_backend_find(c, c->memory_backend);

	if (c->n_ivshmem)
		return "ivshmem";
	return c->memory_backend[0] && b && b->is_shared ? "shared" : "private";
}

static void take_process(struct kd_vm_found *vm, const struct kd_qemu_process *p)
{
	vm->source = KD_VM_QEMU;
	vm->process = p->id;
	snprintf(vm->name, sizeof vm->name, "%s", p->cmdline.name);
	if (!vm->name[0])
		snprintf(vm->name, sizeof vm->name, "qemu-%d", (int)p->id.pid);
	snprintf(vm->id, sizeof vm->id, "%s", p->cmdline.uuid);
	if (!vm->id[0])
		snprintf(vm->id, sizeof vm->id, "pid-%d", (int)p->id.pid);
	vm->memory = memory_of(&p->cmdline);
	for (size_t i = 0; i < p->cmdline.n_ports; i++)
		take_port(vm, &p->cmdline.ports[i]);
}

enum kd_status kd__vm_find_qemu(struct kd_vm_rows *rows, struct kd_error *err)
{
	KD_CLEANUP(kd_freep) struct kd_qemu_process *list = NULL;
	size_t n = 0;
	enum kd_status s = kd_qemu_process_list(&list, &n, err);

	for (size_t i = 0; s == KD_OK && i < n; i++) {
		struct kd_vm_found *vm = kd__vm_rows_add(rows);

		if (!vm)
			return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
		take_process(vm, &list[i]);
	}
	return s;
}

/* --- its state --- */

/* What query-status says; others are states in which nothing runs. */
static const struct {
	const char *name;
	enum kd_vm_state state;
} states[] = {
	{ "running", KD_VM_RUNNING },        { "shutdown", KD_VM_OFF },
	{ "guest-panicked", KD_VM_CRASHED }, { "internal-error", KD_VM_CRASHED },
	{ "io-error", KD_VM_CRASHED },
};

static enum kd_vm_state state_of(json_t *status)
{
	const char *name = json_string_value(json_object_get(status, "status"));

	for (size_t i = 0; name && i < KD_ARRAY_LEN(states); i++)
		if (strcmp(name, states[i].name) == 0)
			return states[i].state;
	return name ? KD_VM_PAUSED : KD_VM_UNKNOWN;
}

/* QEMU's label of a serial port: its chardev's id, or one by its number. */
static bool is_label_of(const char *label, const struct kd_qemu_port *port)
{
	char number[32];

	snprintf(number, sizeof number, "serial%u", port->index);
	return strcmp(label, port->id[0] ? port->id : number) == 0;
}

/* Which pseudo-terminals it has opened: "pty:/dev/pts/3". */
static void find_terminals(struct kd_vm_found *vm, json_t *chardevs)
{
	json_t *row;
	size_t i;

	json_array_foreach(chardevs, i, row)
	{
		const char *label = json_string_value(json_object_get(row, "label"));
		const char *file = json_string_value(json_object_get(row, "filename"));

		for (size_t k = 0; label && file && k < vm->n_serials; k++)
			if (vm->serials[k].kind == KD_QEMU_PORT_PTY &&
			    is_label_of(label, &vm->serials[k]) && !strncmp(file, "pty:/", 5))
				snprintf(vm->serials[k].path, sizeof vm->serials[k].path, "%s",
					 file + 4);
	}
}

static bool has_terminal(const struct kd_vm_found *vm)
{
	for (size_t i = 0; i < vm->n_serials; i++)
		if (vm->serials[i].kind == KD_QEMU_PORT_PTY)
			return true;
	return false;
}

static bool ask_one(struct kd_vm_found *vm, const char *path, uint64_t deadline)
{
	struct kd_qmp *q;
	json_t *status = NULL;
	enum kd_status s = kd_qmp_open(path, KD_MIN(deadline, kd_deadline_after_ms(GREETING_MS)),
				       NULL, &q, NULL);

	vm->monitor_is_busy |= s == KD_E_TIMEOUT;
	if (s != KD_OK)
		return false;
	s = kd_qmp_execute(q, "query-status", NULL, deadline, NULL, &status, NULL);
	if (s == KD_OK)
		vm->state = state_of(status);
	json_decref(status);
	status = NULL;
	if (has_terminal(vm) &&
	    kd_qmp_execute(q, "query-chardev", NULL, deadline, NULL, &status, NULL) == KD_OK)
		find_terminals(vm, status);
	json_decref(status);
	kd_qmp_close(q);
	return s == KD_OK;
}

void kd__vm_ask_monitor(struct kd_vm_found *vm, uint64_t deadline)
{
	for (size_t i = 0; i < vm->n_monitors; i++)
		if (ask_one(vm, vm->monitors[i], deadline)) {
			vm->monitor_is_busy = false;
			return;
		}
}
