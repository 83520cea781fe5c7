/* SPDX-License-Identifier: MIT */
/*
 * Stopping the machine for the debugger.
 *
 *   RUNNING --REQUEST+IPI--> REQUEST --IPI taken, state saved--> FROZEN --thaw--> THAW --> RUNNING
 *                                                                  |  ^
 *                                              KeSwitchFrozenProcessor  KdSwitchProcessor returns
 *                                                                  v  |
 *                                                            FROZEN | ACTIVE
 *
 * The state is KPRCB.IpiFrozen; the owner of a stop writes REQUEST and THAW, the frozen CPU the
 * rest. A frozen CPU halts with interrupts on and at IPI_LEVEL, so that only KI_VECTOR_WAKE
 * wakes it. That interrupt runs no C code, and the other IPIs stay out: a breakpoint hit here would
 * wait for the stop to end, which waits for this CPU.
 */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"

static KSPIN_LOCK KiFreezeLock;
static volatile ULONG KiFreezeOwner = ~0u;
static ULONG KiFreezeDepth;
static volatile ULONG KiSwitchedBy[MAXIMUM_PROCESSORS]; /* who waits for an active processor */

static VOID set_state(PKPRCB prcb, ULONG state)
{
	__atomic_store_n(&prcb->IpiFrozen, state, __ATOMIC_SEQ_CST);
}

static ULONG get_state(PKPRCB prcb)
{
	return __atomic_load_n(&prcb->IpiFrozen, __ATOMIC_SEQ_CST);
}

/* Sleep until the next KI_VECTOR_WAKE; called and returns with interrupts off. The check of what is
 * waited for is made by the caller with interrupts off, so one that comes in between ends the hlt.
 */
static VOID halt_until_woken(VOID)
{
	KIRQL irql = KeGetCurrentIrql();

	KiSetIrql(IPI_LEVEL);
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	KiSetIrql(irql);
}

static VOID stay_frozen(PKTRAP_FRAME tf, PKEXCEPTION_FRAME ex, BOOLEAN halt)
{
	PKPRCB prcb = KeGetCurrentPrcb();

	KiSaveProcessorState(tf, ex);
	set_state(prcb, KI_FREEZE_FROZEN);
	while ((get_state(prcb) & KI_FREEZE_MASK) != KI_FREEZE_THAW) {
		if ((get_state(prcb) & KI_FREEZE_ACTIVE) != 0) {
			KdSwitchProcessor(&prcb->ProcessorState.ContextFrame);
			set_state(prcb, KI_FREEZE_FROZEN);
			HalRequestIpi(KiSwitchedBy[prcb->Number], KI_VECTOR_WAKE);
		} else if (halt) {
			halt_until_woken();
		} else {
			KiPause();
		}
	}
	KiRestoreProcessorState(tf, ex);
	set_state(prcb, KI_FREEZE_RUNNING);
}

static BOOLEAN is_asked_to_freeze(VOID)
{
	return (get_state(KeGetCurrentPrcb()) & KI_FREEZE_MASK) == KI_FREEZE_REQUEST;
}

/** The IPI of a stop arrived, and is acknowledged: stay here until the owner thaws us. */
VOID KiFreezeTargetExecution(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
	if (is_asked_to_freeze()) {
		KiNoteFrozenIrql(TrapFrame);
		stay_frozen(TrapFrame, ExceptionFrame, TRUE);
	}
}

static VOID wait_for_state(PKPRCB target, ULONG state)
{
	while ((get_state(target) & (KI_FREEZE_MASK | KI_FREEZE_ACTIVE)) != state)
		KiPause();
}

BOOLEAN KeFreezeExecution(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
	BOOLEAN enable = KeDisableInterrupts();
	PKPRCB prcb = KeGetCurrentPrcb();

	if (KiFreezeOwner == prcb->Number) { /* a fault inside the debugger's code */
		KiFreezeDepth++;
		return enable;
	}
	while (__atomic_exchange_n(&KiFreezeLock, 1, __ATOMIC_ACQUIRE) != 0) {
		/* Another CPU was first and may be waiting for us. Its IPI can't be counted on: a
		 * breakpoint may have stopped us in the very routine that answers it, so neither
		 * wait for it nor halt. */
		if (is_asked_to_freeze())
			stay_frozen(TrapFrame, ExceptionFrame, FALSE);
		KiPause();
	}
	KiFreezeOwner = prcb->Number;
	KiFreezeDepth = 1;
	set_state(prcb, KI_FREEZE_OWNER);
	KeGetPcr()->Irql = KeGetCurrentIrql(); /* x64: the live one is CR8 */
	KeContextFromKframes(TrapFrame, ExceptionFrame, &prcb->ProcessorState.ContextFrame);
	KiSaveProcessorControlState(&prcb->ProcessorState);
	for (ULONG i = 0; i < KeNumberProcessors; i++) {
		PKPRCB target = KiProcessorBlock[i];

		if (target == prcb)
			continue;
		set_state(target, KI_FREEZE_REQUEST);
		HalRequestIpi(i, KI_VECTOR_IPI);
		wait_for_state(target, KI_FREEZE_FROZEN);
	}
	return enable;
}

VOID KeThawExecution(BOOLEAN Enable)
{
	PKPRCB prcb = KeGetCurrentPrcb();

	if (--KiFreezeDepth != 0) {
		KeRestoreInterrupts(Enable);
		return;
	}
	for (ULONG i = 0; i < KeNumberProcessors; i++) {
		PKPRCB target = KiProcessorBlock[i];

		if (target == prcb)
			continue;
		set_state(target, KI_FREEZE_THAW);
		HalRequestIpi(i, KI_VECTOR_WAKE);
		wait_for_state(target, KI_FREEZE_RUNNING);
	}
	KiRestoreProcessorControlState(&prcb->ProcessorState);
	set_state(prcb, KI_FREEZE_RUNNING);
	KiFreezeOwner = ~0u;
	__atomic_store_n(&KiFreezeLock, 0, __ATOMIC_RELEASE);
	KeRestoreInterrupts(Enable);
}

BOOLEAN KeSwitchFrozenProcessor(ULONG Number)
{
	PKPRCB self = KeGetCurrentPrcb();
	PKPRCB target;

	if (Number >= KeNumberProcessors || Number == self->Number)
		return FALSE;
	target = KiProcessorBlock[Number];
	if (get_state(target) != KI_FREEZE_FROZEN)
		return FALSE;
	KiSwitchedBy[Number] = self->Number;
	set_state(target, KI_FREEZE_FROZEN | KI_FREEZE_ACTIVE);
	HalRequestIpi(Number, KI_VECTOR_WAKE);
	while (get_state(target) != KI_FREEZE_FROZEN)
		halt_until_woken();
	return TRUE;
}
