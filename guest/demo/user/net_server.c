/* SPDX-License-Identifier: MIT */
#include "guest/demo/user/net_server.h"

enum { LOOK_AROUND = 200 /* ms: how often the job is asked whether to stop */ };

/* Slot 0 is the listener's. */
static SOCKET sockets[MAX_CONNECTIONS];
static AFD_POLL_ENTRY waiting[MAX_CONNECTIONS];
static ULONG count;

static VOID drop(ULONG slot)
{
	SocketClose(&sockets[slot]);
	waiting[slot] = waiting[count - 1];
	sockets[slot] = sockets[count - 1];
	sockets[--count].File = NULL;
}

static VOID accept_all(VOID)
{
	SOCKET socket = { 0 };

	while (count < MAX_CONNECTIONS && SocketAccept(&socket, &sockets[0], 1) == STATUS_SUCCESS) {
		sockets[count] = socket;
		waiting[count++] = (AFD_POLL_ENTRY){ socket.Id, AFD_READABLE, 0 };
	}
}

static VOID read_one(ULONG slot, SERVER_ANSWER *answer)
{
	ULONG n;
	NTSTATUS status = SocketReceive(&sockets[slot], Buffer, BUFFER_SIZE, AFD_NO_WAIT, &n);

	if (status == STATUS_TIMEOUT)
		return;
	Job.Received += n;
	if (status != STATUS_SUCCESS)
		JobFailed(status);
	if (status != STATUS_SUCCESS || n == 0 || !answer(&sockets[slot], slot, Buffer, n))
		drop(slot);
}

VOID ServeAll(SERVER_ANSWER *Answer)
{
	NTSTATUS status = SocketServe(&sockets[0]);
	ULONG looked = Now();

	if (status != STATUS_SUCCESS) {
		JobFailed(status);
		return;
	}
	count = 1;
	waiting[0] = (AFD_POLL_ENTRY){ sockets[0].Id, AFD_ACCEPTABLE, 0 };
	for (;;) {
		status = SocketPoll(&sockets[0], waiting, count, LOOK_AROUND);
		if (Now() - looked >= LOOK_AROUND) {
			if (JobShouldStop())
				return;
			looked = Now();
		}
		if (status != STATUS_SUCCESS)
			continue;
		for (ULONG slot = count - 1; slot != 0; slot--) {
			if (waiting[slot].Ready != 0)
				read_one(slot, Answer);
		}
		if (waiting[0].Ready != 0)
			accept_all();
	}
}
