/* SPDX-License-Identifier: MIT */
/*
 * Nonpaged pool, 2 MB at a time. Small blocks come from free lists by size, in steps of 16 bytes;
 * larger ones are runs of whole pages with the header in front. As in Windows only small blocks
 * happen to be zeroed: a page and less.
 */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

enum {
	GRANULE = 16,
	SMALL_MAX = 2048, /* header included */
	POOL_MAX = NT_CPU(16, 32) * 0x200000,
	POOL_TYPE_BUSY = 2,
	POOL_TYPE_FREE = 0,
};

struct free_block {
	POOL_HEADER header;
	struct free_block *next;
};

static KSPIN_LOCK MiPoolLock;
static struct free_block *MiFreeSmall[SMALL_MAX / GRANULE + 1];
static ULONG64 MiPoolNext = KSEG_POOL; /* first byte never given out */
static ULONG64 MiPoolEnd = KSEG_POOL;  /* end of what is mapped */
static struct free_block *MiFreeLarge; /* page runs given back */
volatile ULONG64 MmPoolInUse;          /* bytes given out, headers included */

VOID MiInitializePool(VOID)
{
	MiPoolNext = KSEG_POOL;
}

/* Pool address space that was never used; lock held. */
static PVOID extend(ULONG64 size)
{
	ULONG64 at = MiPoolNext;

	while (MiPoolEnd - at < size) {
		ULONG64 page;

		if (MiPoolEnd - KSEG_POOL >= POOL_MAX)
			return NULL;
		page = MmAllocatePhysical(LARGE_PAGE_SIZE / PAGE_SIZE, LARGE_PAGE_SIZE / PAGE_SIZE);
		if (page == 0 || !MiMapPool(MiPoolEnd, page))
			return NULL;
		MiPoolEnd += LARGE_PAGE_SIZE;
	}
	MiPoolNext += size;
	return (PVOID)(ULONG_PTR)at;
}

/* Two lists in the order of addresses, as one. */
static struct free_block *merge(struct free_block *a, struct free_block *b)
{
	struct free_block *first = NULL, **end = &first;

	while (a != NULL && b != NULL) {
		struct free_block **lower = a < b ? &a : &b;

		*end = *lower;
		end = &(*lower)->next;
		*lower = *end;
	}
	*end = a != NULL ? a : b;
	return first;
}

/* Sort what was given back, one list for each power of two, then join neighbours. */
static VOID join_large(VOID)
{
	struct free_block *lists[32] = { NULL }, *next;

	for (struct free_block *block = MiFreeLarge; block != NULL; block = next) {
		ULONG i = 0;

		next = block->next;
		block->next = NULL;
		for (; lists[i] != NULL; i++) {
			block = merge(lists[i], block);
			lists[i] = NULL;
		}
		lists[i] = block;
	}
	MiFreeLarge = NULL;
	for (ULONG i = 0; i < RTL_NUMBER_OF(lists); i++)
		MiFreeLarge = merge(MiFreeLarge, lists[i]);
	for (struct free_block *block = MiFreeLarge; block != NULL; block = next) {
		next = block->next;
		if ((PUCHAR)block + block->header.Pages * PAGE_SIZE == (PUCHAR)next) {
			block->header.Pages += next->header.Pages;
			block->next = next->next;
			next = block;
		}
	}
}

/* The first run that is long enough; what is too much of it stays. */
static PPOOL_HEADER cut_large(ULONG64 pages)
{
	for (struct free_block **at = &MiFreeLarge; *at != NULL; at = &(*at)->next) {
		struct free_block *block = *at, *rest;

		if (block->header.Pages < pages)
			continue;
		*at = block->next;
		if (block->header.Pages != pages) {
			rest = (struct free_block *)((PUCHAR)block + pages * PAGE_SIZE);
			rest->header = block->header;
			rest->header.Pages = block->header.Pages - pages;
			rest->next = *at;
			*at = rest;
			block->header.Pages = pages;
		}
		return &block->header;
	}
	return NULL;
}

