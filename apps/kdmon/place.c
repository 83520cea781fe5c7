/* SPDX-License-Identifier: MIT */
#include "apps/kdmon/place.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/kd/folder.h"

static void runtime_base(char *out, size_t size)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	if (base && base[0] == '/')
		snprintf(out, size, "%s", base);
	else
		snprintf(out, size, "/run/user/%u", (unsigned)getuid());
}

bool place_runtime(const char *name, char *path, size_t size, char *message_ret,
		   size_t message_size)
{
	char base[256];

	runtime_base(base, sizeof(base));
	if ((size_t)snprintf(path, size, "%s/openkd%s%s", base, name ? "/" : "", name ? name : "") <
	    size)
		return true;
	snprintf(message_ret, message_size, "%s/openkd: too long a path for a socket", base);
	return false;
}

static bool make_private(const char *path, char *message_ret, size_t size)
{
	struct stat st;

	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		snprintf(message_ret, size, "%s: %s", path, strerror(errno));
		return false;
	}
	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	    !(st.st_mode & 077))
		return true;
	snprintf(message_ret, size, "%s is not a folder of ours with mode 0700", path);
	return false;
}

bool place_make_runtime(char *message_ret, size_t size)
{
	char path[300], base[256];

	if (!place_runtime(NULL, path, sizeof(path), message_ret, size))
		return false;
	runtime_base(base, sizeof(base));
	if (access(base, X_OK) == 0)
		return make_private(path, message_ret, size);
	snprintf(message_ret, size,
		 "no runtime folder: %.100s: %s. A login makes it; else make one for kdmon and kd: "
		 "mkdir -m 700 ~/.run; export XDG_RUNTIME_DIR=~/.run",
		 base, strerror(errno));
	return false;
}

bool place_state(const char *name, char *path, size_t size, char *message_ret, size_t message_size)
{
	const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char folder[512];

	if (base && base[0] == '/')
		snprintf(folder, sizeof(folder), "%s/openkd", base);
	else if (home && home[0] == '/')
		snprintf(folder, sizeof(folder), "%s/.local/state/openkd", home);
	else {
		snprintf(message_ret, message_size, "no home folder is known ($HOME)");
		return false;
	}
	folder_make(folder, 0700); /* if it fails, what follows does, and says why */
	if (!make_private(folder, message_ret, message_size))
		return false;
	if ((size_t)snprintf(path, size, "%s/%s", folder, name) < size)
		return true;
	snprintf(message_ret, message_size, "%s: too long a path", folder);
	return false;
}

void place_clean(const char *name, char *out, size_t size)
{
	size_t n = 0;

	for (; *name && n + 1 < size; name++) {
		bool is_good = isalnum((unsigned char)*name) || strchr("-_", *name) ||
			       (*name == '.' && n > 0);

		out[n++] = is_good ? *name : '_';
	}
	out[n] = '\0';
	if (n == 0)
		snprintf(out, size, "vm");
}
