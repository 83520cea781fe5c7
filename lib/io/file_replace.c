/* SPDX-License-Identifier: MIT */
/* Files that are written aside and then put in place: the second half of private_dir.h. */
#include "lib/io/private_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char suffix[] = ".part";

bool kd__is_same_file(const char *a, const char *b)
{
	struct stat one, other;

	return stat(a, &one) == 0 && stat(b, &other) == 0 && S_ISREG(one.st_mode) &&
	       one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static enum kd_status open_failure(int number)
{
	return number == ENOENT || number == ENOTDIR ? KD_E_NOT_FOUND
	       : number == EACCES || number == EPERM ? KD_E_DENIED
						     : KD_E_IO;
}

/* Where the file really is: a link to a regular file is followed, so that the link stays. */
static char *real_place(const char *path)
{
	struct stat st;
	char *real;

	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && (real = realpath(path, NULL)))
		return real;
	return strdup(path);
}

/* FOLDER/NAME -> FOLDER/.NAME.XXXXXX.part */
static char *aside_template(const char *path)
{
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash - path) + 1 : 0;
	char *text;

	if (asprintf(&text, "%.*s.%s.XXXXXX%s", folder, path, path + folder, suffix) < 0)
		return NULL;
	return text;
}

static void forget(struct kd__file_replace *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f->aside);
	*f = (struct kd__file_replace)KD__FILE_REPLACE_INIT;
}

enum kd_status kd__file_replace_begin(struct kd__file_replace *f, const char *path,
				      struct kd_error *err)
{
	struct stat st;

	*f = (struct kd__file_replace)KD__FILE_REPLACE_INIT;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return kd_error_set(err, KD_E_EXISTS, 0, "%.180s is not a regular file", path);
	f->path = real_place(path);
	f->aside = f->path ? aside_template(f->path) : NULL;
	if (!f->aside) {
		forget(f);
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	}
	f->fd = mkostemps(f->aside, (int)strlen(suffix), O_CLOEXEC);
	if (f->fd < 0) {
		int number = errno;

		forget(f);
		return kd_error_set(err, open_failure(number), 0, "cannot write %.160s: %s", path,
				    strerror(number));
	}
	return KD_OK;
}

enum kd_status kd__file_replace_commit(struct kd__file_replace *f, struct kd_error *err)
{
	int number = 0, fd = f->fd;

	/* Without the fsync a power cut could leave the new name with none of its bytes. */
	if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
		number = errno;
	f->fd = -1;
	if (close(fd) != 0 && number == 0)
		number = errno;
	if (number == 0 && rename(f->aside, f->path) != 0)
		number = errno;
	if (number != 0) {
		unlink(f->aside);
		kd_error_set(err, open_failure(number), 0, "cannot write %.160s: %s", f->path,
			     strerror(number));
	}
	forget(f);
	return number ? open_failure(number) : KD_OK;
}

void kd__file_replace_abort(struct kd__file_replace *f)
{
	if (f->aside)
		unlink(f->aside);
	forget(f);
}

void kd__file_replace_leave(struct kd__file_replace *f)
{
	forget(f);
}
