/* SPDX-License-Identifier: MIT */
/* The page another processor starts in, and page tables under which that page stays where it is. */
#include "guest/demo/hal/hal.h"
#include "core/bytes.h"

enum {
	STUB_ENTRY = 0x70,
	STUB_CR3 = 0x74,
	STUB_CR4 = 0x78,
	STUB_EFER = 0x7C, /* 0: leave it alone */
	STUB_STACK = 0x80,
	STUB_ARGUMENT = 0x84,
	LARGE_WRITABLE = 0x83,
};

extern const UCHAR HalpStubStart[], HalpStubEnd[]; /* hal_startap_x86.S */

static PUCHAR window(ULONG64 pa)
{
	return (PUCHAR)(ULONG_PTR)(KSEG_PHYSICAL + (ULONG)pa);
}

/* The kernel's tables, but for the first large page. */
static ULONG make_start_table(ULONG64 page_table)
{
	static UCHAR top[0x1000] __attribute__((aligned(0x1000)));
	static UCHAR directory[0x1000] __attribute__((aligned(0x1000)));
	ULONG64 frame = page_table & ~0xFFFull;

	__builtin_memcpy(top, window(frame), sizeof(top));
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

BOOLEAN HalpWriteStub(ULONG64 PageTable, PVOID Entry, PVOID Stack, PVOID Argument)
{
	PUCHAR stub = window(HALP_STUB_PHYSICAL);

	__builtin_memset(stub, 0, 0x1000);
	__builtin_memcpy(stub, HalpStubStart, (SIZE_T)(HalpStubEnd - HalpStubStart));
	kd_put32(stub + STUB_ENTRY, (ULONG)(ULONG_PTR)Entry);
	kd_put32(stub + STUB_CR3, make_start_table(PageTable));
	kd_put32(stub + STUB_CR4, KiReadCr4());
	kd_put32(stub + STUB_EFER, wanted_efer());
	kd_put32(stub + STUB_STACK, (ULONG)(ULONG_PTR)Stack);
	kd_put32(stub + STUB_ARGUMENT, (ULONG)(ULONG_PTR)Argument);
	return TRUE;
}

BOOLEAN HalpIsStubTaken(ULONG64 PageTable)
{
	return *(volatile ULONG *)(window(HALP_STUB_PHYSICAL) + STUB_STACK) == 0;
}
