/* SPDX-License-Identifier: MIT */
/* nameask.exe: asks for the address of hostNUMBER.demo, by DNS messages in UDP. */
#include "guest/demo/user/name_message.h"
#include "guest/demo/user/net_program.h"

enum { TRIES = 3, ANSWER_TIME = 1000 };

static UCHAR question[NAME_MESSAGE_MAX];

static ULONG add_label(ULONG at, PCSTR text, ULONG length)
{
	question[at] = (UCHAR)length;
	__builtin_memcpy(question + at + 1, text, length);
	return at + 1 + length;
}

static ULONG make_question(ULONG number)
{
	/* id, recursion desired, one question */
	const UCHAR header[NAME_HEADER] = { (UCHAR)(number >> 8), (UCHAR)number, 1, 0, 0, 1 };
	const UCHAR tail[NAME_TAIL] = { 0, 1, 0, 1 }; /* type A, class IN */
	CHAR label[24] = "host";
	ULONG at;

	__builtin_memcpy(question, header, NAME_HEADER);
	at = add_label(NAME_HEADER, label, 4 + PrintNumber(label + 4, number));
	at = add_label(at, "demo", 4);
	question[at++] = 0;
	__builtin_memcpy(question + at, tail, NAME_TAIL);
	return at + NAME_TAIL;
}

static BOOLEAN is_answer(const UCHAR *reply, ULONG length, ULONG asked, ULONG number)
{
	/* same id, a response, one answer; its address ends in the number */
	return length == asked + NAME_ANSWER && __builtin_memcmp(reply, question, 2) == 0 &&
	       (reply[2] & 0x80) != 0 && reply[7] == 1 &&
	       __builtin_memcmp(reply + NAME_HEADER, question + NAME_HEADER, asked - NAME_HEADER) ==
		       0 &&
	       reply[length - 2] == (UCHAR)(number >> 8) && reply[length - 1] == (UCHAR)number;
}

static NTSTATUS ask(SOCKET *socket, ULONG number)
{
	AFD_REQUEST server = { .Family = Job.Family, .Port = Job.Port }, from;
	ULONG length = make_question(number);
	NTSTATUS status = STATUS_TIMEOUT;

	__builtin_memcpy(server.Address, Job.Address, sizeof(server.Address));
	for (ULONG tries = 0; tries < TRIES && status == STATUS_TIMEOUT; tries++) {
		status = SocketSendTo(socket, question, length, &server);
		Job.Sent += length;
		if (status == STATUS_SUCCESS)
			status = SocketReceiveFrom(socket, Buffer, BUFFER_SIZE, ANSWER_TIME, &from);
	}
	if (status != STATUS_SUCCESS)
		return status;
	Job.Received += from.Done;
	return is_answer(Buffer, from.Done, length, number) ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

VOID RunJob(VOID)
{
	SOCKET socket = { 0 };
	NTSTATUS status = SocketCreate(&socket, Job.Family, AFD_UDP);

	if (status != STATUS_SUCCESS) {
		JobFailed(status);
		return;
	}
	for (ULONG i = 0; i < Job.Count && !JobShouldStop(); i++) {
		status = ask(&socket, i);
		if (status == STATUS_SUCCESS)
			Job.Done++;
		else
			JobFailed(status);
		if (Job.Delay != 0)
			Sleep(Job.Delay);
	}
	SocketClose(&socket);
}
