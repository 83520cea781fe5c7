/* SPDX-License-Identifier: MIT */
#include "guest/demo/drivers/demo_driver.h"

volatile ULONG DemoCommand;
volatile ULONG64 DemoArgument;
volatile ULONG64 DemoResult;
volatile ULONG DemoCounter;
volatile ULONG DemoTicks;
volatile ULONG DemoLastWork;
CHAR DemoText[64];

static DRIVER_UNLOAD DemoUnload;
static volatile BOOLEAN DemoStopping;

__attribute__((noinline)) ULONG DemoWork(ULONG Seed, ULONG Rounds)
{
	ULONG value = Seed;

	for (ULONG i = 0; i < Rounds; i++)
		value = value * 1664525u + 1013904223u;
	return value;
}

__attribute__((noinline)) ULONG DemoTick(ULONG Count, ULONG64 Ticks)
{
	ULONG result = DemoWork(Count, 1 + (Count & 7));

	DemoTicks = Count;
	return result ^ (ULONG)Ticks;
}

static VOID run_command(VOID)
{
	ULONG command = DemoCommand;

	if (command == DemoIdle || command >= DemoCommandCount)
		return;
	DemoResult = DemoRun((DEMO_COMMAND)command, DemoArgument);
	DemoCounter++;
	DemoCommand = DemoIdle;
}

static VOID DemoThread(PVOID Context)
{
	LARGE_INTEGER tick = { .QuadPart = -100000 }; /* 10 ms */
	LARGE_INTEGER now;
	ULONG count = 0;

	while (!DemoStopping) {
		KeDelayExecutionThread(KernelMode, FALSE, &tick);
		KeQueryTickCount(&now);
		DemoLastWork = DemoTick(++count, (ULONG64)now.QuadPart);
		run_command();
	}
	DemoStopping = FALSE;
}

static VOID DemoUnload(PDRIVER_OBJECT DriverObject)
{
	LARGE_INTEGER tick = { .QuadPart = -100000 };

	DemoStopping = TRUE;
	while (DemoStopping) /* the thread must be out of this image */
		KeDelayExecutionThread(KernelMode, FALSE, &tick);
	KeDelayExecutionThread(KernelMode, FALSE, &tick);
}

INIT_CODE NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
	HANDLE handle;
	PVOID thread;
	NTSTATUS status;

	DriverObject->DriverUnload = DemoUnload;
	status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, DemoThread,
				      NULL);
	if (!NT_SUCCESS(status))
		return status;
	if (NT_SUCCESS(ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode,
						 &thread, NULL))) {
		KeSetPriorityThread(thread, 10);
		ObDereferenceObject(thread);
	}
	ZwClose(handle);
	return STATUS_SUCCESS;
}
