/* SPDX-License-Identifier: MIT */
#include "lib/vm/guest_window.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/vm/fault_guard.h"
#include "lib/vm/guest_ram_private.h"

struct piece {               /* one run */
	size_t offset, size; /* in the window */
	uint64_t host_address;
};

struct kd_guest_window {
	struct kd_guest_ram *ram;
	uint8_t *memory; /* NULL on the process road */
	size_t size, n_pieces;
	struct piece pieces[KD_GUEST_RUNS_MAX];
};

/* --- what the guest asks for --- */

static bool overlap(const struct kd_guest_run *a, const struct kd_guest_run *b)
{
	return a->address < b->address + b->size && b->address < a->address + a->size;
}

static enum kd_status check_run(const struct kd_ram_layout *layout, const struct kd_guest_run *run,
				struct kd_error *err)
{
	const struct kd_ram_range *r = kd_ram_range_find(layout, run->address);

	if (run->size == 0 || (run->address | run->size) % KD_GUEST_PAGE != 0)
		return kd_error_set(err, KD_E_INVALID, run->address,
				    "the run at physical address %" PRIx64 " is not of whole pages",
				    run->address);
	if (!r || run->size > r->size - (run->address - r->start))
		return kd_error_set(err, KD_E_UNREADABLE, run->address,
				    "no RAM at physical address %" PRIx64, run->address);
	if (r->is_rom)
		return kd_error_set(err, KD_E_INVALID, run->address,
				    "physical address %" PRIx64 " is write-protected firmware",
				    run->address);
	return KD_OK;
}

static enum kd_status check_runs(const struct kd_ram_layout *layout,
				 const struct kd_guest_run *runs, size_t n, size_t *size_ret,
				 struct kd_error *err)
{
	size_t size = 0;

	if (n == 0)
		return kd_error_set(err, KD_E_INVALID, 0, "a window without pages");
	if (n > KD_GUEST_RUNS_MAX)
		return kd_error_set(err, KD_E_TOO_BIG, 0, "a window of more than %d runs",
				    KD_GUEST_RUNS_MAX);
	for (size_t i = 0; i < n; i++) {
		enum kd_status s = check_run(layout, &runs[i], err);

		if (s != KD_OK)
			return s;
		if (runs[i].size > KD_GUEST_WINDOW_MAX - size)
			return kd_error_set(err, KD_E_TOO_BIG, runs[i].address,
					    "a window of more than %d bytes", KD_GUEST_WINDOW_MAX);
		size += (size_t)runs[i].size;
		for (size_t k = 0; k < i; k++)
			if (overlap(&runs[i], &runs[k]))
				return kd_error_set(err, KD_E_INVALID, runs[i].address,
						    "physical address %" PRIx64
						    " is twice in the window",
						    runs[i].address);
	}
	*size_ret = size;
	return KD_OK;
}

/* --- mapping --- */

/* The file again, for writing: only the pages of the window are mapped with that descriptor. */
static enum kd_status reopen(const struct kd__ram_backing *b, int *fd_ret, struct kd_error *err)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/self/fd/%d", b->fd);
	*fd_ret = open(path, O_RDWR | O_CLOEXEC);
	if (*fd_ret >= 0)
		return KD_OK;
	if (errno == EACCES || errno == EPERM || errno == EROFS)
		return kd_error_set(err, KD_E_DENIED, 0,
				    "guest RAM may be read but not written: run as the VM's user, "
				    "or give yours the right to write the file of its RAM");
	return kd_error_set(err, KD_E_IO, 0, "opening guest RAM for writing: %s", strerror(errno));
}

static enum kd_status map_run(struct kd_guest_window *w, const struct kd_ram_range *r,
			      const struct kd_guest_run *run, const struct piece *p,
			      struct kd_error *err)
{
	const struct kd__ram_backing *b = &w->ram->backings[r->backend];
	uint64_t offset = b->file_offset + r->offset + (run->address - r->start);
	void *memory;
	int fd;
	enum kd_status s = reopen(b, &fd, err);

	if (s != KD_OK)
		return s;
	memory = mmap(w->memory + p->offset, p->size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_FIXED, fd, (off_t)offset);
	close(fd);
	if (memory != MAP_FAILED)
		return KD_OK;
	if (errno == EINVAL)
		return kd_error_set(err, KD_E_UNSUPPORTED, run->address,
				    "single pages of guest RAM can't be mapped: it is in huge "
				    "pages, use another memory backend");
	return kd_error_set(err, KD_E_IO, run->address, "mapping guest RAM for writing: %s",
			    strerror(errno));
}

