/* SPDX-License-Identifier: MIT */
#include "apps/kd/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/kd/text.h"

static const char suffix[] = ".part";

static void forget(struct aside *a)
{
	free(a->path);
	free(a->name);
	*a = (struct aside){ 0 };
}

static bool give_up(struct aside *a, int number)
{
	if (a->name)
		unlink(a->name);
	forget(a);
	errno = number;
	return false;
}

static bool open_beside(struct aside *a, const char *path)
{
	struct text name = TEXT_INIT;
	int fd;

	a->path = realpath(path, NULL);
	if (!a->path)
		a->path = app_strdup(path);
	text_printf(&name, "%s.XXXXXX%s", a->path, suffix);
	a->name = text_take(&name);
	fd = mkostemps(a->name, (int)sizeof(suffix) - 1, O_CLOEXEC);
	if (fd < 0) {
		free(a->name);
		a->name = NULL;
		return false;
	}
	a->file = fdopen(fd, "w");
	if (!a->file)
		close(fd);
	return a->file != NULL;
}

bool aside_begin(struct aside *a, const char *path)
{
	struct stat st;

	*a = (struct aside){ 0 };
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		a->file = fopen(path, "we");
	else
		open_beside(a, path);
	return a->file || give_up(a, errno);
}

bool aside_end(struct aside *a, bool is_complete)
{
	int number = fclose(a->file) == 0 ? 0 : errno;

	if (number == 0 && is_complete && a->name && rename(a->name, a->path) != 0)
		number = errno;
	if (number || (!is_complete && a->name)) {
		give_up(a, number);
		return number == 0;
	}
	forget(a);
	return true;
}
