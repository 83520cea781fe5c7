/* SPDX-License-Identifier: MIT */
#include "lib/vm/qemu_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PROC_PATH_SIZE = 64,
	STAT_SIZE = 1024,
	STATUS_SIZE = 4096,
	LINK_SIZE = 512,
	LINE_SIZE = 512,
	INODES_MAX = 16
};

static enum kd_status from_errno(int number)
{
	return number == ENOENT || number == ESRCH   ? KD_E_NOT_FOUND
	       : number == EACCES || number == EPERM ? KD_E_DENIED
						     : KD_E_IO;
}

/* Up to `size` bytes of /proc/PID/name; a NUL goes behind them, so `size` + 1 is what it needs. */
static enum kd_status read_proc(pid_t pid, const char *name, char *buffer, size_t size,
				size_t *n_ret, struct kd_error *err)
{
	char path[PROC_PATH_SIZE];
	size_t n = 0;
	ssize_t r = 1;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && n < size && r > 0) {
		r = read(fd, buffer + n, size - n);
		n += r > 0 ? (size_t)r : 0;
	}
	if (fd < 0 || r < 0) {
		int number = errno;

		if (fd >= 0)
			close(fd);
		return kd_error_set(err, from_errno(number), 0, "%s: %s", path, strerror(number));
	}
	close(fd);
	buffer[n] = '\0';
	*n_ret = n;
	return KD_OK;
}

/* --- identity --- */

bool kd__proc_stat_parse(const char *text, char *state_ret, uint64_t *start_time_ret)
{
	/* The name in parentheses may hold blanks and parentheses: fields count from the last ')'.
	 */
	const char *p = strrchr(text, ')');
	char *end;

	if (!p || p[1] != ' ' || !p[2] || p[3] != ' ')
		return false;
	*state_ret = p[2];
	p += 3;
	/* The state is field 3. */
	for (int field = 4; field <= 22; field++) {
		if (*p++ != ' ')
			return false;
		if (field < 22)
			p += strcspn(p, " ");
	}
	if (*p < '0' || *p > '9')
		return false;
	*start_time_ret = strtoull(p, &end, 10);
	return *end == ' ' || *end == '\n' || !*end;
}

static enum kd_status read_id(pid_t pid, struct kd_qemu_id *ret, struct kd_error *err)
{
	char text[STAT_SIZE + 1], state;
	size_t n;
	enum kd_status s = read_proc(pid, "stat", text, STAT_SIZE, &n, err);

	if (s != KD_OK)
		return s;
	ret->pid = pid;
	if (!kd__proc_stat_parse(text, &state, &ret->start_time))
		return kd_error_set(err, KD_E_IO, 0, "/proc/%d/stat is not as it should be",
				    (int)pid);
	if (strchr("ZXx", state))
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "process %d has ended", (int)pid);
	return KD_OK;
}

/* Its monitor is a socket that was handed to it; QEMUs of users run as these. */
const char *kd_qemu_libvirt_uri(const struct kd_qemu_process *p)
{
	const struct kd_qemu_cmdline *c = &p->cmdline;

	for (size_t i = 0; i < c->n_ports && c->uuid[0]; i++)
		if (c->ports[i].use == KD_QEMU_QMP && c->ports[i].kind == KD_QEMU_PORT_FD)
			return p->uid == geteuid() && p->uid != 0 ? "qemu:///session"
								  : "qemu:///system";
	return NULL;
}

bool kd_qemu_is_alive(const struct kd_qemu_id *id)
{
	struct kd_qemu_id now;

	return read_id(id->pid, &now, NULL) == KD_OK && now.start_time == id->start_time;
}

enum kd_status kd_qemu_open_pidfd(const struct kd_qemu_id *id, int *fd_ret, struct kd_error *err)
{
	int fd = pidfd_open(id->pid, 0);

