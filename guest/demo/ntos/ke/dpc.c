/* SPDX-License-Identifier: MIT */
/* Deferred procedure calls: a queue for each processor, emptied by its dispatch interrupt. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/nthal.h"

struct dpc_queue {
	KSPIN_LOCK Lock; /* taken with interrupts off */
	LIST_ENTRY List;
};

static struct dpc_queue KiDpcQueues[MAXIMUM_PROCESSORS];

VOID KeInitializeDpc(PKDPC Dpc, KDEFERRED_ROUTINE *DeferredRoutine, PVOID DeferredContext)
{
	__builtin_memset(Dpc, 0, sizeof(*Dpc));
	Dpc->Type = DpcObject;
	Dpc->Importance = 1;
	Dpc->DeferredRoutine = DeferredRoutine;
	Dpc->DeferredContext = DeferredContext;
}

/** FALSE: it is queued already, and keeps the arguments it was queued with. */
BOOLEAN KeInsertQueueDpc(PKDPC Dpc, PVOID SystemArgument1, PVOID SystemArgument2)
{
	BOOLEAN enable = KeDisableInterrupts();
	struct dpc_queue *queue = &KiDpcQueues[KeGetCurrentProcessorNumber()];
	PVOID expected = NULL;
	BOOLEAN inserted;

	KxAcquireSpinLock(&queue->Lock);
	inserted = __atomic_compare_exchange_n(&Dpc->DpcData, &expected, (PVOID)queue, FALSE,
					       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	if (inserted) {
		Dpc->SystemArgument1 = SystemArgument1;
		Dpc->SystemArgument2 = SystemArgument2;
		if (queue->List.Flink == NULL)
			InitializeListHead(&queue->List);
		InsertTailList(&queue->List, &Dpc->DpcListEntry);
	}
	KxReleaseSpinLock(&queue->Lock);
	if (inserted)
		HalRequestSoftwareInterrupt(KI_VECTOR_DISPATCH);
	KeRestoreInterrupts(enable);
	return inserted;
}

/** TRUE: it was queued and will not run. FALSE: it was not, or it may be running. */
BOOLEAN KeRemoveQueueDpc(PKDPC Dpc)
{
	BOOLEAN enable = KeDisableInterrupts();
	struct dpc_queue *queue = Dpc->DpcData;
	BOOLEAN removed = FALSE;

	if (queue != NULL) {
		KxAcquireSpinLock(&queue->Lock);
		if (Dpc->DpcData == queue) {
			RemoveEntryList(&Dpc->DpcListEntry);
			Dpc->DpcData = NULL;
			removed = TRUE;
		}
		KxReleaseSpinLock(&queue->Lock);
	}
	KeRestoreInterrupts(enable);
	return removed;
}

static BOOLEAN take(struct dpc_queue *queue, PKDPC copy)
{
	BOOLEAN taken = FALSE;

	if (queue->List.Flink == NULL || IsListEmpty(&queue->List))
		return FALSE;
	KiDisableInterrupts();
	KxAcquireSpinLock(&queue->Lock);
	if (!IsListEmpty(&queue->List)) {
		PKDPC dpc = CONTAINING_RECORD(RemoveHeadList(&queue->List), KDPC, DpcListEntry);

		/* From here on it may be queued again, also by its own routine. */
		*copy = *dpc;
		copy->DpcData = dpc;
		dpc->DpcData = NULL;
		taken = TRUE;
	}
	KxReleaseSpinLock(&queue->Lock);
	KiEnableInterrupts();
	return taken;
}

VOID KiRetireDpcList(VOID)
{
	struct dpc_queue *queue = &KiDpcQueues[KeGetCurrentProcessorNumber()];
	KDPC dpc;

	while (take(queue, &dpc))
		dpc.DeferredRoutine(dpc.DpcData, dpc.DeferredContext, dpc.SystemArgument1,
				    dpc.SystemArgument2);
}
