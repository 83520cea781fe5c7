/* SPDX-License-Identifier: MIT */
/*
 * Which payloads are shown, and which of these are held. For each question: a list of rules, the
 * first one that fits decides, and a BPF program for what no rule decides. The host makes a filter,
 * the guest checks it before it runs.
 */
#ifndef KD_CORE_PROBE_PROBE_FILTER_H
#define KD_CORE_PROBE_PROBE_FILTER_H

#include "core/probe/probe_bpf.h"

struct kd_probe_program {
	uint32_t n; /* 0: everything matches */
	struct kd_bpf_instruction instructions[KD_PROBE_INSTRUCTIONS_MAX];
};

struct kd_probe_filter {
	uint32_t generation;
	uint32_t n_rules;
	struct kd_probe_w_rule rules[KD_PROBE_RULES_MAX];
	struct kd_probe_program capture;   /* what is shown */
	struct kd_probe_program intercept; /* what of it is held */
};

enum {
	KD_PROBE_FILTER_ROOM = KD_PROBE_SIZE_filter + KD_PROBE_RULES_MAX * KD_PROBE_SIZE_rule +
			       2 * KD_PROBE_INSTRUCTIONS_MAX * KD_BPF_SIZE,
};

/* What is wrong with a filter. */
enum kd_probe_filter_fault {
	KD_PROBE_FILTER_GOOD,
	KD_PROBE_FILTER_SIZE,
	KD_PROBE_FILTER_RULE,      /* where: which */
	KD_PROBE_FILTER_CAPTURE,   /* where: the instruction */
	KD_PROBE_FILTER_INTERCEPT, /* likewise */
};

/* Everything matches, no rules. */
void kd_probe_filter_init(struct kd_probe_filter *f);

/* Take a FILTER record's payload apart and check it. *ret is garbage unless it is good. */
enum kd_probe_filter_fault kd_probe_filter_decode(struct kd_probe_filter *ret, const uint8_t *in,
						  uint32_t size, uint32_t *where_ret);
/* The inverse; `out` has room for KD_PROBE_FILTER_ROOM bytes. */
uint32_t kd_probe_filter_encode(uint8_t *out, const struct kd_probe_filter *v);

/* What the first fitting rule of a list says; KD_PROBE_BY_PROGRAM when none fits. */
enum kd_probe_action kd_probe_filter_action(const struct kd_probe_filter *f, unsigned list,
					    const struct kd_probe_facts *facts);

/*
 * What the filter makes of a flow in one direction, as far as this can be said once for all its
 * packets. Nothing is held by a program alone that breaks a network when it waits: broadcasts,
 * multicasts, DHCP.
 */
struct kd_probe_wish {
	enum kd_bpf_answer is_shown, is_held;
};
struct kd_probe_wish kd_probe_filter_ask(const struct kd_probe_filter *f,
					 const struct kd_probe_facts *facts,
					 enum kd_probe_direction direction);

/* Run a program over one payload of a flow, with the headers it would have. */
bool kd_probe_program_matches(const struct kd_probe_program *program,
			      const struct kd_probe_facts *facts, enum kd_probe_direction direction,
			      uint16_t data_flags, const uint8_t *bytes, uint32_t size);

/* `*` is any number of characters, `?` one; ASCII letters match in either case. */
bool kd_probe_glob_matches(const uint8_t *pattern, uint32_t pattern_size, const uint8_t *text,
			   uint32_t text_size);

#endif
