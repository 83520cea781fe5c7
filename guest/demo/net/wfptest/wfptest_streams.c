/* SPDX-License-Identifier: MIT */
/* Flows and their contexts, and the rules of the stream layer (traffic facts 2.6), one by one. */
#include "guest/demo/net/wfptest/wfptest.h"

#define SEND    FWPS_STREAM_FLAG_SEND
#define RECEIVE FWPS_STREAM_FLAG_RECEIVE

/* --- flows --- */

static VOID test_established(ULONG64 flow)
{
	const ULONG needed = FWPS_METADATA_FIELD_FLOW_HANDLE | FWPS_METADATA_FIELD_PROCESS_PATH |
			     FWPS_METADATA_FIELD_PROCESS_ID |
			     FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE;
	const struct test_flow_callout *f = &FlowCallout;

	TestCheck(f->calls == 1 && f->flow == flow && f->process_id == 1234 &&
			  (f->metadata & needed) == needed &&
			  f->layer == FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4,
		  "a flow is established, with handle and process");
	TestCheck(f->remote_address == 0x0A000202 && f->remote_port == 80 && f->protocol == 6,
		  "its address and port in host order");
	TestCheck(f->path_size == sizeof(L"\\device\\harddiskvolume1\\demo\\web.exe"),
		  "its program with the NUL");
}

static VOID test_association(ULONG64 flow)
{
	const ULONG id = Callout[Heavy].id;

	TestCheck(FwpsFlowAssociateContext0(flow, FWPS_LAYER_STREAM_V4, id, 1) == 0x40000000,
		  "one context a callout");
	TestCheck(FwpsFlowAssociateContext0(flow, FWPS_LAYER_STREAM_V4, id, 0) ==
				  STATUS_INVALID_PARAMETER &&
			  FwpsFlowAssociateContext0(flow + 99, FWPS_LAYER_STREAM_V4, id, 1) ==
				  STATUS_INVALID_PARAMETER &&
			  FwpsFlowAssociateContext0(flow, FWPS_LAYER_STREAM_V4, FlowCallout.id,
						    1) == STATUS_INVALID_PARAMETER,
		  "none of 0, none with flows there are not, none without a delete function");
	TestCheck(FwpsCalloutUnregisterById0(id) == STATUS_DEVICE_BUSY,
		  "who has contexts is not unregistered");
	TestCheck(FwpsFlowRemoveContext0(flow, FWPS_LAYER_STREAM_V4, id) == STATUS_SUCCESS &&
			  Callout[Heavy].deleted == 1 &&
			  Callout[Heavy].deleted_context == 0x100 + flow,
		  "a context is removed");
	TestCheck(FwpsFlowRemoveContext0(flow, FWPS_LAYER_STREAM_V4, id) == STATUS_UNSUCCESSFUL,
		  "once");
}

static NTSTATUS removed;
static ULONG deleted_meanwhile;

static VOID remove_hook(ULONG64 flow)
{
	removed = FwpsFlowRemoveContext0(flow, FWPS_LAYER_STREAM_V4, Callout[Light].id);
	deleted_meanwhile = Callout[Light].deleted;
}

VOID TestFlows(VOID)
{
	ULONG64 flow;

	TestOpen(FWP_ACTION_CALLOUT_TERMINATING, 0);
	flow = TestFlow(AF_INET, 6, 80);
	test_established(flow);
	TestCheck(WfpIsStreamFiltered(flow) && !WfpIsDatagramFiltered(flow),
		  "the stack is told that somebody looks");
	test_association(flow);
	TestStream(flow, SEND, "x");
	TestCheck(Callout[Heavy].calls == 0 && Callout[Light].calls == 1,
		  "conditional on flow: no context, no call");
	TestCheck(Callout[Light].context == 0x200 + flow, "the context comes with the call");
	Callout[Light].hook = remove_hook;
	TestStream(flow, SEND, "y");
	TestCheck(
		removed == STATUS_PENDING && deleted_meanwhile == 0 && Callout[Light].deleted == 1,
		"a context in use goes a little later");
	TestCheck(!WfpIsStreamFiltered(flow), "nobody looks any more");
	WfpFlowDeleted(flow);
	flow = TestFlow(AF_INET, 6, 80);
	WfpFlowDeleted(flow);
	TestCheck(Callout[Heavy].deleted == 2 && Callout[Light].deleted == 2,
		  "the end of a flow deletes contexts");
	flow = TestFlow(WFP_AF_INET6, 6, 80);
	TestCheck(!WfpIsStreamFiltered(flow), "IPv6 is another layer");
	WfpFlowDeleted(flow);
	TestClose();
	TestKeeps("flows break no contract");
}

