/* SPDX-License-Identifier: MIT */
#include "lib/io/private_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, PASSWD_SIZE = 4096 };

/* The environment's value if it is an absolute path; relative ones are to be ignored (XDG). */
static const char *absolute_from_env(const char *variable)
{
	const char *value = secure_getenv(variable);

	return value && value[0] == '/' ? value : NULL;
}

static bool is_our_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

static int runtime_folder(char *out, size_t size)
{
	const char *base = absolute_from_env("XDG_RUNTIME_DIR");
	char user[64];

	if (base)
		return snprintf(out, size, "%s/openkd", base);
	snprintf(user, sizeof user, "/run/user/%u", (unsigned)geteuid());
	if (is_our_folder(user))
		return snprintf(out, size, "%s/openkd", user);
	return snprintf(out, size, "/tmp/openkd-%u", (unsigned)geteuid());
}

static int state_folder(char *out, size_t size)
{
	const char *base = absolute_from_env("XDG_STATE_HOME");
	const char *home = absolute_from_env("HOME");
	char storage[PASSWD_SIZE];
	struct passwd pw, *found = NULL;

	if (base)
		return snprintf(out, size, "%s/openkd", base);
	if (!home && getpwuid_r(geteuid(), &pw, storage, sizeof storage, &found) == 0 && found)
		home = found->pw_dir;
	if (!home || home[0] != '/')
		return -1;
	return snprintf(out, size, "%s/.local/state/openkd", home);
}

static enum kd_status folder_path(enum kd_private_dir which, char *out, size_t size,
				  struct kd_error *err)
{
	int n = which == KD_DIR_RUNTIME ? runtime_folder(out, size) : state_folder(out, size);

	if (n < 0)
		return kd_error_set(err, KD_E_NOT_FOUND, 0,
				    "no home folder is known: set HOME or XDG_STATE_HOME");
	if ((size_t)n >= size)
		return kd_error_set(err, KD_E_TOO_BIG, 0, "the path of the %s folder is too long",
				    which == KD_DIR_RUNTIME ? "runtime" : "state");
	return KD_OK;
}

static enum kd_status with_name(const char *folder, const char *name, char *path_ret, size_t size,
				struct kd_error *err)
{
	int n = name ? snprintf(path_ret, size, "%s/%s", folder, name)
		     : snprintf(path_ret, size, "%s", folder);

	if (n < 0 || (size_t)n >= size)
		return kd_error_set(err, KD_E_TOO_BIG, 0, "the path %.100s/%.40s... is too long",
				    folder, name ? name : "");
	return KD_OK;
}

enum kd_status kd_private_dir_path(enum kd_private_dir which, const char *name, char *path_ret,
				   size_t size, struct kd_error *err)
{
	char folder[PATH_SIZE];
	enum kd_status s = folder_path(which, folder, sizeof folder, err);

	return s == KD_OK ? with_name(folder, name, path_ret, size, err) : s;
}

/* Every folder above the last one, 0700 where we make it. What is there is taken as it is. */
static enum kd_status make_parents(const char *folder, struct kd_error *err)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof path, "%s", folder);
	for (char *p = path + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return kd_error_set(err, errno == EACCES ? KD_E_DENIED : KD_E_IO, 0,
					    "cannot make the folder %.150s: %s", path,
					    strerror(errno));
	}
	return KD_OK;
}

static enum kd_status check_folder(const char *path, struct kd_error *err)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return kd_error_set(err, KD_E_IO, 0, "%.150s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return kd_error_set(err, KD_E_DENIED, 0,
				    "%.150s is not a folder: move it out of the way", path);
	if (st.st_uid != geteuid())
		return kd_error_set(err, KD_E_DENIED, 0,
				    "the folder %.120s belongs to uid %u, not to you (uid %u)",
				    path, (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & 077)
		return kd_error_set(err, KD_E_DENIED, 0,
				    "the folder %.120s is open to others: chmod 700 it, after "
				    "looking at what is inside",
				    path);
	return KD_OK;
}

enum kd_status kd_private_dir_make(enum kd_private_dir which, const char *name, char *path_ret,
				   size_t size, struct kd_error *err)
{
	char folder[PATH_SIZE];
	enum kd_status s = folder_path(which, folder, sizeof folder, err);

	if (s == KD_OK)
		s = make_parents(folder, err);
	if (s != KD_OK)
		return s;
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return kd_error_set(err, errno == EACCES ? KD_E_DENIED : KD_E_IO, 0,
				    "cannot make the folder %.150s: %s", folder, strerror(errno));
	s = check_folder(folder, err);
	return s == KD_OK ? with_name(folder, name, path_ret, size, err) : s;
}
