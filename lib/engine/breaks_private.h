/* SPDX-License-Identifier: MIT */
/* Shared by breakpoint.c (the user's list), break_site.c (code) and break_data.c (debug registers).
 */
#ifndef KD_LIB_ENGINE_BREAKS_PRIVATE_H
#define KD_LIB_ENGINE_BREAKS_PRIVATE_H

#include "lib/engine/breaks.h"

enum {
	KD__SITES = 32, /* the target's table */
	KD__SLOTS = 4,  /* debug registers */
	KD__LEFT_OVERS = 32,
};

struct brk {
	struct kd_breakpoint pub;
	char *expression, *condition, *command;
	kd_breakpoint_handler handler;
	void *handler_context;
	bool is_abandoned; /* goes when it is hit */
};

struct site {
	uint64_t address;
	uint32_t handle; /* the target's, 1..32; 0: not planted */
	uint8_t original;
	bool has_original;
};

struct slot {
	int id; /* breakpoint, -1: free */
	uint64_t address;
	uint8_t kind, size;
};

struct kd__breaks {
	struct brk **list; /* by id */
	size_t n, cap;

	struct site sites[KD__SITES];
	size_t n_sites;
	uint64_t temps[KD__TEMPS];
	size_t n_temps;

	struct kd__journal_entry left_overs[KD__LEFT_OVERS]; /* of a journal: not repaired yet */
	size_t n_left_overs;
	struct kd__journal_entry journalled[KD__SITES + KD__LEFT_OVERS]; /* what is on disk */
	size_t n_journalled;
	bool maybe_planted; /* the connection was lost while something was planted */

	struct slot slots[KD__SLOTS];
	bool slots_written; /* the target's debug registers hold `slots` */
	bool slots_used;    /* something was ever written to them */
};

bool kd__brk_wants(const struct brk *b);

void kd__sites_forget(struct kd_session *s);
void kd__sites_forget_range(struct kd_session *s, uint64_t base, uint64_t size);

/* Debug registers: which slot a breakpoint has, -1: none; make the target's match the list. */
int kd__slot_of(const struct kd_session *s, int id);
enum kd_status kd__slots_write(struct kd_session *s, struct kd_error *err);
enum kd_status kd__slots_clear(struct kd_session *s, struct kd_error *err);

#endif
