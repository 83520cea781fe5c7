/* SPDX-License-Identifier: MIT */
#include "guest/demo/hal/hal.h"

PLOADER_PARAMETER_BLOCK HalpLoaderBlock;

/* Slot 18 and 19 of NT's private table: device memory for debugger transports. */
static PVOID HalpKdMapPhysicalMemory64(ULONG64 Physical, ULONG Pages, BOOLEAN FlushTlb)
{
	return MmMapIoSpace(Physical, (SIZE_T)Pages * 0x1000, 1);
}

static VOID HalpKdUnmapVirtualAddress(PVOID Va, ULONG Pages, BOOLEAN FlushTlb)
{
	MmUnmapIoSpace(Va, (SIZE_T)Pages * 0x1000);
}

/* Where the debugger's port is, for whoever else would drive it: set by the transport. */
static PUCHAR HalpComPort;
PUCHAR *KdComPortInUse = &HalpComPort;

BOOLEAN HalInitSystem(ULONG Phase, PLOADER_PARAMETER_BLOCK LoaderBlock)
{
	HalpLoaderBlock = LoaderBlock;
	if (Phase == 0) {
		HalpMaskLegacyInterrupts();
		HalpDisplayInitialize();
		HalpTimerMeasureTsc();
		return TRUE;
	}
	HalpApicMap();
	HalpTimerMeasureApic();
	HalPrivateDispatchTable[HAL_KD_MAP_PHYSICAL] = (ULONG_PTR)HalpKdMapPhysicalMemory64;
	HalPrivateDispatchTable[HAL_KD_UNMAP] = (ULONG_PTR)HalpKdUnmapVirtualAddress;
	return TRUE;
}

/** Reset through the chipset, then the keyboard controller, then a triple fault. */
NORETURN VOID HalReturnToFirmware(ULONG Action)
{
	static const struct __attribute__((packed)) {
		USHORT Limit;
		ULONG64 Base;
	} no_idt;

	KiDisableInterrupts();
	__outbyte(0xCF9, 0x02);
	__outbyte(0xCF9, 0x06);
	for (ULONG i = 0; i < 100000; i++)
		KiPause();
	__outbyte(0x64, 0xFE);
	for (ULONG i = 0; i < 100000; i++)
		KiPause();
	for (;;)
		__asm__ volatile("lidt %0; int3" : : "m"(no_idt));
}
