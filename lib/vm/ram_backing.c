/* SPDX-License-Identifier: MIT */
#include "lib/vm/ram_backing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/vm/fault_guard.h"

enum { PROC_PATH_SIZE = 64, LINE_SIZE = 4096 + 128 };

/* --- words --- */

static enum kd_status no_shared_file(const struct kd_ram_backend *b, const char *what,
				     struct kd_error *err)
{
	return kd_error_set(err, KD_E_UNSUPPORTED, 0,
			    "the VM's RAM (%.40s) %s: start it with -object "
			    "memory-backend-memfd,id=ram,share=on,size=%" PRIu64
			    "M -machine memory-backend=ram",
			    b->id, what, b->size >> 20);
}

/* What setcap is to be told. */
static const char *our_program(char *buffer, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", buffer, size - 1);

	if (n <= 0 || (size_t)n >= size - 1)
		return "kd";
	buffer[n] = '\0';
	return buffer;
}

enum kd_status kd__ptrace_refusal(pid_t pid, uid_t uid, uid_t our_uid, int scope,
				  struct kd_error *err)
{
	char storage[80];
	const char *us = our_program(storage, sizeof storage);

	if (uid != our_uid && our_uid != 0)
		return kd_error_set(err, KD_E_DENIED, 0,
				    "the VM's process %d belongs to uid %u: run as that user, or "
				    "sudo setcap cap_sys_ptrace+ep %s",
				    (int)pid, (unsigned)uid, us);
	if (scope == 1)
		return kd_error_set(err, KD_E_DENIED, 0,
				    "the kernel lets nobody but parents look into the VM's process "
				    "%d: sudo sysctl kernel.yama.ptrace_scope=0, or sudo setcap "
				    "cap_sys_ptrace+ep %s",
				    (int)pid, us);
	if (scope == 2)
		return kd_error_set(err, KD_E_DENIED, 0,
				    "the kernel lets only administrators look into the VM's "
				    "process %d (kernel.yama.ptrace_scope=2): sudo setcap "
				    "cap_sys_ptrace+ep %s",
				    (int)pid, us);
	if (scope == 3)
		return kd_error_set(err, KD_E_DENIED, 0,
				    "the kernel lets nobody look into the VM's process %d until "
				    "the next boot (kernel.yama.ptrace_scope=3): give the VM a "
				    "shared memory backend",
				    (int)pid);
	return kd_error_set(err, KD_E_DENIED, 0,
			    "the VM's process %d is protected (not dumpable, or in another user "
			    "namespace): sudo setcap cap_sys_ptrace+ep %s",
			    (int)pid, us);
}

static int yama_scope(void)
{
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = -1;

	if (f && fscanf(f, "%d", &scope) != 1)
		scope = -1;
	if (f)
		fclose(f);
	return scope;
}

/* `scope` counts for attaching and process_vm_readv(), not for a look at /proc/PID/maps. */
static enum kd_status refuse_process(const struct kd_qemu_id *id, int scope, struct kd_error *err)
{
	KD_CLEANUP(kd_freep) struct kd_qemu_process *p = malloc(sizeof *p);
	uid_t uid = geteuid();

	if (p && kd_qemu_process_read(id->pid, p, NULL) == KD_OK)
		uid = p->uid;
	return kd__ptrace_refusal(id->pid, uid, geteuid(), scope, err);
}

/* --- the process --- */

enum kd_status kd__ram_host_address(struct kd_qmp *q, const struct kd_ram_layout *layout,
				    const struct kd_ram_range *r, uint64_t deadline,
				    const struct kd_cancel *cancel, uint64_t *ret,
				    struct kd_error *err)
{
	static const char prefix[] = "/objects/";
	const char *id = layout->backends[r->backend].id, *name;
	char command[40], region[KD_RAM_ID_SIZE + 16];
	KD_CLEANUP(kd_freep) char *text = NULL;
	uint64_t address = 0;
	enum kd_status s;

