/* SPDX-License-Identifier: MIT */
/* What a driver of the demo guest includes: the kernel's structures and its exports, as imports. */
#ifndef KD_DEMO_NT_DRIVER_H
#define KD_DEMO_NT_DRIVER_H

#define KD_GUEST_DRIVER
#include "guest/demo/ntos/inc/ntio.h"

#define INIT_CODE __attribute__((section("INIT")))
#define PAGE_CODE __attribute__((section("PAGE")))

#define NonPagedPool          0
#define EVENT_SYNCHRONIZATION 1

/* Shown as a breakpoint or an assertion where the compiler would otherwise know better. */
#define ASSERT_FAILURE() __asm__ volatile("int $0x2C")

DLLIMPORT extern BOOLEAN KdDebuggerEnabled;
DLLIMPORT extern BOOLEAN KdDebuggerNotPresent;
DLLIMPORT extern volatile ULONG PspUserCommand;

DLLIMPORT VOID DbgBreakPoint(VOID);
DLLIMPORT ULONG DbgPrint(PCSTR Format, ...);
DLLIMPORT ULONG DbgPrompt(PCSTR Prompt, PCHAR Response, ULONG Length);
DLLIMPORT PVOID ExAllocatePoolWithTag(int Type, SIZE_T Size, ULONG Tag);
DLLIMPORT VOID ExFreePoolWithTag(PVOID Block, ULONG Tag);
DLLIMPORT VOID ExShutdownSystem(VOID);
DLLIMPORT NTSTATUS ExTryCall(NTSTATUS (*Routine)(PVOID), PVOID Context);
DLLIMPORT NORETURN VOID KeBugCheckEx(ULONG Code, ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3,
				     ULONG_PTR P4);
DLLIMPORT NTSTATUS KeDelayExecutionThread(KPROCESSOR_MODE WaitMode, BOOLEAN Alertable,
					  PLARGE_INTEGER Interval);
DLLIMPORT VOID KeQueryTickCount(PLARGE_INTEGER TickCount);
DLLIMPORT NTSTATUS PsCreateSystemThread(PKSTART_ROUTINE StartRoutine, PVOID StartContext,
					CHAR Priority, PETHREAD *Thread);
DLLIMPORT NTSTATUS PsCreateUserProcess(PCSTR Image, PCSTR CommandLine, HANDLE *ProcessId);
DLLIMPORT NTSTATUS PsTerminateProcessByName(PCSTR ImageFileName, NTSTATUS ExitStatus);
DLLIMPORT VOID RtlInitUnicodeString(PUNICODE_STRING String, const WCHAR *Text);
DLLIMPORT VOID HalDisplayString(PCSTR Text);

DRIVER_INITIALIZE DriverEntry;

#endif
