/* SPDX-License-Identifier: MIT */
/* Serial ports of a domain: <domain><devices><serial type=...><source/><target port=.../>. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vm/vm_found.h"
#include "lib/vm/xml_walk.h"

#define SERIAL "domain/devices/serial"

static const struct {
	const char *name;
	enum kd_qemu_port_kind kind;
} types[] = {
	{ "unix", KD_QEMU_PORT_UNIX }, { "tcp", KD_QEMU_PORT_TCP },   { "pty", KD_QEMU_PORT_PTY },
	{ "file", KD_QEMU_PORT_FILE }, { "pipe", KD_QEMU_PORT_PIPE }, { "dev", KD_QEMU_PORT_TTY },
};

static void begin_serial(struct kd_vm_found *vm, const char *const *a)
{
	struct kd_qemu_port *port;

	if (vm->n_serials == KD_VM_SERIALS_MAX)
		return;
	port = &vm->serials[vm->n_serials];
	memset(port, 0, sizeof *port);
	port->use = KD_QEMU_SERIAL;
	port->index = (unsigned)vm->n_serials++;
	for (size_t i = 0; i < KD_ARRAY_LEN(types); i++)
		if (strcmp(kd__xml_attribute(a, "type"), types[i].name) == 0)
			port->kind = types[i].kind;
}

/* A text that does not fit is left out whole: half a path is another path. */
static void copy(char *to, size_t size, const char *from)
{
	if (strlen(from) < size)
		strcpy(to, from);
	else
		to[0] = '\0';
}

/* TCP may have two of them: the one that binds, or the one that connects. */
static void take_source(struct kd_qemu_port *port, const char *const *a)
{
	unsigned long service = strtoul(kd__xml_attribute(a, "service"), NULL, 10);

	port->is_server = strcmp(kd__xml_attribute(a, "mode"), "bind") == 0;
	port->port = service <= UINT16_MAX ? (uint16_t)service : 0;
	if (port->kind == KD_QEMU_PORT_TCP)
		copy(port->path, sizeof port->path, kd__xml_attribute(a, "host"));
	else
		copy(port->path, sizeof port->path, kd__xml_attribute(a, "path"));
}

static void on_element(void *context, const char *path, const char *const *a)
{
	struct kd_vm_found *vm = context;
	struct kd_qemu_port *port = vm->n_serials ? &vm->serials[vm->n_serials - 1] : NULL;
	unsigned long index;

	if (strcmp(path, SERIAL) == 0)
		begin_serial(vm, a);
	else if (port && strcmp(path, SERIAL "/source") == 0)
		take_source(port, a);
	else if (port && strcmp(path, SERIAL "/target") == 0 && *kd__xml_attribute(a, "port")) {
		index = strtoul(kd__xml_attribute(a, "port"), NULL, 10);
		port->index = index < 256 ? (unsigned)index : 255;
	}
}

static void on_text(void *context, const char *path, const char *text)
{
	struct kd_vm_found *vm = context;

	if (strcmp(path, "domain/name") == 0)
		snprintf(vm->name, sizeof vm->name, "%s", text);
	else if (strcmp(path, "domain/uuid") == 0)
		copy(vm->id, sizeof vm->id, text);
}

enum kd_status kd__libvirt_xml_parse(const char *text, size_t size, struct kd_vm_found *ret,
				     struct kd_error *err)
{
	const struct kd__xml_visitor visitor = { on_element, on_text, ret };

	return kd__xml_walk(text, size, &visitor, err);
}
