/* SPDX-License-Identifier: MIT */
/* Interrupts of devices: a few vectors, each for one driver. They come as messages (MSI-X). */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"

static struct {
	KI_DEVICE_ROUTINE *Routine;
	PVOID Context;
} KiDevices[KI_DEVICE_VECTORS];
static volatile ULONG KiDeviceCount;

NTSTATUS KeConnectDeviceInterrupt(KI_DEVICE_ROUTINE *Routine, PVOID Context, PULONG Vector)
{
	ULONG number = __atomic_fetch_add(&KiDeviceCount, 1, __ATOMIC_SEQ_CST);

	if (number >= KI_DEVICE_VECTORS)
		return STATUS_INSUFFICIENT_RESOURCES;
	KiDevices[number].Context = Context;
	__atomic_store_n(&KiDevices[number].Routine, Routine, __ATOMIC_RELEASE);
	*Vector = KI_DEVICE_VECTOR + number;
	return STATUS_SUCCESS;
}

VOID KiDeviceInterruptNotify(PKTRAP_FRAME TrapFrame, ULONG Number)
{
	KI_DEVICE_ROUTINE *routine = KiDevices[Number].Routine;

	KeGetCurrentPrcb()->InterruptCount++;
	if (routine != NULL)
		routine(KiDevices[Number].Context);
	HalEndOfInterrupt();
}
