/* SPDX-License-Identifier: MIT */
/* All of it at once, on as many processors as there are: a stack that makes and ends flows, a
 * driver that injects into them, another that makes and deletes filters. What counts is that the
 * sums are right. */
#include "guest/demo/net/wfptest/wfptest.h"

#define SEND FWPS_STREAM_FLAG_SEND

enum { RUN_MS = 400 };

static volatile BOOLEAN stop;
static volatile ULONG64 current; /* a flow whose data are blocked already, or one that is gone */
static volatile LONG flows, injections, completions, changes, running;

static VOID NTAPI completed(PVOID context, NET_BUFFER_LIST *list, BOOLEAN dispatch_level)
{
	TestFreeList(list);
	__atomic_add_fetch(&completions, 1, __ATOMIC_RELAXED);
}

static VOID make_flows(VOID)
{
	ULONG64 flow = TestFlow(AF_INET, 6, 80);

	TestStream(flow, SEND, "first");
	current = flow;
	for (ULONG i = 0; i < 5; i++)
		TestStream(flow, SEND, "more");
	WfpFlowDeleted(flow);
	flows++;
}

static VOID inject(VOID)
{
	NET_BUFFER_LIST *list = TestMakeList("injected", 8);
	NTSTATUS status = STATUS_UNSUCCESSFUL;

	if (current != 0)
		status = FwpsStreamInjectAsync0(TestHandle, NULL, 0, current, Callout[Heavy].id,
						FWPS_LAYER_STREAM_V4, SEND, list, 8, completed,
						NULL);
	if (NT_SUCCESS(status))
		injections++;
	else
		TestFreeList(list);
}

static VOID change_filters(VOID)
{
	ULONG64 id = 0;

	FwpmTransactionBegin0(Engine, 0);
	if (NT_SUCCESS(TestAddFilter(Light, &FWPM_LAYER_STREAM_V4, NULL, 0,
				     FWP_ACTION_CALLOUT_TERMINATING, 0, &id)))
		changes++;
	FwpmTransactionCommit0(Engine);
	FwpmFilterDeleteById0(Engine, id);
}

static VOID NTAPI worker(PVOID Context)
{
	static VOID (*const jobs[])(VOID) = { make_flows, inject, change_filters };

	while (!stop)
		jobs[(ULONG_PTR)Context]();
	__atomic_sub_fetch(&running, 1, __ATOMIC_ACQ_REL);
	PsTerminateSystemThread(STATUS_SUCCESS);
}

static VOID start_workers(VOID)
{
	running = 3;
	for (ULONG_PTR i = 0; i < 3; i++) {
		HANDLE thread;

		if (NT_SUCCESS(PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL,
						    worker, (PVOID)i)))
			ZwClose(thread);
	}
}

VOID TestStress(VOID)
{
	TestOpen(FWP_ACTION_CALLOUT_UNKNOWN, 0);
	FwpsInjectionHandleCreate0(AF_UNSPEC, FWPS_INJECTION_TYPE_STREAM, &TestHandle);
	Callout[Heavy].action = FWP_ACTION_BLOCK;
	start_workers();
	TestSleep(RUN_MS);
	stop = TRUE;
	while (running != 0)
		TestSleep(10);
	TestCheck(flows > 0 && injections > 0 && changes > 0, "all got to do something");
	TestCheck(NT_SUCCESS(FwpsInjectionHandleDestroy0(TestHandle)) && injections == completions,
		  "every injection was completed");
	TestCheck(Callout[Heavy].deleted == (ULONG)flows && Callout[Light].deleted == (ULONG)flows,
		  "every context was deleted");
	TestCheck(Callout[Heavy].calls == 6 * (ULONG)flows, "every indication was seen");
	TestClose();
	TestKeeps("and no contract broken");
}
