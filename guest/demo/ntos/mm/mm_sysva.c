/* SPDX-License-Identifier: MIT */
/* System address space by the page: stacks, drivers, device memory. One bit a page, as mm_phys.c.
 */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

enum { SYSTEM_PAGES = NT_CPU(8192, 32768) }; /* 32 or 128 MB */

static KSPIN_LOCK MiSystemVaLock;
static UCHAR MiSystemVaMap[SYSTEM_PAGES];
static ULONG MiSystemVaHint;

VOID MiInitializeSystemVa(VOID)
{
	MiSystemVaMap[0] = 1;
}

static BOOLEAN run_free(ULONG first, ULONG n)
{
	for (ULONG i = 0; i < n; i++) {
		if (MiSystemVaMap[first + i] != 0)
			return FALSE;
	}
	return TRUE;
}

ULONG64 MmReserveSystemVa(ULONG64 Pages)
{
	ULONG n = (ULONG)Pages + 1; /* one stays unmapped, below */
	ULONG64 va = 0;
	KIRQL irql;

	if (Pages >= SYSTEM_PAGES / 2)
		return 0;
	irql = KfRaiseIrql(DISPATCH_LEVEL);
	KxAcquireSpinLock(&MiSystemVaLock);
	for (ULONG tried = 0; tried < SYSTEM_PAGES && va == 0; tried++) {
		ULONG first = (MiSystemVaHint + tried) % SYSTEM_PAGES;

		if (first + n > SYSTEM_PAGES || !run_free(first, n))
			continue;
		__builtin_memset(&MiSystemVaMap[first], 1, n);
		MiSystemVaHint = first + n; /* reuse an address as late as possible */
		va = KSEG_SYSTEM_PTES + (ULONG64)(first + 1) * PAGE_SIZE;
	}
	KxReleaseSpinLock(&MiSystemVaLock);
	KeLowerIrql(irql);
	return va;
}

VOID MmReleaseSystemVa(ULONG64 Va, ULONG64 Pages)
{
	ULONG first = (ULONG)((Va - KSEG_SYSTEM_PTES) / PAGE_SIZE) - 1;
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);

	KxAcquireSpinLock(&MiSystemVaLock);
	__builtin_memset(&MiSystemVaMap[first], 0, Pages + 1);
	KxReleaseSpinLock(&MiSystemVaLock);
	KeLowerIrql(irql);
}

PVOID MmCreateKernelStack(VOID)
{
	const ULONG64 pages = KERNEL_STACK_SIZE / PAGE_SIZE;
	ULONG64 va = MmReserveSystemVa(pages);

	if (va == 0)
		return NULL;
	for (ULONG64 i = 0; i < pages; i++) {
		ULONG64 page = MmAllocatePhysical(1, 1);

		if (page == 0 ||
		    !MmMapPage(MmSystemPageTable, va + i * PAGE_SIZE, page, PTE_KERNEL_DATA))
			return NULL; /* out of memory at this point is not recovered from */
	}
	return (PVOID)(ULONG_PTR)va;
}

VOID MmDeleteKernelStack(PVOID Limit)
{
	const ULONG64 pages = KERNEL_STACK_SIZE / PAGE_SIZE;
	ULONG64 va = (ULONG64)(ULONG_PTR)Limit;
	ULONG64 frames[KERNEL_STACK_SIZE / PAGE_SIZE];

	for (ULONG64 i = 0; i < pages; i++) {
		frames[i] = (ULONG64)MmGetPhysicalAddress((PVOID)(ULONG_PTR)(va + i * PAGE_SIZE))
				    .QuadPart;
		MmUnmapPage(MmSystemPageTable, va + i * PAGE_SIZE);
	}
	KeFlushEntireTb(); /* before anybody else gets the frames */
	for (ULONG64 i = 0; i < pages; i++)
		MmFreePhysical(frames[i], 1);
	MmReleaseSystemVa(va, pages);
}

PVOID MmMapIoSpace(ULONG64 Physical, SIZE_T Size, ULONG CacheType)
{
	ULONG64 offset = Physical & (PAGE_SIZE - 1);
	ULONG64 pages = (offset + Size + PAGE_SIZE - 1) / PAGE_SIZE;
	ULONG64 va = Physical == 0xFEE00000 ? KSEG_LOCAL_APIC : MmReserveSystemVa(pages);

	if (va == 0)
		return NULL;
	for (ULONG64 i = 0; i < pages; i++) {
		if (!MmMapPage(MmSystemPageTable, va + i * PAGE_SIZE,
			       (Physical - offset) + i * PAGE_SIZE,
			       PTE_KERNEL_DATA | (CacheType == 0 ? PTE_NOCACHE : 0)))
			return NULL;
	}
	return (PVOID)(ULONG_PTR)(va + offset);
}

VOID MmUnmapIoSpace(PVOID Va, SIZE_T Size)
{
	ULONG64 start = (ULONG64)(ULONG_PTR)Va & ~(ULONG64)(PAGE_SIZE - 1);
	ULONG64 pages = (((ULONG64)(ULONG_PTR)Va - start) + Size + PAGE_SIZE - 1) / PAGE_SIZE;

	for (ULONG64 i = 0; i < pages; i++)
		MmUnmapPage(MmSystemPageTable, start + i * PAGE_SIZE);
	KeFlushEntireTb();
	MmReleaseSystemVa(start, pages);
}
