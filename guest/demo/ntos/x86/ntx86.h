/* SPDX-License-Identifier: MIT */
/*
 * What the x86 processor layer of the demo kernel defines: register contexts, trap and switch
 * frames, descriptor tables. Shapes: kd-protocol facts 4.2 and 4.5, symbols facts 4.3 and 4.5.
 * The offsets are asserted below, so a changed field breaks the build and not a debugger.
 */
#ifndef KD_DEMO_NTX86_H
#define KD_DEMO_NTX86_H

#include "guest/common/nt_base.h"

#define PAGE_SIZE       0x1000u
#define PAGE_SHIFT      12
#define LARGE_PAGE_SIZE 0x200000u /* what the pool grows by; made of small pages here */

/* Selectors of every NT x86; the GDT is in ntos/x86/descriptors_x86.c. */
#define KGDT_R0_CODE 0x08
#define KGDT_R0_DATA 0x10
#define KGDT_R3_CODE 0x18
#define KGDT_R3_DATA 0x20
#define KGDT_TSS     0x28
#define KGDT_R0_PCR  0x30
#define KGDT_R3_TEB  0x38
#define KGDT_DF_TSS  0x50
#define KGDT_NMI_TSS 0x58
#define RPL_MASK     3

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
	M128A XmmRegisters[8];
	UCHAR Reserved4[224];
} XSAVE_FORMAT, *PXSAVE_FORMAT;
C_ASSERT(sizeof(XSAVE_FORMAT) == 0x200);

#define CONTEXT_i386               0x00010000u
#define CONTEXT_CONTROL            (CONTEXT_i386 | 0x01u)
#define CONTEXT_INTEGER            (CONTEXT_i386 | 0x02u)
#define CONTEXT_SEGMENTS           (CONTEXT_i386 | 0x04u)
#define CONTEXT_FLOATING_POINT     (CONTEXT_i386 | 0x08u)
#define CONTEXT_DEBUG_REGISTERS    (CONTEXT_i386 | 0x10u)
#define CONTEXT_EXTENDED_REGISTERS (CONTEXT_i386 | 0x20u)
#define CONTEXT_FULL               (CONTEXT_i386 | 0x07u)
#define CONTEXT_ALL                (CONTEXT_i386 | 0x3Fu)
/* What goes back into frames and processor after a debugger's look at it. */
#define CONTEXT_RESTORED           (CONTEXT_FULL | CONTEXT_EXTENDED_REGISTERS)

#define MAXIMUM_SUPPORTED_EXTENSION 512

typedef struct _FLOATING_SAVE_AREA {
	ULONG ControlWord;
	ULONG StatusWord;
	ULONG TagWord;
	ULONG ErrorOffset;
	ULONG ErrorSelector;
	ULONG DataOffset;
	ULONG DataSelector;
	UCHAR RegisterArea[80];
	ULONG Cr0NpxState;
} FLOATING_SAVE_AREA;
C_ASSERT(sizeof(FLOATING_SAVE_AREA) == 112);

typedef struct _CONTEXT {
	ULONG ContextFlags;
	ULONG Dr0;
	ULONG Dr1;
	ULONG Dr2;
	ULONG Dr3;
	ULONG Dr6;
	ULONG Dr7;
	FLOATING_SAVE_AREA FloatSave;
	ULONG SegGs;
	ULONG SegFs;
	ULONG SegEs;
	ULONG SegDs;
	ULONG Edi;
	ULONG Esi;
	ULONG Ebx;
	ULONG Edx;
	ULONG Ecx;
	ULONG Eax;
	ULONG Ebp;
	ULONG Eip;
	ULONG SegCs;
	ULONG EFlags;
	ULONG Esp;
	ULONG SegSs;
	UCHAR ExtendedRegisters[MAXIMUM_SUPPORTED_EXTENSION]; /* FXSAVE, not aligned */
} CONTEXT, *PCONTEXT;
C_ASSERT(sizeof(CONTEXT) == 0x2CC);
ASSERT_OFFSET(CONTEXT, FloatSave, 0x1C);
ASSERT_OFFSET(CONTEXT, SegGs, 0x8C);
ASSERT_OFFSET(CONTEXT, Edi, 0x9C);
ASSERT_OFFSET(CONTEXT, Eip, 0xB8);
ASSERT_OFFSET(CONTEXT, EFlags, 0xC0);
ASSERT_OFFSET(CONTEXT, Esp, 0xC4);
ASSERT_OFFSET(CONTEXT, ExtendedRegisters, 0xCC);

typedef struct _DESCRIPTOR {
	USHORT Pad;
	USHORT Limit;
	ULONG Base;
} KDESCRIPTOR, *PKDESCRIPTOR;

