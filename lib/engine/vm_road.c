/* SPDX-License-Identifier: MIT */
#include "lib/engine/vm_road.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/vm/guest_window.h"
#include "lib/vm/ivshmem.h"
#include "lib/vm/qemu_process.h"
#include "lib/vm/qmp.h"
#include "lib/wait.h"

enum { GREETING_MS = 300, MONITOR_MS = 2000 }; /* a monitor that is free greets at once */

struct kd__vm_road {
	struct kd_transport *transport;
	uint32_t generation; /* of the connection that `vm` was found for; 0: none */
	bool is_vm;
	struct kd_qemu_process vm;
	struct kd_guest_ram *ram;
	struct kd_guest_window *window;
	struct kd_ivshmem *device; /* the ring is in it */
	bool is_stale;             /* the RAM of a VM that is gone is still open */
};

/* --- who is at the other end --- */

/* The window is the carrier's until it unmaps it, and needs the RAM it lies in. */
static void forget(struct kd__vm_road *r)
{
	r->is_stale = r->window != NULL;
	if (r->is_stale)
		return;
	kd_guest_ram_close(r->ram);
	r->ram = NULL;
}

static bool find_vm(struct kd__vm_road *r, struct kd_error *err)
{
	struct sockaddr_un peer = { 0 };
	socklen_t size = sizeof peer;
	struct kd_poll p;

	kd_transport_poll(r->transport, &p);
	if (p.fd < 0 || getpeername(p.fd, (struct sockaddr *)&peer, &size) != 0 ||
	    peer.sun_family != AF_UNIX)
		return false;
	return kd_qemu_process_of_socket(p.fd, peer.sun_path, &r->vm, err) == KD_OK;
}

bool kd__vm_road_is_vm(struct kd__vm_road *r)
{
	const struct kd_transport_info *info = kd_transport_info(r->transport);

	if (info->is_up && info->generation != r->generation) {
		forget(r);
		r->is_vm = find_vm(r, NULL);
		r->generation = info->generation;
	}
	return r->is_vm;
}

/* --- its RAM --- */

static enum kd_status try_monitor(const struct kd__vm_road *r, const struct kd_qemu_port *port,
				  struct kd_qmp **ret, struct kd_error *err)
{
	char path[KD_QEMU_PATH_SIZE + 64];

	snprintf(path, sizeof path, "%s", port->path);
	if (port->path[0] != '/')
		snprintf(path, sizeof path, "/proc/%d/cwd/%s", (int)r->vm.id.pid, port->path);
	return kd_qmp_open(path, kd_deadline_after_ms(GREETING_MS), NULL, ret, err);
}

/* The first that is free: each serves one client. */
static enum kd_status open_monitor(struct kd__vm_road *r, struct kd_qmp **ret, struct kd_error *err)
{
	const struct kd_qemu_cmdline *c = &r->vm.cmdline;
	enum kd_status status = kd_error_set(
		err, KD_E_NOT_FOUND, 0,
		"QEMU has no monitor that tells where its RAM lies: add -qmp "
		"unix:PATH,server=on,wait=off to its command line");

	for (size_t i = 0; i < c->n_ports && status != KD_OK; i++)
		if (c->ports[i].use == KD_QEMU_QMP && c->ports[i].kind == KD_QEMU_PORT_UNIX &&
		    c->ports[i].is_server)
			status = try_monitor(r, &c->ports[i], ret, err);
	if (status != KD_OK && kd_qemu_libvirt_uri(&r->vm))
		status = kd_qmp_open_libvirt(kd_qemu_libvirt_uri(&r->vm), c->uuid,
					     kd_deadline_after_ms(MONITOR_MS), ret, err);
	return status;
}

static enum kd_status open_new_ram(struct kd__vm_road *r, struct kd_guest_ram **ret,
				   struct kd_error *err)
{
	struct kd_qmp *q;
	enum kd_status status = open_monitor(r, &q, err);

	if (status != KD_OK)
		return status;
	status = kd_guest_ram_open(q, &r->vm.id, KD_RAM_ANY_ROAD, kd_deadline_after_ms(MONITOR_MS),
				   NULL, NULL, ret, err);
	kd_qmp_close(q); /* it serves one client at a time */
	return status;
}

static enum kd_status open_ram(struct kd__vm_road *r, struct kd_error *err)
{
	if (r->ram && !r->is_stale && kd_guest_ram_is_alive(r->ram))
		return KD_OK;
	forget(r);
	if (r->ram)
		return kd_error_set(err, KD_E_CLOSED, 0, "the VM's process has ended");
	return open_new_ram(r, &r->ram, err);
}

