/* SPDX-License-Identifier: MIT */
/*
 * Finding the other processors (ACPI MADT) and starting them: INIT, SIPI, a page of real-mode code
 * below 1 MB (hal_trampoline_*).
 */
#include "guest/demo/hal/hal.h"
#include "core/bytes.h"

enum {
	ICR_INIT = 5 << 8 | 1 << 14,
	ICR_STARTUP = 6 << 8 | 1 << 14,
	MAX_TABLES = 64,
};

static ULONG64 find_rsdp(VOID)
{
	for (ULONG64 pa = 0xE0000; pa < 0x100000; pa += 16) {
		if (__builtin_memcmp(HalpWindow(pa), "RSD PTR ", 8) == 0)
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
	t = HalpWindow(pa);
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
	rsdt = table_at(kd_get32(HalpWindow(rsdp) + 16), ext);
	if (rsdt == NULL)
		return 1;
	for (ULONG i = 0; i < MAX_TABLES && 36 + 4 * i + 4 <= kd_get32(rsdt + 4); i++) {
		const UCHAR *t = table_at(kd_get32(rsdt + 36 + 4 * i), ext);

		if (t != NULL && __builtin_memcmp(t, "APIC", 4) == 0)
			return read_madt(t, ApicIds);
	}
	return 1;
}

static BOOLEAN write_trampoline(ULONG64 page_table, PVOID entry, PVOID stack, PVOID argument)
{
	PUCHAR page = HalpWindow(HALP_TRAMPOLINE_PHYSICAL);

	__builtin_memset(page, 0, 0x1000);
	__builtin_memcpy(page, HalpTrampolineStart,
			 (SIZE_T)(HalpTrampolineEnd - HalpTrampolineStart));
	return HalpFillTrampoline(page, page_table, entry, stack, argument);
}

BOOLEAN HalStartNextProcessor(ULONG Number, ULONG64 PageTable, PVOID Entry, PVOID Stack,
			      PVOID Argument)
{
	static ULONG ids[MAXIMUM_PROCESSORS];
	static ULONG count;

	if (count == 0)
		count = HalpFindProcessors(ids);
	if (Number >= count)
		return FALSE;
	if (!write_trampoline(PageTable, Entry, Stack, Argument))
		return FALSE;
	HalpApicIds[Number] = ids[Number];
	HalpApicSend(ids[Number], ICR_INIT);
	KeStallExecutionProcessor(1000);
	for (ULONG tries = 0; tries < 2; tries++) {
		HalpApicSend(ids[Number], ICR_STARTUP | HALP_TRAMPOLINE_PHYSICAL >> 12);
		for (ULONG ms = 0; ms < 100; ms++) {
			KeStallExecutionProcessor(1000);
			if (HalpIsTrampolineTaken(PageTable))
				return TRUE;
		}
	}
	return FALSE;
}
