/* SPDX-License-Identifier: MIT */
/*
 * Lists for the engine: one at a time, in place, over memory of the stack's; nothing is allocated,
 * and nothing has to be freed when the engine returns.
 */
#include "guest/demo/net/tcpip/classify_lists.h"
#include "lwip/ip.h"
#include "lwip/netif.h"

#define TAG_DONE 0x656E6F44u /* Done */

enum {
	MAX_PARTS = 64, /* MDLs of a list */
	MAX_PAGES = 18, /* of an MDL: 64 KB and what is cut off at both ends */
	COMPARTMENT = 1,
};

struct part {
	MDL Mdl;
	ULONG_PTR Pages[MAX_PAGES];
};

struct net_done {
	struct net_done *Next;
	NET_COMPLETION Completion;
	NTSTATUS Status;
};

static struct part parts[MAX_PARTS];
static NET_BUFFER buffer;
static NET_BUFFER_LIST list;
static struct net_done *done_first, *done_last;

/* --- flows --- */

static VOID put_address(PUCHAR to, const ip_addr_t *address)
{
	AFD_REQUEST request;

	NetFromAddress(address, &request);
	__builtin_memcpy(to, request.Address, sizeof(request.Address));
}

static BOOLEAN is_own(const ip_addr_t *address)
{
	struct netif *netif;

	if (ip_addr_isloopback(address))
		return TRUE;
	NETIF_FOREACH(netif)
	{
		if (IP_IS_V6(address) ? netif_get_ip6_addr_match(netif, ip_2_ip6(address)) >= 0
				      : ip4_addr_cmp(netif_ip4_addr(netif), ip_2_ip4(address)))
			return TRUE;
	}
	return FALSE;
}

/* The one a packet to there leaves by. */
static struct netif *interface_to(const ip_addr_t *local, const ip_addr_t *remote)
{
	struct netif *netif = ip_route(local, remote);

	return netif != NULL ? netif : netif_default;
}

VOID NetDescribeFlow(PNET_SOCKET Socket, const ip_addr_t *Remote, USHORT RemotePort,
		     BOOLEAN Inbound, WFP_FLOW *Flow)
{
	struct netif *netif = interface_to(&Socket->Local, Remote);
	const ip_addr_t *local = &Socket->Local;

	if (ip_addr_isany(local) && netif != NULL)
		local = ip_netif_get_local_ip(netif, Remote);
	__builtin_memset(Flow, 0, sizeof(*Flow));
	Flow->AddressFamily = Socket->Family;
	Flow->Protocol = Socket->Protocol;
	Flow->Direction = Inbound ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND;
	Flow->IsLoopback = is_own(Remote);
	if (local != NULL)
		put_address(Flow->LocalAddress, local);
	put_address(Flow->RemoteAddress, Remote);
	Flow->LocalPort = Socket->LocalPort;
	Flow->RemotePort = RemotePort;
	Flow->ProcessId = Socket->Owner->ProcessId;
	Flow->ProcessPath = &Socket->Owner->Path;
	Flow->EndpointHandle = Socket->Id;
	Flow->CompartmentId = COMPARTMENT;
	Flow->InterfaceIndex = netif != NULL ? netif_get_index(netif) : 0;
	Flow->StackContext = (PVOID)(ULONG_PTR)Socket->Id;
}

/* --- lists out --- */

static VOID set_part(ULONG i, PVOID bytes, ULONG length)
{
	PMDL mdl = &parts[i].Mdl;
	ULONG_PTR va = (ULONG_PTR)bytes;

	mdl->Next = NULL;
	mdl->MdlFlags = 0;
	mdl->StartVa = (PVOID)(va & ~(ULONG_PTR)(PAGE_SIZE - 1));
	mdl->ByteOffset = (ULONG)(va & (PAGE_SIZE - 1));
	mdl->ByteCount = length;
	mdl->Size = (SHORT)(sizeof(*mdl) +
			    ((mdl->ByteOffset + length + PAGE_SIZE - 1) >> PAGE_SHIFT) *
				    sizeof(ULONG_PTR));
	MmBuildMdlForNonPagedPool(mdl);
	if (i != 0)
		parts[i - 1].Mdl.Next = mdl;
}

