/* SPDX-License-Identifier: MIT */
/* Executive process and thread of Windows Server 2003 SP1 x86. Included by ntps.h. */
#ifndef KD_DEMO_NTPS_X86_H
#define KD_DEMO_NTPS_X86_H

typedef struct _EPROCESS {
	KPROCESS Pcb;
	ULONG ProcessLock;
	ULONG Reserved07C;
	LARGE_INTEGER CreateTime;
	LARGE_INTEGER ExitTime;
	ULONG RundownProtect;
	HANDLE UniqueProcessId;
	LIST_ENTRY ActiveProcessLinks;
	UCHAR Reserved0A0[0xCC - 0xA0];
	PVOID DebugPort;
	PVOID ExceptionPort;
	PVOID ObjectTable;
	ULONG Token;
	UCHAR Reserved0DC[0x128 - 0xDC];
	PVOID SectionBaseAddress;
	UCHAR Reserved12C[0x138 - 0x12C];
	HANDLE InheritedFromUniqueProcessId;
	UCHAR Reserved13C[0x160 - 0x13C];
	PVOID Session;
	CHAR ImageFileName[16];
	UCHAR Reserved174[0x180 - 0x174];
	LIST_ENTRY ThreadListHead;
	UCHAR Reserved188[0x190 - 0x188];
	ULONG ActiveThreads;
	UCHAR Reserved194[0x1A0 - 0x194];
	struct _PEB *Peb;
	UCHAR Reserved1A4[0x244 - 0x1A4];
	NTSTATUS ExitStatus;
	UCHAR Reserved248[0x250 - 0x248];
	PVOID VadRoot;
	UCHAR Reserved254[0x278 - 0x254];
} EPROCESS, *PEPROCESS;
C_ASSERT(sizeof(EPROCESS) == 0x278);
ASSERT_OFFSET(EPROCESS, CreateTime, 0x80);
ASSERT_OFFSET(EPROCESS, UniqueProcessId, 0x94);
ASSERT_OFFSET(EPROCESS, ActiveProcessLinks, 0x98);
ASSERT_OFFSET(EPROCESS, DebugPort, 0xCC);
ASSERT_OFFSET(EPROCESS, Token, 0xD8);
ASSERT_OFFSET(EPROCESS, ImageFileName, 0x164);
ASSERT_OFFSET(EPROCESS, ThreadListHead, 0x180);
ASSERT_OFFSET(EPROCESS, Peb, 0x1A0);
ASSERT_OFFSET(EPROCESS, VadRoot, 0x250);

typedef struct _ETHREAD {
	KTHREAD Tcb;
	LARGE_INTEGER CreateTime;
	LARGE_INTEGER ExitTime;
	NTSTATUS ExitStatus;
	UCHAR Reserved1CC[0x1E4 - 0x1CC];
	CLIENT_ID Cid;
	UCHAR Reserved1EC[0x208 - 0x1EC];
	LIST_ENTRY IrpList;
	UCHAR Reserved210[0x218 - 0x210];
	struct _EPROCESS *ThreadsProcess;
	PVOID Win32StartAddress;
	PVOID StartAddress;
	LIST_ENTRY ThreadListEntry;
	PVOID StartContext;    /* ours */
	LIST_ENTRY ReaperLink; /* ours: threads waiting to be freed */
	UCHAR Reserved238[0x250 - 0x238];
} ETHREAD, *PETHREAD;
C_ASSERT(sizeof(ETHREAD) == 0x250);
ASSERT_OFFSET(ETHREAD, Cid, 0x1E4);
ASSERT_OFFSET(ETHREAD, IrpList, 0x208);
ASSERT_OFFSET(ETHREAD, StartAddress, 0x220);
ASSERT_OFFSET(ETHREAD, ThreadListEntry, 0x224);

#endif
