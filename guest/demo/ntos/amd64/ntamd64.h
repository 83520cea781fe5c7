/* SPDX-License-Identifier: MIT */
/*
 * What the AMD64 processor layer of the demo kernel defines: register contexts, trap and switch
 * frames, descriptor tables. Shapes: kd-protocol facts 4.1 and 4.4, symbols facts 4.3 and 4.5.
 * The offsets are asserted below, so a changed field breaks the build and not a debugger.
 */
#ifndef KD_DEMO_NTAMD64_H
#define KD_DEMO_NTAMD64_H

#include "guest/demo/ntos/inc/ntcpu.h"

/* Selectors of every NT x64; the GDT is in ntos/amd64/descriptors.c. */
#define KGDT64_R0_CODE   0x10
#define KGDT64_R0_DATA   0x18
#define KGDT64_R3_CMCODE 0x20
#define KGDT64_R3_DATA   0x28
#define KGDT64_R3_CODE   0x30
#define KGDT64_SYS_TSS   0x40
#define KGDT64_R3_CMTEB  0x50

#define CONTEXT_AMD64    0x00100000u
#define CONTEXT_MACHINE  CONTEXT_AMD64
#define CONTEXT_FULL     (CONTEXT_AMD64 | 0x0Bu)
#define CONTEXT_ALL      (CONTEXT_AMD64 | 0x1Fu)
/* What goes back into frames and processor after a debugger's look at it. */
#define CONTEXT_RESTORED CONTEXT_FULL

typedef struct __attribute__((aligned(16))) _CONTEXT {
	ULONG64 P1Home;
	ULONG64 P2Home;
	ULONG64 P3Home;
	ULONG64 P4Home;
	ULONG64 P5Home;
	ULONG64 P6Home;
	ULONG ContextFlags;
	ULONG MxCsr;
	USHORT SegCs;
	USHORT SegDs;
	USHORT SegEs;
	USHORT SegFs;
	USHORT SegGs;
	USHORT SegSs;
	ULONG EFlags;
	ULONG64 Dr0;
	ULONG64 Dr1;
	ULONG64 Dr2;
	ULONG64 Dr3;
	ULONG64 Dr6;
	ULONG64 Dr7;
	ULONG64 Rax;
	ULONG64 Rcx;
	ULONG64 Rdx;
	ULONG64 Rbx;
	ULONG64 Rsp;
	ULONG64 Rbp;
	ULONG64 Rsi;
	ULONG64 Rdi;
	ULONG64 R8;
	ULONG64 R9;
	ULONG64 R10;
	ULONG64 R11;
	ULONG64 R12;
	ULONG64 R13;
	ULONG64 R14;
	ULONG64 R15;
	ULONG64 Rip;
	XSAVE_FORMAT FltSave;
	M128A VectorRegister[26];
	ULONG64 VectorControl;
	ULONG64 DebugControl;
	ULONG64 LastBranchToRip;
	ULONG64 LastBranchFromRip;
	ULONG64 LastExceptionToRip;
	ULONG64 LastExceptionFromRip;
} CONTEXT, *PCONTEXT;
C_ASSERT(sizeof(CONTEXT) == 0x4D0);
ASSERT_OFFSET(CONTEXT, ContextFlags, 0x30);
ASSERT_OFFSET(CONTEXT, EFlags, 0x44);
ASSERT_OFFSET(CONTEXT, Dr7, 0x70);
ASSERT_OFFSET(CONTEXT, Rax, 0x78);
ASSERT_OFFSET(CONTEXT, Rip, 0xF8);
ASSERT_OFFSET(CONTEXT, FltSave, 0x100);
ASSERT_OFFSET(CONTEXT, VectorRegister, 0x300);
ASSERT_OFFSET(CONTEXT, DebugControl, 0x4A8);

typedef struct _KDESCRIPTOR {
	USHORT Pad[3];
	USHORT Limit;
	PVOID Base;
} KDESCRIPTOR, *PKDESCRIPTOR;

