/* SPDX-License-Identifier: MIT */
/*
 * Page tables of x86: two levels of 1024 entries with 4 bytes, or with PAE (CR4) 4, 512 and 512
 * entries with 8 bytes. Every process copies the kernel half of the page directory, whose page
 * tables therefore all exist from the beginning.
 */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

enum {
	DIRECTORIES = 4,        /* with PAE: 1 GB each */
	USER_DIRECTORIES = 2,   /* of them */
	SELF_MAP_DIRECTORY = 3, /* of 0xC0000000 */
	USER_ENTRIES = 512,     /* without PAE, of 1024 */
	SYSTEM_PTE_BYTES = 32 << 20,
	POOL_BYTES = 32 << 20,
};

MM_PAGING MmPaging = {
	.Levels = 2,
	.EntrySize = 4,
	.Mask = 0xFFFFFFFF,
	.Level = { { 12, 1024 }, { 22, 1024 } },
};

static const MM_PAGING pae = {
	.Levels = 3,
	.EntrySize = 8,
	.Mask = ~0ull,
	.Level = { { 12, 512 }, { 21, 512 }, { 30, 4 } },
};

static BOOLEAN is_pae(VOID)
{
	return MmPaging.EntrySize == 8;
}

BOOLEAN MmIsAddress(ULONG64 Va)
{
	return Va >> 32 == 0 || Va >> 31 == 0x1FFFFFFFF; /* with or without its sign */
}

/* --- the system's own tables --- */

INIT_FUNCTION VOID MiChoosePaging(VOID)
{
	if ((KiReadCr4() & CR4_PAE) == 0)
		return;
	MmPaging = pae;
	if ((KiReadMsr(MSR_EFER) & 0x800) == 0)
		MmPaging.Mask &= ~PTE_NX;
}

INIT_FUNCTION static VOID drop_identity_map(VOID)
{
	PULONG64 pdpt = MmWindow(MmSystemPageTable);

	if (!is_pae()) {
		__builtin_memset(MmWindow(MmSystemPageTable), 0, USER_ENTRIES * 4);
	} else {
		for (ULONG i = 0; i < USER_DIRECTORIES; i++)
			__builtin_memset(MmWindow(pdpt[i] & PTE_FRAME), 0, PAGE_SIZE);
	}
	KiWriteCr3((ULONG)MmSystemPageTable);
}

/* Tables for a range: mapping and unmapping a page is what makes them. */
INIT_FUNCTION static VOID make_tables(ULONG64 from, ULONG64 bytes)
{
	const ULONG64 step = 1ull << MmPaging.Level[1].Shift;

	for (ULONG64 off = 0; off < bytes; off += step) {
		MmMapPage(MmSystemPageTable, from + off, 0, PTE_KERNEL_DATA);
		MmUnmapPage(MmSystemPageTable, from + off);
	}
}

INIT_FUNCTION VOID MiPrepareKernelSpace(VOID)
{
	drop_identity_map();
	make_tables(KSEG_SYSTEM_PTES, SYSTEM_PTE_BYTES);
	make_tables(KSEG_POOL, POOL_BYTES);
	make_tables(KSEG_LOCAL_APIC & ~(LARGE_PAGE_SIZE - 1), LARGE_PAGE_SIZE);
}

BOOLEAN MiMapPool(ULONG64 Va, ULONG64 Pa)
{
	for (ULONG off = 0; off < LARGE_PAGE_SIZE; off += PAGE_SIZE) {
		if (!MmMapPage(MmSystemPageTable, Va + off, Pa + off, PTE_KERNEL_DATA))
			return FALSE;
	}
	return TRUE;
}

/* --- those of processes --- */

static ULONG64 create_two_levels(VOID)
{
	ULONG64 page = MmAllocatePhysical(1, 1);
	PULONG new = MmWindow(page);
	const ULONG *system = MmWindow(MmSystemPageTable);

	if (page == 0)
		return 0;
	for (ULONG i = USER_ENTRIES; i < 1024; i++)
		new[i] = system[i];
	new[KSEG_SELF_MAP >> 22] = (ULONG)page | PTE_VALID | PTE_WRITE;
	return page;
}

/* The directory of the self map names all four, its own among them. */
static VOID make_self_map(const ULONG64 *pdpt)
{
	PULONG64 last = MmWindow(pdpt[SELF_MAP_DIRECTORY] & PTE_FRAME);

	for (ULONG i = 0; i < DIRECTORIES; i++)
		last[i] = ((pdpt[i] & PTE_FRAME) | PTE_VALID | PTE_WRITE | PTE_NX) & MmPaging.Mask;
}

static ULONG64 create_pae(VOID)
{
	ULONG64 top = MmAllocatePhysical(1, 1);
	ULONG64 directories = MmAllocatePhysical(DIRECTORIES, 1);
	const ULONG64 *system = MmWindow(MmSystemPageTable);
	PULONG64 pdpt = MmWindow(top);

	if (top == 0 || directories == 0)
		return 0;
	for (ULONG i = 0; i < DIRECTORIES; i++) {
		pdpt[i] = (directories + i * PAGE_SIZE) | PTE_VALID;
		if (i >= USER_DIRECTORIES)
			__builtin_memcpy(MmWindow(pdpt[i] & PTE_FRAME),
					 MmWindow(system[i] & PTE_FRAME), PAGE_SIZE);
	}
	make_self_map(pdpt);
	return top;
}

ULONG64 MmCreateAddressSpace(VOID)
{
	return is_pae() ? create_pae() : create_two_levels();
}

VOID MmDeleteAddressSpace(ULONG64 Root)
{
	if (!is_pae()) {
		MiDeleteTables(Root, USER_ENTRIES);
		return;
	}
	for (ULONG i = USER_DIRECTORIES; i < DIRECTORIES; i++)
		MmFreePhysical(((PULONG64)MmWindow(Root))[i] & PTE_FRAME, 1);
	MiDeleteTables(Root, USER_DIRECTORIES);
}
