/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: 32 ready queues, round robin within one, one lock. A processor that must choose
 * anew gets the dispatch interrupt (vector 2Fh), which comes in as soon as its IRQL is low enough.
 */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/inc/psp.h"

KSPIN_LOCK KiDispatcherLock;
static LIST_ENTRY KiReadyQueues[KI_PRIORITIES];
static ULONG KiReadySummary;
static ULONG KiNextIdealProcessor; /* threads are dealt out to the processors in turn */

KIRQL KiLockDispatcher(VOID)
{
	KIRQL old = KfRaiseIrql(DISPATCH_LEVEL);

	KxAcquireSpinLock(&KiDispatcherLock);
	return old;
}

VOID KiUnlockDispatcher(KIRQL OldIrql)
{
	KxReleaseSpinLock(&KiDispatcherLock);
	KeLowerIrql(OldIrql);
}

static VOID request_reschedule(PKPRCB prcb)
{
	if (__atomic_exchange_n(&prcb->RescheduleRequest, 1, __ATOMIC_SEQ_CST) != 0)
		return;
	if (prcb == KeGetCurrentPrcb())
		HalRequestSoftwareInterrupt(KI_VECTOR_DISPATCH);
	else
		HalRequestIpi(prcb->Number, KI_VECTOR_DISPATCH);
}

static BOOLEAN is_idle(ULONG number)
{
	return number < KeNumberProcessors &&
	       KiProcessorBlock[number]->CurrentThread == KiProcessorBlock[number]->IdleThread;
}

/* Who should look at a thread that became ready: its ideal processor or another one that idles,
 * else the one with the least important work; nobody if all do better. */
static PKPRCB choose_processor(PKTHREAD thread)
{
	PKPRCB best = NULL;
	LONG lowest = thread->Priority;

	if (is_idle(thread->UserIdealProcessor))
		return KiProcessorBlock[thread->UserIdealProcessor];
	for (ULONG i = 0; i < KeNumberProcessors; i++) {
		PKTHREAD current = KiProcessorBlock[i]->CurrentThread;

		if (is_idle(i))
			return KiProcessorBlock[i];
		if (current->Priority < lowest) {
			lowest = current->Priority;
			best = KiProcessorBlock[i];
		}
	}
	return best;
}

static VOID enqueue(PKTHREAD thread)
{
	PLIST_ENTRY queue = &KiReadyQueues[(ULONG)thread->Priority % KI_PRIORITIES];

	if (queue->Flink == NULL)
		InitializeListHead(queue);
	InsertTailList(queue, &thread->WaitListEntry);
	KiReadySummary |= 1u << thread->Priority;
}

VOID KiReadyThread(PKTHREAD Thread)
{
	PKPRCB prcb;

	Thread->State = Ready;
	Thread->ReadyTime = (ULONG)KiProcessorBlock[0]->ClockTicks;
	enqueue(Thread);
	prcb = choose_processor(Thread);
	if (prcb != NULL)
		request_reschedule(prcb);
}

/* Its ideal processor idles and has been told: leave the thread to it. */
static BOOLEAN is_spoken_for(PKTHREAD thread)
{
	ULONG ideal = thread->UserIdealProcessor;

	return ideal != KeGetCurrentProcessorNumber() && is_idle(ideal) &&
	       KiProcessorBlock[ideal]->RescheduleRequest != 0;
}

static PKTHREAD take_ready(VOID)
{
	for (ULONG summary = KiReadySummary; summary != 0;) {
		ULONG priority = 31 - (ULONG)__builtin_clz(summary);
		PLIST_ENTRY queue = &KiReadyQueues[priority];

		summary &= ~(1u << priority);
		for (PLIST_ENTRY at = queue->Flink; at != queue; at = at->Flink) {
			PKTHREAD thread = CONTAINING_RECORD(at, KTHREAD, WaitListEntry);

			if (is_spoken_for(thread))
				continue;
			RemoveEntryList(at);
			if (IsListEmpty(queue))
				KiReadySummary &= ~(1u << priority);
			return thread;
		}
	}
	return NULL;
}

static VOID save_floating(PKTHREAD thread)
{
	if (thread->StateSaveArea != NULL)
		__asm__ volatile("fxsave %0" : "=m"(*thread->StateSaveArea));
}

/* Done by the thread itself, after KiSwapContext: that saves and restores xmm6-15 (x64) like any
 * function, and must find the other thread's there. */
static VOID load_floating(PKTHREAD thread)
{
	if (thread->StateSaveArea != NULL)
		__asm__ volatile("fxrstor %0" : : "m"(*thread->StateSaveArea));
}

/**
 * Give the processor away. The caller holds the dispatcher lock and has put the current thread into
 * the state it leaves in (Waiting, Ready and queued, Terminated). Returns when it runs again, maybe
 * on another processor, with the lock still held.
 */
VOID KiSwapThread(VOID)
{
	PKPRCB prcb = KeGetCurrentPrcb();
	PKTHREAD old = prcb->CurrentThread;
	PKTHREAD new = take_ready();

	if (new == NULL)
		new = prcb->IdleThread;
	prcb->RescheduleRequest = 0;
	new->State = Running;
	new->NextProcessor = prcb->Number;
	new->Quantum = KI_QUANTUM_TICKS;
	if (new == old)
		return;
	old->Running = 0;
	new->Running = 1;
	new->ContextSwitches++;
	prcb->ContextSwitches++;
	prcb->CurrentThread = new;
	save_floating(old);
	if (old->Process != new->Process)
		KiWriteCr3((ULONG_PTR)KiRootOf(new->Process));
	KiSetThreadMachine(new);
	KiSwapContext(old, new);
	load_floating(old); /* it is the current thread again */
}

