/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Registers of the selected processor, by WinDbg's names ("rax", "eax", "al", "efl", "zf", "cr3",
 * "xmm0", "gdtr", ...), or of the register context set with kd_context_set().
 */
#ifndef OPENKD_REGISTER_H
#define OPENKD_REGISTER_H

#include <openkd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kd_register_group {
	KD_REGISTER_GENERAL,
	KD_REGISTER_SEGMENT,
	KD_REGISTER_FLAG, /**< single bits of efl: "zf" ... */
	KD_REGISTER_PART, /**< parts of general ones: "eax", "ax", "al", "ah" */
	KD_REGISTER_DEBUG,
	KD_REGISTER_CONTROL, /**< cr0..., gdtr, idtr, tr, ldtr: from the special registers */
	KD_REGISTER_VECTOR,
	KD_REGISTER_X87,
};

struct kd_register_info {
	const char *name;
	enum kd_register_group group;
	uint16_t size; /**< bytes; flags: 0 (one bit) */
};

/** The registers of the target's machine, in display order. Valid as long as the session. */
const struct kd_register_info *kd_register_table(struct kd_session *session, size_t *n_ret);

/**
 * One register of up to 8 bytes. @return KD_OK; KD_E_NOT_FOUND: no such register;
 * KD_E_TOO_BIG: use kd_register_read_bytes().
 */
enum kd_status kd_register_get(struct kd_session *session, const char *name, uint64_t *value_ret,
			       struct kd_error *err);
enum kd_status kd_register_set(struct kd_session *session, const char *name, uint64_t value,
			       struct kd_error *err);

/** Any register, little-endian. *size_ret: its size; KD_E_TOO_BIG if it exceeds `size`. */
enum kd_status kd_register_read_bytes(struct kd_session *session, const char *name, void *buffer,
				      size_t size, size_t *size_ret, struct kd_error *err);

/** Instruction, stack and frame pointer, whatever they are called. */
enum kd_status kd_register_pc(struct kd_session *session, uint64_t *ret, struct kd_error *err);
enum kd_status kd_register_sp(struct kd_session *session, uint64_t *ret, struct kd_error *err);

/**
 * Look at other registers than the processor's (`.cxr`, `.trap`, `.frame /r`, `.thread`): the bytes
 * of a CONTEXT of the machine. NULL: back to the processor's. Only looking is possible. Dropped at
 * every resume.
 */
enum kd_status kd_context_set(struct kd_session *session, const void *context, size_t size,
			      struct kd_error *err);
/** The CONTEXT in use. *size_ret its size. */
enum kd_status kd_context_get(struct kd_session *session, void *context, size_t size,
			      size_t *size_ret, struct kd_error *err);
bool kd_context_is_set(const struct kd_session *session);

#ifdef __cplusplus
}
#endif

#endif
