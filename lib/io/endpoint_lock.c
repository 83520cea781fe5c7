/* SPDX-License-Identifier: MIT */
/*
 * Two debuggers on one line would read each other's answers. Each endpoint has a lock file: flock()
 * on it ends with the process, however that ends, and the number written in it says whom to ask.
 *
 * Serial lines have theirs where other programs look for it (/run/lock/LCK..ttyS0, a number in ten
 * columns); the others in the user's runtime folder, since sockets can't be locked themselves.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io/endpoint_holder.h"
#include "lib/io/private_dir.h"
#include "lib/io/transport_private.h"

enum { LOCK_PATH_SIZE = 4096, NAME_SIZE = 48, PID_TEXT_SIZE = 16, TRIES = 8 };

struct kd__endpoint_lock {
	int fd;
	bool honours_numbers; /* a file of other programs, too: a living process's number counts */
	char path[LOCK_PATH_SIZE];
};

/* --- where --- */

static uint64_t hash_of(const char *text)
{
	uint64_t h = 0xCBF29CE484222325u; /* FNV-1a */

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001B3u;
	return h;
}

/*
 * The same for every way to write the same place. Listening at a place and connecting to it are two
 * ends of one line, not two users of one end.
 */
static void identity(const struct kd_endpoint *ep, char *out, size_t size)
{
	const char *role = ep->kind == KD_ENDPOINT_UNIX_LISTEN ? "listen:" : "";
	char *real;

	if (ep->kind == KD_ENDPOINT_TCP) {
		snprintf(out, size, "tcp:%s:%u", ep->path, ep->port);
		return;
	}
	/* Targets on one port are told apart by their keys, which stand in no file. */
	if (ep->kind == KD_ENDPOINT_NET) {
		snprintf(out, size, "net:%u:%016llx", ep->port,
			 (unsigned long long)hash_of(ep->key));
		return;
	}
	real = realpath(ep->path, NULL);
	snprintf(out, size, "%s%s", role, real ? real : ep->path);
	free(real);
}

/* A readable part, and a number that tells equal readable parts apart. */
static void lock_name(const char *id, char *out, size_t size)
{
	const char *slash = strrchr(id, '/');
	char readable[NAME_SIZE];

	snprintf(readable, sizeof readable, "%.40s", slash ? slash + 1 : id);
	for (char *p = readable; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr(".-_", *p))
			*p = '_';
	snprintf(out, size, "lock-%s-%016llx", readable, (unsigned long long)hash_of(id));
}

static bool needs_lock(const struct kd_endpoint *ep)
{
	if (ep->kind == KD_ENDPOINT_NET)
		return true;
	return ep->kind != KD_ENDPOINT_REPLAY && ep->kind != KD_ENDPOINT_TCP_LISTEN && ep->path[0];
}

/* --- who --- */

/* The second line: an endpoint that the holder serves instead; "" when there is none. */
static void read_instead(int fd, char *out, size_t size)
{
	char text[PID_TEXT_SIZE + KD_ENDPOINT_PATH_SIZE + 1];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	char *line;

	text[n > 0 ? n : 0] = '\0';
	line = strchr(text, '\n');
	line = line ? line + 1 : text + strlen(text);
	line[strcspn(line, "\n")] = '\0';
	for (const char *p = line; *p; p++)
		if (iscntrl((unsigned char)*p))
			line = text + strlen(text);
	snprintf(out, size, "%s", strlen(line) < size ? line : "");
}

