/* SPDX-License-Identifier: MIT */
/* A kernel without debugger support: every hook says "nobody there". */
#include "guest/demo/ntos/inc/kd.h"

BOOLEAN KdDebuggerEnabled;
BOOLEAN KdDebuggerNotPresent = TRUE;
BOOLEAN KdPitchDebugger = TRUE;

BOOLEAN KdInitSystem(ULONG Phase, PLOADER_PARAMETER_BLOCK LoaderBlock)
{
	return FALSE;
}

/* Debug services are swallowed, so that DbgPrint costs a trap and no more. */
BOOLEAN KdTrap(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame,
	       PEXCEPTION_RECORD ExceptionRecord, PCONTEXT Context, KPROCESSOR_MODE PreviousMode,
	       BOOLEAN SecondChance)
{
	if (ExceptionRecord->ExceptionCode != STATUS_BREAKPOINT ||
	    ExceptionRecord->ExceptionInformation[0] == BREAKPOINT_BREAK)
		return FALSE;
	Context->Rip++;
	Context->Rax = 0;
	return TRUE;
}

VOID KdSwitchProcessor(PCONTEXT Context)
{
}

VOID KdCheckForDebugBreak(VOID)
{
}

BOOLEAN KdPollBreakIn(VOID)
{
	return FALSE;
}

VOID KdBugCheckBanner(ULONG Code, const ULONG_PTR Parameters[4])
{
}

ULONG DbgPrint(PCSTR Format, ...)
{
	return 0;
}

ULONG DbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format, ...)
{
	return 0;
}

ULONG DbgPrompt(PCSTR Prompt, PCHAR Response, ULONG Length)
{
	return 0;
}

VOID DbgLoadImageSymbols(PSTRING FileName, PVOID ImageBase, ULONG_PTR ProcessId)
{
}

VOID DbgUnLoadImageSymbols(PSTRING FileName, PVOID ImageBase, ULONG_PTR ProcessId)
{
}

VOID DbgCommandString(PSTRING Name, PSTRING Command)
{
}