	if (fd < 0 && errno != ESRCH)
		return kd_error_set(err, KD_E_IO, 0, "watching process %d: %s", (int)id->pid,
				    strerror(errno));
	/* With the descriptor in hand the number can't be used again: is it still the one we meant?
	 */
	if (fd < 0 || !kd_qemu_is_alive(id)) {
		if (fd >= 0)
			close(fd);
		return kd_error_set(err, KD_E_NOT_FOUND, 0, "the VM's process %d has ended",
				    (int)id->pid);
	}
	*fd_ret = fd;
	return KD_OK;
}

/* --- one process --- */

static bool is_qemu(pid_t pid, const char *cmdline)
{
	char path[PROC_PATH_SIZE], target[LINK_SIZE];
	ssize_t n;

	if (kd_qemu_is_program(cmdline))
		return true;
	/* Some rename themselves; the executable is known to its owner only. */
	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	n = readlink(path, target, sizeof target - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return kd_qemu_is_program(target);
}

/* The effective user. The owner of /proc/PID is root when the process is not dumpable. */
static uid_t owner_of(pid_t pid)
{
	char text[STATUS_SIZE + 1];
	const char *at = NULL;
	unsigned real, effective;
	size_t n;

	if (read_proc(pid, "status", text, STATUS_SIZE, &n, NULL) == KD_OK)
		at = strstr(text, "\nUid:");
	if (at && sscanf(at, "\nUid: %u %u", &real, &effective) == 2)
		return effective;
	return (uid_t)-1;
}

static enum kd_status read_with(pid_t pid, char *buffer, struct kd_qemu_process *ret,
				struct kd_error *err)
{
	size_t n;
	enum kd_status s = read_proc(pid, "cmdline", buffer, KD_QEMU_CMDLINE_MAX, &n, err);

	if (s != KD_OK)
		return s;
	/* Empty: a kernel thread, or a zombie. */
	if (!n || !is_qemu(pid, buffer))
		return kd_error_set(err, KD_E_MISMATCH, 0, "process %d is no QEMU", (int)pid);
	s = read_id(pid, &ret->id, err);
	if (s != KD_OK)
		return s;
	ret->uid = owner_of(pid);
	return kd_qemu_cmdline_parse(buffer, n, &ret->cmdline, err);
}

enum kd_status kd_qemu_process_read(pid_t pid, struct kd_qemu_process *ret, struct kd_error *err)
{
	KD_CLEANUP(kd_freep) char *buffer = malloc(KD_QEMU_CMDLINE_MAX + 1);

	if (!buffer)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	return read_with(pid, buffer, ret, err);
}

/* --- all of them --- */

struct list {
	struct kd_qemu_process *row;
	size_t n, size;
};

static struct kd_qemu_process *new_row(struct list *l)
{
	if (l->n == l->size) {
		size_t size = l->size ? 2 * l->size : 4;
		struct kd_qemu_process *grown = realloc(l->row, size * sizeof *grown);

		if (!grown)
			return NULL;
		l->row = grown;
		l->size = size;
	}
	return &l->row[l->n];
}

static enum kd_status collect(DIR *proc, char *buffer, struct list *l, struct kd_error *err)
{
	struct dirent *entry;

	while ((entry = readdir(proc))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		struct kd_qemu_process *row;
		enum kd_status s;

		if (*end || pid <= 0)
			continue;
		row = new_row(l);
		if (!row)
			return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
		s = read_with((pid_t)pid, buffer, row, err);
		if (s == KD_E_NO_MEMORY)
			return s;
		l->n += s == KD_OK;
	}
	return KD_OK;
}

static int by_pid(const void *a, const void *b)
{
	pid_t x = ((const struct kd_qemu_process *)a)->id.pid;
	pid_t y = ((const struct kd_qemu_process *)b)->id.pid;

	return (x > y) - (x < y);
}

enum kd_status kd_qemu_process_list(struct kd_qemu_process **list_ret, size_t *n_ret,
				    struct kd_error *err)
{
	KD_CLEANUP(kd_freep) char *buffer = malloc(KD_QEMU_CMDLINE_MAX + 1);
	struct list l = { .n = 0 };
	enum kd_status s;
	DIR *proc;

	if (!buffer)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	proc = opendir("/proc");
	if (!proc)
		return kd_error_set(err, KD_E_IO, 0, "/proc: %s", strerror(errno));
	s = collect(proc, buffer, &l, err);
	closedir(proc);
	if (s != KD_OK) {
		free(l.row);
		return s;
	}
	if (l.n)
		qsort(l.row, l.n, sizeof *l.row, by_pid);
	*list_ret = l.row;
	*n_ret = l.n;
	return KD_OK;
}

/* --- who holds a socket --- */

/* Inodes of the listening sockets that were bound to `path`: /proc/net/unix. */
static size_t listening_inodes(const char *path, uint64_t inodes[INODES_MAX])
{
	FILE *f = fopen("/proc/net/unix", "re");
	char line[LINE_SIZE];
	size_t n = 0;

	while (f && n < INODES_MAX && fgets(line, sizeof line, f)) {
		unsigned flags;
		uint64_t inode;
		int at = 0;

		/* Num RefCount Protocol Flags Type St Inode Path; 0x10000 is "listens". */
		if (sscanf(line, "%*s %*x %*x %x %*x %*x %" SCNu64 " %n", &flags, &inode, &at) < 2)
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (at && flags & 0x10000 && !strcmp(line + at, path))
			inodes[n++] = inode;
	}
	if (f)
		fclose(f);
	return n;
}

static bool holds_socket(pid_t pid, const uint64_t *inodes, size_t n)
{
	char folder[PROC_PATH_SIZE], target[LINK_SIZE];
	struct dirent *entry;
	bool found = false;
	DIR *d;

	snprintf(folder, sizeof folder, "/proc/%d/fd", (int)pid);
	d = opendir(folder);
	while (d && !found && (entry = readdir(d))) {
		ssize_t size = readlinkat(dirfd(d), entry->d_name, target, sizeof target - 1);
		uint64_t inode;

		if (size < 0)
			continue;
		target[size] = '\0';
		if (sscanf(target, "socket:[%" SCNu64 "]", &inode) != 1)
			continue;
		for (size_t i = 0; i < n; i++)
			found |= inodes[i] == inode;
	}
	if (d)
		closedir(d);
	return found;
}

static bool names_socket(const struct kd_qemu_cmdline *c, const char *path)
{
	for (size_t i = 0; i < c->n_ports; i++)
		if (c->ports[i].kind == KD_QEMU_PORT_UNIX && !strcmp(c->ports[i].path, path))
			return true;
	return false;
}

static enum kd_status search_socket(const char *path, struct kd_qemu_process *ret,
				    struct kd_error *err)
{
	KD_CLEANUP(kd_freep) struct kd_qemu_process *list = NULL;
	uint64_t inodes[INODES_MAX];
	size_t n, n_inodes = listening_inodes(path, inodes);
	enum kd_status s = kd_qemu_process_list(&list, &n, err);

	if (s != KD_OK)
		return s;
	for (size_t i = 0; i < n; i++)
		if (names_socket(&list[i].cmdline, path) ||
		    holds_socket(list[i].id.pid, inodes, n_inodes)) {
			*ret = list[i];
			return KD_OK;
		}
	return kd_error_set(err, KD_E_NOT_FOUND, 0,
			    "no QEMU process that we may look at holds the socket %.80s: run as "
			    "the VM's user",
			    path);
}

enum kd_status kd_qemu_process_of_socket(int fd, const char *path, struct kd_qemu_process *ret,
					 struct kd_error *err)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof peer;
	enum kd_status s;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return kd_error_set(err, KD_E_INVALID, 0, "not a connected unix socket: %s",
				    strerror(errno));
	if (peer.pid > 0) {
		s = kd_qemu_process_read(peer.pid, ret, err);
		if (s != KD_E_MISMATCH && s != KD_E_NOT_FOUND)
			return s;
	}
	return search_socket(path, ret, err);
}
