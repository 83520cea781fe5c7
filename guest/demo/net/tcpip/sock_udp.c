/* SPDX-License-Identifier: MIT */
/* UDP sockets. Everything under the lock. */
#include "guest/demo/net/tcpip/classify.h"
#include "guest/demo/net/tcpip/stack.h"
#include "lwip/udp.h"

enum {
	QUEUE_MAX = 512 * 1024, /* bytes nobody reads; what comes then is lost */
	DATAGRAM_MAX = 65000,
};

static void on_datagram(void *argument, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
			u16_t port)
{
	PNET_SOCKET socket = argument;
	PNET_CHUNK chunk = NULL;

	if (!NetDatagramPasses(socket, FALSE, from, port, p)) {
		pbuf_free(p);
		return;
	}
	if (socket->Arrived.Bytes + socket->Ready.Bytes + p->tot_len <= QUEUE_MAX)
		chunk = NetMakeChunk(p);
	if (chunk == NULL) {
		pbuf_free(p);
		return;
	}
	ip_addr_copy(chunk->Source, *from);
	chunk->SourcePort = port;
	NetQueueAppend(&socket->Arrived, chunk);
	NetMarkDirty(socket);
}

static NTSTATUS need_pcb(PNET_SOCKET socket)
{
	if (socket->Udp != NULL)
		return STATUS_SUCCESS;
	socket->Udp = udp_new_ip_type(socket->Family == AFD_INET6 ? IPADDR_TYPE_V6
								  : IPADDR_TYPE_V4);
	if (socket->Udp == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	udp_recv(socket->Udp, on_datagram, socket);
	return STATUS_SUCCESS;
}

/* A PCB for the socket, and the request's address as lwIP takes it. */
static NTSTATUS prepare(PNET_SOCKET socket, PAFD_REQUEST request, ip_addr_t *address)
{
	request->Family = socket->Family;
	NetToAddress(request, address);
	return need_pcb(socket);
}

NTSTATUS NetUdpBind(PNET_SOCKET Socket, PAFD_REQUEST Request)
{
	ip_addr_t address;
	NTSTATUS status = prepare(Socket, Request, &address);

	if (!NT_SUCCESS(status))
		return status;
	status = NetStatusOf(udp_bind(Socket->Udp, &address, Request->Port));
	if (NT_SUCCESS(status)) {
		Socket->State = SocketBound;
		Socket->LocalPort = Request->Port = Socket->Udp->local_port;
		ip_addr_copy(Socket->Local, Socket->Udp->local_ip);
	}
	return status;
}

/** Where datagrams go that are sent with AFD_SEND, and the only place others come from. */
NTSTATUS NetUdpConnect(PNET_SOCKET Socket, PAFD_REQUEST Request)
{
	ip_addr_t address;
	NTSTATUS status = prepare(Socket, Request, &address);

	if (!NT_SUCCESS(status))
		return status;
	status = NetStatusOf(udp_connect(Socket->Udp, &address, Request->Port));
	if (NT_SUCCESS(status)) {
		Socket->State = SocketConnected;
		Socket->LocalPort = Socket->Udp->local_port;
		ip_addr_copy(Socket->Local, Socket->Udp->local_ip);
		ip_addr_copy(Socket->Remote, address);
		Socket->RemotePort = Request->Port;
	}
	return status;
}

/* A datagram has a flow, a flow has a port of ours. */
static NTSTATUS need_port(PNET_SOCKET socket)
{
	NTSTATUS status = STATUS_SUCCESS;

	if (socket->Udp->local_port == 0)
		status = NetStatusOf(udp_bind(
			socket->Udp, socket->Family == AFD_INET6 ? IP6_ADDR_ANY : IP4_ADDR_ANY, 0));
	socket->LocalPort = socket->Udp->local_port;
	return status;
}

/** Data stays the caller's. What a filter blocks counts as sent. */
NTSTATUS NetUdpTransmit(PNET_SOCKET Socket, struct pbuf *Data, const ip_addr_t *To, USHORT Port,
			BOOLEAN Unfiltered)
{
	NTSTATUS status = need_port(Socket);

	if (!NT_SUCCESS(status))
		return status;
	if (!Unfiltered && !NetDatagramPasses(Socket, TRUE, To, Port, Data))
		return STATUS_SUCCESS;
	return NetStatusOf(udp_sendto(Socket->Udp, Data, To, Port));
}

NTSTATUS NetUdpSend(PNET_SOCKET Socket, PAFD_REQUEST Request)
{
	BOOLEAN is_connected = Socket->State == SocketConnected;
	NTSTATUS status = need_pcb(Socket);
	ip_addr_t address;
	struct pbuf *p;

	if (!NT_SUCCESS(status))
		return status;
	if (Request->Length > DATAGRAM_MAX)
		return STATUS_INVALID_PARAMETER;
	p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)Request->Length, PBUF_RAM);
	if (p == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	__builtin_memcpy(p->payload, (const VOID *)(ULONG_PTR)Request->Buffer, Request->Length);
	Request->Family = Socket->Family;
	NetToAddress(Request, &address);
	if (is_connected)
		ip_addr_copy(address, Socket->Remote);
	status = NetUdpTransmit(Socket, p, &address,
				is_connected ? Socket->RemotePort : Request->Port, FALSE);
	pbuf_free(p);
	Request->Done = Request->Length;
	return status;
}

NTSTATUS NetUdpReceive(PNET_SOCKET Socket, PAFD_REQUEST Request)
{
	PNET_CHUNK chunk = NetQueueTake(&Socket->Ready);
	ULONG n;

	if (chunk == NULL)
		return Socket->Udp != NULL ? STATUS_PENDING : STATUS_INVALID_PARAMETER;
	n = chunk->Data->tot_len < Request->Length ? chunk->Data->tot_len : Request->Length;
	pbuf_copy_partial(chunk->Data, (PVOID)(ULONG_PTR)Request->Buffer, (u16_t)n, 0);
	Request->Done = n;
	Request->Port = chunk->SourcePort;
	NetFromAddress(&chunk->Source, Request);
	NetFreeChunk(chunk);
	return STATUS_SUCCESS;
}

VOID NetUdpProcessArrived(PNET_SOCKET Socket)
{
	PNET_CHUNK chunk;

	if (Socket->Orphan) {
		NetDestroySocket(Socket);
		return;
	}
	while ((chunk = NetQueueTake(&Socket->Arrived)) != NULL)
		NetQueueAppend(&Socket->Ready, chunk);
	NetWakeOwner(Socket->Owner);
}

VOID NetUdpClose(PNET_SOCKET Socket)
{
	if (Socket->Udp != NULL)
		udp_remove(Socket->Udp);
	Socket->Udp = NULL;
	NetDatagramFlowsDeleted(Socket);
	Socket->Orphan = TRUE;
	NetMarkDirty(Socket);
}
