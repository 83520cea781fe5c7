/* SPDX-License-Identifier: MIT */
/*
 * Threads, processes and processors at the shapes of Windows 10 2004 x64 (build 19041). Fields
 * named in the facts stand at their real offsets (asserted); what lies between is reserved. Fields
 * of our own sit in reserved space and are marked "ours". Included by ntke.h.
 */
#ifndef KD_DEMO_NTKE_AMD64_H
#define KD_DEMO_NTKE_AMD64_H

typedef struct _KTHREAD {
	DISPATCHER_HEADER Header;
	PVOID SListFaultAddress;
	ULONG64 QuantumTarget;
	PVOID InitialStack;
	PVOID StackLimit;
	PVOID StackBase;
	ULONG64 ThreadLock;
	ULONG64 CycleTime;
	ULONG CurrentRunTime;
	ULONG ExpectedRunTime;
	PVOID KernelStack; /* of a thread that does not run: its KSWITCH_FRAME */
	PXSAVE_FORMAT StateSaveArea;
	PVOID SchedulingGroup;
	UCHAR WaitRegister;
	UCHAR Running;
	UCHAR Alerted[2];
	ULONG MiscFlags;
	ULONG ThreadFlags;
	UCHAR Tag;
	UCHAR SystemHeteroCpuPolicy;
	UCHAR HeteroPolicy;
	UCHAR Spare0;
	ULONG SystemCallNumber;
	ULONG ReadyTime;
	PVOID FirstArgument;
	PKTRAP_FRAME TrapFrame;
	union {
		KAPC_STATE ApcState;
		struct {
			UCHAR ApcStateFill[43];
			CHAR Priority;
			ULONG UserIdealProcessor;
		};
	};
	LONG64 WaitStatus;
	PKWAIT_BLOCK WaitBlockList;
	LIST_ENTRY WaitListEntry; /* ours: also the link in the ready queue */
	PVOID Queue;
	PVOID Teb;
	ULONG64 RelativeTimerBias;
	KTIMER Timer;
	union {
		KWAIT_BLOCK WaitBlock[4];
		struct {
			UCHAR WaitBlockFill4[20];
			ULONG ContextSwitches;
		};
		struct {
			UCHAR WaitBlockFill5[68];
			UCHAR State;
			CHAR Spare13;
			UCHAR WaitIrql;
			CHAR WaitMode;
		};
		struct {
			UCHAR WaitBlockFill6[116];
			ULONG WaitTime;
		};
	};
	PVOID Spare21;
	LIST_ENTRY QueueListEntry;
	ULONG NextProcessor;
	LONG QueuePriority;
	struct _KPROCESS *Process;
	union {
		GROUP_AFFINITY UserAffinity;
		struct {
			UCHAR UserAffinityFill[10];
			CHAR PreviousMode;
			CHAR BasePriority;
			CHAR PriorityDecrement;
			UCHAR Preempted;
			UCHAR AdjustReason;
			CHAR AdjustIncrement;
		};
	};
	ULONG64 AffinityVersion;
	UCHAR Reserved240[0x283 - 0x240];
	UCHAR WaitReason;
	UCHAR Reserved284[0x2F8 - 0x284];
	LIST_ENTRY ThreadListEntry;
	UCHAR Reserved308[0x3C0 - 0x308];
	struct _KTRY_FRAME *TryFrame; /* ours: innermost ExTryCall of this thread */
	PVOID StackAllocation;        /* ours: what MmDeleteKernelStack wants back */
	volatile LONG
		TerminationRequest; /* ours: the thread ends at the next return to user mode */
	ULONG Quantum;              /* ours: clock ticks left */
	UCHAR Reserved3D8[0x430 - 0x3D8];
} KTHREAD, *PKTHREAD;
C_ASSERT(sizeof(KTHREAD) == 0x430);
ASSERT_OFFSET(KTHREAD, InitialStack, 0x28);
ASSERT_OFFSET(KTHREAD, StackLimit, 0x30);
ASSERT_OFFSET(KTHREAD, StackBase, 0x38);
ASSERT_OFFSET(KTHREAD, KernelStack, 0x58);
ASSERT_OFFSET(KTHREAD, Running, 0x71);
ASSERT_OFFSET(KTHREAD, TrapFrame, 0x90);
ASSERT_OFFSET(KTHREAD, ApcState.Process, 0xB8);
ASSERT_OFFSET(KTHREAD, Priority, 0xC3);
ASSERT_OFFSET(KTHREAD, Teb, 0xF0);
ASSERT_OFFSET(KTHREAD, Timer, 0x100);
ASSERT_OFFSET(KTHREAD, WaitBlock, 0x140);
ASSERT_OFFSET(KTHREAD, ContextSwitches, 0x154);
ASSERT_OFFSET(KTHREAD, State, 0x184);
ASSERT_OFFSET(KTHREAD, WaitIrql, 0x186);
ASSERT_OFFSET(KTHREAD, QueueListEntry, 0x208);
ASSERT_OFFSET(KTHREAD, NextProcessor, 0x218);
ASSERT_OFFSET(KTHREAD, Process, 0x220);
ASSERT_OFFSET(KTHREAD, PreviousMode, 0x232);
ASSERT_OFFSET(KTHREAD, WaitReason, 0x283);
ASSERT_OFFSET(KTHREAD, ThreadListEntry, 0x2F8);

