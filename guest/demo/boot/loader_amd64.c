/* SPDX-License-Identifier: MIT */
/* Four-level page tables, and the loader block of Windows 10. */
#include "guest/demo/boot/loader.h"

enum { PRESENT = 1 };

static uint64_t *pml4;

/* The table below `entry`, made on demand. Upper levels allow everything; the last one decides. */
static uint64_t *table_below(uint64_t *entry)
{
	if ((*entry & PRESENT) == 0)
		*entry = (uint64_t)(uintptr_t)loader_pages(1) | LOADER_MAP_WRITE | PRESENT;
	return (uint64_t *)(uintptr_t)(*entry & 0x000FFFFFFFFFF000ull);
}

void loader_table_map(uint64_t va, uint64_t pa, uint64_t flags)
{
	uint64_t *pdpt = table_below(&pml4[va >> 39 & 511]);
	uint64_t *pd = table_below(&pdpt[va >> 30 & 511]);
	uint64_t *entry = &pd[va >> 21 & 511];

	if ((flags & LOADER_MAP_LARGE) == 0)
		entry = &table_below(entry)[va >> 12 & 511];
	*entry = pa | flags | PRESENT;
}

uint64_t loader_tables_create(uint64_t ram_end, const char *options)
{
	const uint64_t large = 0x200000;
	uint64_t flags = LOADER_MAP_WRITE | LOADER_MAP_LARGE | LOADER_MAP_GLOBAL | LOADER_MAP_NX;

	pml4 = loader_pages(1);
	for (uint64_t pa = 0; pa < ram_end; pa += large)
		loader_table_map(KSEG_PHYSICAL + pa, pa, flags);
	for (uint64_t pa = 0; pa < 0x40000000; pa += large)
		loader_table_map(pa, pa, LOADER_MAP_WRITE | LOADER_MAP_LARGE);
	loader_table_map(KSEG_USER_SHARED, (uint64_t)(uintptr_t)loader_pages(1),
			 LOADER_MAP_WRITE | LOADER_MAP_GLOBAL | LOADER_MAP_NX);
	pml4[KSEG_SELF_MAP >> 39 & 511] = (uint64_t)(uintptr_t)pml4 | LOADER_MAP_WRITE |
					  LOADER_MAP_NX | PRESENT;
	return (uint64_t)(uintptr_t)pml4;
}

void loader_block_init(LOADER_PARAMETER_BLOCK *block, uint32_t stack_size)
{
	LIST_ENTRY *lists[] = {
		&block->LoadOrderListHead,     &block->MemoryDescriptorListHead,
		&block->BootDriverListHead,    &block->EarlyLaunchListHead,
		&block->CoreDriverListHead,    &block->CoreExtensionsDriverListHead,
		&block->TpmCoreDriverListHead,
	};

	for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		lists[i]->Flink = lists[i]->Blink = loader_window(lists[i]);
	block->OsMajorVersion = 10;
	block->Size = sizeof(*block);
	block->KernelStackSize = stack_size;
}
