/* SPDX-License-Identifier: MIT */
/* The kernel API of drivers, as far as netprobe.sys needs it. */
#include "guest/demo/net/wfptest/wfptest.h"

static KEVENT go;
static volatile LONG steps;

static VOID NTAPI step_thread(PVOID Context)
{
	KeSetPriorityThread(KeGetCurrentThread(), 9);
	KeWaitForSingleObject(&go, Executive, KernelMode, FALSE, NULL);
	steps = (LONG)(ULONG_PTR)Context;
	PsTerminateSystemThread(STATUS_SUCCESS);
}

static VOID test_threads(VOID)
{
	LARGE_INTEGER soon = { .QuadPart = -100000 }, later = { .QuadPart = -20000000 };
	CLIENT_ID id = { NULL, NULL };
	HANDLE handle;
	PVOID thread;

	KeInitializeEvent(&go, NotificationEvent, FALSE);
	TestCheck(NT_SUCCESS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, &id,
						  step_thread, (PVOID)7)),
		  "a thread is made");
	TestCheck(id.UniqueThread != NULL && id.UniqueProcess == PsGetCurrentProcessId() &&
			  PsGetCurrentThreadId() != id.UniqueThread,
		  "it has an identity");
	TestCheck(NT_SUCCESS(ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode,
						       &thread, NULL)),
		  "its handle gives the object");
	TestCheck(NT_SUCCESS(ZwClose(handle)) && ZwClose(handle) == STATUS_INVALID_HANDLE,
		  "a handle is closed once");
	TestCheck(KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, &soon) ==
			  STATUS_TIMEOUT,
		  "a wait ends with its time");
	TestCheck(KeSetEvent(&go, 0, FALSE) == 0 && KeResetEvent(&go) == 1 &&
			  KeSetEvent(&go, 0, FALSE) == 0,
		  "events tell what they were");
	TestCheck(KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, &later) ==
				  STATUS_WAIT_0 &&
			  steps == 7,
		  "the end of a thread is waited for");
	ObDereferenceObject(thread);
	KeClearEvent(&go);
	TestCheck(KeResetEvent(&go) == 0, "an event is cleared");
}

static ULONG64 time_of_sleeps(ULONG count)
{
	ULONG64 start = KiReadSharedTime(SHARED_USER_INTERRUPT_TIME);

	for (ULONG i = 0; i < count; i++)
		TestSleep(1);
	return KiReadSharedTime(SHARED_USER_INTERRUPT_TIME) - start;
}

static VOID test_time(VOID)
{
	ULONG64 slow, fast, ticks = KiReadSharedTime(SHARED_USER_TICK_COUNT);
	ULONG64 system = KiReadSharedTime(SHARED_USER_SYSTEM_TIME);

	slow = time_of_sleeps(5);
	TestCheck(ExSetTimerResolution(10000, TRUE) == 10000, "the clock can be made faster");
	TestSleep(20);
	fast = time_of_sleeps(5);
	TestCheck(ExSetTimerResolution(0, FALSE) == KeQueryTimeIncrement(), "and slow again");
	TestCheck(slow >= 5 * (ULONG64)KeQueryTimeIncrement() - 10000,
		  "a sleep is a tick at least");
	TestCheck(fast >= 40000 && fast < slow, "unless the clock is fast");
	TestCheck(KiReadSharedTime(SHARED_USER_TICK_COUNT) > ticks &&
			  KiReadSharedTime(SHARED_USER_SYSTEM_TIME) > system,
		  "the shared page has the time");
}

static VOID test_memory(VOID)
{
	LARGE_INTEGER below = { .QuadPart = 0xFFFFFFFF }, nothing = { .QuadPart = 0xFFF };
	PUCHAR block = MmAllocateContiguousMemory(5 * PAGE_SIZE, below);
	LONGLONG first = block != NULL ? MmGetPhysicalAddress(block).QuadPart : 0;
	MDL *mdl = IoAllocateMdl(block + 100, PAGE_SIZE, FALSE, FALSE, NULL);

	TestCheck(block != NULL && first % PAGE_SIZE == 0 &&
			  MmGetPhysicalAddress(block + 4 * PAGE_SIZE).QuadPart ==
				  first + 4 * PAGE_SIZE,
		  "contiguous memory is contiguous");
	MmBuildMdlForNonPagedPool(mdl);
	TestCheck(mdl->ByteCount == PAGE_SIZE && mdl->ByteOffset == 100 &&
			  MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority) == block + 100 &&
			  MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE,
						       NormalPagePriority) == block + 100,
		  "an MDL knows where its bytes are");
	TestCheck(((ULONG_PTR *)(mdl + 1))[1] == (ULONG_PTR)(first / PAGE_SIZE) + 1,
		  "and in what frames");
	IoFreeMdl(mdl);
	MmFreeContiguousMemory(block);
	TestCheck(MmAllocateContiguousMemory(PAGE_SIZE, nothing) == NULL,
		  "no memory below the first page");
}

static PVOID routine(const WCHAR *name)
{
	UNICODE_STRING text;

	RtlInitUnicodeString(&text, name);
	return MmGetSystemRoutineAddress(&text);
}

static VOID test_names(VOID)
{
	UNICODE_STRING link, device;

	TestCheck(routine(L"IoCreateDevice") != NULL &&
			  routine(L"KeStallExecutionProcessor") != NULL &&
			  routine(L"KeNoSuchRoutine") == NULL &&
			  routine(L"ExAllocatePool2") == NULL,
		  "exports are found by name, in kernel and HAL");
	RtlInitUnicodeString(&link, L"\\DosDevices\\WfpTest");
	RtlInitUnicodeString(&device, L"\\Device\\WfpTest");
	TestCheck(NT_SUCCESS(IoCreateSymbolicLink(&link, &device)) &&
			  IoCreateSymbolicLink(&link, &device) == STATUS_OBJECT_NAME_COLLISION &&
			  NT_SUCCESS(IoDeleteSymbolicLink(&link)) &&
			  IoDeleteSymbolicLink(&link) == STATUS_OBJECT_NAME_NOT_FOUND,
		  "a link is made and deleted once");
}

static VOID test_locks(VOID)
{
	KSPIN_LOCK lock;
	KIRQL irql;

	KeInitializeSpinLock(&lock);
	irql = KeAcquireSpinLockRaiseToDpc(&lock);
	TestCheck(irql == PASSIVE_LEVEL && KeGetCurrentIrql() == DISPATCH_LEVEL && lock != 0,
		  "a spin lock raises the IRQL");
	KeReleaseSpinLock(&lock, irql);
	TestCheck(KeGetCurrentIrql() == PASSIVE_LEVEL && lock == 0, "and lowers it");
	irql = KfRaiseIrql(DISPATCH_LEVEL);
	KeAcquireSpinLockAtDpcLevel(&lock);
	TestCheck(lock != 0 && KeGetCurrentIrql() == DISPATCH_LEVEL, "or leaves it");
	KeReleaseSpinLockFromDpcLevel(&lock);
	KeLowerIrql(irql);
}

VOID TestKernel(VOID)
{
	test_locks();
	test_threads();
	test_time();
	test_memory();
	test_names();
}
