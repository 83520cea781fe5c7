/* SPDX-License-Identifier: MIT */
/*
 * Streams and the filter engine. Outbound bytes are indicated before lwIP gets them, inbound ones
 * before the program does; each end of a direction and each reset likewise. What the engine takes
 * away comes back by injection, or does not.
 */
#include "guest/demo/net/tcpip/classify.h"
#include "guest/demo/net/tcpip/classify_lists.h"
#include "guest/demo/net/tcpip/stack.h"
#include "lwip/tcp.h"

enum {
	SEND_PIECE = 0xF000, /* bytes of the program's that are indicated at once */
	RECEIVE_PIECE = 0xF000,
	UNREAD_MAX = 1024 * 1024, /* with more than that for the program nothing is indicated */
};

/* A piece that is on its way out: the engine's, or the rest of what it permitted. */
struct injection {
	struct injection *Next;
	NET_LIST_CURSOR At; /* the engine's bytes, if it has any */
	PUCHAR Own;         /* ours, if it is ours */
	SIZE_T OwnOffset, OwnLength;
	BOOLEAN EndsStream;
	NET_COMPLETION Completion;
};

typedef struct _NET_FLOW {
	ULONG64 Id;
	BOOLEAN ReceiveDeferred, SendDeferred;
	BOOLEAN HoldsFinish; /* the engine took the FIN: injection brings it */
	BOOLEAN FinShown;    /* the inbound FIN was indicated and let through, or taken */
	BOOLEAN Denied;      /* to be aborted as soon as nobody is inside lwIP */
	struct injection *First, *Last;
} NET_FLOW, *PNET_FLOW;

volatile ULONG NetFlowsMade, NetFlowsGone, NetStreamsClassified;

static BOOLEAN is_filtered(PNET_SOCKET socket)
{
	return socket->Flow != NULL && WfpIsStreamFiltered(socket->Flow->Id);
}

static WFP_STREAM_RESULT classify(PNET_SOCKET socket, ULONG flags, NET_BUFFER_LIST *list,
				  SIZE_T length)
{
	WFP_STREAM_RESULT result = { WfpStreamPermit, 0 };

	NetStreamsClassified++;
	WfpClassifyStream(socket->Flow->Id, flags, list, length, &result);
	if (result.Bytes == 0 || result.Bytes > length)
		result.Bytes = length;
	return result;
}

/* --- life --- */

VOID NetFlowEstablished(PNET_SOCKET Socket)
{
	PNET_FLOW flow = NetAllocateZeroed(1, sizeof(*flow));
	WFP_FLOW known;

	if (flow == NULL)
		return;
	NetDescribeFlow(Socket, &Socket->Remote, Socket->RemotePort, Socket->Inbound, &known);
	flow->Denied = WfpFlowEstablished(&known, &flow->Id) == STATUS_ACCESS_DENIED;
	Socket->Flow = flow;
	NetFlowsMade++;
	if (flow->Denied)
		NetMarkDirty(Socket);
}

static VOID end_injection(struct injection *injection, NTSTATUS status)
{
	NetQueueCompletion(&injection->Completion, status);
	if (injection->Own != NULL)
		NetFree(injection->Own);
	NetFree(injection);
}

VOID NetFlowDeleted(PNET_SOCKET Socket)
{
	PNET_FLOW flow = Socket->Flow;

	if (flow == NULL)
		return;
	Socket->Flow = NULL;
	while (flow->First != NULL) {
		struct injection *injection = flow->First;

		flow->First = injection->Next;
		end_injection(injection, STATUS_CONNECTION_ABORTED);
	}
	if (flow->Id != 0)
		WfpFlowDeleted(flow->Id);
	NetFree(flow);
	NetFlowsGone++;
}

VOID NetFlowReset(PNET_SOCKET Socket)
{
	if (is_filtered(Socket))
		classify(Socket,
			 Socket->Tcp != NULL
				 ? FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_SEND_ABORT
				 : FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_RECEIVE_ABORT,
			 NULL, 0);
	NetFlowDeleted(Socket);
}

