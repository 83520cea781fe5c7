/* SPDX-License-Identifier: MIT */
/* The service, sessions, transactions, filters and their conditions. */
#include "guest/demo/net/wfptest/wfptest.h"

static WCHAR name[] = L"test";
static volatile ULONG heard_state;

static VOID NTAPI state_changed(PVOID context, ULONG state)
{
	heard_state = state;
}

VOID TestService(VOID)
{
	HANDLE subscription = NULL, engine = NULL;

	TestCheck(
		FwpmBfeStateGet0() != FWPM_SERVICE_RUNNING &&
			!NT_SUCCESS(FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine)),
		"no engine before there is a stack");
	TestCheck(NT_SUCCESS(FwpmBfeStateSubscribeChanges0(TestDevice, state_changed, NULL,
							   &subscription)),
		  "the service's state is subscribed to");
	WfpRegisterStack(&TestStackOps);
	TestCheck(heard_state == FWPM_SERVICE_RUNNING && FwpmBfeStateGet0() == FWPM_SERVICE_RUNNING,
		  "and heard of");
	TestCheck(NT_SUCCESS(FwpmBfeStateUnsubscribeChanges0(subscription)), "and not any more");
}

static NTSTATUS add_sublayer(HANDLE engine, PWCHAR display)
{
	FWPM_SUBLAYER0 sublayer = { .subLayerKey = TestSublayer[0],
				    .displayData = { display, NULL } };

	return FwpmSubLayerAdd0(engine, &sublayer, NULL);
}

static VOID test_transactions(HANDLE engine)
{
	TestCheck(add_sublayer(engine, NULL) == STATUS_FWP_NULL_DISPLAY_NAME, "objects have names");
	TestCheck(FwpmTransactionCommit0(engine) == STATUS_FWP_NO_TXN_IN_PROGRESS &&
			  NT_SUCCESS(FwpmTransactionBegin0(engine, 0)) &&
			  FwpmTransactionBegin0(engine, 0) == STATUS_FWP_TXN_IN_PROGRESS,
		  "one transaction at a time");
	TestCheck(NT_SUCCESS(add_sublayer(engine, name)) &&
			  add_sublayer(engine, name) == STATUS_FWP_ALREADY_EXISTS,
		  "a sublayer is there once");
	TestCheck(NT_SUCCESS(FwpmTransactionAbort0(engine)) &&
			  FwpmSubLayerDeleteByKey0(engine, &TestSublayer[0]) ==
				  STATUS_FWP_SUBLAYER_NOT_FOUND,
		  "what is aborted was never there");
	FwpmTransactionBegin0(engine, 0);
	add_sublayer(engine, name);
	FwpmSubLayerDeleteByKey0(engine, &TestSublayer[0]);
	FwpmTransactionAbort0(engine);
	TestCheck(
		FwpmSubLayerDeleteByKey0(engine, &TestSublayer[0]) == STATUS_FWP_SUBLAYER_NOT_FOUND,
		"nor what came and went before the abort");
}

/* Another session waits while one is in a transaction, and sees nothing of an aborted one. */
static VOID test_two_sessions(HANDLE engine)
{
	FWPM_SESSION0 patience = { .txnWaitTimeoutInMSec = 50 };
	HANDLE other = NULL;

	FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &patience, &other);
	FwpmTransactionBegin0(engine, 0);
	TestCheck(add_sublayer(other, name) == STATUS_FWP_TIMEOUT,
		  "a transaction keeps others waiting");
	FwpmTransactionAbort0(engine);
	TestCheck(NT_SUCCESS(add_sublayer(other, name)), "until it is over");
	FwpmTransactionBegin0(other, 0);
	FwpmSubLayerDeleteByKey0(other, &TestSublayer[0]);
	FwpmEngineClose0(other);
	TestCheck(add_sublayer(engine, name) == STATUS_FWP_ALREADY_EXISTS,
		  "closing aborts; what a session made that is not dynamic stays");
	TestCheck(NT_SUCCESS(FwpmSubLayerDeleteByKey0(engine, &TestSublayer[0])),
		  "and is anybody's to delete");
}

static VOID test_providers(HANDLE engine)
{
	FWPM_PROVIDER0 provider = { .providerKey = { .Data1 = 0x9407 },
				    .displayData = { name, NULL } };
	FWPM_SUBLAYER0 sublayer = { .subLayerKey = TestSublayer[0],
				    .displayData = { name, NULL },
				    .providerKey = &provider.providerKey };

	TestCheck(FwpmSubLayerAdd0(engine, &sublayer, NULL) == STATUS_FWP_PROVIDER_NOT_FOUND,
		  "a provider that is named must be there");
	TestCheck(NT_SUCCESS(FwpmProviderAdd0(engine, &provider, NULL)) &&
			  FwpmProviderAdd0(engine, &provider, NULL) == STATUS_FWP_ALREADY_EXISTS &&
			  NT_SUCCESS(FwpmSubLayerAdd0(engine, &sublayer, NULL)) &&
			  NT_SUCCESS(FwpmSubLayerDeleteByKey0(engine, &TestSublayer[0])),
		  "once, and then it will do");
}

