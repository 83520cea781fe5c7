/* SPDX-License-Identifier: MIT */
/*
 * Exception dispatch. Kernel mode: debugger, ExTryCall frames, debugger again, bugcheck. User mode:
 * debugger, debugger again, end of the process (there is no handler search in user mode).
 */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/psp.h"

#define EFLAGS_RF                   0x10000u
#define KMODE_EXCEPTION_NOT_HANDLED 0x1E

VOID KiPushTryFrame(PKTRY_FRAME Frame)
{
	PKTHREAD thread = KeGetCurrentThread();

	Frame->Next = thread->TryFrame;
	thread->TryFrame = Frame;
}

VOID KiPopTryFrame(VOID)
{
	PKTHREAD thread = KeGetCurrentThread();

	thread->TryFrame = thread->TryFrame->Next;
}

/* Make Context resume behind the innermost ExTryCall of this thread, with the code as its result.
 */
static BOOLEAN RtlDispatchException(PEXCEPTION_RECORD Record, PCONTEXT Context)
{
	PKTHREAD thread = KeGetCurrentThread();
	PKTRY_FRAME frame = thread->TryFrame;

	if (frame == NULL || (Record->ExceptionFlags & EXCEPTION_NONCONTINUABLE) != 0)
		return FALSE;
	/* A frame above the fault can only be left over from a stack that is gone. */
	if (!KiIsTryFrameAbove(frame, Context, thread->InitialStack))
		return FALSE;
	KiPopTryFrame();
	KiResumeAtTryFrame(frame, Context, Record->ExceptionCode);
	return TRUE;
}

/* An execution breakpoint in DR0-3 would hit again at once: RF lets its instruction pass. */
static VOID pass_instruction_breakpoint(const EXCEPTION_RECORD *Record, PCONTEXT Context)
{
	ULONG64 dr6, dr7;

	if (Record->ExceptionCode != STATUS_SINGLE_STEP)
		return;
	dr6 = KiReadDr6();
	dr7 = KiReadDr7();
	for (ULONG i = 0; i < 4; i++) {
		if ((dr6 >> i & 1) != 0 && (dr7 >> (16 + 4 * i) & 3) == 0)
			Context->EFlags |= EFLAGS_RF;
	}
}

static VOID dispatch_kernel(PEXCEPTION_RECORD Record, PKEXCEPTION_FRAME ExceptionFrame,
			    PKTRAP_FRAME TrapFrame, PCONTEXT Context, BOOLEAN FirstChance)
{
	if (FirstChance) {
		if (KdTrap(TrapFrame, ExceptionFrame, Record, Context, KernelMode, FALSE))
			return;
		if (RtlDispatchException(Record, Context))
			return;
	}
	if (KdTrap(TrapFrame, ExceptionFrame, Record, Context, KernelMode, TRUE))
		return;
	KeBugCheckEx(KMODE_EXCEPTION_NOT_HANDLED, (ULONG_PTR)(LONG_PTR)Record->ExceptionCode,
		     (ULONG_PTR)Record->ExceptionAddress, Record->ExceptionInformation[0],
		     Record->ExceptionInformation[1]);
}

static VOID dispatch_user(PEXCEPTION_RECORD Record, PKEXCEPTION_FRAME ExceptionFrame,
			  PKTRAP_FRAME TrapFrame, PCONTEXT Context, BOOLEAN FirstChance)
{
	if (FirstChance && KdTrap(TrapFrame, ExceptionFrame, Record, Context, UserMode, FALSE))
		return;
	if (KdTrap(TrapFrame, ExceptionFrame, Record, Context, UserMode, TRUE))
		return;
	PspTerminateProcess(PsGetCurrentProcess(), Record->ExceptionCode);
}

VOID KiDispatchException(PEXCEPTION_RECORD Record, PKEXCEPTION_FRAME ExceptionFrame,
			 PKTRAP_FRAME TrapFrame, KPROCESSOR_MODE PreviousMode, BOOLEAN FirstChance)
{
	CONTEXT context;

	KeContextFromKframes(TrapFrame, ExceptionFrame, &context);
	pass_instruction_breakpoint(Record, &context);
	if (PreviousMode == KernelMode)
		dispatch_kernel(Record, ExceptionFrame, TrapFrame, &context, FirstChance);
	else
		dispatch_user(Record, ExceptionFrame, TrapFrame, &context, FirstChance);
	KeContextToKframes(TrapFrame, ExceptionFrame, &context, CONTEXT_RESTORED, PreviousMode);
}
