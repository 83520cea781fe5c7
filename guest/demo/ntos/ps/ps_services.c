/* SPDX-License-Identifier: MIT */
/* System services. Arguments come from user mode: pointers are only touched through KiCopySafe. */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntio.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/inc/psp.h"
#include "guest/demo/ntos/inc/rtl.h"
#include "guest/demo/ntos/inc/services.h"

typedef ULONG_PTR SERVICE(ULONG_PTR A1, ULONG_PTR A2, ULONG_PTR A3, ULONG_PTR A4);

ULONG_PTR KiSystemServiceCall(SERVICE *Service, PKTRAP_FRAME TrapFrame);

static NTSTATUS copy_to_user(ULONG64 to, const VOID *from, SIZE_T n)
{
	if (to > MM_HIGHEST_USER || n > MM_HIGHEST_USER - to)
		return STATUS_ACCESS_VIOLATION;
	return KiCopySafe((PVOID)(ULONG_PTR)to, from, n) == 0 ? STATUS_SUCCESS
							      : STATUS_ACCESS_VIOLATION;
}

/* A user's UNICODE_STRING into `text`, with its characters. */
static NTSTATUS capture_string(ULONG64 user, PUNICODE_STRING string, PWCHAR text, USHORT max)
{
	NTSTATUS status = MmCopyFromUser(string, user, sizeof(*string));

	if (!NT_SUCCESS(status))
		return status;
	if (string->Length > max || (string->Length & 1) != 0)
		return STATUS_INVALID_PARAMETER;
	status = MmCopyFromUser(text, (ULONG64)(ULONG_PTR)string->Buffer, string->Length);
	string->Buffer = text;
	return status;
}

static ULONG_PTR NtYieldExecution(ULONG_PTR A1, ULONG_PTR A2, ULONG_PTR A3, ULONG_PTR A4)
{
	LARGE_INTEGER soon = { .QuadPart = -1 };

	return (ULONG_PTR)(LONG_PTR)KeDelayExecutionThread(UserMode, FALSE, &soon);
}

static ULONG_PTR NtDelayExecution(ULONG_PTR Alertable, ULONG_PTR Interval, ULONG_PTR A3,
				  ULONG_PTR A4)
{
	LARGE_INTEGER interval;
	NTSTATUS status = MmCopyFromUser(&interval, Interval, sizeof(interval));

	if (NT_SUCCESS(status))
		status = KeDelayExecutionThread(UserMode, Alertable != 0, &interval);
	return (ULONG_PTR)(LONG_PTR)status;
}

static ULONG_PTR NtTerminateProcess(ULONG_PTR Process, ULONG_PTR ExitStatus, ULONG_PTR A3,
				    ULONG_PTR A4)
{
	if (Process != ~(ULONG_PTR)0) /* only oneself */
		return (ULONG_PTR)(LONG_PTR)STATUS_INVALID_PARAMETER;
	return (ULONG_PTR)(LONG_PTR)PspTerminateProcess(PsGetCurrentProcess(),
							(NTSTATUS)ExitStatus);
}

static ULONG_PTR NtDisplayString(ULONG_PTR String, ULONG_PTR A2, ULONG_PTR A3, ULONG_PTR A4)
{
	WCHAR text[200];
	UNICODE_STRING string;
	NTSTATUS status = capture_string(String, &string, text, sizeof(text));

	if (NT_SUCCESS(status))
		RtlLog("%s[%u]: %wZ\n", PsGetCurrentProcess()->ImageFileName,
		       (ULONG)(ULONG_PTR)PsGetCurrentProcess()->UniqueProcessId, &string);
	return (ULONG_PTR)(LONG_PTR)status;
}

static ULONG_PTR NtQuerySystemTime(ULONG_PTR Time, ULONG_PTR A2, ULONG_PTR A3, ULONG_PTR A4)
{
	ULONG64 now = PsBootTime + KiQueryInterruptTime();

	return (ULONG_PTR)(LONG_PTR)copy_to_user(Time, &now, sizeof(now));
}

static ULONG_PTR NtGetCurrentProcessorNumber(ULONG_PTR A1, ULONG_PTR A2, ULONG_PTR A3, ULONG_PTR A4)
{
	return KeGetCurrentProcessorNumber();
}

static ULONG_PTR NtQueryDemoCommand(ULONG_PTR Command, ULONG_PTR A2, ULONG_PTR A3, ULONG_PTR A4)
{
	ULONG command = __atomic_exchange_n(&PspUserCommand, 0, __ATOMIC_SEQ_CST);

	return (ULONG_PTR)(LONG_PTR)copy_to_user(Command, &command, sizeof(command));
}

static ULONG_PTR NtWriteDevice(ULONG_PTR Name, ULONG_PTR Buffer, ULONG_PTR Length,
			       ULONG_PTR IoStatus)
{
	UCHAR data[256];
	WCHAR text[64];
	UNICODE_STRING name;
	IO_STATUS_BLOCK io = { 0 };
	NTSTATUS status = capture_string(Name, &name, text, sizeof(text));

	if (NT_SUCCESS(status) && Length > sizeof(data))
		status = STATUS_INVALID_PARAMETER;
	if (NT_SUCCESS(status))
		status = MmCopyFromUser(data, Buffer, Length);
	if (NT_SUCCESS(status))
		status = IoWriteDevice(&name, data, (ULONG)Length, &io);
	if (NT_SUCCESS(status))
		status = copy_to_user(IoStatus, &io, sizeof(io));
	return (ULONG_PTR)(LONG_PTR)status;
}