static PPOOL_HEADER take_large(ULONG64 pages)
{
	PPOOL_HEADER header;

	for (struct free_block **at = &MiFreeLarge; *at != NULL; at = &(*at)->next) {
		if ((*at)->header.Pages == pages) {
			header = &(*at)->header;
			*at = (*at)->next;
			return header;
		}
	}
	MiPoolNext = (MiPoolNext + PAGE_SIZE - 1) & ~(ULONG64)(PAGE_SIZE - 1);
	header = extend(pages * PAGE_SIZE);
	if (header != NULL) {
		header->BlockSize = 0;
		header->Pages = pages;
		return header;
	}
	join_large(); /* all was given out once: now what came back is looked at more closely */
	return cut_large(pages);
}

/* Cut a page into blocks of one size. */
static BOOLEAN refill(ULONG granules)
{
	ULONG size = granules * GRANULE;
	PUCHAR page;

	page = (PUCHAR)take_large(1);
	if (page == NULL)
		return FALSE;
	for (ULONG off = 0; off + size <= PAGE_SIZE; off += size) {
		struct free_block *block = (struct free_block *)(page + off);

		block->header.BlockSize = (UCHAR)granules;
		block->header.PreviousSize = off != 0 ? (UCHAR)granules : 0;
		block->header.PoolType = POOL_TYPE_FREE;
		block->header.PoolTag = POOL_TAG('F', 'r', 'e', 'e');
		block->next = MiFreeSmall[granules];
		MiFreeSmall[granules] = block;
	}
	return TRUE;
}

static PPOOL_HEADER take_small(ULONG granules)
{
	struct free_block *block;

	if (MiFreeSmall[granules] == NULL && !refill(granules))
		return NULL;
	block = MiFreeSmall[granules];
	MiFreeSmall[granules] = block->next;
	return &block->header;
}

static SIZE_T size_of(const POOL_HEADER *header)
{
	return header->BlockSize != 0 ? header->BlockSize * (SIZE_T)GRANULE
				      : (SIZE_T)header->Pages * PAGE_SIZE;
}

/* Large blocks have few sizes, so that one given back fits the next who asks. */
static ULONG64 whole_pages(SIZE_T size)
{
	ULONG64 pages = (size + PAGE_SIZE - 1) / PAGE_SIZE, step = 1;

	while (pages > 8 * step)
		step *= 2;
	return (pages + step - 1) & ~(step - 1);
}

PVOID ExAllocatePoolWithTag(POOL_TYPE Type, SIZE_T Size, ULONG Tag)
{
	SIZE_T total = (Size + sizeof(POOL_HEADER) + GRANULE - 1) & ~(SIZE_T)(GRANULE - 1);
	PPOOL_HEADER header;
	KIRQL irql;

	if (Size > POOL_MAX)
		return NULL;
	if (total < sizeof(struct free_block))
		total = 2 * GRANULE;
	irql = KfRaiseIrql(DISPATCH_LEVEL);
	KxAcquireSpinLock(&MiPoolLock);
	header = total <= SMALL_MAX ? take_small((ULONG)total / GRANULE)
				    : take_large(whole_pages(total));
	if (header != NULL) {
		header->PoolType = POOL_TYPE_BUSY;
		header->PoolTag = Tag;
		MmPoolInUse += size_of(header);
	}
	KxReleaseSpinLock(&MiPoolLock);
	KeLowerIrql(irql);
	if (header == NULL)
		return NULL;
	if (Size <= PAGE_SIZE)
		__builtin_memset(header + 1, 0, Size);
	return header + 1;
}

VOID ExFreePoolWithTag(PVOID Block, ULONG Tag)
{
	PPOOL_HEADER header = (PPOOL_HEADER)Block - 1;
	struct free_block *block = (struct free_block *)header;
	struct free_block **list;
	KIRQL irql;

	if (header->PoolType != POOL_TYPE_BUSY)
		KeBugCheckEx(0xC2, 7, 0, header->PoolTag, (ULONG_PTR)Block); /* BAD_POOL_CALLER */
	irql = KfRaiseIrql(DISPATCH_LEVEL);
	KxAcquireSpinLock(&MiPoolLock);
	header->PoolType = POOL_TYPE_FREE;
	MmPoolInUse -= size_of(header);
	list = header->BlockSize != 0 ? &MiFreeSmall[header->BlockSize] : &MiFreeLarge;
	block->next = *list;
	*list = block;
	KxReleaseSpinLock(&MiPoolLock);
	KeLowerIrql(irql);
}
