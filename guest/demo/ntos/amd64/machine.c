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

VOID KiSetThreadMachine(PKTHREAD Thread)
{
	PKPCR pcr = KeGetPcr();

	pcr->TssBase->Rsp0 = (ULONG64)(ULONG_PTR)Thread->InitialStack;
	pcr->Prcb.RspBase = (ULONG64)(ULONG_PTR)Thread->InitialStack;
	if (Thread->Teb != NULL)
		KiWriteMsr(MSR_GS_SWAP, (ULONG64)(ULONG_PTR)Thread->Teb);
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
