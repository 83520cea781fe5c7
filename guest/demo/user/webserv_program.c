/* SPDX-License-Identifier: MIT */
/* webserv.exe: an HTTP server; every page is Job.Bytes of the pattern. */
#include "guest/demo/user/net_server.h"

static UCHAR page[BUFFER_SIZE];

static NTSTATUS send_page(SOCKET *socket)
{
	static const CHAR head[] = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n"
				   "Connection: close\r\nContent-Length: ";
	CHAR text[sizeof(head) + 32];
	ULONG n = sizeof(head) - 1;
	NTSTATUS status;

	__builtin_memcpy(text, head, n);
	n += PrintNumber(text + n, Job.Bytes);
	__builtin_memcpy(text + n, "\r\n\r\n", 4);
	status = SocketSendAll(socket, text, n + 4);
	for (ULONG64 sent = 0; status == STATUS_SUCCESS && sent < Job.Bytes;) {
		ULONG piece = Job.Bytes - sent > BUFFER_SIZE ? BUFFER_SIZE
							     : (ULONG)(Job.Bytes - sent);

		FillPattern(page, piece, sent);
		status = SocketSendAll(socket, page, piece);
		sent += piece;
	}
	return status;
}

/* A question comes in one piece, or its end does: what comes before an empty line is not read. */
static BOOLEAN answer(SOCKET *socket, ULONG slot, const UCHAR *bytes, ULONG length)
{
	NTSTATUS status;

	if (length < 4 || __builtin_memcmp(bytes + length - 4, "\r\n\r\n", 4) != 0)
		return TRUE;
	status = send_page(socket);
	if (status == STATUS_SUCCESS)
		Job.Done++;
	else
		JobFailed(status);
	return FALSE;
}

VOID RunJob(VOID)
{
	ServeAll(answer);
}
