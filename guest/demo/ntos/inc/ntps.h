/* SPDX-License-Identifier: MIT */
/* Processes, threads and what user mode sees of them (PEB, TEB). */
#ifndef KD_DEMO_NTPS_H
#define KD_DEMO_NTPS_H

#include "guest/demo/ntos/inc/ntke.h"
#include "guest/demo/ntos/inc/ntldr.h"

typedef VOID(NTAPI *PKSTART_ROUTINE)(PVOID StartContext);

typedef struct _CURDIR {
	UNICODE_STRING DosPath;
	HANDLE Handle;
} CURDIR;

typedef struct _RTL_USER_PROCESS_PARAMETERS {
	ULONG MaximumLength;
	ULONG Length;
	ULONG Flags;
	ULONG DebugFlags;
	HANDLE ConsoleHandle;
	ULONG ConsoleFlags;
	HANDLE StandardInput;
	HANDLE StandardOutput;
	HANDLE StandardError;
	CURDIR CurrentDirectory;
	UNICODE_STRING DllPath;
	UNICODE_STRING ImagePathName;
	UNICODE_STRING CommandLine;
	PVOID Environment;
} RTL_USER_PROCESS_PARAMETERS, *PRTL_USER_PROCESS_PARAMETERS;
ASSERT_OFFSET(RTL_USER_PROCESS_PARAMETERS, ImagePathName, NT_CPU(0x38, 0x60));
ASSERT_OFFSET(RTL_USER_PROCESS_PARAMETERS, CommandLine, NT_CPU(0x40, 0x70));

#ifdef __i386__
#include "guest/demo/ntos/x86/ntps_x86.h"
#else
#include "guest/demo/ntos/amd64/ntps_amd64.h"
#endif

extern LIST_ENTRY PsActiveProcessHead;
extern PEPROCESS PsInitialSystemProcess;
extern PEPROCESS PsIdleProcess;

/** The process whose address space the calling thread uses. */
static inline PEPROCESS PsGetCurrentProcess(VOID)
{
	return (PEPROCESS)KeGetCurrentThread()->ApcState.Process;
}

static inline PETHREAD PsGetCurrentThread(VOID)
{
	return (PETHREAD)KeGetCurrentThread();
}

#endif
