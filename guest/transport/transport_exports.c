/* SPDX-License-Identifier: MIT */
/* What every release of NT imports from its transport and ours have nothing to do for. */
#include "guest/transport/transport.h"

/* Windows 10 and later: what Initialize0 is for the others. */
NTSTATUS NTAPI KdInitialize(ULONG Phase, PVOID LoaderBlock, PVOID Context)
{
	(void)Context;
	return Phase == 0 ? KdDebuggerInitialize0(LoaderBlock) : STATUS_SUCCESS;
}

NTSTATUS NTAPI KdD0Transition(VOID)
{
	return STATUS_SUCCESS;
}

NTSTATUS NTAPI KdD3Transition(VOID)
{
	return STATUS_SUCCESS;
}

NTSTATUS NTAPI KdSave(BOOLEAN KdSleepTransition)
{
	(void)KdSleepTransition;
	return STATUS_SUCCESS;
}

NTSTATUS NTAPI KdSetHiberRange(PVOID Context)
{
	(void)Context;
	return STATUS_NOT_SUPPORTED;
}

NTSTATUS NTAPI KdPower(PVOID Argument1, PVOID Argument2)
{
	(void)Argument1;
	(void)Argument2;
	return STATUS_NOT_SUPPORTED;
}
