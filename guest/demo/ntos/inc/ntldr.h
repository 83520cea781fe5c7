/* SPDX-License-Identifier: MIT */
/* Loader list entries, kernel and user form (kd-protocol facts 3.7, symbols facts 4.2). */
#ifndef KD_DEMO_NTLDR_H
#define KD_DEMO_NTLDR_H

#include "guest/common/nt_base.h"

/* x86 has the shape of NT 5.2. */
typedef struct _KLDR_DATA_TABLE_ENTRY {
	LIST_ENTRY InLoadOrderLinks;
#ifdef __i386__
	PVOID Reserved1[2];
#else
	PVOID ExceptionTable;
	ULONG ExceptionTableSize;
#endif
	PVOID GpValue;
	PVOID NonPagedDebugInfo;
	PVOID DllBase;
	PVOID EntryPoint;
	ULONG SizeOfImage;
	UNICODE_STRING FullDllName;
	UNICODE_STRING BaseDllName;
	ULONG Flags;
	USHORT LoadCount;
	USHORT NT_CPU(Reserved5, SignatureLevel);
	PVOID SectionPointer;
	ULONG CheckSum;
#ifdef __i386__
	ULONG TimeDateStamp;
	PVOID LoadedImports;
	PVOID PatchInformation;
	ULONG SizeOfImageNotRounded; /* ours */
#else
	ULONG CoverageSectionSize;
	PVOID CoverageSection;
	PVOID LoadedImports;
	PVOID Spare;
	ULONG SizeOfImageNotRounded;
	ULONG TimeDateStamp;
#endif
} KLDR_DATA_TABLE_ENTRY, *PKLDR_DATA_TABLE_ENTRY;

typedef struct _LDR_DATA_TABLE_ENTRY {
	LIST_ENTRY InLoadOrderLinks;
	LIST_ENTRY InMemoryOrderLinks;
	LIST_ENTRY InInitializationOrderLinks;
	PVOID DllBase;
	PVOID EntryPoint;
	ULONG SizeOfImage;
	UNICODE_STRING FullDllName;
	UNICODE_STRING BaseDllName;
	ULONG Flags;
	USHORT ObsoleteLoadCount;
	USHORT TlsIndex;
	LIST_ENTRY HashLinks;
	ULONG TimeDateStamp;
} LDR_DATA_TABLE_ENTRY, *PLDR_DATA_TABLE_ENTRY;

typedef struct _PEB_LDR_DATA {
	ULONG Length;
	UCHAR Initialized;
	PVOID SsHandle;
	LIST_ENTRY InLoadOrderModuleList;
	LIST_ENTRY InMemoryOrderModuleList;
	LIST_ENTRY InInitializationOrderModuleList;
	PVOID EntryInProgress;
	UCHAR ShutdownInProgress;
	PVOID ShutdownThreadId;
} PEB_LDR_DATA, *PPEB_LDR_DATA;

typedef struct _UNLOADED_DRIVERS {
	UNICODE_STRING Name;
	PVOID StartAddress;
	PVOID EndAddress;
	LARGE_INTEGER CurrentTime;
} UNLOADED_DRIVERS, *PUNLOADED_DRIVERS;

#define MI_UNLOADED_DRIVERS 50

#ifdef __x86_64__
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, ExceptionTable, 0x10);
C_ASSERT(sizeof(KLDR_DATA_TABLE_ENTRY) == 0xA0);
#endif
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, DllBase, NT_CPU(0x18, 0x30));
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, EntryPoint, NT_CPU(0x1C, 0x38));
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, SizeOfImage, NT_CPU(0x20, 0x40));
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, FullDllName, NT_CPU(0x24, 0x48));
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, BaseDllName, NT_CPU(0x2C, 0x58));
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, Flags, NT_CPU(0x34, 0x68));
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, LoadCount, NT_CPU(0x38, 0x6C));
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, CheckSum, NT_CPU(0x40, 0x78));
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, TimeDateStamp, NT_CPU(0x44, 0x9C));
ASSERT_OFFSET(LDR_DATA_TABLE_ENTRY, DllBase, NT_CPU(0x18, 0x30));
ASSERT_OFFSET(LDR_DATA_TABLE_ENTRY, BaseDllName, NT_CPU(0x2C, 0x58));
ASSERT_OFFSET(LDR_DATA_TABLE_ENTRY, TimeDateStamp, NT_CPU(0x44, 0x80));
ASSERT_OFFSET(PEB_LDR_DATA, InLoadOrderModuleList, NT_CPU(0x0C, 0x10));
C_ASSERT(sizeof(UNLOADED_DRIVERS) == NT_CPU(0x18, 0x28));

extern LIST_ENTRY PsLoadedModuleList;
extern PUNLOADED_DRIVERS MmUnloadedDrivers; /* MI_UNLOADED_DRIVERS entries, or NULL so far */
extern ULONG MmLastUnloadedDriver;          /* index after the newest entry */

#endif
