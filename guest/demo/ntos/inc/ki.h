/* SPDX-License-Identifier: MIT */
/* Kernel core, internal: traps, scheduler, processors. Public structures are in ntke.h. */
#ifndef KD_DEMO_KI_H
#define KD_DEMO_KI_H

#include "guest/demo/inc/loader_block.h"
#include "guest/demo/ntos/inc/ntps.h"

/* clang-format off */
#define KI_VECTOR_DISPATCH 0x2F
#define KI_VECTOR_CLOCK    0xD1
#define KI_VECTOR_IPI      0xE1
#define KI_VECTOR_SPURIOUS 0xDF
#define KI_VECTOR_WAKE     0xF1 /* above everything: a halted, frozen CPU shall look around */
#define KI_CLOCK_HZ        100
#define KI_QUANTUM_TICKS   2
#define KI_PRIORITIES      32

/* KPRCB.IpiFrozen */
#define KI_FREEZE_RUNNING  0u /* not asked for */
#define KI_FREEZE_REQUEST  1u /* the IPI is on its way */
#define KI_FREEZE_FROZEN   2u /* halted, state saved */
#define KI_FREEZE_THAW     3u /* may go on */
#define KI_FREEZE_OWNER    4u /* the CPU that stopped the others */
#define KI_FREEZE_ACTIVE   0x20u /* with FROZEN: it talks to the debugger now */
#define KI_FREEZE_MASK     0x0Fu
/* clang-format on */

/* --- the processor layer: amd64/, x86/ --- */
/** A zeroed PCR of processor Number; not loaded yet. */
VOID KiInitializePcr(PKPCR Pcr, ULONG Number);
/** Load the tables of the processor Pcr belongs to and make Pcr what KeGetPcr gives.
 * InterruptStacks: tops of the stacks for double fault, machine check and NMI. */
VOID KiInitializeDescriptors(PKPCR Pcr, ULONG_PTR InterruptStacks[3]);
/** System call registers, CR0 and CR4 of the calling processor. */
VOID KiInitializeMachine(PKPCR Pcr);
BOOLEAN KiRecoverFault(PKTRAP_FRAME TrapFrame);
NTSTATUS KiProtectionFaultStatus(PKTRAP_FRAME TrapFrame);
ULONG_PTR KiSystemServiceStart(PKTRAP_FRAME TrapFrame);
VOID FASTCALL KiSwapContext(PKTHREAD Old, PKTHREAD New);
VOID KiStartSystemThread(VOID);
/* What only one of them does is empty on the other. */
#ifdef __i386__
/** The shared page's pointers to ntdll's way into the kernel and back; ntdll is mapped. */
VOID KiSetUserEntryPoints(VOID);
static inline VOID KiSaveMachineRegisters(PKSPECIAL_REGISTERS Registers)
{
}
static inline VOID KiRestoreMachineRegisters(const KSPECIAL_REGISTERS *Registers)
{
}
#else
static inline VOID KiSetUserEntryPoints(VOID)
{
}
/** CR8, MXCSR and MSRs, for KiSaveProcessorControlState; the MSRs back, for its counterpart. */
VOID KiSaveMachineRegisters(PKSPECIAL_REGISTERS Registers);
VOID KiRestoreMachineRegisters(const KSPECIAL_REGISTERS *Registers);
#endif
NORETURN VOID KiReturnToUser(PKTRAP_FRAME TrapFrame);
/** A frame that enters user mode at Start, called with two arguments on Stack (which is mapped in
 * the current address space). */
VOID KiInitializeUserFrame(PKTRAP_FRAME TrapFrame, ULONG64 Start, ULONG64 Stack, ULONG64 Argument1,
			   ULONG64 Argument2);
/** Is Frame where the stack pointer of Context can come back to? */
BOOLEAN KiIsTryFrameAbove(const KTRY_FRAME *Frame, const CONTEXT *Context, PVOID StackBase);
/** Make Context resume behind the ExTryCall of Frame, whose result is Code. */
VOID KiResumeAtTryFrame(const KTRY_FRAME *Frame, PCONTEXT Context, NTSTATUS Code);
/** For the debugger: what IRQL the interrupted code of this frozen CPU had. */
VOID KiNoteFrozenIrql(PKTRAP_FRAME TrapFrame);
/** The arguments (1 to 4) of a debug service, and its result. */
ULONG_PTR KiDebugServiceArgument(const CONTEXT *Context, ULONG Number);
VOID KiSetDebugServiceResult(PCONTEXT Context, ULONG Result);
SIZE_T KiCopySafe(PVOID To, const VOID *From, SIZE_T Count);
VOID RtlCaptureContext(PCONTEXT Context);
/** Frames of a thread that has not run yet: a switch frame that leads to KiStartSystemThread. */
VOID KiInitializeThreadStack(PKTHREAD Thread, PVOID StartRoutine, PVOID StartContext);
/** Ring 0 stack and TEB of the calling processor: those of the thread it runs next. */
VOID KiSetThreadMachine(PKTHREAD Thread);

