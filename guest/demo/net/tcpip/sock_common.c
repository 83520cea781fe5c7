/* SPDX-License-Identifier: MIT */
/* Sockets: the table, queues of what arrived, addresses. */
#include "guest/demo/net/tcpip/stack.h"
#include "lwip/err.h"
#include "lwip/netif.h"

static PNET_SOCKET table[MAX_SOCKETS];
static ULONG next_id = 1;
ULONG NetSocketCount;

PNET_SOCKET NetFindSocket(ULONG Id)
{
	PNET_SOCKET socket = table[Id % MAX_SOCKETS];

	return socket != NULL && socket->Id == Id ? socket : NULL;
}

PNET_SOCKET NetSocketInSlot(ULONG Slot)
{
	return table[Slot % MAX_SOCKETS];
}

PNET_SOCKET NetCreateSocket(PNET_OWNER Owner, USHORT Family, UCHAR Protocol)
{
	PNET_SOCKET socket = NetAllocateZeroed(1, sizeof(*socket));

	if (socket == NULL)
		return NULL;
	for (ULONG tried = 0; tried < MAX_SOCKETS; tried++, next_id++) {
		if (next_id == 0 || table[next_id % MAX_SOCKETS] != NULL)
			continue;
		socket->Id = next_id++;
		table[socket->Id % MAX_SOCKETS] = socket;
		socket->Family = Family;
		socket->Protocol = Protocol;
		socket->Owner = Owner;
		Owner->References++;
		InitializeListHead(&socket->AcceptQueue);
		InitializeListHead(&socket->AcceptLink);
		NetSocketCount++;
		return socket;
	}
	NetFree(socket);
	return NULL;
}

VOID NetDestroySocket(PNET_SOCKET Socket)
{
	Socket->Dead = TRUE;
	if (Socket->Dirty)
		return;
	NetFreeQueue(&Socket->Arrived);
	NetFreeQueue(&Socket->Ready);
	RemoveEntryList(&Socket->AcceptLink);
	table[Socket->Id % MAX_SOCKETS] = NULL;
	NetSocketCount--;
	NetReleaseOwner(Socket->Owner);
	NetFree(Socket);
}

/* --- queues --- */

PNET_CHUNK NetMakeChunk(struct pbuf *Data)
{
	PNET_CHUNK chunk = NetAllocateZeroed(1, sizeof(*chunk));

	if (chunk == NULL)
		return NULL;
	chunk->Data = Data;
	chunk->End = Data->tot_len;
	return chunk;
}

BOOLEAN NetSplitFirst(PNET_QUEUE Queue, SIZE_T Length)
{
	PNET_CHUNK first = Queue->First, second;

	if (first->End - first->Offset <= Length)
		return TRUE;
	second = NetMakeChunk(first->Data);
	if (second == NULL)
		return FALSE;
	pbuf_ref(first->Data);
	second->Injected = first->Injected;
	second->Offset = first->Offset + (ULONG)Length;
	second->End = first->End;
	first->End = second->Offset;
	second->Next = first->Next;
	first->Next = second;
	if (Queue->Last == first)
		Queue->Last = second;
	return TRUE;
}

VOID NetFreeChunk(PNET_CHUNK Chunk)
{
	pbuf_free(Chunk->Data);
	NetFree(Chunk);
}

VOID NetQueueAppend(PNET_QUEUE Queue, PNET_CHUNK Chunk)
{
	Chunk->Next = NULL;
	if (Queue->Last != NULL)
		Queue->Last->Next = Chunk;
	else
		Queue->First = Chunk;
	Queue->Last = Chunk;
	Queue->Bytes += Chunk->End - Chunk->Offset;
}

PNET_CHUNK NetQueueTake(PNET_QUEUE Queue)
{
	PNET_CHUNK chunk = Queue->First;

	if (chunk == NULL)
		return NULL;
	Queue->First = chunk->Next;
	if (Queue->First == NULL)
		Queue->Last = NULL;
	Queue->Bytes -= chunk->End - chunk->Offset;
	return chunk;
}

VOID NetQueueMove(PNET_QUEUE From, PNET_QUEUE To)
{
	if (From->First == NULL)
		return;
	if (To->Last != NULL)
		To->Last->Next = From->First;
	else
		To->First = From->First;
	To->Last = From->Last;
	To->Bytes += From->Bytes;
	*From = (NET_QUEUE){ 0 };
}

/* The first chunks, as far as they end within Length bytes; how many bytes that were. */
SIZE_T NetQueueMoveWhole(PNET_QUEUE From, PNET_QUEUE To, SIZE_T Length)
{
	NET_QUEUE moved = { .First = From->First };
	SIZE_T bytes;

	for (PNET_CHUNK chunk = From->First; chunk != NULL; chunk = chunk->Next) {
		if (chunk->End - chunk->Offset > Length - moved.Bytes)
			break;
		moved.Bytes += chunk->End - chunk->Offset;
		moved.Last = chunk;
	}
	if (moved.Last == NULL)
		return 0;
	From->First = moved.Last->Next;
	if (From->First == NULL)
		From->Last = NULL;
	From->Bytes -= moved.Bytes;
	moved.Last->Next = NULL;
	bytes = moved.Bytes;
	NetQueueMove(&moved, To);
	return bytes;
}

VOID NetFreeQueue(PNET_QUEUE Queue)
{
	PNET_CHUNK chunk;

	while ((chunk = NetQueueTake(Queue)) != NULL)
		NetFreeChunk(chunk);
}

/* --- words of lwIP's --- */

NTSTATUS NetStatusOf(signed char LwipError)
{
	switch (LwipError) {
	case ERR_OK: return STATUS_SUCCESS;
	case ERR_MEM:
	case ERR_BUF: return STATUS_INSUFFICIENT_RESOURCES;
	case ERR_RTE: return STATUS_HOST_UNREACHABLE;
	case ERR_USE: return STATUS_ADDRESS_IN_USE;
	case ERR_ABRT: return STATUS_CONNECTION_ABORTED;
	case ERR_RST: return STATUS_CONNECTION_RESET;
	case ERR_CLSD: return STATUS_PIPE_DISCONNECTED;
	case ERR_CONN: return STATUS_INVALID_CONNECTION;
	default: return STATUS_INVALID_PARAMETER;
	}
}

VOID NetToAddress(const AFD_REQUEST *Request, ip_addr_t *Address)
{
	ULONG words[4];

	__builtin_memset(Address, 0, sizeof(*Address));
	__builtin_memcpy(words, Request->Address, sizeof(words));
	if (Request->Family == AFD_INET6) {
		IP_ADDR6(Address, words[0], words[1], words[2], words[3]);
		/* fe80::/10 needs an interface; ours is the card. */
		if (ip6_addr_islinklocal(ip_2_ip6(Address)) && netif_default != NULL)
			ip6_addr_assign_zone(ip_2_ip6(Address), IP6_UNICAST, netif_default);
	} else {
		ip_addr_set_ip4_u32(Address, words[0]);
	}
}

VOID NetFromAddress(const ip_addr_t *Address, PAFD_REQUEST Request)
{
	__builtin_memset(Request->Address, 0, sizeof(Request->Address));
	Request->Family = IP_IS_V6(Address) ? AFD_INET6 : AFD_INET;
	if (IP_IS_V6(Address))
		__builtin_memcpy(Request->Address, ip_2_ip6(Address)->addr, 16);
	else
		__builtin_memcpy(Request->Address, &ip_2_ip4(Address)->addr, 4);
}
