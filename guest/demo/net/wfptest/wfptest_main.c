/* SPDX-License-Identifier: MIT */
#include "guest/demo/net/wfptest/wfptest.h"

DLLIMPORT ULONG RtlStringPrint(PCHAR Buffer, SIZE_T Size, PCSTR Format, ...);

PDEVICE_OBJECT TestDevice;

static ULONG checks;
static ULONG violations;

static VOID say(PCSTR verdict, PCSTR what)
{
	CHAR line[200];

	RtlStringPrint(line, sizeof(line), "wfptest: %s %u - %s\n", verdict, checks, what);
	HalDisplayString(line);
}

VOID TestCheck(BOOLEAN Good, PCSTR What)
{
	checks++;
	say(Good ? "ok" : "not ok", What);
}

VOID TestViolates(PCSTR What)
{
	ULONG now = WfpQueryViolations();

	TestCheck(now == violations + 1, What);
	violations = now;
}

VOID TestKeeps(PCSTR What)
{
	ULONG now = WfpQueryViolations();

	TestCheck(now == violations, What);
	violations = now;
}

PVOID TestAllocate(SIZE_T Size)
{
	PVOID block = ExAllocatePoolWithTag(NonPagedPool, Size, TAG_TEST);

	if (block == NULL)
		KeBugCheckEx(0xDEAD, Size, 0, 0, 0);
	__builtin_memset(block, 0, Size);
	return block;
}

VOID TestSleep(ULONG Milliseconds)
{
	LARGE_INTEGER time = { .QuadPart = -(LONGLONG)Milliseconds * 10000 };

	KeDelayExecutionThread(KernelMode, FALSE, &time);
}

/* A driver with a thread, which by then has ended and is out of the image */
static VOID test_unload(VOID)
{
	UNICODE_STRING name;

	RtlInitUnicodeString(&name,
			     L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\demo");
	TestCheck(NT_SUCCESS(ZwUnloadDriver(&name)), "a driver with a thread is unloaded");
	TestSleep(50);
	TestCheck(ZwUnloadDriver(&name) == STATUS_OBJECT_NAME_NOT_FOUND, "once");
}

static VOID NTAPI run(PVOID Context)
{
	TestKernel();
	TestOpenPool();
	TestLists();
	TestService();
	TestManagement();
	TestConditions();
	TestFlows();
	TestStreams();
	TestInjection();
	TestDatagrams();
	TestStress();
	TestClosePool();
	test_unload();
	TestKeeps("nothing else was wrong");
	say("end", "of all tests");
}

static VOID unload(PDRIVER_OBJECT DriverObject)
{
	IoDeleteDevice(TestDevice);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
	HANDLE thread;
	NTSTATUS status = IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE,
					 &TestDevice);

	if (!NT_SUCCESS(status))
		return status;
	DriverObject->DriverUnload = unload;
	status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, run, NULL);
	if (NT_SUCCESS(status))
		ZwClose(thread);
	return status;
}