/* The 0xF0-byte form of later Windows 10; everything up to 0xD7 is the same in every NT x64. */
typedef struct _KSPECIAL_REGISTERS {
	ULONG64 Cr0;
	ULONG64 Cr2;
	ULONG64 Cr3;
	ULONG64 Cr4;
	ULONG64 KernelDr0;
	ULONG64 KernelDr1;
	ULONG64 KernelDr2;
	ULONG64 KernelDr3;
	ULONG64 KernelDr6;
	ULONG64 KernelDr7;
	KDESCRIPTOR Gdtr;
	KDESCRIPTOR Idtr;
	USHORT Tr;
	USHORT Ldtr;
	ULONG MxCsr;
	ULONG64 DebugControl;
	ULONG64 LastBranchToRip;
	ULONG64 LastBranchFromRip;
	ULONG64 LastExceptionToRip;
	ULONG64 LastExceptionFromRip;
	ULONG64 Cr8;
	ULONG64 MsrGsBase;
	ULONG64 MsrGsSwap;
	ULONG64 MsrStar;
	ULONG64 MsrLStar;
	ULONG64 MsrCStar;
	ULONG64 MsrSyscallMask;
	ULONG64 Xcr0;
	ULONG64 MsrFsBase;
	ULONG64 SpecialPadding0;
} KSPECIAL_REGISTERS, *PKSPECIAL_REGISTERS;
C_ASSERT(sizeof(KSPECIAL_REGISTERS) == 0xF0);
ASSERT_OFFSET(KSPECIAL_REGISTERS, KernelDr7, 0x48);
ASSERT_OFFSET(KSPECIAL_REGISTERS, Gdtr.Limit, 0x56);
ASSERT_OFFSET(KSPECIAL_REGISTERS, Gdtr.Base, 0x58);
ASSERT_OFFSET(KSPECIAL_REGISTERS, Idtr.Limit, 0x66);
ASSERT_OFFSET(KSPECIAL_REGISTERS, Idtr.Base, 0x68);
ASSERT_OFFSET(KSPECIAL_REGISTERS, Tr, 0x70);
ASSERT_OFFSET(KSPECIAL_REGISTERS, Cr8, 0xA0);
ASSERT_OFFSET(KSPECIAL_REGISTERS, MsrGsBase, 0xA8);
ASSERT_OFFSET(KSPECIAL_REGISTERS, MsrSyscallMask, 0xD0);

typedef struct _KPROCESSOR_STATE {
	KSPECIAL_REGISTERS SpecialRegisters;
	CONTEXT ContextFrame;
} KPROCESSOR_STATE, *PKPROCESSOR_STATE;
C_ASSERT(sizeof(KPROCESSOR_STATE) == 0x5C0);

