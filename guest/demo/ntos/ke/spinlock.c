/* SPDX-License-Identifier: MIT */
/* Spin locks for drivers. On x86 those that change the IRQL are the HAL's. */
#include "guest/demo/ntos/inc/ki.h"

#ifdef __i386__
VOID FASTCALL KefAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock)
{
	KxAcquireSpinLock(SpinLock);
}

VOID FASTCALL KefReleaseSpinLockFromDpcLevel(PKSPIN_LOCK SpinLock)
{
	KxReleaseSpinLock(SpinLock);
}
#else
KIRQL KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK SpinLock)
{
	KIRQL old = KfRaiseIrql(DISPATCH_LEVEL);

	KxAcquireSpinLock(SpinLock);
	return old;
}

VOID KeReleaseSpinLock(PKSPIN_LOCK SpinLock, KIRQL NewIrql)
{
	KxReleaseSpinLock(SpinLock);
	KeLowerIrql(NewIrql);
}

VOID KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock)
{
	KxAcquireSpinLock(SpinLock);
}

VOID KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK SpinLock)
{
	KxReleaseSpinLock(SpinLock);
}
#endif
