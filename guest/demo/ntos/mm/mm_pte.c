/* SPDX-License-Identifier: MIT */
/* Page tables of any shape (MmPaging), always edited through the physical window. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

ULONG64 MmSystemPageTable;
PVOID MmPteBase = (PVOID)(ULONG_PTR)KSEG_SELF_MAP;

/* --- entries: `at` is where one lies in memory --- */

static ULONG64 get(const UCHAR *at)
{
	return MmPaging.EntrySize == 8 ? *(const volatile ULONG64 *)at
				       : *(const volatile ULONG *)at;
}

static VOID put(PUCHAR at, ULONG64 entry)
{
	entry &= MmPaging.Mask;
	if (MmPaging.EntrySize == 4) {
		*(volatile ULONG *)at = (ULONG)entry;
		return;
	}
	/* Never a valid entry with half of an address, for a 32-bit processor that looks. */
	if (sizeof(PVOID) == 4 && (entry & PTE_VALID) == 0)
		*(volatile ULONG *)at = 0;
	if (sizeof(PVOID) == 4) {
		*(volatile ULONG *)(at + 4) = (ULONG)(entry >> 32);
		*(volatile ULONG *)at = (ULONG)entry;
	} else {
		*(volatile ULONG64 *)at = entry;
	}
}

/* The entry for va in the table that `entry` of the level above points to. */
static PUCHAR locate(ULONG64 entry, ULONG64 va, ULONG level)
{
	ULONG index = (ULONG)(va >> MmPaging.Level[level].Shift) &
		      (MmPaging.Level[level].Entries - 1u);

	return (PUCHAR)MmWindow(entry & PTE_FRAME) + index * MmPaging.EntrySize;
}

/* Where the entry that maps va lies, NULL if none does. */
static PUCHAR find(ULONG64 root, ULONG64 va, PULONG64 page_size)
{
	ULONG64 entry = root;

	for (ULONG level = MmPaging.Levels; level-- > 0;) {
		PUCHAR at = locate(entry, va, level);

		entry = get(at);
		*page_size = 1ull << MmPaging.Level[level].Shift;
		if ((entry & PTE_VALID) == 0)
			return NULL;
		if (level == 0 || (entry & PTE_LARGE) != 0)
			return at;
		if (!MmIsRam(entry & PTE_FRAME))
			return NULL;
	}
	return NULL;
}

ULONG64 MmGetPte(ULONG64 Root, ULONG64 Va, PULONG64 PageSize)
{
	const UCHAR *at = find(Root, Va, PageSize);

	return at != NULL ? get(at) : 0;
}

VOID MmSetPte(ULONG64 Root, ULONG64 Va, ULONG64 Pte)
{
	ULONG64 size;
	PUCHAR at = find(Root, Va, &size);

	if (at != NULL) {
		put(at, Pte);
		KiInvalidatePage((PVOID)(ULONG_PTR)Va);
	}
}

/* --- mapping --- */

BOOLEAN MmMapPage(ULONG64 Root, ULONG64 Va, ULONG64 Pa, ULONG64 Flags)
{
	ULONG lowest = (Flags & PTE_LARGE) != 0 ? 1 : 0;
	ULONG64 entry = Root;

	for (ULONG level = MmPaging.Levels - 1; level > lowest; level--) {
		PUCHAR at = locate(entry, Va, level);

		if ((get(at) & PTE_VALID) == 0) {
			ULONG64 page = MmAllocatePhysical(1, 1);

			if (page == 0)
				return FALSE;
			put(at, page | PTE_VALID | PTE_WRITE | (Flags & PTE_USER));
		}
		entry = get(at);
		if (level == 1 && (entry & PTE_LARGE) != 0)
			return FALSE;
	}
	put(locate(entry, Va, lowest), Pa | Flags | PTE_VALID);
	return TRUE;
}

VOID MmUnmapPage(ULONG64 Root, ULONG64 Va)
{
	MmSetPte(Root, Va, 0);
}

static VOID delete_table(ULONG64 entry, ULONG level, ULONG entries)
{
	const UCHAR *table = MmWindow(entry & PTE_FRAME);

	for (ULONG i = 0; i < entries; i++) {
		ULONG64 below = get(table + i * MmPaging.EntrySize);

		if ((below & PTE_VALID) == 0)
			continue;
		if (level > 0)
			delete_table(below, level - 1, MmPaging.Level[level - 1].Entries);
		else if ((below & PTE_SHARED) == 0)
			MmFreePhysical(below & PTE_FRAME, 1);
	}
	MmFreePhysical(entry & PTE_FRAME, 1);
}

VOID MiDeleteTables(ULONG64 Root, ULONG Entries)
{
	delete_table(Root, MmPaging.Levels - 1, Entries);
}

LARGE_INTEGER MmGetPhysicalAddress(PVOID Va)
{
	LARGE_INTEGER pa = { .QuadPart = 0 };
	ULONG64 va = (ULONG_PTR)Va;
	ULONG64 size;
	ULONG64 pte = MmGetPte(KiReadCr3() & PTE_FRAME, va, &size);

	if (pte != 0)
		pa.QuadPart = (LONGLONG)((pte & PTE_FRAME & ~(size - 1)) | (va & (size - 1)));
	return pa;
}
