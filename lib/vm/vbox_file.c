/* SPDX-License-Identifier: MIT */
/* VirtualBox' .vbox: <VirtualBox><Machine uuid= name=><Hardware><UART><Port slot= enabled= ...>. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vm/vm_found.h"
#include "lib/vm/xml_walk.h"

static const struct {
	const char *name;
	enum kd_qemu_port_kind kind;
} modes[] = {
	{ "HostPipe", KD_QEMU_PORT_UNIX }, /* on Linux a pipe is a unix socket */
	{ "TCP", KD_QEMU_PORT_TCP },
	{ "HostDevice", KD_QEMU_PORT_TTY },
	{ "RawFile", KD_QEMU_PORT_FILE },
};

static bool is_true(const char *text)
{
	return strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
}

static void copy(char *to, size_t size, const char *from)
{
	if (strlen(from) < size)
		strcpy(to, from);
	else
		to[0] = '\0';
}

/* path="host:port" of a client, "port" of a server. */
static void take_address(struct kd_qemu_port *port, const char *path)
{
	const char *colon = strrchr(path, ':');
	unsigned long number = strtoul(colon ? colon + 1 : path, NULL, 10);

	port->port = number <= UINT16_MAX ? (uint16_t)number : 0;
	if (colon && (size_t)(colon - path) < sizeof port->path)
		snprintf(port->path, sizeof port->path, "%.*s", (int)(colon - path), path);
}

static void take_port(struct kd_vm_found *vm, const char *const *a)
{
	struct kd_qemu_port *port;
	const char *path = kd__xml_attribute(a, "path");
	unsigned long slot = strtoul(kd__xml_attribute(a, "slot"), NULL, 10);

	if (!is_true(kd__xml_attribute(a, "enabled")) || vm->n_serials == KD_VM_SERIALS_MAX)
		return;
	port = &vm->serials[vm->n_serials++];
	memset(port, 0, sizeof *port);
	port->use = KD_QEMU_SERIAL;
	port->index = slot < 256 ? (unsigned)slot : 255;
	port->is_server = is_true(kd__xml_attribute(a, "server"));
	for (size_t i = 0; i < KD_ARRAY_LEN(modes); i++)
		if (strcmp(kd__xml_attribute(a, "hostMode"), modes[i].name) == 0)
			port->kind = modes[i].kind;
	if (port->kind == KD_QEMU_PORT_TCP)
		take_address(port, path);
	else
		copy(port->path, sizeof port->path, path);
}

/* "{uuid}" without the braces. */
static void take_uuid(struct kd_vm_found *vm, const char *text)
{
	size_t n = strcspn(text + (*text == '{'), "}");

	if (n < sizeof vm->id)
		snprintf(vm->id, sizeof vm->id, "%.*s", (int)n, text + (*text == '{'));
}

static void on_element(void *context, const char *path, const char *const *a)
{
	struct kd_vm_found *vm = context;

	if (strcmp(path, "VirtualBox/Machine") == 0) {
		snprintf(vm->name, sizeof vm->name, "%s", kd__xml_attribute(a, "name"));
		take_uuid(vm, kd__xml_attribute(a, "uuid"));
		vm->state = is_true(kd__xml_attribute(a, "aborted")) ? KD_VM_CRASHED : KD_VM_OFF;
	} else if (strcmp(path, "VirtualBox/Machine/Hardware/UART/Port") == 0) {
		take_port(vm, a);
	}
}

/* The file's name without folder and ending, for a machine that has no other. */
static void name_from(const char *path, char *name, size_t size)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	snprintf(name, size, "%.*s", (int)strcspn(base, "."), base);
}

enum kd_status kd__vbox_parse(const char *text, size_t size, const char *path,
			      struct kd_vm_found *ret, struct kd_error *err)
{
	const struct kd__xml_visitor visitor = { on_element, NULL, ret };
	enum kd_status s = kd__xml_walk(text, size, &visitor, err);

	if (s != KD_OK)
		return s;
	ret->source = KD_VM_VIRTUALBOX;
	copy(ret->connection, sizeof ret->connection, path);
	if (!ret->id[0])
		copy(ret->id, sizeof ret->id, path);
	if (!ret->name[0])
		name_from(path, ret->name, sizeof ret->name);
	return KD_OK;
}
