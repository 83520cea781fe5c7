/* SPDX-License-Identifier: MIT */
/*
 * What differs between machines. To add one:
 *   1. recognise and look: arch_<x>.c with registers, the control report and Continue2;
 *      a CONTEXT table in core/wire/context.c; a row in arch.c
 *   2. breakpoints: the breakpoint instruction, the status register
 *   3. stepping: kd_code_decode for the machine (code.c)
 *   4. stacks: stack.c; address translation: translate.c
 */
#ifndef KD_LIB_ENGINE_ARCH_H
#define KD_LIB_ENGINE_ARCH_H

#include "lib/engine/engine.h"

/* What the control report of a state change says, for every machine alike. */
struct kd__report {
	uint64_t dr6, dr7, flags;
	uint16_t cs;
	bool has_segments;
	uint32_t n_stream; /* bytes in `stream` */
	uint8_t stream[16];
};

struct kd__part { /* a register that is a part of another */
	const char *name, *whole;
	uint8_t shift; /* bits */
	uint8_t bits;
};

/* What KTHREAD.KernelStack of a thread that does not run points at: its registers in KiSwapContext.
 */
struct kd__switched_out {
	struct {
		const char *name;
		uint8_t offset;
	} saved[6];
	size_t n_saved;
	uint8_t sp;          /* where the stack pointer is, relative to KernelStack */
	uint8_t return_slot; /* of KiSwapContext, for a walker that can't tell; 0: it can */
	uint16_t cs, ss;
};

struct kd__arch {
	uint16_t machine;
	uint8_t pointer_size;
	const char *pc, *sp, *fp, *flags; /* register names */
	const char *status;               /* register that holds DBG_STATUS_* at a break-in stop */
	const uint8_t *breakpoint;        /* the instruction that WriteBreakPoint plants */
	uint8_t breakpoint_size;
	const struct kd_register_info *registers;
	size_t n_registers;
	const struct kd__part *parts;
	size_t n_parts;
	uint64_t special_address; /* control space: where the special registers are */
	uint32_t special_size;    /* ask for at most this many bytes */
	struct kd__switched_out switched_out;
	void (*report)(struct kd__report *ret, const struct kd_state_change *change);
	void (*continue2)(struct kd_manipulate *m, uint32_t status, bool trace, uint64_t dr7);
};

/* NULL: no support for the machine. */
const struct kd__arch *kd__arch_find(uint16_t machine);

extern const struct kd__arch kd__arch_amd64;
extern const struct kd__arch kd__arch_x86;

#endif
