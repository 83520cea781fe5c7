/* SPDX-License-Identifier: MIT */
/* The parts of hal.dll. What it needs of the kernel is listed here. */
#ifndef KD_DEMO_HAL_H
#define KD_DEMO_HAL_H

#define KD_GUEST_HAL
#include "guest/demo/ntos/inc/nthal.h"

DLLIMPORT PVOID MmMapIoSpace(ULONG64 Physical, SIZE_T Size, ULONG CacheType);
DLLIMPORT VOID MmUnmapIoSpace(PVOID Va, SIZE_T Size);

/* The kernel owns the table, the HAL fills it: as in NT. */
DLLIMPORT extern HAL_PRIVATE_DISPATCH HalPrivateDispatchTable;

extern PLOADER_PARAMETER_BLOCK HalpLoaderBlock;
extern PUCHAR *KdComPortInUse;

/* local APIC registers, byte offsets */
enum {
	APIC_ID = 0x020,
	APIC_TPR = 0x080,
	APIC_EOI = 0x0B0,
	APIC_SPURIOUS = 0x0F0,
	APIC_ICR_LOW = 0x300,
	APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3E0,
};

ULONG HalpApicRead(ULONG Register);
VOID HalpApicWrite(ULONG Register, ULONG Value);
VOID HalpApicMap(VOID);
VOID HalpApicSend(ULONG ApicId, ULONG Command);
extern ULONG HalpApicIds[MAXIMUM_PROCESSORS];

VOID HalpDisplayInitialize(VOID);
VOID HalpTimerMeasureTsc(VOID);
VOID HalpTimerMeasureApic(VOID);
VOID HalpMaskLegacyInterrupts(VOID);
/** Apic ids the firmware tables name, processor 0 first; 1 if there is no table. */
ULONG HalpFindProcessors(ULONG ApicIds[MAXIMUM_PROCESSORS]);

/** RAM and firmware tables, as the kernel maps them. */
static inline PUCHAR HalpWindow(ULONG64 Physical)
{
	return (PUCHAR)(ULONG_PTR)(KSEG_PHYSICAL + Physical);
}

/* --- hal_trampoline_*: the page of real-mode code another processor starts in --- */
#define HALP_TRAMPOLINE_PHYSICAL 0x1000 /* the usual place on real machines */
extern const UCHAR HalpTrampolineStart[], HalpTrampolineEnd[]; /* the code to be copied there */
/** Tell the code in the page where to go. FALSE: PageTable can't be used from real mode. */
BOOLEAN HalpFillTrampoline(PUCHAR Page, ULONG64 PageTable, PVOID Entry, PVOID Stack,
			   PVOID Argument);
/** Is a processor alive in it? Then it will leave the page by itself. */
BOOLEAN HalpIsTrampolineTaken(ULONG64 PageTable);

#ifdef __i386__
/** The APIC is mapped: from now on it hears of the IRQL. */
VOID HalpIrqlUseApic(VOID);
#endif

#endif
