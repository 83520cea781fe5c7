/* SPDX-License-Identifier: MIT */
/* Flows, and the contexts that callouts have with them. */
#include "guest/demo/net/wfp/wfp_engine.h"

enum { FLOW_LISTS = 64, PROTOCOL_TCP = 6 };

static LIST_ENTRY WfpFlows[FLOW_LISTS]; /* by id; all zero: never used */
static ULONG64 WfpLastFlowId;
static LONG WfpAllKept; /* of all flows; written under the lock */

static PLIST_ENTRY list_of(ULONG64 id)
{
	PLIST_ENTRY list = &WfpFlows[id % FLOW_LISTS];

	if (list->Flink == NULL)
		InitializeListHead(list);
	return list;
}

static struct wfp_flow *find_flow(ULONG64 id) /* lock held */
{
	PLIST_ENTRY list = list_of(id);

	for (PLIST_ENTRY at = list->Flink; at != list; at = at->Flink) {
		struct wfp_flow *flow = CONTAINING_RECORD(at, struct wfp_flow, link);

		if (flow->id == id)
			return flow;
	}
	return NULL;
}

struct wfp_flow *WfpReferenceFlow(ULONG64 Id)
{
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	struct wfp_flow *flow = find_flow(Id);

	if (flow != NULL)
		flow->references++;
	KeReleaseSpinLock(&WfpLock, irql);
	return flow;
}

VOID WfpReleaseFlow(struct wfp_flow *Flow)
{
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	LONG left = --Flow->references;

	KeReleaseSpinLock(&WfpLock, irql);
	if (left == 0)
		WfpFree(Flow);
}

VOID WfpKeepSend(struct wfp_flow *Flow)
{
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);

	Flow->references++;
	Flow->kept++;
	WfpAllKept++;
	KeReleaseSpinLock(&WfpLock, irql);
}

VOID WfpReleaseSend(struct wfp_flow *Flow)
{
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	BOOLEAN is_last = --Flow->kept == 0;
	const WFP_STACK_OPS *stack = WfpStack;

	WfpAllKept--;
	KeReleaseSpinLock(&WfpLock, irql);
	if (is_last && stack != NULL)
		stack->SendReleased(Flow->info.StackContext);
	WfpReleaseFlow(Flow);
}

BOOLEAN NTAPI WfpIsSendKept(ULONG64 FlowId)
{
	struct wfp_flow *flow;
	BOOLEAN kept;
	KIRQL irql;

	if (__atomic_load_n(&WfpAllKept, __ATOMIC_RELAXED) == 0)
		return FALSE;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	flow = find_flow(FlowId);
	kept = flow != NULL && flow->kept != 0;
	KeReleaseSpinLock(&WfpLock, irql);
	return kept;
}

static struct wfp_flow *create_flow(const WFP_FLOW *info)
{
	ULONG length = info->ProcessPath != NULL ? info->ProcessPath->Length : 0;
	struct wfp_flow *flow = WfpAllocate(sizeof(*flow) + length + sizeof(WCHAR));
	KIRQL irql;

	if (flow == NULL)
		return NULL;
	flow->references = 2; /* the list's, and the caller's */
	flow->info = *info;
	flow->info.ProcessPath = NULL;
	if (length != 0)
		__builtin_memcpy(flow->path_text, info->ProcessPath->Buffer, length);
	flow->path.data = (PUCHAR)flow->path_text;
	flow->path.size = length + sizeof(WCHAR); /* with its NUL */
	InitializeListHead(&flow->contexts);
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	flow->id = ++WfpLastFlowId;
	InsertTailList(list_of(flow->id), &flow->link);
	KeReleaseSpinLock(&WfpLock, irql);
	return flow;
}

/* --- contexts --- */

struct wfp_context *WfpFindContext(struct wfp_flow *Flow, USHORT LayerId, ULONG CalloutId)
{
	for (PLIST_ENTRY at = Flow->contexts.Flink; at != &Flow->contexts; at = at->Flink) {
		struct wfp_context *context = CONTAINING_RECORD(at, struct wfp_context, link);

		if (context->callout_id == CalloutId && context->layer_id == LayerId)
			return context;
	}
	return NULL;
}

