/* SPDX-License-Identifier: MIT */
/*
 * Mutations written down, and done again: names of payloads that are the same in every run of the
 * same traffic, a file of JSON lines, and what such a file says about a payload.
 */
#ifndef KD_LIB_SHARK_MUTATION_RECORD_H
#define KD_LIB_SHARK_MUTATION_RECORD_H

#include "lib/shark/mutator_private.h"

/* --- names --- */

struct kd__payload_name {
	char process[64];
	uint8_t protocol;
	uint16_t port; /* the server's: where the beginner went to */
	uint32_t flow; /* among those of this process, protocol and port, from 1 */
	bool is_inbound;
	uint32_t item; /* of the flow and direction, from 1 */
};

struct kd__payload_names;
struct kd__payload_names *kd__payload_names_create(void); /* NULL: no memory */
void kd__payload_names_destroy(struct kd__payload_names *n);
/* Count from the beginning. */
void kd__payload_names_reset(struct kd__payload_names *n);
/* The next payload of its flow; each is asked about once. */
void kd__payload_name_of(struct kd__payload_names *n, const struct kd_traffic_item *item,
			 const struct kd_traffic_flow *flow, struct kd__payload_name *ret);
void kd__payload_name_next(struct kd__payload_names *n, uint64_t flow, const char *process,
			   uint8_t protocol, uint16_t port, bool is_inbound,
			   struct kd__payload_name *ret);
uint64_t kd__payload_name_hash(const struct kd__payload_name *name);

/* --- records --- */

struct kd__mutation_entry {
	const struct kd__payload_name *name;
	const char *mutator;
	uint64_t seed;
	enum kd__outcome outcome; /* CHANGED, DROPPED or RESET */
	bool is_any;              /* whatever its bytes were: `before` does not count */
	const uint8_t *before, *after;
	size_t before_size, after_size;
};

struct kd__mutation_writer;
/* A new file; KD_E_EXISTS: it is there already. */
enum kd_status kd__mutation_writer_create(const char *path, struct kd__mutation_writer **ret,
					  struct kd_error *err);
/* As it stands in a file, without the line's end; malloc'ed. NULL: no memory. */
char *kd__mutation_line(const struct kd__mutation_entry *entry);
void kd__mutation_write_line(struct kd__mutation_writer *w, const char *line);
/* NULL is fine. What can't be written is told at the end. */
void kd__mutation_write(struct kd__mutation_writer *w, const struct kd__mutation_entry *entry);
enum kd_status kd__mutation_writer_close(struct kd__mutation_writer *w, struct kd_error *err);

struct kd__mutation_replay;
/* KD_E_MALFORMED: err->where is the line. */
enum kd_status kd__mutation_replay_load(const char *path, struct kd__mutation_replay **ret,
					struct kd_error *err);
void kd__mutation_replay_free(struct kd__mutation_replay *r);
/* What the record says about this payload, with these bytes. False: nothing (NULL: never). */
bool kd__mutation_replay_find(struct kd__mutation_replay *r, const struct kd__payload_name *name,
			      const uint8_t *bytes, size_t size,
			      struct kd__mutation_entry *entry_ret, uint64_t *line_ret);
void kd__mutation_replay_state(const struct kd__mutation_replay *r, uint64_t *done_ret,
			       uint64_t *left_ret);

#endif
