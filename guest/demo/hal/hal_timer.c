/* SPDX-License-Identifier: MIT */
/* Time: the PIT measures the APIC timer and the TSC once; after that they are used alone. */
#include "guest/demo/hal/hal.h"

enum {
	PIT_HZ = 1193182,
	CALIBRATION_HZ = 100, /* 10 ms */
	PIT_GATE_PORT = 0x61,
	PIT_OUT = 0x20,
	LVT_PERIODIC = 1 << 17,
	DIVIDE_BY_16 = 3,
};

static ULONG apic_ticks_per_second; /* after the divider */
static ULONG64 tsc_per_second = 1000000000;

/* Channel 2, mode 0, speaker off: OUT goes high when the count is through. */
static VOID pit_start(ULONG hz)
{
	ULONG count = PIT_HZ / hz;

	__outbyte(PIT_GATE_PORT, (UCHAR)((__inbyte(PIT_GATE_PORT) & ~2u) | 1u));
	__outbyte(0x43, 0xB0);
	__outbyte(0x42, (UCHAR)count);
	__outbyte(0x42, (UCHAR)(count >> 8));
}

static VOID pit_wait(VOID)
{
	while ((__inbyte(PIT_GATE_PORT) & PIT_OUT) == 0)
		KiPause();
}

/** Phase 0: from here on KeStallExecutionProcessor is right, also for the debugger's transport. */
VOID HalpTimerMeasureTsc(VOID)
{
	ULONG64 tsc;

	pit_start(CALIBRATION_HZ);
	tsc = KiReadTsc();
	pit_wait();
	tsc_per_second = (KiReadTsc() - tsc) * CALIBRATION_HZ;
	KeGetCurrentPrcb()->TscFrequency = tsc_per_second;
	KeGetCurrentPrcb()->MHz = (ULONG)(tsc_per_second / 1000000);
}

/** Phase 1: the APIC is mapped. */
VOID HalpTimerMeasureApic(VOID)
{
	HalpApicWrite(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
	pit_start(CALIBRATION_HZ);
	HalpApicWrite(APIC_TIMER_INITIAL, 0xFFFFFFFF);
	pit_wait();
	apic_ticks_per_second = (0xFFFFFFFF - HalpApicRead(APIC_TIMER_CURRENT)) * CALIBRATION_HZ;
	HalpApicWrite(APIC_TIMER_INITIAL, 0);
}

VOID HalStartProfileClock(UCHAR Vector, ULONG Hz)
{
	HalpApicWrite(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
	HalpApicWrite(APIC_LVT_TIMER, LVT_PERIODIC | Vector);
	HalpApicWrite(APIC_TIMER_INITIAL, apic_ticks_per_second / Hz);
}

VOID KeStallExecutionProcessor(ULONG Microseconds)
{
	ULONG64 end = KiReadTsc() + tsc_per_second / 1000000 * Microseconds;

	while (KiReadTsc() < end)
		KiPause();
}

LARGE_INTEGER KeQueryPerformanceCounter(PLARGE_INTEGER Frequency)
{
	LARGE_INTEGER now = { .QuadPart = (LONGLONG)KiReadTsc() };

	if (Frequency != NULL)
		Frequency->QuadPart = (LONGLONG)tsc_per_second;
	return now;
}