	snprintf(command, sizeof command, "gpa2hva 0x%" PRIx64, r->start);
	s = kd_qmp_monitor_command(q, command, deadline, cancel, &text, err);
	if (s != KD_OK)
		return s;
	/* "Host virtual address for 0x0 (m0) is 0x7f225bfff000" */
	if (sscanf(text, "Host virtual address for %*x (%79[^)]) is %" SCNx64, region, &address) !=
	    2)
		return kd_error_set(err, KD_E_MALFORMED, r->start,
				    "QEMU does not tell where it has the RAM at %" PRIx64,
				    r->start);
	name = strncmp(region, prefix, sizeof prefix - 1) ? region : region + sizeof prefix - 1;
	if (strcmp(name, id) != 0 || address <= r->offset)
		return kd_error_set(err, KD_E_MALFORMED, r->start,
				    "the RAM at %" PRIx64 " is not that of backend %s any more",
				    r->start, id);
	*ret = address - r->offset;
	return KD_OK;
}

enum kd_status kd__ram_try_process(const struct kd_qemu_id *id, uint64_t host_address,
				   struct kd_error *err)
{
	char byte;
	struct iovec to = { &byte, 1 };
	struct iovec from = { (void *)(uintptr_t)host_address, 1 };

	if (process_vm_readv(id->pid, &to, 1, &from, 1, 0) == 1)
		return KD_OK;
	switch (errno) {
	case EPERM: return refuse_process(id, yama_scope(), err);
	case ESRCH:
		return kd_error_set(err, KD_E_CLOSED, 0, "the VM's process %d has ended",
				    (int)id->pid);
	case ENOSYS:
		return kd_error_set(err, KD_E_UNSUPPORTED, 0,
				    "this kernel can't read other processes' memory "
				    "(process_vm_readv)");
	default:
		return kd_error_set(err, KD_E_IO, 0, "reading the VM's process %d: %s",
				    (int)id->pid, strerror(errno));
	}
}

/* --- the file --- */

/* One line of /proc/PID/maps: what is mapped at an address. */
struct mapping {
	uint64_t start, end, offset, inode;
	bool is_shared;
	char path[LINE_SIZE];
};

static bool parse_mapping(const char *line, struct mapping *ret)
{
	char flags[5];
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*x:%*x %" SCNu64 " %n",
		   &ret->start, &ret->end, flags, &ret->offset, &ret->inode, &at) < 5 ||
	    !at)
		return false;
	ret->is_shared = flags[3] == 's';
	snprintf(ret->path, sizeof ret->path, "%s", line + at);
	ret->path[strcspn(ret->path, "\n")] = '\0';
	return true;
}

/* KD_E_NOT_FOUND: nothing is mapped there. KD_E_DENIED without words: ask for reasons elsewhere. */
static enum kd_status find_mapping(pid_t pid, uint64_t address, struct mapping *ret)
{
	char path[PROC_PATH_SIZE], line[LINE_SIZE];
	enum kd_status s = KD_E_NOT_FOUND;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return errno == EACCES || errno == EPERM ? KD_E_DENIED : KD_E_NOT_FOUND;
	while (s != KD_OK && fgets(line, sizeof line, f))
		if (parse_mapping(line, ret) && address >= ret->start && address < ret->end)
			s = KD_OK;
	fclose(f);
	return s;
}

/*
 * Is descriptor `name` of the process the mapped file? The inode says so. On some file systems
 * (overlays) the inode differs between the two: there the name does, as long as it is one.
 */
static bool is_mapped_file(DIR *d, const char *name, const struct mapping *m)
{
	char target[LINE_SIZE];
	ssize_t n = readlinkat(dirfd(d), name, target, sizeof target - 1);
	struct stat st;

	if (n <= 0 || fstatat(dirfd(d), name, &st, 0) != 0 || !S_ISREG(st.st_mode))
		return false;
	target[n] = '\0';
	if (strcmp(target, m->path) != 0)
		return false;
	return st.st_ino == m->inode || !strstr(target, " (deleted)");
}

/* -1 with errno; ENOENT: no descriptor of the process is that file. */
static int open_mapped_file(pid_t pid, const struct mapping *m)
{
	char folder[PROC_PATH_SIZE];
	struct dirent *entry;
	int fd = -1, number = ENOENT;
	DIR *d;

	snprintf(folder, sizeof folder, "/proc/%d/fd", (int)pid);
	d = opendir(folder);
	if (!d)
		return -1;
	while (fd < 0 && (entry = readdir(d))) {
		if (!is_mapped_file(d, entry->d_name, m))
			continue;
		fd = openat(dirfd(d), entry->d_name, O_RDONLY | O_CLOEXEC);
		number = errno;
	}
	closedir(d);
	errno = number;
	return fd;
}

