/* SPDX-License-Identifier: MIT */
/* More than one processor: bringing them up, telling them things. */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/inc/ntshared.h"
#include "guest/demo/ntos/inc/psp.h"
#include "guest/demo/ntos/inc/rtl.h"

PKPRCB KiProcessorBlock[MAXIMUM_PROCESSORS];
UCHAR KeNumberProcessors;

VOID KiApplicationProcessorStart(PKPCR Pcr); /* assembly; calls KiApplicationProcessorMain */

static volatile ULONG KiFlushGeneration;
static volatile ULONG KiFlushSeen[MAXIMUM_PROCESSORS];

static VOID flush_this_processor(VOID)
{
	ULONG_PTR cr4 = KiReadCr4();

	/* Toggling PGE drops global translations too. */
	KiFlushSeen[KeGetCurrentProcessorNumber()] = KiFlushGeneration;
	KiWriteCr4(cr4 & ~(ULONG_PTR)0x80);
	KiWriteCr4(cr4);
}

/** The IPI: whatever another processor wants; state words say what. IPI_LEVEL, interrupts off. */
VOID KiIpiServiceRoutine(PKTRAP_FRAME TrapFrame)
{
	PKPRCB prcb = KeGetCurrentPrcb();

	HalEndOfInterrupt();
	prcb->InterruptCount++;
	if (KiFlushSeen[prcb->Number] != KiFlushGeneration)
		flush_this_processor();
	if ((prcb->IpiFrozen & KI_FREEZE_MASK) == KI_FREEZE_REQUEST)
		KiIpiWithExceptionFrame(TrapFrame);
}

VOID KeFlushEntireTb(VOID)
{
	static KSPIN_LOCK lock;
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);
	ULONG generation;

	KxAcquireSpinLock(&lock);
	generation = __atomic_add_fetch(&KiFlushGeneration, 1, __ATOMIC_SEQ_CST);
	flush_this_processor();
	for (ULONG i = 0; i < KeNumberProcessors; i++) {
		if (i == KeGetCurrentProcessorNumber())
			continue;
		HalRequestIpi(i, KI_VECTOR_IPI);
		while (KiFlushSeen[i] != generation)
			KiPause();
	}
	KxReleaseSpinLock(&lock);
	KeLowerIrql(irql);
}

static VOID initialize_pcr(PKPCR pcr, ULONG number)
{
	KiInitializePcr(pcr, number);
	KiPrcbOf(pcr)->ClockOwner = number == 0;
	KiProcessorBlock[number] = KiPrcbOf(pcr);
}

/** What CPUID says of the calling processor. */
static VOID KiIdentifyProcessor(PKPRCB Prcb)
{
	ULONG eax, ebx, ecx, edx;

	__asm__ volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(0));
	__builtin_memcpy(Prcb->VendorString, &ebx, 4);
	__builtin_memcpy(Prcb->VendorString + 4, &edx, 4);
	__builtin_memcpy(Prcb->VendorString + 8, &ecx, 4);
	__asm__ volatile("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(1));
	Prcb->CpuID = 1;
	Prcb->CpuType = (CHAR)(eax >> 8 & 15);
	if (Prcb->CpuType == 15)
		Prcb->CpuType = (CHAR)(Prcb->CpuType + (eax >> 20 & 0xFF));
	Prcb->CpuStep = (USHORT)((eax >> 4 & 15) << 8 | (eax >> 12 & 0xF0) << 8 | (eax & 15));
	Prcb->ApicId = ebx >> 24;
	Prcb->CpuVendor = Prcb->VendorString[0] == 'A' ? 1 : 2;
}

/** Processor 0, first thing: its PCR, tables and interrupt stacks are static. */
INIT_FUNCTION VOID KiInitializeBootProcessor(VOID)
{
	static UCHAR stacks[3][KERNEL_STACK_SIZE] __attribute__((aligned(16)));
	ULONG_PTR tops[3];

	for (ULONG i = 0; i < 3; i++)
		tops[i] = (ULONG_PTR)stacks[i] + sizeof(stacks[i]);
	initialize_pcr(&KiInitialPCR, 0);
	KiInitializeDescriptors(&KiInitialPCR, tops);
	KiInitializeMachine(&KiInitialPCR);
	KiIdentifyProcessor(KiPrcbOf(&KiInitialPCR));
	KeNumberProcessors = 1;
}

/* The interrupt stacks of the processor that is being started: it can't allocate them without a
 * PCR. */
static PUCHAR KiStartingStacks;

INIT_FUNCTION static BOOLEAN start_processor(ULONG number)
{
	PKPCR pcr = ExAllocatePoolWithTag(NonPagedPool, sizeof(*pcr) + 64,
					  POOL_TAG('K', 'p', 'c', 'r'));
	PUCHAR stack = MmCreateKernelStack();

	KiStartingStacks = ExAllocatePoolWithTag(NonPagedPool, 3 * KERNEL_STACK_SIZE,
						 POOL_TAG('I', 's', 't', ' '));
	if (pcr == NULL || stack == NULL || KiStartingStacks == NULL)
		return FALSE;
	pcr = (PKPCR)(((ULONG_PTR)pcr + 63) & ~(ULONG_PTR)63);
	initialize_pcr(pcr, number);
	PsInitializeIdleThread(KiPrcbOf(pcr), stack + KERNEL_STACK_SIZE, KERNEL_STACK_SIZE);
	if (HalStartNextProcessor(number, MmSystemPageTable,
				  (PVOID)(ULONG_PTR)KiApplicationProcessorStart,
				  stack + KERNEL_STACK_SIZE - 16, pcr)) {
		while (KiPrcbOf(pcr)->Started == 0)
			KiPause();
		return TRUE;
	}
	/* The idle thread made for it stays in no list a debugger would believe. */
	KiProcessorBlock[number] = NULL;
	RemoveEntryList(&KiPrcbOf(pcr)->IdleThread->ThreadListEntry);
	RemoveEntryList(&((PETHREAD)KiPrcbOf(pcr)->IdleThread)->ThreadListEntry);
	PsIdleProcess->ActiveThreads--;
	return FALSE;
}

/** Phase 1: start what the machine has, one after the other. */
INIT_FUNCTION VOID KeStartAllProcessors(VOID)
{
	while (KeNumberProcessors < MAXIMUM_PROCESSORS && start_processor(KeNumberProcessors))
		;
	KI_USER_SHARED_DATA->ActiveProcessorCount = KeNumberProcessors;
}

/** A started processor arrives, on its idle thread's stack, interrupts off. */
VOID KiApplicationProcessorMain(PKPCR Pcr)
{
	PKPRCB prcb = KiPrcbOf(Pcr);
	ULONG_PTR tops[3];

	KiWriteCr3(MmSystemPageTable); /* the starter's had the low page mapped */
	for (ULONG i = 0; i < 3; i++)
		tops[i] = (ULONG_PTR)KiStartingStacks + (i + 1) * KERNEL_STACK_SIZE;
	KiInitializeDescriptors(Pcr, tops);
	KiInitializeMachine(Pcr);
	KiIdentifyProcessor(prcb);
	KiFlushSeen[prcb->Number] = KiFlushGeneration;
	HalInitializeProcessor(prcb->Number);
	KfRaiseIrql(PASSIVE_LEVEL);
	HalStartProfileClock(KI_VECTOR_CLOCK, KI_CLOCK_HZ);
	KeNumberProcessors++;
	prcb->Started = 1;
	KiStartIdle(prcb->IdleThread->InitialStack, KiIdleLoop);
}