/* --- a ring that cannot be mapped: by system calls --- */

static uint32_t remote_load(void *context, uint32_t offset)
{
	uint32_t value = 0;

	kd_guest_window_read(context, offset, &value, sizeof value, NULL);
	return value;
}

static void remote_store(void *context, uint32_t offset, uint32_t value)
{
	kd_guest_window_write(context, offset, &value, sizeof value, NULL);
}

static void remote_read(void *context, uint32_t offset, void *to, size_t size)
{
	if (kd_guest_window_read(context, offset, to, size, NULL) != KD_OK)
		memset(to, 0, size);
}

static void remote_write(void *context, uint32_t offset, const void *from, size_t size)
{
	kd_guest_window_write(context, offset, from, size, NULL);
}

static void remote_fence(void *context)
{
	(void)context;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static const struct kd_ring_memory_ops remote = { remote_load, remote_store, remote_read,
						  remote_write, remote_fence };

/* --- the mapper --- */

static enum kd_status open_window(struct kd__vm_road *r, const struct kd_ring_announcement *a,
				  struct kd_error *err)
{
	struct kd_guest_run runs[KD_RING_RUNS_MAX];

	for (uint32_t i = 0; i < a->n_runs; i++)
		runs[i] = (struct kd_guest_run){ a->runs[i].frame * KD_GUEST_PAGE,
						 a->runs[i].count * (uint64_t)KD_GUEST_PAGE };
	return kd_guest_window_open(r->ram, runs, a->n_runs, &r->window, err);
}

static enum kd_status map_device(struct kd__vm_road *r, struct kd_ring_memory *ret,
				 struct kd_error *err)
{
	void *memory;
	enum kd_status status = kd_ivshmem_map(&r->vm, KD_RING_BYTES, &r->device, &memory, err);

	if (status == KD_OK)
		*ret = kd_ring_memory_direct(memory);
	return status;
}

static enum kd_status map(void *context, const struct kd_ring_announcement *a,
			  struct kd_ring_memory *ret, struct kd_error *err)
{
	struct kd__vm_road *r = context;
	enum kd_status status;
	void *memory;

	if (!kd__vm_road_is_vm(r))
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "no QEMU of this machine is at the other end of %s",
				    r->transport->name);
	if (a->is_pci)
		return map_device(r, ret, err);
	status = open_ram(r, err);
	if (status == KD_OK)
		status = open_window(r, a, err);
	if (status != KD_OK)
		return status;
	memory = kd_guest_window_memory(r->window);
	*ret = memory ? kd_ring_memory_direct(memory)
		      : (struct kd_ring_memory){ &remote, r->window };
	return KD_OK;
}

static void unmap(void *context)
{
	struct kd__vm_road *r = context;

	kd_guest_window_close(r->window);
	kd_ivshmem_unmap(r->device);
	r->window = NULL;
	r->device = NULL;
	if (r->is_stale)
		forget(r);
}

static bool is_vm(void *context)
{
	return kd__vm_road_is_vm(context);
}

struct kd_ring_mapper kd__vm_road_mapper(struct kd__vm_road *r)
{
	return (struct kd_ring_mapper){ r, is_vm, map, unmap };
}

/* --- the road itself --- */

struct kd_guest_ram *kd__vm_road_ram(struct kd__vm_road *r, struct kd_error *err)
{
	if (!kd__vm_road_is_vm(r)) {
		kd_error_set(err, KD_E_NOT_FOUND, 0, "no QEMU of this machine is at the other end");
		return NULL;
	}
	return open_ram(r, err) == KD_OK ? r->ram : NULL;
}

enum kd_status kd__vm_road_open_ram(struct kd__vm_road *r, struct kd_guest_ram **ret,
				    struct kd_error *err)
{
	if (!kd__vm_road_is_vm(r))
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "no QEMU of this machine is at the other end");
	return open_new_ram(r, ret, err);
}

void kd__vm_road_destroy(struct kd__vm_road *r)
{
	if (r) {
		unmap(r);
		forget(r);
	}
	free(r);
}

enum kd_status kd__vm_road_create(struct kd_transport *transport, struct kd__vm_road **ret,
				  struct kd_error *err)
{
	struct kd__vm_road *r = calloc(1, sizeof *r);

	if (!r)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	r->transport = transport;
	*ret = r;
	return KD_OK;
}
