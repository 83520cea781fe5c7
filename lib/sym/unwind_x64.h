/* SPDX-License-Identifier: MIT */
/*
 * One step up an x64 stack by the image's unwind data: UNWIND_INFO versions 1 and 2, chained and
 * indirect entries, epilogs, machine frames (facts: symbols 3.1 to 3.3).
 */
#ifndef KD_LIB_SYM_UNWIND_X64_H
#define KD_LIB_SYM_UNWIND_X64_H

#include "lib/sym/pe.h"

/* Numbered as unwind codes number them: rax rcx rdx rbx rsp rbp rsi rdi r8..r15. */
enum { KD_X64_RSP = 4, KD_X64_RBP = 5, KD_X64_REGS = 16 };

struct kd_x64_frame {
	uint64_t rip;
	uint64_t regs[KD_X64_REGS];
};

/* A RUNTIME_FUNCTION; begin 0 and end 0: none. */
struct kd_x64_function {
	uint32_t begin, end, unwind; /* RVAs; bit 0 of unwind: indirect */
};

/* The function table of an image (.pdata), in ascending order. */
struct kd_x64_functions {
	struct kd_x64_function *list;
	size_t n;
};

/*
 * Read the exception directory with one request. KD_E_NOT_FOUND: the image has none, or is not for
 * x64; KD_E_UNREADABLE: paged out, take it from the image file. A table that is readable in part is
 * that part. Owned: kd_x64_functions_free().
 */
enum kd_status kd_x64_functions_load(const struct kd_pe *pe, struct kd_x64_functions *ret,
				     struct kd_error *err);
void kd_x64_functions_free(struct kd_x64_functions *f);
/* The entry around an RVA; NULL: none, so a leaf function. Valid as long as the table. */
const struct kd_x64_function *kd_x64_function_at(const struct kd_x64_functions *f, uint32_t rva);

struct kd_x64_unwinder {
	/* Code and stack bytes; short reads mean unreadable. */
	kd_sym_read_fn read;
	/*
	 * The image that holds an address: its base and the function entry; false: no image. An
	 * image without an entry for the address is a leaf function: function_ret zeroed.
	 */
	bool (*find)(void *context, uint64_t address, uint64_t *base_ret,
		     struct kd_x64_function *function_ret);
	void *context;
};

struct kd_x64_step {
	bool is_machine_frame; /* the caller was interrupted: its rip is exact */
	bool is_leaf;          /* no unwind data: return address at rsp */
	bool has_function;
	uint64_t machine_frame; /* address of it */
	uint64_t return_slot;   /* where the return address was */
	uint64_t function;      /* begin address */
	uint64_t establisher;   /* rsp after the prologue, or the frame register less its offset */
};

/*
 * From a frame to its caller. `exact`: rip is where execution is (the innermost frame, or one that
 * was interrupted), not a return address behind a call.
 *
 * KD_OK: *frame is the caller's; KD_E_UNREADABLE: unwind data or stack not readable, err->where
 * says where; KD_E_MALFORMED: unwind data that make no sense, or a stack that does not grow;
 * KD_E_NOT_FOUND: rip is in no image. On failure *frame is undefined: stop there.
 */
enum kd_status kd_x64_unwind(const struct kd_x64_unwinder *u, struct kd_x64_frame *frame,
			     bool exact, struct kd_x64_step *step_ret, struct kd_error *err);

#endif
