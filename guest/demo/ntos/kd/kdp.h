/* SPDX-License-Identifier: MIT */
/*
 * Inside ntos/kd. What the kernel sees of it is in inc/kd.h.
 *
 * All of Kdp* that talks to the debugger runs with the machine frozen (KeFreezeExecution), so one
 * processor at a time uses the buffers, the target and the transport; the break-in poll of the
 * clock owner is the exception, and a freeze waits until it is over.
 */
#ifndef KD_DEMO_KDP_H
#define KD_DEMO_KDP_H

#include "core/target/target.h"
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/transport/transport.h"

/* Names a debugger looks for. */
typedef struct _DBGKD_GET_VERSION64 {
	USHORT MajorVersion;
	USHORT MinorVersion;
	UCHAR ProtocolVersion;
	UCHAR KdSecondaryVersion;
	USHORT Flags;
	USHORT MachineType;
	UCHAR MaxPacketType;
	UCHAR MaxStateChange;
	UCHAR MaxManipulate;
	UCHAR Simulation;
	USHORT Unused[1];
	ULONG64 KernBase;
	ULONG64 PsLoadedModuleList;
	ULONG64 DebuggerDataList;
} DBGKD_GET_VERSION64, *PDBGKD_GET_VERSION64;
C_ASSERT(sizeof(DBGKD_GET_VERSION64) == KD_W_SIZE_version);

typedef struct _DBGKD_DEBUG_DATA_HEADER64 {
	LIST_ENTRY List; /* native links in the space of two 64-bit ones */
#ifdef __i386__
	ULONG ListFill[2];
#endif
	ULONG OwnerTag;
	ULONG Size;
} DBGKD_DEBUG_DATA_HEADER64;
C_ASSERT(sizeof(DBGKD_DEBUG_DATA_HEADER64) == KD_KDBG_HEADER_SIZE);

/* --- kdp_data.c: what debuggers find in memory --- */
extern DBGKD_GET_VERSION64 KdVersionBlock;
extern struct kd_w_version KdpWireVersion; /* the same, for core/target */

VOID KdpInitializeData(VOID);
/** More processors run than before. */
VOID KdpUpdateVersion(VOID);

/* --- kdp_machine.c: what core/target wants of this machine --- */
extern struct kd_target KdpTarget;

VOID KdpInitializeTarget(VOID);
/** The CONTEXT that requests for Processor mean from now on; NULL: that in its PRCB. */
VOID KdpSetContext(ULONG Processor, PCONTEXT Context);

/* --- kdp_stop.c: telling the debugger, and doing what it says --- */
enum kdp_report_kind { KDP_EXCEPTION, KDP_SYMBOLS, KDP_COMMAND };

/** What a stop says; kept until it is over, because it may have to be said again. */
struct kdp_report {
	enum kdp_report_kind kind;
	struct kd_w_exception exception;
	struct kd_w_load_symbols symbols;
	STRING text[2]; /* symbols: path; command: name, command; kernel addresses */
};

extern KD_CONTEXT KdpContext;
extern BOOLEAN KdEnteredDebugger;

/** Freeze the machine and take the debugger's ear. FALSE: this CPU has it already. */
BOOLEAN KdEnterDebugger(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, PBOOLEAN Enable);
VOID KdExitDebugger(BOOLEAN Enable);

/** Report a stop of this CPU and serve requests. @return the debugger's continue status;
 * DBG_CONTINUE when there is no debugger. */
NTSTATUS KdpStop(const struct kdp_report *Report, PCONTEXT Context);

/* --- kdp_print.c --- */
/** Entered: print; TRUE: a break-in byte came meanwhile. */
BOOLEAN KdpPrintString(const CHAR *Text, ULONG Length);
/** Entered: ask for at most Maximum bytes. @return how many came. */
ULONG KdpPromptString(const CHAR *Prompt, ULONG Length, PCHAR Answer, ULONG Maximum);
/** Into KdPrintCircularBuffer. Any IRQL. */
VOID KdLogDbgPrint(const CHAR *Text, ULONG Length);

#define KDP_PRINT_MAX  512 /* one DbgPrint, as NT's */
#define KDP_ANSWER_MAX 512

#endif
