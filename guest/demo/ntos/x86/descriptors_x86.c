/* SPDX-License-Identifier: MIT */
/* GDT, IDT and TSSs of each processor, with the selectors of every NT x86. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"
#include "guest/demo/ntos/inc/ntmm.h"

enum {
	GDT_ENTRIES = 16,
	IDT_ENTRIES = 256,
	ACCESS_INTERRUPT = 0x8E00,
	ACCESS_TASK = 0x8500,
	TSS_AVAILABLE = 0x89,
	DATA_R3 = 0xF3,
	DATA_R0 = 0x93,
	BIG = 0x40,
};

struct processor_tables {
	ULONG64 Gdt[GDT_ENTRIES];
	KTSS Tss, DoubleFaultTss, NmiTss;
	UCHAR Fill[8];
};

static struct processor_tables tables[MAXIMUM_PROCESSORS] __attribute__((aligned(64)));
static KIDTENTRY KiIdt[IDT_ENTRIES] __attribute__((aligned(4096)));

typedef VOID KI_ENTRY(VOID);
/* clang-format off */
KI_ENTRY KiTrap00, KiTrap01, KiTrap02, KiTrap03, KiTrap04, KiTrap05, KiTrap06, KiTrap07, KiTrap08,
	KiTrap09, KiTrap0A, KiTrap0B, KiTrap0C, KiTrap0D, KiTrap0E, KiTrap10, KiTrap11, KiTrap12,
	KiTrap13, KiRaiseSecurityCheckFailure, KiRaiseAssertion, KiDebugService, KiDpcInterrupt,
	KiClockInterrupt, KiIpiInterrupt, KiSpuriousInterrupt, KiWakeInterrupt,
	KiDeviceInterrupt0, KiDeviceInterrupt1, KiDeviceInterrupt2,
	KiDeviceInterrupt3,
	KiUnexpectedInterrupt, KiFastCallEntry;

static const struct {
	UCHAR Vector, Dpl;
	KI_ENTRY *Handler;
} KiInterruptInitTable[] = {
	{ 0x00, 0, KiTrap00 },
	{ 0x01, 0, KiTrap01 },
	{ 0x03, 3, KiTrap03 },
	{ 0x04, 3, KiTrap04 },
	{ 0x05, 0, KiTrap05 },
	{ 0x06, 0, KiTrap06 },
	{ 0x07, 0, KiTrap07 },
	{ 0x09, 0, KiTrap09 },
	{ 0x0A, 0, KiTrap0A },
	{ 0x0B, 0, KiTrap0B },
	{ 0x0C, 0, KiTrap0C },
	{ 0x0D, 0, KiTrap0D },
	{ 0x0E, 0, KiTrap0E },
	{ 0x10, 0, KiTrap10 },
	{ 0x11, 0, KiTrap11 },
	{ 0x12, 0, KiTrap12 },
	{ 0x13, 0, KiTrap13 },
	{ 0x29, 3, KiRaiseSecurityCheckFailure },
	{ 0x2C, 3, KiRaiseAssertion },
	{ 0x2D, 3, KiDebugService },
	{ KI_VECTOR_DISPATCH, 0, KiDpcInterrupt },
	{ KI_DEVICE_VECTOR + 0, 0, KiDeviceInterrupt0 },
	{ KI_DEVICE_VECTOR + 1, 0, KiDeviceInterrupt1 },
	{ KI_DEVICE_VECTOR + 2, 0, KiDeviceInterrupt2 },
	{ KI_DEVICE_VECTOR + 3, 0, KiDeviceInterrupt3 },
	{ KI_VECTOR_CLOCK, 0, KiClockInterrupt },
	{ KI_VECTOR_SPURIOUS, 0, KiSpuriousInterrupt },
	{ KI_VECTOR_IPI, 0, KiIpiInterrupt },
	{ KI_VECTOR_WAKE, 0, KiWakeInterrupt },
};
/* clang-format on */

INIT_FUNCTION static VOID set_gate(ULONG vector, KI_ENTRY *handler, ULONG dpl)
{
	ULONG address = (ULONG)(ULONG_PTR)handler;

	KiIdt[vector] = (KIDTENTRY){
		.Offset = (USHORT)address,
		.ExtendedOffset = (USHORT)(address >> 16),
		.Selector = KGDT_R0_CODE,
		.Access = (USHORT)(ACCESS_INTERRUPT | dpl << 13),
	};
}

INIT_FUNCTION static VOID set_task_gate(ULONG vector, USHORT selector)
{
	KiIdt[vector] = (KIDTENTRY){ .Selector = selector, .Access = ACCESS_TASK };
}

INIT_FUNCTION static VOID fill_idt(VOID)
{
	for (ULONG i = 0; i < IDT_ENTRIES; i++)
		set_gate(i, KiUnexpectedInterrupt, 0);
	for (ULONG i = 0; i < RTL_NUMBER_OF(KiInterruptInitTable); i++)
		set_gate(KiInterruptInitTable[i].Vector, KiInterruptInitTable[i].Handler,
			 KiInterruptInitTable[i].Dpl);
	set_task_gate(2, KGDT_NMI_TSS);
	set_task_gate(8, KGDT_DF_TSS);
}

static ULONG64 descriptor(ULONG base, ULONG limit, ULONG access, ULONG flags)
{
	return (limit & 0xFFFF) | (ULONG64)(base & 0xFFFFFF) << 16 | (ULONG64)access << 40 |
	       (ULONG64)((limit >> 16 & 15) | flags) << 48 | (ULONG64)(base >> 24) << 56;
}

