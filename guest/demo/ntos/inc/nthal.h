/* SPDX-License-Identifier: MIT */
/* What hal.dll provides (common/import/hal.def). Ports, timers, the APIC and the screen are there.
 */
#ifndef KD_DEMO_NTHAL_H
#define KD_DEMO_NTHAL_H

#include "guest/demo/inc/loader_block.h"
#include "guest/demo/ntos/inc/ntke.h"

/** Phase 0: debug console and screen, no memory manager needed. Phase 1: map the APIC, measure its
 * timer; interrupts off. */
BOOLEAN HalInitSystem(ULONG Phase, PLOADER_PARAMETER_BLOCK LoaderBlock);
/** On each processor, its GS base set: switch its APIC on. */
VOID HalInitializeProcessor(ULONG Number);
/** Start the next processor in real mode; it arrives at Entry with rcx = Argument, rsp = Stack and
 * cr3 = PageTable. FALSE: there is none, or it does not answer. */
BOOLEAN HalStartNextProcessor(ULONG Number, ULONG64 PageTable, PVOID Entry, PVOID Stack,
			      PVOID Argument);
/** The clock interrupt of the calling processor, KI_CLOCK_HZ times a second. */
VOID HalStartProfileClock(UCHAR Vector, ULONG Hz);
VOID HalRequestIpi(ULONG Processor, UCHAR Vector);
VOID HalRequestSoftwareInterrupt(UCHAR Vector);
VOID HalEndOfInterrupt(VOID);
VOID HalDisplayString(PCSTR Text);

/* Slot: device in bits 0-4, function in 5-7. Both return the bytes transferred, as NT's do. */
#define PCI_CONFIGURATION 4
ULONG HalGetBusDataByOffset(ULONG BusDataType, ULONG BusNumber, ULONG SlotNumber, PVOID Buffer,
			    ULONG Offset, ULONG Length);
ULONG HalSetBusDataByOffset(ULONG BusDataType, ULONG BusNumber, ULONG SlotNumber, PVOID Buffer,
			    ULONG Offset, ULONG Length);
/** What a device must write, and where, to interrupt a processor with Vector. Ours. */
VOID HalDescribeMessage(ULONG Vector, ULONG Processor, PULONG64 Address, PULONG Data);
#ifndef HalRebootRoutine
#define HalRebootRoutine 3
#endif
NORETURN VOID HalReturnToFirmware(ULONG Action);

/* NT's table of optional HAL services; transports use slots 18 and 19 to map device memory. */
enum {
	HAL_PRIVATE_VERSION = 0,
	HAL_KD_MAP_PHYSICAL = 18,
	HAL_KD_UNMAP = 19,
	HAL_PRIVATE_SLOTS = 24,
};
typedef ULONG_PTR
	HAL_PRIVATE_DISPATCH[HAL_PRIVATE_SLOTS]; /* ntoskrnl exports HalPrivateDispatchTable */

#endif