/* Arguments the caller left on its stack, from the fifth on. */
static NTSTATUS stack_arguments(ULONG_PTR *to, ULONG count)
{
	ULONG64 at = TRAP_STACK_ARGUMENTS(KeGetCurrentThread()->TrapFrame);

	return MmCopyFromUser(to, at, count * sizeof(*to));
}

static ULONG_PTR NtOpenFile(ULONG_PTR File, ULONG_PTR DesiredAccess, ULONG_PTR ObjectAttributes,
			    ULONG_PTR IoStatus)
{
	IO_STATUS_BLOCK io = { 0 };
	OBJECT_ATTRIBUTES attributes;
	UNICODE_STRING name;
	HANDLE handle = NULL;
	WCHAR text[64];
	NTSTATUS status = MmCopyFromUser(&attributes, ObjectAttributes, sizeof(attributes));

	if (NT_SUCCESS(status))
		status = capture_string((ULONG_PTR)attributes.ObjectName, &name, text,
					sizeof(text));
	if (NT_SUCCESS(status))
		status = IoOpenFile(&name, &handle);
	if (!NT_SUCCESS(status))
		return (ULONG_PTR)(LONG_PTR)status;
	io.Status = status;
	io.Information = 1; /* FILE_OPENED */
	status = copy_to_user(File, &handle, sizeof(handle));
	if (NT_SUCCESS(status))
		status = copy_to_user(IoStatus, &io, sizeof(io));
	if (!NT_SUCCESS(status))
		IoCloseFile(handle);
	return (ULONG_PTR)(LONG_PTR)status;
}

/* Events and APCs are not for it: every request is done when the service returns. */
static ULONG_PTR NtDeviceIoControlFile(ULONG_PTR File, ULONG_PTR Event, ULONG_PTR ApcRoutine,
				       ULONG_PTR ApcContext)
{
	/* IoStatusBlock, IoControlCode, InputBuffer, its length, OutputBuffer, its length */
	ULONG_PTR more[6];
	IO_STATUS_BLOCK io = { 0 };
	NTSTATUS status = stack_arguments(more, RTL_NUMBER_OF(more)), copied;

	if (NT_SUCCESS(status) && (Event != 0 || ApcRoutine != 0))
		status = STATUS_INVALID_PARAMETER;
	if (!NT_SUCCESS(status))
		return (ULONG_PTR)(LONG_PTR)status;
	status = IoControlFile((HANDLE)File, (ULONG)more[1], (PVOID)more[2], (ULONG)more[3],
			       (PVOID)more[4], (ULONG)more[5], &io);
	copied = copy_to_user(more[0], &io, sizeof(io));
	return (ULONG_PTR)(LONG_PTR)(NT_SUCCESS(copied) ? status : copied);
}

static ULONG_PTR NtClose(ULONG_PTR Handle, ULONG_PTR A2, ULONG_PTR A3, ULONG_PTR A4)
{
	return (ULONG_PTR)(LONG_PTR)IoCloseFile((HANDLE)Handle);
}

static SERVICE *const KiServiceTable[SERVICE_COUNT] = {
	[SERVICE_YIELD_EXECUTION] = NtYieldExecution,
	[SERVICE_DELAY_EXECUTION] = NtDelayExecution,
	[SERVICE_TERMINATE_PROCESS] = NtTerminateProcess,
	[SERVICE_DISPLAY_STRING] = NtDisplayString,
	[SERVICE_QUERY_SYSTEM_TIME] = NtQuerySystemTime,
	[SERVICE_PROCESSOR_NUMBER] = NtGetCurrentProcessorNumber,
	[SERVICE_QUERY_DEMO_COMMAND] = NtQueryDemoCommand,
	[SERVICE_WRITE_DEVICE] = NtWriteDevice,
	[SERVICE_OPEN_FILE] = NtOpenFile,
	[SERVICE_DEVICE_IO_CONTROL] = NtDeviceIoControlFile,
	[SERVICE_CLOSE] = NtClose,
};

/** From the system call's entry, interrupts on. The result becomes the user's rax or eax. */
ULONG_PTR KiSystemServiceStart(PKTRAP_FRAME TrapFrame)
{
	PKTHREAD thread = KeGetCurrentThread();
	ULONG number = TRAP_SERVICE(TrapFrame);

	KeGetCurrentPrcb()->SystemCalls++;
	thread->TrapFrame = TrapFrame;
	thread->SystemCallNumber = number;
	if (number >= SERVICE_COUNT)
		return (ULONG_PTR)(LONG_PTR)STATUS_INVALID_SYSTEM_SERVICE;
	return KiSystemServiceCall(KiServiceTable[number], TrapFrame);
}