static VOID test_wrong_irql(HANDLE engine)
{
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);
	NTSTATUS status = FwpmTransactionBegin0(engine, 0);

	KeLowerIrql(irql);
	TestCheck(!NT_SUCCESS(status), "management at DISPATCH_LEVEL fails");
	TestViolates("and is counted");
}

/* Two callout drivers, and what happens to their filters */
static VOID test_filters(VOID)
{
	ULONG64 id = 0;

	TestOpen(FWP_ACTION_CALLOUT_TERMINATING, 0);
	TestCheck(Callout[Heavy].notified_add == 1, "a callout hears of its filter");
	Callout[Heavy].notify_answer = STATUS_UNSUCCESSFUL;
	TestCheck(TestAddFilter(Heavy, &FWPM_LAYER_STREAM_V4, NULL, 0,
				FWP_ACTION_CALLOUT_TERMINATING, 0, &id) == STATUS_UNSUCCESSFUL &&
			  FwpmFilterDeleteById0(Engine, id) == STATUS_FWP_FILTER_NOT_FOUND,
		  "and may refuse it");
	TestCheck(TestAddFilter(Heavy, &FWPM_LAYER_STREAM_V6, NULL, 0,
				FWP_ACTION_CALLOUT_TERMINATING, 0, NULL) < 0,
		  "a callout is for one layer");
	TestCheck(FwpmCalloutDeleteByKey0(Engine, &TestCalloutKey[Heavy]) == STATUS_FWP_IN_USE &&
			  FwpmSubLayerDeleteByKey0(Engine, &TestSublayer[0]) == STATUS_FWP_IN_USE,
		  "what filters use is not deleted");
	TestClose();
	TestCheck(Callout[Heavy].notified_delete == 1 && Callout[Light].notified_delete == 1,
		  "a dynamic session takes its filters with it");
}

VOID TestManagement(VOID)
{
	FWPM_SESSION0 session = { .flags = FWPM_SESSION_FLAG_DYNAMIC };
	HANDLE engine = NULL;

	TestCheck(NT_SUCCESS(FwpmEngineOpen0(NULL, RPC_C_AUTHN_DEFAULT, NULL, &session, &engine)),
		  "an engine is opened");
	test_transactions(engine);
	test_two_sessions(engine);
	test_providers(engine);
	test_wrong_irql(engine);
	add_sublayer(engine, name);
	FwpmEngineClose0(engine);
	TestCheck(FwpmTransactionBegin0(engine, 0) == STATUS_INVALID_HANDLE, "closed is closed");
	TestViolates("and using it counted");
	test_filters();
}

/* --- conditions --- */

static ULONG range_low = 0x0A000200, range_high = 0x0A0002FF; /* 10.0.2.0/24 */
static FWP_RANGE0 range = { { .type = FWP_UINT32 }, { .type = FWP_UINT32 } };
static FWP_V4_ADDR_AND_MASK net = { 0x0A000000, 0xFF000000 },
			    other_net = { 0x0B000000, 0xFF000000 };
static WCHAR app_text[] = L"\\Device\\HarddiskVolume1\\demo\\WEB.exe";
static FWP_BYTE_BLOB app = { sizeof(app_text), (PUCHAR)app_text };

struct condition_test {
	PCSTR what;
	BOOLEAN matches;
	ULONG count;
	FWPM_FILTER_CONDITION0 conditions[2];
};

/* How often the flow callout sees a TCP flow to 10.0.2.2:80 through a filter with these conditions
 */
static VOID test_conditions(struct condition_test *t)
{
	ULONG64 id, flow;
	ULONG before = FlowCallout.calls, expected = t->matches ? 2 : 1;
	NTSTATUS status = TestAddFilter(TestCallouts, &FWPM_LAYER_ALE_FLOW_ESTABLISHED_V4,
					t->conditions, t->count, FWP_ACTION_CALLOUT_INSPECTION, 0,
					&id);

	flow = TestFlow(AF_INET, 6, 80);
	TestCheck(NT_SUCCESS(status) && FlowCallout.calls == before + expected, t->what);
	WfpFlowDeleted(flow);
	FwpmFilterDeleteById0(Engine, id);
}

/* GUIDs are no constants: these stand for them until the test starts */
enum { FIELD_PORT, FIELD_PROTO, FIELD_ADDR, FIELD_DIR, FIELD_FLAGS, FIELD_APP };

