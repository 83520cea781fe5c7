/* SPDX-License-Identifier: MIT */
/*
 * Between the demo guest's stack (tcpip.sys) and its filter engine (fwpkclnt.sys). The stack
 * imports the engine and tells it what happens; what the engine wants of the stack it calls through
 * a table that the stack registers. In Windows this is undocumented; what drivers see of it is not
 * (traffic facts 2.6, 2.8).
 *
 * Locks: the stack calls with its own lock held, at <= DISPATCH_LEVEL; the engine never calls the
 * stack from inside such a call, so the table's functions may take that lock.
 */
#ifndef KD_DEMO_WFP_STACK_H
#define KD_DEMO_WFP_STACK_H

#include "guest/common/wfp.h"

/* What the stack knows when a TCP connection is established, or the first datagram of a pair of UDP
 * endpoints passes. The engine copies what it needs. */
typedef struct _WFP_FLOW {
	USHORT AddressFamily; /* AF_INET or WFP_AF_INET6 */
	UCHAR Protocol;       /* 6 or 17 */
	UCHAR Direction;      /* FWP_DIRECTION_: who began */
	BOOLEAN IsLoopback;
	UCHAR LocalAddress[16]; /* network order; IPv4: the first four */
	UCHAR RemoteAddress[16];
	USHORT LocalPort; /* host order */
	USHORT RemotePort;
	ULONG64 ProcessId;           /* of the socket's owner */
	PUNICODE_STRING ProcessPath; /* \device\harddiskvolume1\...\x.exe */
	ULONG64 EndpointHandle;
	ULONG CompartmentId;
	ULONG InterfaceIndex;
	ULONG SubInterfaceIndex;
	PVOID StackContext; /* the stack's own, given back to the functions of the table */
} WFP_FLOW;

/* What becomes of stream bytes that were indicated */
typedef enum _WFP_STREAM_VERDICT {
	WfpStreamPermit = 0,
	WfpStreamAbsorb = 1, /* the engine has them: gone for the stack, as if delivered or sent */
	WfpStreamDefer = 2,  /* inbound: keep them, let the window close, indicate them again after
				StreamContinue */
	WfpStreamDrop = 3,   /* abort the connection */
} WFP_STREAM_VERDICT;

typedef struct _WFP_STREAM_RESULT {
	WFP_STREAM_VERDICT Action;
	SIZE_T Bytes; /* it is about the first so many (0: all); indicate the others anew */
} WFP_STREAM_RESULT;

typedef struct _WFP_DATAGRAM {
	UCHAR Direction;
	ULONG IpHeaderSize; /* inbound: the list can be retreated by both sizes, to the IP header */
	ULONG TransportHeaderSize;
	ULONG CompartmentId;
	ULONG InterfaceIndex;
	ULONG SubInterfaceIndex;
	ULONG64 InjectionCookie; /* of the DatagramSend or DatagramReceive it comes from, else 0 */
} WFP_DATAGRAM;

typedef VOID(NTAPI *WFP_COMPLETION)(PVOID Context, NET_BUFFER_LIST *NetBufferList, NTSTATUS Status,
				    BOOLEAN DispatchLevel);

/*
 * Called by the engine at <= DISPATCH_LEVEL. The list stays the caller's until Completion, which
 * comes exactly once, from any context (also before the function returns), if and only if the
 * function succeeds and the list is not NULL. One list a call, its Next is NULL.
 */
