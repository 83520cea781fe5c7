/* SPDX-License-Identifier: MIT */
#include "apps/kd/folder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

bool folder_make(char *path, mode_t mode)
{
	bool is_there = true;

	for (char *p = strchr(path + 1, '/'); p && is_there; p = strchr(p + 1, '/')) {
		*p = '\0';
		is_there = mkdir(path, mode) == 0 || errno == EEXIST;
		*p = '/';
	}
	return is_there && (mkdir(path, mode) == 0 || errno == EEXIST);
}
