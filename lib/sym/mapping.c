/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/sym/pe.h"

static enum kd_status from_errno(int e)
{
	return e == ENOENT || e == ENOTDIR ? KD_E_NOT_FOUND
	       : e == EACCES || e == EPERM ? KD_E_DENIED
					   : KD_E_IO;
}

enum kd_status kd_mapping_open(const char *path, struct kd_mapping *ret, struct kd_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	void *bytes;

	if (fd < 0)
		return kd_error_set(err, from_errno(errno), 0, "cannot open %s: %s", path,
				    strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0) {
		close(fd);
		return kd_error_set(err, KD_E_MALFORMED, 0, "%s is empty or not a file", path);
	}
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED)
		return kd_error_set(err, KD_E_IO, 0, "cannot map %s: %s", path, strerror(errno));
	ret->bytes = bytes;
	ret->size = (size_t)st.st_size;
	return KD_OK;
}

void kd_mapping_close(struct kd_mapping *m)
{
	if (m->bytes)
		munmap((void *)(uintptr_t)m->bytes, m->size);
	m->bytes = NULL;
	m->size = 0;
}

enum kd_status kd_mapping_read(void *mapping, uint64_t address, void *buffer, size_t size,
			       size_t *done_ret)
{
	const struct kd_mapping *m = mapping;

	*done_ret = 0;
	if (address >= m->size)
		return KD_OK;
	*done_ret = KD_MIN(size, m->size - (size_t)address);
	memcpy(buffer, m->bytes + address, *done_ret);
	return KD_OK;
}