/* Over the first MDLs; the data begin Offset bytes into the first. */
static NET_BUFFER_LIST *finish(ULONG offset, SIZE_T length)
{
	__builtin_memset(&buffer, 0, sizeof(buffer));
	__builtin_memset(&list, 0, sizeof(list));
	buffer.MdlChain = buffer.CurrentMdl = &parts[0].Mdl;
	buffer.DataOffset = buffer.CurrentMdlOffset = offset;
	buffer.stDataLength = length;
	list.FirstNetBuffer = &buffer;
	return &list;
}

NET_BUFFER_LIST *NetListOfBytes(PVOID Bytes, SIZE_T Length)
{
	set_part(0, Bytes, (ULONG)Length);
	return finish(0, Length);
}

/* The pbufs of a chunk between its offset and its end; how many MDLs there are then. */
static ULONG add_chunk(PNET_CHUNK chunk, ULONG count, SIZE_T *length, SIZE_T max)
{
	ULONG at = 0;

	for (struct pbuf *p = chunk->Data; p != NULL && count < MAX_PARTS; p = p->next) {
		ULONG first = chunk->Offset > at ? chunk->Offset - at : 0;
		ULONG last = chunk->End - at < p->len ? chunk->End - at : p->len;

		if (first < last) {
			ULONG n = last - first;

			if (n > max - *length)
				n = (ULONG)(max - *length);
			if (n == 0)
				break;
			set_part(count++, (PUCHAR)p->payload + first, n);
			*length += n;
		}
		at += p->len;
		if (at >= chunk->End)
			break;
	}
	return count;
}

NET_BUFFER_LIST *NetListOfChunks(PNET_CHUNK First, SIZE_T Max, SIZE_T *Length)
{
	ULONG count = 0;

	*Length = 0;
	for (PNET_CHUNK chunk = First; chunk != NULL && count < MAX_PARTS && *Length < Max;
	     chunk = chunk->Next) {
		SIZE_T before = *Length;

		/* cut only what would never fit */
		if (chunk != First && chunk->End - chunk->Offset > Max - *Length)
			break;
		count = add_chunk(chunk, count, Length, Max);
		if (*Length - before != chunk->End - chunk->Offset)
			break; /* not whole: nothing behind it may come */
	}
	return finish(0, *Length);
}

NET_BUFFER_LIST *NetListOfDatagram(struct pbuf *Data, ULONG HeaderSize)
{
	ULONG count = 0;

	for (struct pbuf *p = Data; p != NULL && count < MAX_PARTS; p = p->next) {
		ULONG before = p == Data ? HeaderSize : 0;

		set_part(count++, (PUCHAR)p->payload - before, p->len + before);
	}
	return finish(HeaderSize, Data->tot_len);
}

/* --- lists in --- */

static VOID enter(PNET_LIST_CURSOR cursor, NET_BUFFER *at)
{
	cursor->Buffer = at;
	if (at == NULL)
		return;
	cursor->Mdl = at->CurrentMdl;
	cursor->Offset = at->CurrentMdlOffset;
	cursor->LeftInBuffer = at->DataLength;
}

VOID NetCursorBegin(PNET_LIST_CURSOR Cursor, NET_BUFFER_LIST *List, SIZE_T Length)
{
	__builtin_memset(Cursor, 0, sizeof(*Cursor));
	Cursor->Left = Length;
	if (List != NULL)
		enter(Cursor, List->FirstNetBuffer);
}

