/* SPDX-License-Identifier: MIT */
/* Waiting: events, ends of threads and processes, time. One object at a time. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"
#include "guest/demo/ntos/inc/psp.h"

static LIST_ENTRY KiTimerListHead = { &KiTimerListHead, &KiTimerListHead }; /* by DueTime */

/* --- timers, dispatcher lock held --- */

static VOID insert_timer(PKTIMER timer, ULONG64 due)
{
	PLIST_ENTRY at = KiTimerListHead.Flink;

	timer->DueTime.QuadPart = (LONGLONG)due;
	timer->Header.Reserved1 = 1;
	while (at != &KiTimerListHead &&
	       (ULONG64)CONTAINING_RECORD(at, KTIMER, TimerListEntry)->DueTime.QuadPart <= due)
		at = at->Flink;
	InsertTailList(at, &timer->TimerListEntry);
}

static VOID remove_timer(PKTIMER timer)
{
	if (timer->TimerListEntry.Flink != NULL) {
		RemoveEntryList(&timer->TimerListEntry);
		timer->TimerListEntry.Flink = NULL;
	}
	timer->Header.Reserved1 = 0; /* NT: Inserted */
}

BOOLEAN KiTimersDue(VOID)
{
	PLIST_ENTRY first = KiTimerListHead.Flink;

	/* Without the lock: the clock interrupt only wants a hint, KiExpireTimers decides. */
	return first != &KiTimerListHead &&
	       (ULONG64)CONTAINING_RECORD(first, KTIMER, TimerListEntry)->DueTime.QuadPart <=
		       KiQueryInterruptTime();
}

/* One that a driver set. */
static VOID expire(PKTIMER timer)
{
	ULONG64 due = (ULONG64)timer->DueTime.QuadPart;

	remove_timer(timer);
	if (timer->Period != 0)
		insert_timer(timer, due + (ULONG64)timer->Period * 10000);
	KiSignalObject(&timer->Header);
	if (timer->Dpc != NULL)
		KeInsertQueueDpc(timer->Dpc, NULL, NULL);
}

VOID KiExpireTimers(VOID)
{
	while (KiTimersDue()) {
		PKTIMER timer = CONTAINING_RECORD(KiTimerListHead.Flink, KTIMER, TimerListEntry);

		if (timer->Period == KI_PERIOD_OF_WAIT)
			KiUnwaitThread(CONTAINING_RECORD(timer, KTHREAD, Timer), STATUS_TIMEOUT);
		else
			expire(timer);
	}
}

VOID KeInitializeTimer(PKTIMER Timer)
{
	__builtin_memset(Timer, 0, sizeof(*Timer));
	Timer->Header.Type = TimerNotificationObject;
	Timer->Header.Size = sizeof(*Timer) / 4;
	InitializeListHead(&Timer->Header.WaitListHead);
}

/* --- waits --- */

VOID KiUnwaitThread(PKTHREAD Thread, LONG64 WaitStatus)
{
	remove_timer(&Thread->Timer);
	if (Thread->WaitBlock[0].WaitListEntry.Flink != NULL) {
		RemoveEntryList(&Thread->WaitBlock[0].WaitListEntry);
		Thread->WaitBlock[0].WaitListEntry.Flink = NULL;
	}
	Thread->WaitStatus = WaitStatus;
	KiReadyThread(Thread);
}

static ULONG64 due_time(PLARGE_INTEGER timeout)
{
	if (timeout->QuadPart < 0)
		return KiQueryInterruptTime() + (ULONG64)-timeout->QuadPart;
	/* absolute, in system time */
	return (ULONG64)timeout->QuadPart > PsBootTime ? (ULONG64)timeout->QuadPart - PsBootTime
						       : 0;
}

static NTSTATUS wait(PDISPATCHER_HEADER object, KWAIT_REASON reason, KPROCESSOR_MODE mode,
		     PLARGE_INTEGER timeout, KIRQL irql)
{
	PKTHREAD thread = KeGetCurrentThread();
	PKWAIT_BLOCK block = &thread->WaitBlock[0];
	NTSTATUS status;

	thread->WaitIrql = irql;
	thread->WaitMode = mode;
	thread->WaitReason = (UCHAR)reason;
	thread->WaitTime = (ULONG)KiProcessorBlock[0]->ClockTicks;
	if (object != NULL) {
		block->Thread = thread;
		block->Object = object;
		InsertTailList(&object->WaitListHead, &block->WaitListEntry);
		thread->WaitBlockList = block;
	} else {
		block->WaitListEntry.Flink = NULL;
	}
	if (timeout != NULL)
		insert_timer(&thread->Timer, due_time(timeout));
	thread->State = Waiting;
	KiSwapThread();
	status = (NTSTATUS)thread->WaitStatus;
	KiUnlockDispatcher(irql);
	return status;
}

