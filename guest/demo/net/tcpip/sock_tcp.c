/* SPDX-License-Identifier: MIT */
/* TCP: lwIP's callbacks note what happened, requests look at it. Everything under the lock. */
#include "guest/demo/net/tcpip/classify.h"
#include "guest/demo/net/tcpip/stack.h"
#include "lwip/tcp.h"

enum { BACKLOG = 200 };

/* --- callbacks --- */

static err_t on_receive(void *argument, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
	PNET_SOCKET socket = argument;
	PNET_CHUNK chunk;

	if (p == NULL) {
		socket->FinArrived = TRUE;
	} else {
		chunk = NetMakeChunk(p);
		if (chunk == NULL)
			return ERR_MEM; /* lwIP offers it again */
		NetQueueAppend(&socket->Arrived, chunk);
	}
	NetMarkDirty(socket);
	return ERR_OK;
}

static err_t on_sent(void *argument, struct tcp_pcb *pcb, u16_t length)
{
	PNET_SOCKET socket = argument;

	NetFlowRoom(socket);
	if (tcp_sndbuf(pcb) >= TCP_SNDLOWAT)
		NetWakeOwner(socket->Owner);
	return ERR_OK;
}

static void on_error(void *argument, err_t error)
{
	PNET_SOCKET socket = argument;

	socket->Tcp = NULL; /* lwIP has freed it */
	NetMarkDirty(socket);
	if (error == ERR_CLSD)
		return; /* both directions have ended, and ours was acknowledged */
	socket->Error = socket->State == SocketConnecting && error == ERR_RST
				? STATUS_CONNECTION_REFUSED
			: socket->State == SocketConnecting && error == ERR_ABRT
				? STATUS_IO_TIMEOUT
				: NetStatusOf(error);
	socket->State = SocketClosed;
	NetFlowReset(socket);
	NetWakeOwner(socket->Owner);
}

static VOID attach(PNET_SOCKET socket, struct tcp_pcb *pcb)
{
	socket->Tcp = pcb;
	tcp_arg(pcb, socket);
	tcp_recv(pcb, on_receive);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	tcp_nagle_disable(pcb);
}

static VOID detach(PNET_SOCKET socket)
{
	struct tcp_pcb *pcb = socket->Tcp;

	socket->Tcp = NULL;
	if (pcb == NULL)
		return;
	tcp_arg(pcb, NULL);
	if (socket->State == SocketListening) {
		tcp_accept(pcb, NULL);
		return;
	}
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
}

static VOID connected(PNET_SOCKET socket)
{
	struct tcp_pcb *pcb = socket->Tcp;

	socket->State = SocketConnected;
	ip_addr_copy(socket->Local, pcb->local_ip);
	ip_addr_copy(socket->Remote, pcb->remote_ip);
	socket->LocalPort = pcb->local_port;
	socket->RemotePort = pcb->remote_port;
	NetFlowEstablished(socket);
}

static err_t on_connected(void *argument, struct tcp_pcb *pcb, err_t error)
{
	PNET_SOCKET socket = argument;

	connected(socket);
	NetWakeOwner(socket->Owner);
	return ERR_OK;
}