/* 0: nobody, or nobody that can be told. */
static pid_t read_pid(int fd)
{
	char text[PID_TEXT_SIZE + 1] = "";
	ssize_t n = pread(fd, text, PID_TEXT_SIZE, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	return pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

static void write_pid(int fd)
{
	char text[PID_TEXT_SIZE];
	int n = snprintf(text, sizeof text, "%10d\n", (int)getpid());

	/* Only for messages: the lock holds without it. */
	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return;
}

static enum kd_status in_use(const struct kd_endpoint *ep, pid_t pid, const char *instead,
			     struct kd_error *err)
{
	char text[KD_TRANSPORT_NAME_SIZE], program[32] = "";

	kd_endpoint_text(ep, text, sizeof text);
	if (pid == 0)
		return kd_error_set(err, KD_E_EXISTS, 0, "%s is in use by another process", text);
	if (pid == getpid())
		return kd_error_set(err, KD_E_EXISTS, 0, "%s is in use by this process (pid %d)",
				    text, (int)pid);
	kd__process_name(pid, program, sizeof program);
	return kd_error_set(err, KD_E_EXISTS, 0, "%s is in use by pid %d%s%s%s: %s%s", text,
			    (int)pid, program[0] ? " (" : "", program, program[0] ? ")" : "",
			    *instead ? "attach to its " : "end it first", instead);
}

/* Programs that only write their number, and don't flock(). */
static bool is_held_by_number(int fd)
{
	pid_t pid = read_pid(fd);

	return pid != 0 && pid != getpid() && (kill(pid, 0) == 0 || errno == EPERM);
}

/* --- taking --- */

/* A file of another user in a sticky folder can't be opened for writing, but locked. */
static int open_lock(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd;
}

/* The holder before us may have removed the file between our open() and flock(). */
static bool is_still_there(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev &&
	       ours.st_ino == there.st_ino;
}

/* KD_E_AGAIN: the file vanished, try again. KD_E_IO: no file to be had. */
static enum kd_status try_lock(const struct kd_endpoint *ep, struct kd__endpoint_lock *lock,
			       struct kd_error *err)
{
	const char *path = lock->path;
	int fd = open_lock(path);
	enum kd_status s = KD_OK;
	bool is_locked;

	if (fd < 0)
		return kd_error_set(err, KD_E_IO, 0, "cannot lock %.120s: %s", path,
				    strerror(errno));
	is_locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
	if (is_locked && !is_still_there(fd, path))
		s = KD_E_AGAIN;
	else if (!is_locked || (lock->honours_numbers && is_held_by_number(fd))) {
		char instead[KD_ENDPOINT_PATH_SIZE];

		read_instead(fd, instead, sizeof instead);
		s = in_use(ep, read_pid(fd), instead, err);
	}
	if (s != KD_OK) {
		close(fd);
		return s;
	}
	write_pid(fd);
	lock->fd = fd;
	return KD_OK;
}

static enum kd_status take(const struct kd_endpoint *ep, struct kd__endpoint_lock *lock,
			   struct kd_error *err)
{
	enum kd_status s = KD_E_AGAIN;

	for (int i = 0; i < TRIES && s == KD_E_AGAIN; i++)
		s = try_lock(ep, lock, err);
	return s == KD_E_AGAIN ? in_use(ep, 0, "", err) : s;
}

static void serial_path(const char *id, char *path, size_t size)
{
	const char *slash = strrchr(id, '/');

	snprintf(path, size, "/run/lock/LCK..%.200s", slash ? slash + 1 : id);
}

static enum kd_status take_serial(const struct kd_endpoint *ep, const char *id,
				  struct kd__endpoint_lock *lock, struct kd_error *err)
{
	serial_path(id, lock->path, sizeof lock->path);
	lock->honours_numbers = true;
	return take(ep, lock, err);
}

static enum kd_status take_private(const struct kd_endpoint *ep, const char *id,
				   struct kd__endpoint_lock *lock, struct kd_error *err)
{
	char name[NAME_SIZE + 32];
	enum kd_status s;

	lock->honours_numbers = false;
	lock_name(id, name, sizeof name);
	s = kd_private_dir_make(KD_DIR_RUNTIME, name, lock->path, sizeof lock->path, err);
	return s == KD_OK ? take(ep, lock, err) : s;
}

enum kd_status kd__endpoint_lock_take(const struct kd_endpoint *ep,
				      struct kd__endpoint_lock **lock_ret, struct kd_error *err)
{
	char id[LOCK_PATH_SIZE];
	struct kd__endpoint_lock *lock;
	enum kd_status s = KD_E_IO;

	*lock_ret = NULL;
	if (!needs_lock(ep))
		return KD_OK;
	lock = calloc(1, sizeof *lock);
	if (!lock)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	identity(ep, id, sizeof id);
	if (ep->kind == KD_ENDPOINT_SERIAL)
		s = take_serial(ep, id, lock, err);
	/* Not every system has a /run/lock that everybody may write to. */
	if (s == KD_E_IO)
		s = take_private(ep, id, lock, err);
	if (s != KD_OK) {
		free(lock);
		return s;
	}
	*lock_ret = lock;
	return KD_OK;
}

void kd__endpoint_lock_release(struct kd__endpoint_lock *lock)
{
	if (!lock)
		return;
	/* While it is still locked: whoever opened the file before this sees that it vanished. */
	unlink(lock->path);
	close(lock->fd);
	free(lock);
}

/* --- asking, and offering --- */

/*
 * Is there a flock() on this file, by the process that is written in it? Asked of /proc/locks: to
 * try to lock it would get in the way of who tries at the same time.
 */
static bool is_locked_by(ino_t inode, pid_t pid)
{
	FILE *f = fopen("/proc/locks", "re");
	char line[256];
	bool found = false;

	while (f && !found && fgets(line, sizeof line, f)) {
		unsigned long long number;
		int holder;

		/* 1: FLOCK  ADVISORY  WRITE 4711 00:2d:1234 0 EOF */
		found = sscanf(line, "%*s FLOCK %*s %*s %d %*x:%*x:%llu", &holder, &number) == 2 &&
			number == (unsigned long long)inode && (holder == pid || holder <= 0);
	}
	if (f)
		fclose(f);
	return found;
}

static bool is_held(const char *path, bool honours_numbers, struct kd_endpoint_holder *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	bool held;

	if (fd < 0)
		return false;
	ret->pid = read_pid(fd);
	held = (fstat(fd, &st) == 0 && is_locked_by(st.st_ino, ret->pid)) ||
	       (honours_numbers && is_held_by_number(fd));
	read_instead(fd, ret->instead, sizeof ret->instead);
	if (ret->pid)
		kd__process_name(ret->pid, ret->program, sizeof ret->program);
	close(fd);
	return held;
}

bool kd_endpoint_holder_find(const struct kd_endpoint *ep, struct kd_endpoint_holder *ret)
{
	char id[LOCK_PATH_SIZE], path[LOCK_PATH_SIZE], name[NAME_SIZE + 32];

	memset(ret, 0, sizeof *ret);
	if (!needs_lock(ep))
		return false;
	identity(ep, id, sizeof id);
	if (ep->kind == KD_ENDPOINT_SERIAL) {
		serial_path(id, path, sizeof path);
		if (is_held(path, true, ret))
			return true;
	}
	lock_name(id, name, sizeof name);
	if (kd_private_dir_path(KD_DIR_RUNTIME, name, path, sizeof path, NULL) == KD_OK &&
	    is_held(path, false, ret))
		return true;
	memset(ret, 0, sizeof *ret);
	return false;
}

void kd__endpoint_lock_offer(struct kd__endpoint_lock *lock, const char *endpoint)
{
	char text[PID_TEXT_SIZE + KD_ENDPOINT_PATH_SIZE];
	int n = snprintf(text, sizeof text, "%10d\n%s\n", (int)getpid(), endpoint);

	if (!lock || n >= (int)sizeof text || ftruncate(lock->fd, 0) != 0 ||
	    pwrite(lock->fd, text, (size_t)n, 0) != n)
		return;
}