typedef struct _KPROCESS {
	DISPATCHER_HEADER Header;
	LIST_ENTRY ProfileListHead;
	ULONG64 DirectoryTableBase;
	LIST_ENTRY ThreadListHead;
	ULONG ProcessLock;
	ULONG ProcessTimerDelay;
	ULONG64 DeepFreezeStartTime;
	UCHAR Reserved050[0x388 - 0x50];
	ULONG64 UserDirectoryTableBase; /* no KVA shadow here: 0 */
	UCHAR Reserved390[0x438 - 0x390];
} KPROCESS, *PKPROCESS;
C_ASSERT(sizeof(KPROCESS) == 0x438);
ASSERT_OFFSET(KPROCESS, DirectoryTableBase, 0x28);
ASSERT_OFFSET(KPROCESS, ThreadListHead, 0x30);
ASSERT_OFFSET(KPROCESS, UserDirectoryTableBase, 0x388);

typedef struct __attribute__((aligned(64))) _KPRCB {
	ULONG MxCsr;
	UCHAR LegacyNumber;
	UCHAR ReservedMustBeZero;
	BOOLEAN InterruptRequest;
	BOOLEAN IdleHalt;
	PKTHREAD CurrentThread;
	PKTHREAD NextThread;
	PKTHREAD IdleThread;
	UCHAR NestingLevel;
	BOOLEAN ClockOwner;
	UCHAR PendingTickFlags;
	UCHAR IdleState;
	ULONG Number;
	ULONG64 RspBase; /* kernel stack for system calls: gs:[1A8h] */
	ULONG64 PrcbLock;
	PVOID PriorityState;
	CHAR CpuType;
	CHAR CpuID;
	USHORT CpuStep;
	ULONG MHz;
	ULONG64 HalReserved[8];
	USHORT MinorVersion;
	USHORT MajorVersion;
	UCHAR BuildType;
	UCHAR CpuVendor;
	UCHAR LegacyCoresPerPhysicalProcessor;
	UCHAR LegacyLogicalProcessorsPerCore;
	ULONG64 TscFrequency;
	UCHAR Reserved098[0x100 - 0x98];
	KPROCESSOR_STATE ProcessorState;
	UCHAR Reserved6C0[0x3000 - 0x6C0];
	/* ours, from here to the next mark */
	volatile ULONG IpiFrozen;         /* enum KI_FREEZE_STATE | KI_FREEZE_ACTIVE */
	volatile ULONG RescheduleRequest; /* the next dispatch interrupt picks a new thread */
	volatile ULONG64 InterruptCount;
	volatile ULONG64 ClockTicks;
	volatile ULONG64 IdleTicks;
	volatile ULONG64 ContextSwitches;
	volatile ULONG64 SystemCalls;
	volatile ULONG64 PageFaults;
	volatile ULONG Started;
	ULONG ApicId;
	ULONG64 FrozenDr7;
	/* end of ours */
	UCHAR Reserved3048[0x5938 - 0x3048];
	PVOID DpcStack;
	UCHAR Reserved5940[0x8598 - 0x5940];
	CHAR VendorString[13];
	UCHAR Reserved85A5[0x85C0 - 0x85A5];
	PCONTEXT Context; /* = &ProcessorState.ContextFrame */
	ULONG ContextFlagsInit;
	UCHAR Reserved85CC[0xAF00 - 0x85CC];
} KPRCB, *PKPRCB;
C_ASSERT(sizeof(KPRCB) == 0xAF00);
ASSERT_OFFSET(KPRCB, CurrentThread, 0x08);
ASSERT_OFFSET(KPRCB, NextThread, 0x10);
ASSERT_OFFSET(KPRCB, IdleThread, 0x18);
ASSERT_OFFSET(KPRCB, Number, 0x24);
ASSERT_OFFSET(KPRCB, RspBase, 0x28);
ASSERT_OFFSET(KPRCB, MHz, 0x44);
ASSERT_OFFSET(KPRCB, TscFrequency, 0x90);
ASSERT_OFFSET(KPRCB, ProcessorState, 0x100);
ASSERT_OFFSET(KPRCB, ProcessorState.ContextFrame, 0x1F0);
ASSERT_OFFSET(KPRCB, IpiFrozen, 0x3000);
ASSERT_OFFSET(KPRCB, Context, 0x85C0);

