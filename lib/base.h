/* SPDX-License-Identifier: MIT */
/* What every part of the host library may use: error filling, scope guards, small arithmetic. */
#ifndef KD_LIB_BASE_H
#define KD_LIB_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

#define KD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define KD_EXPORT            __attribute__((visibility("default")))
#define KD_ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))

/* Scope guard: `KD_CLEANUP(thing_destroyp) struct thing *t = NULL;` */
#define KD_CLEANUP(fn) __attribute__((cleanup(fn)))

#define KD_MIN(a, b) ((a) < (b) ? (a) : (b))
#define KD_MAX(a, b) ((a) > (b) ? (a) : (b))

/*
 * Fill *err (NULL is fine) and return `status`, so that a failing function ends in
 * `return kd_error_set(err, KD_E_IO, 0, "cannot open %s: %s", path, strerror(errno));`
 * `where` is a stream or file offset or a target address; 0 when there is none.
 */
#define kd_error_set(err, status, ...)                                  \
	({                                                              \
		const enum kd_status kd__status = (status);             \
		kd__error_fill((err), kd__status, __VA_ARGS__);         \
		kd__status; /* the compiler sees that it is no KD_OK */ \
	})
void kd__error_fill(struct kd_error *err, enum kd_status status, uint64_t where, const char *fmt,
		    ...) KD_PRINTF(4, 5);

/* Put "prefix: " before the text that is already in *err; returns `status`. KD_OK: does nothing. */
enum kd_status kd_error_prefix(struct kd_error *err, enum kd_status status, const char *fmt, ...)
	KD_PRINTF(3, 4);

/* Monotonic time in nanoseconds. */
uint64_t kd_now_ns(void);

/* What a process is called (/proc/PID/comm); "": there is none. */
void kd__process_name(int pid, char *out, size_t size);

/*
 * The process that has this socket open, by a look at all of them; 0: none that we may look into.
 * The inode's number is in /proc/net.
 */
int kd__socket_holder(uint32_t inode);

/* For KD_CLEANUP(kd_freep): free() what the variable points at. */
void kd_freep(void *pointer_to_pointer);

#endif
