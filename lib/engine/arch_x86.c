/* SPDX-License-Identifier: MIT */
/* x86: registers by WinDbg's names, the control report, Continue2. */
#include "lib/engine/arch.h"

#include <string.h>

static const struct kd_register_info registers[] = {
	{ "eax", KD_REGISTER_GENERAL, 4 },  { "ebx", KD_REGISTER_GENERAL, 4 },
	{ "ecx", KD_REGISTER_GENERAL, 4 },  { "edx", KD_REGISTER_GENERAL, 4 },
	{ "esi", KD_REGISTER_GENERAL, 4 },  { "edi", KD_REGISTER_GENERAL, 4 },
	{ "eip", KD_REGISTER_GENERAL, 4 },  { "esp", KD_REGISTER_GENERAL, 4 },
	{ "ebp", KD_REGISTER_GENERAL, 4 },  { "cs", KD_REGISTER_SEGMENT, 2 },
	{ "ss", KD_REGISTER_SEGMENT, 2 },   { "ds", KD_REGISTER_SEGMENT, 2 },
	{ "es", KD_REGISTER_SEGMENT, 2 },   { "fs", KD_REGISTER_SEGMENT, 2 },
	{ "gs", KD_REGISTER_SEGMENT, 2 },   { "efl", KD_REGISTER_SEGMENT, 4 },
	{ "cf", KD_REGISTER_FLAG, 0 },      { "pf", KD_REGISTER_FLAG, 0 },
	{ "af", KD_REGISTER_FLAG, 0 },      { "zf", KD_REGISTER_FLAG, 0 },
	{ "sf", KD_REGISTER_FLAG, 0 },      { "tf", KD_REGISTER_FLAG, 0 },
	{ "if", KD_REGISTER_FLAG, 0 },      { "df", KD_REGISTER_FLAG, 0 },
	{ "of", KD_REGISTER_FLAG, 0 },      { "iopl", KD_REGISTER_FLAG, 0 },
	{ "nt", KD_REGISTER_FLAG, 0 },      { "rf", KD_REGISTER_FLAG, 0 },
	{ "vm", KD_REGISTER_FLAG, 0 },      { "ac", KD_REGISTER_FLAG, 0 },
	{ "vif", KD_REGISTER_FLAG, 0 },     { "vip", KD_REGISTER_FLAG, 0 },
	{ "id", KD_REGISTER_FLAG, 0 },      { "ax", KD_REGISTER_PART, 2 },
	{ "al", KD_REGISTER_PART, 1 },      { "ah", KD_REGISTER_PART, 1 },
	{ "bx", KD_REGISTER_PART, 2 },      { "bl", KD_REGISTER_PART, 1 },
	{ "bh", KD_REGISTER_PART, 1 },      { "cx", KD_REGISTER_PART, 2 },
	{ "cl", KD_REGISTER_PART, 1 },      { "ch", KD_REGISTER_PART, 1 },
	{ "dx", KD_REGISTER_PART, 2 },      { "dl", KD_REGISTER_PART, 1 },
	{ "dh", KD_REGISTER_PART, 1 },      { "si", KD_REGISTER_PART, 2 },
	{ "di", KD_REGISTER_PART, 2 },      { "bp", KD_REGISTER_PART, 2 },
	{ "sp", KD_REGISTER_PART, 2 },      { "ip", KD_REGISTER_PART, 2 },
	{ "dr0", KD_REGISTER_DEBUG, 4 },    { "dr1", KD_REGISTER_DEBUG, 4 },
	{ "dr2", KD_REGISTER_DEBUG, 4 },    { "dr3", KD_REGISTER_DEBUG, 4 },
	{ "dr6", KD_REGISTER_DEBUG, 4 },    { "dr7", KD_REGISTER_DEBUG, 4 },
	{ "cr0", KD_REGISTER_CONTROL, 4 },  { "cr2", KD_REGISTER_CONTROL, 4 },
	{ "cr3", KD_REGISTER_CONTROL, 4 },  { "cr4", KD_REGISTER_CONTROL, 4 },
	{ "gdtr", KD_REGISTER_CONTROL, 4 }, { "gdtl", KD_REGISTER_CONTROL, 2 },
	{ "idtr", KD_REGISTER_CONTROL, 4 }, { "idtl", KD_REGISTER_CONTROL, 2 },
	{ "tr", KD_REGISTER_CONTROL, 2 },   { "ldtr", KD_REGISTER_CONTROL, 2 },
	{ "kdr0", KD_REGISTER_CONTROL, 4 }, { "kdr1", KD_REGISTER_CONTROL, 4 },
	{ "kdr2", KD_REGISTER_CONTROL, 4 }, { "kdr3", KD_REGISTER_CONTROL, 4 },
	{ "kdr6", KD_REGISTER_CONTROL, 4 }, { "kdr7", KD_REGISTER_CONTROL, 4 },
	{ "mxcsr", KD_REGISTER_VECTOR, 4 }, { "xmm0", KD_REGISTER_VECTOR, 16 },
	{ "xmm1", KD_REGISTER_VECTOR, 16 }, { "xmm2", KD_REGISTER_VECTOR, 16 },
	{ "xmm3", KD_REGISTER_VECTOR, 16 }, { "xmm4", KD_REGISTER_VECTOR, 16 },
	{ "xmm5", KD_REGISTER_VECTOR, 16 }, { "xmm6", KD_REGISTER_VECTOR, 16 },
	{ "xmm7", KD_REGISTER_VECTOR, 16 },
};

