/* SPDX-License-Identifier: MIT */
/*
 * What the x86 processor layer of the demo kernel defines: register contexts, trap and switch
 * frames, descriptor tables. Shapes: kd-protocol facts 4.2 and 4.5, symbols facts 4.3 and 4.5.
 * The offsets are asserted below, so a changed field breaks the build and not a debugger.
 */
#ifndef KD_DEMO_NTX86_H
#define KD_DEMO_NTX86_H

#include "guest/demo/ntos/inc/ntcpu.h"

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

#define CONTEXT_i386               0x00010000u
#define CONTEXT_MACHINE            CONTEXT_i386
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
#define CONTEXT_PC(context)         ((context)->Eip)
#define TRAP_PC(frame)              ((frame)->Eip)
#define TRAP_ERROR(frame)           ((frame)->ErrCode)
#define TRAP_SERVICE(frame)         ((frame)->Eax)
/* of a system call: where its fifth argument is, behind two return addresses and four others */
#define TRAP_STACK_ARGUMENTS(frame) ((frame)->HardwareEsp + 8 + 16)
#define NT_MACHINE_NAME             "x86"
#define NT_MAJOR_VERSION            5
#define NT_MINOR_VERSION            2
#define NT_BUILD                    3790
#define NT_BUILD_LAB                "3790.1.x86fre.openkd_demo.000000-0000"

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

#define CR4_PSE 0x10u
#define CR4_PAE 0x20u

#define MSR_SYSENTER_CS  0x174u
#define MSR_SYSENTER_ESP 0x175u
#define MSR_SYSENTER_EIP 0x176u

#endif
