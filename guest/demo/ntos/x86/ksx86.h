/* SPDX-License-Identifier: MIT */
/*
 * Structure offsets for assembly. x86/layout_x86.c includes this file too and asserts each value
 * against the C structures, so the two can't drift apart.
 */
#ifndef KD_DEMO_KSX86_H
#define KD_DEMO_KSX86_H

/* KTRAP_FRAME; handlers run with ebp = frame */
#define TF_DBG_EBP       0x00
#define TF_DBG_EIP       0x04
#define TF_DBG_MARK      0x08
#define TF_TEMP_SEG_CS   0x10
#define TF_TEMP_ESP      0x14
#define TF_SEG_GS        0x30 /* below it: what is not pushed but made room for */
#define TF_EDX           0x3C
#define TF_ECX           0x40
#define TF_EAX           0x44
#define TF_EDI           0x54
#define TF_ESI           0x58
#define TF_EBX           0x5C
#define TF_EBP           0x60
#define TF_ERR_CODE      0x64
#define TF_EIP           0x68
#define TF_SEG_CS        0x6C
#define TF_EFLAGS        0x70
#define TRAP_MARK        0xBADB0D00
#define FRAME_EDITED_ASM 0xFFF8

/* KTHREAD */
#define TH_KERNEL_STACK 0x20

/* KPCR through fs */
#define PC_EXCEPTION_LIST 0x00
#define PC_TSS            0x40
#define PC_LEAVE_EIP      0x4DC /* PRCB.Leave*: registers on their way out of an edited frame */
#define PC_LEAVE_CS       0x4E0
#define PC_LEAVE_EFLAGS   0x4E4
#define PC_LEAVE_ESP      0x4E8
#define PC_LEAVE_EBP      0x4EC

/* KTSS */
#define TSS_ESP0 0x04
#define TSS_EIP  0x20
#define TSS_EBP  0x3C

/* KTRY_FRAME */
#define TRY_NEXT   0x00
#define TRY_ESP    0x04
#define TRY_EBP    0x08
#define TRY_EBX    0x0C
#define TRY_ESI    0x10
#define TRY_EDI    0x14
#define TRY_EIP    0x18
#define TRY_LENGTH 0x1C

#define SEL_R0_DATA 0x10
#define SEL_R3_CODE 0x1B
#define SEL_R3_DATA 0x23
#define SEL_R0_PCR  0x30
#define SEL_R3_TEB  0x3B

#define LOCAL_APIC_EOI     0xFFFE00B0
#define SHARED_CALL_RETURN 0xFFDF0304 /* KUSER_SHARED_DATA.SystemCallReturn */

#endif