/* What a trap, an interrupt or a system call leaves on the kernel stack; rbp = frame + 0x80. */
typedef struct _KTRAP_FRAME {
	ULONG64 P1Home;
	ULONG64 P2Home;
	ULONG64 P3Home;
	ULONG64 P4Home;
	ULONG64 P5;
	CHAR PreviousMode;
	KIRQL PreviousIrql;
	UCHAR FaultIndicator;
	UCHAR ExceptionActive;
	ULONG MxCsr;
	ULONG64 Rax;
	ULONG64 Rcx;
	ULONG64 Rdx;
	ULONG64 R8;
	ULONG64 R9;
	ULONG64 R10;
	ULONG64 R11;
	ULONG64 GsSwap;
	M128A Xmm0;
	M128A Xmm1;
	M128A Xmm2;
	M128A Xmm3;
	M128A Xmm4;
	M128A Xmm5;
	ULONG64 FaultAddress;
	ULONG64 Dr0;
	ULONG64 Dr1;
	ULONG64 Dr2;
	ULONG64 Dr3;
	ULONG64 Dr6;
	ULONG64 Dr7;
	ULONG64 DebugControl;
	ULONG64 LastBranchToRip;
	ULONG64 LastBranchFromRip;
	ULONG64 LastExceptionToRip;
	ULONG64 LastExceptionFromRip;
	USHORT SegDs;
	USHORT SegEs;
	USHORT SegFs;
	USHORT SegGs;
	ULONG64 TrapFrame;
	ULONG64 Rbx;
	ULONG64 Rdi;
	ULONG64 Rsi;
	ULONG64 Rbp;
	ULONG64 ErrorCode;
	ULONG64 Rip;
	USHORT SegCs;
	UCHAR Fill0[6];
	ULONG EFlags;
	ULONG Fill1;
	ULONG64 Rsp;
	USHORT SegSs;
	UCHAR Fill2[6];
} KTRAP_FRAME, *PKTRAP_FRAME;
C_ASSERT(sizeof(KTRAP_FRAME) == 0x190);
ASSERT_OFFSET(KTRAP_FRAME, PreviousMode, 0x28);
ASSERT_OFFSET(KTRAP_FRAME, MxCsr, 0x2C);
ASSERT_OFFSET(KTRAP_FRAME, Rax, 0x30);
ASSERT_OFFSET(KTRAP_FRAME, GsSwap, 0x68);
ASSERT_OFFSET(KTRAP_FRAME, Xmm0, 0x70);
ASSERT_OFFSET(KTRAP_FRAME, FaultAddress, 0xD0);
ASSERT_OFFSET(KTRAP_FRAME, Dr7, 0x100);
ASSERT_OFFSET(KTRAP_FRAME, DebugControl, 0x108);
ASSERT_OFFSET(KTRAP_FRAME, SegDs, 0x130);
ASSERT_OFFSET(KTRAP_FRAME, TrapFrame, 0x138);
ASSERT_OFFSET(KTRAP_FRAME, Rbp, 0x158);
ASSERT_OFFSET(KTRAP_FRAME, ErrorCode, 0x160);
ASSERT_OFFSET(KTRAP_FRAME, Rip, 0x168);
ASSERT_OFFSET(KTRAP_FRAME, SegCs, 0x170);
ASSERT_OFFSET(KTRAP_FRAME, EFlags, 0x178);
ASSERT_OFFSET(KTRAP_FRAME, Rsp, 0x180);
ASSERT_OFFSET(KTRAP_FRAME, SegSs, 0x188);

/* What the neutral part of the kernel says for both processors. */
#define CONTEXT_PC(context)         ((context)->Rip)
#define TRAP_PC(frame)              ((frame)->Rip)
#define TRAP_ERROR(frame)           ((frame)->ErrorCode)
#define TRAP_SERVICE(frame)         ((ULONG)(frame)->Rax)
/* of a system call: where its fifth argument is, behind return address and home space */
#define TRAP_STACK_ARGUMENTS(frame) ((frame)->Rsp + 0x28)
#define NT_MACHINE_NAME             "amd64"
#define NT_MAJOR_VERSION            10
#define NT_MINOR_VERSION            0
#define NT_BUILD                    19041
#define NT_BUILD_LAB                "19041.1.amd64fre.openkd_demo.000000-0000"

/* Registers to come back with when an exception hits ExTryCall's routine; offsets in ksamd64.h. */
typedef struct _KTRY_FRAME {
	struct _KTRY_FRAME *Next;
	ULONG64 Rsp, Rbp, Rbx, Rsi, Rdi, R12, R13, R14, R15, Rip;
} KTRY_FRAME, *PKTRY_FRAME;

/* Nonvolatile registers, built below a trap frame by KiExceptionDispatch and KiBugCheckDispatch,
 * and by KiSwapContext above a switch frame. */