static ULONG64 system_descriptor(const VOID *at, SIZE_T size, ULONG access, ULONG flags)
{
	return descriptor((ULONG)(ULONG_PTR)at, (ULONG)size - 1, access, flags);
}

INIT_FUNCTION static VOID fill_gdt(struct processor_tables *t, PKPCR pcr)
{
	PULONG64 gdt = t->Gdt;

	gdt[KGDT_R0_CODE / 8] = 0x00CF9B000000FFFF;
	gdt[KGDT_R0_DATA / 8] = 0x00CF93000000FFFF;
	gdt[KGDT_R3_CODE / 8] = 0x00CFFB000000FFFF;
	gdt[KGDT_R3_DATA / 8] = 0x00CFF3000000FFFF;
	gdt[KGDT_TSS / 8] = system_descriptor(&t->Tss, sizeof(KTSS), TSS_AVAILABLE, 0);
	gdt[KGDT_R0_PCR / 8] = system_descriptor(pcr, sizeof(*pcr), DATA_R0, BIG);
	gdt[KGDT_R3_TEB / 8] = descriptor(0, PAGE_SIZE - 1, DATA_R3, BIG);
	gdt[KGDT_DF_TSS / 8] = system_descriptor(&t->DoubleFaultTss, sizeof(KTSS), TSS_AVAILABLE,
						 0);
	gdt[KGDT_NMI_TSS / 8] = system_descriptor(&t->NmiTss, sizeof(KTSS), TSS_AVAILABLE, 0);
}

INIT_FUNCTION static VOID fill_task(PKTSS tss, KI_ENTRY *handler, ULONG_PTR stack)
{
	*tss = (KTSS){
		.Esp0 = (ULONG)stack,
		.Ss0 = KGDT_R0_DATA,
		.CR3 = KiReadCr3(),
		.Eip = (ULONG)(ULONG_PTR)handler,
		.EFlags = 2,
		.Esp = (ULONG)stack,
		.Es = KGDT_R3_DATA | RPL_MASK,
		.Cs = KGDT_R0_CODE,
		.Ss = KGDT_R0_DATA,
		.Ds = KGDT_R3_DATA | RPL_MASK,
		.Fs = KGDT_R0_PCR,
		.IoMapBase = sizeof(*tss),
	};
}

INIT_FUNCTION VOID KiInitializeDescriptors(PKPCR Pcr, ULONG_PTR InterruptStacks[3])
{
	struct processor_tables *t = &tables[KiPrcbOf(Pcr)->Number];
	KDESCRIPTOR gdtr = { .Limit = sizeof(t->Gdt) - 1, .Base = (ULONG)(ULONG_PTR)t->Gdt };
	KDESCRIPTOR idtr = { .Limit = sizeof(KiIdt) - 1, .Base = (ULONG)(ULONG_PTR)KiIdt };

	if (KiPrcbOf(Pcr)->Number == 0) {
		MiChoosePaging();
		fill_idt();
	}
	fill_gdt(t, Pcr);
	t->Tss = (KTSS){ .Ss0 = KGDT_R0_DATA, .IoMapBase = sizeof(KTSS) };
	fill_task(&t->DoubleFaultTss, KiTrap08, InterruptStacks[0]);
	fill_task(&t->NmiTss, KiTrap02, InterruptStacks[2]);
	Pcr->GDT = (PKGDTENTRY)t->Gdt;
	Pcr->TSS = &t->Tss;
	Pcr->IDT = KiIdt;

	__asm__ volatile("lgdt %0" : : "m"(gdtr.Limit));
	__asm__ volatile("lidt %0" : : "m"(idtr.Limit));
	__asm__ volatile("movw %w0, %%ds; movw %w0, %%es" : : "r"(KGDT_R3_DATA | RPL_MASK));
	__asm__ volatile("movw %w0, %%gs" : : "r"(0));
	__asm__ volatile("movw %w0, %%fs" : : "r"(KGDT_R0_PCR));
	__asm__ volatile("movw %w0, %%ss" : : "r"(KGDT_R0_DATA));
	__asm__ volatile("ljmp %0, $1f; 1:" : : "i"(KGDT_R0_CODE) : "memory");
	__asm__ volatile("ltr %w0" : : "r"(KGDT_TSS));
	__asm__ volatile("lldt %w0" : : "r"(0));
}

INIT_FUNCTION VOID KiInitializeMachine(PKPCR Pcr)
{
	const ULONG cr0_pe_mp_et_ne_wp_pg = 0x80010033;
	const ULONG cr4_pge_osfxsr_osxmm = 0x680;
	PKPRCB prcb = KiPrcbOf(Pcr);

	KiWriteCr0(cr0_pe_mp_et_ne_wp_pg);
	KiWriteCr4((KiReadCr4() & (CR4_PSE | CR4_PAE)) | cr4_pge_osfxsr_osxmm);
	KiWriteMsr(MSR_SYSENTER_CS, KGDT_R0_CODE);
	KiWriteMsr(MSR_SYSENTER_ESP, (ULONG_PTR)prcb->SysenterStack + sizeof(prcb->SysenterStack));
	KiWriteMsr(MSR_SYSENTER_EIP, (ULONG_PTR)KiFastCallEntry);
	KiWriteDr7(0x400);
	prcb->MxCsr = 0x1F80;
	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(prcb->MxCsr));
}
