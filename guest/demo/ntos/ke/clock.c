/* SPDX-License-Identifier: MIT */
/* The clock interrupt: time, quantum, and the debugger's break-in poll. */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"
#include "guest/demo/ntos/inc/ntshared.h"
#include "guest/demo/ntos/inc/psp.h"

ULONG KeTimeIncrement = 10000000 / KI_CLOCK_HZ;
volatile ULONG64 KeInterruptTime;

static VOID set_system_time(volatile KSYSTEM_TIME *time, ULONG64 value)
{
	time->High2Time = (LONG)(value >> 32);
	time->LowPart = (ULONG)value;
	time->High1Time = (LONG)(value >> 32);
}

/** Advance the clocks in the shared data page by one tick. */
VOID KeUpdateSystemTime(VOID)
{
	volatile KUSER_SHARED_DATA *shared = KI_USER_SHARED_DATA;
	const ULONG64 now = KiQueryInterruptTime() + KeTimeIncrement;

	__atomic_store_n(&KeInterruptTime, now, __ATOMIC_RELAXED);
	set_system_time(&shared->InterruptTime, now);
	set_system_time(&shared->SystemTime, PsBootTime + now);
	set_system_time(&shared->TickCount, shared->TickCountQuad + 1);
}

VOID KeQueryTickCount(PLARGE_INTEGER TickCount)
{
	TickCount->QuadPart = (LONGLONG)KiProcessorBlock[0]->ClockTicks;
}

VOID KeClockInterruptNotify(PKTRAP_FRAME TrapFrame)
{
	PKPRCB prcb = KeGetCurrentPrcb();
	PKTHREAD thread = prcb->CurrentThread;
	BOOLEAN dispatch = FALSE;

	HalEndOfInterrupt();
	prcb->InterruptCount++;
	prcb->ClockTicks++;
	thread->CurrentRunTime++;
	if (thread == prcb->IdleThread) {
		prcb->IdleTicks++;
	} else if (thread->Quantum != 0 && --thread->Quantum == 0) {
		prcb->RescheduleRequest = 1;
		dispatch = TRUE;
	}
	if (prcb->ClockOwner) {
		KeUpdateSystemTime();
		if (KiTimersDue())
			dispatch = TRUE;
		KdCheckForDebugBreak();
	}
	if (dispatch)
		HalRequestSoftwareInterrupt(KI_VECTOR_DISPATCH);
}