NTSTATUS KeDelayExecutionThread(KPROCESSOR_MODE WaitMode, BOOLEAN Alertable,
				PLARGE_INTEGER Interval)
{
	KIRQL irql = KiLockDispatcher();

	wait(NULL, DelayExecution, WaitMode, Interval, irql);
	return STATUS_SUCCESS;
}

NTSTATUS KeWaitForSingleObject(PVOID Object, KWAIT_REASON Reason, KPROCESSOR_MODE WaitMode,
			       BOOLEAN Alertable, PLARGE_INTEGER Timeout)
{
	PDISPATCHER_HEADER header = Object;
	KIRQL irql = KiLockDispatcher();

	/* Who is to end waits no more: what he is in returns, and he ends on his way out. */
	if (WaitMode == UserMode && KeGetCurrentThread()->TerminationRequest != 0) {
		KiUnlockDispatcher(irql);
		return STATUS_UNSUCCESSFUL;
	}
	if (header->SignalState > 0) {
		if (header->Type == EventSynchronizationObject)
			header->SignalState = 0;
		KiUnlockDispatcher(irql);
		return STATUS_WAIT_0;
	}
	if (Timeout != NULL && Timeout->QuadPart == 0) {
		KiUnlockDispatcher(irql);
		return STATUS_TIMEOUT;
	}
	return wait(header, Reason, WaitMode, Timeout, irql);
}

/** Signal an object and wake who waits: one waiter of a synchronization event, else all. */
VOID KiSignalObject(PDISPATCHER_HEADER Header)
{
	Header->SignalState = 1;
	while (!IsListEmpty(&Header->WaitListHead)) {
		PKWAIT_BLOCK block = CONTAINING_RECORD(Header->WaitListHead.Flink, KWAIT_BLOCK,
						       WaitListEntry);

		KiUnwaitThread(block->Thread, STATUS_WAIT_0);
		if (Header->Type == EventSynchronizationObject) {
			Header->SignalState = 0;
			return;
		}
	}
}

VOID KeInitializeEvent(PKEVENT Event, ULONG Type, BOOLEAN State)
{
	Event->Header.Type = (UCHAR)Type;
	Event->Header.Size = sizeof(*Event) / 4;
	Event->Header.SignalState = State;
	InitializeListHead(&Event->Header.WaitListHead);
}

LONG KeResetEvent(PKEVENT Event)
{
	return __atomic_exchange_n(&Event->Header.SignalState, 0, __ATOMIC_SEQ_CST);
}

VOID KeClearEvent(PKEVENT Event)
{
	KeResetEvent(Event);
}

LONG KeSetEvent(PKEVENT Event, LONG Increment, BOOLEAN Wait)
{
	KIRQL irql = KiLockDispatcher();
	LONG old = Event->Header.SignalState;

	KiSignalObject(&Event->Header);
	KiUnlockDispatcher(irql);
	return old;
}

/** @return whether it was running before. Period in ms, 0: once. */
BOOLEAN KeSetTimerEx(PKTIMER Timer, LARGE_INTEGER DueTime, LONG Period, PKDPC Dpc)
{
	KIRQL irql = KiLockDispatcher();
	BOOLEAN was_set = Timer->TimerListEntry.Flink != NULL;

	remove_timer(Timer);
	Timer->Header.SignalState = 0;
	Timer->Dpc = Dpc;
	Timer->Period = (ULONG)Period;
	insert_timer(Timer, due_time(&DueTime));
	KiUnlockDispatcher(irql);
	return was_set;
}

BOOLEAN KeSetTimer(PKTIMER Timer, LARGE_INTEGER DueTime, PKDPC Dpc)
{
	return KeSetTimerEx(Timer, DueTime, 0, Dpc);
}

BOOLEAN KeCancelTimer(PKTIMER Timer)
{
	KIRQL irql = KiLockDispatcher();
	BOOLEAN was_set = Timer->TimerListEntry.Flink != NULL;

	remove_timer(Timer);
	KiUnlockDispatcher(irql);
	return was_set;
}
