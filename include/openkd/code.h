/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Disassembly and stacks.
 */
#ifndef OPENKD_CODE_H
#define OPENKD_CODE_H

#include <openkd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kd_flow {
	KD_FLOW_NEXT,
	KD_FLOW_CALL,
	KD_FLOW_RETURN,
	KD_FLOW_JUMP,
	KD_FLOW_BRANCH,
	KD_FLOW_TRAP
};

struct kd_instruction {
	uint64_t address;
	uint8_t size; /**< 1..15; 1 for an undecodable byte */
	uint8_t bytes[15];
	bool is_valid;
	enum kd_flow flow;
	bool has_target; /**< direct call, jump, branch */
	uint64_t target;
	bool has_memory; /**< one operand refers to memory at a known address */
	uint64_t memory;
	bool is_repeated; /**< rep prefix: stepped over as one */
	char mnemonic[24];
	char operands[160]; /**< WinDbg's MASM-like syntax with symbols */
};

/**
 * Decode one instruction of the target. KD_E_UNREADABLE: no byte there.
 * Reads ahead through the cache: walking a function costs few round trips.
 */
enum kd_status kd_code_decode(struct kd_session *session, uint64_t address,
			      struct kd_instruction *ret, struct kd_error *err);

/** Address of the n-th instruction before `address` (`ub`): found by decoding from a function
 * start. */
enum kd_status kd_code_before(struct kd_session *session, uint64_t address, unsigned n,
			      uint64_t *ret, struct kd_error *err);

struct kd_frame {
	uint64_t pc, sp; /**< of the frame itself */
	uint64_t frame;  /**< frame pointer or sp after the prologue */
	uint64_t return_address;
	uint64_t arguments[4]; /**< x64: the home area, not necessarily the arguments */
	bool is_trap;          /**< reached through a machine frame */
	bool is_scanned;       /**< found by scanning: doubtful */
	bool has_function_entry;
	uint64_t trap_frame; /**< of a trap handler: address of its KTRAP_FRAME (`.trap` takes it);
				else 0 */
};

/**
 * The stack of the current register context.
 *
 * @param max  at most this many; capped at 4096.
 * @param[out] frames  caller's array of `max`.
 * @return KD_OK; *n_ret frames. Why it ended, if not at the stack's base, is in `note` ("stack
 *         paged out at ...", "loop"), "" otherwise.
 */
enum kd_status kd_stack_walk(struct kd_session *session, struct kd_frame *frames, size_t max,
			     size_t *n_ret, char *note, size_t note_size, struct kd_error *err);

/** As kd_stack_walk() from given registers (`k = SP IP`). */
enum kd_status kd_stack_walk_from(struct kd_session *session, uint64_t sp, uint64_t pc,
				  struct kd_frame *frames, size_t max, size_t *n_ret, char *note,
				  size_t note_size, struct kd_error *err);

/** CONTEXT of frame `n` (0: the current one): non-volatile registers as they were there. */
enum kd_status kd_stack_frame_context(struct kd_session *session, size_t n, void *context,
				      size_t size, size_t *size_ret, struct kd_error *err);

#ifdef __cplusplus
}
#endif

#endif
