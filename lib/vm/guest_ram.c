/* SPDX-License-Identifier: MIT */
#include "lib/vm/guest_ram_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ALIVE_NS = 1000000, SMALL_SIZE = 4096 };

/* --- opening --- */

struct opening {
	struct kd_qmp *q;
	uint64_t deadline;
	const struct kd_cancel *cancel;
	struct kd_guest_ram *ram;
};

/* Host address and size of each backend that the layout uses. */
static enum kd_status locate(const struct opening *o, struct kd_error *err)
{
	struct kd_guest_ram *ram = o->ram;

	for (size_t i = 0; i < ram->layout.n_ranges; i++) {
		const struct kd_ram_range *r = &ram->layout.ranges[i];
		struct kd__ram_backing *b = &ram->backings[r->backend];
		enum kd_status s;

		if (b->host_address)
			continue;
		b->size = ram->layout.backends[r->backend].size;
		s = kd__ram_host_address(o->q, &ram->layout, r, o->deadline, o->cancel,
					 &b->host_address, err);
		if (s != KD_OK)
			return s;
	}
	return KD_OK;
}

static void unmap_all(struct kd_guest_ram *ram)
{
	for (size_t i = 0; i < KD_RAM_BACKENDS_MAX; i++)
		kd__ram_unmap(&ram->backings[i]);
}

static enum kd_status open_mapped(struct kd_guest_ram *ram, struct kd_error *err)
{
	enum kd_status s = KD_OK;

	for (size_t i = 0; s == KD_OK && i < ram->layout.n_backends; i++)
		if (ram->backings[i].host_address)
			s = kd__ram_map(&ram->id, &ram->layout.backends[i], &ram->backings[i], err);
	if (s != KD_OK)
		unmap_all(ram);
	return s;
}

static enum kd_status open_process(struct kd_guest_ram *ram, struct kd_error *err)
{
	const struct kd_ram_range *r = &ram->layout.ranges[0];
	const struct kd__ram_backing *b = &ram->backings[r->backend];
	char path[40];
	enum kd_status s = kd__ram_try_process(&ram->id, b->host_address + r->offset, err);

	if (s != KD_OK)
		return s;
	snprintf(path, sizeof path, "/proc/%d/mem", (int)ram->id.pid);
	ram->memory_fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Between the look at its start time and this the number may have become another's. */
	if (!kd_guest_ram_is_alive(ram))
		return kd_error_set(err, KD_E_CLOSED, 0, "the VM's process %d has ended",
				    (int)ram->id.pid);
	return KD_OK;
}

static const struct road {
	enum kd_ram_road road;
	size_t refusal; /* where in struct kd_ram_refusals */
	enum kd_status (*open)(struct kd_guest_ram *ram, struct kd_error *err);
} roads[] = {
	{ KD_RAM_MAPPED, offsetof(struct kd_ram_refusals, mapped), open_mapped },
	{ KD_RAM_PROCESS, offsetof(struct kd_ram_refusals, process), open_process },
};

static enum kd_status choose_road(struct kd_guest_ram *ram, struct kd_ram_refusals *why,
				  struct kd_error *err)
{
	enum kd_status s = kd_error_set(err, KD_E_INVALID, 0, "no road to guest RAM is allowed");

	for (size_t i = 0; i < KD_ARRAY_LEN(roads); i++) {
		if (!(ram->allowed & roads[i].road))
			continue;
		s = roads[i].open(ram, err);
		if (s == KD_OK) {
			ram->road = roads[i].road;
			return KD_OK;
		}
		memcpy((char *)why + roads[i].refusal, err->text, sizeof err->text);
	}
	return s;
}

static enum kd_status fill(const struct opening *o, struct kd_ram_refusals *why,
			   struct kd_error *err)
{
	struct kd_guest_ram *ram = o->ram;
	enum kd_status s = kd_qemu_open_pidfd(&ram->id, &ram->pidfd, err);

