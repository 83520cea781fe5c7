/* SPDX-License-Identifier: MIT */
#include "apps/kd/payload.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/kd/args.h"
#include "apps/kd/text.h"

void payload_free(struct payload *p)
{
	free(p->bytes);
	*p = (struct payload){ NULL, 0 };
}

/* --- bytes from text and files --- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static const struct {
	char letter, value;
} escapes[] = { { 'a', '\a' }, { 'b', '\b' }, { 'f', '\f' },  { 'n', '\n' }, { 'r', '\r' },
		{ 't', '\t' }, { 'v', '\v' }, { '\\', '\\' }, { '0', '\0' }, { '"', '"' } };

/* The escape behind a backslash; *at moves behind it. False: it is none. */
static bool take_escape(const char **at, uint8_t *ret)
{
	if (**at == 'x' && hex_digit((*at)[1]) >= 0 && hex_digit((*at)[2]) >= 0) {
		*ret = (uint8_t)(hex_digit((*at)[1]) * 16 + hex_digit((*at)[2]));
		*at += 3;
		return true;
	}
	for (size_t i = 0; i < APP_ARRAY_LEN(escapes); i++)
		if (**at == escapes[i].letter) {
			*ret = (uint8_t)escapes[i].value;
			*at += 1;
			return true;
		}
	return false;
}

enum kd_status payload_unescape(const char *text, struct payload *ret, struct kd_error *err)
{
	uint8_t *bytes = app_alloc(strlen(text) + 1);
	size_t n = 0;

	for (const char *at = text; *at;) {
		if (*at != '\\') {
			bytes[n++] = (uint8_t)*at++;
			continue;
		}
		at++;
		if (!take_escape(&at, &bytes[n])) {
			free(bytes);
			app_error(
				err, KD_E_SYNTAX,
				"\\%.3s is no escape: \\n \\r \\t \\0 \\\\ \\xHH are, \\a \\b \\f "
				"\\v too",
				at);
			err->where = (uint64_t)(at - text);
			return KD_E_SYNTAX;
		}
		n++;
	}
	*ret = (struct payload){ bytes, n };
	return KD_OK;
}

enum kd_status payload_from_hex(const char *text, struct payload *ret, struct kd_error *err)
{
	uint8_t *bytes = app_alloc(strlen(text) / 2 + 1);
	size_t n = 0;

	for (const char *at = text; *at;) {
		if (isspace((unsigned char)*at)) {
			at++;
			continue;
		}
		if (hex_digit(at[0]) < 0 || hex_digit(at[1]) < 0) {
			free(bytes);
			return app_error(err, KD_E_SYNTAX,
					 "%.8s: pairs of hexadecimal digits are expected", at);
		}
		bytes[n++] = (uint8_t)(hex_digit(at[0]) * 16 + hex_digit(at[1]));
		at += 2;
	}
	*ret = (struct payload){ bytes, n };
	return KD_OK;
}

/* Nobody waits for the other end of a FIFO. */
static FILE *open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fdopen(fd, "rb");
	if (fd >= 0) {
		close(fd);
		errno = EINVAL;
	}
	return NULL;
}

enum kd_status payload_from_file(const char *path, struct payload *ret, struct kd_error *err)
{
	FILE *f = open_file(path);
	uint8_t *bytes;
	size_t n;
	int is_bad;

	if (!f)
		return app_error(err,
				 errno == ENOENT   ? KD_E_NOT_FOUND
				 : errno == EACCES ? KD_E_DENIED
						   : KD_E_IO,
				 "%s: %s", path,
				 errno == EINVAL ? "not a regular file" : strerror(errno));
	bytes = app_alloc(PAYLOAD_MAX + 1);
	n = fread(bytes, 1, PAYLOAD_MAX + 1, f);
	is_bad = ferror(f);
	fclose(f);
	if (is_bad || n > PAYLOAD_MAX) {
		free(bytes);
		return is_bad ? app_error(err, KD_E_IO, "%s cannot be read", path)
			      : app_error(err, KD_E_TOO_BIG, "%s has more than %d bytes", path,
					  PAYLOAD_MAX);
	}
	*ret = (struct payload){ bytes, n };
	return KD_OK;
}

/* --- editing --- */

static enum kd_status check(const struct payload *p, size_t offset, size_t size,
			    struct kd_error *err)
{
	if (offset > p->size)
		return app_error(err, KD_E_INVALID, "0x%zx is beyond the end, 0x%zx", offset,
				 p->size);
	if (size > PAYLOAD_MAX)
		return app_error(err, KD_E_TOO_BIG,
				 "0x%zx bytes are too many: a payload has at most 0x%x", size,
				 PAYLOAD_MAX);
	return KD_OK;
}

/* New bytes are zeros. */
static void reserve(struct payload *p, size_t size)
{
	uint8_t *more = app_alloc(size + 1);

	memset(more, 0, size + 1);
	if (p->size)
		memcpy(more, p->bytes, APP_MIN(size, p->size));
	free(p->bytes);
	*p = (struct payload){ more, size };
}

enum kd_status payload_resize(struct payload *p, size_t size, struct kd_error *err)
{
	enum kd_status s = check(p, 0, size, err);

	if (s == KD_OK)
		reserve(p, size);
	return s;
}

enum kd_status payload_overwrite(struct payload *p, size_t offset, const struct payload *with,
				 struct kd_error *err)
{
	size_t end = APP_MAX(p->size, offset + with->size);
	enum kd_status s = check(p, offset, end, err);

	if (s != KD_OK)
		return s;
	reserve(p, end);
	if (with->size)
		memcpy(p->bytes + offset, with->bytes, with->size);
	return KD_OK;
}

enum kd_status payload_insert(struct payload *p, size_t offset, const struct payload *what,
			      struct kd_error *err)
{
	size_t rest = p->size - offset;
	enum kd_status s = check(p, offset, p->size + what->size, err);

	if (s != KD_OK)
		return s;
	reserve(p, p->size + what->size);
	memmove(p->bytes + offset + what->size, p->bytes + offset, rest);
	if (what->size)
		memcpy(p->bytes + offset, what->bytes, what->size);
	return KD_OK;
}

enum kd_status payload_remove(struct payload *p, size_t offset, size_t size, struct kd_error *err)
{
	enum kd_status s = check(p, offset, p->size, err);

	if (s != KD_OK)
		return s;
	if (size > p->size - offset)
		return app_error(err, KD_E_INVALID,
				 "0x%zx bytes can't be removed: 0x%zx are behind 0x%zx", size,
				 p->size - offset, offset);
	if (size)
		memmove(p->bytes + offset, p->bytes + offset + size, p->size - offset - size);
	p->size -= size;
	return KD_OK;
}