static const struct kd__part parts[] = {
	{ "ax", "eax", 0, 16 }, { "al", "eax", 0, 8 },   { "ah", "eax", 8, 8 },
	{ "bx", "ebx", 0, 16 }, { "bl", "ebx", 0, 8 },   { "bh", "ebx", 8, 8 },
	{ "cx", "ecx", 0, 16 }, { "cl", "ecx", 0, 8 },   { "ch", "ecx", 8, 8 },
	{ "dx", "edx", 0, 16 }, { "dl", "edx", 0, 8 },   { "dh", "edx", 8, 8 },
	{ "si", "esi", 0, 16 }, { "di", "edi", 0, 16 },  { "bp", "ebp", 0, 16 },
	{ "sp", "esp", 0, 16 }, { "ip", "eip", 0, 16 },  { "cf", "efl", 0, 1 },
	{ "pf", "efl", 2, 1 },  { "af", "efl", 4, 1 },   { "zf", "efl", 6, 1 },
	{ "sf", "efl", 7, 1 },  { "tf", "efl", 8, 1 },   { "if", "efl", 9, 1 },
	{ "df", "efl", 10, 1 }, { "of", "efl", 11, 1 },  { "iopl", "efl", 12, 2 },
	{ "nt", "efl", 14, 1 }, { "rf", "efl", 16, 1 },  { "vm", "efl", 17, 1 },
	{ "ac", "efl", 18, 1 }, { "vif", "efl", 19, 1 }, { "vip", "efl", 20, 1 },
	{ "id", "efl", 21, 1 },
};

static void report(struct kd__report *ret, const struct kd_state_change *change)
{
	struct kd_w_report_x86 r;

	kd_w_report_x86_decode(&r, change->report);
	*ret = (struct kd__report){
		.dr6 = r.dr6,
		.dr7 = r.dr7,
		.flags = r.eflags,
		.cs = r.seg_cs,
		.has_segments = r.report_flags & 1,
		.n_stream = KD_MIN(r.instruction_count, (uint16_t)sizeof ret->stream),
	};
	memcpy(ret->stream, r.instruction_stream, sizeof ret->stream);
}

static void continue2(struct kd_manipulate *m, uint32_t status, bool trace, uint64_t dr7)
{
	m->u.continue2_x86.continue_status = status;
	m->u.continue2_x86.trace_flag = trace;
	m->u.continue2_x86.dr7 = (uint32_t)dr7;
	m->u.continue2_x86.symbol_start = 1;
}

static const uint8_t int3[] = { 0xCC };

const struct kd__arch kd__arch_x86 = {
	.machine = KD_MACHINE_X86,
	.pointer_size = 4,
	.pc = "eip",
	.sp = "esp",
	.fp = "ebp",
	.flags = "efl",
	.status = "eax",
	.breakpoint = int3,
	.breakpoint_size = sizeof int3,
	.registers = registers,
	.n_registers = KD_ARRAY_LEN(registers),
	.parts = parts,
	.n_parts = KD_ARRAY_LEN(parts),
	.special_address = KD_SPECIAL_OFFSET_X86,
	.special_size = KD_SPECIAL_SIZE_X86,
	/* Exception list, APC bypass, return address; then what KiSwapContext saved: symbols
	   facts 3.4 */
	.switched_out = { .saved = { { "eip", 0x08 },
				     { "ebp", 0x0C },
				     { "edi", 0x10 },
				     { "esi", 0x14 },
				     { "ebx", 0x18 } },
			  .n_saved = 5,
			  .sp = 0x0C,
			  .return_slot = 0x1C,
			  .cs = 0x08,
			  .ss = 0x10 },
	.report = report,
	.continue2 = continue2,
};
