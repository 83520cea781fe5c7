/* SPDX-License-Identifier: MIT */
/* \Device\Afd: requests of programs, in their own thread. Waiting is done here, without the lock.
 */
#include "guest/demo/net/tcpip/stack.h"

enum {
	SLICE = 1000, /* ms: the longest wait in one piece */
	MAX_LENGTH = 0x100000,
	MAX_POLL = 512,
};

static LIST_ENTRY owners = { &owners, &owners };
static PDEVICE_OBJECT device;

/* --- owners --- */

static VOID set_path(PNET_OWNER owner, PCSTR name)
{
	static const WCHAR folder[] = L"\\device\\harddiskvolume1\\windows\\system32\\";
	ULONG n = RTL_NUMBER_OF(folder) - 1;

	__builtin_memcpy(owner->PathText, folder, sizeof(folder));
	for (ULONG i = 0; i < 15 && name[i] != '\0'; i++)
		owner->PathText[n++] = (UCHAR)name[i];
	owner->Path.Buffer = owner->PathText;
	owner->Path.Length = owner->Path.MaximumLength = (USHORT)(n * sizeof(WCHAR));
}

static PNET_OWNER current_owner(VOID)
{
	PEPROCESS process = PsGetCurrentProcess();
	ULONG64 pid = (ULONG_PTR)process->UniqueProcessId;
	PNET_OWNER owner;

	for (PLIST_ENTRY at = owners.Flink; at != &owners; at = at->Flink) {
		owner = CONTAINING_RECORD(at, NET_OWNER, Link);
		if (owner->ProcessId == pid) {
			owner->References++;
			return owner;
		}
	}
	owner = NetAllocateZeroed(1, sizeof(*owner));
	if (owner == NULL)
		return NULL;
	owner->References = 1;
	owner->ProcessId = pid;
	set_path(owner, process->ImageFileName);
	KeInitializeEvent(&owner->Changed, SynchronizationEvent, FALSE);
	InsertTailList(&owners, &owner->Link);
	return owner;
}

VOID NetReleaseOwner(PNET_OWNER Owner)
{
	if (--Owner->References != 0)
		return;
	RemoveEntryList(&Owner->Link);
	NetForgetWake(Owner);
	NetFree(Owner);
}

/* --- requests --- */