typedef struct _KSPECIAL_REGISTERS {
	ULONG Cr0;
	ULONG Cr2;
	ULONG Cr3;
	ULONG Cr4;
	ULONG KernelDr0;
	ULONG KernelDr1;
	ULONG KernelDr2;
	ULONG KernelDr3;
	ULONG KernelDr6;
	ULONG KernelDr7;
	KDESCRIPTOR Gdtr;
	KDESCRIPTOR Idtr;
	USHORT Tr;
	USHORT Ldtr;
	ULONG Reserved[6];
} KSPECIAL_REGISTERS, *PKSPECIAL_REGISTERS;
C_ASSERT(sizeof(KSPECIAL_REGISTERS) == 0x54);
ASSERT_OFFSET(KSPECIAL_REGISTERS, KernelDr7, 0x24);
ASSERT_OFFSET(KSPECIAL_REGISTERS, Gdtr.Limit, 0x2A);
ASSERT_OFFSET(KSPECIAL_REGISTERS, Idtr.Base, 0x34);
ASSERT_OFFSET(KSPECIAL_REGISTERS, Tr, 0x38);

typedef struct _KPROCESSOR_STATE {
	CONTEXT ContextFrame;
	KSPECIAL_REGISTERS SpecialRegisters;
} KPROCESSOR_STATE, *PKPROCESSOR_STATE;
C_ASSERT(sizeof(KPROCESSOR_STATE) == 0x320);

/*
 * What a trap, an interrupt or a system call leaves on the kernel stack; ebp = frame. The processor
 * pushes HardwareEsp and HardwareSegSs only when it comes from user mode: in kernel mode the
 * interrupted esp is the address of HardwareEsp, unless the frame was edited (KiEspToTrapFrame).
 */
typedef struct _KTRAP_FRAME {
	ULONG DbgEbp; /* copies of Ebp and Eip: a chain of frame pointers goes on through them */
	ULONG DbgEip;
	ULONG DbgArgMark;
	ULONG DbgArgPointer;
	ULONG TempSegCs;
	ULONG TempEsp;
	ULONG Dr0;
	ULONG Dr1;
	ULONG Dr2;
	ULONG Dr3;
	ULONG Dr6;
	ULONG Dr7;
	ULONG SegGs;
	ULONG SegEs;
	ULONG SegDs;
	ULONG Edx;
	ULONG Ecx;
	ULONG Eax;
	ULONG PreviousPreviousMode;
	ULONG ExceptionList;
	ULONG SegFs;
	ULONG Edi;
	ULONG Esi;
	ULONG Ebx;
	ULONG Ebp;
	ULONG ErrCode;
	ULONG Eip;
	ULONG SegCs;
	ULONG EFlags;
	ULONG HardwareEsp;
	ULONG HardwareSegSs;
	ULONG V86Es;
	ULONG V86Ds;
	ULONG V86Fs;
	ULONG V86Gs;
} KTRAP_FRAME, *PKTRAP_FRAME;
C_ASSERT(sizeof(KTRAP_FRAME) == 0x8C);
ASSERT_OFFSET(KTRAP_FRAME, Eip, 0x68);
ASSERT_OFFSET(KTRAP_FRAME, HardwareEsp, 0x74);

#define FRAME_EDITED     0xFFF8u /* clear in SegCs: TempSegCs and TempEsp hold */
#define KERNEL_STACK_TOP 0x10    /* the V86 segments above the first frame of a stack */

/* There is none on x86: the trap frame has it all. */
typedef struct _KEXCEPTION_FRAME KEXCEPTION_FRAME, *PKEXCEPTION_FRAME;

/* What the neutral part of the kernel says for both processors. */
#define CONTEXT_PC(context) ((context)->Eip)
#define TRAP_PC(frame)      ((frame)->Eip)
#define TRAP_IS_USER(frame) (((frame)->SegCs & RPL_MASK) != 0)
#define TRAP_ERROR(frame)   ((frame)->ErrCode)
#define TRAP_SERVICE(frame) ((frame)->Eax)
#define NT_MACHINE_NAME     "x86"
#define NT_MAJOR_VERSION    5
#define NT_MINOR_VERSION    2
#define NT_BUILD            3790
#define NT_BUILD_LAB        "3790.1.x86fre.openkd_demo.000000-0000"

/* Registers to come back with when an exception hits ExTryCall's routine; offsets in ksx86.h. */
typedef struct _KTRY_FRAME {
	struct _KTRY_FRAME *Next;
	ULONG Esp, Ebp, Ebx, Esi, Edi, Eip;
} KTRY_FRAME, *PKTRY_FRAME;

/* Where KTHREAD.KernelStack of a thread that does not run points at; above it lie the ebp, edi, esi
 * and ebx that KiSwapContext saved. */
typedef struct _KSWITCHFRAME {
	ULONG ExceptionList;
	ULONG ApcBypassDisable;
	ULONG RetAddr;
} KSWITCHFRAME, *PKSWITCHFRAME;
C_ASSERT(sizeof(KSWITCHFRAME) == 0x0C);

