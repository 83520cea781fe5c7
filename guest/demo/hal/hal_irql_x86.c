/* SPDX-License-Identifier: MIT */
/*
 * IRQL on a processor without CR8: KPCR.Irql is what it is, the local APIC's task priority makes it
 * so. NT's 32 levels on its 16 classes of vectors: the device levels share what is left over.
 */
#include "guest/demo/hal/hal.h"

enum { IRQLS = 32 };

static BOOLEAN has_apic;

static ULONG priority_of(KIRQL irql)
{
	enum { DEVICES = 12 };

	if (irql >= CLOCK_LEVEL)
		return irql == CLOCK_LEVEL ? 13 : irql == IPI_LEVEL ? 14 : 15;
	return irql < DEVICES ? irql : DEVICES;
}

static VOID set(KIRQL irql)
{
	BOOLEAN enable = KeDisableInterrupts(); /* no interrupt between the two */

	KeGetPcr()->Irql = irql;
	if (has_apic)
		HalpApicWrite(APIC_TPR, priority_of(irql % IRQLS) << 4);
	KeRestoreInterrupts(enable);
}

VOID HalpIrqlUseApic(VOID)
{
	has_apic = TRUE;
	set(KeGetCurrentIrql());
}

KIRQL FASTCALL KfRaiseIrql(KIRQL NewIrql)
{
	KIRQL old = KeGetPcr()->Irql;

	set(NewIrql);
	return old;
}

VOID FASTCALL KfLowerIrql(KIRQL NewIrql)
{
	set(NewIrql);
}

KIRQL FASTCALL KfAcquireSpinLock(PKSPIN_LOCK SpinLock)
{
	KIRQL old = KfRaiseIrql(DISPATCH_LEVEL);

	KxAcquireSpinLock(SpinLock);
	return old;
}

VOID FASTCALL KfReleaseSpinLock(PKSPIN_LOCK SpinLock, KIRQL NewIrql)
{
	KxReleaseSpinLock(SpinLock);
	KfLowerIrql(NewIrql);
}

KIRQL KeGetCurrentIrql(VOID)
{
	return KeGetPcr()->Irql;
}
