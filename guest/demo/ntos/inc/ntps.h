/* SPDX-License-Identifier: MIT */
/* Processes, threads and what user mode sees of them (PEB, TEB). */
#ifndef KD_DEMO_NTPS_H
#define KD_DEMO_NTPS_H

#include "guest/demo/ntos/inc/ntke.h"
#include "guest/demo/ntos/inc/ntldr.h"

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

/* Reserved fields are called by their offset; the first name is that of x86. */
typedef struct _PEB {
	UCHAR InheritedAddressSpace;
	UCHAR ReadImageFileExecOptions;
	UCHAR BeingDebugged;
	UCHAR BitField;
#ifdef __x86_64__
	UCHAR Padding0[4];
#endif
	PVOID Mutant;
	PVOID ImageBaseAddress;
	PPEB_LDR_DATA Ldr;
	PRTL_USER_PROCESS_PARAMETERS ProcessParameters;
	PVOID SubSystemData;
	PVOID ProcessHeap;
	UCHAR NT_CPU(Reserved01C, Reserved038)[NT_CPU(0x64 - 0x1C, 0xB8 - 0x38)];
	ULONG NumberOfProcessors;
	ULONG NtGlobalFlag;
	UCHAR NT_CPU(Reserved06C, Reserved0C0)[NT_CPU(0xA4 - 0x6C, 0x118 - 0xC0)];
	ULONG OSMajorVersion;
	ULONG OSMinorVersion;
	USHORT OSBuildNumber;
	USHORT OSCSDVersion;
	ULONG OSPlatformId;
	UCHAR NT_CPU(Reserved0B4, Reserved128)[NT_CPU(0x230 - 0xB4, 0x7C8 - 0x128)];
} PEB, *PPEB;
ASSERT_OFFSET(PEB, ImageBaseAddress, NT_CPU(0x08, 0x10));
ASSERT_OFFSET(PEB, Ldr, NT_CPU(0x0C, 0x18));
ASSERT_OFFSET(PEB, ProcessParameters, NT_CPU(0x10, 0x20));
ASSERT_OFFSET(PEB, OSMajorVersion, NT_CPU(0xA4, 0x118));

typedef struct _TEB {
	NT_TIB NtTib;
	PVOID EnvironmentPointer;
	CLIENT_ID ClientId;
	PVOID ActiveRpcHandle;
	PVOID ThreadLocalStoragePointer;
	PPEB ProcessEnvironmentBlock;
	ULONG LastErrorValue;
	ULONG CountOfOwnedCriticalSections;
	UCHAR NT_CPU(Reserved03C, Reserved070)[NT_CPU(0xFBC - 0x3C, 0x1838 - 0x70)];
} TEB, *PTEB;
ASSERT_OFFSET(TEB, ClientId, NT_CPU(0x20, 0x40));
ASSERT_OFFSET(TEB, ProcessEnvironmentBlock, NT_CPU(0x30, 0x60));

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
