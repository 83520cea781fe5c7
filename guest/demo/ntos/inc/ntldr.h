/* SPDX-License-Identifier: MIT */
/* Loader list entries, kernel and user form (kd-protocol facts 3.7, symbols facts 4.2). */
#ifndef KD_DEMO_NTLDR_H
#define KD_DEMO_NTLDR_H

#include "guest/common/nt_base.h"

#ifdef __i386__ /* NT 5.2 */
typedef struct _KLDR_DATA_TABLE_ENTRY {
	LIST_ENTRY InLoadOrderLinks;
	PVOID Reserved1[2];
	PVOID GpValue;
	PVOID NonPagedDebugInfo;
	PVOID DllBase;
	PVOID EntryPoint;
	ULONG SizeOfImage;
	UNICODE_STRING FullDllName;
	UNICODE_STRING BaseDllName;
	ULONG Flags;
	USHORT LoadCount;
	USHORT Reserved5;
	PVOID SectionPointer;
	ULONG CheckSum;
	ULONG TimeDateStamp;
	PVOID LoadedImports;
	PVOID PatchInformation;
	ULONG SizeOfImageNotRounded; /* ours */
} KLDR_DATA_TABLE_ENTRY, *PKLDR_DATA_TABLE_ENTRY;
#else
typedef struct _KLDR_DATA_TABLE_ENTRY {
	LIST_ENTRY InLoadOrderLinks;
	PVOID ExceptionTable;
	ULONG ExceptionTableSize;
	PVOID GpValue;
	PVOID NonPagedDebugInfo;
	PVOID DllBase;
	PVOID EntryPoint;
	ULONG SizeOfImage;
	UNICODE_STRING FullDllName;
	UNICODE_STRING BaseDllName;
	ULONG Flags;
	USHORT LoadCount;
	USHORT SignatureLevel;
	PVOID SectionPointer;
	ULONG CheckSum;
	ULONG CoverageSectionSize;
	PVOID CoverageSection;
	PVOID LoadedImports;
	PVOID Spare;
	ULONG SizeOfImageNotRounded;
	ULONG TimeDateStamp;
} KLDR_DATA_TABLE_ENTRY, *PKLDR_DATA_TABLE_ENTRY;
#endif

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
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, DllBase, 0x30);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, EntryPoint, 0x38);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, SizeOfImage, 0x40);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, FullDllName, 0x48);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, BaseDllName, 0x58);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, Flags, 0x68);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, LoadCount, 0x6C);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, CheckSum, 0x78);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, TimeDateStamp, 0x9C);
C_ASSERT(sizeof(KLDR_DATA_TABLE_ENTRY) == 0xA0);
ASSERT_OFFSET(LDR_DATA_TABLE_ENTRY, DllBase, 0x30);
ASSERT_OFFSET(LDR_DATA_TABLE_ENTRY, BaseDllName, 0x58);
ASSERT_OFFSET(LDR_DATA_TABLE_ENTRY, TimeDateStamp, 0x80);
ASSERT_OFFSET(PEB_LDR_DATA, InLoadOrderModuleList, 0x10);
C_ASSERT(sizeof(UNLOADED_DRIVERS) == 0x28);
#elif defined(__i386__)
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, DllBase, 0x18);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, EntryPoint, 0x1C);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, SizeOfImage, 0x20);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, FullDllName, 0x24);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, BaseDllName, 0x2C);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, Flags, 0x34);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, LoadCount, 0x38);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, CheckSum, 0x40);
ASSERT_OFFSET(KLDR_DATA_TABLE_ENTRY, TimeDateStamp, 0x44);
ASSERT_OFFSET(LDR_DATA_TABLE_ENTRY, DllBase, 0x18);
ASSERT_OFFSET(LDR_DATA_TABLE_ENTRY, BaseDllName, 0x2C);
ASSERT_OFFSET(LDR_DATA_TABLE_ENTRY, TimeDateStamp, 0x44);
ASSERT_OFFSET(PEB_LDR_DATA, InLoadOrderModuleList, 0x0C);
C_ASSERT(sizeof(UNLOADED_DRIVERS) == 0x18);
#endif

extern LIST_ENTRY PsLoadedModuleList;
extern PUNLOADED_DRIVERS MmUnloadedDrivers; /* MI_UNLOADED_DRIVERS entries, or NULL so far */
extern ULONG MmLastUnloadedDriver;          /* index after the newest entry */

#endif