BOOLEAN NetFlowHoldsFinish(PNET_SOCKET Socket)
{
	return Socket->Flow != NULL && (Socket->Flow->HoldsFinish || Socket->Flow->First != NULL);
}

/* --- outbound --- */

static VOID append(PNET_FLOW flow, struct injection *injection)
{
	if (flow->Last != NULL && flow->First != NULL)
		flow->Last->Next = injection;
	else
		flow->First = injection;
	flow->Last = injection;
}

/* TRUE: all of it is lwIP's. */
static BOOLEAN write_injection(PNET_SOCKET socket, struct injection *injection)
{
	for (;;) {
		const VOID *bytes = injection->Own + injection->OwnOffset;
		SIZE_T n = injection->OwnLength - injection->OwnOffset, wanted;

		if (injection->Own == NULL)
			n = NetCursorBytes(&injection->At, &bytes);
		if (n == 0)
			return TRUE;
		wanted = n;
		if (!NT_SUCCESS(NetTcpWrite(socket, bytes, &n)) || n == 0)
			return FALSE;
		if (injection->Own == NULL)
			NetCursorAdvance(&injection->At, n);
		else
			injection->OwnOffset += n;
		if (n < wanted)
			return FALSE;
	}
}

static VOID pump(PNET_SOCKET socket)
{
	PNET_FLOW flow = socket->Flow;
	BOOLEAN wrote = FALSE, ends = FALSE;

	while (flow->First != NULL && !ends) {
		struct injection *injection = flow->First;

		wrote = TRUE;
		if (!write_injection(socket, injection))
			break;
		flow->First = injection->Next;
		ends = injection->EndsStream;
		end_injection(injection, STATUS_SUCCESS);
	}
	if (wrote)
		tcp_output(socket->Tcp);
	if (ends) {
		flow->HoldsFinish = FALSE;
		NetTcpFinish(socket);
	} else if (flow->First == NULL) {
		NetWakeOwner(socket->Owner);
	}
}

VOID NetFlowRoom(PNET_SOCKET Socket)
{
	if (Socket->Flow != NULL && Socket->Flow->First != NULL && Socket->Tcp != NULL)
		pump(Socket);
}