/* It is in no list any more and nobody has it in hand. */
static VOID finish_context(struct wfp_context *context)
{
	FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0 deleted = NULL;
	struct wfp_callout *callout;
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);

	callout = WfpFindCalloutById(context->callout_id);
	if (callout != NULL)
		deleted = callout->functions.flowDeleteFn;
	KeReleaseSpinLock(&WfpLock, irql);
	irql = KfRaiseIrql(DISPATCH_LEVEL);
	if (deleted != NULL)
		deleted(context->layer_id, context->callout_id, context->context);
	KeLowerIrql(irql);
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	if (callout != NULL)
		callout->contexts--; /* only now may it be unregistered */
	KeReleaseSpinLock(&WfpLock, irql);
	WfpFree(context);
}

VOID WfpReleaseContext(struct wfp_context *Context)
{
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	BOOLEAN is_last = --Context->active == 0 && Context->is_removed;

	KeReleaseSpinLock(&WfpLock, irql);
	if (is_last)
		finish_context(Context);
}

/* Lock held. TRUE: finish it; FALSE: a classify that has it in hand will. */
static BOOLEAN remove_context(struct wfp_context *context)
{
	RemoveEntryList(&context->link);
	context->is_removed = TRUE;
	return context->active == 0;
}

static NTSTATUS associate(struct wfp_flow *flow, USHORT layer, ULONG id,
			  struct wfp_context *context)
{
	struct wfp_callout *callout = WfpFindCalloutById(id);

	if (flow == NULL || callout == NULL || !callout->is_registered || callout->is_closing ||
	    callout->functions.flowDeleteFn == NULL)
		return STATUS_INVALID_PARAMETER;
	if (WfpFindContext(flow, layer, id) != NULL)
		return STATUS_OBJECT_NAME_EXISTS;
	InsertTailList(&flow->contexts, &context->link);
	callout->contexts++;
	return STATUS_SUCCESS;
}

