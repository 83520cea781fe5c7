/* SPDX-License-Identifier: MIT */
/* The page another processor starts in, and page tables under which that page stays where it is. */
#include "guest/demo/hal/hal.h"
#include "core/bytes.h"

enum {
	TRAMPOLINE_ENTRY = 0x70,
	TRAMPOLINE_CR3 = 0x74,
	TRAMPOLINE_CR4 = 0x78,
	TRAMPOLINE_EFER = 0x7C, /* 0: leave it alone */
	TRAMPOLINE_STACK = 0x80,
	TRAMPOLINE_ARGUMENT = 0x84,
	LARGE_WRITABLE = 0x83,
};

/* The kernel's tables, but for the first large page. */
static ULONG make_start_table(ULONG64 page_table)
{
	static UCHAR top[0x1000] __attribute__((aligned(0x1000)));
	static UCHAR directory[0x1000] __attribute__((aligned(0x1000)));
	ULONG64 frame = page_table & ~0xFFFull;

	__builtin_memcpy(top, HalpWindow(frame), sizeof(top));
	if ((KiReadCr4() & CR4_PAE) == 0) {
		kd_put32(top, LARGE_WRITABLE);
	} else {
		kd_put64(directory, LARGE_WRITABLE);
		kd_put64(top, (ULONG64)MmGetPhysicalAddress(directory).QuadPart | 1);
	}
	return (ULONG)MmGetPhysicalAddress(top).QuadPart;
}

/* Execute-disable must be on before the kernel's tables are. */
static ULONG wanted_efer(VOID)
{
	return (KiReadCr4() & CR4_PAE) != 0 ? (ULONG)KiReadMsr(MSR_EFER) & 0x800 : 0;
}

BOOLEAN HalpFillTrampoline(PUCHAR Page, ULONG64 PageTable, PVOID Entry, PVOID Stack, PVOID Argument)
{
	kd_put32(Page + TRAMPOLINE_ENTRY, (ULONG)(ULONG_PTR)Entry);
	kd_put32(Page + TRAMPOLINE_CR3, make_start_table(PageTable));
	kd_put32(Page + TRAMPOLINE_CR4, KiReadCr4());
	kd_put32(Page + TRAMPOLINE_EFER, wanted_efer());
	kd_put32(Page + TRAMPOLINE_STACK, (ULONG)(ULONG_PTR)Stack);
	kd_put32(Page + TRAMPOLINE_ARGUMENT, (ULONG)(ULONG_PTR)Argument);
	return TRUE;
}

BOOLEAN HalpIsTrampolineTaken(ULONG64 PageTable)
{
	return *(volatile ULONG *)(HalpWindow(HALP_TRAMPOLINE_PHYSICAL) + TRAMPOLINE_STACK) == 0;
}
