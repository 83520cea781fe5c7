/* SPDX-License-Identifier: MIT */
/*
 * Threads, processes and processors at the shapes of Windows Server 2003 SP1 x86 (build 3790).
 * Fields named in the facts stand at their real offsets (asserted); what lies between is reserved.
 * Fields of our own sit in reserved space and are marked "ours". Included by ntke.h.
 */
#ifndef KD_DEMO_NTKE_X86_H
#define KD_DEMO_NTKE_X86_H

typedef struct _KTHREAD {
	DISPATCHER_HEADER Header;
	LIST_ENTRY MutantListHead;
	PVOID InitialStack;
	PVOID StackLimit;
	PVOID KernelStack; /* of a thread that does not run: its KSWITCHFRAME */
	ULONG ThreadLock;
	KAPC_STATE ApcState;
	ULONG Reserved040;
	ULONG NextProcessor;
	ULONG ContextSwitches;
	UCHAR State;
	UCHAR NpxState;
	UCHAR WaitIrql;
	CHAR WaitMode;
	LONG WaitStatus;
	PKWAIT_BLOCK WaitBlockList;
	BOOLEAN Alertable;
	BOOLEAN WaitNext;
	UCHAR WaitReason;
	CHAR Priority;
	BOOLEAN EnableStackSwap;
	UCHAR SwapBusy;
	UCHAR Alerted[2];
	LIST_ENTRY WaitListEntry; /* ours: also the link in the ready queue */
	PVOID Queue;
	ULONG WaitTime;
	ULONG CombinedApcDisable;
	PVOID Teb;
	KTIMER Timer;
	ULONG ThreadFlags;
	ULONG Reserved0A4;
	union {
		KWAIT_BLOCK WaitBlock[4];
		struct {
			UCHAR WaitBlockFill1[0xD7 - 0xA8];
			CHAR PreviousMode; /* SpareByte of the second block */
		};
	};
	LIST_ENTRY QueueListEntry;
	PKTRAP_FRAME TrapFrame;
	PVOID CallbackStack;
	PVOID ServiceTable;
	UCHAR ApcStateIndex;
	UCHAR IdealProcessor;
	BOOLEAN Preempted;
	BOOLEAN ProcessReadyQueue;
	BOOLEAN KernelStackResident;
	CHAR BasePriority;
	CHAR PriorityDecrement;
	CHAR Saturation;
	ULONG UserAffinity;
	struct _KPROCESS *Process;
	ULONG Affinity;
	UCHAR Reserved130[0x158 - 0x130];
	PVOID StackBase;
	/* ours, from here to the next mark */
	struct _KTRY_FRAME *TryFrame;     /* innermost ExTryCall of this thread */
	PVOID StackAllocation;            /* what MmDeleteKernelStack wants back */
	volatile LONG TerminationRequest; /* the thread ends at the next return to user mode */
	ULONG Quantum;                    /* clock ticks left */
	PXSAVE_FORMAT StateSaveArea;
	ULONG CurrentRunTime;
	ULONG ReadyTime;
	ULONG SystemCallNumber;
	ULONG UserIdealProcessor;
	UCHAR Running;
	/* end of ours */
	UCHAR Reserved181[0x1A8 - 0x181];
	LIST_ENTRY ThreadListEntry;
	UCHAR Reserved1B0[0x1B8 - 0x1B0];
} KTHREAD, *PKTHREAD;
C_ASSERT(sizeof(KTHREAD) == 0x1B8);
ASSERT_OFFSET(KTHREAD, InitialStack, 0x18);
ASSERT_OFFSET(KTHREAD, KernelStack, 0x20);
ASSERT_OFFSET(KTHREAD, ApcState.Process, 0x38);
ASSERT_OFFSET(KTHREAD, ContextSwitches, 0x48);
ASSERT_OFFSET(KTHREAD, State, 0x4C);
ASSERT_OFFSET(KTHREAD, WaitIrql, 0x4E);
ASSERT_OFFSET(KTHREAD, WaitBlockList, 0x54);
ASSERT_OFFSET(KTHREAD, WaitReason, 0x5A);
ASSERT_OFFSET(KTHREAD, Priority, 0x5B);
ASSERT_OFFSET(KTHREAD, Teb, 0x74);
ASSERT_OFFSET(KTHREAD, Timer, 0x78);
ASSERT_OFFSET(KTHREAD, WaitBlock, 0xA8);
ASSERT_OFFSET(KTHREAD, PreviousMode, 0xD7);
ASSERT_OFFSET(KTHREAD, TrapFrame, 0x110);
ASSERT_OFFSET(KTHREAD, BasePriority, 0x121);
ASSERT_OFFSET(KTHREAD, Process, 0x128);
ASSERT_OFFSET(KTHREAD, StackBase, 0x158);
ASSERT_OFFSET(KTHREAD, ThreadListEntry, 0x1A8);

