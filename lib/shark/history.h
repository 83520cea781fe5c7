/* SPDX-License-Identifier: MIT */
/*
 * What was shown, the last of it, in memory that is taken once: a full history forgets its oldest
 * entries for the next one. No locks: the caller's.
 */
#ifndef KD_LIB_SHARK_HISTORY_H
#define KD_LIB_SHARK_HISTORY_H

#include "lib/shark/conversation.h"

struct kd__history;
struct kd__history_entry;

/* NULL: out of memory. Pages are the system's until they are used. */
struct kd__history *kd__history_create(void);
void kd__history_destroy(struct kd__history *h);

/* A copy of the entry, with its bytes and words, and a reference of its conversation. */
void kd__history_add(struct kd__history *h, const struct kd__entry *entry);
void kd__history_clear(struct kd__history *h);

/* From the oldest on; NULL: no more. What they say is the history's, until the next _add. */
const struct kd__history_entry *kd__history_first(const struct kd__history *h);
const struct kd__history_entry *kd__history_next(const struct kd__history_entry *at);
const struct kd__entry *kd__history_entry(const struct kd__history_entry *at);

#endif
