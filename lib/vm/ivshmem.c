/* SPDX-License-Identifier: MIT */
#include "lib/vm/ivshmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct kd_ivshmem {
	void *memory;
	size_t size;
};

static const char how_to[] =
	"give QEMU \"-object memory-backend-file,id=kd,size=1M,share=on,mem-path=/dev/shm/NAME "
	"-device ivshmem-plain,memdev=kd,master=on\"";

static enum kd_status find_backend(const struct kd_qemu_process *vm,
				   const struct kd_qemu_backend **ret, struct kd_error *err)
{
	const struct kd_qemu_cmdline *c = &vm->cmdline;

	if (c->n_ivshmem == 0)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "the VM's command line tells of no ivshmem-plain device: %s",
				    how_to);
	if (c->n_ivshmem > 1)
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "the VM has %zu ivshmem devices; which one holds the ring "
				    "cannot be told: leave it one",
				    c->n_ivshmem);
	*ret = kd_qemu_backend_find(c, c->ivshmem[0]);
	if (!*ret || !(*ret)->path[0])
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "the memory of ivshmem device %s is in no file with a name: %s",
				    c->ivshmem[0], how_to);
	return KD_OK;
}

static enum kd_status refuse(const char *path, int number, struct kd_error *err)
{
	if (number == EACCES || number == EPERM)
		return kd_error_set(err, KD_E_DENIED, 0,
				    "%.160s may not be written: run as the VM's user, or "
				    "\"chmod o+rw\" it",
				    path);
	return kd_error_set(err, number == ENOENT ? KD_E_NOT_FOUND : KD_E_IO, 0, "%.160s: %s", path,
			    strerror(number));
}

/* As the VM's process sees the path, where that may be asked. */
static int open_file(const struct kd_qemu_process *vm, const char *path)
{
	char seen[KD_QEMU_PATH_SIZE + 64];
	int fd;

	snprintf(seen, sizeof seen, "/proc/%d/%s%s", (int)vm->id.pid,
		 path[0] == '/' ? "root" : "cwd/", path);
	fd = open(seen, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && path[0] == '/')
		fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd;
}

static enum kd_status map_file(int fd, const char *path, struct kd_ivshmem *d, struct kd_error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < d->size)
		return kd_error_set(err, KD_E_MISMATCH, 0,
				    "%.160s is no file of %zu bytes or more: the ring is not in it",
				    path, d->size);
	d->memory = mmap(NULL, d->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (d->memory == MAP_FAILED)
		return refuse(path, errno, err);
	return KD_OK;
}

enum kd_status kd_ivshmem_map(const struct kd_qemu_process *vm, size_t size,
			      struct kd_ivshmem **device_ret, void **memory_ret,
			      struct kd_error *err)
{
	const struct kd_qemu_backend *b = NULL;
	struct kd_ivshmem *d;
	enum kd_status status = find_backend(vm, &b, err);
	int fd;

	if (status != KD_OK)
		return status;
	fd = open_file(vm, b->path);
	if (fd < 0)
		return refuse(b->path, errno, err);
	d = calloc(1, sizeof *d);
	if (d) {
		d->size = size;
		status = map_file(fd, b->path, d, err);
	} else {
		status = kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	close(fd);
	if (status != KD_OK) {
		free(d);
		return status;
	}
	*device_ret = d;
	*memory_ret = d->memory;
	return KD_OK;
}

void kd_ivshmem_unmap(struct kd_ivshmem *d)
{
	if (d)
		munmap(d->memory, d->size);
	free(d);
}