#define CONDITION(field, match, value_type, member, v)                                  \
	{                                                                               \
		.fieldKey = { .Data1 = FIELD_##field }, .matchType = FWP_MATCH_##match, \
		.conditionValue = {                                                     \
			.type = value_type,                                             \
			.member = v                                                     \
		}                                                                       \
	}

static struct condition_test tests[] = {
	{ "port equal", TRUE, 1, { CONDITION(PORT, EQUAL, FWP_UINT16, uint16, 80) } },
	{ "port not equal", FALSE, 1, { CONDITION(PORT, NOT_EQUAL, FWP_UINT16, uint16, 80) } },
	{ "port greater", TRUE, 1, { CONDITION(PORT, GREATER, FWP_UINT16, uint16, 79) } },
	{ "port not less", FALSE, 1, { CONDITION(PORT, LESS, FWP_UINT16, uint16, 80) } },
	{ "port greater or equal",
	  TRUE,
	  1,
	  { CONDITION(PORT, GREATER_OR_EQUAL, FWP_UINT16, uint16, 80) } },
	{ "port not less or equal",
	  FALSE,
	  1,
	  { CONDITION(PORT, LESS_OR_EQUAL, FWP_UINT16, uint16, 79) } },
	{ "a value of another type", FALSE, 1, { CONDITION(PORT, EQUAL, FWP_UINT32, uint32, 80) } },
	{ "one field: either",
	  TRUE,
	  2,
	  { CONDITION(PORT, EQUAL, FWP_UINT16, uint16, 443),
	    CONDITION(PORT, EQUAL, FWP_UINT16, uint16, 80) } },
	{ "two fields: both",
	  FALSE,
	  2,
	  { CONDITION(PROTO, EQUAL, FWP_UINT8, uint8, 17),
	    CONDITION(PORT, EQUAL, FWP_UINT16, uint16, 80) } },
	{ "two fields: both met",
	  TRUE,
	  2,
	  { CONDITION(PROTO, EQUAL, FWP_UINT8, uint8, 6),
	    CONDITION(PORT, EQUAL, FWP_UINT16, uint16, 80) } },
	{ "address in network",
	  TRUE,
	  1,
	  { CONDITION(ADDR, EQUAL, FWP_V4_ADDR_MASK, v4AddrMask, &net) } },
	{ "address in another",
	  FALSE,
	  1,
	  { CONDITION(ADDR, EQUAL, FWP_V4_ADDR_MASK, v4AddrMask, &other_net) } },
	{ "address in range",
	  TRUE,
	  1,
	  { CONDITION(ADDR, RANGE, FWP_RANGE_TYPE, rangeValue, &range) } },
	{ "direction",
	  TRUE,
	  1,
	  { CONDITION(DIR, EQUAL, FWP_UINT32, uint32, FWP_DIRECTION_OUTBOUND) } },
	{ "no loopback", TRUE, 1, { CONDITION(FLAGS, FLAGS_NONE_SET, FWP_UINT32, uint32, 1) } },
	{ "loopback", FALSE, 1, { CONDITION(FLAGS, FLAGS_ANY_SET, FWP_UINT32, uint32, 1) } },
	{ "all of it", FALSE, 1, { CONDITION(FLAGS, FLAGS_ALL_SET, FWP_UINT32, uint32, 5) } },
	{ "program, case and all",
	  FALSE,
	  1,
	  { CONDITION(APP, EQUAL, FWP_BYTE_BLOB_TYPE, byteBlob, &app) } },
	{ "program, without case",
	  TRUE,
	  1,
	  { CONDITION(APP, EQUAL_CASE_INSENSITIVE, FWP_BYTE_BLOB_TYPE, byteBlob, &app) } },
};

static VOID name_fields(struct condition_test *t)
{
	static const GUID *const keys[] = {
		[FIELD_PORT] = &FWPM_CONDITION_IP_REMOTE_PORT,
		[FIELD_PROTO] = &FWPM_CONDITION_IP_PROTOCOL,
		[FIELD_ADDR] = &FWPM_CONDITION_IP_REMOTE_ADDRESS,
		[FIELD_DIR] = &FWPM_CONDITION_DIRECTION,
		[FIELD_FLAGS] = &FWPM_CONDITION_FLAGS,
		[FIELD_APP] = &FWPM_CONDITION_ALE_APP_ID,
	};

	for (ULONG i = 0; i < t->count; i++)
		t->conditions[i].fieldKey = *keys[t->conditions[i].fieldKey.Data1];
}

VOID TestConditions(VOID)
{
	FWPM_FILTER_CONDITION0 wrong = { .matchType = FWP_MATCH_EQUAL,
					 .conditionValue = { .type = FWP_UINT8 } };

	range.valueLow.uint32 = range_low;
	range.valueHigh.uint32 = range_high;
	TestOpen(FWP_ACTION_CALLOUT_TERMINATING, 0);
	for (ULONG i = 0; i < RTL_NUMBER_OF(tests); i++) {
		name_fields(&tests[i]);
		test_conditions(&tests[i]);
	}
	wrong.fieldKey = FWPM_CONDITION_IP_PROTOCOL;
	TestCheck(TestAddFilter(Heavy, &FWPM_LAYER_STREAM_V4, &wrong, 1,
				FWP_ACTION_CALLOUT_TERMINATING, 0,
				NULL) == STATUS_FWP_CONDITION_NOT_FOUND,
		  "the stream layer has no protocol");
	TestClose();
	TestKeeps("conditions break no contract");
}