static err_t on_accept(void *argument, struct tcp_pcb *pcb, err_t error)
{
	PNET_SOCKET listener = argument;
	PNET_SOCKET socket;

	if (error != ERR_OK || pcb == NULL || listener == NULL)
		return ERR_VAL;
	socket = NetCreateSocket(listener->Owner, listener->Family, AFD_TCP);
	if (socket == NULL) {
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	tcp_backlog_delayed(pcb);
	attach(socket, pcb);
	socket->Inbound = TRUE;
	socket->Listener = listener;
	InsertTailList(&listener->AcceptQueue, &socket->AcceptLink);
	connected(socket);
	NetWakeOwner(listener->Owner);
	return ERR_OK;
}

/* --- making connections --- */

static NTSTATUS need_pcb(PNET_SOCKET socket)
{
	struct tcp_pcb *pcb;

	if (socket->State == SocketClosed)
		return socket->Error;
	if (socket->Tcp != NULL)
		return STATUS_SUCCESS;
	pcb = tcp_new_ip_type(socket->Family == AFD_INET6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4);
	if (pcb == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	attach(socket, pcb);
	return STATUS_SUCCESS;
}

NTSTATUS NetTcpBind(PNET_SOCKET Socket, PAFD_REQUEST Request)
{
	NTSTATUS status = need_pcb(Socket);
	ip_addr_t address;

	if (!NT_SUCCESS(status))
		return status;
	if (Socket->State != SocketNew)
		return STATUS_INVALID_PARAMETER;
	Request->Family = Socket->Family;
	NetToAddress(Request, &address);
	ip_set_option(Socket->Tcp, SOF_REUSEADDR);
	status = NetStatusOf(tcp_bind(Socket->Tcp, &address, Request->Port));
	if (NT_SUCCESS(status)) {
		Socket->State = SocketBound;
		Request->Port = Socket->Tcp->local_port;
	}
	return status;
}

NTSTATUS NetTcpListen(PNET_SOCKET Socket, PAFD_REQUEST Request)
{
	struct tcp_pcb *pcb;

	if (Socket->State != SocketBound)
		return STATUS_INVALID_PARAMETER;
	tcp_recv(Socket->Tcp, NULL);
	tcp_sent(Socket->Tcp, NULL);
	tcp_err(Socket->Tcp, NULL);
	pcb = tcp_listen_with_backlog(Socket->Tcp, BACKLOG);
	if (pcb == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	Socket->Tcp = pcb;
	Socket->State = SocketListening;
	tcp_arg(pcb, Socket);
	tcp_accept(pcb, on_accept);
	return STATUS_SUCCESS;
}

NTSTATUS NetTcpConnect(PNET_SOCKET Socket, PAFD_REQUEST Request)
{
	ip_addr_t address;
	NTSTATUS status;

	switch (Socket->State) {
	case SocketNew:
	case SocketBound: break;
	case SocketConnecting: return STATUS_PENDING;
	case SocketConnected: return STATUS_SUCCESS;
	case SocketClosed: return Socket->Error;
	default: return STATUS_INVALID_PARAMETER;
	}
	status = need_pcb(Socket);
	if (!NT_SUCCESS(status))
		return status;
	Request->Family = Socket->Family;
	NetToAddress(Request, &address);
	Socket->State = SocketConnecting;
	status = NetStatusOf(tcp_connect(Socket->Tcp, &address, Request->Port, on_connected));
	if (!NT_SUCCESS(status))
		Socket->State = SocketNew;
	return NT_SUCCESS(status) ? STATUS_PENDING : status;
}

PNET_SOCKET NetTcpAccept(PNET_OWNER Owner, PAFD_REQUEST Request, NTSTATUS *Status)
{
	PNET_SOCKET listener = NetFindSocket(Request->Id), socket;

	*Status = STATUS_INVALID_PARAMETER;
	if (listener == NULL || listener->State != SocketListening || listener->Owner != Owner)
		return NULL;
	*Status = STATUS_PENDING;
	if (IsListEmpty(&listener->AcceptQueue))
		return NULL;
	socket = CONTAINING_RECORD(RemoveHeadList(&listener->AcceptQueue), NET_SOCKET, AcceptLink);
	InitializeListHead(&socket->AcceptLink);
	socket->Listener = NULL;
	if (socket->Tcp != NULL)
		tcp_backlog_accepted(socket->Tcp);
	Request->Id = socket->Id;
	Request->Port = socket->RemotePort;
	NetFromAddress(&socket->Remote, Request);
	*Status = STATUS_SUCCESS;
	return socket;
}

/* --- data --- */

static NTSTATUS not_connected(PNET_SOCKET socket)
{
	switch (socket->State) {
	case SocketConnecting: return STATUS_PENDING;
	case SocketConnected: return STATUS_SUCCESS;
	case SocketClosed: return socket->Error;
	default: return STATUS_INVALID_CONNECTION;
	}
}

/** To lwIP as much as it takes; *Length becomes what it took. */
NTSTATUS NetTcpWrite(PNET_SOCKET Socket, const VOID *Data, SIZE_T *Length)
{
	const UCHAR *data = Data;
	SIZE_T left = *Length;
	err_t error = ERR_OK;

	while (left != 0 && error == ERR_OK) {
		SIZE_T n = tcp_sndbuf(Socket->Tcp);

		if (n > left)
			n = left;
		if (n > 0xF000)
			n = 0xF000;
		if (n == 0)
			break;
		error = tcp_write(Socket->Tcp, data, (u16_t)n,
				  TCP_WRITE_FLAG_COPY | (n < left ? TCP_WRITE_FLAG_MORE : 0));
		if (error == ERR_OK) {
			data += n;
			left -= n;
		}
	}
	*Length -= left;
	return error == ERR_OK || error == ERR_MEM ? STATUS_SUCCESS : NetStatusOf(error);
}

NTSTATUS NetTcpSend(PNET_SOCKET Socket, PAFD_REQUEST Request)
{
	const UCHAR *data = (const UCHAR *)(ULONG_PTR)Request->Buffer + Request->Done;
	SIZE_T n = Request->Length - Request->Done;
	NTSTATUS status = not_connected(Socket);
	BOOLEAN waits = (Request->Flags & AFD_NO_WAIT) == 0;

	if (status != STATUS_SUCCESS)
		return status;
	if (n == 0 && Request->Length != 0) /* all was taken: by somebody who may keep it */
		return NetFlowKeepsSend(Socket) ? STATUS_PENDING : STATUS_SUCCESS;
	if (Socket->SendEnded)
		return STATUS_PIPE_DISCONNECTED;
	if (!waits && NetFlowKeepsSend(Socket))
		return STATUS_PENDING;
	status = NetFlowSend(Socket, data, &n);
	Request->Done += (ULONG)n;
	if (NT_SUCCESS(status) && Socket->Tcp != NULL && n != 0)
		tcp_output(Socket->Tcp);
	if (!NT_SUCCESS(status) || (!waits && Request->Done != 0))
		return status;
	if (Request->Done != Request->Length || (waits && NetFlowKeepsSend(Socket)))
		return STATUS_PENDING;
	return status;
}

/** The program (or a filter) has these bytes: the window opens. */
VOID NetTcpConsumed(PNET_SOCKET Socket, SIZE_T Length)
{
	while (Socket->Tcp != NULL && Length != 0) {
		u16_t n = Length > 0xFFFF ? 0xFFFF : (u16_t)Length;

		tcp_recved(Socket->Tcp, n);
		Length -= n;
	}
}

/* From the first chunk; how many bytes of it were the window's. */
static ULONG read_chunk(PNET_SOCKET socket, PUCHAR to, PAFD_REQUEST request)
{
	PNET_CHUNK chunk = socket->Ready.First;
	ULONG n = chunk->End - chunk->Offset;
	BOOLEAN injected = chunk->Injected;

	if (n > request->Length - request->Done)
		n = request->Length - request->Done;
	pbuf_copy_partial(chunk->Data, to + request->Done, (u16_t)n, (u16_t)chunk->Offset);
	chunk->Offset += n;
	socket->Ready.Bytes -= n;
	request->Done += n;
	if (chunk->Offset == chunk->End)
		NetFreeChunk(NetQueueTake(&socket->Ready));
	return injected ? 0 : n;
}

NTSTATUS NetTcpReceive(PNET_SOCKET Socket, PAFD_REQUEST Request)
{
	PUCHAR to = (PUCHAR)(ULONG_PTR)Request->Buffer;
	SIZE_T consumed = 0;
	NTSTATUS status;

	while (Socket->Ready.First != NULL && Request->Done < Request->Length)
		consumed += read_chunk(Socket, to, Request);
	NetTcpConsumed(Socket, consumed);
	if (Socket->Arrived.First != NULL)
		NetMarkDirty(Socket); /* it waited for this */
	if (Request->Done != 0 || Socket->EndOfFile || Request->Length == 0)
		return STATUS_SUCCESS;
	status = not_connected(Socket);
	return status == STATUS_SUCCESS ? STATUS_PENDING : status;
}

/* Nobody reads what arrived. */
static VOID forget(PNET_SOCKET socket)
{
	PNET_CHUNK chunk;

	while ((chunk = NetQueueTake(&socket->Ready)) != NULL) {
		if (!chunk->Injected)
			NetTcpConsumed(socket, chunk->End - chunk->Offset);
		NetFreeChunk(chunk);
	}
}

VOID NetTcpProcessArrived(PNET_SOCKET Socket)
{
	NetFlowReceive(Socket);
	if (Socket->FinArrived && Socket->FinSent && Socket->Tcp != NULL) {
		struct tcp_pcb *pcb = Socket->Tcp;

		/* From here on lwIP frees it without a word. */
		detach(Socket);
		tcp_close(pcb);
	}
	if (Socket->EndOfFile && Socket->FinSent)
		NetFlowDeleted(Socket);
	if (Socket->Orphan) {
		forget(Socket);
		if (Socket->Tcp == NULL) {
			NetFlowDeleted(Socket);
			NetDestroySocket(Socket);
		}
		return;
	}
	NetWakeOwner(Socket->Owner);
}

/* --- ends --- */

/** The FIN goes out behind what was written; of an orphan that is all that was left to do. */
VOID NetTcpFinish(PNET_SOCKET Socket)
{
	struct tcp_pcb *pcb = Socket->Tcp;

	Socket->FinSent = TRUE;
	NetMarkDirty(Socket);
	if (pcb == NULL)
		return;
	if (!Socket->Orphan) {
		tcp_shutdown(pcb, 0, 1);
		return;
	}
	detach(Socket);
	NetFlowDeleted(Socket);
	if (tcp_close(pcb) != ERR_OK)
		tcp_abort(pcb);
}

NTSTATUS NetTcpShutdown(PNET_SOCKET Socket, PAFD_REQUEST Request)
{
	NTSTATUS status = not_connected(Socket);

	if (status != STATUS_SUCCESS)
		return status;
	if (!Socket->SendEnded) {
		Socket->SendEnded = TRUE;
		NetFlowFinish(Socket);
	}
	return STATUS_SUCCESS;
}

/** Reset, from our side. */
VOID NetTcpDrop(PNET_SOCKET Socket, NTSTATUS Status)
{
	struct tcp_pcb *pcb = Socket->Tcp;

	if (Socket->State == SocketListening) {
		detach(Socket);
		tcp_close(pcb);
	} else if (pcb != NULL) {
		detach(Socket);
		tcp_abort(pcb);
	}
	Socket->State = SocketClosed;
	Socket->Error = Status;
	NetFlowDeleted(Socket);
	NetWakeOwner(Socket->Owner);
	NetMarkDirty(Socket);
}

NTSTATUS NetTcpAbort(PNET_SOCKET Socket, PAFD_REQUEST Request)
{
	NetFlowReset(Socket);
	NetTcpDrop(Socket, STATUS_CONNECTION_ABORTED);
	return STATUS_SUCCESS;
}

static VOID close_listener(PNET_SOCKET socket)
{
	while (!IsListEmpty(&socket->AcceptQueue)) {
		PNET_SOCKET child = CONTAINING_RECORD(RemoveHeadList(&socket->AcceptQueue),
						      NET_SOCKET, AcceptLink);

		InitializeListHead(&child->AcceptLink);
		child->Orphan = TRUE;
		if (child->Tcp != NULL)
			tcp_backlog_accepted(child->Tcp);
		NetFlowReset(child);
		NetTcpDrop(child, STATUS_CONNECTION_ABORTED);
	}
	NetTcpDrop(socket, STATUS_CONNECTION_ABORTED);
}

VOID NetTcpClose(PNET_SOCKET Socket)
{
	BOOLEAN unread = Socket->Ready.Bytes != 0 || Socket->Arrived.Bytes != 0;

	Socket->Orphan = TRUE;
	NetMarkDirty(Socket);
	if (Socket->State == SocketListening) {
		close_listener(Socket);
	} else if (Socket->Tcp == NULL) {
		NetFlowDeleted(Socket);
	} else if (Socket->State != SocketConnected || unread) {
		if (Socket->State == SocketConnected)
			NetFlowReset(Socket);
		NetTcpDrop(Socket, STATUS_CONNECTION_ABORTED);
	} else if (!Socket->SendEnded) {
		Socket->SendEnded = TRUE;
		NetFlowFinish(Socket);
	} else if (!NetFlowHoldsFinish(Socket)) {
		NetTcpFinish(Socket);
	}
}

USHORT NetSocketEvents(PNET_SOCKET Socket)
{
	USHORT events = 0;

	if (Socket->Ready.First != NULL || Socket->EndOfFile)
		events |= AFD_READABLE;
	if (Socket->State == SocketConnected && !Socket->SendEnded && Socket->Tcp != NULL &&
	    tcp_sndbuf(Socket->Tcp) >= TCP_SNDLOWAT && !NetFlowKeepsSend(Socket))
		events |= AFD_WRITABLE;
	if (!IsListEmpty(&Socket->AcceptQueue))
		events |= AFD_ACCEPTABLE;
	if (Socket->State == SocketClosed)
		events |= AFD_FAILED;
	return events;
}
