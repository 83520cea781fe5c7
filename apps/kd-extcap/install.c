/* SPDX-License-Identifier: MIT */
#include "apps/kd-extcap/install.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/kd-extcap/option.h"
#include "apps/kd/folder.h"
#include "apps/kd/text.h"

#define LINK_NAME "kd-extcap"

/* Wireshark up to 4.0, from 4.2 on. Each scans its own only. */
static const struct {
	const char *variable, *fallback, *folder, *who;
} places[] = {
	{ "XDG_CONFIG_HOME", ".config", "wireshark/extcap", "Wireshark 4.0 and before" },
	{ NULL, ".local/lib", "wireshark/extcap", "Wireshark 4.2 and later" },
};

static bool place_folder(size_t i, char *path, size_t size)
{
	const char *base = places[i].variable ? getenv(places[i].variable) : NULL;
	const char *home = getenv("HOME");

	if (base && base[0] == '/')
		return snprintf(path, size, "%s/%s", base, places[i].folder) < (int)size;
	return home && home[0] == '/' &&
	       snprintf(path, size, "%s/%s/%s", home, places[i].fallback, places[i].folder) <
		       (int)size;
}

/* Is there a link, of which program? A file that is no link is somebody's. */
static bool is_replaceable(const char *path)
{
	struct stat st;

	return lstat(path, &st) != 0 || S_ISLNK(st.st_mode);
}

static bool install_one(FILE *to, size_t i, const char *program)
{
	char folder[PATH_MAX - 64], path[PATH_MAX];

	if (!place_folder(i, folder, sizeof(folder))) {
		fprintf(stderr, "kd-extcap: $HOME is not set\n");
		return false;
	}
	snprintf(path, sizeof(path), "%s/%s", folder, LINK_NAME);
	if (!is_replaceable(path)) {
		fprintf(stderr, "kd-extcap: %s is no link: it is left as it is\n", path);
		return false;
	}
	if (!folder_make(folder, 0755) || (unlink(path) != 0 && errno != ENOENT) ||
	    symlink(program, path) != 0) {
		fprintf(stderr, "kd-extcap: %s: %s\n", path, strerror(errno));
		return false;
	}
	fprintf(to, "%s -> %s (%s)\n", path, program, places[i].who);
	return true;
}

int extcap_install(FILE *to)
{
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	bool ok = n > 0;

	program[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; ok && i < APP_ARRAY_LEN(places); i++)
		ok = install_one(to, i, program);
	if (ok)
		fprintf(to, "tshark -D and Wireshark list sessions and VMs now. The toolbar: View, "
			    "Interface Toolbars, OpenKD.\n");
	return ok ? EXTCAP_OK : EXTCAP_FAILED;
}

int extcap_uninstall(FILE *to)
{
	int code = EXTCAP_OK;

	for (size_t i = 0; i < APP_ARRAY_LEN(places); i++) {
		char folder[PATH_MAX - 64], path[PATH_MAX];

		if (!place_folder(i, folder, sizeof(folder)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, LINK_NAME);
		if (access(path, F_OK) != 0 && errno == ENOENT)
			continue;
		if (!is_replaceable(path) || unlink(path) != 0) {
			fprintf(stderr, "kd-extcap: %s is left as it is\n", path);
			code = EXTCAP_FAILED;
		} else {
			fprintf(to, "%s is gone\n", path);
		}
	}
	return code;
}
