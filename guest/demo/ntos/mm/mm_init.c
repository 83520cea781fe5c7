/* SPDX-License-Identifier: MIT */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

ULONG_PTR MmHighestUserAddress = MM_HIGHEST_USER;
ULONG_PTR MmSystemRangeStart = MM_SYSTEM_RANGE_START;
ULONG_PTR MmUserProbeAddress = MM_USER_PROBE;

INIT_FUNCTION VOID MmInitSystem(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
	MmSystemPageTable = LoaderBlock->Extension->page_table;
	MiInitializePages(LoaderBlock->Extension);
	MiDescribeMemory(LoaderBlock->Extension);
	MiPrepareKernelSpace();
	MiInitializeSystemVa();
	MiInitializePool();
}

/* Error code bit of a page fault. */
enum { PF_PRESENT = 1 };

#define IRQL_NOT_LESS_OR_EQUAL        0x0Au
#define PAGE_FAULT_IN_NONPAGED_AREA   0x50u
#define DRIVER_IRQL_NOT_LESS_OR_EQUAL 0xD1u

static BOOLEAN in_kernel_image(ULONG_PTR pc)
{
	PKLDR_DATA_TABLE_ENTRY kernel = CONTAINING_RECORD(PsLoadedModuleList.Flink,
							  KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);

	return pc - (ULONG_PTR)kernel->DllBase < kernel->SizeOfImage;
}

/**
 * Nothing is paged here, so each fault is an error: an exception (1) where NT raises one, or the
 * bugcheck NT would make of it (KiPageFault turns the code into one).
 */
ULONG MmAccessFault(PKTRAP_FRAME TrapFrame, ULONG_PTR FaultAddress)
{
	KeGetCurrentPrcb()->PageFaults++;
	if (TRAP_IS_USER(TrapFrame))
		return 1;
	if (KeGetCurrentIrql() >= DISPATCH_LEVEL)
		return in_kernel_image(TRAP_PC(TrapFrame)) ? IRQL_NOT_LESS_OR_EQUAL
							   : DRIVER_IRQL_NOT_LESS_OR_EQUAL;
	if (FaultAddress >= MmSystemRangeStart && (TRAP_ERROR(TrapFrame) & PF_PRESENT) == 0 &&
	    KeGetCurrentThread()->TryFrame == NULL)
		return PAGE_FAULT_IN_NONPAGED_AREA;
	return 1;
}

/* Nothing here takes pages away from a process that lives: what is there now stays. */
BOOLEAN MmProbeUser(ULONG64 Va, SIZE_T Size, BOOLEAN Write)
{
	ULONG64 root = KiRootOf(&PsGetCurrentProcess()->Pcb), page_size;
	ULONG64 end = Va + Size;

	if (Va > MM_HIGHEST_USER || Size > MM_HIGHEST_USER - Va)
		return FALSE;
	for (ULONG64 at = Va & ~(ULONG64)(PAGE_SIZE - 1); at < end; at += PAGE_SIZE) {
		ULONG64 pte = MmGetPte(root, at, &page_size);

		if ((pte & PTE_USER) == 0 || (Write && (pte & PTE_WRITE) == 0))
			return FALSE;
	}
	return TRUE;
}

NTSTATUS MmCopyFromUser(PVOID To, ULONG64 From, SIZE_T Size)
{
	if (From > MM_HIGHEST_USER || Size > MM_HIGHEST_USER - From)
		return STATUS_ACCESS_VIOLATION;
	return KiCopySafe(To, (const VOID *)(ULONG_PTR)From, Size) == 0 ? STATUS_SUCCESS
									: STATUS_ACCESS_VIOLATION;
}
