/* SPDX-License-Identifier: MIT */
/* Editing the bytes of a payload, as !packet and !inject spell it. No target. */
#ifndef APPS_KD_PAYLOAD_H
#define APPS_KD_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

enum { PAYLOAD_MAX = 65536 };

struct payload {
	uint8_t *bytes; /* malloc'ed */
	size_t size;
};

void payload_free(struct payload *p); /* also for APP_CLEANUP */

/*
 * Text with escapes to bytes: \a \b \f \n \r \t \v \\ \0 \xHH. KD_E_SYNTAX: err->where is the
 * place of a bad escape.
 */
enum kd_status payload_unescape(const char *text, struct payload *ret, struct kd_error *err);
/* Hexadecimal digits, pairs, blanks between them. */
enum kd_status payload_from_hex(const char *text, struct payload *ret, struct kd_error *err);
/* KD_E_TOO_BIG, KD_E_NOT_FOUND, KD_E_DENIED, KD_E_IO. */
enum kd_status payload_from_file(const char *path, struct payload *ret, struct kd_error *err);

/* All fail with KD_E_INVALID where `offset` is beyond the end, KD_E_TOO_BIG beyond PAYLOAD_MAX. */
enum kd_status payload_resize(struct payload *p, size_t size, struct kd_error *err);
enum kd_status payload_overwrite(struct payload *p, size_t offset, const struct payload *with,
				 struct kd_error *err);
enum kd_status payload_insert(struct payload *p, size_t offset, const struct payload *what,
			      struct kd_error *err);
/* What is there of the bytes that shall go. */
enum kd_status payload_remove(struct payload *p, size_t offset, size_t size, struct kd_error *err);

#endif
