/* SPDX-License-Identifier: MIT */
/*
 * The thread between debugger and platform: takes the debugger's orders, looks after time and
 * limits, does the work that core/probe gives out, calls the stubs.
 */
#include "guest/netprobe/netprobe.h"

enum {
	PER_US = 10, /* units of ProbeNow() */
	SPIN_US = 100,
	IDLE_MS = 50,
	STUB_IDLE_MS = 500, /* so often a debugger that works in stops is seen to live */
	SLOW_AFTER_MS = 1000,
	FAST_TICK = 10000, /* 100 ns: a millisecond */
	ORDERS_AT_ONCE = 32,
	PRIORITY = 12, /* above programs that compute: who waits for a verdict waits for us */
};

/* --- the debugger's breakpoints --- */

/*
 * A debugger without shared memory stops here, reads and writes the rings, and goes on. They do
 * nothing, differ from each other, and are not inlined: an address each.
 */
__attribute__((noinline)) VOID NTAPI NetprobeInspect(PVOID Memory)
{
	__asm__ volatile("nop" : : "r"(Memory) : "memory");
}

__attribute__((noinline)) VOID NTAPI NetprobeInject(PVOID Memory)
{
	__asm__ volatile("nop; nop" : : "r"(Memory) : "memory");
}

extern DLLIMPORT BOOLEAN KdDebuggerNotPresent;

/* Calls of a stub that found a debugger: TRUE if it did something there. */
static BOOLEAN call(VOID(NTAPI *stub)(PVOID Memory))
{
	uint32_t before = kd_probe_stub_begin(&Netprobe->Probe);
	KIRQL irql;

	stub(Netprobe->Memory);
	irql = ProbeLock();
	kd_probe_stub_end(&Netprobe->Probe, before, ProbeNow());
	ProbeUnlock(irql);
	return kd_probe_has_orders(&Netprobe->Probe);
}

static BOOLEAN call_stubs(ULONG64 *last_call, ULONG64 now)
{
	ULONG calls = kd_probe_calls(&Netprobe->Probe);
	BOOLEAN is_due = now - *last_call >= (ULONG64)STUB_IDLE_MS * 1000 * PER_US;
	BOOLEAN did = FALSE;

	if (calls == 0 || KdDebuggerNotPresent)
		return FALSE;
	if ((calls & KD_PROBE_CALL_INSPECT) != 0 &&
	    (kd_probe_has_news(&Netprobe->Probe) ||
	     (is_due && kd_probe_is_holding(&Netprobe->Probe)))) {
		*last_call = now;
		did = call(NetprobeInspect);
	}
	if ((calls & KD_PROBE_CALL_INJECT) != 0 && !kd_probe_has_orders(&Netprobe->Probe)) {
		*last_call = now;
		did |= call(NetprobeInject);
	}
	return did;
}

/* --- orders --- */

static VOID take_order(VOID)
{
	struct kd_probe_item *spare = NULL;
	NETPROBE_ITEM *item = NULL;
	uint32_t size;

	if (kd_probe_needs_spare(&Netprobe->Order, Netprobe->OrderPayload, &size))
		item = ProbeCreateItem(size);
	if (item != NULL)
		spare = &item->Item;
	kd_probe_apply(&Netprobe->Probe, &Netprobe->Order, Netprobe->OrderPayload, &spare,
		       ProbeNow());
	if (spare != NULL)
		ProbeDeleteItem(item);
}

/* TRUE: there were some. */
static BOOLEAN obey(ULONG max)
{
	ULONG n = 0;

	if (!kd_probe_has_orders(&Netprobe->Probe))
		return FALSE;
	kd_probe_tick(&Netprobe->Probe, ProbeNow());
	while (n < max &&
	       kd_probe_take(&Netprobe->Probe, &Netprobe->Order, Netprobe->OrderPayload) == KD_OK) {
		take_order();
		n++;
	}
	return n != 0;
}

BOOLEAN ProbeObey(VOID)
{
	return obey(UINT32_MAX);
}

/* A few at a time: traffic waits for the lock, and what was decided first goes on first. */
static BOOLEAN take_orders(VOID)
{
	KIRQL irql = ProbeLock();
	BOOLEAN did = obey(ORDERS_AT_ONCE);

	ProbeUnlock(irql);
	return did;
}

/* --- work --- */

static VOID abort_connection(NETPROBE_FLOW *flow)
{
	flow->MustDrop = TRUE; /* where the platform has no function for it */
	if (Netprobe->FlowAbort != NULL)
		Netprobe->FlowAbort(flow->FlowId);
}

NTSTATUS ProbeSendOn(NETPROBE_FLOW *Flow, struct kd_probe_item *Item)
{
	NETPROBE_ITEM *ours = ProbeItemOf(Item);
	NTSTATUS status;

	if (Flow->IsDatagram && ours->Item.verdict == KD_PROBE_INJECTED) {
		ours->CompartmentId = Flow->CompartmentId;
		ours->InterfaceIndex = Flow->InterfaceIndex;
		ours->SubInterfaceIndex = Flow->SubInterfaceIndex;
	}
	ours->Flow = Flow;
	ProbeReference(Flow); /* until it is finished */
	status = ProbeInject(ours);
	if (NT_SUCCESS(status))
		return status;
	if (!Flow->IsDatagram) /* better no connection than one with a hole in it */
		abort_connection(Flow);
	ProbeFinishItem(ours);
	return status;
}