/* --- the stream --- */

static VOID expect(WFP_STREAM_RESULT result, WFP_STREAM_VERDICT action, SIZE_T bytes, PCSTR what)
{
	TestCheck(result.Action == action && result.Bytes == bytes, what);
}

static VOID test_waterfall(ULONG64 flow)
{
	TestResetCallouts();
	expect(TestStream(flow, SEND, "hello"), WfpStreamPermit, 5, "data pass");
	TestCheck(Callout[Heavy].calls == 1 && Callout[Light].calls == 1 &&
			  Callout[Light].length == 5 &&
			  __builtin_memcmp(Callout[Light].bytes, "hello", 5) == 0 &&
			  Callout[Light].stream_flags == SEND && Callout[Light].out_flags == 0,
		  "and are seen by both sublayers");
	Callout[Heavy].enforced = 2;
	expect(TestStream(flow, SEND, "hello"), WfpStreamPermit, 2, "countBytesEnforced");
	TestCheck(Callout[Light].length == 2, "is what the lighter one sees");
	Callout[Heavy].enforced = 9;
	expect(TestStream(flow, SEND, "hello"), WfpStreamPermit, 5, "more than there is");
	TestViolates("is counted");
	Callout[Heavy].enforced = 0;
	Callout[Heavy].is_silent = TRUE;
	expect(TestStream(flow, SEND, "hello"), WfpStreamPermit, 5,
	       "an answer that was not written");
	TestViolates("is counted once");
	Callout[Heavy].is_silent = FALSE;
}

static VOID test_ends(ULONG64 flow)
{
	TestResetCallouts();
	expect(TestStream(flow, RECEIVE | FWPS_STREAM_FLAG_RECEIVE_DISCONNECT, NULL),
	       WfpStreamPermit, 0, "the end of a direction passes");
	TestCheck(Callout[Heavy].length == 0 &&
			  (Callout[Heavy].out_flags & FWPS_CLASSIFY_OUT_FLAG_NO_MORE_DATA) != 0,
		  "with NO_MORE_DATA");
	expect(TestStream(flow, RECEIVE | FWPS_STREAM_FLAG_RECEIVE_DISCONNECT, "last"),
	       WfpStreamPermit, 4, "with data or without");
	TestKeeps("ends are in order");
	Callout[Heavy].action = FWP_ACTION_NONE;
	Callout[Heavy].stream_action = FWPS_STREAM_ACTION_NEED_MORE_DATA;
	TestStream(flow, RECEIVE | FWPS_STREAM_FLAG_RECEIVE_DISCONNECT, NULL);
	TestViolates("more is not to be had there");
}