typedef struct _KEXCEPTION_FRAME {
	ULONG64 P1Home;
	ULONG64 P2Home;
	ULONG64 P3Home;
	ULONG64 P4Home;
	ULONG64 P5;
	ULONG64 Spare1;
	M128A Xmm6;
	M128A Xmm7;
	M128A Xmm8;
	M128A Xmm9;
	M128A Xmm10;
	M128A Xmm11;
	M128A Xmm12;
	M128A Xmm13;
	M128A Xmm14;
	M128A Xmm15;
	ULONG64 TrapFrame;
	ULONG64 OutputBuffer;
	ULONG64 OutputLength;
	ULONG64 Spare2;
	ULONG64 MxCsr;
	ULONG64 Rbp;
	ULONG64 Rbx;
	ULONG64 Rdi;
	ULONG64 Rsi;
	ULONG64 R12;
	ULONG64 R13;
	ULONG64 R14;
	ULONG64 R15;
	ULONG64 Return;
} KEXCEPTION_FRAME, *PKEXCEPTION_FRAME;
C_ASSERT(sizeof(KEXCEPTION_FRAME) == 0x140);
ASSERT_OFFSET(KEXCEPTION_FRAME, Xmm6, 0x30);
ASSERT_OFFSET(KEXCEPTION_FRAME, TrapFrame, 0xD0);
ASSERT_OFFSET(KEXCEPTION_FRAME, Rbp, 0xF8);
ASSERT_OFFSET(KEXCEPTION_FRAME, Rbx, 0x100);
ASSERT_OFFSET(KEXCEPTION_FRAME, R12, 0x118);
ASSERT_OFFSET(KEXCEPTION_FRAME, Return, 0x138);

/* Where KTHREAD.KernelStack of a thread that does not run points at. */
typedef struct _KSWITCH_FRAME {
	ULONG64 P1Home;
	ULONG64 P2Home;
	ULONG64 P3Home;
	ULONG64 P4Home;
	ULONG64 P5Home;
	KIRQL ApcBypass;
	UCHAR Fill1[7];
	ULONG64 Rbp;
	ULONG64 Return;
} KSWITCH_FRAME, *PKSWITCH_FRAME;
C_ASSERT(sizeof(KSWITCH_FRAME) == 0x40);
ASSERT_OFFSET(KSWITCH_FRAME, ApcBypass, 0x28);
ASSERT_OFFSET(KSWITCH_FRAME, Return, 0x38);

typedef union _KGDTENTRY64 {
	struct {
		USHORT LimitLow;
		USHORT BaseLow;
		UCHAR BaseMiddle;
		UCHAR Flags1;
		UCHAR Flags2;
		UCHAR BaseHigh;
		ULONG BaseUpper;
		ULONG MustBeZero;
	};
	LONGLONG Alignment[2];
} KGDTENTRY64, *PKGDTENTRY64;

typedef union _KIDTENTRY64 {
	struct {
		USHORT OffsetLow;
		USHORT Selector;
		USHORT IstIndex : 3;
		USHORT Reserved0 : 5;
		USHORT Type : 5;
		USHORT Dpl : 2;
		USHORT Present : 1;
		USHORT OffsetMiddle;
		ULONG OffsetHigh;
		ULONG Reserved1;
	};
	ULONGLONG Alignment;
} KIDTENTRY64, *PKIDTENTRY64;
C_ASSERT(sizeof(KIDTENTRY64) == 16);

typedef struct __attribute__((packed)) _KTSS64 {
	ULONG Reserved0;
	ULONG64 Rsp0;
	ULONG64 Rsp1;
	ULONG64 Rsp2;
	ULONG64 Ist0;   /* means "no stack switch" in a gate, unused */
	ULONG64 Ist[7]; /* IST1..7 */
	ULONG64 Reserved1;
	USHORT Reserved2;
	USHORT IoMapBase;
} KTSS64, *PKTSS64;
C_ASSERT(sizeof(KTSS64) == 104);

#define MSR_STAR         0xC0000081u
#define MSR_LSTAR        0xC0000082u
#define MSR_CSTAR        0xC0000083u
#define MSR_SYSCALL_MASK 0xC0000084u
#define MSR_FS_BASE      0xC0000100u
#define MSR_GS_BASE      0xC0000101u
#define MSR_GS_SWAP      0xC0000102u
#define MSR_DEBUG_CTL    0x1D9u

#endif
