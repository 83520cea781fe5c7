/* SPDX-License-Identifier: MIT */
/* Bytes out of the mapped file: guarded where it may shrink, past the holes where much is read. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/vm/fault_guard.h"
#include "lib/vm/ram_backing.h"

enum {
	PAGE = 4096,
	SPARSE_SIZE = 64 << 10, /* from here on reads look for holes */
	SPARSE_PIECE = 1 << 20, /* so much at a time */
};

/* Copies from the mapping; how many bytes, less only when the file shrank. */
static size_t copy_mapped(const struct kd__ram_backing *b, uint64_t offset, void *buffer,
			  size_t size)
{
	if (b->can_shrink)
		return kd__guarded_copy(buffer, b->memory + offset, size);
	memcpy(buffer, b->memory + offset, size);
	return size;
}

/*
 * Is the page that begins at `at` of the file a hole, and up to where? Pages that were swapped out
 * are none, though they are not in memory either.
 */
static bool is_hole(const struct kd__ram_backing *b, off_t at, off_t end, off_t *hole_end_ret)
{
	off_t data = lseek(b->fd, at, SEEK_DATA);

	if (data == at || (data < 0 && errno != ENXIO))
		return false;
	*hole_end_ret = data < 0 ? end : KD_MIN(data, end);
	return true;
}

/* [0, size) of the backend's bytes at `offset`: at most SPARSE_PIECE and one page. */
static size_t copy_sparse_piece(const struct kd__ram_backing *b, uint64_t offset, uint8_t *buffer,
				size_t size)
{
	unsigned char is_in_memory[SPARSE_PIECE / PAGE + 1];
	uint64_t first = offset / PAGE * PAGE;
	size_t done = 0;

	if (mincore((void *)(uintptr_t)(b->memory + first), offset + size - first, is_in_memory))
		return copy_mapped(b, offset, buffer, size);
	while (done < size) {
		uint64_t at = offset + done;
		size_t page = (size_t)((at - first) / PAGE), n, got;
		off_t start = (off_t)(b->file_offset + at), hole_end;
		off_t end = start + (off_t)(size - done);

		if (!(is_in_memory[page] & 1) && is_hole(b, start, end, &hole_end)) {
			memset(buffer + done, 0, (size_t)(hole_end - start));
			done += (size_t)(hole_end - start);
			continue;
		}
		n = (size_t)(first + (page + 1) * (uint64_t)PAGE - at);
		/* What is in memory, together. */
		while (n < size - done && is_in_memory[++page] & 1)
			n += PAGE;
		n = KD_MIN(n, size - done);
		got = copy_mapped(b, at, buffer + done, n);
		done += got;
		if (got < n)
			return done;
	}
	return size;
}

/*
 * Large reads leave out what the guest never touched: reading such a page of a memfd would make it,
 * and a search through all of RAM would make the VM as large as it may become.
 */
static size_t copy_sparse(const struct kd__ram_backing *b, uint64_t offset, uint8_t *buffer,
			  size_t size)
{
	size_t done = 0;
	struct stat st;

	/* What is missing at the end of the file is no hole: the copy will tell. */
	if (fstat(b->fd, &st) != 0 || (uint64_t)st.st_size < b->file_offset + offset + size)
		return copy_mapped(b, offset, buffer, size);
	while (done < size) {
		size_t n = KD_MIN(size - done, (size_t)SPARSE_PIECE);
		size_t got = copy_sparse_piece(b, offset + done, buffer + done, n);

		done += got;
		if (got < n)
			break;
	}
	return done;
}

size_t kd__ram_copy(const struct kd__ram_backing *b, uint64_t offset, void *buffer, size_t size)
{
	if (size >= SPARSE_SIZE)
		return copy_sparse(b, offset, buffer, size);
	return copy_mapped(b, offset, buffer, size);
}