/* The current thread's time is over, or a better one is ready. */
static VOID preempt(PKPRCB prcb)
{
	PKTHREAD current = prcb->CurrentThread;

	prcb->RescheduleRequest = 0;
	if (KiReadySummary == 0)
		return;
	if (current == prcb->IdleThread) {
		current->State = Ready; /* idle threads are in no queue */
	} else {
		ULONG best = 31 - (ULONG)__builtin_clz(KiReadySummary);

		if (current->Quantum != 0 && best <= (ULONG)current->Priority)
			return;
		current->WaitReason = WrPreempted;
		current->State = Ready;
		enqueue(current);
	}
	KiSwapThread();
}

/** The dispatch interrupt, at DISPATCH_LEVEL. */
VOID KiDispatchInterrupt(PKTRAP_FRAME TrapFrame)
{
	KeGetCurrentPrcb()->InterruptCount++;
	HalEndOfInterrupt();
	KiEnableInterrupts();
	if (KiTimersDue()) {
		KxAcquireSpinLock(&KiDispatcherLock);
		KiExpireTimers();
		KxReleaseSpinLock(&KiDispatcherLock);
	}
	KiRetireDpcList();
	KxAcquireSpinLock(&KiDispatcherLock);
	if (KeGetCurrentPrcb()->RescheduleRequest != 0)
		preempt(KeGetCurrentPrcb());
	KxReleaseSpinLock(&KiDispatcherLock);
	KiDisableInterrupts();
}

/** First C code of a new thread: it comes out of KiSwapThread with the dispatcher lock held. */
VOID KiThreadStartup(PVOID SystemRoutine, PKSTART_ROUTINE StartRoutine, PVOID StartContext)
{
	load_floating(KeGetCurrentThread());
	KxReleaseSpinLock(&KiDispatcherLock);
	KeLowerIrql(PASSIVE_LEVEL);
	KiEnableInterrupts();
	PspThreadStartup(StartRoutine, StartContext);
}

VOID KeInitializeThread(PKTHREAD Thread, PKPROCESS Process, PVOID StartRoutine, PVOID StartContext,
			CHAR Priority)
{
	Thread->Header.Type = ThreadObject;
	Thread->Header.Size = 6; /* as NT; the real length does not fit */
	InitializeListHead(&Thread->Header.WaitListHead);
	InitializeListHead(&Thread->ApcState.ApcListHead[0]);
	InitializeListHead(&Thread->ApcState.ApcListHead[1]);
	Thread->Timer.Header.Type = TimerNotificationObject;
	Thread->Timer.Period = KI_PERIOD_OF_WAIT;
	InitializeListHead(&Thread->Timer.Header.WaitListHead);
	Thread->ApcState.Process = Process;
	Thread->Process = Process;
	Thread->UserIdealProcessor = KiNextIdealProcessor++ % KeNumberProcessors;
	Thread->Priority = Priority;
	Thread->BasePriority = Priority;
	Thread->State = Initialized;
	Thread->InitialStack = (PUCHAR)Thread->StackAllocation + KERNEL_STACK_SIZE;
	Thread->StackBase = Thread->InitialStack;
	Thread->StackLimit = Thread->StackAllocation;
	KiInitializeThreadStack(Thread, StartRoutine, StartContext);
}

LONG KeSetPriorityThread(PKTHREAD Thread, LONG Priority)
{
	KIRQL irql = KiLockDispatcher();
	LONG old = Thread->Priority;

	Thread->Priority = (CHAR)Priority;
	Thread->BasePriority = (CHAR)Priority;
	if (Thread->State == Ready) { /* in the queue of its old priority */
		RemoveEntryList(&Thread->WaitListEntry);
		if (IsListEmpty(&KiReadyQueues[old]))
			KiReadySummary &= ~(1u << old);
		KiReadyThread(Thread);
	} else if (Thread->State == Running && Priority < old) {
		request_reschedule(KiProcessorBlock[Thread->NextProcessor]);
	}
	KiUnlockDispatcher(irql);
	return old;
}

/** The idle thread of every processor: halted until an interrupt makes a thread ready. */
NORETURN VOID KiIdleLoop(VOID)
{
	for (;;)
		__asm__ volatile("sti; hlt" : : : "memory");
}

/** The thread a processor boots on. */
VOID KiInitializeIdleThread(PKPRCB Prcb, PETHREAD Thread, PVOID StackTop, ULONG StackSize)
{
	PKTHREAD tcb = &Thread->Tcb;

	tcb->Header.Type = ThreadObject;
	InitializeListHead(&tcb->Header.WaitListHead);
	InitializeListHead(&tcb->ApcState.ApcListHead[0]);
	InitializeListHead(&tcb->ApcState.ApcListHead[1]);
	InitializeListHead(&Thread->IrpList);
	tcb->InitialStack = StackTop;
	tcb->StackBase = StackTop;
	tcb->StackLimit = (PUCHAR)StackTop - StackSize;
	tcb->State = Running;
	tcb->Running = 1;
	tcb->NextProcessor = Prcb->Number;
	Thread->StartAddress = KiIdleLoop;
	Prcb->CurrentThread = tcb;
	Prcb->IdleThread = tcb;
}
