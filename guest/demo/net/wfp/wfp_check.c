/* SPDX-License-Identifier: MIT */
/* What the engine sees drivers do wrong, and what it needs everywhere. */
#include <stdarg.h>

#include "guest/demo/net/wfp/wfp_engine.h"

DLLIMPORT ULONG RtlStringPrintV(PCHAR Buffer, SIZE_T Size, PCSTR Format, va_list Arguments);

KSPIN_LOCK WfpLock;
volatile LONG WfpViolations;

static ULONG WfpClassifyDepth[MAXIMUM_PROCESSORS];
static struct wfp_flow *WfpSender[MAXIMUM_PROCESSORS];

VOID WfpViolation(PCSTR Format, ...)
{
	va_list arguments;
	CHAR text[160];

	__atomic_add_fetch(&WfpViolations, 1, __ATOMIC_RELAXED);
	va_start(arguments, Format);
	RtlStringPrintV(text, sizeof(text), Format, arguments);
	va_end(arguments);
	DbgPrint("WFP contract violation: %s", text);
	HalDisplayString("WFP contract violation: ");
	HalDisplayString(text);
}

ULONG NTAPI WfpQueryViolations(VOID)
{
	return (ULONG)WfpViolations;
}

BOOLEAN WfpCheckIrql(PCSTR Function, KIRQL Max)
{
	if (KeGetCurrentIrql() <= Max)
		return TRUE;
	WfpViolation("%s at IRQL %u\n", Function, KeGetCurrentIrql());
	return FALSE;
}

KIRQL WfpEnterClassify(struct wfp_flow *Sender)
{
	KIRQL old = KfRaiseIrql(DISPATCH_LEVEL);

	WfpClassifyDepth[KeGetCurrentProcessorNumber()]++;
	WfpSender[KeGetCurrentProcessorNumber()] = Sender;
	return old;
}

VOID WfpLeaveClassify(KIRQL OldIrql)
{
	if (KeGetCurrentIrql() != DISPATCH_LEVEL)
		WfpViolation("a callout came back at IRQL %u\n", KeGetCurrentIrql());
	WfpClassifyDepth[KeGetCurrentProcessorNumber()]--;
	WfpSender[KeGetCurrentProcessorNumber()] = NULL;
	KeLowerIrql(OldIrql);
}

BOOLEAN WfpIsInClassify(VOID)
{
	return KeGetCurrentIrql() == DISPATCH_LEVEL &&
	       WfpClassifyDepth[KeGetCurrentProcessorNumber()] != 0;
}

struct wfp_flow *WfpSenderInClassify(VOID)
{
	return WfpIsInClassify() ? WfpSender[KeGetCurrentProcessorNumber()] : NULL;
}

PVOID WfpAllocate(SIZE_T Size)
{
	PVOID block = ExAllocatePoolWithTag(NonPagedPool, Size, TAG_WFP);

	if (block != NULL)
		__builtin_memset(block, 0, Size);
	return block;
}

VOID WfpFree(PVOID Block)
{
	if (Block != NULL)
		ExFreePoolWithTag(Block, TAG_WFP);
}

VOID WfpSleep(VOID)
{
	LARGE_INTEGER moment = { .QuadPart = -100000 }; /* 10 ms */

	KeDelayExecutionThread(KernelMode, FALSE, &moment);
}

/** Loaded by its importers; there is nothing to start. */
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
	return STATUS_SUCCESS;
}