SIZE_T NetCursorBytes(PNET_LIST_CURSOR Cursor, const VOID **Bytes)
{
	SIZE_T n;

	while (Cursor->Buffer != NULL && Cursor->LeftInBuffer == 0)
		enter(Cursor, Cursor->Buffer->Next);
	if (Cursor->Buffer == NULL || Cursor->Left == 0)
		return 0;
	while (Cursor->Mdl != NULL && Cursor->Offset >= Cursor->Mdl->ByteCount) {
		Cursor->Offset -= Cursor->Mdl->ByteCount;
		Cursor->Mdl = Cursor->Mdl->Next;
	}
	if (Cursor->Mdl == NULL)
		return 0;
	n = Cursor->Mdl->ByteCount - Cursor->Offset;
	if (n > Cursor->LeftInBuffer)
		n = Cursor->LeftInBuffer;
	if (n > Cursor->Left)
		n = Cursor->Left;
	*Bytes = (PUCHAR)MmGetSystemAddressForMdlSafe(Cursor->Mdl, NormalPagePriority) +
		 Cursor->Offset;
	return n;
}

VOID NetCursorAdvance(PNET_LIST_CURSOR Cursor, SIZE_T Length)
{
	Cursor->Offset += (ULONG)Length;
	Cursor->LeftInBuffer -= (ULONG)Length;
	Cursor->Left -= Length;
}

static struct pbuf *copy_of(PNET_LIST_CURSOR cursor, SIZE_T length)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)length, PBUF_RAM);
	const VOID *bytes;
	SIZE_T at = 0, n;

	while (p != NULL && at < length && (n = NetCursorBytes(cursor, &bytes)) != 0) {
		if (n > length - at)
			n = length - at;
		__builtin_memcpy((PUCHAR)p->payload + at, bytes, n);
		NetCursorAdvance(cursor, n);
		at += n;
	}
	if (p != NULL && at != length) { /* the list is shorter than was said */
		pbuf_free(p);
		return NULL;
	}
	return p;
}

BOOLEAN NetChunksOfList(PNET_QUEUE Queue, NET_BUFFER_LIST *List, SIZE_T Length)
{
	const SIZE_T piece = 0xF000;
	NET_QUEUE made = { 0 };
	NET_LIST_CURSOR cursor;

	NetCursorBegin(&cursor, List, Length);
	while (cursor.Left != 0) {
		struct pbuf *p = copy_of(&cursor, cursor.Left < piece ? cursor.Left : piece);
		PNET_CHUNK chunk = p != NULL ? NetMakeChunk(p) : NULL;

		if (chunk == NULL) {
			if (p != NULL)
				pbuf_free(p);
			NetFreeQueue(&made);
			return FALSE;
		}
		chunk->Injected = TRUE;
		NetQueueAppend(&made, chunk);
	}
	while (made.First != NULL)
		NetQueueAppend(Queue, NetQueueTake(&made));
	return TRUE;
}

/* --- completions --- */

BOOLEAN NetPrepareCompletion(NET_COMPLETION *Completion)
{
	Completion->Done = NULL;
	if (Completion->List == NULL || Completion->Routine == NULL)
		return TRUE;
	Completion->Done = ExAllocatePoolWithTag(NonPagedPool, sizeof(*Completion->Done), TAG_DONE);
	return Completion->Done != NULL;
}

VOID NetCancelCompletion(NET_COMPLETION *Completion)
{
	if (Completion->Done != NULL)
		ExFreePoolWithTag(Completion->Done, TAG_DONE);
}

VOID NetQueueCompletion(const NET_COMPLETION *Completion, NTSTATUS Status)
{
	struct net_done *done = Completion->Done;

	if (done == NULL)
		return;
	done->Completion = *Completion;
	done->Status = Status;
	done->Next = NULL;
	if (done_first == NULL)
		done_first = done;
	else
		done_last->Next = done;
	done_last = done;
}

struct net_done *NetTakeCompletions(VOID)
{
	struct net_done *first = done_first;

	done_first = done_last = NULL;
	return first;
}

VOID NetRunCompletions(struct net_done *Done)
{
	while (Done != NULL) {
		struct net_done *next = Done->Next;

		Done->Completion.Routine(Done->Completion.Context, Done->Completion.List,
					 Done->Status, TRUE);
		ExFreePoolWithTag(Done, TAG_DONE);
		Done = next;
	}
}
