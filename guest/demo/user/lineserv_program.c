/* SPDX-License-Identifier: MIT */
/* lineserv.exe: answers every line with "ok " and the line. */
#include "guest/demo/user/net_server.h"

enum { LINE_MAX = 256 };

static struct {
	ULONG Id, Length;
	UCHAR Text[LINE_MAX];
} lines[MAX_CONNECTIONS];

static UCHAR reply[3 + LINE_MAX];

static BOOLEAN answer_line(SOCKET *socket, const UCHAR *line, ULONG length)
{
	NTSTATUS status;

	__builtin_memcpy(reply, "ok ", 3);
	__builtin_memcpy(reply + 3, line, length);
	status = SocketSendAll(socket, reply, length + 3);
	if (status != STATUS_SUCCESS) {
		JobFailed(status);
		return FALSE;
	}
	Job.Done++;
	return TRUE;
}

/* Slots move when a connection ends: the unfinished line belongs to the socket. */
static ULONG unfinished_of(ULONG id)
{
	ULONG free = MAX_CONNECTIONS;

	for (ULONG i = 0; i < MAX_CONNECTIONS; i++) {
		if (lines[i].Length != 0 && lines[i].Id == id)
			return i;
		if (lines[i].Length == 0)
			free = i;
	}
	if (free != MAX_CONNECTIONS)
		lines[free].Id = id;
	return free;
}

static BOOLEAN answer(SOCKET *socket, ULONG slot, const UCHAR *bytes, ULONG length)
{
	ULONG at = unfinished_of(socket->Id);

	for (ULONG i = 0; i < length; i++) {
		if (at == MAX_CONNECTIONS || lines[at].Length == LINE_MAX)
			return FALSE;
		lines[at].Text[lines[at].Length++] = bytes[i];
		if (bytes[i] == '\n') {
			if (!answer_line(socket, lines[at].Text, lines[at].Length))
				return FALSE;
			lines[at].Length = 0;
		}
	}
	return TRUE;
}

VOID RunJob(VOID)
{
	ServeAll(answer);
}
