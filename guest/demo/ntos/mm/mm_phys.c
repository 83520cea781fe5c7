/* SPDX-License-Identifier: MIT */
/* Physical pages: one bit a page, set = in use. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

ULONG64 MmNumberOfPhysicalPages, MmLowestPhysicalPage, MmHighestPhysicalPage;
ULONG64 MmAvailablePages;

static KSPIN_LOCK MiPageLock;
static PUCHAR MiPageBitmap;
static ULONG64 MiPageCount; /* bits in the map */
static ULONG64 MiSearchHint;

static BOOLEAN in_use(ULONG64 page)
{
	return (MiPageBitmap[page / 8] >> (page % 8) & 1) != 0;
}

static VOID mark(ULONG64 first, ULONG64 n, BOOLEAN used)
{
	for (ULONG64 page = first; page < first + n; page++) {
		UCHAR bit = (UCHAR)(1u << (page % 8));

		if (used)
			MiPageBitmap[page / 8] |= bit;
		else
			MiPageBitmap[page / 8] &= (UCHAR)~bit;
	}
}

INIT_FUNCTION static VOID count_memory(PLOADER_PARAMETER_EXTENSION ext)
{
	MmLowestPhysicalPage = ~0ull;
	for (ULONG i = 0; i < ext->memory_count; i++) {
		const struct loader_memory *m = &ext->memory[i];

		if (m->type == LOADER_RESERVED)
			continue;
		MmNumberOfPhysicalPages += m->size >> PAGE_SHIFT;
		if (m->base >> PAGE_SHIFT < MmLowestPhysicalPage)
			MmLowestPhysicalPage = m->base >> PAGE_SHIFT;
		if ((m->base + m->size - 1) >> PAGE_SHIFT > MmHighestPhysicalPage)
			MmHighestPhysicalPage = (m->base + m->size - 1) >> PAGE_SHIFT;
	}
}

INIT_FUNCTION VOID MiInitializePages(PLOADER_PARAMETER_EXTENSION Ext)
{
	ULONG64 bytes, taken = 0;

	count_memory(Ext);
	MiPageCount = Ext->ram_end >> PAGE_SHIFT;
	bytes = (MiPageCount + 7) / 8;
	for (ULONG i = 0; i < Ext->memory_count && taken == 0; i++) {
		if (Ext->memory[i].type == LOADER_FREE && Ext->memory[i].size > bytes)
			taken = Ext->memory[i].base;
	}
	MiPageBitmap = MmWindow(taken);
	__builtin_memset(MiPageBitmap, 0xFF, bytes);
	for (ULONG i = 0; i < Ext->memory_count; i++) {
		if (Ext->memory[i].type == LOADER_FREE) {
			mark(Ext->memory[i].base >> PAGE_SHIFT, Ext->memory[i].size >> PAGE_SHIFT,
			     FALSE);
			MmAvailablePages += Ext->memory[i].size >> PAGE_SHIFT;
		}
	}
	mark(taken >> PAGE_SHIFT, (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT, TRUE);
	MmAvailablePages -= (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

static ULONG64 find_run(ULONG64 from, ULONG64 pages, ULONG64 align)
{
	ULONG64 first = (from + align - 1) & ~(align - 1);

	while (first + pages <= MiPageCount) {
		ULONG64 n = 0;

		while (n < pages && !in_use(first + n))
			n++;
		if (n == pages)
			return first;
		first = (first + n + align) & ~(align - 1);
	}
	return 0;
}

ULONG64 MmAllocatePhysical(ULONG64 Pages, ULONG64 Align)
{
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);
	ULONG64 first;

	KxAcquireSpinLock(&MiPageLock);
	first = find_run(MiSearchHint, Pages, Align);
	if (first == 0)
		first = find_run(1, Pages, Align);
	if (first != 0) {
		mark(first, Pages, TRUE);
		MmAvailablePages -= Pages;
		if (Pages == 1)
			MiSearchHint = first + 1;
	}
	KxReleaseSpinLock(&MiPageLock);
	KeLowerIrql(irql);
	if (first != 0)
		__builtin_memset(MmWindow(first << PAGE_SHIFT), 0, Pages << PAGE_SHIFT);
	return first << PAGE_SHIFT;
}

VOID MmFreePhysical(ULONG64 Physical, ULONG64 Pages)
{
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);

	KxAcquireSpinLock(&MiPageLock);
	mark(Physical >> PAGE_SHIFT, Pages, FALSE);
	MmAvailablePages += Pages;
	if (Physical >> PAGE_SHIFT < MiSearchHint)
		MiSearchHint = Physical >> PAGE_SHIFT;
	KxReleaseSpinLock(&MiPageLock);
	KeLowerIrql(irql);
}

static BOOLEAN is_in(const struct loader_memory *m, ULONG64 physical)
{
	return m->type != LOADER_RESERVED && physical - m->base < m->size;
}

BOOLEAN MmIsRam(ULONG64 Physical)
{
	static ULONG last; /* where the address before was: most often this one is there too */
	const LOADER_PARAMETER_EXTENSION *ext = KeLoaderBlock->Extension;

	if (is_in(&ext->memory[last], Physical))
		return TRUE;
	for (ULONG i = 0; i < ext->memory_count; i++)
		if (is_in(&ext->memory[i], Physical)) {
			last = i;
			return TRUE;
		}
	return FALSE;
}
