/* SPDX-License-Identifier: MIT */
#include "guest/demo/user/net_program.h"

NET_JOB Job;
UCHAR Buffer[BUFFER_SIZE];

static ULONG job_id;
static HANDLE control; /* an open \Device\Afd that is no socket */

/* --- requests --- */

static NTSTATUS open(PHANDLE file)
{
	static const WCHAR device[] = L"\\Device\\Afd";
	UNICODE_STRING name = { sizeof(device) - 2, sizeof(device), (PWCHAR)(ULONG_PTR)device };
	OBJECT_ATTRIBUTES attributes = { .Length = sizeof(attributes), .ObjectName = &name };
	IO_STATUS_BLOCK io;

	return NtOpenFile(file, 0, &attributes, &io, 0, 0);
}

static NTSTATUS request(HANDLE file, ULONG code, PAFD_REQUEST r)
{
	IO_STATUS_BLOCK io;

	return NtDeviceIoControlFile(file, NULL, NULL, NULL, &io, code, r, sizeof(*r), r,
				     sizeof(*r));
}

NTSTATUS SocketCreate(SOCKET *Socket, USHORT Family, USHORT Protocol)
{
	AFD_REQUEST r = { .Family = Family, .Protocol = Protocol };
	NTSTATUS status = open(&Socket->File);

	if (!NT_SUCCESS(status))
		return status;
	status = request(Socket->File, AFD_CREATE, &r);
	Socket->Id = r.Id;
	Socket->Family = Family;
	if (!NT_SUCCESS(status))
		SocketClose(Socket);
	return status;
}

VOID SocketClose(SOCKET *Socket)
{
	if (Socket->File != NULL)
		NtClose(Socket->File);
	Socket->File = NULL;
}

NTSTATUS SocketBind(SOCKET *Socket, USHORT Port)
{
	AFD_REQUEST r = { .Family = Socket->Family, .Port = Port };

	return request(Socket->File, AFD_BIND, &r);
}

NTSTATUS SocketListen(SOCKET *Socket)
{
	AFD_REQUEST r = { 0 };

	return request(Socket->File, AFD_LISTEN, &r);
}

NTSTATUS SocketAccept(SOCKET *Socket, const SOCKET *Listener, ULONG Timeout)
{
	AFD_REQUEST r = { .Id = Listener->Id, .Timeout = Timeout };
	NTSTATUS status = open(&Socket->File);

	if (!NT_SUCCESS(status))
		return status;
	status = request(Socket->File, AFD_ACCEPT, &r);
	Socket->Id = r.Id;
	Socket->Family = Listener->Family;
	if (status != STATUS_SUCCESS)
		SocketClose(Socket);
	return status;
}

NTSTATUS SocketConnect(SOCKET *Socket, ULONG Flags)
{
	AFD_REQUEST r = {
		.Family = Job.Family, .Port = Job.Port, .Flags = Flags, .Timeout = PATIENCE
	};

	__builtin_memcpy(r.Address, Job.Address, sizeof(r.Address));
	return request(Socket->File, AFD_CONNECT, &r);
}

NTSTATUS SocketSend(SOCKET *Socket, const VOID *Data, ULONG Length, ULONG Flags, PULONG Done)
{
	AFD_REQUEST r = {
		.Buffer = (ULONG_PTR)Data, .Length = Length, .Flags = Flags, .Timeout = PATIENCE
	};
	NTSTATUS status = request(Socket->File, AFD_SEND, &r);

	*Done = r.Done;
	return status;
}

NTSTATUS SocketReceive(SOCKET *Socket, PVOID Data, ULONG Length, ULONG Flags, PULONG Done)
{
	AFD_REQUEST r = {
		.Buffer = (ULONG_PTR)Data, .Length = Length, .Flags = Flags, .Timeout = PATIENCE
	};
	NTSTATUS status = request(Socket->File, AFD_RECEIVE, &r);

	*Done = r.Done;
	return status;
}

NTSTATUS SocketShutdown(SOCKET *Socket)
{
	AFD_REQUEST r = { 0 };

	return request(Socket->File, AFD_SHUTDOWN, &r);
}

NTSTATUS SocketAbort(SOCKET *Socket)
{
	AFD_REQUEST r = { 0 };

	return request(Socket->File, AFD_ABORT, &r);
}

NTSTATUS SocketSendTo(SOCKET *Socket, const VOID *Data, ULONG Length, const AFD_REQUEST *To)
{
	AFD_REQUEST r = *To;

	r.Buffer = (ULONG_PTR)Data;
	r.Length = Length;
	return request(Socket->File, AFD_SEND_TO, &r);
}

NTSTATUS SocketReceiveFrom(SOCKET *Socket, PVOID Data, ULONG Length, ULONG Timeout,
			   PAFD_REQUEST From)
{
	*From = (AFD_REQUEST){ .Buffer = (ULONG_PTR)Data, .Length = Length, .Timeout = Timeout };
	return request(Socket->File, AFD_RECEIVE_FROM, From);
}

