/* SPDX-License-Identifier: MIT */
/* The clock interrupt: time, quantum, and the debugger's break-in poll. */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"
#include "guest/demo/ntos/inc/ntshared.h"
#include "guest/demo/ntos/inc/psp.h"

/* The clock of processor 0 can be made faster by drivers; the others keep theirs. A tick, which is
 * what quanta and tick counts are in, stays KeMaximumIncrement long. */
static const ULONG KeMaximumIncrement = 10000000 / KI_CLOCK_HZ;
static const ULONG KeMinimumIncrement = 10000;  /* 1 ms */
ULONG KeTimeIncrement = 10000000 / KI_CLOCK_HZ; /* between two interrupts, now */
volatile ULONG64 KeInterruptTime;

static volatile ULONG KiWantedIncrement = 10000000 / KI_CLOCK_HZ;
static ULONG KiTimeInTick; /* of what has passed since the last whole tick, in 100 ns */
static ULONG KiResolutionRequests;
static KSPIN_LOCK KiResolutionLock;

static VOID set_system_time(volatile KSYSTEM_TIME *time, ULONG64 value)
{
	time->High2Time = (LONG)(value >> 32);
	time->LowPart = (ULONG)value;
	time->High1Time = (LONG)(value >> 32);
}

/** Advance the clocks in the shared data page by one interrupt; TRUE: that ended a tick. */
BOOLEAN KeUpdateSystemTime(VOID)
{
	volatile KUSER_SHARED_DATA *shared = KI_USER_SHARED_DATA;
	const ULONG64 now = KiQueryInterruptTime() + KeTimeIncrement;

	KiTimeInTick += KeTimeIncrement;
	__atomic_store_n(&KeInterruptTime, now, __ATOMIC_RELAXED);
	set_system_time(&shared->InterruptTime, now);
	set_system_time(&shared->SystemTime, PsBootTime + now);
	if (KiWantedIncrement != KeTimeIncrement) {
		KeTimeIncrement = KiWantedIncrement;
		HalStartProfileClock(KI_VECTOR_CLOCK, 10000000 / KeTimeIncrement);
	}
	if (KiTimeInTick < KeMaximumIncrement)
		return FALSE;
	KiTimeInTick -= KeMaximumIncrement;
	set_system_time(&shared->TickCount, shared->TickCountQuad + 1);
	return TRUE;
}

ULONG KeQueryTimeIncrement(VOID)
{
	return KeMaximumIncrement;
}

/** The rate is changed with the next interrupt of processor 0, which has the clock. The shortest
 * one asked for stays until everybody who asked has let go. */
ULONG ExSetTimerResolution(ULONG DesiredTime, BOOLEAN SetResolution)
{
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);
	ULONG now;

	KxAcquireSpinLock(&KiResolutionLock);
	if (SetResolution) {
		KiResolutionRequests++;
		if (DesiredTime < KeMinimumIncrement)
			DesiredTime = KeMinimumIncrement;
		if (DesiredTime < KiWantedIncrement)
			KiWantedIncrement = DesiredTime;
	} else if (KiResolutionRequests != 0 && --KiResolutionRequests == 0) {
		KiWantedIncrement = KeMaximumIncrement;
	}
	now = KiWantedIncrement;
	KxReleaseSpinLock(&KiResolutionLock);
	KeLowerIrql(irql);
	return now;
}

VOID KeQueryTickCount(PLARGE_INTEGER TickCount)
{
	TickCount->QuadPart = (LONGLONG)KiProcessorBlock[0]->ClockTicks;
}

/* TRUE: the current thread's time is over. */
static BOOLEAN end_tick(PKPRCB prcb)
{
	PKTHREAD thread = prcb->CurrentThread;

	prcb->ClockTicks++;
	thread->CurrentRunTime++;
	if (thread == prcb->IdleThread) {
		prcb->IdleTicks++;
		return FALSE;
	}
	if (thread->Quantum == 0 || --thread->Quantum != 0)
		return FALSE;
	prcb->RescheduleRequest = 1;
	return TRUE;
}

VOID KeClockInterruptNotify(PKTRAP_FRAME TrapFrame)
{
	PKPRCB prcb = KeGetCurrentPrcb();
	BOOLEAN dispatch = FALSE;
	BOOLEAN is_tick = TRUE;

	HalEndOfInterrupt();
	prcb->InterruptCount++;
	if (prcb->ClockOwner) {
		is_tick = KeUpdateSystemTime();
		if (KiTimersDue())
			dispatch = TRUE;
	}
	if (is_tick && end_tick(prcb))
		dispatch = TRUE;
	if (is_tick && prcb->ClockOwner)
		KdCheckForDebugBreak();
	if (dispatch)
		HalRequestSoftwareInterrupt(KI_VECTOR_DISPATCH);
}
