/* SPDX-License-Identifier: MIT */
/* The local APIC in xAPIC mode, and silence from the old interrupt controllers. */
#include "guest/demo/hal/hal.h"

#define APIC_PHYSICAL 0xFEE00000ull

enum {
	ICR_PENDING = 1 << 12,
	ICR_FIXED = 0 << 8,
	ICR_ASSERT = 1 << 14,
	ICR_SELF = 1 << 18,
	SPURIOUS_ENABLE = 1 << 8,
	SPURIOUS_VECTOR = 0xDF,
	LVT_MASKED = 1 << 16,
};

static volatile ULONG *apic;
ULONG HalpApicIds[MAXIMUM_PROCESSORS];

ULONG HalpApicRead(ULONG Register)
{
	return apic[Register / 4];
}

VOID HalpApicWrite(ULONG Register, ULONG Value)
{
	apic[Register / 4] = Value;
}

VOID HalpApicMap(VOID)
{
	if (apic != NULL)
		return;
	apic = MmMapIoSpace(APIC_PHYSICAL, 0x1000, 0);
#ifdef __i386__
	HalpIrqlUseApic();
#endif
}

VOID HalpMaskLegacyInterrupts(VOID)
{
	/* Remap the 8259s away from the exceptions, then mask every line. */
	static const struct {
		USHORT Port;
		UCHAR Value;
	} program[] = { { 0x20, 0x11 }, { 0xA0, 0x11 }, { 0x21, 0x30 }, { 0xA1, 0x38 },
			{ 0x21, 0x04 }, { 0xA1, 0x02 }, { 0x21, 0x01 }, { 0xA1, 0x01 },
			{ 0x21, 0xFF }, { 0xA1, 0xFF } };

	for (ULONG i = 0; i < RTL_NUMBER_OF(program); i++)
		__outbyte(program[i].Port, program[i].Value);
}

VOID HalInitializeProcessor(ULONG Number)
{
	HalpApicMap();
	HalpApicIds[Number] = HalpApicRead(APIC_ID) >> 24;
	HalpApicWrite(APIC_LVT_TIMER, LVT_MASKED);
	HalpApicWrite(APIC_LVT_LINT0, LVT_MASKED);
	HalpApicWrite(APIC_LVT_LINT1, 0x400); /* NMI */
	HalpApicWrite(APIC_SPURIOUS, SPURIOUS_ENABLE | SPURIOUS_VECTOR);
}

VOID HalpApicSend(ULONG ApicId, ULONG Command)
{
	BOOLEAN enable = KeDisableInterrupts();

	while ((HalpApicRead(APIC_ICR_LOW) & ICR_PENDING) != 0)
		KiPause();
	HalpApicWrite(APIC_ICR_HIGH, ApicId << 24);
	HalpApicWrite(APIC_ICR_LOW, Command);
	KeRestoreInterrupts(enable);
}

VOID HalRequestIpi(ULONG Processor, UCHAR Vector)
{
	if (apic != NULL)
		HalpApicSend(HalpApicIds[Processor], ICR_FIXED | ICR_ASSERT | Vector);
}

VOID HalRequestSoftwareInterrupt(UCHAR Vector)
{
	if (apic != NULL)
		HalpApicSend(0, ICR_SELF | ICR_FIXED | ICR_ASSERT | Vector);
}

VOID HalEndOfInterrupt(VOID)
{
	HalpApicWrite(APIC_EOI, 0);
}
