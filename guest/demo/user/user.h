/* SPDX-License-Identifier: MIT */
/* What a program of the demo guest includes. It starts at ProgramStart(PEB) and may return. */
#ifndef KD_DEMO_USER_H
#define KD_DEMO_USER_H

#include "guest/demo/ntos/inc/ntps.h"
#include "guest/demo/ntos/inc/ntio.h"

/* From NtQueryDemoCommand: what the user of a debugger asked for through demo!DemoCommand = 13. */
enum USER_COMMAND {
	UserNothing = 0,
	UserExit = 1,       /* NtTerminateProcess(0) */
	UserReadFault = 2,  /* access violation at address 0x10 */
	UserBreakpoint = 3, /* int3 in ntdll!DbgBreakPoint */
	UserDivide = 4,
	UserPrivileged = 5, /* hlt */
	UserSpin = 6,       /* never sleep again */
};

DLLIMPORT VOID DbgBreakPoint(VOID);
DLLIMPORT NTSTATUS NtClose(HANDLE Handle);
DLLIMPORT NTSTATUS NtDelayExecution(BOOLEAN Alertable, PLARGE_INTEGER Interval);
DLLIMPORT NTSTATUS NtDeviceIoControlFile(HANDLE File, HANDLE Event, PVOID ApcRoutine,
					 PVOID ApcContext, PIO_STATUS_BLOCK IoStatus,
					 ULONG IoControlCode, PVOID InputBuffer,
					 ULONG InputBufferLength, PVOID OutputBuffer,
					 ULONG OutputBufferLength);
DLLIMPORT NTSTATUS NtDisplayString(PUNICODE_STRING String);
DLLIMPORT ULONG NtGetCurrentProcessorNumber(VOID);
DLLIMPORT NTSTATUS NtOpenFile(PHANDLE File, ULONG DesiredAccess,
			      POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatus,
			      ULONG ShareAccess, ULONG OpenOptions);
DLLIMPORT NTSTATUS NtQueryDemoCommand(PULONG Command);
DLLIMPORT NTSTATUS NtQuerySystemTime(PLARGE_INTEGER Time);
DLLIMPORT NTSTATUS NtTerminateProcess(HANDLE Process, NTSTATUS ExitStatus);
DLLIMPORT NTSTATUS NtWriteDevice(PUNICODE_STRING Name, const VOID *Buffer, ULONG Length,
				 PIO_STATUS_BLOCK IoStatus);
DLLIMPORT NTSTATUS NtYieldExecution(VOID);

NTSTATUS ProgramStart(PPEB Peb);

#endif
