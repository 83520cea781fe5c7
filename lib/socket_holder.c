/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "lib/base.h"

enum { PROCESSES_MAX = 1 << 15, FDS_MAX = 1 << 12 /* of a process */ };

static bool holds(long pid, uint32_t inode)
{
	char folder[64], target[64];
	struct dirent *entry;
	bool found = false;
	DIR *d;

	snprintf(folder, sizeof folder, "/proc/%ld/fd", pid);
	d = opendir(folder);
	for (int i = 0; d && !found && i < FDS_MAX && (entry = readdir(d)); i++) {
		ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof target - 1);
		uint32_t number;

		if (n < 0)
			continue;
		target[n] = '\0';
		found = sscanf(target, "socket:[%" SCNu32 "]", &number) == 1 && number == inode;
	}
	if (d)
		closedir(d);
	return found;
}

int kd__socket_holder(uint32_t inode)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int found = 0;

	for (int i = 0; proc && !found && i < PROCESSES_MAX && (entry = readdir(proc)); i++) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (!*end && pid > 0 && holds(pid, inode))
			found = (int)pid;
	}
	if (proc)
		closedir(proc);
	return found;
}
