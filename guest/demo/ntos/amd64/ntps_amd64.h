/* SPDX-License-Identifier: MIT */
/* Executive process and thread of Windows 10 2004 x64. Included by ntps.h. */
#ifndef KD_DEMO_NTPS_AMD64_H
#define KD_DEMO_NTPS_AMD64_H

typedef struct _EPROCESS {
	KPROCESS Pcb;
	ULONG64 ProcessLock;
	HANDLE UniqueProcessId;
	LIST_ENTRY ActiveProcessLinks;
	ULONG64 RundownProtect;
	ULONG Flags2;
	ULONG Flags;
	LARGE_INTEGER CreateTime;
	UCHAR Reserved470[0x4B8 - 0x470];
	ULONG64 Token;
	UCHAR Reserved4C0[0x520 - 0x4C0];
	PVOID SectionBaseAddress;
	UCHAR Reserved528[0x540 - 0x528];
	HANDLE InheritedFromUniqueProcessId;
	UCHAR Reserved548[0x550 - 0x548];
	struct _PEB *Peb;
	UCHAR Reserved558[0x570 - 0x558];
	PVOID ObjectTable;
	PVOID DebugPort;
	UCHAR Reserved580[0x5A8 - 0x580];
	CHAR ImageFileName[15];
	UCHAR PriorityClass;
	UCHAR Reserved5B8[0x5E0 - 0x5B8];
	LIST_ENTRY ThreadListHead;
	ULONG ActiveThreads;
	UCHAR Reserved5F4[0x7D4 - 0x5F4];
	NTSTATUS ExitStatus;
	PVOID VadRoot;
	UCHAR Reserved7E0[0x840 - 0x7E0];
	LARGE_INTEGER ExitTime;
	UCHAR Reserved848[0xA00 - 0x848];
	ULONG64 UserImageNext; /* ours: next free image address of this process */
	UCHAR ReservedA08[0xA40 - 0xA08];
} EPROCESS, *PEPROCESS;
C_ASSERT(sizeof(EPROCESS) == 0xA40);
ASSERT_OFFSET(EPROCESS, UniqueProcessId, 0x440);
ASSERT_OFFSET(EPROCESS, ActiveProcessLinks, 0x448);
ASSERT_OFFSET(EPROCESS, Token, 0x4B8);
ASSERT_OFFSET(EPROCESS, InheritedFromUniqueProcessId, 0x540);
ASSERT_OFFSET(EPROCESS, Peb, 0x550);
ASSERT_OFFSET(EPROCESS, ImageFileName, 0x5A8);
ASSERT_OFFSET(EPROCESS, ThreadListHead, 0x5E0);
ASSERT_OFFSET(EPROCESS, VadRoot, 0x7D8);

typedef struct _ETHREAD {
	KTHREAD Tcb;
	LARGE_INTEGER CreateTime;
	LARGE_INTEGER ExitTime;
	UCHAR Reserved440[0x450 - 0x440];
	PVOID StartAddress;
	UCHAR Reserved458[0x478 - 0x458];
	CLIENT_ID Cid;
	UCHAR Reserved488[0x4B0 - 0x488];
	LIST_ENTRY IrpList;
	UCHAR Reserved4C0[0x4D0 - 0x4C0];
	PVOID Win32StartAddress;
	PVOID LegacyPowerObject;
	UCHAR Reserved4E0[0x4E8 - 0x4E0];
	LIST_ENTRY ThreadListEntry;
	UCHAR Reserved4F8[0x7FC - 0x4F8];
	NTSTATUS ExitStatus;
	PVOID StartContext;    /* ours */
	LIST_ENTRY ReaperLink; /* ours: threads waiting to be freed */
	UCHAR Reserved818[0x898 - 0x818];
} ETHREAD, *PETHREAD;
C_ASSERT(sizeof(ETHREAD) == 0x898);
ASSERT_OFFSET(ETHREAD, StartAddress, 0x450);
ASSERT_OFFSET(ETHREAD, Cid, 0x478);
ASSERT_OFFSET(ETHREAD, IrpList, 0x4B0);
ASSERT_OFFSET(ETHREAD, Win32StartAddress, 0x4D0);
ASSERT_OFFSET(ETHREAD, ThreadListEntry, 0x4E8);

#endif