	if (s == KD_E_NOT_FOUND)
		return err->status = KD_E_CLOSED;
	if (s == KD_OK)
		s = kd_ram_layout_query(o->q, o->deadline, o->cancel, &ram->layout, err);
	if (s == KD_OK)
		s = locate(o, err);
	return s == KD_OK ? choose_road(ram, why, err) : s;
}

enum kd_status kd_guest_ram_open(struct kd_qmp *q, const struct kd_qemu_id *id, unsigned allowed,
				 uint64_t deadline, const struct kd_cancel *cancel,
				 struct kd_ram_refusals *why_ret, struct kd_guest_ram **ram_ret,
				 struct kd_error *err)
{
	struct kd_guest_ram *ram = calloc(1, sizeof *ram);
	struct opening o = { q, deadline, cancel, ram };
	struct kd_ram_refusals why;
	struct kd_error own;
	enum kd_status s;

	if (!err)
		err = &own;
	if (!why_ret)
		why_ret = &why;
	memset(why_ret, 0, sizeof *why_ret);
	if (!ram)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	ram->id = *id;
	ram->pidfd = ram->memory_fd = -1;
	ram->allowed = allowed;
	ram->generation = 1;
	for (size_t i = 0; i < KD_RAM_BACKENDS_MAX; i++)
		ram->backings[i].fd = -1;
	s = fill(&o, why_ret, err);
	if (s == KD_OK)
		*ram_ret = ram;
	else
		kd_guest_ram_close(ram);
	return s;
}

void kd_guest_ram_close(struct kd_guest_ram *ram)
{
	if (!ram)
		return;
	unmap_all(ram);
	if (ram->memory_fd >= 0)
		close(ram->memory_fd);
	if (ram->pidfd >= 0)
		close(ram->pidfd);
	free(ram);
}

/* --- reading --- */

bool kd_guest_ram_is_alive(const struct kd_guest_ram *ram)
{
	struct pollfd p = { .fd = ram->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

/*
 * Was what was just read the VM's? A process number is used again only after all others, which
 * takes far longer than a millisecond: so often it is enough to ask.
 */
static bool was_alive(struct kd_guest_ram *ram)
{
	uint64_t now = kd_now_ns();

	if (now - atomic_load_explicit(&ram->alive_at, memory_order_relaxed) < ALIVE_NS)
		return true;
	if (!kd_guest_ram_is_alive(ram))
		return false;
	atomic_store_explicit(&ram->alive_at, now, memory_order_relaxed);
	return true;
}

/*
 * One system call's worth. Up to a page the file of the process' memory is quicker (a third, for
 * page table entries); beyond, process_vm_readv() is, which copies without a page in between.
 */
static ssize_t copy_some(const struct kd_guest_ram *ram, uint64_t host_address, void *buffer,
			 size_t size, bool is_write)
{
	struct iovec ours = { buffer, size };
	struct iovec theirs = { (void *)(uintptr_t)host_address, size };

	if (is_write)
		return process_vm_writev(ram->id.pid, &ours, 1, &theirs, 1, 0);
	if (size <= SMALL_SIZE && ram->memory_fd >= 0)
		return pread(ram->memory_fd, buffer, size, (off_t)host_address);
	return process_vm_readv(ram->id.pid, &ours, 1, &theirs, 1, 0);
}

size_t kd__guest_process_copy(struct kd_guest_ram *ram, uint64_t host_address, void *buffer,
			      size_t size, bool is_write, struct kd_error *err)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = copy_some(ram, host_address + done, (char *)buffer + done, size - done,
				      is_write);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ESRCH && kd_guest_ram_is_alive(ram)) {
			kd_error_set(err, KD_E_IO, host_address + done,
				     "the memory of the VM's process %d: %s", (int)ram->id.pid,
				     strerror(errno));
			return done;
		}
		if (n <= 0 || !was_alive(ram)) {
			kd_error_set(err, KD_E_CLOSED, 0, "the VM's process %d has ended",
				     (int)ram->id.pid);
			return done;
		}
		done += (size_t)n;
	}
	return done;
}

