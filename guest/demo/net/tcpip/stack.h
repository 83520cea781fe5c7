/* SPDX-License-Identifier: MIT */
/*
 * tcpip.sys, internal. One lock guards lwIP and everything of this file; it is a spin lock, so what
 * runs under it runs at DISPATCH_LEVEL and does not wait. Who gives it back first does what the
 * work under it left to do: frames on loopback, data that arrived, programs to wake.
 */
#ifndef KD_DEMO_STACK_H
#define KD_DEMO_STACK_H

#define NET_API DLLEXPORT
#include "guest/demo/net/inc/afd.h"
#include "guest/demo/net/inc/net_adapter.h"
#include "lwip/ip_addr.h"
#include "lwip/pbuf.h"

struct tcp_pcb;
struct udp_pcb;

#define STATUS_CONNECTION_REFUSED ((NTSTATUS)0xC0000236)
#define STATUS_CONNECTION_RESET   ((NTSTATUS)0xC000020D)
#define STATUS_ADDRESS_IN_USE     ((NTSTATUS)0xC000020A)
#define STATUS_HOST_UNREACHABLE   ((NTSTATUS)0xC000023D)
#define STATUS_INVALID_CONNECTION ((NTSTATUS)0xC0000140)
#define STATUS_PIPE_DISCONNECTED  ((NTSTATUS)0xC00000B0)
#define STATUS_IO_TIMEOUT         ((NTSTATUS)0xC00000B5)
#ifndef STATUS_ACCESS_DENIED
#define STATUS_ACCESS_DENIED ((NTSTATUS)0xC0000022)
#endif

/* A process that has sockets. */
typedef struct _NET_OWNER {
	LIST_ENTRY Link;
	ULONG References;
	ULONG64 ProcessId;
	UNICODE_STRING Path; /* \device\harddiskvolume1\windows\system32\NAME */
	WCHAR PathText[80];
	KEVENT Changed; /* something about one of its sockets */
	BOOLEAN Wake;   /* to be signalled when the lock is given back */
	struct _NET_OWNER *NextWake;
} NET_OWNER, *PNET_OWNER;

/* Bytes that arrived, as lwIP brought them. */
typedef struct _NET_CHUNK {
	struct _NET_CHUNK *Next;
	struct pbuf *Data;
	ULONG Offset;     /* up to where it was read */
	ULONG End;        /* where it ends: what is behind is another chunk's */
	BOOLEAN Injected; /* not of TCP's window */
	ip_addr_t Source; /* of a datagram */
	USHORT SourcePort;
} NET_CHUNK, *PNET_CHUNK;

typedef struct _NET_QUEUE {
	PNET_CHUNK First, Last;
	SIZE_T Bytes;
} NET_QUEUE, *PNET_QUEUE;

typedef enum _NET_SOCKET_STATE {
	SocketNew,
	SocketBound,
	SocketListening,
	SocketConnecting,
	SocketConnected,
	SocketClosed, /* Error says why, or it is a close of ours */
} NET_SOCKET_STATE;

typedef struct _NET_SOCKET {
	ULONG Id;
	USHORT Family;
	UCHAR Protocol;
	BOOLEAN Inbound; /* came through a listener */
	NET_SOCKET_STATE State;
	NTSTATUS Error;
	PNET_OWNER Owner;
	struct tcp_pcb *Tcp;
	struct udp_pcb *Udp;
	ip_addr_t Local, Remote;
	USHORT LocalPort, RemotePort;

	NET_QUEUE Arrived; /* not looked at by filters yet */
	NET_QUEUE Ready;   /* for the program */
	BOOLEAN FinArrived, EndOfFile;
	BOOLEAN SendEnded; /* the program sends no more */
	BOOLEAN FinSent;   /* lwIP knows */
	BOOLEAN Orphan;    /* its file is closed, it goes when both directions are through */
	BOOLEAN Dirty;
	BOOLEAN Dead; /* destroyed while it was dirty: it goes when its turn comes */
	struct _NET_SOCKET *NextDirty;

	LIST_ENTRY AcceptQueue; /* of a listener: sockets nobody took yet */
	LIST_ENTRY AcceptLink;
	struct _NET_SOCKET *Listener;

	struct _NET_FLOW *Flow;                   /* what filters know of it, see classify.c */
	struct _NET_DATAGRAM_FLOW *DatagramFlows; /* likewise, classify_udp.c */
} NET_SOCKET, *PNET_SOCKET;

