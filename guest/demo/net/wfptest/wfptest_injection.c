/* SPDX-License-Identifier: MIT */
/* Injection into streams: who may, what is seen of it, and that completion comes exactly once. */
#include "guest/demo/net/wfptest/wfptest.h"

#define SEND    FWPS_STREAM_FLAG_SEND
#define RECEIVE FWPS_STREAM_FLAG_RECEIVE

static volatile LONG completions;
static NTSTATUS completion_status;

static VOID NTAPI completed(PVOID context, NET_BUFFER_LIST *list, BOOLEAN dispatch_level)
{
	completions++;
	completion_status = list->Status;
	TestFreeList(list);
}

static ULONG length_of(PCSTR text)
{
	ULONG n = 0;

	while (text != NULL && text[n] != '\0')
		n++;
	return n;
}

static NTSTATUS inject(ULONG64 flow, ULONG flags, NET_BUFFER_LIST *list, SIZE_T length)
{
	return FwpsStreamInjectAsync0(TestHandle, NULL, 0, flow, Callout[Heavy].id,
				      FWPS_LAYER_STREAM_V4, flags, list, length, completed, NULL);
}

static NTSTATUS inject_text(ULONG64 flow, ULONG flags, PCSTR text)
{
	NET_BUFFER_LIST *list = TestMakeList(text, length_of(text));
	NTSTATUS status = inject(flow, flags, list, length_of(text));

	if (!NT_SUCCESS(status))
		TestFreeList(list);
	return status;
}

static VOID test_data(ULONG64 flow)
{
	NET_BUFFER_LIST *list = TestMakeList("one", 3);

	completions = 0;
	list->Next = TestMakeList("three", 5);
	TestCheck(NT_SUCCESS(inject(flow, SEND, list, 8)) && completions == 2 && Stack.injects == 2,
		  "a chain is injected, and completed list by list");
	TestCheck(Stack.length == 5 && __builtin_memcmp(Stack.bytes, "three", 5) == 0 &&
			  Stack.flow == &Stack && Stack.flags == SEND,
		  "the stack gets the bytes");
	TestCheck(Callout[Heavy].calls == 1 && Callout[Light].calls == 2 &&
			  Callout[Light].length == 5,
		  "lighter sublayers see them, the own one does not");
	Callout[Light].action = FWP_ACTION_BLOCK;
	Stack.injects = 0;
	TestCheck(NT_SUCCESS(inject_text(flow, SEND, "taken")) && completions == 3 &&
			  Stack.injects == 0,
		  "and may take them");
	TestResetCallouts();
	Callout[Heavy].action = FWP_ACTION_BLOCK;
	FwpsFlowRemoveContext0(flow, FWPS_LAYER_STREAM_V4, Callout[Light].id);
	Stack.answer = STATUS_INSUFFICIENT_RESOURCES;
	completions = 0;
	TestCheck(
		inject_text(flow, SEND, "no") == STATUS_INSUFFICIENT_RESOURCES && completions == 0,
		"what fails is not completed");
	Stack.answer = STATUS_SUCCESS;
	TestKeeps("all of it by the rules");
}

static VOID test_chain_end(ULONG64 flow)
{
	NET_BUFFER_LIST *list = TestMakeList("one", 3);

	list->Next = TestMakeList("two", 3);
	completions = 0;
	Stack.injects = 0;
	Stack.fail_at = 2;
	TestCheck(NT_SUCCESS(inject(flow, SEND, list, 6)) && completions == 2 &&
			  completion_status == STATUS_INSUFFICIENT_RESOURCES,
		  "if only a later list fails, its completion says so");
	Stack.fail_at = 0;
	list = TestMakeList("bye", 3);
	list->Next = TestMakeList("bye", 3);
	TestCheck(NT_SUCCESS(inject(flow, SEND | FWPS_STREAM_FLAG_SEND_NODELAY, list, 6)) &&
			  Stack.flags == (SEND | FWPS_STREAM_FLAG_SEND_NODELAY),
		  "other stream flags come through");
	TestKeeps("which is in order");
}

static NTSTATUS hooked;

static VOID inject_hook(ULONG64 flow)
{
	hooked = inject(flow, SEND, NULL, 0);
}

