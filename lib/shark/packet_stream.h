/* SPDX-License-Identifier: MIT */
/*
 * Traffic as pcapng for Wireshark: what really flows on one interface, as packets whose headers are
 * of our making; what was held or dropped on a second one, as exported PDUs, where no TCP analysis
 * is troubled by it. docs/traffic.md describes both; live display rules: traffic facts 4.
 */
#ifndef KD_LIB_SHARK_PACKET_STREAM_H
#define KD_LIB_SHARK_PACKET_STREAM_H

#include <openkd/traffic.h>

#include "lib/shark/conversation.h"

struct kd__packet_stream;

/*
 * Begin a stream of this slot: all conversations begin in it from now on. `name` is the target's,
 * for people. Errors as kd_traffic_add_stream().
 */
enum kd_status kd__packet_stream_create(const struct kd_stream_options *options, unsigned slot,
					const char *name, struct kd__packet_stream **ret,
					struct kd_error *err);

/* Is this the file or FIFO that it was begun with? Under any of its names. */
bool kd__packet_stream_is_to(const struct kd__packet_stream *s, const char *path);

/*
 * Write an entry. KD_OK also when a slow reader made us leave it out (counted). KD_E_CLOSED,
 * KD_E_IO: the stream has ended.
 */
enum kd_status kd__packet_stream_put(struct kd__packet_stream *s, const struct kd__entry *entry,
				     struct kd_error *err);

/* A frame without content, to be recognized by its comment and id. Errors likewise. */
enum kd_status kd__packet_stream_mark(struct kd__packet_stream *s, const char *comment, uint64_t id,
				      struct kd_error *err);

/* Hand what was put to the system. */
enum kd_status kd__packet_stream_flush(struct kd__packet_stream *s, struct kd_error *err);

struct kd__packet_stream_counters {
	uint64_t packets, left_out;
};
struct kd__packet_stream_counters kd__packet_stream_counters(const struct kd__packet_stream *s);

/* Complete it and free it, also on failure. NULL is fine. */
enum kd_status kd__packet_stream_close(struct kd__packet_stream *s, struct kd_error *err);

#endif