static NTSTATUS create(PFILE_OBJECT file, PAFD_REQUEST request)
{
	PNET_SOCKET socket;

	if (file->FsContext2 != NULL ||
	    (request->Family != AFD_INET && request->Family != AFD_INET6) ||
	    (request->Protocol != AFD_TCP && request->Protocol != AFD_UDP))
		return STATUS_INVALID_PARAMETER;
	socket = NetCreateSocket(file->FsContext, request->Family, (UCHAR)request->Protocol);
	if (socket == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	file->FsContext2 = socket;
	request->Id = socket->Id;
	return STATUS_SUCCESS;
}

static NTSTATUS accept(PFILE_OBJECT file, PAFD_REQUEST request)
{
	NTSTATUS status = STATUS_INVALID_PARAMETER;

	if (file->FsContext2 == NULL)
		file->FsContext2 = NetTcpAccept(file->FsContext, request, &status);
	return status;
}

static NTSTATUS poll(PFILE_OBJECT file, PAFD_REQUEST request)
{
	AFD_POLL_ENTRY *entries = (AFD_POLL_ENTRY *)(ULONG_PTR)request->Buffer;
	ULONG count = request->Length / sizeof(*entries);

	if (count > MAX_POLL)
		return STATUS_INVALID_PARAMETER;
	request->Done = 0;
	for (ULONG i = 0; i < count; i++) {
		PNET_SOCKET socket = NetFindSocket(entries[i].Id);
		USHORT ready = AFD_FAILED;

		if (socket != NULL && socket->Owner == file->FsContext)
			ready = NetSocketEvents(socket);
		entries[i].Ready = ready & (entries[i].Events | AFD_FAILED);
		if (entries[i].Ready != 0)
			request->Done++;
	}
	return request->Done != 0 ? STATUS_SUCCESS : STATUS_PENDING;
}

static const struct {
	ULONG Code;
	BOOLEAN ReadsBuffer, WritesBuffer;
	NET_OPERATION *Tcp, *Udp;
} operations[] = {
	{ AFD_BIND, FALSE, FALSE, NetTcpBind, NetUdpBind },
	{ AFD_LISTEN, FALSE, FALSE, NetTcpListen, NULL },
	{ AFD_CONNECT, FALSE, FALSE, NetTcpConnect, NetUdpConnect },
	{ AFD_SEND, TRUE, FALSE, NetTcpSend, NetUdpSend },
	{ AFD_RECEIVE, FALSE, TRUE, NetTcpReceive, NetUdpReceive },
	{ AFD_SEND_TO, TRUE, FALSE, NULL, NetUdpSend },
	{ AFD_RECEIVE_FROM, FALSE, TRUE, NULL, NetUdpReceive },
	{ AFD_SHUTDOWN, FALSE, FALSE, NetTcpShutdown, NULL },
	{ AFD_ABORT, FALSE, FALSE, NetTcpAbort, NULL },
};

/* Once; the lock is held. */
static NTSTATUS try(PFILE_OBJECT file, ULONG code, PAFD_REQUEST request)
{
	PNET_SOCKET socket = file->FsContext2;

	switch (code) {
	case AFD_CREATE: return create(file, request);
	case AFD_ACCEPT: return accept(file, request);
	case AFD_POLL: return poll(file, request);
	default: break;
	}
	for (ULONG i = 0; socket != NULL && i < RTL_NUMBER_OF(operations); i++) {
		NET_OPERATION *operation = socket->Protocol == AFD_TCP ? operations[i].Tcp
								       : operations[i].Udp;

		if (operations[i].Code == code && operation != NULL)
			return operation(socket, request);
	}
	return STATUS_INVALID_DEVICE_REQUEST;
}

/* The buffer stays as it is until the request is done: the caller's one thread is here. */
static BOOLEAN is_buffer_good(ULONG code, const AFD_REQUEST *request)
{
	BOOLEAN reads = code == AFD_TAKE_JOB || code == AFD_REPORT_JOB, writes = code == AFD_POLL;

	for (ULONG i = 0; i < RTL_NUMBER_OF(operations); i++) {
		if (operations[i].Code == code) {
			reads = operations[i].ReadsBuffer;
			writes = operations[i].WritesBuffer;
		}
	}
	if (!reads && !writes)
		return TRUE;
	return request->Length <= MAX_LENGTH &&
	       MmProbeUser(request->Buffer, request->Length, writes || code == AFD_TAKE_JOB);
}

static NTSTATUS wait(PNET_OWNER owner, ULONG started, ULONG timeout)
{
	ULONG passed = NetMilliseconds() - started, slice = SLICE;
	LARGE_INTEGER interval;
	NTSTATUS status;

	if (timeout != 0 && passed >= timeout)
		return STATUS_TIMEOUT;
	if (timeout != 0 && timeout - passed < slice)
		slice = timeout - passed;
	interval.QuadPart = -(LONGLONG)slice * 10000;
	status = KeWaitForSingleObject(&owner->Changed, UserRequest, UserMode, FALSE, &interval);
	return status == STATUS_TIMEOUT ? STATUS_SUCCESS : status;
}

static NTSTATUS run(PFILE_OBJECT file, ULONG code, PAFD_REQUEST request)
{
	ULONG started = NetMilliseconds();
	NTSTATUS status;

	for (;;) {
		KIRQL irql = NetLock();

		status = try(file, code, request);
		NetUnlock(irql);
		if (status != STATUS_PENDING)
			return status;
		if ((request->Flags & AFD_NO_WAIT) != 0)
			return STATUS_TIMEOUT;
		status = wait(file->FsContext, started, request->Timeout);
		if (status != STATUS_SUCCESS)
			return status;
	}
}

static NTSTATUS job(PFILE_OBJECT file, ULONG code, PAFD_REQUEST request)
{
	PNET_JOB job = (PNET_JOB)(ULONG_PTR)request->Buffer;
	PNET_OWNER owner = file->FsContext;

	if (request->Length != sizeof(*job))
		return STATUS_INVALID_PARAMETER;
	if (code == AFD_TAKE_JOB)
		return NetTakeJob(owner->ProcessId, job, &request->Id);
	return NetReportJob(request->Id, job, &request->Done);
}

static NTSTATUS control(PIRP irp, PIO_STACK_LOCATION stack)
{
	ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
	PAFD_REQUEST out = irp->UserBuffer;
	AFD_REQUEST request;
	NTSTATUS status;

	if (stack->Parameters.DeviceIoControl.InputBufferLength != sizeof(request) ||
	    stack->Parameters.DeviceIoControl.OutputBufferLength != sizeof(request) ||
	    !MmProbeUser((ULONG_PTR)out, sizeof(*out), TRUE))
		return STATUS_INVALID_PARAMETER;
	status = MmCopyFromUser(&request,
				(ULONG_PTR)stack->Parameters.DeviceIoControl.Type3InputBuffer,
				sizeof(request));
	if (!NT_SUCCESS(status))
		return status;
	request.Done = 0;
	if (!is_buffer_good(code, &request))
		return STATUS_ACCESS_VIOLATION;
	if (code == AFD_TAKE_JOB || code == AFD_REPORT_JOB)
		status = job(stack->FileObject, code, &request);
	else
		status = run(stack->FileObject, code, &request);
	*out = request;
	irp->IoStatus.Information = request.Done;
	return status;
}

static NTSTATUS complete(PIRP irp, NTSTATUS status)
{
	irp->IoStatus.Status = status;
	IofCompleteRequest(irp, 0);
	return status;
}

static NTSTATUS NetDeviceControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
	return complete(Irp, control(Irp, IoGetCurrentIrpStackLocation(Irp)));
}

static NTSTATUS NetDeviceCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
	PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;
	KIRQL irql = NetLock();

	file->FsContext = current_owner();
	NetUnlock(irql);
	return complete(Irp,
			file->FsContext != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES);
}

static NTSTATUS NetDeviceClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
	PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;
	PNET_SOCKET socket = file->FsContext2;
	KIRQL irql = NetLock();

	if (socket != NULL && socket->Protocol == AFD_TCP)
		NetTcpClose(socket);
	else if (socket != NULL)
		NetUdpClose(socket);
	NetReleaseOwner(file->FsContext);
	NetUnlock(irql);
	return complete(Irp, STATUS_SUCCESS);
}

NTSTATUS NetCreateDevice(PDRIVER_OBJECT DriverObject)
{
	UNICODE_STRING name;

	RtlInitUnicodeString(&name, L"\\Device\\Afd");
	DriverObject->MajorFunction[IRP_MJ_CREATE] = NetDeviceCreate;
	DriverObject->MajorFunction[IRP_MJ_CLOSE] = NetDeviceClose;
	DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = NetDeviceControl;
	return IoCreateDevice(DriverObject, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
}