/* --- stack_core.c --- */
KIRQL NetLock(VOID);
VOID NetUnlock(KIRQL OldIrql);
/** The rest runs under the lock. */
VOID NetMarkDirty(PNET_SOCKET Socket);
VOID NetWakeOwner(PNET_OWNER Owner);
/** It is about to be freed. */
VOID NetForgetWake(PNET_OWNER Owner);
ULONG NetMilliseconds(VOID);
NTSTATUS NetStartStack(VOID);

/* --- stack_adapter.c --- */
NTSTATUS NetAddAdapter(PNET_ADAPTER Adapter);
VOID NetAdapterPoll(VOID);
VOID NetAdapterFlush(VOID);

/* --- stack_memory.c --- */
/** Copy and sum up: the ones' complement sum of the bytes as 16-bit words, not inverted, folded to
 * 32 bits. An odd end counts as if a zero followed. */
ULONG NetCopyAndSum(PVOID To, const VOID *From, SIZE_T Length);

/* --- sock_*.c --- */
PNET_SOCKET NetCreateSocket(PNET_OWNER Owner, USHORT Family, UCHAR Protocol);
PNET_SOCKET NetFindSocket(ULONG Id);
enum { MAX_SOCKETS = 2048 }; /* a power of two */
/** Of the table; or NULL. A socket's slot is its id modulo MAX_SOCKETS. */
PNET_SOCKET NetSocketInSlot(ULONG Slot);
VOID NetDestroySocket(PNET_SOCKET Socket);
VOID NetQueueAppend(PNET_QUEUE Queue, PNET_CHUNK Chunk);
PNET_CHUNK NetQueueTake(PNET_QUEUE Queue);
/* All of it, behind what is there. */
VOID NetQueueMove(PNET_QUEUE From, PNET_QUEUE To);
SIZE_T NetQueueMoveWhole(PNET_QUEUE From, PNET_QUEUE To, SIZE_T Length);
VOID NetFreeChunk(PNET_CHUNK Chunk);
/** The pbuf becomes the chunk's. NULL: it stays the caller's. */
PNET_CHUNK NetMakeChunk(struct pbuf *Data);
/** Make the first chunk (there is one) no longer than Length bytes. FALSE: out of memory. */
BOOLEAN NetSplitFirst(PNET_QUEUE Queue, SIZE_T Length);
VOID NetFreeQueue(PNET_QUEUE Queue);
NTSTATUS NetStatusOf(signed char LwipError);
VOID NetToAddress(const AFD_REQUEST *Request, ip_addr_t *Address);
VOID NetFromAddress(const ip_addr_t *Address, PAFD_REQUEST Request);

/* Requests. STATUS_PENDING: not now, try again when something changed. */
typedef NTSTATUS NET_OPERATION(PNET_SOCKET Socket, PAFD_REQUEST Request);
NET_OPERATION NetTcpBind, NetTcpListen, NetTcpConnect, NetTcpSend, NetTcpReceive, NetTcpShutdown,
	NetTcpAbort, NetUdpBind, NetUdpConnect, NetUdpSend, NetUdpReceive;
/** A connection of the listener Request->Id; NULL if there is none, *Status says why. */
PNET_SOCKET NetTcpAccept(PNET_OWNER Owner, PAFD_REQUEST Request, NTSTATUS *Status);
/** The program's end of it: by close of the file. The socket is gone, or an orphan. */
VOID NetTcpClose(PNET_SOCKET Socket);
VOID NetUdpClose(PNET_SOCKET Socket);
/** What arrived and what it means for the program. */
VOID NetTcpProcessArrived(PNET_SOCKET Socket);
VOID NetUdpProcessArrived(PNET_SOCKET Socket);
USHORT NetSocketEvents(PNET_SOCKET Socket);

/** The last socket and file of a process gone, it goes. */
VOID NetReleaseOwner(PNET_OWNER Owner);
NTSTATUS NetCreateDevice(PDRIVER_OBJECT DriverObject);

/* --- classify*.c --- */
struct net_done;
/** What the engine is to be told once the lock is given back. */
struct net_done *NetTakeCompletions(VOID);
/** Without the lock. */
VOID NetRunCompletions(struct net_done *Done);
/** Start talking to the engine; PASSIVE_LEVEL. */
VOID NetStartClassifying(VOID);

/* --- net_jobs.c --- */
NTSTATUS NetStartJobs(VOID);
/** By a program named Program (as started): the job it was started for, or a status. */
NTSTATUS NetTakeJob(ULONG64 ProcessId, PNET_JOB Job, PULONG Id);
NTSTATUS NetReportJob(ULONG Id, const NET_JOB *Job, PULONG State);

#endif
