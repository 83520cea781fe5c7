/* SPDX-License-Identifier: MIT */
/*
 * Memory for the debugger: never faults, never pages, reaches read-only pages. It walks the page
 * tables itself and copies through the physical window, so nothing it does can be seen as a fault.
 */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

/* Where the byte at va can be touched without a fault, and for how long; NULL if nowhere. */
static PUCHAR reach_virtual(ULONG64 va, ULONG64 *span)
{
	ULONG64 size, pa, pte;

	if (!MmIsAddress(va))
		return NULL;
	va = (ULONG_PTR)va;
	pte = MmGetPte(KiReadCr3() & PTE_FRAME, va, &size);
	if (pte == 0)
		return NULL;
	*span = size - (va & (size - 1));
	pa = (pte & PTE_FRAME & ~(size - 1)) | (va & (size - 1));
	if (MmIsRam(pa)) {
		ULONG64 in_page = PAGE_SIZE - (va & (PAGE_SIZE - 1));

		if (*span > in_page) /* a large page may reach over the end of RAM */
			*span = in_page;
		return MmWindow(pa);
	}
	return (PUCHAR)(ULONG_PTR)va; /* device memory: only where it is mapped */
}

static PUCHAR reach_physical(ULONG64 pa, ULONG64 *span)
{
	*span = PAGE_SIZE - (pa & (PAGE_SIZE - 1));
	return MmIsRam(pa) ? MmWindow(pa) : NULL;
}

NTSTATUS MmDbgCopyMemory(ULONG64 Address, PVOID Buffer, ULONG Size, ULONG Flags, PULONG Copied)
{
	PUCHAR buffer = Buffer;
	ULONG done = 0;

	while (done < Size) {
		ULONG64 at = Address + done;
		ULONG64 span = 0;
		PUCHAR p = (Flags & MMDBG_COPY_PHYSICAL) != 0 ? reach_physical(at, &span)
							      : reach_virtual(at, &span);
		ULONG n = Size - done;

		if (p == NULL)
			break;
		if (n > span)
			n = (ULONG)span;
		if ((Flags & MMDBG_COPY_WRITE) != 0)
			n -= (ULONG)KiCopySafe(p, buffer + done, n);
		else
			n -= (ULONG)KiCopySafe(buffer + done, p, n);
		done += n;
		if (n == 0)
			break;
	}
	*Copied = done;
	return done == Size ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

ULONG64 MmDbgTranslate(ULONG64 Address)
{
	ULONG64 size;

	if (!MmIsAddress(Address))
		return 0;
	return MmGetPte(KiReadCr3() & PTE_FRAME, (ULONG_PTR)Address, &size);
}
