/* SPDX-License-Identifier: MIT */
/* Strings, searching and filling: what is made of plain reads and writes. */
#include <stdlib.h>
#include <string.h>

#include "lib/engine/memory.h"

enum { SCAN = 64 * 1024, FILL_MAX = 256 * 1024 * 1024, TEXT_MAX = 64 * 1024, PAGE_BYTES = 4096 };

/* One code point as UTF-8; returns its length. */
static size_t utf8(char out[4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xC0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xE0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3F));
		out[2] = (char)(0x80 | (c & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3F));
	out[2] = (char)(0x80 | (c >> 6 & 0x3F));
	out[3] = (char)(0x80 | (c & 0x3F));
	return 4;
}

/* The next code point of UTF-16LE or of 8-bit text (taken as Latin-1); *at moves past it. */
static uint32_t next_code(const uint8_t *bytes, size_t size, bool wide, size_t *at)
{
	uint32_t c, low;

	if (!wide)
		return bytes[(*at)++];
	c = kd_get16(bytes + *at);
	*at += 2;
	if (c < 0xD800 || c > 0xDFFF)
		return c;
	if (c > 0xDBFF || *at + 2 > size)
		return 0xFFFD;
	low = kd_get16(bytes + *at);
	if (low < 0xDC00 || low > 0xDFFF)
		return 0xFFFD;
	*at += 2;
	return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
}

KD_EXPORT enum kd_status kd_memory_read_string(struct kd_session *s, uint64_t address, bool wide,
					       size_t max, char *text, size_t size,
					       struct kd_error *err)
{
	KD_CLEANUP(kd_freep) uint8_t *bytes = NULL;
	size_t done = 0, at = 0, out = 0, unit = wide ? 2 : 1;
	enum kd_status status = KD_OK;

	if (size == 0)
		return kd_error_set(err, KD_E_INVALID, address, "no room for the string");
	text[0] = '\0';
	max = KD_MIN(max, (size_t)TEXT_MAX);
	if (max == 0)
		return KD_OK;
	bytes = malloc(max);
	if (!bytes)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	/* Piecewise to page ends, so that a short string before a hole costs one request. */
	while (done < max) {
		size_t n = KD_MIN(max - done, PAGE_BYTES - (size_t)((address + done) % PAGE_BYTES));
		size_t got = 0;

		n = KD_MIN(n, (size_t)512);
		status = kd_memory_read(s, address + done, bytes + done, n, &got, err);
		if (status != KD_OK)
			break;
		done += got;
		if (got < n || (!wide && memchr(bytes + done - got, 0, got)))
			break;
		if (wide && got >= 2 && kd_get16(bytes + ((done - 2) & ~(size_t)1)) == 0)
			break;
	}
	if (status != KD_OK && (status != KD_E_UNREADABLE || done == 0))
		return status;
	while (at + unit <= done) {
		char piece[4];
		uint32_t c = next_code(bytes, done, wide, &at);
		size_t n = c ? utf8(piece, c) : 0;

		if (n == 0 || out + n >= size)
			break;
		memcpy(text + out, piece, n);
		out += n;
	}
	text[out] = '\0';
	return KD_OK;
}

static bool match_in(const uint8_t *bytes, size_t size, const uint8_t *pattern, size_t n,
		     uint64_t offset, size_t step, size_t *at_ret)
{
	const uint8_t *p = bytes;

	while (size >= n) {
		const uint8_t *hit = memmem(p, size - (size_t)(p - bytes), pattern, n);

		if (!hit)
			return false;
		if ((offset + (uint64_t)(hit - bytes)) % step == 0) {
			*at_ret = (size_t)(hit - bytes);
			return true;
		}
		p = hit + 1;
	}
	return false;
}

KD_EXPORT enum kd_status kd_memory_search(struct kd_session *s, uint64_t address, uint64_t length,
					  const void *pattern, size_t n, size_t step,
					  uint64_t *found_ret, struct kd_error *err)
{
	KD_CLEANUP(kd_freep) uint8_t *bytes = malloc(SCAN);
	uint64_t offset = 0;

	if (!bytes)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	if (n == 0 || n > SCAN / 2 || step == 0)
		return kd_error_set(err, KD_E_INVALID, 0, "a pattern has 1 to %d bytes", SCAN / 2);
	while (offset < length && length - offset >= n) {
		uint64_t at = address + offset;
		size_t want = (size_t)KD_MIN(length - offset, (uint64_t)SCAN);
		size_t done = 0, hit;
		enum kd_status status = kd_memory_read(s, at, bytes, want, &done, err);

		if (kd__cancelled(s))
			return kd_error_set(err, KD_E_CANCELLED, at, "cancelled");
		if (status != KD_OK && status != KD_E_UNREADABLE)
			return status;
		if (match_in(bytes, done, pattern, n, offset, step, &hit)) {
			*found_ret = at + hit;
			return KD_OK;
		}
		if (done < want)
			offset += (at + done) / PAGE_BYTES * PAGE_BYTES + PAGE_BYTES - at;
		else
			offset += done > n ? done - n + 1 : 1;
	}
	return kd_error_set(err, KD_E_NOT_FOUND, address, "not found");
}

KD_EXPORT enum kd_status kd_memory_fill(struct kd_session *s, uint64_t address, uint64_t length,
					const void *pattern, size_t n, struct kd_error *err)
{
	KD_CLEANUP(kd_freep) uint8_t *bytes = NULL;
	size_t unit;

	if (n == 0 || n > SCAN || length > FILL_MAX)
		return kd_error_set(err, KD_E_INVALID, address,
				    "fill at most %d MiB with a pattern of 1 to %d bytes",
				    FILL_MAX >> 20, SCAN);
	bytes = malloc(SCAN);
	if (!bytes)
		return kd_error_set(err, KD_E_NO_MEMORY, 0, "out of memory");
	unit = SCAN / n * n;
	for (size_t i = 0; i < unit; i += n)
		memcpy(bytes + i, pattern, n);
	while (length) {
		size_t now = (size_t)KD_MIN(length, (uint64_t)unit);
		enum kd_status status = kd_memory_write(s, address, bytes, now, NULL, err);

		if (status != KD_OK)
			return status;
		address += now;
		length -= now;
	}
	return KD_OK;
}
