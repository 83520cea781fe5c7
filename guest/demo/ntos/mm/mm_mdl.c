/* SPDX-License-Identifier: MIT */
/* Memory descriptor lists over nonpaged memory, and contiguous memory. */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

#define TAG_MDL        POOL_TAG('M', 'd', 'l', ' ')
#define TAG_CONTIGUOUS POOL_TAG('M', 'm', 'C', 'm')

static ULONG pages_of(PVOID va, SIZE_T length)
{
	return (ULONG)((((ULONG_PTR)va & (PAGE_SIZE - 1)) + length + PAGE_SIZE - 1) >> PAGE_SHIFT);
}

static PFN_NUMBER *frames_of(PMDL mdl)
{
	return (PFN_NUMBER *)(mdl + 1);
}

PMDL IoAllocateMdl(PVOID VirtualAddress, ULONG Length, BOOLEAN SecondaryBuffer, BOOLEAN ChargeQuota,
		   struct _IRP *Irp)
{
	SIZE_T size = sizeof(MDL) + pages_of(VirtualAddress, Length) * sizeof(PFN_NUMBER);
	PMDL mdl;

	if (size > 0x7FFF) /* what Size holds */
		return NULL;
	mdl = ExAllocatePoolWithTag(NonPagedPool, size, TAG_MDL);
	if (mdl == NULL)
		return NULL;
	mdl->Size = (SHORT)size;
	mdl->StartVa = (PVOID)((ULONG_PTR)VirtualAddress & ~(ULONG_PTR)(PAGE_SIZE - 1));
	mdl->ByteOffset = (ULONG)((ULONG_PTR)VirtualAddress & (PAGE_SIZE - 1));
	mdl->ByteCount = Length;
	return mdl;
}

VOID IoFreeMdl(PMDL Mdl)
{
	ExFreePoolWithTag(Mdl, TAG_MDL);
}

/* Of nonpaged memory. In the window there is nothing to look up. */
static ULONG64 physical_of(PVOID page)
{
	ULONG64 offset = (ULONG64)(ULONG_PTR)page - KSEG_PHYSICAL;

	return offset < KSEG_PHYSICAL_MAX ? offset : (ULONG64)MmGetPhysicalAddress(page).QuadPart;
}

VOID MmBuildMdlForNonPagedPool(PMDL Mdl)
{
	PUCHAR va = (PUCHAR)Mdl->StartVa + Mdl->ByteOffset;
	ULONG pages = pages_of(va, Mdl->ByteCount);

	for (ULONG i = 0; i < pages; i++) {
		PUCHAR page = (PUCHAR)Mdl->StartVa + (SIZE_T)i * PAGE_SIZE;

		frames_of(Mdl)[i] = (PFN_NUMBER)(physical_of(page) >> PAGE_SHIFT);
	}
	Mdl->MappedSystemVa = va;
	Mdl->MdlFlags |= MDL_SOURCE_IS_NONPAGED_POOL;
}

/** There are no MDLs here but those over nonpaged memory, which have their address already. */
PVOID MmMapLockedPagesSpecifyCache(PMDL Mdl, KPROCESSOR_MODE AccessMode,
				   MEMORY_CACHING_TYPE CacheType, PVOID RequestedAddress,
				   ULONG BugCheckOnFailure, ULONG Priority)
{
	if ((Mdl->MdlFlags & MDL_SOURCE_IS_NONPAGED_POOL) == 0)
		return NULL;
	return Mdl->MappedSystemVa;
}

/* --- contiguous memory: in the physical window; its length is remembered here --- */

struct contiguous {
	LIST_ENTRY link;
	PVOID base;
	ULONG64 pages;
};

static LIST_ENTRY MiContiguousList = { &MiContiguousList, &MiContiguousList };
static KSPIN_LOCK MiContiguousLock;

PVOID MmAllocateContiguousMemory(SIZE_T NumberOfBytes, LARGE_INTEGER HighestAcceptableAddress)
{
	struct contiguous *record = ExAllocatePoolWithTag(NonPagedPool, sizeof(*record),
							  TAG_CONTIGUOUS);
	ULONG64 physical;
	KIRQL irql;

	if (record == NULL)
		return NULL;
	record->pages = ((ULONG64)NumberOfBytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
	physical = record->pages != 0 ? MmAllocatePhysical(record->pages, 1) : 0;
	if (physical != 0 && physical + (record->pages << PAGE_SHIFT) - 1 >
				     (ULONG64)HighestAcceptableAddress.QuadPart) {
		MmFreePhysical(physical, record->pages);
		physical = 0;
	}
	if (physical == 0) {
		ExFreePoolWithTag(record, TAG_CONTIGUOUS);
		return NULL;
	}
	record->base = MmWindow(physical);
	irql = KfRaiseIrql(DISPATCH_LEVEL);
	KxAcquireSpinLock(&MiContiguousLock);
	InsertTailList(&MiContiguousList, &record->link);
	KxReleaseSpinLock(&MiContiguousLock);
	KeLowerIrql(irql);
	return record->base;
}

static struct contiguous *take_record(PVOID base)
{
	struct contiguous *found = NULL;
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);

	KxAcquireSpinLock(&MiContiguousLock);
	for (PLIST_ENTRY at = MiContiguousList.Flink; at != &MiContiguousList; at = at->Flink) {
		struct contiguous *record = CONTAINING_RECORD(at, struct contiguous, link);

		if (record->base == base) {
			found = record;
			RemoveEntryList(at);
			break;
		}
	}
	KxReleaseSpinLock(&MiContiguousLock);
	KeLowerIrql(irql);
	return found;
}

VOID MmFreeContiguousMemory(PVOID BaseAddress)
{
	struct contiguous *record = take_record(BaseAddress);

	if (record == NULL)
		KeBugCheckEx(0xC2, 0x60, (ULONG_PTR)BaseAddress, 0, 0); /* BAD_POOL_CALLER */
	MmFreePhysical((ULONG64)MmGetPhysicalAddress(BaseAddress).QuadPart, record->pages);
	ExFreePoolWithTag(record, TAG_CONTIGUOUS);
}
