/* SPDX-License-Identifier: MIT */
/* Injection: handles, streams, datagrams. Never from inside classify, completed exactly once. */
#include "guest/demo/net/wfp/wfp_engine.h"

static LIST_ENTRY WfpHandles = { &WfpHandles, &WfpHandles };

/* --- handles --- */

NTSTATUS NTAPI FwpsInjectionHandleCreate0(USHORT addressFamily, ULONG flags,
					  HANDLE *injectionHandle)
{
	struct wfp_injection_handle *made;
	KIRQL irql;

	if (!WfpCheckIrql("FwpsInjectionHandleCreate0", PASSIVE_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	if (injectionHandle == NULL || flags == 0 ||
	    (addressFamily != AF_UNSPEC && addressFamily != AF_INET &&
	     addressFamily != WFP_AF_INET6))
		return STATUS_INVALID_PARAMETER;
	made = WfpAllocate(sizeof(*made));
	if (made == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	made->family = addressFamily;
	made->types = flags;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	InsertTailList(&WfpHandles, &made->link);
	KeReleaseSpinLock(&WfpLock, irql);
	*injectionHandle = made;
	return STATUS_SUCCESS;
}

/* lock held */
static struct wfp_injection_handle *find_handle(HANDLE handle)
{
	for (PLIST_ENTRY at = WfpHandles.Flink; at != &WfpHandles; at = at->Flink) {
		if (CONTAINING_RECORD(at, struct wfp_injection_handle, link) == handle)
			return handle;
	}
	return NULL;
}

static BOOLEAN is_idle(struct wfp_injection_handle *handle)
{
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	BOOLEAN idle = handle->pending == 0;

	if (idle)
		RemoveEntryList(&handle->link);
	KeReleaseSpinLock(&WfpLock, irql);
	return idle;
}

NTSTATUS NTAPI FwpsInjectionHandleDestroy0(HANDLE injectionHandle)
{
	struct wfp_injection_handle *handle;
	KIRQL irql;

	if (!WfpCheckIrql("FwpsInjectionHandleDestroy0", PASSIVE_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	handle = find_handle(injectionHandle);
	if (handle != NULL && handle->is_closing)
		handle = NULL; /* somebody is at it */
	if (handle != NULL)
		handle->is_closing = TRUE;
	KeReleaseSpinLock(&WfpLock, irql);
	if (handle == NULL) {
		WfpViolation("an injection handle destroyed that there is not\n");
		return STATUS_INVALID_HANDLE;
	}
	while (!is_idle(handle))
		WfpSleep();
	WfpFree(handle);
	return STATUS_SUCCESS;
}

/* What every injection must be: one more pending at its handle. */
static NTSTATUS enter(PCSTR function, HANDLE handle, ULONG type, FWPS_INJECT_COMPLETE0 complete)
{
	struct wfp_injection_handle *found;
	NTSTATUS status = STATUS_SUCCESS;
	KIRQL irql;

	if (!WfpCheckIrql(function, DISPATCH_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	if (WfpIsInClassify()) {
		WfpViolation("%s inside classify\n", function);
		return STATUS_INVALID_DEVICE_STATE;
	}
	if (complete == NULL) {
		WfpViolation("%s without a completion function\n", function);
		return STATUS_INVALID_PARAMETER;
	}
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	found = find_handle(handle);
	if (found == NULL)
		status = STATUS_INVALID_HANDLE;
	else if ((found->types & type) == 0)
		status = STATUS_INVALID_PARAMETER;
	else if (found->is_closing)
		status = STATUS_FWP_INJECT_HANDLE_CLOSING;
	else if (WfpStack == NULL)
		status = STATUS_FWP_TCPIP_NOT_READY;
	else
		found->pending++;
	KeReleaseSpinLock(&WfpLock, irql);
	if (found == NULL)
		WfpViolation("%s with an injection handle that there is not\n", function);
	return status;
}

static VOID leave(struct wfp_injection_handle *handle)
{
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);

	handle->pending--;
	KeReleaseSpinLock(&WfpLock, irql);
}

/* One list; the caller has entered the handle and leaves it, each list enters anew. */
static NTSTATUS begin(HANDLE handle, HANDLE context, NET_BUFFER_LIST *list,
		      FWPS_INJECT_COMPLETE0 complete, PVOID complete_context,
		      struct wfp_injection **ret)
{
	struct wfp_injection *injection = WfpAllocate(sizeof(*injection));
	KIRQL irql;

	if (injection == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	injection->handle = handle;
	injection->context = context;
	injection->list = list;
	injection->complete = complete;
	injection->complete_context = complete_context;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	injection->handle->pending++;
	KeReleaseSpinLock(&WfpLock, irql);
	*ret = injection;
	return STATUS_SUCCESS;
}

static VOID cancel(struct wfp_injection *injection)
{
	leave(injection->handle);
	WfpFree(injection);
}

static VOID NTAPI complete(PVOID Context, NET_BUFFER_LIST *NetBufferList, NTSTATUS Status,
			   BOOLEAN DispatchLevel)
{
	struct wfp_injection *injection = Context;
	struct wfp_injection_handle *handle = injection->handle;
	KIRQL irql = KeGetCurrentIrql();

	NetBufferList->Status = Status;
	injection->complete(injection->complete_context, NetBufferList, irql == DISPATCH_LEVEL);
	if (KeGetCurrentIrql() != irql)
		WfpViolation("a completion function came back at another IRQL\n");
	WfpFree(injection);
	leave(handle);
}

/* --- streams --- */

struct stream_injection {
	struct wfp_flow *flow;
	HANDLE handle;
	HANDLE context;
	ULONG callout_id;
	USHORT layer_id;
	ULONG flags;
	FWPS_INJECT_COMPLETE0 complete;
	PVOID complete_context;
	LONG below; /* sublayers lighter than this one see it */
};

static NTSTATUS check_flags(const struct stream_injection *s, NET_BUFFER_LIST *chain, SIZE_T length)
{
	const ULONG id = (ULONG)s->flow->id;
	const BOOLEAN is_end = (s->flags & WFP_STREAM_DISCONNECT) != 0;

	if ((s->flags & (FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_RECEIVE)) == 0) {
		WfpViolation("flow %u: injection with stream flags 0x%x, neither SEND nor "
			     "RECEIVE\n",
			     id, s->flags);
		return STATUS_INVALID_PARAMETER;
	}
	if ((s->flags & FWPS_STREAM_FLAG_SEND_ABORT) != 0) {
		WfpViolation("flow %u: injection of a reset\n", id);
		return STATUS_INVALID_PARAMETER;
	}
	if (length != WfpChainLength(chain) || (length == 0 && !is_end)) {
		WfpViolation("flow %u: injection of %u bytes in lists of %u\n", id, (ULONG)length,
			     (ULONG)WfpChainLength(chain));
		return STATUS_INVALID_PARAMETER;
	}
	return STATUS_SUCCESS;
}

/* The flow's side of the contract; one more injecting if it is kept. */
static NTSTATUS enter_flow(const struct stream_injection *s)
{
	struct wfp_flow *flow = s->flow;
	const ULONG direction = WfpDirectionOf(s->flags);
	const ULONG id = (ULONG)flow->id;
	struct wfp_context *context;
	NTSTATUS status = STATUS_SUCCESS;
	PCSTR wrong = NULL;
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);

	context = WfpFindContext(flow, s->layer_id, s->callout_id);
	if (flow->is_deleted || flow->is_aborted)
		status = STATUS_CONNECTION_ABORTED; /* it happens: nobody could know */
	else if (flow->has_ended[direction])
		wrong = "injection behind the end of the stream";
	/* a worker may be faster than the classify call that gives it its work: that one counts */
	else if (context != NULL && !context->out_of_band[direction] && context->active == 0)
		wrong = "injection into a direction whose data are not all blocked";
	else if (flow->injecting[direction] != 0)
		wrong = "two injections at once into one direction";
	else if (flow->continuing != 0)
		wrong = "injection while FwpsStreamContinue0 runs";
	if (status == STATUS_SUCCESS)
		flow->injecting[direction]++;
	if (status == STATUS_SUCCESS && (s->flags & WFP_STREAM_DISCONNECT) != 0)
		flow->has_ended[direction] = TRUE;
	KeReleaseSpinLock(&WfpLock, irql);
	if (wrong != NULL)
		WfpViolation("flow %u: %s\n", id, wrong);
	return status;
}

static VOID leave_flow(const struct stream_injection *s)
{
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);

	s->flow->injecting[WfpDirectionOf(s->flags)]--;
	KeReleaseSpinLock(&WfpLock, irql);
}

/* TRUE: a lighter callout took it. Injected data are shown to them whole or not at all here. */
static BOOLEAN is_absorbed(const struct stream_injection *s, ULONG flags, NET_BUFFER_LIST *list,
			   SIZE_T length)
{
	WFP_STREAM_RESULT result;

	if (s->below < 0)
		return FALSE;
	WfpClassifyStreamBelow(s->flow, flags, list, length, s->below, &result);
	if (result.Action == WfpStreamDrop)
		WfpStack->FlowAbort(s->flow->info.StackContext);
	if (result.Action == WfpStreamPermit)
		return FALSE;
	if (result.Action != WfpStreamAbsorb || result.Bytes != length)
		WfpViolation("flow %u: injected data can only be taken whole\n",
			     (ULONG)s->flow->id);
	return result.Action != WfpStreamDefer;
}

static NTSTATUS inject_one(const struct stream_injection *s, NET_BUFFER_LIST *list, ULONG flags)
{
	const SIZE_T length = WfpChainLength(list);
	struct wfp_injection *injection;
	NTSTATUS status;

	if (list == NULL)
		return is_absorbed(s, flags, NULL, 0)
			       ? STATUS_SUCCESS
			       : WfpStack->StreamInject(s->flow->info.StackContext, flags, NULL, 0,
							complete, NULL);
	status = begin(s->handle, s->context, list, s->complete, s->complete_context, &injection);
	if (!NT_SUCCESS(status))
		return status;
	if (is_absorbed(s, flags, list, length)) {
		complete(injection, list, STATUS_SUCCESS, FALSE);
		return STATUS_SUCCESS;
	}
	status = WfpStack->StreamInject(s->flow->info.StackContext, flags, list, length, complete,
					injection);
	if (!NT_SUCCESS(status))
		cancel(injection);
	return status;
}

/* The end of the stream comes behind the last list. If a list but the first fails, its completion
 * says so: the caller has lost the first one already. */
static NTSTATUS inject_chain(const struct stream_injection *s, NET_BUFFER_LIST *chain)
{
	BOOLEAN is_first = TRUE;

	if (chain == NULL)
		return inject_one(s, NULL, s->flags);
	while (chain != NULL) {
		NET_BUFFER_LIST *next = chain->Next;
		ULONG flags = next != NULL ? s->flags & ~WFP_STREAM_DISCONNECT : s->flags;
		NTSTATUS status;

		chain->Next = NULL;
		status = inject_one(s, chain, flags);
		if (!NT_SUCCESS(status) && is_first) {
			chain->Next = next;
			return status;
		}
		if (!NT_SUCCESS(status)) {
			chain->Status = status;
			s->complete(s->complete_context, chain,
				    KeGetCurrentIrql() == DISPATCH_LEVEL);
		}
		is_first = FALSE;
		chain = next;
	}
	return STATUS_SUCCESS;
}

static NTSTATUS inject_stream(struct stream_injection *s, NET_BUFFER_LIST *chain, SIZE_T length)
{
	NTSTATUS status = check_flags(s, chain, length);
	KIRQL irql;

	if (NT_SUCCESS(status))
		status = enter_flow(s);
	if (!NT_SUCCESS(status))
		return status;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	s->below = WfpSublayerWeightOf(s->callout_id, s->layer_id);
	KeReleaseSpinLock(&WfpLock, irql);
	status = inject_chain(s, chain);
	leave_flow(s);
	return status;
}

NTSTATUS NTAPI FwpsStreamInjectAsync0(HANDLE injectionHandle, HANDLE injectionContext, ULONG flags,
				      ULONG64 flowId, ULONG calloutId, USHORT layerId,
				      ULONG streamFlags, NET_BUFFER_LIST *netBufferList,
				      SIZE_T dataLength, FWPS_INJECT_COMPLETE0 completionFn,
				      HANDLE completionContext)
{
	struct stream_injection s = { .handle = injectionHandle,
				      .context = injectionContext,
				      .callout_id = calloutId,
				      .layer_id = layerId,
				      .flags = streamFlags,
				      .complete = completionFn,
				      .complete_context = completionContext };
	NTSTATUS status = enter("FwpsStreamInjectAsync0", injectionHandle,
				FWPS_INJECTION_TYPE_STREAM, completionFn);

	if (!NT_SUCCESS(status))
		return status;
	s.flow = WfpReferenceFlow(flowId);
	if (s.flow != NULL) {
		status = inject_stream(&s, netBufferList, dataLength);
		WfpReleaseFlow(s.flow);
	} else {
		status = STATUS_CONNECTION_ABORTED;
	}
	leave(injectionHandle);
	return status;
}

/* The context whose data are deferred, no longer so; lock held. */
static NTSTATUS take_deferred(struct wfp_flow *flow, USHORT layer, ULONG callout, ULONG flags,
			      PCSTR *wrong)
{
	struct wfp_context *context = WfpFindContext(flow, layer, callout);

	if (flow->is_deleted || flow->is_aborted)
		return STATUS_CONNECTION_ABORTED;
	if (flow->injecting[0] != 0 || flow->injecting[1] != 0)
		*wrong = "FwpsStreamContinue0 while data are injected";
	if (context != NULL && context->deferred == 0) {
		*wrong = "FwpsStreamContinue0 of what is not deferred";
		return STATUS_INVALID_PARAMETER;
	}
	if (context != NULL && context->deferred != flags)
		*wrong = "FwpsStreamContinue0 with other stream flags than were deferred";
	if (context != NULL)
		context->deferred = 0;
	flow->continuing++;
	return STATUS_SUCCESS;
}

NTSTATUS NTAPI FwpsStreamContinue0(ULONG64 flowId, ULONG calloutId, USHORT layerId,
				   ULONG streamFlags)
{
	struct wfp_flow *flow;
	NTSTATUS status;
	PCSTR wrong = NULL;
	KIRQL irql;

	if (!WfpCheckIrql("FwpsStreamContinue0", DISPATCH_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	if (WfpIsInClassify() || (streamFlags & FWPS_STREAM_FLAG_RECEIVE) == 0) {
		WfpViolation("FwpsStreamContinue0 %s\n",
			     WfpIsInClassify() ? "inside classify" : "without RECEIVE");
		return STATUS_INVALID_PARAMETER;
	}
	flow = WfpReferenceFlow(flowId);
	if (flow == NULL || WfpStack == NULL)
		return STATUS_CONNECTION_ABORTED;
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	status = take_deferred(flow, layerId, calloutId, streamFlags, &wrong);
	KeReleaseSpinLock(&WfpLock, irql);
	if (wrong != NULL)
		WfpViolation("flow %u: %s\n", (ULONG)flowId, wrong);
	if (NT_SUCCESS(status)) {
		status = WfpStack->StreamContinue(flow->info.StackContext, streamFlags);
		irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
		flow->continuing--;
		KeReleaseSpinLock(&WfpLock, irql);
	}
	WfpReleaseFlow(flow);
	return status;
}

NTSTATUS NTAPI FwpsFlowAbort0(ULONG64 flowId)
{
	struct wfp_flow *flow;
	NTSTATUS status;

	if (!WfpCheckIrql("FwpsFlowAbort0", DISPATCH_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	if (WfpIsInClassify()) {
		WfpViolation("FwpsFlowAbort0 inside classify\n");
		return STATUS_INVALID_DEVICE_STATE;
	}
	flow = WfpReferenceFlow(flowId);
	if (flow == NULL || WfpStack == NULL)
		return STATUS_INVALID_PARAMETER;
	status = WfpStack->FlowAbort(flow->info.StackContext);
	WfpReleaseFlow(flow);
	return status;
}

/* --- datagrams --- */

NTSTATUS NTAPI FwpsInjectTransportSendAsync1(HANDLE injectionHandle, HANDLE injectionContext,
					     ULONG64 endpointHandle, ULONG flags,
					     FWPS_TRANSPORT_SEND_PARAMS1 *sendArgs,
					     USHORT addressFamily, ULONG compartmentId,
					     NET_BUFFER_LIST *netBufferList,
					     FWPS_INJECT_COMPLETE0 completionFn,
					     HANDLE completionContext)
{
	struct wfp_injection *injection;
	NTSTATUS status = enter("FwpsInjectTransportSendAsync", injectionHandle,
				FWPS_INJECTION_TYPE_TRANSPORT, completionFn);

	if (!NT_SUCCESS(status))
		return status;
	if (netBufferList == NULL || sendArgs == NULL || sendArgs->remoteAddress == NULL)
		status = STATUS_INVALID_PARAMETER;
	else
		status = begin(injectionHandle, injectionContext, netBufferList, completionFn,
			       completionContext, &injection);
	if (NT_SUCCESS(status)) {
		status = WfpStack->DatagramSend(
			endpointHandle, addressFamily, sendArgs->remoteAddress,
			sendArgs->remoteScopeId.Value, compartmentId, (ULONG_PTR)injection,
			netBufferList, complete, injection);
		if (!NT_SUCCESS(status))
			cancel(injection);
	}
	leave(injectionHandle);
	return status;
}

NTSTATUS NTAPI FwpsInjectTransportSendAsync0(HANDLE injectionHandle, HANDLE injectionContext,
					     ULONG64 endpointHandle, ULONG flags,
					     FWPS_TRANSPORT_SEND_PARAMS0 *sendArgs,
					     USHORT addressFamily, ULONG compartmentId,
					     NET_BUFFER_LIST *netBufferList,
					     FWPS_INJECT_COMPLETE0 completionFn,
					     HANDLE completionContext)
{
	return FwpsInjectTransportSendAsync1(injectionHandle, injectionContext, endpointHandle,
					     flags, sendArgs, addressFamily, compartmentId,
					     netBufferList, completionFn, completionContext);
}

NTSTATUS NTAPI FwpsInjectTransportReceiveAsync0(HANDLE injectionHandle, HANDLE injectionContext,
						PVOID reserved, ULONG flags, USHORT addressFamily,
						ULONG compartmentId, ULONG interfaceIndex,
						ULONG subInterfaceIndex,
						NET_BUFFER_LIST *netBufferList,
						FWPS_INJECT_COMPLETE0 completionFn,
						HANDLE completionContext)
{
	struct wfp_injection *injection;
	NTSTATUS status = enter("FwpsInjectTransportReceiveAsync0", injectionHandle,
				FWPS_INJECTION_TYPE_TRANSPORT, completionFn);

	if (!NT_SUCCESS(status))
		return status;
	if (netBufferList == NULL)
		status = STATUS_INVALID_PARAMETER;
	else
		status = begin(injectionHandle, injectionContext, netBufferList, completionFn,
			       completionContext, &injection);
	if (NT_SUCCESS(status)) {
		status = WfpStack->DatagramReceive(addressFamily, compartmentId, interfaceIndex,
						   subInterfaceIndex, (ULONG_PTR)injection,
						   netBufferList, complete, injection);
		if (!NT_SUCCESS(status))
			cancel(injection);
	}
	leave(injectionHandle);
	return status;
}
