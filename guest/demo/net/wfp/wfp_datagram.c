/* SPDX-License-Identifier: MIT */
/* Classification of datagrams (traffic facts 2.8), and where an injected one is recognized again.
 */
#include "guest/demo/net/wfp/wfp_engine.h"

/* While an injected list is classified, NDIS's second word of it says what injected it. */
enum { INJECTION_SLOT = 1 };

static VOID call(const struct wfp_subject *subject, const struct wfp_match *match,
		 NET_BUFFER_LIST *list, FWPS_CLASSIFY_OUT0 *out)
{
	KIRQL irql = WfpEnterClassify(NULL);

	match->callout->functions.classifyFn(
		&subject->fixed, &subject->meta, list, NULL, &match->filter->run,
		match->context != NULL ? match->context->context : 0, out);
	WfpLeaveClassify(irql);
}

/* Does it block? *rights is what the ones after it may still do. */
static BOOLEAN ask(const struct wfp_subject *subject, const struct wfp_match *match,
		   NET_BUFFER_LIST *list, PULONG rights)
{
	FWPS_CLASSIFY_OUT0 out = { .actionType = FWP_ACTION_CONTINUE,
				   .rights = *rights,
				   .filterId = match->filter->run.filterId };

	call(subject, match, list, &out);
	if (match->filter->run.action.type == FWP_ACTION_CALLOUT_INSPECTION)
		return FALSE;
	if (*rights == 0 && out.actionType != FWP_ACTION_CONTINUE &&
	    out.actionType != FWP_ACTION_NONE) {
		WfpViolation("flow %u: an action without the right to write one\n",
			     (ULONG)subject->meta.flowHandle);
		return FALSE;
	}
	if (out.actionType == FWP_ACTION_BLOCK && (out.rights & FWPS_RIGHT_ACTION_WRITE) != 0)
		WfpViolation("flow %u: a datagram blocked, and the right to write left to others\n",
			     (ULONG)subject->meta.flowHandle);
	*rights &= out.rights;
	if (out.actionType == FWP_ACTION_BLOCK)
		*rights = 0;
	return out.actionType == FWP_ACTION_BLOCK;
}

static BOOLEAN is_blocked(const struct wfp_subject *subject, const struct wfp_match *matches,
			  ULONG n, NET_BUFFER_LIST *list)
{
	ULONG rights = FWPS_RIGHT_ACTION_WRITE;
	BOOLEAN blocked = FALSE;

	for (ULONG i = 0; i < n; i++) {
		const struct wfp_filter *filter = matches[i].filter;
		const ULONG action = filter->run.action.type;

		if (matches[i].callout != NULL)
			blocked |= ask(subject, &matches[i], list, &rights);
		else if (action == FWP_ACTION_BLOCK ||
			 ((action == FWP_ACTION_CALLOUT_TERMINATING ||
			   action == FWP_ACTION_CALLOUT_UNKNOWN) &&
			  (filter->run.flags & FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED) ==
				  0))
			blocked = TRUE;
		if (blocked)
			rights = 0;
	}
	return blocked;
}

ULONG NTAPI WfpClassifyDatagram(ULONG64 FlowId, NET_BUFFER_LIST *NetBufferList,
				const WFP_DATAGRAM *Datagram)
{
	struct wfp_flow *flow = WfpReferenceFlow(FlowId);
	PVOID kept = NetBufferList->NdisReserved[INJECTION_SLOT];
	struct wfp_match matches[WFP_MAX_MATCHES];
	struct wfp_subject subject;
	BOOLEAN blocked;
	KIRQL irql;
	ULONG n;

	if (flow == NULL)
		return FWP_ACTION_PERMIT;
	WfpDescribe(&subject, WfpLayerDatagram, flow, Datagram->Direction, Datagram);
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	n = WfpCollect(&subject, flow, 0x10000, matches);
	KeReleaseSpinLock(&WfpLock, irql);
	NetBufferList->NdisReserved[INJECTION_SLOT] = (PVOID)(ULONG_PTR)Datagram->InjectionCookie;
	blocked = is_blocked(&subject, matches, n, NetBufferList);
	NetBufferList->NdisReserved[INJECTION_SLOT] = kept;
	WfpReleaseMatches(matches, n);
	WfpReleaseFlow(flow);
	return blocked ? FWP_ACTION_BLOCK : FWP_ACTION_PERMIT;
}

ULONG NTAPI FwpsQueryPacketInjectionState0(HANDLE injectionHandle,
					   const NET_BUFFER_LIST *netBufferList,
					   HANDLE *injectionContext)
{
	const struct wfp_injection *injection = netBufferList->NdisReserved[INJECTION_SLOT];

	if (injectionContext != NULL)
		*injectionContext = NULL;
	if (injection == NULL)
		return FWPS_PACKET_NOT_INJECTED;
	if (injection->handle != injectionHandle)
		return FWPS_PACKET_INJECTED_BY_OTHER;
	if (injectionContext != NULL)
		*injectionContext = injection->context;
	return FWPS_PACKET_INJECTED_BY_SELF;
}
