/* SPDX-License-Identifier: MIT */
/* AMD64: registers by WinDbg's names, the control report, Continue2. */
#include "lib/engine/arch.h"

#include <string.h>

static const struct kd_register_info registers[] = {
	{ "rax", KD_REGISTER_GENERAL, 8 },   { "rbx", KD_REGISTER_GENERAL, 8 },
	{ "rcx", KD_REGISTER_GENERAL, 8 },   { "rdx", KD_REGISTER_GENERAL, 8 },
	{ "rsi", KD_REGISTER_GENERAL, 8 },   { "rdi", KD_REGISTER_GENERAL, 8 },
	{ "rip", KD_REGISTER_GENERAL, 8 },   { "rsp", KD_REGISTER_GENERAL, 8 },
	{ "rbp", KD_REGISTER_GENERAL, 8 },   { "r8", KD_REGISTER_GENERAL, 8 },
	{ "r9", KD_REGISTER_GENERAL, 8 },    { "r10", KD_REGISTER_GENERAL, 8 },
	{ "r11", KD_REGISTER_GENERAL, 8 },   { "r12", KD_REGISTER_GENERAL, 8 },
	{ "r13", KD_REGISTER_GENERAL, 8 },   { "r14", KD_REGISTER_GENERAL, 8 },
	{ "r15", KD_REGISTER_GENERAL, 8 },   { "cs", KD_REGISTER_SEGMENT, 2 },
	{ "ss", KD_REGISTER_SEGMENT, 2 },    { "ds", KD_REGISTER_SEGMENT, 2 },
	{ "es", KD_REGISTER_SEGMENT, 2 },    { "fs", KD_REGISTER_SEGMENT, 2 },
	{ "gs", KD_REGISTER_SEGMENT, 2 },    { "efl", KD_REGISTER_SEGMENT, 4 },
	{ "cf", KD_REGISTER_FLAG, 0 },       { "pf", KD_REGISTER_FLAG, 0 },
	{ "af", KD_REGISTER_FLAG, 0 },       { "zf", KD_REGISTER_FLAG, 0 },
	{ "sf", KD_REGISTER_FLAG, 0 },       { "tf", KD_REGISTER_FLAG, 0 },
	{ "if", KD_REGISTER_FLAG, 0 },       { "df", KD_REGISTER_FLAG, 0 },
	{ "of", KD_REGISTER_FLAG, 0 },       { "iopl", KD_REGISTER_FLAG, 0 },
	{ "nt", KD_REGISTER_FLAG, 0 },       { "rf", KD_REGISTER_FLAG, 0 },
	{ "vm", KD_REGISTER_FLAG, 0 },       { "ac", KD_REGISTER_FLAG, 0 },
	{ "vif", KD_REGISTER_FLAG, 0 },      { "vip", KD_REGISTER_FLAG, 0 },
	{ "id", KD_REGISTER_FLAG, 0 },       { "eax", KD_REGISTER_PART, 4 },
	{ "ax", KD_REGISTER_PART, 2 },       { "al", KD_REGISTER_PART, 1 },
	{ "ah", KD_REGISTER_PART, 1 },       { "ebx", KD_REGISTER_PART, 4 },
	{ "bx", KD_REGISTER_PART, 2 },       { "bl", KD_REGISTER_PART, 1 },
	{ "bh", KD_REGISTER_PART, 1 },       { "ecx", KD_REGISTER_PART, 4 },
	{ "cx", KD_REGISTER_PART, 2 },       { "cl", KD_REGISTER_PART, 1 },
	{ "ch", KD_REGISTER_PART, 1 },       { "edx", KD_REGISTER_PART, 4 },
	{ "dx", KD_REGISTER_PART, 2 },       { "dl", KD_REGISTER_PART, 1 },
	{ "dh", KD_REGISTER_PART, 1 },       { "esi", KD_REGISTER_PART, 4 },
	{ "si", KD_REGISTER_PART, 2 },       { "sil", KD_REGISTER_PART, 1 },
	{ "edi", KD_REGISTER_PART, 4 },      { "di", KD_REGISTER_PART, 2 },
	{ "dil", KD_REGISTER_PART, 1 },      { "ebp", KD_REGISTER_PART, 4 },
	{ "bp", KD_REGISTER_PART, 2 },       { "bpl", KD_REGISTER_PART, 1 },
	{ "esp", KD_REGISTER_PART, 4 },      { "sp", KD_REGISTER_PART, 2 },
	{ "spl", KD_REGISTER_PART, 1 },      { "eip", KD_REGISTER_PART, 4 },
	{ "ip", KD_REGISTER_PART, 2 },       { "r8d", KD_REGISTER_PART, 4 },
	{ "r8w", KD_REGISTER_PART, 2 },      { "r8b", KD_REGISTER_PART, 1 },
	{ "r9d", KD_REGISTER_PART, 4 },      { "r9w", KD_REGISTER_PART, 2 },
	{ "r9b", KD_REGISTER_PART, 1 },      { "r10d", KD_REGISTER_PART, 4 },
	{ "r10w", KD_REGISTER_PART, 2 },     { "r10b", KD_REGISTER_PART, 1 },
	{ "r11d", KD_REGISTER_PART, 4 },     { "r11w", KD_REGISTER_PART, 2 },
	{ "r11b", KD_REGISTER_PART, 1 },     { "r12d", KD_REGISTER_PART, 4 },
	{ "r12w", KD_REGISTER_PART, 2 },     { "r12b", KD_REGISTER_PART, 1 },
	{ "r13d", KD_REGISTER_PART, 4 },     { "r13w", KD_REGISTER_PART, 2 },
	{ "r13b", KD_REGISTER_PART, 1 },     { "r14d", KD_REGISTER_PART, 4 },
	{ "r14w", KD_REGISTER_PART, 2 },     { "r14b", KD_REGISTER_PART, 1 },
	{ "r15d", KD_REGISTER_PART, 4 },     { "r15w", KD_REGISTER_PART, 2 },
	{ "r15b", KD_REGISTER_PART, 1 },     { "dr0", KD_REGISTER_DEBUG, 8 },
	{ "dr1", KD_REGISTER_DEBUG, 8 },     { "dr2", KD_REGISTER_DEBUG, 8 },
	{ "dr3", KD_REGISTER_DEBUG, 8 },     { "dr6", KD_REGISTER_DEBUG, 8 },
	{ "dr7", KD_REGISTER_DEBUG, 8 },     { "cr0", KD_REGISTER_CONTROL, 8 },
	{ "cr2", KD_REGISTER_CONTROL, 8 },   { "cr3", KD_REGISTER_CONTROL, 8 },
	{ "cr4", KD_REGISTER_CONTROL, 8 },   { "cr8", KD_REGISTER_CONTROL, 8 },
	{ "gdtr", KD_REGISTER_CONTROL, 8 },  { "gdtl", KD_REGISTER_CONTROL, 2 },
	{ "idtr", KD_REGISTER_CONTROL, 8 },  { "idtl", KD_REGISTER_CONTROL, 2 },
	{ "tr", KD_REGISTER_CONTROL, 2 },    { "ldtr", KD_REGISTER_CONTROL, 2 },
	{ "kdr0", KD_REGISTER_CONTROL, 8 },  { "kdr1", KD_REGISTER_CONTROL, 8 },
	{ "kdr2", KD_REGISTER_CONTROL, 8 },  { "kdr3", KD_REGISTER_CONTROL, 8 },
	{ "kdr6", KD_REGISTER_CONTROL, 8 },  { "kdr7", KD_REGISTER_CONTROL, 8 },
	{ "xcr0", KD_REGISTER_CONTROL, 8 },  { "mxcsr", KD_REGISTER_VECTOR, 4 },
	{ "xmm0", KD_REGISTER_VECTOR, 16 },  { "xmm1", KD_REGISTER_VECTOR, 16 },
	{ "xmm2", KD_REGISTER_VECTOR, 16 },  { "xmm3", KD_REGISTER_VECTOR, 16 },
	{ "xmm4", KD_REGISTER_VECTOR, 16 },  { "xmm5", KD_REGISTER_VECTOR, 16 },
	{ "xmm6", KD_REGISTER_VECTOR, 16 },  { "xmm7", KD_REGISTER_VECTOR, 16 },
	{ "xmm8", KD_REGISTER_VECTOR, 16 },  { "xmm9", KD_REGISTER_VECTOR, 16 },
	{ "xmm10", KD_REGISTER_VECTOR, 16 }, { "xmm11", KD_REGISTER_VECTOR, 16 },
	{ "xmm12", KD_REGISTER_VECTOR, 16 }, { "xmm13", KD_REGISTER_VECTOR, 16 },
	{ "xmm14", KD_REGISTER_VECTOR, 16 }, { "xmm15", KD_REGISTER_VECTOR, 16 },
	{ "fpcw", KD_REGISTER_X87, 2 },      { "fpsw", KD_REGISTER_X87, 2 },
	{ "fptw", KD_REGISTER_X87, 1 },      { "st0", KD_REGISTER_X87, 16 },
	{ "st1", KD_REGISTER_X87, 16 },      { "st2", KD_REGISTER_X87, 16 },
	{ "st3", KD_REGISTER_X87, 16 },      { "st4", KD_REGISTER_X87, 16 },
	{ "st5", KD_REGISTER_X87, 16 },      { "st6", KD_REGISTER_X87, 16 },
	{ "st7", KD_REGISTER_X87, 16 },
};

