/* SPDX-License-Identifier: MIT */
/* Filters: made, deleted, and found for an indication. */
#include "guest/demo/net/wfp/wfp_management.h"

LIST_ENTRY WfpFilters = { &WfpFilters, &WfpFilters };
static ULONG64 WfpLastFilterId = 0x10000;

static struct wfp_filter *filter_at(PLIST_ENTRY at)
{
	return CONTAINING_RECORD(at, struct wfp_filter, object.link);
}

static VOID free_filter(struct wfp_filter *filter)
{
	for (ULONG i = 0; i < filter->n_conditions; i++)
		WfpFreeCondition(&filter->conditions[i]);
	WfpFree(filter);
}

VOID WfpReleaseFilter(struct wfp_filter *Filter)
{
	if (__atomic_sub_fetch(&Filter->references, 1, __ATOMIC_ACQ_REL) == 0)
		free_filter(Filter);
}

/* --- management --- */

static NTSTATUS set_action(struct wfp_filter *filter, const FWPM_ACTION0 *action)
{
	const struct wfp_layer *layer;
	ULONG id = 0;

	switch (action->type) {
	case FWP_ACTION_BLOCK:
	case FWP_ACTION_PERMIT: break;
	case FWP_ACTION_CALLOUT_TERMINATING:
	case FWP_ACTION_CALLOUT_INSPECTION:
	case FWP_ACTION_CALLOUT_UNKNOWN:
		if (!WfpFindAddedCallout(&action->calloutKey, &layer, &id))
			return STATUS_FWP_CALLOUT_NOT_FOUND;
		if (layer != filter->layer)
			return STATUS_FWP_INCOMPATIBLE_LAYER;
		filter->callout = action->calloutKey;
		break;
	default: return STATUS_FWP_INVALID_ACTION_TYPE;
	}
	filter->run.action.type = action->type;
	filter->run.action.calloutId = id;
	return STATUS_SUCCESS;
}

/* The upper four bits are the user's, the rest is the engine's unless the user gives all of it. */
static NTSTATUS set_weight(struct wfp_filter *filter, const FWP_VALUE0 *weight)
{
	switch (weight->type) {
	case FWP_EMPTY: filter->weight = filter->n_conditions; break;
	case FWP_UINT8:
		if (weight->uint8 > 15)
			return STATUS_FWP_INVALID_WEIGHT;
		filter->weight = (ULONG64)weight->uint8 << 60 | filter->n_conditions;
		break;
	case FWP_UINT64: filter->weight = *weight->uint64; break;
	default: return STATUS_FWP_INVALID_WEIGHT;
	}
	filter->run.weight.type = FWP_UINT64;
	filter->run.weight.uint64 = &filter->weight;
	return STATUS_SUCCESS;
}

static NTSTATUS fill(struct wfp_filter *filter, const FWPM_FILTER0 *from)
{
	NTSTATUS status = STATUS_SUCCESS;

	filter->layer = WfpFindLayer(&from->layerKey);
	if (filter->layer == NULL)
		return STATUS_FWP_LAYER_NOT_FOUND;
	filter->sublayer = from->subLayerKey;
	if (!WfpFindSublayer(&from->subLayerKey, &filter->sublayer_weight))
		return STATUS_FWP_SUBLAYER_NOT_FOUND;
	filter->run.subLayerWeight = filter->sublayer_weight;
	if ((from->flags & FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT) != 0)
		filter->run.flags |= FWPS_FILTER_FLAG_CLEAR_ACTION_RIGHT;
	if ((from->flags & FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED) != 0)
		filter->run.flags |= FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED;
	filter->run.context = from->rawContext;
	for (ULONG i = 0; i < from->numFilterConditions && NT_SUCCESS(status); i++) {
		status = WfpCopyCondition(&filter->conditions[i], filter->layer,
					  &from->filterCondition[i]);
		filter->n_conditions = i + 1;
	}
	if (NT_SUCCESS(status))
		status = set_weight(filter, &from->weight);
	return NT_SUCCESS(status) ? set_action(filter, &from->action) : status;
}

/* Before the first one that is lighter, or that belongs to a lighter sublayer */
static VOID insert(struct wfp_filter *filter)
{
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	PLIST_ENTRY at = WfpFilters.Flink;

	for (; at != &WfpFilters; at = at->Flink) {
		struct wfp_filter *other = filter_at(at);
		int order = __builtin_memcmp(&filter->sublayer, &other->sublayer, sizeof(GUID));

		if (other->sublayer_weight != filter->sublayer_weight) {
			if (other->sublayer_weight < filter->sublayer_weight)
				break;
		} else if (order != 0) { /* sublayers of one weight are kept apart */
			if (order < 0)
				break;
		} else if (other->weight < filter->weight) {
			break;
		}
	}
	InsertTailList(at, &filter->object.link);
	KeReleaseSpinLock(&WfpLock, irql);
}

