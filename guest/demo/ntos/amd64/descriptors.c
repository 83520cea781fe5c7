/* SPDX-License-Identifier: MIT */
/* GDT, IDT and TSS of each processor, with the selectors of every NT x64. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"

enum {
	GDT_BYTES = 0x80,
	IDT_ENTRIES = 256,
	GATE_INTERRUPT = 14,
};

struct processor_tables {
	ULONG64 Gdt[GDT_BYTES / 8];
	KTSS64 Tss;
	UCHAR Fill[128 - sizeof(KTSS64)];
};

static struct processor_tables tables[MAXIMUM_PROCESSORS] __attribute__((aligned(64)));
static KIDTENTRY64 KiIdt[IDT_ENTRIES] __attribute__((aligned(4096)));

typedef VOID KI_ENTRY(VOID);
/* clang-format off */
KI_ENTRY KiDivideErrorFault, KiDebugTrapOrFault, KiNmiInterrupt, KiBreakpointTrap, KiOverflowTrap,
	KiBoundFault, KiInvalidOpcodeFault, KiNpxNotAvailableFault, KiDoubleFaultAbort,
	KiNpxSegmentOverrunAbort, KiInvalidTssFault, KiSegmentNotPresentFault, KiStackFault,
	KiGeneralProtectionFault, KiPageFault, KiFloatingErrorFault, KiAlignmentFault,
	KiMcheckAbort, KiXmmException, KiRaiseSecurityCheckFailure, KiRaiseAssertion,
	KiDebugServiceTrap, KiDpcInterrupt, KiClockInterrupt, KiIpiInterrupt, KiSpuriousInterrupt,
	KiWakeInterrupt, KiDeviceInterrupt0, KiDeviceInterrupt1, KiDeviceInterrupt2,
	KiDeviceInterrupt3,
	KiUnexpectedInterrupt, KiSystemCall64;

static const struct {
	UCHAR Vector, Dpl, Ist;
	KI_ENTRY *Handler;
} KiInterruptInitTable[] = {
	{ 0x00, 0, 0, KiDivideErrorFault },
	{ 0x01, 0, 0, KiDebugTrapOrFault },
	{ 0x02, 0, 3, KiNmiInterrupt },
	{ 0x03, 3, 0, KiBreakpointTrap },
	{ 0x04, 3, 0, KiOverflowTrap },
	{ 0x05, 0, 0, KiBoundFault },
	{ 0x06, 0, 0, KiInvalidOpcodeFault },
	{ 0x07, 0, 0, KiNpxNotAvailableFault },
	{ 0x08, 0, 1, KiDoubleFaultAbort },
	{ 0x09, 0, 0, KiNpxSegmentOverrunAbort },
	{ 0x0A, 0, 0, KiInvalidTssFault },
	{ 0x0B, 0, 0, KiSegmentNotPresentFault },
	{ 0x0C, 0, 0, KiStackFault },
	{ 0x0D, 0, 0, KiGeneralProtectionFault },
	{ 0x0E, 0, 0, KiPageFault },
	{ 0x10, 0, 0, KiFloatingErrorFault },
	{ 0x11, 0, 0, KiAlignmentFault },
	{ 0x12, 0, 2, KiMcheckAbort },
	{ 0x13, 0, 0, KiXmmException },
	{ 0x29, 3, 0, KiRaiseSecurityCheckFailure },
	{ 0x2C, 3, 0, KiRaiseAssertion },
	{ 0x2D, 3, 0, KiDebugServiceTrap },
	{ KI_VECTOR_DISPATCH, 0, 0, KiDpcInterrupt },
	{ KI_DEVICE_VECTOR + 0, 0, 0, KiDeviceInterrupt0 },
	{ KI_DEVICE_VECTOR + 1, 0, 0, KiDeviceInterrupt1 },
	{ KI_DEVICE_VECTOR + 2, 0, 0, KiDeviceInterrupt2 },
	{ KI_DEVICE_VECTOR + 3, 0, 0, KiDeviceInterrupt3 },
	{ KI_VECTOR_CLOCK, 0, 0, KiClockInterrupt },
	{ KI_VECTOR_SPURIOUS, 0, 0, KiSpuriousInterrupt },
	{ KI_VECTOR_IPI, 0, 0, KiIpiInterrupt },
	{ KI_VECTOR_WAKE, 0, 0, KiWakeInterrupt },
};
/* clang-format on */

INIT_FUNCTION static VOID set_gate(ULONG vector, KI_ENTRY *handler, ULONG dpl, ULONG ist)
{
	ULONG64 address = (ULONG64)(ULONG_PTR)handler;
	KIDTENTRY64 gate = { 0 };

	gate.OffsetLow = (USHORT)address;
	gate.OffsetMiddle = (USHORT)(address >> 16);
	gate.OffsetHigh = (ULONG)(address >> 32);
	gate.Selector = KGDT64_R0_CODE;
	gate.IstIndex = (USHORT)(ist & 7);
	gate.Type = GATE_INTERRUPT;
	gate.Dpl = (USHORT)(dpl & 3);
	gate.Present = 1;
	KiIdt[vector] = gate;
}

