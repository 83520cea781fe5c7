/* SPDX-License-Identifier: MIT */
#include "guest/demo/ntos/inc/ntps.h"

NTSTATUS NtTerminateProcess(HANDLE Process, NTSTATUS ExitStatus);
VOID RtlUserThreadStart(NTSTATUS (*StartAddress)(PPEB), PPEB Argument);
BOOLEAN DllMain(PVOID Base, ULONG Reason, PVOID Reserved);

/** The outermost frame of every user thread. */
VOID RtlUserThreadStart(NTSTATUS (*StartAddress)(PPEB), PPEB Argument)
{
	NTSTATUS status = StartAddress(Argument);

	NtTerminateProcess((HANDLE)(LONG_PTR)-1, status);
	for (;;)
		;
}

BOOLEAN DllMain(PVOID Base, ULONG Reason, PVOID Reserved)
{
	return TRUE;
}
