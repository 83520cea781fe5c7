/* SPDX-License-Identifier: MIT */
#include "tests/io/net_capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char name[] = "windbg-uncut.pcapng.gz";

char *net_capture_load(const char *root, size_t *size_ret)
{
	const char *folder = getenv("OPENKD_DATA");
	char path[1024], command[1100];
	size_t cap = 4 * 1024 * 1024, n;
	char *bytes;
	FILE *f;

	if (folder)
		snprintf(path, sizeof path, "%s/%s", folder, name);
	else
		snprintf(path, sizeof path, "%s/../shared/data/%s", root, name);
	if (access(path, R_OK) != 0)
		return NULL;
	snprintf(command, sizeof command, "exec gzip -dc '%s'", path);
	f = popen(command, "r");
	bytes = malloc(cap);
	n = f && bytes ? fread(bytes, 1, cap, f) : 0;
	if (!f || pclose(f) != 0 || n == 0 || n == cap) {
		fprintf(stderr, "%s: cannot be unpacked\n", path);
		exit(1);
	}
	*size_ret = n;
	return bytes;
}
