/* SPDX-License-Identifier: MIT */
/* Process manager, internal, and what drivers may call of it. */
#ifndef KD_DEMO_PSP_H
#define KD_DEMO_PSP_H

#include "guest/demo/ntos/inc/ntps.h"

extern ULONG64 PsBootTime; /* FILETIME at KeInterruptTime 0 */
extern volatile ULONG
	PspUserCommand; /* what NtQueryDemoCommand hands to the next program that asks */

/** System and idle process, before there is a scheduler. */
VOID PsInitializeSystem(VOID);
/** A thread of System, made ready. */
NTSTATUS PspStartSystemThread(PKSTART_ROUTINE StartRoutine, PVOID StartContext, CHAR Priority);
/** A process of its own address space running the program `Image` of the boot files. */
NTSTATUS PsCreateUserProcess(PCSTR Image, PCSTR CommandLine, HANDLE *ProcessId);
/** Ask every thread of a user process to end; if it is the current one, does not return to it. */
NTSTATUS PspTerminateProcess(PEPROCESS Process, NTSTATUS ExitStatus);
/** End the first program of this name. */
NTSTATUS PsTerminateProcessByName(PCSTR ImageFileName, NTSTATUS ExitStatus);
HANDLE PsGetProcessId(PEPROCESS Process);
/** The idle thread of one more processor. */
VOID PsInitializeIdleThread(PKPRCB Prcb, PVOID StackTop, ULONG StackSize);

/* between ps_process.c, ps_thread.c and the scheduler */
PETHREAD PspCreateThread(PEPROCESS Process, PKSTART_ROUTINE StartRoutine, PVOID StartContext,
			 CHAR Priority);
NORETURN VOID PspThreadStartup(PKSTART_ROUTINE StartRoutine, PVOID StartContext);
NORETURN VOID PspExitThread(NTSTATUS ExitStatus);
VOID PspReaperThread(PVOID Context);
VOID PspDeleteProcess(PEPROCESS Process);
NORETURN VOID PspUserThreadStartup(PVOID Context);
ULONG64 PspAllocateCid(VOID);

#endif
