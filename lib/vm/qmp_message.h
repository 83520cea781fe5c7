/* SPDX-License-Identifier: MIT */
/*
 * What a QEMU monitor (QMP) says: bytes in, messages out. No descriptors, no clock.
 *
 * QMP is one JSON object a line. A connection begins with a greeting; commands are answered by a
 * return or an error that repeats the command's id; events come at any time between.
 */
#ifndef KD_LIB_VM_QMP_MESSAGE_H
#define KD_LIB_VM_QMP_MESSAGE_H

#include <jansson.h>

#include "lib/base.h"

/* "info mtree -f" of a VM with many devices is some 100 KB; one with 4 MB is none of QEMU's. */
enum { KD_QMP_LINE_MAX = 4 << 20 };

struct kd__qmp_reader {
	char *bytes;
	size_t size, used;
	size_t first;   /* where the first line that was not handed out begins */
	size_t scanned; /* no line feed in [first, scanned) */
};

/* Zeroed storage is a reader, too. */
void kd__qmp_reader_deinit(struct kd__qmp_reader *r);

/*
 * Take bytes as they came. Fetch messages until KD_E_AGAIN before feeding again: that is what
 * bounds the memory. KD_E_NO_MEMORY.
 */
enum kd_status kd__qmp_feed(struct kd__qmp_reader *r, const void *bytes, size_t n,
			    struct kd_error *err);

enum kd__qmp_kind {
	KD__QMP_GREETING,
	KD__QMP_RETURN,
	KD__QMP_ERROR,
	KD__QMP_EVENT,
};

struct kd__qmp_message {
	enum kd__qmp_kind kind;
	json_t *root; /* owned; what the other pointers point into */
	/* The greeting's "QMP" (an object), what is returned, an event's data (an object or NULL).
	 */
	json_t *value;
	const char *name; /* of the event, of the error's class; else NULL */
	const char *text; /* of the error; else NULL */
	const char *id;   /* of return and error; NULL: it has none, or one that is not ours */
	uint64_t time_us; /* of the event, since 1970; 0: not told */
};

/*
 * The next message; to be given to kd__qmp_message_deinit().
 * KD_E_AGAIN: feed more; KD_E_MALFORMED: not QMP, the text tells what it looks like; KD_E_TOO_BIG:
 * a line above KD_QMP_LINE_MAX. After the last two the connection is of no use any more.
 */
enum kd_status kd__qmp_next(struct kd__qmp_reader *r, struct kd__qmp_message *ret,
			    struct kd_error *err);
void kd__qmp_message_deinit(struct kd__qmp_message *m);

/* Text of others in a message of ours: control characters become '?', and it is cut to `size`. */
const char *kd__vm_printable(const char *text, char *buffer, size_t size);

#endif