static NTSTATUS add_filter(struct wfp_session *session, const FWPM_FILTER0 *from, ULONG64 *id)
{
	struct wfp_filter *filter;
	NTSTATUS status;

	if (from->displayData.name == NULL)
		return STATUS_FWP_NULL_DISPLAY_NAME;
	if (from->numFilterConditions > WFP_MAX_CONDITIONS)
		return STATUS_FWP_INVALID_PARAMETER;
	filter = WfpAllocate(sizeof(*filter) +
			     from->numFilterConditions * sizeof(struct wfp_condition));
	if (filter == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	filter->references = 1;
	filter->object.session = session;
	filter->object.state = WfpAdding;
	filter->run.filterId = ++WfpLastFilterId;
	filter->object.key = from->filterKey;
	if (filter->object.key.Data1 == 0)
		filter->object.key.Data1 = (ULONG)filter->run.filterId;
	status = fill(filter, from);
	if (!NT_SUCCESS(status)) {
		free_filter(filter);
		return status;
	}
	if (id != NULL)
		*id = filter->run.filterId;
	insert(filter);
	return STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpmFilterAdd0(HANDLE engineHandle, const FWPM_FILTER0 *filter, PVOID sd,
			      ULONG64 *id)
{
	struct wfp_session *session;
	NTSTATUS status;

	if (filter == NULL)
		return STATUS_FWP_NULL_POINTER;
	status = WfpBeginChange("FwpmFilterAdd0", engineHandle, &session);
	if (!NT_SUCCESS(status))
		return status;
	return WfpEndChange(session, add_filter(session, filter, id));
}

/* Out of sight; classify calls that have it in hand keep it alive. */
static VOID unlink_filter(struct wfp_filter *filter)
{
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);

	RemoveEntryList(&filter->object.link);
	KeReleaseSpinLock(&WfpLock, irql);
	WfpReleaseFilter(filter);
}

static NTSTATUS delete_filter(ULONG64 id)
{
	for (PLIST_ENTRY at = WfpFilters.Flink; at != &WfpFilters; at = at->Flink) {
		struct wfp_filter *filter = filter_at(at);

		if (filter->run.filterId != id || filter->object.state == WfpDeleting)
			continue;
		if (filter->object.state == WfpAdding)
			unlink_filter(filter);
		else
			filter->object.state = WfpDeleting;
		return STATUS_SUCCESS;
	}
	return STATUS_FWP_FILTER_NOT_FOUND;
}

NTSTATUS NTAPI FwpmFilterDeleteById0(HANDLE engineHandle, ULONG64 id)
{
	struct wfp_session *session;
	NTSTATUS status = WfpBeginChange("FwpmFilterDeleteById0", engineHandle, &session);

	if (!NT_SUCCESS(status))
		return status;
	return WfpEndChange(session, delete_filter(id));
}

static BOOLEAN is_used(const GUID *sublayer, const GUID *callout)
{
	for (PLIST_ENTRY at = WfpFilters.Flink; at != &WfpFilters; at = at->Flink) {
		struct wfp_filter *filter = filter_at(at);

		if (filter->object.state != WfpDeleting &&
		    ((sublayer != NULL && WfpIsSameGuid(&filter->sublayer, sublayer)) ||
		     (callout != NULL && WfpIsSameGuid(&filter->callout, callout))))
			return TRUE;
	}
	return FALSE;
}

BOOLEAN WfpIsSublayerUsed(const GUID *Key)
{
	return is_used(Key, NULL);
}

BOOLEAN WfpIsCalloutUsed(const GUID *Key)
{
	return is_used(NULL, Key);
}

/* Ask the callouts of all new filters; the one that refuses, or NULL. */
static struct wfp_filter *announce(NTSTATUS *status)
{
	for (PLIST_ENTRY at = WfpFilters.Flink; at != &WfpFilters; at = at->Flink) {
		struct wfp_filter *filter = filter_at(at);

		if (filter->object.state != WfpAdding)
			continue;
		*status = WfpNotify(filter, FWPS_CALLOUT_NOTIFY_ADD_FILTER);
		if (!NT_SUCCESS(*status))
			return filter;
	}
	return NULL;
}

static VOID take_back(struct wfp_filter *until)
{
	for (PLIST_ENTRY at = WfpFilters.Flink; at != &until->object.link; at = at->Flink) {
		if (filter_at(at)->object.state == WfpAdding)
			WfpNotify(filter_at(at), FWPS_CALLOUT_NOTIFY_DELETE_FILTER);
	}
}

NTSTATUS WfpCommitFilters(VOID)
{
	NTSTATUS status = STATUS_SUCCESS;
	struct wfp_filter *refused = announce(&status);

	if (refused != NULL) {
		take_back(refused);
		return status;
	}
	for (PLIST_ENTRY at = WfpFilters.Flink, next; at != &WfpFilters; at = next) {
		struct wfp_filter *filter = filter_at(at);

		next = at->Flink;
		if (filter->object.state == WfpDeleting) {
			WfpNotify(filter, FWPS_CALLOUT_NOTIFY_DELETE_FILTER);
			unlink_filter(filter);
		} else {
			filter->object.state = WfpLive;
		}
	}
	return STATUS_SUCCESS;
}

VOID WfpAbortFilters(VOID)
{
	for (PLIST_ENTRY at = WfpFilters.Flink, next; at != &WfpFilters; at = next) {
		struct wfp_filter *filter = filter_at(at);

		next = at->Flink;
		if (filter->object.state == WfpAdding)
			unlink_filter(filter);
		else
			filter->object.state = WfpLive;
	}
}

/* --- classification, lock held --- */

/* FALSE: its callout does not want to see this flow. */
static BOOLEAN find_parts(struct wfp_filter *filter, struct wfp_flow *flow, struct wfp_match *match)
{
	struct wfp_callout *callout;

	match->filter = filter;
	match->callout = NULL;
	match->context = NULL;
	if ((filter->run.action.type & FWP_ACTION_FLAG_CALLOUT) == 0)
		return TRUE;
	callout = WfpFindCalloutById(filter->run.action.calloutId);
	if (callout == NULL || !callout->is_registered || callout->is_closing)
		return TRUE;
	match->callout = callout;
	if (flow != NULL)
		match->context = WfpFindContext(flow, filter->layer->id, callout->id);
	return match->context != NULL ||
	       (callout->functions.flags & FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW) == 0;
}

ULONG WfpCollect(const struct wfp_subject *Subject, struct wfp_flow *Flow, LONG BelowWeight,
		 struct wfp_match Matches[WFP_MAX_MATCHES])
{
	ULONG n = 0;

	for (PLIST_ENTRY at = WfpFilters.Flink; at != &WfpFilters && n < WFP_MAX_MATCHES;
	     at = at->Flink) {
		struct wfp_filter *filter = filter_at(at);

		if (filter->object.state == WfpAdding || filter->layer != Subject->layer ||
		    filter->sublayer_weight >= BelowWeight ||
		    !find_parts(filter, Flow, &Matches[n]) || !WfpMatches(filter, &Subject->fixed))
			continue;
		__atomic_add_fetch(&filter->references, 1, __ATOMIC_RELAXED);
		if (Matches[n].callout != NULL)
			Matches[n].callout->active++;
		if (Matches[n].context != NULL)
			Matches[n].context->active++;
		n++;
	}
	return n;
}

VOID WfpReleaseMatches(struct wfp_match *Matches, ULONG Count)
{
	for (ULONG i = 0; i < Count; i++) {
		if (Matches[i].context != NULL)
			WfpReleaseContext(Matches[i].context);
		if (Matches[i].callout != NULL) {
			KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);

			Matches[i].callout->active--;
			KeReleaseSpinLock(&WfpLock, irql);
		}
		WfpReleaseFilter(Matches[i].filter);
	}
}

BOOLEAN WfpAnyFilter(const struct wfp_layer *Layer, struct wfp_flow *Flow)
{
	for (PLIST_ENTRY at = WfpFilters.Flink; at != &WfpFilters; at = at->Flink) {
		struct wfp_filter *filter = filter_at(at);
		struct wfp_match match;

		if (filter->layer == Layer && filter->object.state != WfpAdding &&
		    find_parts(filter, Flow, &match) &&
		    (match.context == NULL || !match.context->is_allowed))
			return TRUE;
	}
	return FALSE;
}

LONG WfpSublayerWeightOf(ULONG CalloutId, USHORT LayerId)
{
	for (PLIST_ENTRY at = WfpFilters.Flink; at != &WfpFilters; at = at->Flink) {
		struct wfp_filter *filter = filter_at(at);

		if (filter->run.action.calloutId == CalloutId && filter->layer->id == LayerId &&
		    filter->object.state != WfpAdding)
			return filter->sublayer_weight;
	}
	return -1;
}