static VOID test_actions(ULONG64 flow)
{
	TestResetCallouts();
	Callout[Heavy].action = FWP_ACTION_PERMIT;
	Callout[Heavy].stream_action = FWPS_STREAM_ACTION_DEFER;
	expect(TestStream(flow, RECEIVE, "abc"), WfpStreamDefer, 3, "inbound data are deferred");
	TestViolates("a stream action goes with NONE");
	TestCheck(NT_SUCCESS(FwpsStreamContinue0(flow, Callout[Heavy].id, FWPS_LAYER_STREAM_V4,
						 RECEIVE)) &&
			  Stack.continues == 1 && Stack.flags == RECEIVE,
		  "and go on");
	TestCheck(!NT_SUCCESS(FwpsStreamContinue0(flow, Callout[Heavy].id, FWPS_LAYER_STREAM_V4,
						  RECEIVE)),
		  "once");
	TestViolates("which is counted");
	Callout[Heavy].action = FWP_ACTION_NONE;
	TestStream(flow, RECEIVE | FWPS_STREAM_FLAG_RECEIVE_PUSH, "abc");
	FwpsStreamContinue0(flow, Callout[Heavy].id, FWPS_LAYER_STREAM_V4, RECEIVE);
	TestViolates("other stream flags are counted");
	expect(TestStream(flow, SEND, "abc"), WfpStreamPermit, 3, "outbound ones are not");
	TestViolates("whoever tries");
	Callout[Heavy].stream_action = FWPS_STREAM_ACTION_DROP_CONNECTION;
	expect(TestStream(flow, SEND, "abc"), WfpStreamDrop, 3, "a connection is dropped");
	TestCheck(Callout[Light].calls == 1, "and the lighter one does not see that");
	Callout[Heavy].stream_action = FWPS_STREAM_ACTION_ALLOW_CONNECTION;
	TestStream(flow, SEND, "abc");
	Callout[Heavy].calls = 0;
	TestStream(flow, SEND, "abc");
	TestCheck(Callout[Heavy].calls == 0, "a connection that is allowed is left alone");
	TestKeeps("all of it by the rules");
}

static VOID continue_hook(ULONG64 flow)
{
	FwpsStreamContinue0(flow, Callout[Heavy].id, FWPS_LAYER_STREAM_V4, RECEIVE);
}

static VOID test_out_of_band(ULONG64 flow)
{
	TestResetCallouts();
	Callout[Heavy].action = FWP_ACTION_BLOCK;
	expect(TestStream(flow, SEND, "abcdef"), WfpStreamAbsorb, 6, "blocked is absorbed");
	TestCheck(Callout[Light].calls == 0, "and the lighter one does not see it");
	Callout[Heavy].enforced = 4;
	expect(TestStream(flow, SEND, "abcdef"), WfpStreamAbsorb, 4, "or a part of it");
	Callout[Heavy].enforced = 0;
	Callout[Heavy].action = FWP_ACTION_CONTINUE;
	TestStream(flow, RECEIVE, "abc");
	TestKeeps("the other direction is another matter");
	TestStream(flow, SEND, "abc");
	TestViolates("back to inline is counted");
	Callout[Heavy].action = FWP_ACTION_BLOCK;
	expect(TestStream(flow, SEND | FWPS_STREAM_FLAG_SEND_DISCONNECT, NULL), WfpStreamAbsorb, 0,
	       "the end is absorbed too");
	Callout[Heavy].hook = continue_hook;
	TestStream(flow, SEND, "abc");
	TestViolates("going on inside classify is counted");
	Callout[Heavy].hook = NULL;
	expect(TestStream(flow, FWPS_STREAM_FLAG_SEND_ABORT, NULL), WfpStreamPermit, 0,
	       "a reset cannot be blocked");
	TestViolates("whoever tries it");
}

static VOID discard(ULONG i)
{
	FwpsDiscardClonedStreamData0(Callout[Heavy].clones[i], 0, FALSE);
}

static VOID discard_hook(ULONG64 flow)
{
	Callout[Heavy].clones_wanted = 0;
	discard(0);
}

