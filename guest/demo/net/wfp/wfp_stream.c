/* SPDX-License-Identifier: MIT */
/*
 * Classification at the stream layer (traffic facts 2.6). Sublayers one after the other, heaviest
 * first; each sees only what all before it let pass. What a callout answers is checked against the
 * contract, and each answer that breaks it counts as a violation.
 *
 * NEED_MORE_DATA, which would have the engine collect up to 8 MB, is not there: the data pass and
 * that too is reported.
 */
#include "guest/demo/net/wfp/wfp_engine.h"

/* What no callout answers by itself: so it shows if it did not answer */
#define NOT_WRITTEN_ACTION 0xFEEDu
#define NOT_WRITTEN_COUNT  0xFEEDFACEu

/* One indication on its way through the filters */
struct indication {
	struct wfp_flow *flow;
	ULONG flags;
	ULONG direction;
	NET_BUFFER_LIST *chain;
	SIZE_T length;           /* what the sublayers so far let pass */
	struct wfp_flow *sender; /* the flow, if these are bytes of its program on their way out */
	WFP_STREAM_VERDICT verdict;
};

/* The answer of a callout */
struct answer {
	FWPS_STREAM_CALLOUT_IO_PACKET0 packet;
	FWPS_CLASSIFY_OUT0 out;
};

SIZE_T WfpChainLength(const NET_BUFFER_LIST *Chain)
{
	SIZE_T length = 0;

	for (; Chain != NULL; Chain = Chain->Next) {
		for (const NET_BUFFER *nb = Chain->FirstNetBuffer; nb != NULL; nb = nb->Next)
			length += nb->DataLength;
	}
	return length;
}

static BOOLEAN is_end(ULONG flags)
{
	return (flags & WFP_STREAM_DISCONNECT) != 0;
}

static BOOLEAN is_abort(ULONG flags)
{
	return (flags & WFP_STREAM_ABORT) != 0;
}

static VOID describe_data(FWPS_STREAM_DATA0 *data, const struct indication *in)
{
	NET_BUFFER *first = in->chain != NULL ? in->chain->FirstNetBuffer : NULL;

	__builtin_memset(data, 0, sizeof(*data));
	data->flags = in->flags;
	data->dataLength = in->length;
	data->netBufferListChain = in->chain;
	data->dataOffset.netBufferList = in->chain;
	data->dataOffset.netBuffer = first;
	if (first != NULL) {
		data->dataOffset.mdl = first->CurrentMdl;
		data->dataOffset.mdlOffset = first->CurrentMdlOffset;
	}
}

static VOID call(const struct indication *in, const struct wfp_subject *subject,
		 const struct wfp_match *match, struct answer *answer)
{
	FWPS_STREAM_DATA0 data;
	KIRQL irql;

	describe_data(&data, in);
	__builtin_memset(answer, 0, sizeof(*answer));
	answer->packet.streamData = &data;
	answer->packet.streamAction = NOT_WRITTEN_ACTION;
	answer->packet.countBytesRequired = NOT_WRITTEN_COUNT;
	answer->packet.countBytesEnforced = NOT_WRITTEN_COUNT;
	answer->out.actionType = NOT_WRITTEN_ACTION;
	answer->out.rights = FWPS_RIGHT_ACTION_WRITE; /* means nothing at this layer */
	answer->out.filterId = match->filter->run.filterId;
	if (is_end(in->flags) || is_abort(in->flags))
		answer->out.flags = FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA;
	irql = WfpEnterClassify(in->sender);
	match->callout->functions.classifyFn(
		&subject->fixed, &subject->meta, &answer->packet, NULL, &match->filter->run,
		match->context != NULL ? match->context->context : 0, &answer->out);
	WfpLeaveClassify(irql);
}

static BOOLEAN is_written(const struct answer *a)
{
	return a->packet.streamAction != NOT_WRITTEN_ACTION &&
	       a->packet.countBytesEnforced != NOT_WRITTEN_COUNT &&
	       a->packet.countBytesRequired != NOT_WRITTEN_COUNT &&
	       a->out.actionType != NOT_WRITTEN_ACTION;
}