typedef struct __attribute__((aligned(64))) _KPCR {
	union _KGDTENTRY64 *GdtBase;
	struct _KTSS64 *TssBase;
	ULONG64 UserRsp; /* gs:[10h] */
	struct _KPCR *Self;
	struct _KPRCB *CurrentPrcb;
	PVOID LockArray;
	PVOID Used_Self;
	union _KIDTENTRY64 *IdtBase;
	ULONG64 Unused[2];
	KIRQL Irql; /* the live value is CR8; this one is set when a CPU is frozen */
	UCHAR SecondLevelCacheAssociativity;
	UCHAR ObsoleteNumber;
	UCHAR Fill0;
	ULONG Unused0[3];
	USHORT MajorVersion;
	USHORT MinorVersion;
	ULONG StallScaleFactor;
	PVOID Unused1[3];
	ULONG KernelReserved[15];
	ULONG SecondLevelCacheSize;
	ULONG HalReserved[16];
	ULONG Unused2;
	ULONG Fill104;
	PVOID KdVersionBlock; /* DBGKD_GET_VERSION64, set by KD */
	PVOID Unused3;
	ULONG PcrAlign1[24];
	ULONG64 Fill178;
	KPRCB Prcb;
} KPCR, *PKPCR;
C_ASSERT(sizeof(KPCR) == 0xB080);
ASSERT_OFFSET(KPCR, TssBase, 0x08);
ASSERT_OFFSET(KPCR, UserRsp, 0x10);
ASSERT_OFFSET(KPCR, Self, 0x18);
ASSERT_OFFSET(KPCR, CurrentPrcb, 0x20);
ASSERT_OFFSET(KPCR, IdtBase, 0x38);
ASSERT_OFFSET(KPCR, Irql, 0x50);
ASSERT_OFFSET(KPCR, MajorVersion, 0x60);
ASSERT_OFFSET(KPCR, KdVersionBlock, 0x108);
ASSERT_OFFSET(KPCR, Prcb, 0x180);

/* For the accessors of ntke.h. */
#define KPCR_SELF         "%%gs:0x18"
#define KPCR_CURRENT_PRCB "%%gs:0x20"
#define KPCR_BLOCK        Prcb
#define KPROCESS_ROOT     DirectoryTableBase

extern KPCR KiInitialPCR;

/** Up or down, without a word about what it was. */
static inline VOID KiSetIrql(KIRQL irql)
{
	KiWriteCr8(irql);
}

#endif
