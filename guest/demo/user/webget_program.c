/* SPDX-License-Identifier: MIT */
/* webget.exe: fetches pages by HTTP, one after the other or all at once. */
#include "guest/demo/user/net_program.h"

static const CHAR question[] =
	"GET /index.html HTTP/1.0\r\nHost: demo\r\nConnection: close\r\n\r\n";

static SOCKET sockets[MAX_CONNECTIONS];
static AFD_POLL_ENTRY waiting[MAX_CONNECTIONS];
static BOOLEAN asked[MAX_CONNECTIONS], answered[MAX_CONNECTIONS];

static BOOLEAN is_good(const UCHAR *page, ULONG n)
{
	static const CHAR start[] = "HTTP/1.";

	return n > 12 && __builtin_memcmp(page, start, sizeof(start) - 1) == 0 && page[9] == '2';
}

static NTSTATUS fetch(VOID)
{
	SOCKET socket = { 0 };
	BOOLEAN first = TRUE;
	NTSTATUS status = SocketOpen(&socket);
	ULONG n = 1;

	if (status == STATUS_SUCCESS)
		status = SocketSendAll(&socket, question, sizeof(question) - 1);
	while (status == STATUS_SUCCESS && n != 0) {
		status = SocketReceive(&socket, Buffer, BUFFER_SIZE, 0, &n);
		if (status == STATUS_SUCCESS && first && !is_good(Buffer, n))
			status = STATUS_UNSUCCESSFUL;
		first = FALSE;
		Job.Received += n;
		Job.ReceivedHash = NetHash(Job.ReceivedHash, Buffer, n);
	}
	SocketClose(&socket);
	return status;
}

static VOID note(NTSTATUS status)
{
	if (status == STATUS_SUCCESS)
		Job.Done++;
	else
		JobFailed(status);
}

/* --- all at once --- */

static VOID finish(ULONG i, NTSTATUS status)
{
	note(status);
	SocketClose(&sockets[i]);
	waiting[i].Events = 0;
}

static VOID go_on(ULONG i)
{
	NTSTATUS status;
	ULONG n;

	if (!asked[i] && (waiting[i].Ready & AFD_WRITABLE) != 0) {
		status = SocketSendAll(&sockets[i], question, sizeof(question) - 1);
		if (status != STATUS_SUCCESS) {
			finish(i, status);
			return;
		}
		asked[i] = TRUE;
		waiting[i].Events = AFD_READABLE;
		return;
	}
	status = SocketReceive(&sockets[i], Buffer, BUFFER_SIZE, AFD_NO_WAIT, &n);
	if (status == STATUS_TIMEOUT)
		return;
	if (status == STATUS_SUCCESS && !answered[i] && !is_good(Buffer, n))
		status = STATUS_UNSUCCESSFUL;
	answered[i] = TRUE;
	Job.Received += n;
	if (status != STATUS_SUCCESS || n == 0)
		finish(i, status);
}

static ULONG open_all(VOID)
{
	ULONG opened = 0;

	for (ULONG i = 0; i < Job.Connections; i++) {
		NTSTATUS status = SocketCreate(&sockets[i], Job.Family, AFD_TCP);

		if (status == STATUS_SUCCESS)
			status = SocketConnect(&sockets[i], AFD_NO_WAIT);
		if (status != STATUS_SUCCESS && status != STATUS_TIMEOUT) {
			JobFailed(status);
			SocketClose(&sockets[i]);
			continue;
		}
		asked[i] = answered[i] = FALSE;
		waiting[opened] = (AFD_POLL_ENTRY){ sockets[i].Id, AFD_WRITABLE, 0 };
		sockets[opened++] = sockets[i];
	}
	return opened;
}

static VOID fetch_all(VOID)
{
	ULONG open = open_all(), left = open;

	while (left != 0 && !JobShouldStop()) {
		ULONG n = 0;

		for (ULONG i = 0; i < open && n == 0; i++)
			n = sockets[i].File != NULL ? i + 1 : 0;
		if (SocketPoll(&sockets[n - 1], waiting, open, PATIENCE) != STATUS_SUCCESS) {
			JobFailed(STATUS_TIMEOUT);
			break;
		}
		left = 0;
		for (ULONG i = 0; i < open; i++) {
			if (sockets[i].File != NULL && waiting[i].Ready != 0)
				go_on(i);
			left += sockets[i].File != NULL;
		}
	}
	for (ULONG i = 0; i < open; i++)
		SocketClose(&sockets[i]);
}

VOID RunJob(VOID)
{
	ULONG rounds = Job.Count != 0 ? Job.Count : 1;

	for (ULONG round = 0; round < rounds && !JobShouldStop(); round++) {
		if (Job.Kind == NetGetPagesAtOnce)
			fetch_all();
		else
			note(fetch());
		if (Job.Delay != 0)
			Sleep(Job.Delay);
	}
}
