/* SPDX-License-Identifier: MIT */
/* A bump allocator above everything the boot program left in memory. */
#include "guest/demo/boot/loader.h"

static uint64_t next_page;
static uint64_t end_page;

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
