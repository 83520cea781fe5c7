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
KPCR KiInitialPCR;

VOID KiApplicationProcessorStart(VOID);

static volatile ULONG KiFlushGeneration;
static volatile ULONG KiFlushSeen[MAXIMUM_PROCESSORS];

static VOID flush_this_processor(VOID)
{
	ULONG64 cr4 = KiReadCr4();

	/* Toggling PGE drops global translations too. */
	KiFlushSeen[KeGetCurrentProcessorNumber()] = KiFlushGeneration;
	KiWriteCr4(cr4 & ~0x80ull);
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
	pcr->Self = pcr;
	pcr->CurrentPrcb = &pcr->Prcb;
	pcr->MajorVersion = 1;
	pcr->MinorVersion = 1;
	pcr->Prcb.MajorVersion = 1;
	pcr->Prcb.MinorVersion = 1;
	pcr->Prcb.Number = number;
	pcr->Prcb.LegacyNumber = (UCHAR)number;
	pcr->Prcb.Context = &pcr->Prcb.ProcessorState.ContextFrame;
	pcr->Prcb.ClockOwner = number == 0;
	KiProcessorBlock[number] = &pcr->Prcb;
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
	KiIdentifyProcessor(&KiInitialPCR.Prcb);
	KeNumberProcessors = 1;
}

INIT_FUNCTION static BOOLEAN start_processor(ULONG number)
{
	PKPCR pcr = ExAllocatePoolWithTag(NonPagedPool, sizeof(*pcr) + 64,
					  POOL_TAG('K', 'p', 'c', 'r'));
	PUCHAR stack = MmCreateKernelStack();

	if (pcr == NULL || stack == NULL)
		return FALSE;
	pcr = (PKPCR)(((ULONG_PTR)pcr + 63) & ~(ULONG_PTR)63);
	initialize_pcr(pcr, number);
	PsInitializeIdleThread(&pcr->Prcb, stack + KERNEL_STACK_SIZE, KERNEL_STACK_SIZE);
	if (HalStartNextProcessor(number, MmSystemPageTable,
				  (PVOID)(ULONG_PTR)KiApplicationProcessorStart,
				  stack + KERNEL_STACK_SIZE - 16, pcr)) {
		while (pcr->Prcb.Started == 0)
			KiPause();
		return TRUE;
	}
	/* The idle thread made for it stays in no list a debugger would believe. */
	KiProcessorBlock[number] = NULL;
	RemoveEntryList(&pcr->Prcb.IdleThread->ThreadListEntry);
	RemoveEntryList(&((PETHREAD)pcr->Prcb.IdleThread)->ThreadListEntry);
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
	PUCHAR stacks;
	ULONG_PTR tops[3];

	KiWriteCr3(MmSystemPageTable); /* the starter's had the low page mapped */
	stacks = ExAllocatePoolWithTag(NonPagedPool, 3 * KERNEL_STACK_SIZE,
				       POOL_TAG('I', 's', 't', ' '));
	for (ULONG i = 0; i < 3; i++)
		tops[i] = (ULONG_PTR)stacks + (i + 1) * KERNEL_STACK_SIZE;
	KiInitializeDescriptors(Pcr, tops);
	KiInitializeMachine(Pcr);
	KiIdentifyProcessor(&Pcr->Prcb);
	KiFlushSeen[Pcr->Prcb.Number] = KiFlushGeneration;
	HalInitializeProcessor(Pcr->Prcb.Number);
	KfRaiseIrql(PASSIVE_LEVEL);
	HalStartProfileClock(KI_VECTOR_CLOCK, KI_CLOCK_HZ);
	KeNumberProcessors++;
	Pcr->Prcb.Started = 1;
	KiStartIdle(Pcr->Prcb.IdleThread->InitialStack, KiIdleLoop);
}
