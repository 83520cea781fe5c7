/* SPDX-License-Identifier: MIT */
/* Network buffer lists for the engine, and reading those it gives. Under the stack's lock. */
#ifndef KD_DEMO_CLASSIFY_LISTS_H
#define KD_DEMO_CLASSIFY_LISTS_H

#include "guest/demo/net/inc/wfp_stack.h"
#include "guest/demo/net/tcpip/stack.h"

/* How far a list was read. */
typedef struct _NET_LIST_CURSOR {
	NET_BUFFER *Buffer;
	MDL *Mdl;
	ULONG Offset;       /* in Mdl */
	ULONG LeftInBuffer; /* of Buffer */
	SIZE_T Left;
} NET_LIST_CURSOR, *PNET_LIST_CURSOR;

typedef struct _NET_COMPLETION {
	WFP_COMPLETION Routine;
	PVOID Context;
	NET_BUFFER_LIST *List;
	struct net_done *Done; /* room for it in the queue, if there is a list */
} NET_COMPLETION;

VOID NetDescribeFlow(PNET_SOCKET Socket, const ip_addr_t *Remote, USHORT RemotePort,
		     BOOLEAN Inbound, WFP_FLOW *Flow);

/** A list over bytes of the stack's. It is good until the next one is made. */
NET_BUFFER_LIST *NetListOfBytes(PVOID Bytes, SIZE_T Length);
/** The same over chunks, as many of them as fit into Max bytes (at least one). */
NET_BUFFER_LIST *NetListOfChunks(PNET_CHUNK First, SIZE_T Max, SIZE_T *Length);
/** Over one datagram: its first pbuf has HeaderSize bytes before the data. */
NET_BUFFER_LIST *NetListOfDatagram(struct pbuf *Data, ULONG HeaderSize);

VOID NetCursorBegin(PNET_LIST_CURSOR Cursor, NET_BUFFER_LIST *List, SIZE_T Length);
/** The bytes at the cursor that lie in one piece; 0: there are no more. */
SIZE_T NetCursorBytes(PNET_LIST_CURSOR Cursor, const VOID **Bytes);
VOID NetCursorAdvance(PNET_LIST_CURSOR Cursor, SIZE_T Length);

/** Copy the list behind what Queue has, as injected bytes. FALSE: out of memory, nothing is. */
BOOLEAN NetChunksOfList(PNET_QUEUE Queue, NET_BUFFER_LIST *List, SIZE_T Length);

/** Make room, so that it can't be lost later. FALSE: out of memory. */
BOOLEAN NetPrepareCompletion(NET_COMPLETION *Completion);
/** The call fails: there will be none. */
VOID NetCancelCompletion(NET_COMPLETION *Completion);
/** To be called as soon as the lock is given back; nothing if there is no list. */
VOID NetQueueCompletion(const NET_COMPLETION *Completion, NTSTATUS Status);
/* classify.c and classify_udp.c: the table of the engine */
NTSTATUS NetStreamInject(PVOID StackContext, ULONG StreamFlags, NET_BUFFER_LIST *NetBufferList,
			 SIZE_T Length, WFP_COMPLETION Completion, PVOID CompletionContext);
NTSTATUS NetStreamContinue(PVOID StackContext, ULONG StreamFlags);
NTSTATUS NetFlowAbort(PVOID StackContext);
VOID NetSendReleased(PVOID StackContext);
/** Before the engine knows of NetSendReleased. */
VOID NetPrepareReleases(VOID);
NTSTATUS NetDatagramSend(ULONG64 EndpointHandle, USHORT AddressFamily, const UCHAR *RemoteAddress,
			 ULONG RemoteScopeId, ULONG CompartmentId, ULONG64 InjectionCookie,
			 NET_BUFFER_LIST *NetBufferList, WFP_COMPLETION Completion,
			 PVOID CompletionContext);
NTSTATUS NetDatagramReceive(USHORT AddressFamily, ULONG CompartmentId, ULONG InterfaceIndex,
			    ULONG SubInterfaceIndex, ULONG64 InjectionCookie,
			    NET_BUFFER_LIST *NetBufferList, WFP_COMPLETION Completion,
			    PVOID CompletionContext);

#endif