static enum kd_status open_failure(const char *path, int number, struct kd_error *err)
{
	if (number == EACCES || number == EPERM)
		return kd_error_set(err, KD_E_DENIED, 0,
				    "the file of the VM's RAM, %.80s, is not open to you: run as "
				    "the VM's user, or sudo setfacl -m u:%u:r it",
				    path, (unsigned)geteuid());
	return kd_error_set(err, number == ENOENT ? KD_E_NOT_FOUND : KD_E_IO, 0,
			    "the file of the VM's RAM, %.80s: %s", path, strerror(number));
}

/* By what QEMU says: for processes that we may not look into. */
static enum kd_status open_named(const struct kd_qemu_id *id, const struct kd_ram_backend *b,
				 struct kd__ram_backing *backing, struct kd_error *err)
{
	struct stat st;

	if (b->path[0] != '/')
		return refuse_process(id, -1, err);
	backing->fd = open(b->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (backing->fd < 0)
		return open_failure(b->path, errno, err);
	if (fstat(backing->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(backing->fd);
		backing->fd = -1;
		return refuse_process(id, -1, err);
	}
	backing->file_offset = 0;
	return KD_OK;
}

static enum kd_status open_file(const struct kd_qemu_id *id, const struct kd_ram_backend *b,
				struct kd__ram_backing *backing, struct kd_error *err)
{
	struct mapping m;
	enum kd_status s = find_mapping(id->pid, backing->host_address, &m);

	if (s == KD_E_DENIED)
		return open_named(id, b, backing, err);
	if (s != KD_OK)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "the VM's process %d does not have its RAM where QEMU says",
				    (int)id->pid);
	if (!m.is_shared || !m.inode)
		return no_shared_file(b, "is private to its process", err);
	backing->fd = open_mapped_file(id->pid, &m);
	if (backing->fd < 0 && errno == ENOENT)
		return no_shared_file(b, "is in no file that is open", err);
	if (backing->fd < 0)
		return open_failure(m.path, errno, err);
	backing->file_offset = m.offset + (backing->host_address - m.start);
	return KD_OK;
}

static enum kd_status check_and_map(const struct kd_ram_backend *b, struct kd__ram_backing *backing,
				    struct kd_error *err)
{
	struct stat st;
	int seals = fcntl(backing->fd, F_GET_SEALS);
	void *memory;

	if (fstat(backing->fd, &st) != 0 || st.st_size < 0 ||
	    (uint64_t)st.st_size < backing->file_offset ||
	    (uint64_t)st.st_size - backing->file_offset < backing->size)
		return kd_error_set(err, KD_E_MISMATCH, 0,
				    "the file of the VM's RAM (%.40s) is shorter than the RAM",
				    b->id);
	backing->can_shrink = seals < 0 || !(seals & F_SEAL_SHRINK);
	if (backing->can_shrink)
		kd__fault_guard_install();
	memory = mmap(NULL, backing->size, PROT_READ, MAP_SHARED, backing->fd,
		      (off_t)backing->file_offset);
	if (memory == MAP_FAILED)
		return kd_error_set(err, KD_E_IO, 0, "mapping the VM's RAM (%.40s): %s", b->id,
				    strerror(errno));
	/* The guest's memory has no place in our core dumps, nor in what we fork. */
	madvise(memory, backing->size, MADV_DONTDUMP);
	madvise(memory, backing->size, MADV_DONTFORK);
	backing->memory = memory;
	return KD_OK;
}

enum kd_status kd__ram_map(const struct kd_qemu_id *id, const struct kd_ram_backend *b,
			   struct kd__ram_backing *backing, struct kd_error *err)
{
	enum kd_status s;

	if (!b->is_shared)
		return no_shared_file(b, "is private to its process", err);
	s = open_file(id, b, backing, err);
	if (s == KD_OK)
		s = check_and_map(b, backing, err);
	if (s != KD_OK)
		kd__ram_unmap(backing);
	return s;
}

void kd__ram_unmap(struct kd__ram_backing *backing)
{
	if (backing->memory)
		munmap((void *)(uintptr_t)backing->memory, backing->size);
	if (backing->fd >= 0)
		close(backing->fd);
	backing->memory = NULL;
	backing->fd = -1;
}
