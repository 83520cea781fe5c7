/* SPDX-License-Identifier: MIT */
/* What the network programs share: their job, and sockets as calls. */
#ifndef KD_DEMO_NET_PROGRAM_H
#define KD_DEMO_NET_PROGRAM_H

#include "guest/demo/net/inc/afd.h"
#include "guest/demo/user/user.h"

enum {
	MAX_CONNECTIONS = 256,
	BUFFER_SIZE = 0x10000,
	PATIENCE = 20000, /* ms: longer no answer is waited for */
};

#define STATUS_TOO_LATE STATUS_TIMEOUT

typedef struct _SOCKET {
	HANDLE File;
	ULONG Id;
	USHORT Family;
} SOCKET;

extern NET_JOB Job; /* a debugger finds it as PROGRAM!Job */
extern UCHAR Buffer[BUFFER_SIZE];

/** What the program does; results into Job. */
VOID RunJob(VOID);

/** Report how far it is. TRUE: it is asked to stop. */
BOOLEAN JobShouldStop(VOID);
VOID JobFailed(NTSTATUS Status);
/** A server listens. */
VOID JobReady(VOID);
ULONG Now(VOID); /* ms since boot */
VOID Sleep(ULONG Milliseconds);

NTSTATUS SocketCreate(SOCKET *Socket, USHORT Family, USHORT Protocol);
VOID SocketClose(SOCKET *Socket);
NTSTATUS SocketBind(SOCKET *Socket, USHORT Port);
NTSTATUS SocketListen(SOCKET *Socket);
/** STATUS_TIMEOUT: nobody came within Timeout ms. */
NTSTATUS SocketAccept(SOCKET *Socket, const SOCKET *Listener, ULONG Timeout);
/** To the job's address and port. NoWait: STATUS_TIMEOUT when it is on the way. */
NTSTATUS SocketConnect(SOCKET *Socket, ULONG Flags);
NTSTATUS SocketSend(SOCKET *Socket, const VOID *Data, ULONG Length, ULONG Flags, PULONG Done);
/** *Done 0: the other side is through. */
NTSTATUS SocketReceive(SOCKET *Socket, PVOID Data, ULONG Length, ULONG Flags, PULONG Done);
NTSTATUS SocketShutdown(SOCKET *Socket);
NTSTATUS SocketAbort(SOCKET *Socket);
NTSTATUS SocketSendTo(SOCKET *Socket, const VOID *Data, ULONG Length, const AFD_REQUEST *To);
NTSTATUS SocketReceiveFrom(SOCKET *Socket, PVOID Data, ULONG Length, ULONG Timeout,
			   PAFD_REQUEST From);
NTSTATUS SocketPoll(SOCKET *Any, AFD_POLL_ENTRY *Entries, ULONG Count, ULONG Timeout);
/** A new socket connected to the job's address. */
NTSTATUS SocketOpen(SOCKET *Socket);
/** A socket that listens at the job's port, any address of the job's family. */
NTSTATUS SocketServe(SOCKET *Socket);
NTSTATUS SocketSendAll(SOCKET *Socket, const VOID *Data, ULONG Length);

/** A polynomial hash of a stream, by bytes: begin with 0. The test computes the same. */
ULONG NetHash(ULONG Hash, const UCHAR *Bytes, ULONG Length);
/** The job's bulk data: byte number n of every stream. */
VOID FillPattern(PUCHAR To, ULONG Length, ULONG64 From);
ULONG PrintNumber(PCHAR To, ULONG64 Value);
ULONG TextLength(PCSTR Text);

#endif