/* Everything written, and in its bounds; makes good what is not. */
static VOID check_written(const struct indication *in, struct answer *a)
{
	const ULONG id = (ULONG)in->flow->id;

	if (!is_written(a))
		WfpViolation("flow %u: a callout did not write all of streamAction, "
			     "countBytesRequired, countBytesEnforced, actionType\n",
			     id);
	if (a->packet.streamAction == NOT_WRITTEN_ACTION)
		a->packet.streamAction = FWPS_STREAM_ACTION_NONE;
	if (a->packet.countBytesEnforced == NOT_WRITTEN_COUNT)
		a->packet.countBytesEnforced = 0;
	if (a->out.actionType == NOT_WRITTEN_ACTION)
		a->out.actionType = FWP_ACTION_CONTINUE;
	if (a->packet.countBytesEnforced > in->length) {
		WfpViolation("flow %u: countBytesEnforced %u of %u\n", id,
			     (ULONG)a->packet.countBytesEnforced, (ULONG)in->length);
		a->packet.countBytesEnforced = 0;
	}
}

static VOID defer(struct indication *in, const struct wfp_match *match)
{
	if (in->direction == FWP_DIRECTION_OUTBOUND || is_abort(in->flags)) {
		WfpViolation("flow %u: DEFER of what cannot be deferred\n", (ULONG)in->flow->id);
		return;
	}
	if (match->context != NULL)
		match->context->deferred = in->flags;
	in->verdict = WfpStreamDefer;
}

/* FALSE: the indication ends here. */
static BOOLEAN obey_stream_action(struct indication *in, const struct wfp_match *match,
				  const struct answer *a)
{
	const ULONG id = (ULONG)in->flow->id;

	if (a->out.actionType != FWP_ACTION_NONE)
		WfpViolation("flow %u: stream action %u with action type 0x%x\n", id,
			     a->packet.streamAction, a->out.actionType);
	switch (a->packet.streamAction) {
	case FWPS_STREAM_ACTION_NEED_MORE_DATA:
		if ((a->out.flags & FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA) != 0)
			WfpViolation("flow %u: NEED_MORE_DATA where there are no more\n", id);
		else
			WfpViolation("flow %u: NEED_MORE_DATA, which this engine lacks\n", id);
		return TRUE;
	case FWPS_STREAM_ACTION_DROP_CONNECTION:
		if (match->filter->run.action.type != FWP_ACTION_CALLOUT_UNKNOWN) {
			WfpViolation("flow %u: DROP_CONNECTION by a filter that is not "
				     "CALLOUT_UNKNOWN\n",
				     id);
			return TRUE;
		}
		in->verdict = WfpStreamDrop;
		return FALSE;
	case FWPS_STREAM_ACTION_DEFER: defer(in, match); return in->verdict != WfpStreamDefer;
	case FWPS_STREAM_ACTION_ALLOW_CONNECTION:
		if (match->context != NULL)
			match->context->is_allowed = TRUE;
		return TRUE;
	default:
		WfpViolation("flow %u: stream action %u\n", id, a->packet.streamAction);
		return TRUE;
	}
}

/* Once it has blocked, a direction is the callout's own: it blocks everything and injects. */
static VOID check_band(const struct indication *in, struct wfp_context *context, BOOLEAN blocks)
{
	if (context == NULL || is_abort(in->flags))
		return;
	if (blocks)
		context->out_of_band[in->direction] = TRUE;
	else if (context->out_of_band[in->direction])
		WfpViolation("flow %u: %s data permitted by a callout that is out of band\n",
			     (ULONG)in->flow->id,
			     in->direction == FWP_DIRECTION_INBOUND ? "inbound" : "outbound");
}

static BOOLEAN obey_action(struct indication *in, const struct wfp_match *match,
			   const struct answer *a)
{
	const BOOLEAN blocks = a->out.actionType == FWP_ACTION_BLOCK;

	if (a->out.actionType == FWP_ACTION_NONE)
		WfpViolation("flow %u: neither a stream action nor an action\n",
			     (ULONG)in->flow->id);
	check_band(in, match->context, blocks);
	if (blocks && is_abort(in->flags)) {
		WfpViolation("flow %u: a reset blocked\n", (ULONG)in->flow->id);
		return TRUE;
	}
	if (a->packet.countBytesEnforced != 0)
		in->length = a->packet.countBytesEnforced;
	if (blocks)
		in->verdict = WfpStreamAbsorb;
	return !blocks;
}

