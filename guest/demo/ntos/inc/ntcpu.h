/* SPDX-License-Identifier: MIT */
/*
 * What AMD64 and x86 have in common: pages, flags, the FPU's save area, and the instructions C has
 * no words for. What differs is in amd64/ntamd64.h and x86/ntx86.h, which include this file.
 */
#ifndef KD_DEMO_NTCPU_H
#define KD_DEMO_NTCPU_H

#include "guest/common/nt_driver_base.h"

#define LARGE_PAGE_SIZE 0x200000u /* what the pool grows by; on x86 made of small pages */

#define RPL_MASK 3 /* of a selector: the ring */

#define EFLAGS_TF       0x100u
#define EFLAGS_IF       0x200u
/* The bits of EFLAGS a context may set; IF is forced on for user mode. */
#define EFLAGS_SETTABLE 0x00254DD5u

typedef struct __attribute__((aligned(16))) _M128A {
	ULONGLONG Low;
	LONGLONG High;
} M128A, *PM128A;

typedef struct __attribute__((aligned(16))) _XSAVE_FORMAT {
	USHORT ControlWord;
	USHORT StatusWord;
	UCHAR TagWord;
	UCHAR Reserved1;
	USHORT ErrorOpcode;
	ULONG ErrorOffset;
	USHORT ErrorSelector;
	USHORT Reserved2;
	ULONG DataOffset;
	USHORT DataSelector;
	USHORT Reserved3;
	ULONG MxCsr;
	ULONG MxCsr_Mask;
	M128A FloatRegisters[8];
	M128A XmmRegisters[NT_CPU(8, 16)];
	UCHAR Reserved4[NT_CPU(224, 96)];
} XSAVE_FORMAT, *PXSAVE_FORMAT;
C_ASSERT(sizeof(XSAVE_FORMAT) == 0x200);

/* Parts of a CONTEXT that both machines have; CONTEXT_MACHINE is the bit of each. */
#define CONTEXT_CONTROL         (CONTEXT_MACHINE | 0x01u)
#define CONTEXT_INTEGER         (CONTEXT_MACHINE | 0x02u)
#define CONTEXT_SEGMENTS        (CONTEXT_MACHINE | 0x04u)
#define CONTEXT_FLOATING_POINT  (CONTEXT_MACHINE | 0x08u)
#define CONTEXT_DEBUG_REGISTERS (CONTEXT_MACHINE | 0x10u)

#define TRAP_IS_USER(frame) (((frame)->SegCs & RPL_MASK) != 0)

#define MSR_APIC_BASE 0x1Bu
#define MSR_EFER      0xC0000080u

/* clang-format off */
static inline UCHAR __inbyte(USHORT port)
{ UCHAR v; __asm__ volatile("inb %w1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline USHORT __inword(USHORT port)
{ USHORT v; __asm__ volatile("inw %w1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline ULONG __indword(USHORT port)
{ ULONG v; __asm__ volatile("inl %w1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline VOID __outbyte(USHORT port, UCHAR v)
{ __asm__ volatile("outb %0, %w1" : : "a"(v), "Nd"(port)); }
static inline VOID __outword(USHORT port, USHORT v)
{ __asm__ volatile("outw %0, %w1" : : "a"(v), "Nd"(port)); }
static inline VOID __outdword(USHORT port, ULONG v)
{ __asm__ volatile("outl %0, %w1" : : "a"(v), "Nd"(port)); }

static inline ULONG64 KiReadMsr(ULONG msr)
{ ULONG lo, hi; __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr)); return (ULONG64)hi << 32 | lo; }
static inline VOID KiWriteMsr(ULONG msr, ULONG64 v)
{ __asm__ volatile("wrmsr" : : "c"(msr), "a"((ULONG)v), "d"((ULONG)(v >> 32)) : "memory"); }
static inline ULONG64 KiReadTsc(VOID)
{ ULONG lo, hi; __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)); return (ULONG64)hi << 32 | lo; }

#define KI_REGISTER(name, reg)                                                            \
	static inline ULONG_PTR KiRead##name(VOID)                                        \
	{ ULONG_PTR v; __asm__ volatile("mov %%" reg ", %0" : "=r"(v)); return v; }       \
	static inline VOID KiWrite##name(ULONG_PTR v)                                     \
	{ __asm__ volatile("mov %0, %%" reg : : "r"(v) : "memory"); }
KI_REGISTER(Cr0, "cr0") KI_REGISTER(Cr2, "cr2") KI_REGISTER(Cr3, "cr3") KI_REGISTER(Cr4, "cr4")
#ifdef __x86_64__
KI_REGISTER(Cr8, "cr8")
#endif
KI_REGISTER(Dr0, "dr0") KI_REGISTER(Dr1, "dr1") KI_REGISTER(Dr2, "dr2")
KI_REGISTER(Dr3, "dr3") KI_REGISTER(Dr6, "dr6") KI_REGISTER(Dr7, "dr7")
#undef KI_REGISTER

static inline ULONG_PTR KiReadFlags(VOID)
{ ULONG_PTR v; __asm__ volatile("pushf; pop %0" : "=r"(v) : : "memory"); return v; }
static inline VOID KiInvalidatePage(PVOID va)
{ __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory"); }
static inline VOID KiEnableInterrupts(VOID)  { __asm__ volatile("sti" : : : "memory"); }
static inline VOID KiDisableInterrupts(VOID) { __asm__ volatile("cli" : : : "memory"); }
static inline VOID KiPause(VOID)             { __asm__ volatile("pause" : : : "memory"); }
/* clang-format on */

/** Disable interrupts; true if they were enabled. */
static inline BOOLEAN KeDisableInterrupts(VOID)
{
	ULONG_PTR flags = KiReadFlags();

	KiDisableInterrupts();
	return (flags & EFLAGS_IF) != 0;
}

static inline VOID KeRestoreInterrupts(BOOLEAN enabled)
{
	if (enabled)
		KiEnableInterrupts();
}

#endif
