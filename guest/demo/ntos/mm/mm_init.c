/* SPDX-License-Identifier: MIT */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

ULONG_PTR MmHighestUserAddress = MM_HIGHEST_USER;
ULONG_PTR MmSystemRangeStart = 0xFFFF800000000000;
ULONG_PTR MmUserProbeAddress = 0x00007FFFFFFF0000;

/* Every process copies the kernel half of the top level once: all of its slots must exist. */
INIT_FUNCTION static VOID make_kernel_slots(VOID)
{
	static const ULONG64 slots[] = { KSEG_SYSTEM_PTES, KSEG_POOL, KSEG_LOCAL_APIC };
	PULONG64 pml4 = MmWindow(MmSystemPageTable);

	for (ULONG i = 0; i < RTL_NUMBER_OF(slots); i++) {
		PULONG64 at = &pml4[slots[i] >> 39 & 511];

		if ((*at & PTE_VALID) == 0)
			*at = MmAllocatePhysical(1, 1) | PTE_VALID | PTE_WRITE;
	}
}

INIT_FUNCTION VOID MmInitSystem(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
	PULONG64 pml4;

	MmSystemPageTable = LoaderBlock->Extension->page_table;
	MiInitializePages(LoaderBlock->Extension);
	MiDescribeMemory(LoaderBlock->Extension);
	pml4 = MmWindow(MmSystemPageTable);
	pml4[0] = 0; /* the loader's identity map */
	KiWriteCr3(MmSystemPageTable);
	make_kernel_slots();
	MiInitializeSystemVa();
	MiInitializePool();
}

/* Error code bit of a page fault. */
enum { PF_PRESENT = 1 };

#define IRQL_NOT_LESS_OR_EQUAL        0x0Au
#define PAGE_FAULT_IN_NONPAGED_AREA   0x50u
#define DRIVER_IRQL_NOT_LESS_OR_EQUAL 0xD1u

static BOOLEAN in_kernel_image(ULONG64 rip)
{
	PKLDR_DATA_TABLE_ENTRY kernel = CONTAINING_RECORD(PsLoadedModuleList.Flink,
							  KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);

	return rip - (ULONG64)(ULONG_PTR)kernel->DllBase < kernel->SizeOfImage;
}

/**
 * Nothing is paged here, so each fault is an error: an exception (1) where NT raises one, or the
 * bugcheck NT would make of it (KiPageFault turns the code into one).
 */
ULONG MmAccessFault(PKTRAP_FRAME TrapFrame)
{
	KeGetCurrentPrcb()->PageFaults++;
	if ((TrapFrame->SegCs & RPL_MASK) != 0)
		return 1;
	if (KeGetCurrentIrql() >= DISPATCH_LEVEL)
		return in_kernel_image(TrapFrame->Rip) ? IRQL_NOT_LESS_OR_EQUAL
						       : DRIVER_IRQL_NOT_LESS_OR_EQUAL;
	if (TrapFrame->FaultAddress >= MmSystemRangeStart &&
	    (TrapFrame->ErrorCode & PF_PRESENT) == 0 && KeGetCurrentThread()->TryFrame == NULL)
		return PAGE_FAULT_IN_NONPAGED_AREA;
	return 1;
}

NTSTATUS MmCopyFromUser(PVOID To, ULONG64 From, SIZE_T Size)
{
	if (From > MM_HIGHEST_USER || Size > MM_HIGHEST_USER - From)
		return STATUS_ACCESS_VIOLATION;
	return KiCopySafe(To, (const VOID *)(ULONG_PTR)From, Size) == 0 ? STATUS_SUCCESS
									: STATUS_ACCESS_VIOLATION;
}
