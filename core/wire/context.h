/* SPDX-License-Identifier: MIT */
/*
 * Register files and the KDBG block as they travel: raw bytes plus one table of named fields per
 * architecture. Reading and writing by table keeps every byte that the table does not name.
 */
#ifndef KD_CORE_WIRE_CONTEXT_H
#define KD_CORE_WIRE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bytes.h"

/* A row of registers.def. */
struct kd_reg_field {
	const char *name; /* lower case, WinDbg's register name: "rax", "efl", "cr3", "xmm0" */
	uint16_t offset;
	uint16_t size; /* bytes; above 8 only for vector and x87 registers */
};

struct kd_reg_layout {
	const struct kd_reg_field *fields;
	size_t n_fields;
	size_t size; /* of the whole structure */
};

enum {
	KD_CONTEXT_SIZE_AMD64 = 1232,
	KD_CONTEXT_SIZE_X86 = 716,
	KD_CONTEXT_SIZE_ARM64 = 912,
	KD_CONTEXT_MAX = 1232,
	KD_SPECIAL_SIZE_AMD64 = 0xF0, /* the largest; 0xD8 and 0xE0 exist */
	KD_SPECIAL_SIZE_X86 = 84,
	KD_SPECIAL_SIZE_ARM64 = 160,
	KD_SPECIAL_OFFSET_X86 = 0x2CC, /* in the x86 control space */
};

/* The CONTEXT and the special registers of a machine; NULL: no table for it. */
const struct kd_reg_layout *kd_context_layout(uint16_t machine);
const struct kd_reg_layout *kd_special_layout(uint16_t machine);

/* NULL: the layout has no such register. */
const struct kd_reg_field *kd_reg_find(const struct kd_reg_layout *layout, const char *name);

/* Fields of 1 to 8 bytes. `bytes` holds layout->size bytes. */
uint64_t kd_reg_get(const uint8_t *bytes, const struct kd_reg_field *field);
void kd_reg_set(uint8_t *bytes, const struct kd_reg_field *field, uint64_t value);

/* --- KDDEBUGGER_DATA64 --- */

enum kd_kdbg_meaning { KD_KDBG_ADDRESS, KD_KDBG_VALUE };

struct kd_kdbg_field {
	const char *name; /* Microsoft's: "PsLoadedModuleList" */
	uint16_t offset;
	uint8_t size;    /* 2, 4 or 8 */
	uint8_t meaning; /* enum kd_kdbg_meaning */
};

enum { KD_KDBG_SIZE_MAX = 0x3A8, KD_KDBG_HEADER_SIZE = 24, KD_KDBG_TAG = 0x4742444B };

const struct kd_kdbg_field *kd_kdbg_table(size_t *n_ret);
const struct kd_kdbg_field *kd_kdbg_find(const char *name);

/*
 * A field of the block's first `size` bytes; false when it lies beyond the block's own Size (or
 * beyond `size`): absent. A value of zero means unknown. machine x86: the low 32 bits of 8-byte
 * fields, as NT sign-extends in some places and zero-extends in others.
 */
bool kd_kdbg_get(const uint8_t *block, size_t size, uint16_t machine,
		 const struct kd_kdbg_field *field, uint64_t *value_ret);

#endif