static enum kd_status reserve(struct kd_guest_window *w, struct kd_error *err)
{
	void *memory = mmap(NULL, w->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);

	if (memory == MAP_FAILED)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "no room for a window: %s",
				    strerror(errno));
	w->memory = memory;
	return KD_OK;
}

static enum kd_status fill(struct kd_guest_window *w, const struct kd_guest_run *runs, size_t n,
			   struct kd_error *err)
{
	size_t offset = 0;

	for (size_t i = 0; i < n; i++) {
		const struct kd_ram_range *r = kd_ram_range_find(&w->ram->layout, runs[i].address);
		const struct kd__ram_backing *b = &w->ram->backings[r->backend];
		struct piece *p = &w->pieces[w->n_pieces++];
		enum kd_status s = KD_OK;

		p->offset = offset;
		p->size = (size_t)runs[i].size;
		p->host_address = b->host_address + r->offset + (runs[i].address - r->start);
		offset += p->size;
		if (w->memory)
			s = map_run(w, r, &runs[i], p, err);
		if (s != KD_OK)
			return s;
	}
	return KD_OK;
}

enum kd_status kd_guest_window_open(struct kd_guest_ram *ram, const struct kd_guest_run *runs,
				    size_t n, struct kd_guest_window **window_ret,
				    struct kd_error *err)
{
	struct kd_guest_window *w;
	size_t size = 0;
	enum kd_status s = check_runs(&ram->layout, runs, n, &size, err);

	if (s != KD_OK)
		return s;
	w = calloc(1, sizeof *w);
	if (!w)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	w->ram = ram;
	w->size = size;
	if (ram->road == KD_RAM_MAPPED)
		s = reserve(w, err);
	if (s == KD_OK)
		s = fill(w, runs, n, err);
	if (s == KD_OK)
		*window_ret = w;
	else
		kd_guest_window_close(w);
	return s;
}

void kd_guest_window_close(struct kd_guest_window *w)
{
	if (!w)
		return;
	if (w->memory)
		munmap(w->memory, w->size);
	free(w);
}

/* --- using it --- */

size_t kd_guest_window_size(const struct kd_guest_window *w)
{
	return w->size;
}

void *kd_guest_window_memory(const struct kd_guest_window *w)
{
	return w->memory;
}

bool kd_guest_window_guarded(const struct kd_guest_window *w, void (*action)(void *context),
			     void *context)
{
	return kd__fault_guarded(w->memory, w->size, action, context);
}

static enum kd_status copy_mapped(const struct kd_guest_window *w, size_t offset, void *buffer,
				  size_t size, bool is_write, struct kd_error *err)
{
	uint8_t *there = w->memory + offset;

	if (kd__guarded_memcpy(w->memory, w->size, is_write ? there : buffer,
			       is_write ? buffer : there, size))
		return KD_OK;
	return kd_error_set(err, KD_E_IO, offset, "the file of the VM's RAM was truncated");
}

static enum kd_status copy_process(const struct kd_guest_window *w, size_t offset, void *buffer,
				   size_t size, bool is_write, struct kd_error *err)
{
	for (size_t i = 0; i < w->n_pieces && size; i++) {
		const struct piece *p = &w->pieces[i];
		size_t n;

		if (offset < p->offset || offset - p->offset >= p->size)
			continue;
		n = KD_MIN(size, p->size - (offset - p->offset));
		if (kd__guest_process_copy(w->ram, p->host_address + (offset - p->offset), buffer,
					   n, is_write, err) < n)
			return err->status;
		buffer = (char *)buffer + n;
		offset += n;
		size -= n;
	}
	return KD_OK;
}

static enum kd_status copy_any(const struct kd_guest_window *w, size_t offset, void *buffer,
			       size_t size, bool is_write, struct kd_error *err)
{
	struct kd_error own;

	if (!err)
		err = &own;
	if (offset > w->size || size > w->size - offset)
		return kd_error_set(err, KD_E_INVALID, offset, "beyond the window");
	return (w->memory ? copy_mapped : copy_process)(w, offset, buffer, size, is_write, err);
}

enum kd_status kd_guest_window_read(const struct kd_guest_window *w, size_t offset, void *buffer,
				    size_t size, struct kd_error *err)
{
	return copy_any(w, offset, buffer, size, false, err);
}

enum kd_status kd_guest_window_write(const struct kd_guest_window *w, size_t offset,
				     const void *buffer, size_t size, struct kd_error *err)
{
	/* The copy goes one way: what is const stays so. */
	return copy_any(w, offset, (void *)(uintptr_t)buffer, size, true, err);
}