NTSTATUS SocketPoll(SOCKET *Any, AFD_POLL_ENTRY *Entries, ULONG Count, ULONG Timeout)
{
	AFD_REQUEST r = { .Buffer = (ULONG_PTR)Entries, .Timeout = Timeout };

	r.Length = Count * sizeof(*Entries);
	return request(Any->File, AFD_POLL, &r);
}

NTSTATUS SocketOpen(SOCKET *Socket)
{
	NTSTATUS status = SocketCreate(Socket, Job.Family, AFD_TCP);

	if (status == STATUS_SUCCESS)
		status = SocketConnect(Socket, 0);
	if (status != STATUS_SUCCESS)
		SocketClose(Socket);
	return status;
}

NTSTATUS SocketServe(SOCKET *Socket)
{
	NTSTATUS status = SocketCreate(Socket, Job.Family, AFD_TCP);

	if (status == STATUS_SUCCESS)
		status = SocketBind(Socket, Job.Port);
	if (status == STATUS_SUCCESS)
		status = SocketListen(Socket);
	if (status == STATUS_SUCCESS)
		JobReady();
	return status;
}

NTSTATUS SocketSendAll(SOCKET *Socket, const VOID *Data, ULONG Length)
{
	ULONG done;
	NTSTATUS status = SocketSend(Socket, Data, Length, 0, &done);

	if (status == STATUS_SUCCESS)
		Job.Sent += done;
	return status;
}

/* --- helpers --- */

/* Four bytes a step: x * P + byte, P odd, worked out for four bytes at once. */
ULONG NetHash(ULONG Hash, const UCHAR *Bytes, ULONG Length)
{
	const ULONG p = 0x01000193u, p2 = p * p, p3 = p2 * p, p4 = p3 * p;
	ULONG i = 0;

	for (; i + 4 <= Length; i += 4)
		Hash = Hash * p4 + Bytes[i] * p3 + Bytes[i + 1] * p2 + Bytes[i + 2] * p +
		       Bytes[i + 3];
	for (; i < Length; i++)
		Hash = Hash * p + Bytes[i];
	return Hash;
}

/* 251 is prime: no two neighbouring segments look alike. */
VOID FillPattern(PUCHAR To, ULONG Length, ULONG64 From)
{
	ULONG value = (ULONG)(From % 251);

	for (ULONG i = 0; i < Length; i++) {
		To[i] = (UCHAR)value;
		if (++value == 251)
			value = 0;
	}
}

ULONG PrintNumber(PCHAR To, ULONG64 Value)
{
	CHAR digits[20];
	ULONG n = 0, length;

	do {
		digits[n++] = (CHAR)('0' + Value % 10);
		Value /= 10;
	} while (Value != 0);
	length = n;
	for (ULONG i = 0; i < length; i++)
		To[i] = digits[--n];
	return length;
}

ULONG TextLength(PCSTR Text)
{
	ULONG n = 0;

	while (Text[n] != '\0')
		n++;
	return n;
}

ULONG Now(VOID)
{
	LARGE_INTEGER now;

	NtQuerySystemTime(&now);
	return (ULONG)((ULONG64)now.QuadPart / 10000);
}

VOID Sleep(ULONG Milliseconds)
{
	LARGE_INTEGER interval = { .QuadPart = -(LONGLONG)Milliseconds * 10000 };

	NtDelayExecution(FALSE, &interval);
}

VOID JobFailed(NTSTATUS Status)
{
	if (Job.Status == STATUS_SUCCESS)
		Job.Status = Status;
	Job.Failed++;
}

BOOLEAN JobShouldStop(VOID)
{
	AFD_REQUEST r = { .Buffer = (ULONG_PTR)&Job, .Length = sizeof(Job), .Id = job_id };

	return request(control, AFD_REPORT_JOB, &r) != STATUS_SUCCESS || r.Done == NetJobStop;
}

VOID JobReady(VOID)
{
	Job.Ready = 1;
	JobShouldStop();
}

static NTSTATUS take_job(VOID)
{
	AFD_REQUEST r = { .Buffer = (ULONG_PTR)&Job, .Length = sizeof(Job) };
	NTSTATUS status = open(&control);

	/* Whoever started us may still be noting our number. */
	for (ULONG tries = 0; NT_SUCCESS(status) && tries < 100; tries++) {
		status = request(control, AFD_TAKE_JOB, &r);
		if (NT_SUCCESS(status))
			break;
		Sleep(10);
		status = STATUS_SUCCESS;
	}
	job_id = r.Id;
	return Job.Kind != 0 ? STATUS_SUCCESS : STATUS_OBJECT_NAME_NOT_FOUND;
}

NTSTATUS ProgramStart(PPEB Peb)
{
	NTSTATUS status = take_job();
	ULONG start = Now();

	if (!NT_SUCCESS(status))
		return status;
	Job.Status = STATUS_SUCCESS;
	Job.Done = Job.Failed = Job.SentHash = Job.ReceivedHash = 0;
	Job.Sent = Job.Received = 0;
	if (Job.Connections == 0)
		Job.Connections = 1;
	if (Job.Connections > MAX_CONNECTIONS)
		Job.Connections = MAX_CONNECTIONS;
	RunJob();
	Job.Milliseconds = Now() - start;
	Job.State = NetJobDone;
	JobShouldStop();
	return Job.Status;
}