typedef struct _WFP_STACK_OPS {
	/** Length bytes into the stream, behind what was injected or permitted before: RECEIVE to
	 * the socket, SEND to the peer. With a DISCONNECT flag the direction ends behind them; then
	 * the list may be NULL. Room in a send buffer is waited for without blocking the caller. */
	NTSTATUS(NTAPI *StreamInject)
	(PVOID StackContext, ULONG StreamFlags, NET_BUFFER_LIST *NetBufferList, SIZE_T Length,
	 WFP_COMPLETION Completion, PVOID CompletionContext);
	/** Indicate again what was deferred. */
	NTSTATUS(NTAPI *StreamContinue)(PVOID StackContext, ULONG StreamFlags);
	NTSTATUS(NTAPI *FlowAbort)(PVOID StackContext);
	/** The list begins with the UDP header. RemoteAddress is in network order. */
	NTSTATUS(NTAPI *DatagramSend)
	(ULONG64 EndpointHandle, USHORT AddressFamily, const UCHAR *RemoteAddress,
	 ULONG RemoteScopeId, ULONG CompartmentId, ULONG64 InjectionCookie,
	 NET_BUFFER_LIST *NetBufferList, WFP_COMPLETION Completion, PVOID CompletionContext);
	/** The list begins with the IP header. */
	NTSTATUS(NTAPI *DatagramReceive)
	(USHORT AddressFamily, ULONG CompartmentId, ULONG InterfaceIndex, ULONG SubInterfaceIndex,
	 ULONG64 InjectionCookie, NET_BUFFER_LIST *NetBufferList, WFP_COMPLETION Completion,
	 PVOID CompletionContext);
	/** WfpIsSendKept() of a stream is FALSE again: who waits for that may look. The one
	 * function that is also called inside classify: it must not take the stack's lock. The flow
	 * may be gone. */
	VOID(NTAPI *SendReleased)(PVOID StackContext);
} WFP_STACK_OPS;

/** PASSIVE_LEVEL. NULL: the stack goes; no flow is left and no injection pending. */
WFPAPI VOID NTAPI WfpRegisterStack(const WFP_STACK_OPS *Ops);

/** Classify at ALE_FLOW_ESTABLISHED; callouts associate their contexts meanwhile. *FlowId is new
 * also if this fails: WfpFlowDeleted is owed in every case but STATUS_INSUFFICIENT_RESOURCES, where
 * it is 0. STATUS_ACCESS_DENIED: a filter blocks it, the connection is to be aborted. */
WFPAPI NTSTATUS NTAPI WfpFlowEstablished(const WFP_FLOW *Flow, ULONG64 *FlowId);
/** FALSE: nobody looks at the stream (or the datagrams) of this flow; the stack may skip the
 * classify function and building lists for it. */
WFPAPI BOOLEAN NTAPI WfpIsStreamFiltered(ULONG64 FlowId);
WFPAPI BOOLEAN NTAPI WfpIsDatagramFiltered(ULONG64 FlowId);
/** Length bytes of the chain, which is the stack's and good during the call only. The end of a
 * direction is Length 0 with a DISCONNECT flag, a reset Length 0 with an ABORT flag; Chain may be
 * NULL then. */
WFPAPI VOID NTAPI WfpClassifyStream(ULONG64 FlowId, ULONG StreamFlags, NET_BUFFER_LIST *Chain,
				    SIZE_T Length, WFP_STREAM_RESULT *Result);
/** Somebody has clones of outbound data that the stack indicated, and with them the sender's own
 * buffers: his request is not done yet, whatever became of its bytes. */
WFPAPI BOOLEAN NTAPI WfpIsSendKept(ULONG64 FlowId);
/** FWP_ACTION_PERMIT or FWP_ACTION_BLOCK (drop it silently). Outbound lists begin with the UDP
 * header, inbound ones with the payload. */
WFPAPI ULONG NTAPI WfpClassifyDatagram(ULONG64 FlowId, NET_BUFFER_LIST *NetBufferList,
				       const WFP_DATAGRAM *Datagram);
/** How often drivers broke a contract since boot; each was printed as "WFP contract violation:
 * ...". */
WFPAPI ULONG NTAPI WfpQueryViolations(VOID);
/** The last word about a flow: flow delete functions run. */
WFPAPI VOID NTAPI WfpFlowDeleted(ULONG64 FlowId);

#endif
