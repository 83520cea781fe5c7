/* SPDX-License-Identifier: MIT */
/*
 * The contract between an NT kernel and the DLL that carries its debugger's packets, whatever
 * version of NT: XP to 11, x86 and x64. The kernel imports these functions from "kdcom.dll".
 *
 * All are called with interrupts off and all other processors frozen, at any IRQL up to
 * HIGH_LEVEL, possibly before memory management exists: no locks, no paged memory, no kernel
 * services, no SSE.
 */
#ifndef KD_GUEST_TRANSPORT_H
#define KD_GUEST_TRANSPORT_H

#include "guest/common/nt_base.h"

typedef enum _KDSTATUS {
	KdPacketReceived = 0,
	KdPacketTimedOut = 1,
	KdPacketNeedsResend = 2, /* say again what you said last: state change, prompt, request */
} KDSTATUS;

typedef struct _KD_CONTEXT {
	ULONG KdpDefaultRetries;
	BOOLEAN KdpControlCPending; /* a break-in byte came while somebody else listened */
} KD_CONTEXT, *PKD_CONTEXT;

/* Our own prototypes: the kernel's loader block is only looked into by load_options.c. */
NTSTATUS NTAPI KdInitialize(ULONG Phase, PVOID LoaderBlock, PVOID Context);
NTSTATUS NTAPI KdDebuggerInitialize0(PVOID LoaderBlock);
NTSTATUS NTAPI KdDebuggerInitialize1(PVOID LoaderBlock);
VOID NTAPI KdSendPacket(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData,
			PKD_CONTEXT Context);
KDSTATUS NTAPI KdReceivePacket(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData,
			       PULONG DataLength, PKD_CONTEXT Context);
NTSTATUS NTAPI KdD0Transition(VOID);
NTSTATUS NTAPI KdD3Transition(VOID);
NTSTATUS NTAPI KdSave(BOOLEAN KdSleepTransition);
NTSTATUS NTAPI KdRestore(BOOLEAN KdSleepTransition);
NTSTATUS NTAPI KdSetHiberRange(PVOID Context);
NTSTATUS NTAPI KdPower(PVOID Argument1, PVOID Argument2);

#endif