/* --- ke/ --- */
extern KSPIN_LOCK KiDispatcherLock;
extern volatile ULONG64 KeInterruptTime; /* 100 ns since boot */
/** Whole, on x86 too, where the other processor may be writing its second half. */
static inline ULONG64 KiQueryInterruptTime(VOID)
{
	return __atomic_load_n(&KeInterruptTime, __ATOMIC_RELAXED);
}

VOID KiInitializeKernel(PLOADER_PARAMETER_BLOCK LoaderBlock);
VOID KiDispatchException(PEXCEPTION_RECORD Record, PKEXCEPTION_FRAME ExceptionFrame,
			 PKTRAP_FRAME TrapFrame, KPROCESSOR_MODE PreviousMode, BOOLEAN FirstChance);
VOID KiPushTryFrame(PKTRY_FRAME Frame);
VOID KiPopTryFrame(VOID);
VOID KiDispatchInterrupt(PKTRAP_FRAME TrapFrame);
VOID KeClockInterruptNotify(PKTRAP_FRAME TrapFrame);
VOID KiIpiServiceRoutine(PKTRAP_FRAME TrapFrame);
VOID KiUserModeExit(PKTRAP_FRAME TrapFrame);
VOID KiThreadStartup(PVOID SystemRoutine, PKSTART_ROUTINE StartRoutine, PVOID StartContext);
VOID KeClockInitialize(VOID);
BOOLEAN KeUpdateSystemTime(VOID);

KIRQL KiLockDispatcher(VOID);
VOID KiUnlockDispatcher(KIRQL OldIrql);
/** The dispatcher lock is held for all of these. */
VOID KiReadyThread(PKTHREAD Thread);
VOID KiSwapThread(VOID); /* the caller has set the current thread's state */
VOID KiUnwaitThread(PKTHREAD Thread, LONG64 WaitStatus);
#define KI_PERIOD_OF_WAIT (~0u) /* marks the timer inside a thread */
VOID KiExpireTimers(VOID);
BOOLEAN KiTimersDue(VOID);

VOID KeInitializeThread(PKTHREAD Thread, PKPROCESS Process, PVOID StartRoutine, PVOID StartContext,
			CHAR Priority);
NORETURN VOID KiIdleLoop(VOID);
VOID KiInitializeIdleThread(PKPRCB Prcb, PETHREAD Thread, PVOID StackTop, ULONG StackSize);
VOID KeStartAllProcessors(VOID);
VOID KiInitializeBootProcessor(VOID);
NORETURN VOID KiStartIdle(PVOID StackTop, VOID (*Routine)(VOID));
VOID KiApplicationProcessorMain(PKPCR Pcr);
/** Make every processor forget its translations. Not with interrupts off. */
VOID KeFlushEntireTb(VOID);
/** What a frozen CPU leaves for the debugger, and takes back. */
VOID KiSaveProcessorState(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);
VOID KiRestoreProcessorState(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);
VOID KiFreezeTargetExecution(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);
VOID KiIpiWithExceptionFrame(PKTRAP_FRAME TrapFrame);

/* --- ke/dpc.c, ke/device_interrupt.c --- */
#define KI_DEVICE_VECTOR  0x51 /* the first of them; their IRQL is the vector's class */
#define KI_DEVICE_VECTORS 4
#define KI_DEVICE_IRQL    5

/** Run what is queued on this processor; DISPATCH_LEVEL, no lock held. */
VOID KiRetireDpcList(VOID);
/** An interrupt on vector KI_DEVICE_VECTOR + Number; it is ended at the APIC here. */
VOID KiDeviceInterruptNotify(PKTRAP_FRAME TrapFrame, ULONG Number);

typedef VOID KI_DEVICE_ROUTINE(PVOID Context);
/**
 * Take a vector for message-signalled interrupts. Routine is called at KI_DEVICE_IRQL on whatever
 * processor the message names. Ours: NT has IoConnectInterruptEx.
 * @return STATUS_INSUFFICIENT_RESOURCES: all are taken.
 */
NTSTATUS KeConnectDeviceInterrupt(KI_DEVICE_ROUTINE *Routine, PVOID Context, PULONG Vector);

VOID KeInitializeDpc(PKDPC Dpc, KDEFERRED_ROUTINE *DeferredRoutine, PVOID DeferredContext);
BOOLEAN KeInsertQueueDpc(PKDPC Dpc, PVOID SystemArgument1, PVOID SystemArgument2);
BOOLEAN KeRemoveQueueDpc(PKDPC Dpc);
/** A timer of its own, not that of a thread's wait; it signals, queues its DPC, starts again. */
VOID KeInitializeTimer(PKTIMER Timer);
BOOLEAN KeSetTimer(PKTIMER Timer, LARGE_INTEGER DueTime, PKDPC Dpc);
BOOLEAN KeSetTimerEx(PKTIMER Timer, LARGE_INTEGER DueTime, LONG Period, PKDPC Dpc);
BOOLEAN KeCancelTimer(PKTIMER Timer);

/* --- services for the rest of the kernel and for drivers --- */
NTSTATUS ExTryCall(NTSTATUS (*Routine)(PVOID), PVOID Context);
VOID KiSignalObject(PDISPATCHER_HEADER Header); /* dispatcher lock held */
VOID KeQueryTickCount(PLARGE_INTEGER TickCount);
VOID ExShutdownSystem(VOID);

#endif
