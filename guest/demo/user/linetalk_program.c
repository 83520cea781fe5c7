/* SPDX-License-Identifier: MIT */
/* linetalk.exe: says numbered lines to lineserv.exe and hears what it answers. */
#include "guest/demo/user/net_program.h"

static SOCKET sockets[MAX_CONNECTIONS];
static CHAR line[64];

static NTSTATUS talk(SOCKET *socket, ULONG number)
{
	ULONG n = 5, heard = 0;
	NTSTATUS status;

	__builtin_memcpy(line, "line ", n);
	n += PrintNumber(line + n, number);
	line[n++] = '\n';
	status = SocketSendAll(socket, line, n);
	while (status == STATUS_SUCCESS && heard < n + 3) {
		ULONG got;

		status = SocketReceive(socket, Buffer + heard, n + 3 - heard, 0, &got);
		if (status == STATUS_SUCCESS && got == 0)
			status = STATUS_UNSUCCESSFUL;
		heard += got;
	}
	Job.Received += heard;
	if (status == STATUS_SUCCESS &&
	    (__builtin_memcmp(Buffer, "ok ", 3) != 0 || __builtin_memcmp(Buffer + 3, line, n) != 0))
		status = STATUS_UNSUCCESSFUL;
	Job.ReceivedHash = NetHash(Job.ReceivedHash, Buffer, heard);
	return status;
}

VOID RunJob(VOID)
{
	ULONG open = 0;

	for (; open < Job.Connections; open++) {
		NTSTATUS status = SocketOpen(&sockets[open]);

		if (status != STATUS_SUCCESS) {
			JobFailed(status);
			break;
		}
	}
	for (ULONG round = 0; round < Job.Count && Job.Failed == 0 && !JobShouldStop(); round++) {
		for (ULONG i = 0; i < open; i++) {
			NTSTATUS status = talk(&sockets[i], round);

			if (status == STATUS_SUCCESS)
				Job.Done++;
			else
				JobFailed(status);
		}
		if (Job.Delay != 0)
			Sleep(Job.Delay);
	}
	while (open-- != 0)
		SocketClose(&sockets[open]);
}
