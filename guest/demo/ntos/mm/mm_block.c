/* SPDX-License-Identifier: MIT */
/* MmPhysicalMemoryBlock: the runs of RAM, as crash dumps tell them. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

static struct {
	PHYSICAL_MEMORY_DESCRIPTOR Block;
	PHYSICAL_MEMORY_RUN More[LOADER_MAX_MEMORY - 1];
} MiPhysicalMemory;

PPHYSICAL_MEMORY_DESCRIPTOR MmPhysicalMemoryBlock;

/* Neighbours are one run, whatever they are used for. */
INIT_FUNCTION static VOID add_run(PPHYSICAL_MEMORY_DESCRIPTOR d, PFN_NUMBER base, PFN_NUMBER pages)
{
	PPHYSICAL_MEMORY_RUN next = d->Run + d->NumberOfRuns;

	d->NumberOfPages += pages;
	if (d->NumberOfRuns != 0 && next[-1].BasePage + next[-1].PageCount == base) {
		next[-1].PageCount += pages;
		return;
	}
	next->BasePage = base;
	next->PageCount = pages;
	d->NumberOfRuns++;
}

INIT_FUNCTION VOID MiDescribeMemory(PLOADER_PARAMETER_EXTENSION Ext)
{
	MmPhysicalMemoryBlock = &MiPhysicalMemory.Block;
	for (ULONG i = 0; i < Ext->memory_count; i++) {
		const struct loader_memory *m = &Ext->memory[i];

		if (m->type != LOADER_RESERVED)
			add_run(MmPhysicalMemoryBlock, (PFN_NUMBER)(m->base >> PAGE_SHIFT),
				(PFN_NUMBER)(m->size >> PAGE_SHIFT));
	}
}
