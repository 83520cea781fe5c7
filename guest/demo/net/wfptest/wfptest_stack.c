/* SPDX-License-Identifier: MIT */
/* The stack's part: it notes what it is told, and completes at once or when the test says so. */
#include "guest/demo/net/wfptest/wfptest.h"

struct test_stack Stack;

static VOID note(NET_BUFFER_LIST *list)
{
	PVOID at = NULL;

	Stack.length = 0;
	if (list == NULL)
		return;
	Stack.length = list->FirstNetBuffer->DataLength;
	if (Stack.length <= sizeof(Stack.bytes))
		at = NdisGetDataBuffer(list->FirstNetBuffer, Stack.length, Stack.bytes, 1, 0);
	if (at != NULL && at != Stack.bytes)
		__builtin_memcpy(Stack.bytes, at, Stack.length);
}

static NTSTATUS take(NET_BUFFER_LIST *list, WFP_COMPLETION completion, PVOID context)
{
	note(list);
	if (!NT_SUCCESS(Stack.answer) || list == NULL)
		return Stack.answer;
	if (Stack.keep) {
		Stack.kept = list;
		Stack.kept_completion = completion;
		Stack.kept_context = context;
	} else {
		completion(context, list, STATUS_SUCCESS, FALSE);
	}
	return STATUS_SUCCESS;
}

VOID TestCompleteKept(VOID)
{
	NET_BUFFER_LIST *list = Stack.kept;

	Stack.kept = NULL;
	Stack.kept_completion(Stack.kept_context, list, STATUS_SUCCESS, FALSE);
}

static NTSTATUS NTAPI stream_inject(PVOID StackContext, ULONG StreamFlags,
				    NET_BUFFER_LIST *NetBufferList, SIZE_T Length,
				    WFP_COMPLETION Completion, PVOID CompletionContext)
{
	Stack.injects++;
	Stack.flow = StackContext;
	Stack.flags = StreamFlags;
	if (Stack.fail_at == Stack.injects)
		return STATUS_INSUFFICIENT_RESOURCES;
	return take(NetBufferList, Completion, CompletionContext);
}

static NTSTATUS NTAPI stream_continue(PVOID StackContext, ULONG StreamFlags)
{
	Stack.continues++;
	Stack.flags = StreamFlags;
	return Stack.answer;
}

static NTSTATUS NTAPI flow_abort(PVOID StackContext)
{
	Stack.aborts++;
	return Stack.answer;
}

static VOID NTAPI send_released(PVOID StackContext)
{
	Stack.releases++;
	Stack.flow = StackContext;
}

static NTSTATUS NTAPI datagram_send(ULONG64 EndpointHandle, USHORT AddressFamily,
				    const UCHAR *RemoteAddress, ULONG RemoteScopeId,
				    ULONG CompartmentId, ULONG64 InjectionCookie,
				    NET_BUFFER_LIST *NetBufferList, WFP_COMPLETION Completion,
				    PVOID CompletionContext)
{
	Stack.sends++;
	Stack.cookie = InjectionCookie;
	return take(NetBufferList, Completion, CompletionContext);
}

static NTSTATUS NTAPI datagram_receive(USHORT AddressFamily, ULONG CompartmentId,
				       ULONG InterfaceIndex, ULONG SubInterfaceIndex,
				       ULONG64 InjectionCookie, NET_BUFFER_LIST *NetBufferList,
				       WFP_COMPLETION Completion, PVOID CompletionContext)
{
	Stack.receives++;
	Stack.cookie = InjectionCookie;
	return take(NetBufferList, Completion, CompletionContext);
}

const WFP_STACK_OPS TestStackOps = {
	.StreamInject = stream_inject,
	.StreamContinue = stream_continue,
	.FlowAbort = flow_abort,
	.DatagramSend = datagram_send,
	.DatagramReceive = datagram_receive,
	.SendReleased = send_released,
};

ULONG64 TestFlow(USHORT Family, UCHAR Protocol, USHORT Port)
{
	static WCHAR path_text[] = L"\\device\\harddiskvolume1\\demo\\web.exe";
	UNICODE_STRING path;
	WFP_FLOW flow = {
		.AddressFamily = Family,
		.Protocol = Protocol,
		.Direction = FWP_DIRECTION_OUTBOUND,
		.LocalAddress = { 10, 0, 2, 15 },
		.RemoteAddress = { 10, 0, 2, 2, 9, 9 },
		.LocalPort = 49152,
		.RemotePort = Port,
		.ProcessId = 1234,
		.ProcessPath = &path,
		.EndpointHandle = 0x77,
		.CompartmentId = 1,
		.InterfaceIndex = 5,
		.StackContext = &Stack,
	};
	ULONG64 id = 0;
	KIRQL irql;

	RtlInitUnicodeString(&path, path_text);
	irql = KfRaiseIrql(DISPATCH_LEVEL); /* as with a lock held */
	WfpFlowEstablished(&flow, &id);
	KeLowerIrql(irql);
	return id;
}

WFP_STREAM_RESULT TestStream(ULONG64 Flow, ULONG Flags, PCSTR Text)
{
	WFP_STREAM_RESULT result = { (WFP_STREAM_VERDICT)99, 99 };
	ULONG length = 0;
	NET_BUFFER_LIST *list;
	KIRQL irql;

	while (Text != NULL && Text[length] != '\0')
		length++;
	list = length != 0 ? TestMakeList(Text, length) : NULL;
	irql = KfRaiseIrql(DISPATCH_LEVEL);
	WfpClassifyStream(Flow, Flags, list, length, &result);
	KeLowerIrql(irql);
	if (list != NULL)
		TestFreeList(list);
	return result;
}
