/* SPDX-License-Identifier: MIT */
/* The stack without a filter engine: everything passes. */
#include "guest/demo/net/tcpip/classify.h"

VOID NetFlowEstablished(PNET_SOCKET Socket)
{
}

VOID NetFlowDeleted(PNET_SOCKET Socket)
{
}

VOID NetFlowReset(PNET_SOCKET Socket)
{
}

NTSTATUS NetFlowSend(PNET_SOCKET Socket, const VOID *Data, SIZE_T *Length)
{
	return NetTcpWrite(Socket, Data, Length);
}

BOOLEAN NetFlowKeepsSend(PNET_SOCKET Socket)
{
	return FALSE;
}

VOID NetFlowFinish(PNET_SOCKET Socket)
{
	NetTcpFinish(Socket);
}

BOOLEAN NetFlowHoldsFinish(PNET_SOCKET Socket)
{
	return FALSE;
}

VOID NetFlowReceive(PNET_SOCKET Socket)
{
	PNET_CHUNK chunk;

	while ((chunk = NetQueueTake(&Socket->Arrived)) != NULL)
		NetQueueAppend(&Socket->Ready, chunk);
	if (Socket->FinArrived)
		Socket->EndOfFile = TRUE;
}

VOID NetFlowRoom(PNET_SOCKET Socket)
{
}

struct net_done *NetTakeCompletions(VOID)
{
	return NULL;
}

VOID NetRunCompletions(struct net_done *Done)
{
}

VOID NetStartClassifying(VOID)
{
}

BOOLEAN NetDatagramPasses(PNET_SOCKET Socket, BOOLEAN Outbound, const ip_addr_t *Remote,
			  USHORT RemotePort, struct pbuf *Data)
{
	return TRUE;
}

VOID NetDatagramFlowsDeleted(PNET_SOCKET Socket)
{
}