static const struct kd__part parts[] = {
	{ "eax", "rax", 0, 32 },  { "ax", "rax", 0, 16 },   { "al", "rax", 0, 8 },
	{ "ah", "rax", 8, 8 },    { "ebx", "rbx", 0, 32 },  { "bx", "rbx", 0, 16 },
	{ "bl", "rbx", 0, 8 },    { "bh", "rbx", 8, 8 },    { "ecx", "rcx", 0, 32 },
	{ "cx", "rcx", 0, 16 },   { "cl", "rcx", 0, 8 },    { "ch", "rcx", 8, 8 },
	{ "edx", "rdx", 0, 32 },  { "dx", "rdx", 0, 16 },   { "dl", "rdx", 0, 8 },
	{ "dh", "rdx", 8, 8 },    { "esi", "rsi", 0, 32 },  { "si", "rsi", 0, 16 },
	{ "sil", "rsi", 0, 8 },   { "edi", "rdi", 0, 32 },  { "di", "rdi", 0, 16 },
	{ "dil", "rdi", 0, 8 },   { "ebp", "rbp", 0, 32 },  { "bp", "rbp", 0, 16 },
	{ "bpl", "rbp", 0, 8 },   { "esp", "rsp", 0, 32 },  { "sp", "rsp", 0, 16 },
	{ "spl", "rsp", 0, 8 },   { "eip", "rip", 0, 32 },  { "ip", "rip", 0, 16 },
	{ "r8d", "r8", 0, 32 },   { "r8w", "r8", 0, 16 },   { "r8b", "r8", 0, 8 },
	{ "r9d", "r9", 0, 32 },   { "r9w", "r9", 0, 16 },   { "r9b", "r9", 0, 8 },
	{ "r10d", "r10", 0, 32 }, { "r10w", "r10", 0, 16 }, { "r10b", "r10", 0, 8 },
	{ "r11d", "r11", 0, 32 }, { "r11w", "r11", 0, 16 }, { "r11b", "r11", 0, 8 },
	{ "r12d", "r12", 0, 32 }, { "r12w", "r12", 0, 16 }, { "r12b", "r12", 0, 8 },
	{ "r13d", "r13", 0, 32 }, { "r13w", "r13", 0, 16 }, { "r13b", "r13", 0, 8 },
	{ "r14d", "r14", 0, 32 }, { "r14w", "r14", 0, 16 }, { "r14b", "r14", 0, 8 },
	{ "r15d", "r15", 0, 32 }, { "r15w", "r15", 0, 16 }, { "r15b", "r15", 0, 8 },
	{ "cf", "efl", 0, 1 },    { "pf", "efl", 2, 1 },    { "af", "efl", 4, 1 },
	{ "zf", "efl", 6, 1 },    { "sf", "efl", 7, 1 },    { "tf", "efl", 8, 1 },
	{ "if", "efl", 9, 1 },    { "df", "efl", 10, 1 },   { "of", "efl", 11, 1 },
	{ "iopl", "efl", 12, 2 }, { "nt", "efl", 14, 1 },   { "rf", "efl", 16, 1 },
	{ "vm", "efl", 17, 1 },   { "ac", "efl", 18, 1 },   { "vif", "efl", 19, 1 },
	{ "vip", "efl", 20, 1 },  { "id", "efl", 21, 1 },
};

