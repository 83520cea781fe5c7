/* SPDX-License-Identifier: MIT */
/*
 * The places where stream data and datagrams pass the filter engine. Everything under the stack's
 * lock. A socket without a flow, or whose flow nobody filters, passes at the cost of a test.
 */
#ifndef KD_DEMO_CLASSIFY_H
#define KD_DEMO_CLASSIFY_H

#include "guest/demo/net/tcpip/stack.h"

/** A TCP connection stands. */
VOID NetFlowEstablished(PNET_SOCKET Socket);
/** It is gone, nothing of it will be indicated any more. */
VOID NetFlowDeleted(PNET_SOCKET Socket);
/** A reset came or goes: indicated, then the flow is gone. */
VOID NetFlowReset(PNET_SOCKET Socket);
/** The program's bytes, to lwIP as far as it takes them. *Length becomes what was accepted. */
NTSTATUS NetFlowSend(PNET_SOCKET Socket, const VOID *Data, SIZE_T *Length);
/** A filter keeps what the program gave to be sent: its request is not done yet. */
BOOLEAN NetFlowKeepsSend(PNET_SOCKET Socket);
/** The program sends no more: FIN, unless a filter takes it away. */
VOID NetFlowFinish(PNET_SOCKET Socket);
/** A filter has the FIN: it comes back by injection. */
BOOLEAN NetFlowHoldsFinish(PNET_SOCKET Socket);
/** From Socket->Arrived to Socket->Ready, and the end of file behind it. */
VOID NetFlowReceive(PNET_SOCKET Socket);
/** lwIP's send buffer has room again. */
VOID NetFlowRoom(PNET_SOCKET Socket);

/** May this datagram pass? Outbound: Data is what the program gave. Inbound: as lwIP hands it over,
 * the headers before the data, from inside lwIP's receive callback. */
BOOLEAN NetDatagramPasses(PNET_SOCKET Socket, BOOLEAN Outbound, const ip_addr_t *Remote,
			  USHORT RemotePort, struct pbuf *Data);
/** The socket goes. */
VOID NetDatagramFlowsDeleted(PNET_SOCKET Socket);

/* of sock_udp.c */
NTSTATUS NetUdpTransmit(PNET_SOCKET Socket, struct pbuf *Data, const ip_addr_t *To, USHORT Port,
			BOOLEAN Unfiltered);

/* of sock_tcp.c */
NTSTATUS NetTcpWrite(PNET_SOCKET Socket, const VOID *Data, SIZE_T *Length);
VOID NetTcpConsumed(PNET_SOCKET Socket, SIZE_T Length);
VOID NetTcpFinish(PNET_SOCKET Socket);
VOID NetTcpDrop(PNET_SOCKET Socket, NTSTATUS Status);

#endif
