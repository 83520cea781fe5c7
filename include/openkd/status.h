/* SPDX-License-Identifier: MIT */
/**
 * @file
 * What a call came to: the one vocabulary of results, shared by the host library and by the
 * code that runs inside guests. Freestanding: needs no libc.
 *
 * Two vocabularies never mix: `enum kd_status` is ours, NTSTATUS is the target's and is carried
 * beside it (`kd_error.nt_status`, valid when the status is KD_E_TARGET).
 */
#ifndef OPENKD_STATUS_H
#define OPENKD_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Name, value, what happened. Values are never renumbered: they are part of the ABI. */
#define KD_STATUS_TABLE(X)                                       \
	X(AGAIN, 1, "not yet: more input or time is needed")     \
	X(BUSY, 2, "a packet is still unacknowledged")           \
	X(MALFORMED, 3, "the bytes are not what they should be") \
	X(TOO_BIG, 4, "larger than the limit")                   \
	X(CHECKSUM, 5, "payload checksum mismatch")              \
	X(TRUNCATED, 6, "the data ends too early")               \
	X(TARGET, 7, "the target refused the request")           \
	X(NOT_FOUND, 8, "not found")                             \
	X(UNSUPPORTED, 9, "not supported")                       \
	X(INVALID, 10, "invalid argument")                       \
	X(SYNTAX, 11, "syntax error")                            \
	X(NO_MEMORY, 12, "out of memory")                        \
	X(IO, 13, "input/output error")                          \
	X(CLOSED, 14, "the other side closed the connection")    \
	X(TIMEOUT, 15, "no answer in time")                      \
	X(CANCELLED, 16, "cancelled")                            \
	X(STALE, 17, "the target ran since this was read")       \
	X(RUNNING, 18, "the target is running")                  \
	X(NOT_CONNECTED, 19, "no target is connected")           \
	X(RESET, 20, "the target restarted")                     \
	X(UNREADABLE, 21, "the memory is not readable")          \
	X(MISMATCH, 22, "does not match")                        \
	X(FULL, 23, "no room left")                              \
	X(DENIED, 24, "permission denied")                       \
	X(EXISTS, 25, "exists already or is in use")             \
	X(AMBIGUOUS, 26, "more than one matches")

enum kd_status {
	KD_OK = 0,
#define KD_X(name, value, text) KD_E_##name = value,
	KD_STATUS_TABLE(KD_X)
#undef KD_X
};

/** Size of kd_error.text, the terminating NUL included. */
#define KD_ERROR_TEXT_SIZE 240

/**
 * Where an error came from. The caller's storage; every function that takes one accepts NULL.
 * Written only when the function fails.
 */
struct kd_error {
	enum kd_status status;
	uint32_t nt_status;            /**< NTSTATUS when status is KD_E_TARGET, else 0 */
	uint32_t api;                  /**< KD API number it belongs to, or 0 */
	uint64_t where;                /**< stream or file offset, or target address */
	char text[KD_ERROR_TEXT_SIZE]; /**< one line: what, where, what to do; no trailing dot */
};

#ifdef __cplusplus
}
#endif

#endif