INIT_FUNCTION static VOID fill_idt(VOID)
{
	for (ULONG i = 0; i < IDT_ENTRIES; i++)
		set_gate(i, KiUnexpectedInterrupt, 0, 0);
	for (ULONG i = 0; i < RTL_NUMBER_OF(KiInterruptInitTable); i++)
		set_gate(KiInterruptInitTable[i].Vector, KiInterruptInitTable[i].Handler,
			 KiInterruptInitTable[i].Dpl, KiInterruptInitTable[i].Ist);
}

INIT_FUNCTION static VOID fill_gdt(PULONG64 gdt, const KTSS64 *tss)
{
	ULONG64 base = (ULONG64)(ULONG_PTR)tss;

	gdt[KGDT64_R0_CODE / 8] = 0x00209B0000000000;
	gdt[KGDT64_R0_DATA / 8] = 0x00CF93000000FFFF;
	gdt[KGDT64_R3_CMCODE / 8] = 0x00CFFB000000FFFF;
	gdt[KGDT64_R3_DATA / 8] = 0x00CFF3000000FFFF;
	gdt[KGDT64_R3_CODE / 8] = 0x0020FB0000000000;
	gdt[KGDT64_SYS_TSS / 8] = (sizeof(*tss) - 1) | (base & 0xFFFFFF) << 16 | 0x89ull << 40 |
				  (base >> 24 & 0xFF) << 56;
	gdt[KGDT64_SYS_TSS / 8 + 1] = base >> 32;
	gdt[KGDT64_R3_CMTEB / 8] = 0x0040F30000003C00; /* 32-bit TEB: none here */
}

INIT_FUNCTION VOID KiInitializeDescriptors(PKPCR Pcr, ULONG_PTR InterruptStacks[3])
{
	struct processor_tables *t = &tables[Pcr->Prcb.Number];
	KDESCRIPTOR gdtr = { .Limit = GDT_BYTES - 1, .Base = t->Gdt };
	KDESCRIPTOR idtr = { .Limit = sizeof(KiIdt) - 1, .Base = KiIdt };

	if (Pcr->Prcb.Number == 0)
		fill_idt();
	fill_gdt(t->Gdt, &t->Tss);
	for (ULONG i = 0; i < 3; i++)
		t->Tss.Ist[i] = InterruptStacks[i];
	t->Tss.IoMapBase = sizeof(KTSS64);
	Pcr->GdtBase = (PKGDTENTRY64)t->Gdt;
	Pcr->TssBase = &t->Tss;
	Pcr->IdtBase = KiIdt;

	__asm__ volatile("lgdt %0" : : "m"(gdtr.Limit));
	__asm__ volatile("lidt %0" : : "m"(idtr.Limit));
	__asm__ volatile("movw %w0, %%ds; movw %w0, %%es; movw %w0, %%fs; movw %w0, %%gs"
			 :
			 : "r"(KGDT64_R3_DATA | RPL_MASK));
	__asm__ volatile("movw %w0, %%ss" : : "r"(KGDT64_R0_DATA));
	__asm__ volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:"
			 :
			 : "i"(KGDT64_R0_CODE)
			 : "rax", "memory");
	__asm__ volatile("ltr %w0" : : "r"(KGDT64_SYS_TSS));
	__asm__ volatile("lldt %w0" : : "r"(0));
	KiWriteMsr(MSR_GS_BASE, (ULONG64)(ULONG_PTR)Pcr);
	KiWriteMsr(MSR_GS_SWAP, 0);
}

INIT_FUNCTION VOID KiInitializeMachine(PKPCR Pcr)
{
	const ULONG64 cr0_pe_mp_et_ne_wp_pg = 0x80010033;
	const ULONG64 cr4_pae_pge_osfxsr_osxmm = 0x6A0;
	const ULONG64 user = KGDT64_R3_CMCODE | RPL_MASK;

	KiWriteCr0(cr0_pe_mp_et_ne_wp_pg);
	KiWriteCr4(cr4_pae_pge_osfxsr_osxmm);
	KiWriteMsr(MSR_EFER, KiReadMsr(MSR_EFER) | 0x801); /* NXE, SCE */
	KiWriteMsr(MSR_STAR, user << 48 | (ULONG64)KGDT64_R0_CODE << 32);
	KiWriteMsr(MSR_LSTAR, (ULONG64)(ULONG_PTR)KiSystemCall64);
	KiWriteMsr(MSR_SYSCALL_MASK, 0x4700); /* TF, IF, DF, NT */
	KiWriteDr7(0x400);
	Pcr->Prcb.MxCsr = 0x1F80;
	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(Pcr->Prcb.MxCsr));
}
