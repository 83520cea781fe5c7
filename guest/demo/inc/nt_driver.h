/* SPDX-License-Identifier: MIT */
/* What a driver of the demo guest includes: the kernel's structures and its exports, as imports. */
#ifndef KD_DEMO_NT_DRIVER_H
#define KD_DEMO_NT_DRIVER_H

#define KD_GUEST_DRIVER
#include "guest/demo/ntos/inc/ntio.h"

#define INIT_CODE __attribute__((section("INIT")))
#define PAGE_CODE __attribute__((section("PAGE")))

/* Shown as a breakpoint or an assertion where the compiler would otherwise know better. */
#define ASSERT_FAILURE() __asm__ volatile("int $0x2C")

DLLIMPORT extern BOOLEAN KdDebuggerEnabled;
DLLIMPORT extern BOOLEAN KdDebuggerNotPresent;
DLLIMPORT extern volatile ULONG PspUserCommand;

DLLIMPORT VOID DbgBreakPoint(VOID);
DLLIMPORT ULONG DbgPrompt(PCSTR Prompt, PCHAR Response, ULONG Length);
DLLIMPORT VOID ExShutdownSystem(VOID);
DLLIMPORT NTSTATUS ExTryCall(NTSTATUS (*Routine)(PVOID), PVOID Context);
DLLIMPORT NORETURN VOID KeBugCheckEx(ULONG Code, ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3,
				     ULONG_PTR P4);
DLLIMPORT BOOLEAN KeCancelTimer(PKTIMER Timer);
DLLIMPORT NTSTATUS KeConnectDeviceInterrupt(VOID (*Routine)(PVOID), PVOID Context, PULONG Vector);
DLLIMPORT VOID KeInitializeDpc(PKDPC Dpc, KDEFERRED_ROUTINE *DeferredRoutine,
			       PVOID DeferredContext);
DLLIMPORT VOID KeInitializeTimer(PKTIMER Timer);
DLLIMPORT BOOLEAN KeInsertQueueDpc(PKDPC Dpc, PVOID SystemArgument1, PVOID SystemArgument2);
DLLIMPORT extern volatile ULONG64 KeInterruptTime;
DLLIMPORT VOID KeQueryTickCount(PLARGE_INTEGER TickCount);
DLLIMPORT BOOLEAN KeSetTimerEx(PKTIMER Timer, LARGE_INTEGER DueTime, LONG Period, PKDPC Dpc);
DLLIMPORT NTSTATUS MmCopyFromUser(PVOID To, ULONG64 From, SIZE_T Size);
DLLIMPORT PVOID MmMapIoSpace(ULONG64 Physical, SIZE_T Size, ULONG CacheType);
DLLIMPORT BOOLEAN MmProbeUser(ULONG64 Va, SIZE_T Size, BOOLEAN Write);
DLLIMPORT NTSTATUS PsCreateUserProcess(PCSTR Image, PCSTR CommandLine, HANDLE *ProcessId);
DLLIMPORT NTSTATUS PsTerminateProcessByName(PCSTR ImageFileName, NTSTATUS ExitStatus);
DLLIMPORT VOID HalDescribeMessage(ULONG Vector, ULONG Processor, PULONG64 Address, PULONG Data);
DLLIMPORT VOID HalDisplayString(PCSTR Text);
#define PCI_CONFIGURATION 4
DLLIMPORT ULONG HalGetBusDataByOffset(ULONG BusDataType, ULONG BusNumber, ULONG SlotNumber,
				      PVOID Buffer, ULONG Offset, ULONG Length);
DLLIMPORT ULONG HalSetBusDataByOffset(ULONG BusDataType, ULONG BusNumber, ULONG SlotNumber,
				      PVOID Buffer, ULONG Offset, ULONG Length);

DRIVER_INITIALIZE DriverEntry;

#endif
