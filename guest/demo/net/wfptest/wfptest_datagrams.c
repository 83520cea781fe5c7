/* SPDX-License-Identifier: MIT */
/* Datagrams (traffic facts 2.8): blocked, injected, recognized; and the headers made for them. */
#include "guest/demo/net/wfptest/wfptest.h"

static WCHAR name[] = L"test";
static ULONG completions;

static VOID NTAPI completed(PVOID context, NET_BUFFER_LIST *list, BOOLEAN dispatch_level)
{
	completions++;
}

static ULONG classify(ULONG64 flow, NET_BUFFER_LIST *list, ULONG64 cookie)
{
	WFP_DATAGRAM datagram = { .Direction = FWP_DIRECTION_INBOUND,
				  .IpHeaderSize = 20,
				  .TransportHeaderSize = 8,
				  .CompartmentId = 1,
				  .InterfaceIndex = 5,
				  .InjectionCookie = cookie };
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);
	ULONG action = WfpClassifyDatagram(flow, list, &datagram);

	KeLowerIrql(irql);
	return action;
}

static VOID test_decisions(ULONG64 flow, NET_BUFFER_LIST *list)
{
	TestCheck(classify(flow, list, 0) == FWP_ACTION_PERMIT && Callout[Heavy].calls == 1 &&
			  Callout[Heavy].rights == FWPS_RIGHT_ACTION_WRITE &&
			  Callout[Heavy].context == 0x100 + flow,
		  "a datagram passes");
	TestCheck(Callout[Heavy].injection_state == FWPS_PACKET_NOT_INJECTED, "one from outside");
	Callout[Heavy].action = FWP_ACTION_BLOCK;
	TestCheck(classify(flow, list, 0) == FWP_ACTION_BLOCK, "or is blocked");
	TestKeeps("by one who clears the right");
	Callout[Heavy].keeps_right = TRUE;
	classify(flow, list, 0);
	TestViolates("who does not is counted");
	TestResetCallouts();
}

static VOID test_sending(ULONG64 flow, NET_BUFFER_LIST *list)
{
	UCHAR remote[4] = { 10, 0, 2, 2 };
	FWPS_TRANSPORT_SEND_PARAMS1 parameters = { .remoteAddress = remote };
	HANDLE own = TestHandle, other = NULL;
	NTSTATUS status;

	Stack.keep = TRUE;
	status = FwpsInjectTransportSendAsync1(own, NULL, 0x77, 0, &parameters, AF_INET, 1, list,
					       completed, NULL);
	TestCheck(NT_SUCCESS(status) && Stack.sends == 1 && completions == 0, "one is sent");
	classify(flow, list, Stack.cookie);
	TestCheck(Callout[Heavy].injection_state == FWPS_PACKET_INJECTED_BY_SELF,
		  "and recognized as one's own");
	FwpsInjectionHandleCreate0(AF_INET, FWPS_INJECTION_TYPE_TRANSPORT, &other);
	TestHandle = other;
	classify(flow, list, Stack.cookie);
	TestCheck(Callout[Heavy].injection_state == FWPS_PACKET_INJECTED_BY_OTHER,
		  "or as another's");
	TestHandle = own;
	TestCompleteKept();
	TestCheck(completions == 1, "and complete once");
	Stack.keep = FALSE;
	status = FwpsInjectTransportReceiveAsync0(own, NULL, NULL, 0, AF_INET, 1, 5, 0, list,
						  completed, NULL);
	TestCheck(NT_SUCCESS(status) && Stack.receives == 1 && completions == 2, "one is received");
	FwpsInjectionHandleDestroy0(other);
}

static VOID test_header(VOID)
{
	static const UCHAR from[4] = { 10, 0, 2, 2 }, to[4] = { 10, 0, 2, 15 };
	static const UCHAR expected[] = { 0x45, 0,    0,  36, 0, 0, 0,  0, 128, 17,
					  0x22, 0xB9, 10, 0,  2, 2, 10, 0, 2,   15 };
	UCHAR storage[40];
	NET_BUFFER_LIST *list = TestMakeList("0123456789abcdef", 16);
	NET_BUFFER *nb = list->FirstNetBuffer;
	PUCHAR at;

	TestCheck(NT_SUCCESS(FwpsConstructIpHeaderForTransportPacket0(
			  list, 0, AF_INET, from, to, 17, 0, NULL, 0, 0, NULL, 0, 0)) &&
			  nb->DataLength == 36,
		  "an IPv4 header in front");
	at = NdisGetDataBuffer(nb, 36, storage, 1, 0);
	TestCheck(__builtin_memcmp(at, expected, sizeof(expected)) == 0 &&
			  __builtin_memcmp(at + 20, "0123456789abcdef", 16) == 0,
		  "with its checksum");
	NdisAdvanceNetBufferDataStart(nb, 20, TRUE, NULL);
	TestFreeList(list);
}

static VOID open(VOID)
{
	FWPM_CALLOUT0 callout = { .calloutKey = TestCalloutKey[Inspector],
				  .displayData = { name, NULL },
				  .applicableLayer = FWPM_LAYER_DATAGRAM_DATA_V4 };
	GUID kept = TestCalloutKey[Heavy];

	/* the Heavy of this test is at the datagram layer, under a key of its own */
	TestCalloutKey[Heavy].Data1 += 0x100;
	callout.calloutKey = TestCalloutKey[Heavy];
	FwpsCalloutUnregisterById0(Callout[Heavy].id);
	TestRegister(Heavy, FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW);
	FwpmCalloutAdd0(Engine, &callout, NULL, NULL);
	TestCheck(NT_SUCCESS(TestAddFilter(Heavy, &FWPM_LAYER_DATAGRAM_DATA_V4, NULL, 0,
					   FWP_ACTION_CALLOUT_TERMINATING, 0, NULL)),
		  "a callout for datagrams");
	TestCalloutKey[Heavy] = kept;
}

VOID TestDatagrams(VOID)
{
	NET_BUFFER_LIST *list = TestMakeList("datagram", 8);
	ULONG64 flow;

	TestOpen(FWP_ACTION_CALLOUT_UNKNOWN, 0);
	open();
	FwpsInjectionHandleCreate0(AF_INET, FWPS_INJECTION_TYPE_TRANSPORT, &TestHandle);
	flow = TestFlow(AF_INET, 17, 53);
	TestCheck(WfpIsDatagramFiltered(flow) && !WfpIsStreamFiltered(flow),
		  "the stack is told of datagrams");
	test_decisions(flow, list);
	test_sending(flow, list);
	WfpFlowDeleted(flow);
	FwpsInjectionHandleDestroy0(TestHandle);
	TestClose();
	TestFreeList(list);
	test_header();
}
