/* SPDX-License-Identifier: MIT */
/* Callouts: their registered functions. The management object is made in wfp_objects.c. */
#include "guest/demo/net/wfp/wfp_engine.h"

static LIST_ENTRY WfpCallouts = { &WfpCallouts, &WfpCallouts };
static ULONG WfpLastCalloutId = 0x100; /* the built-in ones of Windows come before */

struct wfp_callout *WfpFindCallout(const GUID *Key)
{
	for (PLIST_ENTRY at = WfpCallouts.Flink; at != &WfpCallouts; at = at->Flink) {
		struct wfp_callout *callout = CONTAINING_RECORD(at, struct wfp_callout,
								object.link);

		if (WfpIsSameGuid(&callout->object.key, Key))
			return callout;
	}
	return NULL;
}

struct wfp_callout *WfpFindCalloutById(ULONG Id)
{
	for (PLIST_ENTRY at = WfpCallouts.Flink; at != &WfpCallouts; at = at->Flink) {
		struct wfp_callout *callout = CONTAINING_RECORD(at, struct wfp_callout,
								object.link);

		if (callout->id == Id)
			return callout;
	}
	return NULL;
}

struct wfp_callout *WfpMakeCallout(const GUID *Key)
{
	struct wfp_callout *callout = WfpFindCallout(Key);

	if (callout != NULL)
		return callout;
	callout = WfpAllocate(sizeof(*callout));
	if (callout == NULL)
		return NULL;
	callout->object.key = *Key;
	callout->id = ++WfpLastCalloutId;
	InsertTailList(&WfpCallouts, &callout->object.link);
	return callout;
}

VOID WfpReleaseCallout(struct wfp_callout *Callout)
{
	if (Callout->is_added || Callout->is_registered)
		return;
	RemoveEntryList(&Callout->object.link);
	WfpFree(Callout);
}

NTSTATUS NTAPI FwpsCalloutRegister2(PVOID deviceObject, const FWPS_CALLOUT2 *callout,
				    ULONG *calloutId)
{
	struct wfp_callout *made;
	NTSTATUS status = STATUS_SUCCESS;
	KIRQL irql;

	if (!WfpCheckIrql("FwpsCalloutRegister", PASSIVE_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	if (deviceObject == NULL || callout == NULL || callout->classifyFn == NULL ||
	    callout->notifyFn == NULL)
		return STATUS_INVALID_PARAMETER;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	made = WfpMakeCallout(&callout->calloutKey);
	if (made == NULL) {
		status = STATUS_INSUFFICIENT_RESOURCES;
	} else if (made->is_registered) {
		status = STATUS_FWP_ALREADY_EXISTS;
	} else {
		made->functions = *callout;
		made->is_registered = TRUE;
		made->is_closing = FALSE;
		if (calloutId != NULL)
			*calloutId = made->id;
	}
	KeReleaseSpinLock(&WfpLock, irql);
	return status;
}

NTSTATUS NTAPI FwpsCalloutRegister1(PVOID deviceObject, const FWPS_CALLOUT1 *callout,
				    ULONG *calloutId)
{
	return FwpsCalloutRegister2(deviceObject, callout, calloutId);
}

/* STATUS_PENDING: a call is on its way. */
static NTSTATUS try_unregister(ULONG id)
{
	NTSTATUS status = STATUS_SUCCESS;
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	struct wfp_callout *callout = WfpFindCalloutById(id);

	if (callout == NULL || !callout->is_registered) {
		status = STATUS_FWP_CALLOUT_NOT_FOUND;
	} else if (callout->contexts != 0) {
		callout->is_closing = FALSE;
		status = STATUS_DEVICE_BUSY;
	} else if (callout->active != 0) {
		callout->is_closing = TRUE;
		status = STATUS_PENDING;
	} else {
		callout->is_registered = FALSE;
		WfpReleaseCallout(callout);
	}
	KeReleaseSpinLock(&WfpLock, irql);
	return status;
}

NTSTATUS NTAPI FwpsCalloutUnregisterById0(ULONG calloutId)
{
	NTSTATUS status;

	if (!WfpCheckIrql("FwpsCalloutUnregisterById0", PASSIVE_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	while ((status = try_unregister(calloutId)) == STATUS_PENDING)
		WfpSleep();
	return status;
}

NTSTATUS WfpNotify(struct wfp_filter *Filter, ULONG Type)
{
	FWPS_CALLOUT_NOTIFY_FN2 notify = NULL;
	struct wfp_callout *callout;
	NTSTATUS status;
	KIRQL irql;

	if ((Filter->run.action.type & FWP_ACTION_FLAG_CALLOUT) == 0)
		return STATUS_SUCCESS;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	callout = WfpFindCallout(&Filter->callout);
	if (callout != NULL && callout->is_registered && !callout->is_closing) {
		callout->active++;
		notify = callout->functions.notifyFn;
	}
	KeReleaseSpinLock(&WfpLock, irql);
	if (notify == NULL)
		return STATUS_SUCCESS;
	status = notify(Type, &Filter->object.key, &Filter->run);
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	callout->active--;
	KeReleaseSpinLock(&WfpLock, irql);
	return status;
}
