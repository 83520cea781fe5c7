/* SPDX-License-Identifier: MIT */
/* Thread stacks and the processor state that follows a thread. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

/* What KiStartSystemThread finds at its rsp. */
struct start_frame {
	ULONG64 Home[4];
	ULONG64 SystemRoutine;
	ULONG64 StartRoutine;
	ULONG64 StartContext;
	ULONG64 Return; /* 0: the end of the stack */
};
C_ASSERT(sizeof(struct start_frame) == 0x40);

KPCR KiInitialPCR;

VOID KiInitializePcr(PKPCR Pcr, ULONG Number)
{
	Pcr->Self = Pcr;
	Pcr->CurrentPrcb = &Pcr->Prcb;
	Pcr->MajorVersion = 1;
	Pcr->MinorVersion = 1;
	Pcr->Prcb.MajorVersion = 1;
	Pcr->Prcb.MinorVersion = 1;
	Pcr->Prcb.Number = Number;
	Pcr->Prcb.LegacyNumber = (UCHAR)Number;
	Pcr->Prcb.Context = &Pcr->Prcb.ProcessorState.ContextFrame;
}

/** Frames of a thread that has not run yet: a switch frame that leads to KiStartSystemThread. */
VOID KiInitializeThreadStack(PKTHREAD Thread, PVOID StartRoutine, PVOID StartContext)
{
	struct start_frame *start = (struct start_frame *)Thread->InitialStack - 1;
	PKSWITCH_FRAME sw = (PKSWITCH_FRAME)start - 1;

	__builtin_memset(sw, 0, sizeof(*sw) + sizeof(*start));
	start->StartRoutine = (ULONG64)(ULONG_PTR)StartRoutine;
	start->StartContext = (ULONG64)(ULONG_PTR)StartContext;
	sw->Return = (ULONG64)(ULONG_PTR)KiStartSystemThread;
	Thread->KernelStack = sw;
}

/**
 * Address space, ring 0 stack and TEB from Old's to New's, FPU state out of the way. The FPU is
 * loaded by the new thread itself, with KiLoadFloatingState, after KiSwapContext: that saves and
 * restores xmm6-15 like any function, and must find Old's there.
 */
VOID KiSwitchMachineState(PKTHREAD Old, PKTHREAD New)
{
	PKPCR pcr = KeGetPcr();

	if (Old->StateSaveArea != NULL)
		__asm__ volatile("fxsave %0" : "=m"(*Old->StateSaveArea));
	if (Old->Process != New->Process)
		KiWriteCr3(New->Process->DirectoryTableBase);
	pcr->TssBase->Rsp0 = (ULONG64)(ULONG_PTR)New->InitialStack;
	pcr->Prcb.RspBase = (ULONG64)(ULONG_PTR)New->InitialStack;
	if (New->Teb != NULL)
		KiWriteMsr(MSR_GS_SWAP, (ULONG64)(ULONG_PTR)New->Teb);
}

VOID KiLoadFloatingState(PKTHREAD Thread)
{
	if (Thread->StateSaveArea != NULL)
		__asm__ volatile("fxrstor %0" : : "m"(*Thread->StateSaveArea));
}

/** The idle thread of every processor: halted until an interrupt makes a thread ready. */
NORETURN VOID KiIdleLoop(VOID)
{
	for (;;)
		__asm__ volatile("sti; hlt" : : : "memory");
}

VOID KiInitializeUserFrame(PKTRAP_FRAME TrapFrame, ULONG64 Start, ULONG64 Stack, ULONG64 Argument1,
			   ULONG64 Argument2)
{
	__builtin_memset(TrapFrame, 0, sizeof(*TrapFrame));
	TrapFrame->PreviousMode = UserMode;
	TrapFrame->MxCsr = 0x1F80;
	TrapFrame->Rcx = Argument1;
	TrapFrame->Rdx = Argument2;
	TrapFrame->Rip = Start;
	TrapFrame->SegCs = KGDT64_R3_CODE | RPL_MASK;
	TrapFrame->SegSs = KGDT64_R3_DATA | RPL_MASK;
	TrapFrame->EFlags = EFLAGS_IF | 2;
	TrapFrame->Rsp = Stack - 0x48; /* home space above, aligned as after a call */
}