typedef struct _KPROCESS {
	DISPATCHER_HEADER Header;
	LIST_ENTRY ProfileListHead;
	ULONG DirectoryTableBase[2]; /* NT keeps hyperspace in the second */
	UCHAR Reserved020[0x50 - 0x20];
	LIST_ENTRY ThreadListHead;
	UCHAR Reserved058[0x78 - 0x58];
} KPROCESS, *PKPROCESS;
C_ASSERT(sizeof(KPROCESS) == 0x78);
ASSERT_OFFSET(KPROCESS, DirectoryTableBase, 0x18);
ASSERT_OFFSET(KPROCESS, ThreadListHead, 0x50);

typedef struct _KPRCB {
	USHORT MinorVersion;
	USHORT MajorVersion;
	PKTHREAD CurrentThread;
	PKTHREAD NextThread;
	PKTHREAD IdleThread;
	UCHAR Number;
	UCHAR Reserved;
	USHORT BuildType;
	ULONG SetMember;
	CHAR CpuType;
	CHAR CpuID;
	USHORT CpuStep;
	KPROCESSOR_STATE ProcessorState;
	ULONG KernelReserved[16];
	ULONG HalReserved[16];
	/* ours, from here on, but for names that KDBG tells */
	ULONG LeaveEip, LeaveCs, LeaveEFlags, LeaveEsp, LeaveEbp; /* see KiLeaveTrap */
	volatile ULONG IpiFrozen;         /* enum KI_FREEZE_STATE | KI_FREEZE_ACTIVE */
	volatile ULONG RescheduleRequest; /* the next dispatch interrupt picks a new thread */
	volatile ULONG Started;
	volatile ULONG64 InterruptCount;
	volatile ULONG64 ClockTicks;
	volatile ULONG64 IdleTicks;
	volatile ULONG64 ContextSwitches;
	volatile ULONG64 SystemCalls;
	volatile ULONG64 PageFaults;
	ULONG64 TscFrequency;
	ULONG ApicId;
	ULONG MHz;
	ULONG MxCsr;
	BOOLEAN ClockOwner;
	KIRQL InterruptedIrql;   /* of the code below the innermost interrupt */
	KIRQL DebuggerSavedIrql; /* of what a frozen processor was at */
	UCHAR CpuVendor;
	CHAR VendorString[13];
	PVOID DpcStack;
	PCONTEXT Context;           /* = &ProcessorState.ContextFrame */
	UCHAR SysenterStack[0x400]; /* for the debug trap that SYSENTER may take */
	UCHAR ReservedTail[0xEE0 - 0x840];
} KPRCB, *PKPRCB;
C_ASSERT(sizeof(KPRCB) == 0xEE0);
ASSERT_OFFSET(KPRCB, CurrentThread, 0x04);
ASSERT_OFFSET(KPRCB, IdleThread, 0x0C);
ASSERT_OFFSET(KPRCB, Number, 0x10);
ASSERT_OFFSET(KPRCB, ProcessorState, 0x1C);

typedef struct _KPCR {
	NT_TIB NtTib;
	struct _KPCR *SelfPcr;
	struct _KPRCB *Prcb;
	KIRQL Irql;
	UCHAR Fill025[3];
	ULONG IRR;
	ULONG IrrActive;
	ULONG IDR;
	PVOID KdVersionBlock; /* DBGKD_GET_VERSION64, set by KD */
	struct _KIDTENTRY *IDT;
	struct _KGDTENTRY *GDT;
	struct _KTSS *TSS;
	USHORT MajorVersion;
	USHORT MinorVersion;
	ULONG SetMember;
	ULONG StallScaleFactor;
	UCHAR DebugActive;
	UCHAR Number;
	UCHAR Spare0;
	UCHAR SecondLevelCacheAssociativity;
	ULONG VdmAlert;
	ULONG KernelReserved[14];
	ULONG SecondLevelCacheSize;
	ULONG HalReserved[16];
	ULONG InterruptMode;
	UCHAR Spare1;
	UCHAR Fill0D9[3];
	ULONG KernelReserved2[17];
	KPRCB PrcbData;
} KPCR, *PKPCR;
C_ASSERT(sizeof(KPCR) == 0x1000);
ASSERT_OFFSET(KPCR, SelfPcr, 0x1C);
ASSERT_OFFSET(KPCR, Prcb, 0x20);
ASSERT_OFFSET(KPCR, Irql, 0x24);
ASSERT_OFFSET(KPCR, KdVersionBlock, 0x34);
ASSERT_OFFSET(KPCR, IDT, 0x38);
ASSERT_OFFSET(KPCR, TSS, 0x40);
ASSERT_OFFSET(KPCR, MajorVersion, 0x44);
ASSERT_OFFSET(KPCR, Number, 0x51);
ASSERT_OFFSET(KPCR, PrcbData, 0x120);

/* For the accessors of ntke.h. */
#define KPCR_SELF         "%%fs:0x1C"
#define KPCR_CURRENT_PRCB "%%fs:0x20"
#define KPCR_BLOCK        PrcbData
#define KPROCESS_ROOT     DirectoryTableBase[0]

#define KiInitialPCR (*(PKPCR)0xFFDFF000) /* KSEG_BOOT_PCR, as on every early NT */

/** Up or down, without a word about what it was. */
static inline VOID KiSetIrql(KIRQL irql)
{
	KfLowerIrql(irql);
}

#endif
