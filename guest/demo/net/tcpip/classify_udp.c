/* SPDX-License-Identifier: MIT */
/* Datagrams and the filter engine: a flow for each peer of a socket. */
#include "guest/demo/net/tcpip/classify.h"
#include "guest/demo/net/tcpip/classify_lists.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/udp.h"

enum {
	MAX_FLOWS = 32, /* of a socket; the oldest makes room */
	UDP_HEADER = 8,
};

typedef struct _NET_DATAGRAM_FLOW {
	struct _NET_DATAGRAM_FLOW *Next;
	ip_addr_t Remote;
	USHORT RemotePort;
	BOOLEAN Denied;
	ULONG64 Id;
} NET_DATAGRAM_FLOW, *PNET_DATAGRAM_FLOW;

static ULONG64 current_cookie; /* of what is being injected */

static VOID put_port(PUCHAR to, USHORT value)
{
	to[0] = (UCHAR)(value >> 8);
	to[1] = (UCHAR)value;
}

static USHORT get_port(const UCHAR *from)
{
	return (USHORT)(from[0] << 8 | from[1]);
}

/* --- flows --- */

static VOID delete_flow(PNET_DATAGRAM_FLOW flow)
{
	if (flow->Id != 0)
		WfpFlowDeleted(flow->Id);
	NetFree(flow);
}

VOID NetDatagramFlowsDeleted(PNET_SOCKET Socket)
{
	while (Socket->DatagramFlows != NULL) {
		PNET_DATAGRAM_FLOW flow = Socket->DatagramFlows;

		Socket->DatagramFlows = flow->Next;
		delete_flow(flow);
	}
}

static VOID make_room(PNET_SOCKET socket)
{
	PNET_DATAGRAM_FLOW *at = &socket->DatagramFlows;
	ULONG n = 0;

	for (; *at != NULL; at = &(*at)->Next) {
		if (++n == MAX_FLOWS) {
			PNET_DATAGRAM_FLOW rest = *at;

			*at = NULL;
			while (rest != NULL) {
				PNET_DATAGRAM_FLOW next = rest->Next;

				delete_flow(rest);
				rest = next;
			}
			return;
		}
	}
}

static PNET_DATAGRAM_FLOW flow_of(PNET_SOCKET socket, const ip_addr_t *remote, USHORT port,
				  BOOLEAN inbound)
{
	PNET_DATAGRAM_FLOW flow;
	WFP_FLOW known;

	for (flow = socket->DatagramFlows; flow != NULL; flow = flow->Next) {
		if (flow->RemotePort == port && ip_addr_cmp(&flow->Remote, remote))
			return flow;
	}
	flow = NetAllocateZeroed(1, sizeof(*flow));
	if (flow == NULL)
		return NULL;
	make_room(socket);
	ip_addr_copy(flow->Remote, *remote);
	flow->RemotePort = port;
	NetDescribeFlow(socket, remote, port, inbound, &known);
	flow->Denied = WfpFlowEstablished(&known, &flow->Id) == STATUS_ACCESS_DENIED;
	flow->Next = socket->DatagramFlows;
	socket->DatagramFlows = flow;
	return flow;
}

/* --- classification --- */

static BOOLEAN outbound_passes(PNET_SOCKET socket, PNET_DATAGRAM_FLOW flow, struct pbuf *data)
{
	WFP_DATAGRAM about = { .Direction = FWP_DIRECTION_OUTBOUND,
			       .TransportHeaderSize = UDP_HEADER,
			       .CompartmentId = 1,
			       .InjectionCookie = current_cookie };
	ULONG length = UDP_HEADER + data->tot_len;
	PUCHAR bytes = NetAllocate(length);
	BOOLEAN passes;

	if (bytes == NULL)
		return FALSE;
	put_port(bytes, socket->LocalPort);
	put_port(bytes + 2, flow->RemotePort);
	put_port(bytes + 4, (USHORT)length);
	put_port(bytes + 6, 0);
	pbuf_copy_partial(data, bytes + UDP_HEADER, data->tot_len, 0);
	passes = WfpClassifyDatagram(flow->Id, NetListOfBytes(bytes, length), &about) !=
		 FWP_ACTION_BLOCK;
	NetFree(bytes);
	return passes;
}

static BOOLEAN inbound_passes(PNET_DATAGRAM_FLOW flow, struct pbuf *data)
{
	ULONG ip_size = ip_current_header_tot_len();
	WFP_DATAGRAM about = { .Direction = FWP_DIRECTION_INBOUND,
			       .IpHeaderSize = ip_size,
			       .TransportHeaderSize = UDP_HEADER,
			       .CompartmentId = 1,
			       .InterfaceIndex = netif_get_index(ip_current_input_netif()),
			       .InjectionCookie = current_cookie };

	return WfpClassifyDatagram(flow->Id, NetListOfDatagram(data, ip_size + UDP_HEADER),
				   &about) != FWP_ACTION_BLOCK;
}

BOOLEAN NetDatagramPasses(PNET_SOCKET Socket, BOOLEAN Outbound, const ip_addr_t *Remote,
			  USHORT RemotePort, struct pbuf *Data)
{
	PNET_DATAGRAM_FLOW flow = flow_of(Socket, Remote, RemotePort, !Outbound);

	if (flow == NULL || flow->Denied)
		return FALSE;
	if (!WfpIsDatagramFiltered(flow->Id))
		return TRUE;
	return Outbound ? outbound_passes(Socket, flow, Data) : inbound_passes(flow, Data);
}