/** STATUS_OBJECT_NAME_EXISTS, no failure by its bits: there is one already and it stays. */
NTSTATUS NTAPI FwpsFlowAssociateContext0(ULONG64 flowId, USHORT layerId, ULONG calloutId,
					 ULONG64 flowContext)
{
	struct wfp_context *context;
	NTSTATUS status;
	KIRQL irql;

	if (!WfpCheckIrql("FwpsFlowAssociateContext0", DISPATCH_LEVEL) || flowContext == 0)
		return STATUS_INVALID_PARAMETER;
	context = WfpAllocate(sizeof(*context));
	if (context == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	context->layer_id = layerId;
	context->callout_id = calloutId;
	context->context = flowContext;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	status = associate(find_flow(flowId), layerId, calloutId, context);
	KeReleaseSpinLock(&WfpLock, irql);
	if (status != STATUS_SUCCESS)
		WfpFree(context);
	return status;
}

NTSTATUS NTAPI FwpsFlowRemoveContext0(ULONG64 flowId, USHORT layerId, ULONG calloutId)
{
	struct wfp_context *context = NULL;
	struct wfp_flow *flow;
	BOOLEAN now = FALSE;
	KIRQL irql;

	if (!WfpCheckIrql("FwpsFlowRemoveContext0", DISPATCH_LEVEL))
		return STATUS_INVALID_PARAMETER;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	flow = find_flow(flowId);
	if (flow != NULL)
		context = WfpFindContext(flow, layerId, calloutId);
	if (context != NULL) {
		if (context->deferred != 0)
			WfpViolation("context of flow %u removed while its data are deferred\n",
				     (ULONG)flowId);
		now = remove_context(context);
	}
	KeReleaseSpinLock(&WfpLock, irql);
	if (context == NULL)
		return STATUS_UNSUCCESSFUL;
	if (!now)
		return STATUS_PENDING;
	finish_context(context);
	return STATUS_SUCCESS;
}

/* --- the stack's calls --- */

/* One after the other; a callout that terminates decides, inspection does not. */
static BOOLEAN is_blocked(struct wfp_subject *subject, struct wfp_match *matches, ULONG n)
{
	BOOLEAN blocked = FALSE;

	for (ULONG i = 0; i < n; i++) {
		const ULONG action = matches[i].filter->run.action.type;
		FWPS_CLASSIFY_OUT0 out = { .actionType = FWP_ACTION_CONTINUE,
					   .rights = FWPS_RIGHT_ACTION_WRITE };
		KIRQL irql;

		if (action == FWP_ACTION_BLOCK)
			blocked = TRUE;
		if (matches[i].callout == NULL)
			continue;
		irql = WfpEnterClassify(NULL);
		matches[i].callout->functions.classifyFn(&subject->fixed, &subject->meta, NULL,
							 NULL, &matches[i].filter->run, 0, &out);
		WfpLeaveClassify(irql);
		if (action != FWP_ACTION_CALLOUT_INSPECTION && out.actionType == FWP_ACTION_BLOCK)
			blocked = TRUE;
	}
	return blocked;
}

NTSTATUS NTAPI WfpFlowEstablished(const WFP_FLOW *Flow, ULONG64 *FlowId)
{
	struct wfp_flow *flow = create_flow(Flow);
	struct wfp_match matches[WFP_MAX_MATCHES];
	struct wfp_subject subject;
	BOOLEAN blocked;
	KIRQL irql;
	ULONG n;

	*FlowId = flow != NULL ? flow->id : 0;
	if (flow == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	WfpDescribe(&subject, WfpLayerFlow, flow, Flow->Direction, NULL);
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	n = WfpCollect(&subject, NULL, WFP_ALL_WEIGHTS, matches);
	KeReleaseSpinLock(&WfpLock, irql);
	blocked = is_blocked(&subject, matches, n);
	WfpReleaseMatches(matches, n);
	WfpReleaseFlow(flow);
	return blocked ? STATUS_ACCESS_DENIED : STATUS_SUCCESS;
}

VOID NTAPI WfpFlowDeleted(ULONG64 FlowId)
{
	struct wfp_context *context;
	struct wfp_flow *flow;
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);

	flow = find_flow(FlowId);
	if (flow == NULL) {
		KeReleaseSpinLock(&WfpLock, irql);
		return;
	}
	RemoveEntryList(&flow->link);
	flow->is_deleted = TRUE;
	while (!IsListEmpty(&flow->contexts)) {
		BOOLEAN now;

		context = CONTAINING_RECORD(flow->contexts.Flink, struct wfp_context, link);
		now = remove_context(context);
		KeReleaseSpinLock(&WfpLock, irql);
		if (now)
			finish_context(context);
		irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	}
	KeReleaseSpinLock(&WfpLock, irql);
	WfpReleaseFlow(flow);
}

static BOOLEAN is_filtered(ULONG64 id, enum wfp_layer_kind kind)
{
	struct wfp_flow *flow;
	BOOLEAN filtered;
	KIRQL irql;

	if (IsListEmpty(&WfpFilters)) /* without the lock: by and by it will be seen */
		return FALSE;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	flow = find_flow(id);
	filtered = flow != NULL &&
		   (flow->info.Protocol == PROTOCOL_TCP) == (kind == WfpLayerStream) &&
		   WfpAnyFilter(WfpLayerOf(kind, flow->info.AddressFamily), flow);
	KeReleaseSpinLock(&WfpLock, irql);
	return filtered;
}

BOOLEAN NTAPI WfpIsStreamFiltered(ULONG64 FlowId)
{
	return is_filtered(FlowId, WfpLayerStream);
}

BOOLEAN NTAPI WfpIsDatagramFiltered(ULONG64 FlowId)
{
	return is_filtered(FlowId, WfpLayerDatagram);
}