/* `size` bytes of one range. How many came: all, or what stands in *err. */
static size_t read_piece(struct kd_guest_ram *ram, const struct kd_ram_range *r, uint64_t address,
			 void *buffer, size_t size, struct kd_error *err)
{
	const struct kd__ram_backing *b = &ram->backings[r->backend];
	uint64_t offset = r->offset + (address - r->start);
	size_t done;

	if (ram->road == KD_RAM_PROCESS)
		return kd__guest_process_copy(ram, b->host_address + offset, buffer, size, false,
					      err);
	done = kd__ram_copy(b, offset, buffer, size);
	if (done < size)
		kd_error_set(err, KD_E_IO, address + done,
			     "the file of the VM's RAM (%.40s) was truncated",
			     ram->layout.backends[r->backend].id);
	return done;
}

enum kd_status kd_guest_ram_read(struct kd_guest_ram *ram, uint64_t address, void *buffer,
				 size_t size, size_t *done_ret, struct kd_error *err)
{
	struct kd_error own;
	size_t done = 0;

	if (!err)
		err = &own;
	err->status = KD_OK;
	while (done < size) {
		uint64_t at = address + done;
		/* Addresses don't wrap: behind the last one there is a hole. */
		const struct kd_ram_range *r = at < address ? NULL
							    : kd_ram_range_find(&ram->layout, at);
		size_t n;

		if (!r)
			break;
		n = (size_t)KD_MIN(r->size - (at - r->start), (uint64_t)(size - done));
		done += read_piece(ram, r, at, (char *)buffer + done, n, err);
		if (err->status != KD_OK)
			break;
	}
	if (done_ret)
		*done_ret = done;
	if (err->status != KD_OK)
		return err->status;
	if (done == size || (done_ret && done))
		return KD_OK;
	return kd_error_set(err, KD_E_UNREADABLE, address + done,
			    "no RAM at physical address %" PRIx64, address + done);
}

/* --- changes --- */

static bool is_same_layout(const struct kd_ram_layout *a, const struct kd_ram_layout *b)
{
	if (a->n_ranges != b->n_ranges || a->n_backends != b->n_backends)
		return false;
	for (size_t i = 0; i < a->n_backends; i++)
		if (strcmp(a->backends[i].id, b->backends[i].id) != 0)
			return false;
	for (size_t i = 0; i < a->n_ranges; i++) {
		const struct kd_ram_range *x = &a->ranges[i], *y = &b->ranges[i];

		if (x->start != y->start || x->size != y->size || x->offset != y->offset ||
		    x->backend != y->backend || x->is_rom != y->is_rom)
			return false;
	}
	return true;
}

enum kd_status kd_guest_ram_refresh(struct kd_guest_ram *ram, struct kd_qmp *q, uint64_t deadline,
				    const struct kd_cancel *cancel, struct kd_error *err)
{
	struct kd_guest_ram *fresh = NULL, old;
	enum kd_status s = kd_guest_ram_open(q, &ram->id, ram->allowed, deadline, cancel, NULL,
					     &fresh, err);

	if (s != KD_OK)
		return s;
	fresh->generation = ram->generation + !is_same_layout(&ram->layout, &fresh->layout);
	memcpy(&old, ram, sizeof old);
	memcpy(ram, fresh, sizeof old);
	memcpy(fresh, &old, sizeof old);
	kd_guest_ram_close(fresh);
	return KD_OK;
}

struct kd_guest_ram_info kd_guest_ram_info(const struct kd_guest_ram *ram)
{
	return (struct kd_guest_ram_info){
		.road = ram->road,
		.id = ram->id,
		.size = kd_ram_layout_size(&ram->layout),
		.generation = ram->generation,
		.layout = &ram->layout,
	};
}
