/* SPDX-License-Identifier: MIT */
/*
 * A debugger that only lets go. When the host dies while the target is stopped, or with its
 * breakpoints in the target, the target's own transport asks and answers in its place: take out
 * every breakpoint that the target knows of, step over a hard-coded one, drop the hardware ones, go
 * on. To the kernel it looks like any debugger's requests.
 *
 *     begin(state change);
 *     while (request() is true) { the target answers; reply(its answer); }
 *
 * The last request is Continue2, which is not answered. No I/O, no heap; about 1.3 KB.
 */
#ifndef KD_CORE_RING_RING_ORPHAN_H
#define KD_CORE_RING_RING_ORPHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/wire/context.h"
#include "core/wire/message.h"

enum kd_orphan_step {
	KD_ORPHAN_DONE,
	KD_ORPHAN_RESTORE,
	KD_ORPHAN_LOOK,
	KD_ORPHAN_GET,
	KD_ORPHAN_SET,
	KD_ORPHAN_CONTINUE,
};

struct kd_orphan {
	enum kd_orphan_step step;
	uint32_t handle; /* RESTORE: the next one */
	uint16_t machine, processor;
	uint32_t continue_status;
	bool is_breakpoint;
	uint64_t pc;
	size_t context_size;
	uint8_t context[KD_CONTEXT_MAX];
};

/*
 * `machine`: KD_MACHINE_AMD64 or KD_MACHINE_X86. `state_change`: what the target said last, at
 * least its fixed header.
 */
void kd_orphan_begin(struct kd_orphan *o, uint16_t machine, const uint8_t *state_change,
		     size_t size);

/* The next request; *data_ret (NULL: none) points into *o. False: all is said. */
bool kd_orphan_request(struct kd_orphan *o, uint8_t header_ret[KD_AT_LEAST(KD_MANIPULATE_SIZE)],
		       const uint8_t **data_ret, size_t *size_ret);

/* The target's answer to it. One that refuses is as good. */
void kd_orphan_reply(struct kd_orphan *o, const uint8_t *header, size_t header_size,
		     const uint8_t *data, size_t data_size);

bool kd_orphan_is_active(const struct kd_orphan *o);

#endif
