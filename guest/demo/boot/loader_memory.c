/* SPDX-License-Identifier: MIT */
/* A bump allocator above everything the boot program left in memory, and page tables. */
#include "guest/demo/boot/loader.h"

enum { PRESENT = 1 };

static uint64_t next_page;
static uint64_t end_page;
static uint64_t *pml4;

void loader_memory_init(LOADER_PARAMETER_EXTENSION *ext, uint64_t lowest_free)
{
	lowest_free = (lowest_free + PAGE_SIZE_LOADER - 1) & ~(uint64_t)(PAGE_SIZE_LOADER - 1);
	for (uint32_t i = 0; i < ext->memory_count; i++) {
		const struct loader_memory *m = &ext->memory[i];

		if (m->type == LOADER_FREE && m->base <= lowest_free &&
		    lowest_free < m->base + m->size) {
			next_page = lowest_free;
			end_page = m->base + m->size;
			if (end_page > 0x40000000) /* what the identity map reaches later on */
				end_page = 0x40000000;
			return;
		}
	}
	loader_fail("no free memory after the modules", NULL);
}

void *loader_pages(uint64_t n_pages)
{
	uint64_t size = n_pages * PAGE_SIZE_LOADER;
	void *p = (void *)(uintptr_t)next_page;

	if (next_page >= end_page || size > end_page - next_page)
		loader_fail("out of memory", NULL);
	next_page += size;
	__builtin_memset(p, 0, size);
	return p;
}

uint64_t loader_memory_mark(void)
{
	return next_page;
}

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

uint64_t loader_tables_create(uint64_t ram_end)
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
