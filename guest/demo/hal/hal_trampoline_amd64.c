/* SPDX-License-Identifier: MIT */
/*
 * The page another processor starts in. It has the shape of NT's low stub (PROCESSOR_START_BLOCK,
 * symbols facts 5.5), so that tools which look for a kernel in raw memory find this one too.
 */
#include "guest/demo/hal/hal.h"
#include "core/bytes.h"

enum {
	TRAMPOLINE_LM_TARGET = 0x70,
	TRAMPOLINE_CR3 = 0xA0,
	TRAMPOLINE_STACK = 0xB0,
	TRAMPOLINE_ARGUMENT = 0xB8,
};

/* The low page must be mapped 1:1 while the trampoline turns paging on: a page table of our own
 * does that, and shares the kernel half with the real one. */
static ULONG64 make_start_table(ULONG64 page_table)
{
	static UCHAR tables[4][0x1000] __attribute__((aligned(0x1000)));
	ULONG64 pa[4];

	for (ULONG i = 0; i < 4; i++)
		pa[i] = (ULONG64)MmGetPhysicalAddress(tables[i]).QuadPart;
	__builtin_memcpy(tables[0], HalpWindow(page_table), 0x1000);
	kd_put64(tables[0], pa[1] | 3);
	kd_put64(tables[1], pa[2] | 3);
	kd_put64(tables[2], pa[3] | 3);
	kd_put64(tables[3] + 8 * (HALP_TRAMPOLINE_PHYSICAL >> 12), HALP_TRAMPOLINE_PHYSICAL | 3);
	return pa[0];
}

/* wrmsr and friends aside, all the trampoline needs is in its page. */
BOOLEAN HalpFillTrampoline(PUCHAR Page, ULONG64 PageTable, PVOID Entry, PVOID Stack, PVOID Argument)
{
	ULONG64 start_table = make_start_table(PageTable);

	if (start_table >> 32 != 0)
		return FALSE; /* the trampoline loads 32 bits of CR3 */
	kd_put64(Page + TRAMPOLINE_LM_TARGET, (ULONG64)(ULONG_PTR)Entry);
	kd_put64(Page + TRAMPOLINE_CR3, start_table);
	kd_put64(Page + TRAMPOLINE_STACK, (ULONG64)(ULONG_PTR)Stack);
	kd_put64(Page + TRAMPOLINE_ARGUMENT, (ULONG64)(ULONG_PTR)Argument);
	return TRUE;
}

BOOLEAN HalpIsTrampolineTaken(ULONG64 PageTable)
{
	PUCHAR page = HalpWindow(HALP_TRAMPOLINE_PHYSICAL);

	/* The processor in it takes its stack away before anything else. */
	if (*(volatile ULONG64 *)(page + TRAMPOLINE_STACK) != 0)
		return FALSE;
	/* The page stays for whoever searches memory, with the real tables. */
	kd_put64(page + TRAMPOLINE_CR3, PageTable);
	return TRUE;
}
