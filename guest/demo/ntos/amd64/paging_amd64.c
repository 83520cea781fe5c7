/* SPDX-License-Identifier: MIT */
/* Four levels of 512 entries; every process copies the upper half of the top one. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

MM_PAGING MmPaging = {
	.Levels = 4,
	.EntrySize = 8,
	.Mask = ~0ull,
	.Level = { { 12, 512 }, { 21, 512 }, { 30, 512 }, { 39, 512 } },
};

enum { KERNEL_SLOT = 256, SLOTS = 512 };

static ULONG slot(ULONG64 va)
{
	return (ULONG)(va >> 39 & (SLOTS - 1));
}

INIT_FUNCTION VOID MiPrepareKernelSpace(VOID)
{
	static const ULONG64 regions[] = { KSEG_SYSTEM_PTES, KSEG_POOL, KSEG_LOCAL_APIC };
	PULONG64 pml4 = MmWindow(MmSystemPageTable);

	pml4[0] = 0; /* the loader's identity map */
	KiWriteCr3(MmSystemPageTable);
	/* Copied once by every process: all of the slots must exist. */
	for (ULONG i = 0; i < RTL_NUMBER_OF(regions); i++) {
		PULONG64 at = &pml4[slot(regions[i])];

		if ((*at & PTE_VALID) == 0)
			*at = MmAllocatePhysical(1, 1) | PTE_VALID | PTE_WRITE;
	}
}

BOOLEAN MiMapPool(ULONG64 Va, ULONG64 Pa)
{
	return MmMapPage(MmSystemPageTable, Va, Pa, PTE_KERNEL_DATA | PTE_LARGE);
}

ULONG64 MmCreateAddressSpace(VOID)
{
	ULONG64 page = MmAllocatePhysical(1, 1);
	PULONG64 new = MmWindow(page);
	const ULONG64 *system = MmWindow(MmSystemPageTable);

	if (page == 0)
		return 0;
	for (ULONG i = KERNEL_SLOT; i < SLOTS; i++)
		new[i] = system[i];
	new[slot(KSEG_SELF_MAP)] = page | PTE_VALID | PTE_WRITE | PTE_NX;
	return page;
}

VOID MmDeleteAddressSpace(ULONG64 Root)
{
	MiDeleteTables(Root, KERNEL_SLOT);
}

BOOLEAN MmIsAddress(ULONG64 Va)
{
	return (LONG64)(Va << 16) >> 16 == (LONG64)Va;
}
