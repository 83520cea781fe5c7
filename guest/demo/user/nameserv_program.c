/* SPDX-License-Identifier: MIT */
/* nameserv.exe: answers DNS questions for hostNUMBER.demo with 10.1.x.y, x.y being the number. */
#include "guest/demo/user/name_message.h"
#include "guest/demo/user/net_program.h"

static ULONG number_of(const UCHAR *label)
{
	ULONG number = 0;

	for (ULONG i = 1; i <= label[0]; i++) {
		if (label[i] >= '0' && label[i] <= '9')
			number = number * 10 + (label[i] - '0');
	}
	return number;
}

static VOID answer(SOCKET *socket, PAFD_REQUEST from)
{
	ULONG n = from->Done, number;
	/* the name is at offset 12; A, IN, one minute, four bytes */
	UCHAR tail[NAME_ANSWER] = { 0xC0, NAME_HEADER, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1 };
	NTSTATUS status;

	if (n < NAME_HEADER + 1 + NAME_TAIL || n + NAME_ANSWER > NAME_MESSAGE_MAX ||
	    NAME_HEADER + Buffer[NAME_HEADER] >= n)
		return;
	number = number_of(Buffer + NAME_HEADER);
	tail[NAME_ANSWER - 2] = (UCHAR)(number >> 8);
	tail[NAME_ANSWER - 1] = (UCHAR)number;
	Buffer[2] |= 0x80;
	Buffer[7] = 1;
	__builtin_memcpy(Buffer + n, tail, NAME_ANSWER);
	status = SocketSendTo(socket, Buffer, n + NAME_ANSWER, from);
	if (status == STATUS_SUCCESS)
		Job.Done++;
	else
		JobFailed(status);
}

VOID RunJob(VOID)
{
	SOCKET socket = { 0 };
	AFD_REQUEST from;
	NTSTATUS status = SocketCreate(&socket, Job.Family, AFD_UDP);
	ULONG looked = Now();

	if (status == STATUS_SUCCESS)
		status = SocketBind(&socket, Job.Port);
	if (status != STATUS_SUCCESS) {
		JobFailed(status);
		return;
	}
	JobReady();
	while (Now() - looked < 200 || !JobShouldStop()) {
		if (Now() - looked >= 200)
			looked = Now();
		status = SocketReceiveFrom(&socket, Buffer, BUFFER_SIZE, 200, &from);
		if (status != STATUS_SUCCESS)
			continue;
		Job.Received += from.Done;
		answer(&socket, &from);
	}
}