static void report(struct kd__report *ret, const struct kd_state_change *change)
{
	struct kd_w_report_amd64 r;

	kd_w_report_amd64_decode(&r, change->report);
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
	m->u.continue2_amd64.continue_status = status;
	m->u.continue2_amd64.trace_flag = trace;
	m->u.continue2_amd64.dr7 = dr7;
	m->u.continue2_amd64.symbol_start = 1; /* 1: leave the internal breakpoints' range alone */
}

static const uint8_t int3[] = { 0xCC };

const struct kd__arch kd__arch_amd64 = {
	.machine = KD_MACHINE_AMD64,
	.pointer_size = 8,
	.pc = "rip",
	.sp = "rsp",
	.fp = "rbp",
	.flags = "efl",
	.status = "rcx",
	.breakpoint = int3,
	.breakpoint_size = sizeof int3,
	.registers = registers,
	.n_registers = KD_ARRAY_LEN(registers),
	.parts = parts,
	.n_parts = KD_ARRAY_LEN(parts),
	.special_address = 2,
	.special_size = KD_SPECIAL_SIZE_AMD64,
	/* KSWITCH_FRAME: facts 3.3 */
	.switched_out = { .saved = { { "rbp", 0x30 }, { "rip", 0x38 } },
			  .n_saved = 2,
			  .sp = 0x40,
			  .cs = 0x10,
			  .ss = 0x18 },
	.report = report,
	.continue2 = continue2,
};
