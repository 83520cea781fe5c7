/* SPDX-License-Identifier: MIT */
/*
 * A conversation: what Wireshark takes for one TCP or UDP stream. Mostly that is a flow; two
 * programs of one guest that talk to each other are two flows but one conversation, seen from the
 * side that began.
 *
 * What is written of it where: each stream of packets numbers the bytes for itself, because it may
 * have begun later than others.
 */
#ifndef KD_LIB_SHARK_CONVERSATION_H
#define KD_LIB_SHARK_CONVERSATION_H

#include "core/probe/probe.h"
#include "lib/base.h"

enum {
	KD__STREAMS_MAX = 16,
	KD__SAVE_SLOT = KD__STREAMS_MAX, /* the one that kd_traffic_save() writes */
	KD__FILTER_SLOT,                 /* the first of display filters */
	KD__FILTERS_MAX = 8,
	KD__SLOTS = KD__FILTER_SLOT + KD__FILTERS_MAX,
};

struct kd__sequence {
	uint32_t next[2]; /* enum kd_probe_direction, as the conversation's beginner sees it */
	bool is_begun;    /* SYN and so on were written */
	bool is_ended[2]; /* FIN was */
};

struct kd__conversation {
	unsigned references;
	struct kd_probe_facts facts; /* of the side that began; path points to `path` */
	uint8_t path[KD_PROBE_PATH_MAX];
	char process[64]; /* file name of the image, UTF-8 */
	struct kd__sequence sequences[KD__SLOTS];
};

/* NULL: out of memory. One reference, the caller's. */
struct kd__conversation *kd__conversation_create(const struct kd_probe_facts *facts);
void kd__conversation_unref(struct kd__conversation *c);
static inline struct kd__conversation *kd__conversation_ref(struct kd__conversation *c)
{
	c->references++;
	return c;
}

/* What a guest or a program says, for people and JSON: all but printable UTF-8 is '?'. */
void kd__clean_text(const uint8_t *text, size_t size, char *ret, size_t ret_size);

/* The last part of a Windows path; "?" for an empty one. */
void kd__image_name(const uint8_t *path, size_t size, char *name_ret, size_t name_size);

/* Something that happened to a conversation, and is shown. */
enum kd__entry_kind {
	KD__ENTRY_DATA, /* bytes that really flow */
	KD__ENTRY_HELD, /* bytes that wait, or waited and were dropped: not part of the stream */
	KD__ENTRY_END,  /* FIN */
	KD__ENTRY_RESET,
	KD__ENTRY_CLOSE, /* the flow is gone; nothing is written if it ended properly */
};

struct kd__entry {
	enum kd__entry_kind kind;
	struct kd__conversation *conversation;
	enum kd_probe_direction direction; /* as the beginner sees it */
	uint64_t item, flow, time_ns;
	uint32_t pid;
	const uint8_t *bytes;
	size_t size, original_size;
	bool is_edited;
	const char *verdict; /* a word for the comment: "pass", "held" ... */
	const char *by;      /* who decided; NULL: nobody was asked */
	uint64_t lost;       /* items that are missing before this one */
	/* as the flow itself sees it, which may be the other end of the conversation */
	const char *process;
	uint16_t server_port;
	bool is_inbound;
};

#endif