static VOID test_mistakes(ULONG64 flow)
{
	TestCheck(!NT_SUCCESS(inject_text(flow, FWPS_STREAM_FLAG_SEND_DISCONNECT, "x")),
		  "flags need SEND or RECEIVE");
	TestViolates("which is counted");
	TestCheck(!NT_SUCCESS(inject(flow, SEND, NULL, 0)), "no bytes are nothing");
	TestViolates("which is counted too");
	TestCheck(!NT_SUCCESS(FwpsStreamInjectAsync0(TestHandle, NULL, 0, flow, Callout[Heavy].id,
						     FWPS_LAYER_STREAM_V4, SEND, NULL, 0, NULL,
						     NULL)),
		  "there is always a completion function");
	TestViolates("or it is counted");
	Callout[Heavy].hook = inject_hook;
	TestStream(flow, SEND, "abc");
	Callout[Heavy].hook = NULL;
	TestCheck(!NT_SUCCESS(hooked), "no injection inside classify");
	TestViolates("and that is counted");
	TestCheck(NT_SUCCESS(inject_text(flow, RECEIVE, "x")), "injection where data are inline");
	TestViolates("is counted");
}

static VOID test_end(ULONG64 flow)
{
	completions = 0;
	Stack.injects = 0;
	TestCheck(NT_SUCCESS(inject(flow, SEND | FWPS_STREAM_FLAG_SEND_DISCONNECT, NULL, 0)) &&
			  Stack.injects == 1 && completions == 0,
		  "the end of a stream has no list and no completion");
	TestKeeps("and is in order");
	inject_text(flow, SEND, "late");
	TestViolates("what comes behind it is not");
	TestStream(flow, FWPS_STREAM_FLAG_RECEIVE_ABORT, NULL);
	TestViolates("blocked resets are counted");
	TestCheck(inject_text(flow, SEND, "x") == STATUS_CONNECTION_ABORTED,
		  "after a reset nothing is injected");
	TestCheck(NT_SUCCESS(FwpsFlowAbort0(flow)) && Stack.aborts == 1, "a flow is aborted");
	WfpFlowDeleted(flow);
	TestCheck(inject_text(flow, SEND, "x") == STATUS_CONNECTION_ABORTED,
		  "nor into a flow that is gone");
	TestKeeps("which nobody could know");
}

static KEVENT destroyed;

static VOID NTAPI destroy_thread(PVOID Context)
{
	FwpsInjectionHandleDestroy0(TestHandle);
	KeSetEvent(&destroyed, 0, FALSE);
	PsTerminateSystemThread(STATUS_SUCCESS);
}

static VOID test_handle(ULONG64 flow)
{
	LARGE_INTEGER now = { .QuadPart = 0 };
	HANDLE thread;

	completions = 0;
	Stack.keep = TRUE;
	inject_text(flow, SEND, "kept");
	KeInitializeEvent(&destroyed, NotificationEvent, FALSE);
	PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, destroy_thread, NULL);
	ZwClose(thread);
	TestSleep(100);
	TestCheck(KeWaitForSingleObject(&destroyed, Executive, KernelMode, FALSE, &now) ==
				  STATUS_TIMEOUT &&
			  completions == 0,
		  "a handle waits for what is pending");
	TestCheck(inject_text(flow, SEND, "more") == STATUS_FWP_INJECT_HANDLE_CLOSING,
		  "and takes no more");
	TestCompleteKept();
	KeWaitForSingleObject(&destroyed, Executive, KernelMode, FALSE, NULL);
	TestCheck(completions == 1 && completion_status == STATUS_SUCCESS, "until it is complete");
	Stack.keep = FALSE;
	TestKeeps("by the rules");
	inject_text(flow, SEND, "more");
	TestViolates("a handle that is gone is counted");
}

VOID TestInjection(VOID)
{
	ULONG64 flow;

	TestOpen(FWP_ACTION_CALLOUT_UNKNOWN, 0);
	TestCheck(NT_SUCCESS(FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_STREAM,
							&TestHandle)),
		  "an injection handle");
	flow = TestFlow(AF_INET, 6, 80);
	Callout[Heavy].action = FWP_ACTION_BLOCK;
	TestStream(flow, SEND, "abc");
	test_data(flow);
	test_chain_end(flow);
	test_mistakes(flow);
	test_end(flow);
	flow = TestFlow(AF_INET, 6, 80);
	TestStream(flow, SEND, "abc");
	TestResetCallouts();
	test_handle(flow);
	WfpFlowDeleted(flow);
	TestClose();
}