/* A piece the engine permitted, which lwIP did not take whole after all. */
static NTSTATUS keep_rest(PNET_FLOW flow, PUCHAR bytes, SIZE_T done, SIZE_T length)
{
	struct injection *injection = NetAllocateZeroed(1, sizeof(*injection));

	if (injection == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	injection->Own = bytes;
	injection->OwnOffset = done;
	injection->OwnLength = length;
	append(flow, injection);
	return STATUS_SUCCESS;
}

/* Bytes is a copy of ours and goes, whatever happens. *Length becomes what was accepted. */
static NTSTATUS send_piece(PNET_SOCKET socket, PUCHAR bytes, SIZE_T *length)
{
	NET_BUFFER_LIST *list = NetListOfBytes(bytes, *length);
	WFP_STREAM_RESULT result = classify(socket, FWPS_STREAM_FLAG_SEND, list, *length);
	NTSTATUS status = STATUS_SUCCESS;
	SIZE_T done;

	*length = result.Bytes;
	switch (result.Action) {
	case WfpStreamPermit:
		done = result.Bytes;
		status = NetTcpWrite(socket, bytes, &done);
		if (NT_SUCCESS(status) && done < result.Bytes) {
			status = keep_rest(socket->Flow, bytes, done, result.Bytes);
			bytes = NT_SUCCESS(status) ? NULL : bytes;
		}
		break;
	case WfpStreamAbsorb: break;
	case WfpStreamDefer:
		socket->Flow->SendDeferred = TRUE;
		*length = 0;
		break;
	default:
		NetTcpDrop(socket, STATUS_CONNECTION_ABORTED);
		status = STATUS_CONNECTION_ABORTED;
		*length = 0;
		break;
	}
	if (bytes != NULL)
		NetFree(bytes);
	return status;
}

static NTSTATUS send_filtered(PNET_SOCKET socket, const UCHAR *data, SIZE_T *length)
{
	SIZE_T left = *length;
	NTSTATUS status = STATUS_SUCCESS;

	while (left != 0 && NT_SUCCESS(status) && socket->Flow != NULL &&
	       socket->Flow->First == NULL && !socket->Flow->SendDeferred) {
		SIZE_T n = left < SEND_PIECE ? left : SEND_PIECE, room = tcp_sndbuf(socket->Tcp);
		PUCHAR copy;

		if (n > room && room < TCP_SNDLOWAT)
			break; /* no slivers: there will be more */
		if (n > room)
			n = room;
		copy = NetAllocate(n);
		if (copy == NULL) {
			status = STATUS_INSUFFICIENT_RESOURCES;
			break;
		}
		__builtin_memcpy(copy, data, n);
		status = send_piece(socket, copy, &n);
		data += n;
		left -= n;
	}
	*length -= left;
	return status;
}

NTSTATUS NetFlowSend(PNET_SOCKET Socket, const VOID *Data, SIZE_T *Length)
{
	if (is_filtered(Socket))
		return send_filtered(Socket, Data, Length);
	if (Socket->Flow != NULL && Socket->Flow->First != NULL) {
		*Length = 0; /* what was injected goes first */
		return STATUS_SUCCESS;
	}
	return NetTcpWrite(Socket, Data, Length);
}

/* --- what filters keep of a program's request --- */

enum { SLOT_BITS = 32 };
static ULONG released[MAX_SOCKETS / SLOT_BITS]; /* by slot: its owner is to look again */
static KDPC released_dpc;

BOOLEAN NetFlowKeepsSend(PNET_SOCKET Socket)
{
	return Socket->Flow != NULL && Socket->Flow->Id != 0 && WfpIsSendKept(Socket->Flow->Id);
}

/** From anywhere, also with the lock held: so no more than a note. */
VOID NetSendReleased(PVOID StackContext)
{
	ULONG slot = (ULONG)(ULONG_PTR)StackContext % MAX_SOCKETS;

	__atomic_fetch_or(&released[slot / SLOT_BITS], 1u << slot % SLOT_BITS, __ATOMIC_ACQ_REL);
	KeInsertQueueDpc(&released_dpc, NULL, NULL);
}

static VOID wake_slots(ULONG first, ULONG bits)
{
	for (; bits != 0; bits &= bits - 1) {
		PNET_SOCKET socket = NetSocketInSlot(first + (ULONG)__builtin_ctz(bits));

		if (socket != NULL)
			NetWakeOwner(socket->Owner);
	}
}

static VOID on_released(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
	KIRQL irql = NetLock();

	for (ULONG i = 0; i < RTL_NUMBER_OF(released); i++)
		wake_slots(i * SLOT_BITS, __atomic_exchange_n(&released[i], 0, __ATOMIC_ACQ_REL));
	NetUnlock(irql);
}

VOID NetPrepareReleases(VOID)
{
	KeInitializeDpc(&released_dpc, on_released, NULL);
}

/* The FIN, behind what waits. */
static VOID queue_finish(PNET_SOCKET socket)
{
	struct injection *injection = NetAllocateZeroed(1, sizeof(*injection));

	if (injection == NULL) {
		NetTcpDrop(socket, STATUS_INSUFFICIENT_RESOURCES);
		return;
	}
	injection->EndsStream = TRUE;
	append(socket->Flow, injection);
	pump(socket);
}

VOID NetFlowFinish(PNET_SOCKET Socket)
{
	WFP_STREAM_RESULT result = { WfpStreamPermit, 0 };

	if (Socket->Flow == NULL) {
		NetTcpFinish(Socket);
		return;
	}
	if (is_filtered(Socket))
		result = classify(Socket, FWPS_STREAM_FLAG_SEND | FWPS_STREAM_FLAG_SEND_DISCONNECT,
				  NULL, 0);
	if (result.Action == WfpStreamDrop)
		NetTcpDrop(Socket, STATUS_CONNECTION_ABORTED);
	else if (result.Action == WfpStreamPermit)
		queue_finish(Socket);
	else
		Socket->Flow->HoldsFinish = TRUE;
}

/* --- inbound --- */

/* The first Length bytes of Arrived: to the program, or away. */
static VOID take_arrived(PNET_SOCKET socket, SIZE_T length, BOOLEAN deliver)
{
	if (deliver)
		length -= NetQueueMoveWhole(&socket->Arrived, &socket->Ready, length);
	while (length != 0 && socket->Arrived.First != NULL) {
		PNET_CHUNK chunk;
		SIZE_T n;

		if (!NetSplitFirst(&socket->Arrived, length)) {
			NetTcpDrop(socket, STATUS_INSUFFICIENT_RESOURCES);
			return;
		}
		chunk = NetQueueTake(&socket->Arrived);
		n = chunk->End - chunk->Offset;
		length -= n;
		if (deliver) {
			NetQueueAppend(&socket->Ready, chunk);
		} else {
			NetTcpConsumed(socket, n);
			NetFreeChunk(chunk);
		}
	}
}

/* TRUE: go on with what is left. */
static BOOLEAN receive_piece(PNET_SOCKET socket)
{
	SIZE_T length;
	NET_BUFFER_LIST *list = NetListOfChunks(socket->Arrived.First, RECEIVE_PIECE, &length);
	WFP_STREAM_RESULT result = classify(socket, FWPS_STREAM_FLAG_RECEIVE, list, length);

	switch (result.Action) {
	case WfpStreamPermit: take_arrived(socket, result.Bytes, TRUE); return TRUE;
	case WfpStreamAbsorb: take_arrived(socket, result.Bytes, FALSE); return TRUE;
	case WfpStreamDefer: socket->Flow->ReceiveDeferred = TRUE; return FALSE;
	default: NetTcpDrop(socket, STATUS_CONNECTION_ABORTED); return FALSE;
	}
}

static VOID receive_fin(PNET_SOCKET socket)
{
	WFP_STREAM_RESULT result = classify(
		socket, FWPS_STREAM_FLAG_RECEIVE | FWPS_STREAM_FLAG_RECEIVE_DISCONNECT, NULL, 0);

	if (result.Action == WfpStreamDefer) {
		socket->Flow->ReceiveDeferred = TRUE;
		return;
	}
	socket->Flow->FinShown = TRUE;
	if (result.Action == WfpStreamPermit)
		socket->EndOfFile = TRUE;
	else if (result.Action == WfpStreamDrop)
		NetTcpDrop(socket, STATUS_CONNECTION_ABORTED);
}

static VOID receive_plain(PNET_SOCKET socket)
{
	NetQueueMove(&socket->Arrived, &socket->Ready);
	if (socket->FinArrived && (socket->Flow == NULL || !socket->Flow->FinShown))
		socket->EndOfFile = TRUE;
}

VOID NetFlowReceive(PNET_SOCKET Socket)
{
	if (Socket->Flow != NULL && Socket->Flow->Denied) {
		NetTcpDrop(Socket, STATUS_CONNECTION_ABORTED);
		return;
	}
	while (is_filtered(Socket) && Socket->Arrived.First != NULL &&
	       !Socket->Flow->ReceiveDeferred && Socket->Ready.Bytes < UNREAD_MAX) {
		if (!receive_piece(Socket))
			break;
	}
	if (is_filtered(Socket)) {
		if (Socket->FinArrived && !Socket->Flow->FinShown &&
		    Socket->Arrived.First == NULL && !Socket->Flow->ReceiveDeferred)
			receive_fin(Socket);
		return;
	}
	receive_plain(Socket);
}

/* --- what the engine calls --- */

static PNET_SOCKET socket_of(PVOID context)
{
	PNET_SOCKET socket = NetFindSocket((ULONG)(ULONG_PTR)context);

	return socket != NULL && socket->Protocol == AFD_TCP && socket->Flow != NULL &&
			       !socket->Dead
		       ? socket
		       : NULL;
}

static NTSTATUS inject_receive(PNET_SOCKET socket, ULONG flags, NET_BUFFER_LIST *list,
			       SIZE_T length)
{
	if (list != NULL && !NetChunksOfList(&socket->Ready, list, length))
		return STATUS_INSUFFICIENT_RESOURCES;
	if ((flags & FWPS_STREAM_FLAG_RECEIVE_DISCONNECT) != 0)
		socket->EndOfFile = TRUE;
	NetMarkDirty(socket);
	return STATUS_SUCCESS;
}

static NTSTATUS inject_send(PNET_SOCKET socket, ULONG flags, NET_BUFFER_LIST *list, SIZE_T length,
			    const NET_COMPLETION *completion)
{
	struct injection *injection;

	if (socket->Tcp == NULL)
		return STATUS_INVALID_CONNECTION;
	injection = NetAllocateZeroed(1, sizeof(*injection));
	if (injection == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	NetCursorBegin(&injection->At, list, length);
	injection->EndsStream = (flags & FWPS_STREAM_FLAG_SEND_DISCONNECT) != 0;
	injection->Completion = *completion;
	append(socket->Flow, injection);
	pump(socket);
	return STATUS_SUCCESS;
}

NTSTATUS NetStreamInject(PVOID StackContext, ULONG StreamFlags, NET_BUFFER_LIST *NetBufferList,
			 SIZE_T Length, WFP_COMPLETION Completion, PVOID CompletionContext)
{
	NET_COMPLETION completion = { Completion, CompletionContext, NetBufferList, NULL };
	NTSTATUS status = STATUS_INVALID_CONNECTION;
	PNET_SOCKET socket;
	KIRQL irql;

	if (!NetPrepareCompletion(&completion))
		return STATUS_INSUFFICIENT_RESOURCES;
	irql = NetLock();
	socket = socket_of(StackContext);
	if (socket != NULL && (StreamFlags & FWPS_STREAM_FLAG_SEND) != 0) {
		status = inject_send(socket, StreamFlags, NetBufferList, Length, &completion);
	} else if (socket != NULL) {
		status = inject_receive(socket, StreamFlags, NetBufferList, Length);
		if (NT_SUCCESS(status))
			NetQueueCompletion(&completion, STATUS_SUCCESS);
	}
	if (!NT_SUCCESS(status))
		NetCancelCompletion(&completion);
	NetUnlock(irql);
	return status;
}

NTSTATUS NetStreamContinue(PVOID StackContext, ULONG StreamFlags)
{
	KIRQL irql = NetLock();
	PNET_SOCKET socket = socket_of(StackContext);

	if (socket != NULL && (StreamFlags & FWPS_STREAM_FLAG_SEND) != 0) {
		socket->Flow->SendDeferred = FALSE;
		NetWakeOwner(socket->Owner);
	} else if (socket != NULL) {
		socket->Flow->ReceiveDeferred = FALSE;
		NetMarkDirty(socket);
	}
	NetUnlock(irql);
	return socket != NULL ? STATUS_SUCCESS : STATUS_INVALID_CONNECTION;
}

NTSTATUS NetFlowAbort(PVOID StackContext)
{
	KIRQL irql = NetLock();
	PNET_SOCKET socket = socket_of(StackContext);

	if (socket != NULL)
		NetTcpDrop(socket, STATUS_CONNECTION_ABORTED);
	NetUnlock(irql);
	return socket != NULL ? STATUS_SUCCESS : STATUS_INVALID_CONNECTION;
}
