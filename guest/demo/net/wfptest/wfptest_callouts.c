/* SPDX-License-Identifier: MIT */
/* Two callout drivers at the stream (or datagram) layer, Heavy and Light, an inspector, and one who
 * makes contexts when flows are established. */
#include "guest/demo/net/wfptest/wfptest.h"

struct test_callout Callout[TestCallouts];
struct test_flow_callout FlowCallout;
HANDLE Engine, TestHandle;

const GUID TestSublayer[2] = { { 0x5EB1A7E1, 1, 1, { 1 } }, { 0x5EB1A7E2, 1, 1, { 2 } } };
GUID TestCalloutKey[TestCallouts + 1] = {
	{ 0xCA110001, 1, 1, { 1 } },
	{ 0xCA110002, 1, 1, { 2 } },
	{ 0xCA110003, 1, 1, { 3 } },
	{ 0xCA110004, 1, 1, { 4 } }, /* of the flow callout */
};
static WCHAR name[] = L"test";

static VOID note_stream(struct test_callout *c, FWPS_STREAM_DATA0 *data)
{
	SIZE_T copied = 0;

	for (ULONG i = 0; i < c->clones_wanted; i++)
		FwpsCloneStreamData0(data, NULL, NULL, 0, &c->clones[i]);

	c->stream_flags = data->flags;
	c->length = (ULONG)data->dataLength;
	FwpsCopyStreamDataToBuffer0(data, c->bytes, sizeof(c->bytes), &copied);
	if (copied != data->dataLength && data->dataLength <= sizeof(c->bytes))
		c->length = ~0u;
}

static VOID answer_stream(const struct test_callout *c, FWPS_STREAM_CALLOUT_IO_PACKET0 *packet)
{
	packet->streamAction = c->stream_action;
	packet->countBytesEnforced = c->enforced;
	packet->countBytesRequired = 0;
}

static VOID classify(struct test_callout *c, const FWPS_INCOMING_VALUES0 *values,
		     const FWPS_INCOMING_METADATA_VALUES0 *meta, PVOID layer_data, ULONG64 context,
		     FWPS_CLASSIFY_OUT0 *out)
{
	const BOOLEAN is_stream = values->layerId == FWPS_LAYER_STREAM_V4 ||
				  values->layerId == FWPS_LAYER_STREAM_V6;

	c->calls++;
	c->context = context;
	c->out_flags = out->flags;
	c->rights = out->rights;
	if (is_stream)
		note_stream(c, ((FWPS_STREAM_CALLOUT_IO_PACKET0 *)layer_data)->streamData);
	else
		c->injection_state = FwpsQueryPacketInjectionState0(TestHandle, layer_data, NULL);
	if (c->hook != NULL)
		c->hook(meta->flowHandle);
	if (c->is_silent)
		return;
	if (is_stream)
		answer_stream(c, layer_data);
	out->actionType = c->action;
	if (c->action == FWP_ACTION_BLOCK && !c->keeps_right)
		out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
	if (c->action == FWP_ACTION_BLOCK)
		out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

static NTSTATUS notify(struct test_callout *c, ULONG type)
{
	if (type == FWPS_CALLOUT_NOTIFY_ADD_FILTER)
		c->notified_add++;
	if (type == FWPS_CALLOUT_NOTIFY_DELETE_FILTER)
		c->notified_delete++;
	return c->notify_answer;
}

#define FUNCTIONS(which)                                                                           \
	static VOID NTAPI classify_##which(const FWPS_INCOMING_VALUES0 *values,                    \
					   const FWPS_INCOMING_METADATA_VALUES0 *meta, PVOID data, \
					   const VOID *cc, const FWPS_FILTER2 *filter,             \
					   ULONG64 context, FWPS_CLASSIFY_OUT0 *out)               \
	{                                                                                          \
		classify(&Callout[which], values, meta, data, context, out);                       \
	}                                                                                          \
	static NTSTATUS NTAPI notify_##which(ULONG type, const GUID *key, FWPS_FILTER2 *filter)    \
	{                                                                                          \
		return notify(&Callout[which], type);                                              \
	}                                                                                          \
	static VOID NTAPI deleted_##which(USHORT layer, ULONG id, ULONG64 context)                 \
	{                                                                                          \
		Callout[which].deleted++;                                                          \
		Callout[which].deleted_context = context;                                          \
	}
FUNCTIONS(Heavy)
FUNCTIONS(Light)
FUNCTIONS(Inspector)

static VOID NTAPI classify_flow(const FWPS_INCOMING_VALUES0 *values,
				const FWPS_INCOMING_METADATA_VALUES0 *meta, PVOID data,
				const VOID *cc, const FWPS_FILTER2 *filter, ULONG64 context,
				FWPS_CLASSIFY_OUT0 *out)
{
	const FWPS_INCOMING_VALUE0 *v = values->incomingValue;
	struct test_flow_callout *f = &FlowCallout;

	f->calls++;
	f->flow = meta->flowHandle;
	f->process_id = meta->processId;
	f->metadata = meta->currentMetadataValues;
	f->path_size = meta->processPath->size;
	f->layer = values->layerId;
	f->protocol = v[FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_PROTOCOL].uint8;
	f->remote_port = v[FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_REMOTE_PORT].uint16;
	f->remote_address = v[FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_REMOTE_ADDRESS].uint32;
	out->actionType = FWP_ACTION_CONTINUE;
	if (!f->associates)
		return;
	for (ULONG i = Heavy; i <= Light; i++)
		FwpsFlowAssociateContext0(
			f->flow,
			f->protocol == 6 ? FWPS_LAYER_STREAM_V4 : FWPS_LAYER_DATAGRAM_DATA_V4,
			Callout[i].id, 0x100 * (i + 1) + f->flow);
}

