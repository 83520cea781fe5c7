/* SPDX-License-Identifier: MIT */
/*
 * Finding the other processors (ACPI MADT) and starting them: INIT, SIPI, a page of real-mode code
 * below 1 MB that has the shape of NT's low stub (PROCESSOR_START_BLOCK, symbols facts 5.5), so
 * that tools which look for a kernel in raw memory find this one too.
 */
#include "guest/demo/hal/hal.h"
#include "core/bytes.h"

enum {
	STUB_PHYSICAL = 0x1000, /* the usual place on real machines */
	STUB_COMPLETION = 0x03, /* u32 after the jump: set by us, part of the signature */
	STUB_LM_TARGET = 0x70,
	STUB_CR3 = 0xA0,
	STUB_STACK = 0xB0,
	STUB_ARGUMENT = 0xB8,
	ICR_INIT = 5 << 8 | 1 << 14,
	ICR_STARTUP = 6 << 8 | 1 << 14,
	MAX_TABLES = 64,
};

extern const UCHAR HalpStubStart[], HalpStubEnd[]; /* hal_startap.S, position 0 of the page */

static PUCHAR window(ULONG64 pa)
{
	return (PUCHAR)(ULONG_PTR)(KSEG_PHYSICAL + pa);
}

static ULONG64 find_rsdp(VOID)
{
	for (ULONG64 pa = 0xE0000; pa < 0x100000; pa += 16) {
		if (__builtin_memcmp(window(pa), "RSD PTR ", 8) == 0)
			return pa;
	}
	return 0;
}

/* A firmware table the window reaches, else NULL. */
static const UCHAR *table_at(ULONG64 pa, const LOADER_PARAMETER_EXTENSION *ext)
{
	const UCHAR *t;

	if (pa < 0x1000 || pa >= ext->ram_end + 0x100000 ||
	    pa + 0x1000 > ((ext->ram_end + 0x1FFFFF) & ~0x1FFFFFull))
		return NULL;
	t = window(pa);
	return kd_get32(t + 4) >= 36 && kd_get32(t + 4) <= 0x1000 ? t : NULL;
}

static ULONG read_madt(const UCHAR *madt, ULONG ids[MAXIMUM_PROCESSORS])
{
	ULONG length = kd_get32(madt + 4);
	ULONG n = 1;

	for (ULONG off = 44; off + 8 <= length;) {
		ULONG size = madt[off + 1];

		if (size < 2)
			break;
		/* type 0: local APIC; flag 1: usable. The first one is the one we run on. */
		if (madt[off] == 0 && size >= 8 && (kd_get32(madt + off + 4) & 1) != 0 &&
		    madt[off + 3] != ids[0] && n < MAXIMUM_PROCESSORS)
			ids[n++] = madt[off + 3];
		off += size;
	}
	return n;
}

ULONG HalpFindProcessors(ULONG ApicIds[MAXIMUM_PROCESSORS])
{
	const LOADER_PARAMETER_EXTENSION *ext = HalpLoaderBlock->Extension;
	ULONG64 rsdp = find_rsdp();
	const UCHAR *rsdt;

	ApicIds[0] = HalpApicRead(APIC_ID) >> 24;
	if (rsdp == 0)
		return 1;
	rsdt = table_at(kd_get32(window(rsdp) + 16), ext);
	if (rsdt == NULL)
		return 1;
	for (ULONG i = 0; i < MAX_TABLES && 36 + 4 * i + 4 <= kd_get32(rsdt + 4); i++) {
		const UCHAR *t = table_at(kd_get32(rsdt + 36 + 4 * i), ext);

		if (t != NULL && __builtin_memcmp(t, "APIC", 4) == 0)
			return read_madt(t, ApicIds);
	}
	return 1;
}

/* The low page must be mapped 1:1 while the stub turns paging on: a page table of our own does
 * that, and shares the kernel half with the real one. */
static ULONG64 make_start_table(ULONG64 page_table)
{
	static UCHAR tables[4][0x1000] __attribute__((aligned(0x1000)));
	ULONG64 pa[4];

	for (ULONG i = 0; i < 4; i++)
		pa[i] = (ULONG64)MmGetPhysicalAddress(tables[i]).QuadPart;
	__builtin_memcpy(tables[0], window(page_table), 0x1000);
	kd_put64(tables[0], pa[1] | 3);
	kd_put64(tables[1], pa[2] | 3);
	kd_put64(tables[2], pa[3] | 3);
	kd_put64(tables[3] + 8 * (STUB_PHYSICAL >> 12), STUB_PHYSICAL | 3);
	return pa[0];
}

/* wrmsr and friends aside, all the stub needs is in its page. */
static VOID write_stub(ULONG64 page_table, PVOID entry, PVOID stack, PVOID argument)
{
	PUCHAR stub = window(STUB_PHYSICAL);

	__builtin_memset(stub, 0, 0x1000);
	__builtin_memcpy(stub, HalpStubStart, (SIZE_T)(HalpStubEnd - HalpStubStart));
	kd_put64(stub + STUB_LM_TARGET, (ULONG64)(ULONG_PTR)entry);
	kd_put64(stub + STUB_CR3, page_table);
	kd_put64(stub + STUB_STACK, (ULONG64)(ULONG_PTR)stack);
	kd_put64(stub + STUB_ARGUMENT, (ULONG64)(ULONG_PTR)argument);
}

BOOLEAN HalStartNextProcessor(ULONG Number, ULONG64 PageTable, PVOID Entry, PVOID Stack,
			      PVOID Argument)
{
	static ULONG ids[MAXIMUM_PROCESSORS];
	static ULONG count;
	ULONG64 start_table;

	if (count == 0)
		count = HalpFindProcessors(ids);
	if (Number >= count)
		return FALSE;
	start_table = make_start_table(PageTable);
	if (start_table >> 32 != 0)
		return FALSE; /* the stub loads 32 bits of CR3 */
	HalpApicIds[Number] = ids[Number];
	write_stub(start_table, Entry, Stack, Argument);
	HalpApicSend(ids[Number], ICR_INIT);
	KeStallExecutionProcessor(1000);
	for (ULONG tries = 0; tries < 2; tries++) {
		HalpApicSend(ids[Number], ICR_STARTUP | STUB_PHYSICAL >> 12);
		for (ULONG ms = 0; ms < 100; ms++) {
			KeStallExecutionProcessor(1000);
			/* the kernel loads the PCR's first fields before anything else */
			if (*(volatile ULONG64 *)(window(STUB_PHYSICAL) + STUB_STACK) == 0) {
				/* the stub stays for whoever searches memory, with the real tables
				 */
				kd_put64(window(STUB_PHYSICAL) + STUB_CR3, PageTable);
				return TRUE;
			}
		}
	}
	return FALSE;
}
