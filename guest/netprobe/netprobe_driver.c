/* SPDX-License-Identifier: MIT */
/* Start and end of the driver; memory, time, the lock. */
#include "guest/netprobe/netprobe.h"

NETPROBE *Netprobe;

/* --- what all files use --- */

#define SHARED_USER_MAJOR_VERSION 0x26C
#define SHARED_USER_MINOR_VERSION 0x270

/* Pool that is not executable, where this Windows has it: from 8 (6.2) on. */
static POOL_TYPE pool_type(VOID)
{
	const volatile ULONG *shared = (const volatile ULONG *)(ULONG_PTR)SHARED_USER_DATA;
	ULONG major = shared[SHARED_USER_MAJOR_VERSION / 4];
	ULONG minor = shared[SHARED_USER_MINOR_VERSION / 4];

	return major > 6 || (major == 6 && minor >= 2) ? NonPagedPoolNx : NonPagedPool;
}

PVOID ProbeAllocate(SIZE_T Size)
{
	return ExAllocatePoolWithTag(pool_type(), Size, NETPROBE_TAG);
}

VOID ProbeFree(PVOID Block)
{
	if (Block != NULL)
		ExFreePoolWithTag(Block, NETPROBE_TAG);
}

static VOID start_clock(VOID)
{
	LARGE_INTEGER frequency;

	Netprobe->StartTime = KiReadSharedTime(SHARED_USER_SYSTEM_TIME);
	Netprobe->StartTicks = (ULONG64)KeQueryPerformanceCounter(&frequency).QuadPart;
	Netprobe->TicksPerSecond = (ULONG64)frequency.QuadPart;
}

/*
 * The system's own time moves in steps of a clock tick, and is set now and then; payloads come
 * closer to each other than that.
 */
ULONG64 ProbeNow(VOID)
{
	ULONG64 ticks = (ULONG64)KeQueryPerformanceCounter(NULL).QuadPart - Netprobe->StartTicks;
	ULONG64 seconds = ticks / Netprobe->TicksPerSecond;
	ULONG64 rest = ticks - seconds * Netprobe->TicksPerSecond;

	return Netprobe->StartTime + seconds * 10000000 +
	       rest * 10000000 / Netprobe->TicksPerSecond;
}

KIRQL ProbeLock(VOID)
{
	return KeAcquireSpinLockRaiseToDpc(&Netprobe->Lock);
}

VOID ProbeUnlock(KIRQL Irql)
{
	KeReleaseSpinLock(&Netprobe->Lock, Irql);
}

/* --- start and end --- */

enum { DRAIN_TRIES = 200 }; /* 10 ms each; with traffic that never pauses it would take for ever */

static VOID wait_a_moment(VOID)
{
	LARGE_INTEGER moment = { .QuadPart = -100000 }; /* 10 ms */

	KeDelayExecutionThread(KernelMode, FALSE, &moment);
}

/* What is held, and what is on its way, goes on before contexts are taken away: then in order. */
static VOID drain(VOID)
{
	BOOLEAN is_drained = Netprobe->Thread == NULL;

	for (ULONG i = 0; i < DRAIN_TRIES && !is_drained; i++) {
		KIRQL irql;

		ProbeWake();
		wait_a_moment();
		irql = ProbeLock();
		is_drained = kd_probe_is_drained(&Netprobe->Probe);
		ProbeUnlock(irql);
	}
}

/*
 * The platform's rules for the end: no new flows, everything that is held goes on, contexts are
 * taken away, and no code of ours runs any more when the callouts are gone.
 */
static VOID end(VOID)
{
	KIRQL irql = ProbeLock();

	kd_probe_begin_end(&Netprobe->Probe);
	ProbeUnlock(irql);
	drain();
	ProbeStopWorker();
	ProbeRemoveFlows();
	while (__atomic_load_n(&Netprobe->Flows, __ATOMIC_ACQUIRE) != 0)
		wait_a_moment();
	ProbeDeleteFilters();
	ProbeDeleteCallouts();
	ProbeDeleteMemory();
	if (Netprobe->DeviceObject != NULL)
		IoDeleteDevice(Netprobe->DeviceObject);
	ProbeFree(Netprobe);
	Netprobe = NULL;
}

static VOID NTAPI unload(PDRIVER_OBJECT DriverObject)
{
	end();
}

static NTSTATUS create_device(PDRIVER_OBJECT DriverObject)
{
	UNICODE_STRING name;

	/* nobody opens it: the platform wants to know whose callouts these are */
	RtlInitUnicodeString(&name, L"\\Device\\OpenKdNetprobe");
	return IoCreateDevice(DriverObject, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE,
			      &Netprobe->DeviceObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
	static NTSTATUS (*const steps[])(VOID) = { ProbeCreateMemory, ProbeCreateFilters,
						   ProbeStartWorker };
	NTSTATUS status;

	Netprobe = ProbeAllocate(sizeof(*Netprobe));
	if (Netprobe == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	__builtin_memset(Netprobe, 0, sizeof(*Netprobe));
	Netprobe->DriverObject = DriverObject;
	KeInitializeSpinLock(&Netprobe->Lock);
	KeInitializeEvent(&Netprobe->Wake, SynchronizationEvent, FALSE);
	start_clock();
	status = create_device(DriverObject);
	for (unsigned i = 0; i < RTL_NUMBER_OF(steps) && NT_SUCCESS(status); i++)
		status = steps[i]();
	if (!NT_SUCCESS(status)) {
		DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL,
			   "netprobe: can't start, status %08x\n", (ULONG)status);
		end();
		return status;
	}
	DriverObject->DriverUnload = unload;
	return STATUS_SUCCESS;
}