/* Who has clones of what a program sends keeps its request busy. */
static VOID test_clones(ULONG64 flow)
{
	TestResetCallouts();
	Stack.releases = 0;
	Stack.flow = NULL;
	Callout[Heavy].clones_wanted = 2;
	TestStream(flow, SEND, "abc");
	TestCheck(__builtin_memcmp(NdisGetDataBuffer(Callout[Heavy].clones[1]->FirstNetBuffer, 3,
						     NULL, 1, 0),
				   "abc", 3) == 0,
		  "clones have the bytes");
	TestCheck(WfpIsSendKept(flow), "a send of which there are clones is kept");
	discard(1);
	TestCheck(WfpIsSendKept(flow) && Stack.releases == 0, "until the last one");
	discard(0);
	TestCheck(!WfpIsSendKept(flow) && Stack.releases == 1 && Stack.flow == &Stack,
		  "is discarded, and the stack is told");
	TestStream(flow, RECEIVE, "abc");
	TestCheck(!WfpIsSendKept(flow), "clones of inbound data keep nobody");
	discard(0);
	discard(1);
	Callout[Heavy].clones_wanted = 1;
	TestStream(flow, SEND, "abc");
	Callout[Heavy].hook = discard_hook;
	Callout[Heavy].clones_wanted = 0;
	TestStream(flow, SEND, "def");
	TestCheck(!WfpIsSendKept(flow) && Stack.releases == 2, "discarded inside classify");
	Callout[Heavy].hook = NULL;
	Callout[Heavy].clones_wanted = 1;
	TestStream(flow, SEND, "abc");
	WfpFlowDeleted(flow);
	TestCheck(!WfpIsSendKept(flow), "a flow that is gone keeps nobody");
	discard(0);
	TestCheck(Stack.releases == 3, "and its clones can be discarded later");
	Callout[Heavy].clones_wanted = 0;
	TestKeeps("clones break no contract");
}

static VOID test_terminating(VOID)
{
	ULONG64 flow;

	TestOpen(FWP_ACTION_CALLOUT_TERMINATING, 0);
	flow = TestFlow(AF_INET, 6, 80);
	Callout[Heavy].action = FWP_ACTION_NONE;
	Callout[Heavy].stream_action = FWPS_STREAM_ACTION_DROP_CONNECTION;
	expect(TestStream(flow, SEND, "abc"), WfpStreamPermit, 3,
	       "only CALLOUT_UNKNOWN drops connections");
	TestViolates("others are counted");
	WfpFlowDeleted(flow);
	TestClose();
}

static VOID test_inspection(VOID)
{
	ULONG64 flow;

	TestOpen(FWP_ACTION_CALLOUT_INSPECTION, 0);
	flow = TestFlow(AF_INET, 6, 80);
	Callout[Heavy].is_silent = TRUE;
	expect(TestStream(flow, SEND, "abc"), WfpStreamPermit, 3, "inspection answers nothing");
	TestKeeps("and owes nothing");
	WfpFlowDeleted(flow);
	TestClose();
}

/* Filters whose callout is not registered (any more) */
static VOID test_unregistered(ULONG flags, WFP_STREAM_VERDICT expected, PCSTR what)
{
	ULONG64 flow;

	TestOpen(FWP_ACTION_CALLOUT_UNKNOWN, flags);
	FlowCallout.associates = FALSE;
	FwpsCalloutUnregisterById0(Callout[Heavy].id);
	flow = TestFlow(AF_INET, 6, 80);
	expect(TestStream(flow, SEND, "abc"), expected, 3, what);
	WfpFlowDeleted(flow);
	TestRegister(Heavy, 0);
	TestClose();
}

VOID TestStreams(VOID)
{
	ULONG64 flow;

	TestOpen(FWP_ACTION_CALLOUT_UNKNOWN, 0);
	flow = TestFlow(AF_INET, 6, 80);
	test_waterfall(flow);
	test_ends(flow);
	test_actions(flow);
	WfpFlowDeleted(flow);
	flow = TestFlow(AF_INET, 6, 80);
	test_out_of_band(flow);
	WfpFlowDeleted(flow);
	test_clones(TestFlow(AF_INET, 6, 80));
	TestClose();
	test_terminating();
	test_inspection();
	test_unregistered(0, WfpStreamDrop, "a filter without its callout blocks");
	test_unregistered(FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED, WfpStreamPermit,
			  "unless it is told to permit");
	TestKeeps("nothing more was counted");
}
