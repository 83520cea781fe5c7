/* SPDX-License-Identifier: MIT */
/* Registers between frames, CONTEXTs and processor states. */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"

/* --- the stack pointer of kernel-mode frames --- */

static ULONG KiEspFromTrapFrame(const KTRAP_FRAME *tf)
{
	if (TRAP_IS_USER(tf))
		return tf->HardwareEsp;
	if ((tf->SegCs & FRAME_EDITED) == 0)
		return tf->TempEsp;
	return (ULONG)(ULONG_PTR)&tf->HardwareEsp;
}

/* A kernel-mode iret takes no esp from the stack: where it changes, KiLeaveTrap sets it. */
static VOID KiEspToTrapFrame(PKTRAP_FRAME tf, ULONG esp)
{
	if (TRAP_IS_USER(tf)) {
		tf->HardwareEsp = esp;
		return;
	}
	if (esp == KiEspFromTrapFrame(tf))
		return;
	if ((tf->SegCs & FRAME_EDITED) != 0) {
		tf->TempSegCs = tf->SegCs;
		tf->SegCs &= ~FRAME_EDITED;
	}
	tf->TempEsp = esp;
}

static ULONG KiCsFromTrapFrame(const KTRAP_FRAME *tf)
{
	return TRAP_IS_USER(tf) || (tf->SegCs & FRAME_EDITED) != 0 ? tf->SegCs : tf->TempSegCs;
}

/* --- floating point: FXSAVE wants 16 bytes of alignment, CONTEXT gives 4 --- */

static VOID save_floating(PCONTEXT c)
{
	XSAVE_FORMAT area;

	__asm__ volatile("fxsave %0" : "=m"(area));
	__builtin_memcpy(c->ExtendedRegisters, &area, sizeof(area));
	__asm__ volatile("fnsave %0; frstor %0" : "+m"(c->FloatSave));
	c->FloatSave.Cr0NpxState = 0;
}

static VOID restore_floating(const CONTEXT *c)
{
	XSAVE_FORMAT area;

	__builtin_memcpy(&area, c->ExtendedRegisters, sizeof(area));
	area.MxCsr &= 0xFFBF; /* reserved bits would fault */
	__asm__ volatile("fxrstor %0" : : "m"(area));
}

/* --- frames --- */

VOID KeContextFromKframes(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame,
			  PCONTEXT Context)
{
	PKTRAP_FRAME tf = TrapFrame;
	PCONTEXT c = Context;

	c->Ebp = tf->Ebp;
	c->Eip = tf->Eip;
	c->SegCs = KiCsFromTrapFrame(tf) & 0xFFFF;
	c->EFlags = tf->EFlags;
	c->Esp = KiEspFromTrapFrame(tf);
	c->SegSs = TRAP_IS_USER(tf) ? tf->HardwareSegSs & 0xFFFF : KGDT_R0_DATA;
	c->SegGs = tf->SegGs & 0xFFFF;
	c->SegFs = tf->SegFs & 0xFFFF;
	c->SegEs = tf->SegEs & 0xFFFF;
	c->SegDs = tf->SegDs & 0xFFFF;
	c->Edi = tf->Edi;
	c->Esi = tf->Esi;
	c->Ebx = tf->Ebx;
	c->Edx = tf->Edx;
	c->Ecx = tf->Ecx;
	c->Eax = tf->Eax;
	c->Dr0 = c->Dr1 = c->Dr2 = c->Dr3 = 0;
	c->Dr6 = c->Dr7 = 0; /* of the thread; the kernel's are in the PRCB */
	save_floating(c);
	c->ContextFlags = CONTEXT_ALL;
}

static VOID control_to_frame(PKTRAP_FRAME tf, const CONTEXT *c, KPROCESSOR_MODE mode)
{
	tf->Ebp = c->Ebp;
	tf->Eip = c->Eip;
	tf->DbgEbp = c->Ebp;
	tf->DbgEip = c->Eip;
	tf->EFlags = (c->EFlags & EFLAGS_SETTABLE) | 2;
	if (mode == UserMode) {
		tf->EFlags |= EFLAGS_IF;
		tf->SegCs = KGDT_R3_CODE | RPL_MASK;
		tf->HardwareSegSs = KGDT_R3_DATA | RPL_MASK;
	} else {
		tf->EFlags |= c->EFlags & EFLAGS_IF;
	}
	KiEspToTrapFrame(tf, c->Esp);
}

VOID KeContextToKframes(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, PCONTEXT Context,
			ULONG ContextFlags, KPROCESSOR_MODE PreviousMode)
{
	PKTRAP_FRAME tf = TrapFrame;
	PCONTEXT c = Context;

	if ((ContextFlags & CONTEXT_CONTROL) == CONTEXT_CONTROL)
		control_to_frame(tf, c, PreviousMode);
	if ((ContextFlags & CONTEXT_INTEGER) == CONTEXT_INTEGER) {
		tf->Edi = c->Edi;
		tf->Esi = c->Esi;
		tf->Ebx = c->Ebx;
		tf->Edx = c->Edx;
		tf->Ecx = c->Ecx;
		tf->Eax = c->Eax;
	}
	if ((ContextFlags & CONTEXT_SEGMENTS) == CONTEXT_SEGMENTS && PreviousMode == UserMode) {
		tf->SegDs = KGDT_R3_DATA | RPL_MASK;
		tf->SegEs = KGDT_R3_DATA | RPL_MASK;
		tf->SegFs = KGDT_R3_TEB | RPL_MASK;
		tf->SegGs = 0;
	}
	if ((ContextFlags & CONTEXT_EXTENDED_REGISTERS) == CONTEXT_EXTENDED_REGISTERS)
		restore_floating(c);
}

/* --- what the neutral kernel wants to know of frame and CONTEXT --- */

VOID KiNoteFrozenIrql(PKTRAP_FRAME TrapFrame)
{
	PKPRCB prcb = KeGetCurrentPrcb();

	prcb->DebuggerSavedIrql = prcb->InterruptedIrql;
}

BOOLEAN KiIsTryFrameAbove(const KTRY_FRAME *Frame, const CONTEXT *Context, PVOID StackBase)
{
	return Frame->Esp >= Context->Esp && Frame->Esp <= (ULONG)(ULONG_PTR)StackBase;
}

VOID KiResumeAtTryFrame(const KTRY_FRAME *Frame, PCONTEXT Context, NTSTATUS Code)
{
	Context->Eax = (ULONG)Code;
	Context->Eip = Frame->Eip;
	Context->Esp = Frame->Esp;
	Context->Ebp = Frame->Ebp;
	Context->Ebx = Frame->Ebx;
	Context->Esi = Frame->Esi;
	Context->Edi = Frame->Edi;
}

ULONG_PTR KiDebugServiceArgument(const CONTEXT *Context, ULONG Number)
{
	switch (Number) {
	case 1: return Context->Ecx;
	case 2: return Context->Edx;
	case 3: return Context->Ebx;
	default: return Context->Edi;
	}
}

VOID KiSetDebugServiceResult(PCONTEXT Context, ULONG Result)
{
	Context->Eax = Result;
}
