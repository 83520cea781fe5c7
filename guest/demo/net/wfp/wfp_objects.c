/* SPDX-License-Identifier: MIT */
/* Providers, sublayers and callouts as objects of management, and how changes of all kinds come
 * about. */
#include "guest/demo/net/wfp/wfp_management.h"

static LIST_ENTRY WfpProviders = { &WfpProviders, &WfpProviders };
static LIST_ENTRY WfpSublayers = { &WfpSublayers, &WfpSublayers };

/* Callouts that are objects are in a list of their own, by this. */
struct added_callout {
	struct wfp_object object;
	struct wfp_callout *callout;
};
static LIST_ENTRY WfpAddedCallouts = { &WfpAddedCallouts, &WfpAddedCallouts };

static struct wfp_object *object_at(PLIST_ENTRY at)
{
	return CONTAINING_RECORD(at, struct wfp_object, link);
}

/* What Session may see: not what another one is adding. */
static struct wfp_object *find(PLIST_ENTRY list, const GUID *key)
{
	for (PLIST_ENTRY at = list->Flink; at != list; at = at->Flink) {
		struct wfp_object *object = object_at(at);

		if (object->state != WfpDeleting && WfpIsSameGuid(&object->key, key))
			return object;
	}
	return NULL;
}

/* There is one writer, so lists of which classify knows nothing need no lock. */
static NTSTATUS add(struct wfp_session *session, PLIST_ENTRY list, struct wfp_object *object,
		    const GUID *key, const FWPM_DISPLAY_DATA0 *display)
{
	if (object == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	if (display->name == NULL || find(list, key) != NULL) {
		WfpFree(object);
		return display->name == NULL ? STATUS_FWP_NULL_DISPLAY_NAME
					     : STATUS_FWP_ALREADY_EXISTS;
	}
	object->key = *key;
	object->session = session;
	object->state = WfpAdding;
	InsertTailList(list, &object->link);
	return STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpmProviderAdd0(HANDLE engineHandle, const FWPM_PROVIDER0 *provider, PVOID sd)
{
	struct wfp_session *session;
	struct wfp_provider *made;
	NTSTATUS status;

	if (provider == NULL)
		return STATUS_FWP_NULL_POINTER;
	status = WfpBeginChange("FwpmProviderAdd0", engineHandle, &session);
	if (!NT_SUCCESS(status))
		return status;
	made = WfpAllocate(sizeof(*made));
	status = add(session, &WfpProviders, made != NULL ? &made->object : NULL,
		     &provider->providerKey, &provider->displayData);
	return WfpEndChange(session, status);
}

static BOOLEAN is_provider(const GUID *key)
{
	return key == NULL || find(&WfpProviders, key) != NULL;
}

NTSTATUS NTAPI FwpmSubLayerAdd0(HANDLE engineHandle, const FWPM_SUBLAYER0 *subLayer, PVOID sd)
{
	struct wfp_session *session;
	struct wfp_sublayer *made;
	NTSTATUS status;

	if (subLayer == NULL)
		return STATUS_FWP_NULL_POINTER;
	status = WfpBeginChange("FwpmSubLayerAdd0", engineHandle, &session);
	if (!NT_SUCCESS(status))
		return status;
	if (!is_provider(subLayer->providerKey))
		return WfpEndChange(session, STATUS_FWP_PROVIDER_NOT_FOUND);
	made = WfpAllocate(sizeof(*made));
	if (made != NULL)
		made->weight = subLayer->weight;
	status = add(session, &WfpSublayers, made != NULL ? &made->object : NULL,
		     &subLayer->subLayerKey, &subLayer->displayData);
	return WfpEndChange(session, status);
}

/* What Windows has from the start */
static BOOLEAN is_built_in(const GUID *key, PUSHORT weight)
{
	if (WfpIsSameGuid(key, &FWPM_SUBLAYER_UNIVERSAL))
		*weight = 0x8000;
	else if (WfpIsSameGuid(key, &FWPM_SUBLAYER_INSPECTION))
		*weight = 0;
	else
		return FALSE;
	return TRUE;
}

BOOLEAN WfpFindSublayer(const GUID *Key, PUSHORT Weight)
{
	struct wfp_object *object = find(&WfpSublayers, Key);

	if (object == NULL)
		return is_built_in(Key, Weight);
	*Weight = CONTAINING_RECORD(object, struct wfp_sublayer, object)->weight;
	return TRUE;
}

static VOID drop(PLIST_ENTRY list, struct wfp_object *object)
{
	RemoveEntryList(&object->link);
	if (list == &WfpAddedCallouts) {
		struct wfp_callout *half =
			CONTAINING_RECORD(object, struct added_callout, object)->callout;
		KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);

		if (half != NULL) {
			half->is_added = FALSE;
			WfpReleaseCallout(half);
		}
		KeReleaseSpinLock(&WfpLock, irql);
	}
	WfpFree(object);
}

static NTSTATUS delete (PLIST_ENTRY list, const GUID *key, NTSTATUS not_found)
{
	struct wfp_object *object = find(list, key);

	if (object == NULL)
		return not_found;
	if (object->state == WfpAdding) /* of this transaction: it comes and goes unseen */
		drop(list, object);
	else
		object->state = WfpDeleting;
	return STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpmSubLayerDeleteByKey0(HANDLE engineHandle, const GUID *key)
{
	struct wfp_session *session;
	NTSTATUS status = WfpBeginChange("FwpmSubLayerDeleteByKey0", engineHandle, &session);

	if (!NT_SUCCESS(status))
		return status;
	if (WfpIsSublayerUsed(key))
		return WfpEndChange(session, STATUS_FWP_IN_USE);
	status = delete (&WfpSublayers, key, STATUS_FWP_SUBLAYER_NOT_FOUND);
	return WfpEndChange(session, status);
}

/* The object, and that its half of the callout is there */
static NTSTATUS add_callout(struct wfp_session *session, const FWPM_CALLOUT0 *callout, ULONG *id)
{
	const struct wfp_layer *layer = WfpFindLayer(&callout->applicableLayer);
	struct added_callout *made;
	struct wfp_callout *half;
	NTSTATUS status;
	KIRQL irql;

	if (layer == NULL)
		return STATUS_FWP_LAYER_NOT_FOUND;
	if (!is_provider(callout->providerKey))
		return STATUS_FWP_PROVIDER_NOT_FOUND;
	made = WfpAllocate(sizeof(*made));
	status = add(session, &WfpAddedCallouts, made != NULL ? &made->object : NULL,
		     &callout->calloutKey, &callout->displayData);
	if (!NT_SUCCESS(status))
		return status;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	half = WfpMakeCallout(&callout->calloutKey);
	if (half != NULL) {
		half->is_added = TRUE;
		half->layer = layer;
	}
	KeReleaseSpinLock(&WfpLock, irql);
	made->callout = half; /* NULL: the change is undone */
	if (half == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	if (id != NULL)
		*id = half->id;
	return STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpmCalloutAdd0(HANDLE engineHandle, const FWPM_CALLOUT0 *callout, PVOID sd,
			       ULONG *id)
{
	struct wfp_session *session;
	NTSTATUS status;

	if (callout == NULL)
		return STATUS_FWP_NULL_POINTER;
	status = WfpBeginChange("FwpmCalloutAdd0", engineHandle, &session);
	if (!NT_SUCCESS(status))
		return status;
	return WfpEndChange(session, add_callout(session, callout, id));
}

BOOLEAN WfpFindAddedCallout(const GUID *Key, const struct wfp_layer **Layer, PULONG Id)
{
	struct wfp_object *object = find(&WfpAddedCallouts, Key);
	struct wfp_callout *half;

	if (object == NULL)
		return FALSE;
	half = CONTAINING_RECORD(object, struct added_callout, object)->callout;
	*Layer = half->layer;
	*Id = half->id;
	return TRUE;
}

NTSTATUS NTAPI FwpmCalloutDeleteByKey0(HANDLE engineHandle, const GUID *key)
{
	struct wfp_session *session;
	NTSTATUS status = WfpBeginChange("FwpmCalloutDeleteByKey0", engineHandle, &session);

	if (!NT_SUCCESS(status))
		return status;
	if (WfpIsCalloutUsed(key))
		return WfpEndChange(session, STATUS_FWP_IN_USE);
	status = delete (&WfpAddedCallouts, key, STATUS_FWP_CALLOUT_NOT_FOUND);
	return WfpEndChange(session, status);
}

/* --- changes --- */

/* Make true what was wished (doomed: WfpDeleting), or undo it (doomed: WfpAdding). */
static VOID settle(PLIST_ENTRY list, enum wfp_state doomed)
{
	for (PLIST_ENTRY at = list->Flink, next; at != list; at = next) {
		struct wfp_object *object = object_at(at);

		next = at->Flink;
		if (object->state == doomed)
			drop(list, object);
		else
			object->state = WfpLive;
	}
}

static VOID settle_all(enum wfp_state doomed)
{
	settle(&WfpAddedCallouts, doomed);
	settle(&WfpSublayers, doomed);
	settle(&WfpProviders, doomed);
}

NTSTATUS WfpCommitObjects(struct wfp_session *Session)
{
	NTSTATUS status = WfpCommitFilters();

	if (NT_SUCCESS(status))
		settle_all(WfpDeleting);
	return status;
}

VOID WfpAbortObjects(struct wfp_session *Session)
{
	WfpAbortFilters();
	settle_all(WfpAdding);
}

static VOID leave(PLIST_ENTRY list, struct wfp_session *session)
{
	for (PLIST_ENTRY at = list->Flink; at != list; at = at->Flink) {
		struct wfp_object *object = object_at(at);

		if (object->session != session)
			continue;
		object->session = NULL;
		if (session->is_dynamic)
			object->state = WfpDeleting;
	}
}

VOID WfpLeaveSession(struct wfp_session *Session)
{
	leave(&WfpFilters, Session);
	leave(&WfpAddedCallouts, Session);
	leave(&WfpSublayers, Session);
	leave(&WfpProviders, Session);
}