/* --- injection --- */

static struct pbuf *pbuf_of(NET_BUFFER_LIST *list, ULONG skip, pbuf_layer layer)
{
	SIZE_T length = list->FirstNetBuffer->DataLength, at = 0, n;
	NET_LIST_CURSOR cursor;
	struct pbuf *p;
	const VOID *bytes;

	if (length < skip || length > 0xFFFF)
		return NULL;
	p = pbuf_alloc(layer, (u16_t)(length - skip), PBUF_RAM);
	NetCursorBegin(&cursor, list, length);
	while (p != NULL && (n = NetCursorBytes(&cursor, &bytes)) != 0) {
		SIZE_T drop = at < skip ? (skip - at < n ? skip - at : n) : 0;

		__builtin_memcpy((PUCHAR)p->payload + (at + drop - skip),
				 (const UCHAR *)bytes + drop, n - drop);
		NetCursorAdvance(&cursor, n);
		at += n;
	}
	return p;
}

static NTSTATUS send(PNET_SOCKET socket, USHORT family, const UCHAR *address, NET_BUFFER_LIST *list)
{
	AFD_REQUEST request = { .Family = family };
	UCHAR header[UDP_HEADER];
	NET_LIST_CURSOR cursor;
	const VOID *bytes;
	struct pbuf *p = pbuf_of(list, UDP_HEADER, PBUF_TRANSPORT);
	ip_addr_t to;
	NTSTATUS status;

	if (p == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	NetCursorBegin(&cursor, list, UDP_HEADER);
	for (ULONG at = 0; at < UDP_HEADER;) {
		SIZE_T n = NetCursorBytes(&cursor, &bytes);

		if (n == 0)
			break;
		__builtin_memcpy(header + at, bytes, n);
		NetCursorAdvance(&cursor, n);
		at += (ULONG)n;
	}
	__builtin_memcpy(request.Address, address, family == AFD_INET6 ? 16 : 4);
	NetToAddress(&request, &to);
	status = NetUdpTransmit(socket, p, &to, get_port(header + 2), FALSE);
	pbuf_free(p);
	return status;
}

NTSTATUS NetDatagramSend(ULONG64 EndpointHandle, USHORT AddressFamily, const UCHAR *RemoteAddress,
			 ULONG RemoteScopeId, ULONG CompartmentId, ULONG64 InjectionCookie,
			 NET_BUFFER_LIST *NetBufferList, WFP_COMPLETION Completion,
			 PVOID CompletionContext)
{
	NET_COMPLETION completion = { Completion, CompletionContext, NetBufferList, NULL };
	NTSTATUS status = STATUS_INVALID_PARAMETER;
	PNET_SOCKET socket;
	KIRQL irql;

	if (!NetPrepareCompletion(&completion))
		return STATUS_INSUFFICIENT_RESOURCES;
	irql = NetLock();
	socket = NetFindSocket((ULONG)EndpointHandle);
	if (socket != NULL && socket->Udp != NULL && socket->Family == AddressFamily) {
		current_cookie = InjectionCookie;
		status = send(socket, AddressFamily, RemoteAddress, NetBufferList);
		current_cookie = 0;
	}
	if (NT_SUCCESS(status))
		NetQueueCompletion(&completion, status);
	else
		NetCancelCompletion(&completion);
	NetUnlock(irql);
	return status;
}

static struct netif *interface_of(ULONG index)
{
	struct netif *netif = netif_get_by_index((u8_t)index);

	return netif != NULL ? netif : netif_default;
}

NTSTATUS NetDatagramReceive(USHORT AddressFamily, ULONG CompartmentId, ULONG InterfaceIndex,
			    ULONG SubInterfaceIndex, ULONG64 InjectionCookie,
			    NET_BUFFER_LIST *NetBufferList, WFP_COMPLETION Completion,
			    PVOID CompletionContext)
{
	NET_COMPLETION completion = { Completion, CompletionContext, NetBufferList, NULL };
	struct netif *netif;
	struct pbuf *p;
	KIRQL irql;

	if (!NetPrepareCompletion(&completion))
		return STATUS_INSUFFICIENT_RESOURCES;
	irql = NetLock();
	netif = interface_of(InterfaceIndex);
	p = netif != NULL ? pbuf_of(NetBufferList, 0, PBUF_RAW) : NULL;
	if (p == NULL) {
		NetCancelCompletion(&completion);
	} else {
		current_cookie = InjectionCookie;
		if (ip_input(p, netif) != ERR_OK)
			pbuf_free(p);
		current_cookie = 0;
		NetQueueCompletion(&completion, STATUS_SUCCESS);
	}
	NetUnlock(irql);
	return p != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

VOID NetStartClassifying(VOID)
{
	static const WFP_STACK_OPS operations = {
		.StreamInject = NetStreamInject,
		.StreamContinue = NetStreamContinue,
		.FlowAbort = NetFlowAbort,
		.SendReleased = NetSendReleased,
		.DatagramSend = NetDatagramSend,
		.DatagramReceive = NetDatagramReceive,
	};

	NetPrepareReleases();
	WfpRegisterStack(&operations);
}