typedef struct _KGDTENTRY {
	USHORT LimitLow;
	USHORT BaseLow;
	UCHAR BaseMid;
	UCHAR Flags1;
	UCHAR Flags2;
	UCHAR BaseHi;
} KGDTENTRY, *PKGDTENTRY;
C_ASSERT(sizeof(KGDTENTRY) == 8);

typedef struct _KIDTENTRY {
	USHORT Offset;
	USHORT Selector;
	USHORT Access;
	USHORT ExtendedOffset;
} KIDTENTRY, *PKIDTENTRY;
C_ASSERT(sizeof(KIDTENTRY) == 8);

typedef struct _KTSS {
	ULONG Backlink;
	ULONG Esp0;
	ULONG Ss0;
	ULONG NotUsed1[4];
	ULONG CR3;
	ULONG Eip;
	ULONG EFlags;
	ULONG Eax;
	ULONG Ecx;
	ULONG Edx;
	ULONG Ebx;
	ULONG Esp;
	ULONG Ebp;
	ULONG Esi;
	ULONG Edi;
	ULONG Es;
	ULONG Cs;
	ULONG Ss;
	ULONG Ds;
	ULONG Fs;
	ULONG Gs;
	ULONG LDT;
	USHORT Flags;
	USHORT IoMapBase;
} KTSS, *PKTSS;
C_ASSERT(sizeof(KTSS) == 0x68);
ASSERT_OFFSET(KTSS, Esp0, 4);
ASSERT_OFFSET(KTSS, CR3, 0x1C);
ASSERT_OFFSET(KTSS, Eip, 0x20);
ASSERT_OFFSET(KTSS, Ebp, 0x3C);

/* One entry without PAE; with PAE they have 64 bits, as on x64. */
typedef struct _MMPTE_HARDWARE {
	ULONG Valid : 1;
	ULONG Write : 1;
	ULONG Owner : 1;
	ULONG WriteThrough : 1;
	ULONG CacheDisable : 1;
	ULONG Accessed : 1;
	ULONG Dirty : 1;
	ULONG LargePage : 1;
	ULONG Global : 1;
	ULONG CopyOnWrite : 1;
	ULONG Prototype : 1;
	ULONG Reserved : 1;
	ULONG PageFrameNumber : 20;
} MMPTE_HARDWARE, *PMMPTE_HARDWARE;

typedef struct _MMPTE {
	union {
		ULONG Long;
		MMPTE_HARDWARE Hard;
	} u;
} MMPTE, *PMMPTE;
C_ASSERT(sizeof(MMPTE) == 4);

/* clang-format off */
#define EFLAGS_TF 0x100u
#define EFLAGS_IF 0x200u
#define CR4_PSE   0x10u
#define CR4_PAE   0x20u

#define MSR_EFER         0xC0000080u
#define MSR_SYSENTER_CS  0x174u
#define MSR_SYSENTER_ESP 0x175u
#define MSR_SYSENTER_EIP 0x176u
#define MSR_APIC_BASE    0x1Bu

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

#define KI_REGISTER(name, reg)                                                          \
	static inline ULONG KiRead##name(VOID)                                          \
	{ ULONG v; __asm__ volatile("mov %%" reg ", %0" : "=r"(v)); return v; }         \
	static inline VOID KiWrite##name(ULONG v)                                       \
	{ __asm__ volatile("mov %0, %%" reg : : "r"(v) : "memory"); }
KI_REGISTER(Cr0, "cr0") KI_REGISTER(Cr2, "cr2") KI_REGISTER(Cr3, "cr3") KI_REGISTER(Cr4, "cr4")
KI_REGISTER(Dr0, "dr0") KI_REGISTER(Dr1, "dr1") KI_REGISTER(Dr2, "dr2")
KI_REGISTER(Dr3, "dr3") KI_REGISTER(Dr6, "dr6") KI_REGISTER(Dr7, "dr7")
#undef KI_REGISTER

static inline ULONG KiReadFlags(VOID)
{ ULONG v; __asm__ volatile("pushfl; popl %0" : "=r"(v) : : "memory"); return v; }
static inline VOID KiInvalidatePage(PVOID va)
{ __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory"); }
static inline VOID KiEnableInterrupts(VOID)  { __asm__ volatile("sti" : : : "memory"); }
static inline VOID KiDisableInterrupts(VOID) { __asm__ volatile("cli" : : : "memory"); }
static inline VOID KiPause(VOID)             { __asm__ volatile("pause" : : : "memory"); }
/* clang-format on */

/** Disable interrupts; true if they were enabled. */
static inline BOOLEAN KeDisableInterrupts(VOID)
{
	ULONG flags = KiReadFlags();

	KiDisableInterrupts();
	return (flags & EFLAGS_IF) != 0;
}

static inline VOID KeRestoreInterrupts(BOOLEAN enabled)
{
	if (enabled)
		KiEnableInterrupts();
}

#endif