static NTSTATUS NTAPI notify_flow(ULONG type, const GUID *key, FWPS_FILTER2 *filter)
{
	return STATUS_SUCCESS;
}

VOID TestRegister(ULONG Which, ULONG Flags)
{
	static const FWPS_CALLOUT2 functions[] = {
		{ .classifyFn = classify_Heavy,
		  .notifyFn = notify_Heavy,
		  .flowDeleteFn = deleted_Heavy },
		{ .classifyFn = classify_Light,
		  .notifyFn = notify_Light,
		  .flowDeleteFn = deleted_Light },
		{ .classifyFn = classify_Inspector,
		  .notifyFn = notify_Inspector,
		  .flowDeleteFn = deleted_Inspector },
		{ .classifyFn = classify_flow, .notifyFn = notify_flow },
	};
	FWPS_CALLOUT2 callout = functions[Which];

	callout.calloutKey = TestCalloutKey[Which];
	callout.flags = Flags;
	FwpsCalloutRegister2(TestDevice, &callout,
			     Which < TestCallouts ? &Callout[Which].id : &FlowCallout.id);
}

VOID TestResetCallouts(VOID)
{
	for (ULONG i = 0; i < TestCallouts; i++) {
		ULONG id = Callout[i].id;

		__builtin_memset(&Callout[i], 0, sizeof(Callout[i]));
		Callout[i].id = id;
		Callout[i].action = FWP_ACTION_CONTINUE;
	}
	__builtin_memset(&Stack, 0, sizeof(Stack));
}

NTSTATUS TestAddFilter(ULONG Which, const GUID *Layer, FWPM_FILTER_CONDITION0 *Conditions,
		       ULONG Count, ULONG Action, ULONG Flags, ULONG64 *Id)
{
	FWPM_FILTER0 filter = {
		.displayData = { name, NULL },
		.layerKey = *Layer,
		.subLayerKey = TestSublayer[Which == Light],
		.flags = Flags,
		.numFilterConditions = Count,
		.filterCondition = Conditions,
		.action = { Action, TestCalloutKey[Which] },
	};

	return FwpmFilterAdd0(Engine, &filter, NULL, Id);
}

static VOID add_callout(ULONG which, const GUID *layer)
{
	FWPM_CALLOUT0 callout = { .calloutKey = TestCalloutKey[which],
				  .displayData = { name, NULL },
				  .applicableLayer = *layer };

	FwpmCalloutAdd0(Engine, &callout, NULL, NULL);
}

VOID TestOpen(ULONG Action, ULONG Flags)
{
	FWPM_SESSION0 session = { .flags = FWPM_SESSION_FLAG_DYNAMIC };
	static const USHORT weights[2] = { 500, 100 };

	TestResetCallouts();
	__builtin_memset(&FlowCallout, 0, sizeof(FlowCallout));
	FlowCallout.associates = TRUE;
	for (ULONG i = 0; i < TestCallouts; i++)
		TestRegister(i, FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW);
	TestRegister(TestCallouts, 0);
	FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &Engine);
	FwpmTransactionBegin0(Engine, 0);
	for (ULONG i = 0; i < 2; i++) {
		FWPM_SUBLAYER0 sublayer = { .subLayerKey = TestSublayer[i],
					    .displayData = { name, NULL },
					    .weight = weights[i] };

		FwpmSubLayerAdd0(Engine, &sublayer, NULL);
	}
	add_callout(Heavy, &FWPM_LAYER_STREAM_V4);
	add_callout(Light, &FWPM_LAYER_STREAM_V4);
	add_callout(Inspector, &FWPM_LAYER_STREAM_V4);
	add_callout(TestCallouts, &FWPM_LAYER_ALE_FLOW_ESTABLISHED_V4);
	TestAddFilter(Heavy, &FWPM_LAYER_STREAM_V4, NULL, 0, Action, Flags, NULL);
	TestAddFilter(Light, &FWPM_LAYER_STREAM_V4, NULL, 0, FWP_ACTION_CALLOUT_TERMINATING,
		      FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED, NULL);
	TestAddFilter(TestCallouts, &FWPM_LAYER_ALE_FLOW_ESTABLISHED_V4, NULL, 0,
		      FWP_ACTION_CALLOUT_INSPECTION, 0, NULL);
	TestCheck(NT_SUCCESS(FwpmTransactionCommit0(Engine)), "two callout drivers are there");
}

VOID TestClose(VOID)
{
	BOOLEAN good = NT_SUCCESS(FwpmEngineClose0(Engine));

	for (ULONG i = 0; i < TestCallouts; i++)
		good &= NT_SUCCESS(FwpsCalloutUnregisterById0(Callout[i].id));
	good &= NT_SUCCESS(FwpsCalloutUnregisterById0(FlowCallout.id));
	TestCheck(good, "and gone");
}
