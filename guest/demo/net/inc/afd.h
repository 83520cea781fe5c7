/* SPDX-License-Identifier: MIT */
/*
 * Sockets for programs: control requests to \Device\Afd. In spirit NT's; the codes and the one
 * structure of all requests are ours. A file is a socket once AFD_CREATE or AFD_ACCEPT made it one.
 * The request is both input and output buffer.
 */
#ifndef KD_DEMO_AFD_H
#define KD_DEMO_AFD_H

#include "guest/common/nt_base.h"

#define AFD_CODE(n) (0x00120003u | (n) << 2) /* METHOD_NEITHER */
enum {
	AFD_CREATE = AFD_CODE(1), /* Family, Protocol -> Id */
	AFD_BIND = AFD_CODE(2),   /* Address (zeros: any), Port (0: any) -> Port */
	AFD_LISTEN = AFD_CODE(3),
	AFD_ACCEPT = AFD_CODE(4),       /* to a new file; Id of the listener -> Id, Address, Port */
	AFD_CONNECT = AFD_CODE(5),      /* Address, Port */
	AFD_SEND = AFD_CODE(6),         /* Buffer, Length -> Done; waits until all is taken */
	AFD_RECEIVE = AFD_CODE(7),      /* Buffer, Length -> Done; 0: the other side is through */
	AFD_SEND_TO = AFD_CODE(8),      /* Address, Port, Buffer, Length: one datagram */
	AFD_RECEIVE_FROM = AFD_CODE(9), /* Buffer, Length -> Done, Address, Port */
	AFD_SHUTDOWN = AFD_CODE(10),    /* no more is sent; receiving goes on */
	AFD_ABORT = AFD_CODE(11),       /* reset */
	AFD_POLL = AFD_CODE(
		12), /* Buffer: AFD_POLL_ENTRYs, Length bytes -> Done: how many are ready */
	AFD_TAKE_JOB = AFD_CODE(13),   /* Buffer: a NET_JOB this program is to do -> Id */
	AFD_REPORT_JOB = AFD_CODE(14), /* Buffer: the NET_JOB, Id */
};

#define AFD_NO_WAIT 1u /* Flags: STATUS_TIMEOUT instead of waiting */

enum { AFD_INET = 2, AFD_INET6 = 23, AFD_TCP = 6, AFD_UDP = 17 };
/* AFD_POLL_ENTRY; AFD_FAILED is always looked for. */
enum { AFD_READABLE = 1, AFD_WRITABLE = 2, AFD_ACCEPTABLE = 4, AFD_FAILED = 8 };

typedef struct _AFD_REQUEST {
	USHORT Family;
	USHORT Protocol;
	UCHAR Address[16]; /* network order; IPv4 in the first four */
	USHORT Port;       /* host order */
	USHORT Reserved;
	ULONG Flags;
	ULONG Timeout; /* ms, 0: none */
	ULONG Id;
	ULONG Length;
	ULONG Done;
	ULONG64 Buffer;
} AFD_REQUEST, *PAFD_REQUEST;
C_ASSERT(sizeof(AFD_REQUEST) == 56);

typedef struct _AFD_POLL_ENTRY {
	ULONG Id;
	USHORT Events;
	USHORT Ready;
} AFD_POLL_ENTRY;

/* --- jobs: what the programs are to do, see docs/demo-guest.md --- */
enum {
	NET_JOBS = 16,
	NetJobFree = 0,
	NetJobStart = 1,   /* written by who wants it done, after the rest */
	NetJobRunning = 2, /* its program is started */
	NetJobDone = 3,
	NetJobStop = 4, /* written while it runs: end soon */
};

/* What to do. Programs: webget 1, 2; webserv 3; linetalk 4; lineserv 5; nameask 6; nameserv 7; bulk
 * 8-11. */
typedef enum _NET_JOB_KIND {
	NetGetPage = 1, /* HTTP GET / , Count times on each of Connections, Delay ms between */
	NetGetPagesAtOnce = 2, /* the same, all connections at once */
	NetServePages = 3,     /* HTTP server on Port until stopped; Bytes is the page's length */
	NetTalkLines = 4,      /* Count lines to Port, each answered; Connections at once */
	NetServeLines = 5,
	NetAskNames = 6, /* Count questions by UDP */
	NetServeNames = 7,
	NetSendBulk = 8, /* connect, send Bytes, half-close, read what comes back until the end */
	NetReceiveBulk = 9, /* connect, receive until the end */
	NetServeBulk = 10,  /* accept Connections, read each to its end, send back Bytes, close */
	NetResetBulk = 11,  /* connect, send Bytes, reset */
} NET_JOB_KIND;

typedef struct _NET_JOB {
	volatile ULONG State;
	ULONG Kind;
	USHORT Family;
	USHORT Port;
	ULONG Connections;
	UCHAR Address[16];
	ULONG64 Bytes;
	ULONG Count;
	ULONG Delay; /* ms */
	/* results */
	NTSTATUS Status;    /* the first failure */
	ULONG Done;         /* exchanges that went well */
	ULONG Failed;       /* and that did not */
	ULONG Milliseconds; /* from the first connection to the last byte */
	ULONG64 Sent, Received;
	ULONG SentHash, ReceivedHash; /* NetHash of all bytes in order, one connection */
	ULONG ProcessId;
	ULONG Ready; /* a server listens */
} NET_JOB, *PNET_JOB;
C_ASSERT(sizeof(NET_JOB) == 96);

#endif
