/* SPDX-License-Identifier: MIT */
#include "lib/base.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openkd/error.h>

struct row {
	enum kd_status status;
	const char *name, *text;
};

static const struct row rows[] = { { KD_OK, "OK", "no error" },
#define KD_X(name, value, text) { KD_E_##name, #name, text },
				   KD_STATUS_TABLE(KD_X)
#undef KD_X
};

static const struct row *find_row(enum kd_status status)
{
	for (size_t i = 0; i < KD_ARRAY_LEN(rows); i++)
		if (rows[i].status == status)
			return &rows[i];
	return NULL;
}

KD_EXPORT const char *kd_status_text(enum kd_status status)
{
	const struct row *row = find_row(status);

	return row ? row->text : "unknown status";
}

KD_EXPORT const char *kd_status_name(enum kd_status status)
{
	const struct row *row = find_row(status);

	return row ? row->name : "unknown status";
}

KD_EXPORT const char *kd_library_version(void)
{
	return KD_VERSION;
}

void kd__error_fill(struct kd_error *err, enum kd_status status, uint64_t where, const char *fmt,
		    ...)
{
	va_list ap;

	if (!err)
		return;
	err->status = status;
	err->nt_status = 0;
	err->api = 0;
	err->where = where;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
}

enum kd_status kd_error_prefix(struct kd_error *err, enum kd_status status, const char *fmt, ...)
{
	char text[2 * KD_ERROR_TEXT_SIZE];
	size_t n;
	va_list ap;

	if (!err || status == KD_OK)
		return status;
	va_start(ap, fmt);
	vsnprintf(text, KD_ERROR_TEXT_SIZE - 2, fmt, ap);
	va_end(ap);
	n = strlen(text);
	memcpy(text + n, ": ", 2);
	strcpy(text + n + 2, err->text);
	text[KD_ERROR_TEXT_SIZE - 1] = '\0';
	strcpy(err->text, text);
	err->status = status;
	return status;
}

uint64_t kd_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void kd__process_name(int pid, char *out, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, out, size - 1) : -1;
	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

void kd_freep(void *pointer_to_pointer)
{
	void *p;

	memcpy(&p, pointer_to_pointer, sizeof p);
	free(p);
}
