/* SPDX-License-Identifier: MIT */
/* bulk.exe: moves many bytes. */
#include "guest/demo/user/net_program.h"

static UCHAR pattern[BUFFER_SIZE + 251]; /* from any byte of the cycle a full buffer */
static SOCKET listener, connection;

static NTSTATUS send_bytes(SOCKET *socket, ULONG64 bytes)
{
	ULONG64 sent = 0;
	ULONG report = Now();

	while (sent < bytes) {
		ULONG n = bytes - sent > BUFFER_SIZE ? BUFFER_SIZE : (ULONG)(bytes - sent);
		const UCHAR *from = pattern + sent % 251;
		NTSTATUS status = SocketSendAll(socket, from, n);

		if (status != STATUS_SUCCESS)
			return status;
		Job.SentHash = NetHash(Job.SentHash, from, n);
		sent += n;
		if (Now() - report > 200) {
			if (JobShouldStop())
				return STATUS_SUCCESS;
			report = Now();
		}
	}
	return STATUS_SUCCESS;
}

static NTSTATUS receive_bytes(SOCKET *socket)
{
	ULONG report = Now(), n;

	for (;;) {
		NTSTATUS status = SocketReceive(socket, Buffer, BUFFER_SIZE, 0, &n);

		if (status != STATUS_SUCCESS || n == 0)
			return status;
		Job.Received += n;
		Job.ReceivedHash = NetHash(Job.ReceivedHash, Buffer, n);
		if (Now() - report > 200) {
			if (JobShouldStop())
				return STATUS_SUCCESS;
			report = Now();
		}
	}
}

static NTSTATUS as_client(VOID)
{
	NTSTATUS status = SocketOpen(&connection);

	if (status == STATUS_SUCCESS && Job.Kind != NetReceiveBulk)
		status = send_bytes(&connection, Job.Bytes);
	if (status == STATUS_SUCCESS && Job.Kind == NetResetBulk) {
		status = SocketAbort(&connection);
	} else if (status == STATUS_SUCCESS) {
		if (Job.Kind == NetSendBulk)
			status = SocketShutdown(&connection);
		if (status == STATUS_SUCCESS)
			status = receive_bytes(&connection);
	}
	SocketClose(&connection);
	return status;
}

static NTSTATUS as_server(VOID)
{
	NTSTATUS status = SocketAccept(&connection, &listener, 500);

	if (status != STATUS_SUCCESS)
		return status;
	status = receive_bytes(&connection);
	if (status == STATUS_SUCCESS)
		status = send_bytes(&connection, Job.Bytes);
	SocketClose(&connection);
	return status;
}

static VOID serve(VOID)
{
	NTSTATUS status = SocketServe(&listener);

	if (status != STATUS_SUCCESS) {
		JobFailed(status);
		return;
	}
	for (ULONG served = 0; served < Job.Connections && !JobShouldStop();) {
		status = as_server();
		if (status == STATUS_TOO_LATE)
			continue;
		served++;
		if (status == STATUS_SUCCESS)
			Job.Done++;
		else
			JobFailed(status);
	}
}

VOID RunJob(VOID)
{
	FillPattern(pattern, sizeof(pattern), 0);
	if (Job.Kind == NetServeBulk) {
		serve();
		return;
	}
	for (ULONG i = 0; i < Job.Connections && !JobShouldStop(); i++) {
		NTSTATUS status = as_client();

		if (status == STATUS_SUCCESS)
			Job.Done++;
		else
			JobFailed(status);
	}
}
