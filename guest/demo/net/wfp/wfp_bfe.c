/* SPDX-License-Identifier: MIT */
/*
 * The base filtering engine as a service: it runs once there is a stack. A driver that starts
 * before has to subscribe and wait, as on a real system at boot.
 */
#include "guest/demo/net/wfp/wfp_engine.h"

struct subscription {
	LIST_ENTRY link;
	FWPM_SERVICE_STATE_CHANGE_CALLBACK0 callback;
	PVOID context;
	ULONG told;
};

const WFP_STACK_OPS *WfpStack;
static LIST_ENTRY WfpSubscriptions = { &WfpSubscriptions, &WfpSubscriptions };

ULONG NTAPI FwpmBfeStateGet0(VOID)
{
	return WfpStack != NULL ? FWPM_SERVICE_RUNNING : FWPM_SERVICE_STOPPED;
}

NTSTATUS NTAPI FwpmBfeStateSubscribeChanges0(PVOID deviceObject,
					     FWPM_SERVICE_STATE_CHANGE_CALLBACK0 callback,
					     PVOID context, HANDLE *changeHandle)
{
	struct subscription *made;
	KIRQL irql;

	if (!WfpCheckIrql("FwpmBfeStateSubscribeChanges0", PASSIVE_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	if (deviceObject == NULL || callback == NULL || changeHandle == NULL)
		return STATUS_INVALID_PARAMETER;
	made = WfpAllocate(sizeof(*made));
	if (made == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	made->callback = callback;
	made->context = context;
	made->told = FwpmBfeStateGet0();
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	InsertTailList(&WfpSubscriptions, &made->link);
	KeReleaseSpinLock(&WfpLock, irql);
	*changeHandle = made;
	return STATUS_SUCCESS;
}

static struct subscription *find(HANDLE handle) /* lock held */
{
	for (PLIST_ENTRY at = WfpSubscriptions.Flink; at != &WfpSubscriptions; at = at->Flink) {
		if (CONTAINING_RECORD(at, struct subscription, link) == handle)
			return handle;
	}
	return NULL;
}

NTSTATUS NTAPI FwpmBfeStateUnsubscribeChanges0(HANDLE changeHandle)
{
	struct subscription *found;
	KIRQL irql;

	if (!WfpCheckIrql("FwpmBfeStateUnsubscribeChanges0", PASSIVE_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	found = find(changeHandle);
	if (found != NULL)
		RemoveEntryList(&found->link);
	KeReleaseSpinLock(&WfpLock, irql);
	if (found == NULL)
		return STATUS_INVALID_HANDLE;
	WfpFree(found);
	return STATUS_SUCCESS;
}

/* Somebody who has not heard of this state; the callback may unsubscribe. */
static BOOLEAN take_untold(ULONG state, struct subscription *copy)
{
	BOOLEAN found = FALSE;
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);

	for (PLIST_ENTRY at = WfpSubscriptions.Flink; at != &WfpSubscriptions && !found;
	     at = at->Flink) {
		struct subscription *one = CONTAINING_RECORD(at, struct subscription, link);

		if (one->told == state)
			continue;
		one->told = state;
		*copy = *one;
		found = TRUE;
	}
	KeReleaseSpinLock(&WfpLock, irql);
	return found;
}

VOID NTAPI WfpRegisterStack(const WFP_STACK_OPS *Ops)
{
	struct subscription one;
	ULONG state;

	WfpStack = Ops;
	state = FwpmBfeStateGet0();
	while (take_untold(state, &one))
		one.callback(one.context, state);
}
