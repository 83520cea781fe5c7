/* SPDX-License-Identifier: MIT */
/* KUSER_SHARED_DATA: one page every address space sees, read-only at 0x7FFE0000 (facts 4.7). */
#ifndef KD_DEMO_NTSHARED_H
#define KD_DEMO_NTSHARED_H

#include "guest/demo/inc/loader_block.h"

typedef struct _KSYSTEM_TIME {
	ULONG LowPart;
	LONG High1Time;
	LONG High2Time;
} KSYSTEM_TIME, *PKSYSTEM_TIME;

typedef struct _KUSER_SHARED_DATA {
	ULONG TickCountLowDeprecated;
	ULONG TickCountMultiplier;
	KSYSTEM_TIME InterruptTime;
	KSYSTEM_TIME SystemTime;
	KSYSTEM_TIME TimeZoneBias;
	USHORT ImageNumberLow;
	USHORT ImageNumberHigh;
	WCHAR NtSystemRoot[260];
	ULONG MaxStackTraceDepth;
	ULONG CryptoExponent;
	ULONG TimeZoneId;
	ULONG LargePageMinimum;
	UCHAR Reserved248[0x260 - 0x248];
	ULONG NtBuildNumber;
	ULONG NtProductType;
	BOOLEAN ProductTypeIsValid;
	UCHAR Reserved269;
	USHORT NativeProcessorArchitecture;
	ULONG NtMajorVersion;
	ULONG NtMinorVersion;
	UCHAR Reserved274[0x2D0 - 0x274];
	ULONG SuiteMask;
	UCHAR KdDebuggerEnabled;
	UCHAR Reserved2D5[0x2E8 - 0x2D5];
	ULONG NumberOfPhysicalPages;
	UCHAR Reserved2EC[0x300 - 0x2EC];
	ULONG SystemCall;       /* x86: where ntdll goes for a system call */
	ULONG SystemCallReturn; /* x86: where SYSEXIT comes back to */
	UCHAR Reserved308[0x320 - 0x308];
	union {
		KSYSTEM_TIME TickCount;
		ULONG64 TickCountQuad;
	};
	UCHAR Reserved330[0x3C0 - 0x330];
	ULONG ActiveProcessorCount;
	UCHAR Reserved3C4[0x720 - 0x3C4];
} KUSER_SHARED_DATA, *PKUSER_SHARED_DATA;
ASSERT_OFFSET(KUSER_SHARED_DATA, InterruptTime, 0x08);
ASSERT_OFFSET(KUSER_SHARED_DATA, SystemTime, 0x14);
ASSERT_OFFSET(KUSER_SHARED_DATA, NtSystemRoot, 0x30);
ASSERT_OFFSET(KUSER_SHARED_DATA, NtBuildNumber, 0x260);
ASSERT_OFFSET(KUSER_SHARED_DATA, NtProductType, 0x264);
ASSERT_OFFSET(KUSER_SHARED_DATA, NtMajorVersion, 0x26C);
ASSERT_OFFSET(KUSER_SHARED_DATA, SuiteMask, 0x2D0);
ASSERT_OFFSET(KUSER_SHARED_DATA, KdDebuggerEnabled, 0x2D4);
ASSERT_OFFSET(KUSER_SHARED_DATA, NumberOfPhysicalPages, 0x2E8);
ASSERT_OFFSET(KUSER_SHARED_DATA, SystemCall, 0x300);
ASSERT_OFFSET(KUSER_SHARED_DATA, TickCount, 0x320);

#define KI_USER_SHARED_DATA ((volatile KUSER_SHARED_DATA *)KSEG_USER_SHARED)

#endif
