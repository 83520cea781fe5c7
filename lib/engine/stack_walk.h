/* SPDX-License-Identifier: MIT */
/*
 * Walking a stack of x64 (unwind data) or x86 (chain of frame pointers) code over a reader. Needs
 * no session. The stack may be anything: the walk ends after `max` frames at the latest, and each
 * step goes up the stack or through a machine frame, at most KD__MACHINE_FRAMES_MAX of them.
 */
#ifndef KD_LIB_ENGINE_STACK_WALK_H
#define KD_LIB_ENGINE_STACK_WALK_H

#include <openkd/code.h>

#include "lib/sym/unwind_x64.h"

enum {
	KD__FRAMES_MAX = 4096,
	KD__MACHINE_FRAMES_MAX = 64,
	KD__SCANS_MAX = 16, /* how often a walk may go on with what looks like a return address */
};

struct kd__stack_host {
	bool is_64;
	/* Memory, code, unwind data and, for x64, function entries; see unwind_x64.h. */
	struct kd_x64_unwinder unwinder;
	/* Does an address lie in code of a module? */
	bool (*is_code)(void *context, uint64_t address);
	uint64_t low, high;  /* the current stack; 0, 0: not known */
	uint64_t user_end;   /* addresses below are user mode's */
	uint64_t first_slot; /* x86: where the first frame's return address is; 0: not known */
};

/*
 * `regs`: where to begin (x86: rip, and rsp and rbp by the same numbers, sign-extended); on return
 * those of the last frame reported. `note`: why the walk ended before the stack's base, else "".
 * KD_OK also then; others: the reader's failures.
 */
enum kd_status kd__stack_walk(const struct kd__stack_host *host, struct kd_x64_frame *regs,
			      struct kd_frame *frames, size_t max, size_t *n_ret, char *note,
			      size_t note_size, struct kd_error *err);

#endif