/* FALSE: decided, no other filter sees it. */
static BOOLEAN ask(struct indication *in, const struct wfp_subject *subject,
		   const struct wfp_match *match)
{
	struct answer answer;

	call(in, subject, match, &answer);
	if (match->filter->run.action.type == FWP_ACTION_CALLOUT_INSPECTION) {
		if (answer.out.actionType == FWP_ACTION_BLOCK)
			WfpViolation("flow %u: an inspection filter blocks\n", (ULONG)in->flow->id);
		return TRUE;
	}
	check_written(in, &answer);
	if (answer.packet.streamAction != FWPS_STREAM_ACTION_NONE)
		return obey_stream_action(in, match, &answer);
	return obey_action(in, match, &answer);
}

/* A filter without a callout, or whose callout is not registered */
static BOOLEAN apply_plain(struct indication *in, const struct wfp_filter *filter)
{
	const ULONG action = filter->run.action.type;

	if (action == FWP_ACTION_PERMIT || action == FWP_ACTION_CALLOUT_INSPECTION ||
	    ((action & FWP_ACTION_FLAG_CALLOUT) != 0 &&
	     (filter->run.flags & FWPS_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED) != 0))
		return TRUE;
	in->verdict = WfpStreamDrop;
	return FALSE;
}

/* Within a sublayer the first filter that decides is the only one. */
static BOOLEAN decides(const struct wfp_match *match)
{
	return match->filter->run.action.type != FWP_ACTION_CALLOUT_INSPECTION;
}

static VOID pass_through(struct indication *in, const struct wfp_subject *subject,
			 const struct wfp_match *matches, ULONG n)
{
	const GUID *decided = NULL; /* the sublayer that has spoken */

	for (ULONG i = 0; i < n; i++) {
		const struct wfp_match *match = &matches[i];
		BOOLEAN go_on;

		if (decided != NULL && WfpIsSameGuid(decided, &match->filter->sublayer))
			continue;
		if (match->context != NULL && match->context->is_allowed)
			continue;
		go_on = match->callout != NULL ? ask(in, subject, match)
					       : apply_plain(in, match->filter);
		if (!go_on)
			return;
		if (decides(match))
			decided = &match->filter->sublayer;
	}
}

VOID WfpClassifyStreamBelow(struct wfp_flow *Flow, ULONG StreamFlags, NET_BUFFER_LIST *Chain,
			    SIZE_T Length, LONG BelowWeight, WFP_STREAM_RESULT *Result)
{
	struct indication in = { .flow = Flow,
				 .flags = StreamFlags,
				 .direction = WfpDirectionOf(StreamFlags),
				 .chain = Chain,
				 .length = Length,
				 .verdict = WfpStreamPermit };
	const BOOLEAN is_injected = BelowWeight < WFP_ALL_WEIGHTS;
	struct wfp_match matches[WFP_MAX_MATCHES];
	struct wfp_subject subject;
	KIRQL irql;
	ULONG n;

	if (in.direction == FWP_DIRECTION_OUTBOUND && !is_injected)
		in.sender = Flow;
	WfpDescribe(&subject, WfpLayerStream, Flow, in.direction, NULL);
	irql = KeAcquireSpinLockRaiseToDpc(&WfpLock);
	n = WfpCollect(&subject, Flow, BelowWeight, matches);
	KeReleaseSpinLock(&WfpLock, irql);
	pass_through(&in, &subject, matches, n);
	WfpReleaseMatches(matches, n);
	Result->Action = in.verdict;
	Result->Bytes = in.length;
}

VOID NTAPI WfpClassifyStream(ULONG64 FlowId, ULONG StreamFlags, NET_BUFFER_LIST *Chain,
			     SIZE_T Length, WFP_STREAM_RESULT *Result)
{
	struct wfp_flow *flow = WfpReferenceFlow(FlowId);

	Result->Action = WfpStreamPermit;
	Result->Bytes = Length;
	if (flow == NULL)
		return;
	if (is_abort(StreamFlags))
		flow->is_aborted = TRUE;
	WfpClassifyStreamBelow(flow, StreamFlags, Chain, Length, WFP_ALL_WEIGHTS, Result);
	WfpReleaseFlow(flow);
}
