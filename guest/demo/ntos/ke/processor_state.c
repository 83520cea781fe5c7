/* SPDX-License-Identifier: MIT */
/* What the debugger sees and changes of a processor beside a trap's frames. */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"

#define DR7_ALWAYS_ONE 0x400u
#define DR7_WRITABLE   0xFFFF0FFFu

VOID KiSaveProcessorControlState(PKPROCESSOR_STATE State)
{
	PKSPECIAL_REGISTERS s = &State->SpecialRegisters;

	s->Cr0 = KiReadCr0();
	s->Cr2 = KiReadCr2();
	s->Cr3 = KiReadCr3();
	s->Cr4 = KiReadCr4();
	s->KernelDr0 = KiReadDr0();
	s->KernelDr1 = KiReadDr1();
	s->KernelDr2 = KiReadDr2();
	s->KernelDr3 = KiReadDr3();
	s->KernelDr6 = KiReadDr6();
	s->KernelDr7 = KiReadDr7();
	KiWriteDr7(DR7_ALWAYS_ONE); /* the debugger's own code must not hit them */
	__asm__ volatile("sgdt %0" : "=m"(s->Gdtr.Limit));
	__asm__ volatile("sidt %0" : "=m"(s->Idtr.Limit));
	__asm__ volatile("str %0" : "=m"(s->Tr));
	__asm__ volatile("sldt %0" : "=m"(s->Ldtr));
	KiSaveMachineRegisters(s);
}

VOID KiRestoreProcessorControlState(PKPROCESSOR_STATE State)
{
	PKSPECIAL_REGISTERS s = &State->SpecialRegisters;

	if (KiReadCr0() != s->Cr0)
		KiWriteCr0(s->Cr0);
	if (KiReadCr3() != s->Cr3)
		KiWriteCr3(s->Cr3);
	if (KiReadCr4() != s->Cr4)
		KiWriteCr4(s->Cr4);
	KiWriteCr2(s->Cr2);
	KiRestoreMachineRegisters(s);
	KiWriteDr0(s->KernelDr0);
	KiWriteDr1(s->KernelDr1);
	KiWriteDr2(s->KernelDr2);
	KiWriteDr3(s->KernelDr3);
	KiWriteDr6(s->KernelDr6 & 0xFFFFFFFF); /* the upper half of x64 is reserved */
	KiWriteDr7((s->KernelDr7 & DR7_WRITABLE) | DR7_ALWAYS_ONE); /* last: now they are live */
}

VOID KiSaveProcessorState(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
	PKPRCB prcb = KeGetCurrentPrcb();

	KeContextFromKframes(TrapFrame, ExceptionFrame, &prcb->ProcessorState.ContextFrame);
	KiSaveProcessorControlState(&prcb->ProcessorState);
}

VOID KiRestoreProcessorState(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
	PKPRCB prcb = KeGetCurrentPrcb();
	KPROCESSOR_MODE mode = TRAP_IS_USER(TrapFrame) ? UserMode : KernelMode;

	KeContextToKframes(TrapFrame, ExceptionFrame, &prcb->ProcessorState.ContextFrame,
			   CONTEXT_RESTORED, mode);
	KiRestoreProcessorControlState(&prcb->ProcessorState);
}
