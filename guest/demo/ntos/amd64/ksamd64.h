/* SPDX-License-Identifier: MIT */
/*
 * Structure offsets for assembly. amd64/layout.c includes this file too and asserts each value
 * against the C structures, so the two can't drift apart.
 */
#ifndef KD_DEMO_KSAMD64_H
#define KD_DEMO_KSAMD64_H

/* KTRAP_FRAME, from its start; handlers run with rbp = frame + TF_RBP_BIAS */
#define TF_RBP_BIAS      0x80
#define TF_PREVIOUS_MODE 0x28
#define TF_PREVIOUS_IRQL 0x29
#define TF_MXCSR         0x2C
#define TF_RAX           0x30
#define TF_RCX           0x38
#define TF_RDX           0x40
#define TF_R8            0x48
#define TF_R9            0x50
#define TF_R10           0x58
#define TF_R11           0x60
#define TF_XMM0          0x70
#define TF_FAULT_ADDRESS 0xD0
#define TF_RBX           0x140
#define TF_RDI           0x148
#define TF_RSI           0x150
#define TF_RBP           0x158
#define TF_ERROR_CODE    0x160
#define TF_RIP           0x168
#define TF_SEG_CS        0x170
#define TF_EFLAGS        0x178
#define TF_RSP           0x180
#define TF_ALLOC         0x158 /* what is below the pushed rbp */

/* KEXCEPTION_FRAME */
#define EX_XMM6   0x30
#define EX_RBP    0xF8
#define EX_RBX    0x100
#define EX_RDI    0x108
#define EX_RSI    0x110
#define EX_R12    0x118
#define EX_R13    0x120
#define EX_R14    0x128
#define EX_R15    0x130
#define EX_LENGTH 0x138 /* without the Return field: the return address is there */

/* EXCEPTION_RECORD */
#define ER_CODE         0x00
#define ER_FLAGS        0x04
#define ER_RECORD       0x08
#define ER_ADDRESS      0x10
#define ER_N_PARAMETERS 0x18
#define ER_INFORMATION  0x20
#define ER_LENGTH       0x98

/* KSWITCH_FRAME */
#define SW_APC_BYPASS 0x28
#define SW_RBP        0x30
#define SW_RETURN     0x38

/* KTHREAD */
#define TH_KERNEL_STACK  0x58
#define TH_PREVIOUS_MODE 0x232
#define TH_TRAP_FRAME    0x90

/* KPCR through gs */
#define PC_USER_RSP       0x10
#define PC_RSP_BASE       0x1A8
#define PC_CURRENT_THREAD 0x188

/* KTRY_FRAME, see amd64/ctxswap.S */
#define TRY_NEXT 0x00
#define TRY_RSP  0x08
#define TRY_RBP  0x10
#define TRY_RBX  0x18
#define TRY_RSI  0x20
#define TRY_RDI  0x28
#define TRY_R12  0x30
#define TRY_R13  0x38
#define TRY_R14  0x40
#define TRY_R15  0x48
#define TRY_RIP  0x50

#define KSEG_LOCAL_APIC_ASM 0xFFFFFFFFFFFE0000

#define STATUS_BREAKPOINT_ASM          0x80000003
#define STATUS_SINGLE_STEP_ASM         0x80000004
#define STATUS_ACCESS_VIOLATION_ASM    0xC0000005
#define STATUS_ILLEGAL_INSTRUCTION_ASM 0xC000001D
#define STATUS_ARRAY_BOUNDS_ASM        0xC000008C
#define STATUS_FLOAT_INVALID_ASM       0xC0000090
#define STATUS_DIVIDE_BY_ZERO_ASM      0xC0000094
#define STATUS_OVERFLOW_ASM            0xC0000095
#define STATUS_FLOAT_MULTIPLE_ASM      0xC00002B4
#define STATUS_MISALIGNMENT_ASM        0x80000002
#define STATUS_STACK_BUFFER_ASM        0xC0000409
#define STATUS_ASSERTION_FAILURE_ASM   0xC0000420
#define BUGCHECK_UNEXPECTED_TRAP       0x7F
#define BUGCHECK_NMI                   0x80

#endif
