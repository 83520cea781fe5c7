/* SPDX-License-Identifier: MIT */
/* Four-level page tables, always edited through the physical window. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

ULONG64 MmSystemPageTable;
PMMPTE MmPteBase = (PMMPTE)KSEG_SELF_MAP;

static PULONG64 table(ULONG64 entry)
{
	return MmWindow(entry & PTE_FRAME);
}

static ULONG index(ULONG64 va, ULONG level)
{
	return (ULONG)(va >> (12 + 9 * (level - 1)) & 511);
}

PULONG64 MmFindPte(ULONG64 Pml4, ULONG64 Va, PULONG64 PageSize)
{
	ULONG64 entry = Pml4 | PTE_VALID;
	PULONG64 at = NULL;

	for (ULONG level = 4; level >= 1; level--) {
		at = &table(entry)[index(Va, level)];
		entry = *at;
		*PageSize = 1ull << (12 + 9 * (level - 1));
		if ((entry & PTE_VALID) == 0 || !MmIsRam(entry & PTE_FRAME))
			return level == 1 && (entry & PTE_VALID) != 0 ? at : NULL;
		if (level == 1 || (entry & PTE_LARGE) != 0)
			return level <= 3 ? at : NULL;
	}
	return NULL;
}

static PULONG64 table_below(PULONG64 at, ULONG64 user)
{
	if ((*at & PTE_VALID) == 0) {
		ULONG64 page = MmAllocatePhysical(1, 1);

		if (page == 0)
			return NULL;
		*at = page | PTE_VALID | PTE_WRITE | user;
	}
	return (*at & PTE_LARGE) != 0 ? NULL : table(*at);
}

BOOLEAN MmMapPage(ULONG64 Pml4, ULONG64 Va, ULONG64 Pa, ULONG64 Flags)
{
	ULONG lowest = (Flags & PTE_LARGE) != 0 ? 2 : 1;
	PULONG64 t = MmWindow(Pml4);

	for (ULONG level = 4; level > lowest; level--) {
		t = table_below(&t[index(Va, level)], Flags & PTE_USER);
		if (t == NULL)
			return FALSE;
	}
	t[index(Va, lowest)] = Pa | Flags | PTE_VALID;
	return TRUE;
}

VOID MmUnmapPage(ULONG64 Pml4, ULONG64 Va)
{
	ULONG64 size;
	PULONG64 pte = MmFindPte(Pml4, Va, &size);

	if (pte != NULL) {
		*pte = 0;
		KiInvalidatePage((PVOID)(ULONG_PTR)Va);
	}
}

ULONG64 MmCreateAddressSpace(VOID)
{
	ULONG64 page = MmAllocatePhysical(1, 1);
	PULONG64 new = MmWindow(page);
	const ULONG64 *system = MmWindow(MmSystemPageTable);

	if (page == 0)
		return 0;
	for (ULONG i = 256; i < 512; i++)
		new[i] = system[i];
	new[index(KSEG_SELF_MAP, 4)] = page | PTE_VALID | PTE_WRITE | PTE_NX;
	return page;
}

static VOID delete_tables(ULONG64 entry, ULONG level)
{
	PULONG64 t = table(entry);
	ULONG n = level == 4 ? 256 : 512;

	for (ULONG i = 0; i < n; i++) {
		if ((t[i] & PTE_VALID) == 0)
			continue;
		if (level > 1)
			delete_tables(t[i], level - 1);
		else if ((t[i] & PTE_SHARED) == 0)
			MmFreePhysical(t[i] & PTE_FRAME, 1);
	}
	MmFreePhysical(entry & PTE_FRAME, 1);
}

VOID MmDeleteAddressSpace(ULONG64 Pml4)
{
	delete_tables(Pml4, 4);
}

LARGE_INTEGER MmGetPhysicalAddress(PVOID Va)
{
	LARGE_INTEGER pa = { .QuadPart = 0 };
	ULONG64 size;
	PULONG64 pte = MmFindPte(KiReadCr3() & PTE_FRAME, (ULONG64)(ULONG_PTR)Va, &size);

	if (pte != NULL)
		pa.QuadPart = (LONGLONG)((*pte & PTE_FRAME & ~(size - 1)) |
					 ((ULONG64)(ULONG_PTR)Va & (size - 1)));
	return pa;
}
