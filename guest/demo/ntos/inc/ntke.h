/* SPDX-License-Identifier: MIT */
/*
 * Processors, threads and processes of the demo kernel. The structures whose shape differs from
 * one processor (and release) to another are in amd64/ntke_amd64.h and x86/ntke_x86.h.
 */
#ifndef KD_DEMO_NTKE_H
#define KD_DEMO_NTKE_H

#ifdef __i386__
#include "guest/demo/ntos/x86/ntx86.h"
#else
#include "guest/demo/ntos/amd64/ntamd64.h"
#endif

#define MAXIMUM_PROCESSORS 8
#define KERNEL_STACK_SIZE  0x6000u

/* Start-up code: its pages are given back when the system is up. */
#define INIT_FUNCTION __attribute__((section("INIT")))

#define CLOCK_LEVEL NT_CPU(28, 13)
#define IPI_LEVEL   NT_CPU(29, 14)
#define HIGH_LEVEL  NT_CPU(31, 15)

struct _KTHREAD;
struct _KPROCESS;
struct _KPRCB;

/* more of enum _KOBJECTS */
enum { TimerSynchronizationObject = 9, DpcObject = 19 };

struct _KDPC;
/* Runs at DISPATCH_LEVEL, on the processor it was queued on. */
typedef VOID KDEFERRED_ROUTINE(struct _KDPC *Dpc, PVOID DeferredContext, PVOID SystemArgument1,
			       PVOID SystemArgument2);

#ifdef __i386__
typedef struct _KDPC {
	SHORT Type;
	UCHAR Number;
	UCHAR Importance;
	LIST_ENTRY DpcListEntry;
	KDEFERRED_ROUTINE *DeferredRoutine;
	PVOID DeferredContext;
	PVOID SystemArgument1;
	PVOID SystemArgument2;
	PVOID volatile DpcData; /* the queue it is in, or NULL */
} KDPC, *PKDPC;
#else
typedef struct _KDPC {
	UCHAR Type;
	UCHAR Importance;
	USHORT Number;
	ULONG Fill04;
	LIST_ENTRY DpcListEntry; /* NT: a single link, then ProcessorHistory */
	KDEFERRED_ROUTINE *DeferredRoutine;
	PVOID DeferredContext;
	PVOID SystemArgument1;
	PVOID SystemArgument2;
	PVOID volatile DpcData; /* the queue it is in, or NULL */
} KDPC, *PKDPC;
#endif
C_ASSERT(sizeof(KDPC) == NT_CPU(0x20, 0x40));
ASSERT_OFFSET(KDPC, DeferredRoutine, NT_CPU(0x0C, 0x18));
ASSERT_OFFSET(KDPC, DeferredContext, NT_CPU(0x10, 0x20));

#ifdef __i386__
typedef struct _KWAIT_BLOCK {
	LIST_ENTRY WaitListEntry;
	struct _KTHREAD *Thread;
	PVOID Object;
	struct _KWAIT_BLOCK *NextWaitBlock;
	USHORT WaitKey;
	UCHAR WaitType;
	UCHAR SpareByte; /* overlaid by KTHREAD fields, see there */
} KWAIT_BLOCK, *PKWAIT_BLOCK;
#else
typedef struct _KWAIT_BLOCK {
	LIST_ENTRY WaitListEntry;
	UCHAR WaitType;
	UCHAR BlockState;
	USHORT WaitKey;
	LONG SpareLong; /* overlaid by KTHREAD fields, see there */
	struct _KTHREAD *Thread;
	PVOID Object;
	PVOID SparePtr;
} KWAIT_BLOCK, *PKWAIT_BLOCK;
#endif
C_ASSERT(sizeof(KWAIT_BLOCK) == NT_CPU(0x18, 0x30));

typedef struct _KAPC_STATE {
	LIST_ENTRY ApcListHead[2];
	struct _KPROCESS *Process;
	UCHAR InProgressFlags;
	UCHAR KernelApcPending;
	UCHAR UserApcPendingAll;
} KAPC_STATE, *PKAPC_STATE;
C_ASSERT(sizeof(KAPC_STATE) == NT_CPU(0x18, 0x30));

typedef struct _GROUP_AFFINITY {
	ULONG_PTR Mask;
	USHORT Group;
	USHORT Reserved[3];
} GROUP_AFFINITY, *PGROUP_AFFINITY;

typedef enum _KTHREAD_STATE {
	Initialized = 0,
	Ready = 1,
	Running = 2,
	Standby = 3,
	Terminated = 4,
	Waiting = 5,
	Transition = 6,
	DeferredReady = 7,
} KTHREAD_STATE;

typedef struct _NT_TIB {
	PVOID ExceptionList;
	PVOID StackBase;
	PVOID StackLimit;
	PVOID SubSystemTib;
	PVOID FiberData;
	PVOID ArbitraryUserPointer;
	struct _NT_TIB *Self;
} NT_TIB, *PNT_TIB;

#ifdef __i386__
#include "guest/demo/ntos/x86/ntke_x86.h"
#else
#include "guest/demo/ntos/amd64/ntke_amd64.h"
#endif

/* The layer's header says where a processor finds its own (KPCR_SELF, KPCR_CURRENT_*) and what the
 * fields are called that have another name on the other machine (KPCR_BLOCK, KPROCESS_ROOT). */
static inline PKPCR KeGetPcr(VOID)
{
	PKPCR pcr;

	__asm__ volatile("mov " KPCR_SELF ", %0" : "=r"(pcr));
	return pcr;
}

static inline PKPRCB KeGetCurrentPrcb(VOID)
{
	PKPRCB prcb;

	__asm__ volatile("mov " KPCR_CURRENT_PRCB ", %0" : "=r"(prcb));
	return prcb;
}

static inline ULONG KeGetCurrentProcessorNumber(VOID)
{
	return KeGetCurrentPrcb()->Number;
}

/** The block inside a PCR. */
static inline PKPRCB KiPrcbOf(PKPCR pcr)
{
	return &pcr->KPCR_BLOCK;
}

static inline PKPCR KiPcrOf(PKPRCB prcb)
{
	return CONTAINING_RECORD(prcb, KPCR, KPCR_BLOCK);
}

/** Page tables of a process, as CR3 wants them. */
static inline ULONG64 KiRootOf(const KPROCESS *process)
{
	return process->KPROCESS_ROOT;
}

static inline VOID KiSetRoot(PKPROCESS process, ULONG64 root)
{
	process->KPROCESS_ROOT = (ULONG_PTR)root;
}

extern PKPRCB KiProcessorBlock[MAXIMUM_PROCESSORS];
extern UCHAR KeNumberProcessors; /* started ones; KiProcessorBlock[0..n) are valid */
extern ULONG KeTimeIncrement;    /* 100 ns per clock tick */

/* --- spin locks --- */
static inline VOID KxAcquireSpinLock(PKSPIN_LOCK lock)
{
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0) {
		while (*lock != 0)
			KiPause();
	}
}

static inline VOID KxReleaseSpinLock(PKSPIN_LOCK lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

#endif