static NTSTATUS perform(const struct kd_probe_work *work)
{
	NETPROBE_FLOW *flow = ProbeFlowOf(work->flow);

	switch (work->kind) {
	case KD_PROBE_SEND_ON: return ProbeSendOn(flow, work->item);
	case KD_PROBE_DISCARD: ProbeDeleteItem(ProbeItemOf(work->item)); return STATUS_SUCCESS;
	case KD_PROBE_CONTINUE:
		return FwpsStreamContinue0(flow->FlowId, ProbeDataCallout(flow),
					   ProbeDataLayer(flow), FWPS_STREAM_FLAG_RECEIVE);
	case KD_PROBE_ABORT: abort_connection(flow); return STATUS_SUCCESS;
	}
	return STATUS_SUCCESS;
}

static BOOLEAN do_work(VOID)
{
	struct kd_probe_work work;
	BOOLEAN did = FALSE, is_more = TRUE;

	while (is_more) {
		NTSTATUS status;
		KIRQL irql = ProbeLock();

		is_more = kd_probe_next_work(&Netprobe->Probe, &work, ProbeNow());
		if (is_more)
			ProbeReference(ProbeFlowOf(work.flow));
		ProbeUnlock(irql);
		if (!is_more)
			break;
		status = perform(&work);
		if (!NT_SUCCESS(status)) {
			irql = ProbeLock();
			kd_probe_work_failed(&Netprobe->Probe, &work, (ULONG)status, ProbeNow());
			ProbeUnlock(irql);
		}
		ProbeDereference(ProbeFlowOf(work.flow));
		did = TRUE;
	}
	return did;
}

/* --- waiting --- */

/* The system's clock ticks fast only while somebody waits for a verdict. */
static VOID set_clock(BOOLEAN fast)
{
	if (fast == Netprobe->IsClockFast)
		return;
	Netprobe->IsClockFast = fast;
	ExSetTimerResolution(FAST_TICK, fast);
}

/* Verdicts of a rule come within microseconds. */
static BOOLEAN spin(VOID)
{
	ULONG64 end = ProbeNow() + SPIN_US * PER_US;

	do {
		if (kd_probe_has_orders(&Netprobe->Probe))
			return TRUE;
		__asm__ volatile("pause");
	} while (ProbeNow() < end);
	return FALSE;
}

static VOID wait(BOOLEAN is_holding, ULONG64 *held_last)
{
	LARGE_INTEGER timeout = { .QuadPart = -(LONGLONG)IDLE_MS * 1000 * PER_US };
	ULONG64 now = ProbeNow();

	if (is_holding) {
		*held_last = now;
		if (spin())
			return;
		timeout.QuadPart = -(LONGLONG)FAST_TICK;
	}
	set_clock(is_holding || now - *held_last < (ULONG64)SLOW_AFTER_MS * 1000 * PER_US);
	KeWaitForSingleObject(&Netprobe->Wake, Executive, KernelMode, FALSE, &timeout);
}

static VOID tick(BOOLEAN *is_holding)
{
	KIRQL irql = ProbeLock();

	kd_probe_tick(&Netprobe->Probe, ProbeNow());
	*is_holding = kd_probe_is_holding(&Netprobe->Probe);
	ProbeUnlock(irql);
}

static VOID NTAPI worker(PVOID context)
{
	ULONG64 last_call = ProbeNow(), held_last = 0;
	BOOLEAN is_holding;

	KeSetPriorityThread(KeGetCurrentThread(), PRIORITY);
	while (!__atomic_load_n(&Netprobe->IsStopping, __ATOMIC_ACQUIRE)) {
		BOOLEAN did = take_orders();

		tick(&is_holding);
		did |= do_work();
		did |= call_stubs(&last_call, ProbeNow());
		if (!did)
			wait(is_holding, &held_last);
	}
	set_clock(FALSE);
	PsTerminateSystemThread(STATUS_SUCCESS);
}

VOID ProbeWake(VOID)
{
	KeSetEvent(&Netprobe->Wake, 0, FALSE);
}

NTSTATUS ProbeStartWorker(VOID)
{
	HANDLE thread;
	NTSTATUS status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, worker,
					       NULL);

	if (!NT_SUCCESS(status))
		return status;
	status = ObReferenceObjectByHandle(thread, SYNCHRONIZE, NULL, KernelMode, &Netprobe->Thread,
					   NULL);
	ZwClose(thread);
	return status;
}

/* The last work is done here. */
VOID ProbeStopWorker(VOID)
{
	if (Netprobe->Thread == NULL)
		return;
	__atomic_store_n(&Netprobe->IsStopping, TRUE, __ATOMIC_RELEASE);
	ProbeWake();
	KeWaitForSingleObject(Netprobe->Thread, Executive, KernelMode, FALSE, NULL);
	ObDereferenceObject(Netprobe->Thread);
	Netprobe->Thread = NULL;
	do_work(); /* what came since its last look */
}
