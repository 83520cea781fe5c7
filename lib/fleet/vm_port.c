/* SPDX-License-Identifier: MIT */
#include "lib/fleet/vm_port.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/vm/qmp_message.h"

void kd__obstacle_add(struct kd__obstacles *o, const char *fmt, ...)
{
	char text[KD_OBSTACLE_SIZE];
	va_list ap;

	if (o->n == KD_OBSTACLES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	kd__vm_printable(text, o->text[o->n++], KD_OBSTACLE_SIZE);
}

/* --- how each hypervisor is told to have a port that we can use --- */

static const char *const how_to[] = {
	[KD_VM_QEMU] = "start QEMU with -serial unix:PATH,server=on,wait=off",
	[KD_VM_LIBVIRT] = "virsh edit: <serial type='unix'><source mode='bind' path='PATH'/>"
			  "<target port='0'/></serial>",
	[KD_VM_VIRTUALBOX] = "VBoxManage modifyvm NAME --uart1 0x3F8 4 --uartmode1 server PATH",
	[KD_VM_VMWARE] = "serial0.present = \"TRUE\", serial0.fileType = \"pipe\", "
			 "serial0.fileName = \"PATH\", serial0.pipe.endPoint = \"server\"",
	[KD_VM_NAMED] = "give it an endpoint in the configuration file",
};

/* Why nobody can debug over a port of that kind; NULL: one can. */
static const char *const wrong_modes[] = {
	[KD_QEMU_PORT_NONE] = "is connected to nothing",
	[KD_QEMU_PORT_FD] = "is a socket that libvirt made, whose path only libvirt knows: ask it "
			    "(qemu:///system, qemu:///session)",
	[KD_QEMU_PORT_FILE] = "goes one way, into a file",
	[KD_QEMU_PORT_PIPE] = "is a pair of FIFOs, which can't be used",
	[KD_QEMU_PORT_STDIO] = "is QEMU's own terminal",
	[KD_QEMU_PORT_TTY] = "goes out by a serial line of this machine: debug at its other end",
};

static const char *wrong_mode(const struct kd_qemu_port *port)
{
	if (port->kind == KD_QEMU_PORT_UNIX && !port->path[0])
		return "is a socket without a name";
	if (port->kind == KD_QEMU_PORT_UNIX || port->kind == KD_QEMU_PORT_TCP)
		return port->is_server ? NULL
				       : "connects to somebody instead of listening (client mode)";
	if (port->kind == KD_QEMU_PORT_PTY)
		return port->path[0] ? NULL : "is a terminal whose name QEMU has not told";
	return wrong_modes[port->kind];
}

/* --- the endpoint --- */

static bool take_path(struct kd_endpoint *ep, const char *path)
{
	if (strlen(path) >= sizeof ep->path)
		return false;
	strcpy(ep->path, path);
	return true;
}

static bool is_any_address(const char *host)
{
	return !*host || !strcmp(host, "0.0.0.0") || !strcmp(host, "::") || !strcmp(host, "*");
}

static bool make_endpoint(const struct kd_qemu_port *port, struct kd_endpoint *ep)
{
	memset(ep, 0, sizeof *ep);
	switch (port->kind) {
	case KD_QEMU_PORT_UNIX: ep->kind = KD_ENDPOINT_UNIX; return take_path(ep, port->path);
	case KD_QEMU_PORT_PTY: ep->kind = KD_ENDPOINT_PTY; return take_path(ep, port->path);
	case KD_QEMU_PORT_TCP:
		ep->kind = KD_ENDPOINT_TCP;
		ep->port = port->port;
		return port->port &&
		       take_path(ep, is_any_address(port->path) ? "localhost" : port->path);
	default: return false;
	}
}

bool kd__vm_port_choose(const struct kd_vm_found *vm, struct kd_endpoint *ret,
			struct kd__obstacles *obstacles)
{
	if (vm->is_remote) {
		kd__obstacle_add(obstacles,
				 "it runs on another machine: debug there (ssh HOST kdmon attach "
				 "%s), or forward its port",
				 vm->name);
		return false;
	}
	for (size_t i = 0; i < vm->n_serials; i++)
		if (!wrong_mode(&vm->serials[i]) && make_endpoint(&vm->serials[i], ret))
			return true;
	for (size_t i = 0; i < vm->n_serials; i++) {
		const char *why = wrong_mode(&vm->serials[i]);

		kd__obstacle_add(obstacles, "COM%u %s: %s", vm->serials[i].index + 1,
				 why ? why : "has an address that can't be used",
				 how_to[vm->source]);
	}
	if (!vm->n_serials)
		kd__obstacle_add(obstacles, "no serial port: %s", how_to[vm->source]);
	return false;
}

/* --- would connecting work --- */

static void say_denied(const char *path, const struct stat *st, struct kd__obstacles *obstacles)
{
	struct group *group = getgrgid(st->st_gid);

	if (st->st_mode & S_IWGRP && group && st->st_gid != 0)
		kd__obstacle_add(obstacles,
				 "no permission to connect to %s: join its group (sudo usermod -aG "
				 "%s $USER, then log in again)",
				 path, group->gr_name);
	else
		kd__obstacle_add(obstacles,
				 "no permission to connect to %s: run as the VM's user (uid %u), "
				 "or sudo setfacl -m u:$USER:rw %s",
				 path, (unsigned)st->st_uid, path);
}

static void check_path(const struct kd_vm_found *vm, const char *path,
		       struct kd__obstacles *obstacles)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		if (errno == EACCES)
			kd__obstacle_add(obstacles,
					 "a folder of %s is closed to us: run as the VM's user",
					 path);
		else if (vm->state != KD_VM_OFF)
			kd__obstacle_add(obstacles,
					 "%s is not there: was it removed while the VM "
					 "ran? Restart the VM",
					 path);
		return;
	}
	if (access(path, R_OK | W_OK) != 0)
		say_denied(path, &st, obstacles);
}

void kd__vm_port_check(const struct kd_vm_found *vm, const struct kd_endpoint *ep,
		       struct kd__obstacles *obstacles)
{
	if (ep->kind == KD_ENDPOINT_UNIX || ep->kind == KD_ENDPOINT_PTY ||
	    ep->kind == KD_ENDPOINT_SERIAL)
		check_path(vm, ep->path, obstacles);
	if (vm->state == KD_VM_OFF)
		kd__obstacle_add(obstacles, vm->source == KD_VM_NAMED
						    ? "nobody listens at its endpoint: start it"
						    : "it is off: start it");
}
