/* SPDX-License-Identifier: MIT */
/* The bytes of a network buffer: to be seen, moved over, copied. */
#include "guest/demo/net/ndis/ndis.h"

#define TAG_RETREAT 0x7252644Eu /* NdRr */

/* A position in a chain of MDLs */
struct cursor {
	MDL *mdl;
	ULONG offset;
};

/* Forward over MDLs that end before the cursor */
static struct cursor settle(struct cursor at)
{
	while (at.mdl != NULL && at.offset >= at.mdl->ByteCount && at.mdl->Next != NULL) {
		at.offset -= at.mdl->ByteCount;
		at.mdl = at.mdl->Next;
	}
	return at;
}

static struct cursor start_of(PNET_BUFFER buffer, ULONG offset)
{
	struct cursor at = { buffer->CurrentMdl, buffer->CurrentMdlOffset + offset };

	return settle(at);
}

static PUCHAR address_of(struct cursor at)
{
	PUCHAR base = MmGetSystemAddressForMdlSafe(at.mdl, NormalPagePriority);

	return base != NULL ? base + at.offset : NULL;
}

static ULONG left_in(struct cursor at)
{
	return at.mdl != NULL && at.offset < at.mdl->ByteCount ? at.mdl->ByteCount - at.offset : 0;
}

VOID NdispFindCurrentMdl(PNET_BUFFER NetBuffer)
{
	struct cursor at = settle((struct cursor){ NetBuffer->MdlChain, NetBuffer->DataOffset });

	NetBuffer->CurrentMdl = at.mdl;
	NetBuffer->CurrentMdlOffset = at.offset;
}

/* FALSE: the chain is shorter than it says. */
static BOOLEAN gather(struct cursor at, PUCHAR to, ULONG bytes)
{
	while (bytes != 0) {
		ULONG n = left_in(at);
		PUCHAR from;

		if (n == 0 || (from = address_of(at)) == NULL)
			return FALSE;
		if (n > bytes)
			n = bytes;
		__builtin_memcpy(to, from, n);
		to += n;
		bytes -= n;
		at.offset += n;
		at = settle(at);
	}
	return TRUE;
}

static BOOLEAN is_aligned(PUCHAR at, ULONG multiple, ULONG offset)
{
	return multiple <= 1 || ((ULONG_PTR)at & (multiple - 1)) == offset;
}

PVOID NTAPI NdisGetDataBuffer(PNET_BUFFER NetBuffer, ULONG BytesNeeded, PVOID Storage,
			      ULONG AlignMultiple, ULONG AlignOffset)
{
	struct cursor at = start_of(NetBuffer, 0);
	PUCHAR in_place;

	if (BytesNeeded == 0 || BytesNeeded > NetBuffer->DataLength)
		return NULL;
	in_place = left_in(at) >= BytesNeeded ? address_of(at) : NULL;
	if (in_place != NULL && is_aligned(in_place, AlignMultiple, AlignOffset))
		return in_place;
	if (Storage == NULL || !gather(at, Storage, BytesNeeded))
		return NULL;
	return Storage;
}

/* Room for bytes more in front: an MDL with its memory behind it, so that both go together.
 * Process, which is NULL for nonpaged memory, says that it is one of these. */
static MDL *allocate_front(ULONG bytes)
{
	PUCHAR memory = ExAllocatePoolWithTag(NonPagedPool, bytes, TAG_RETREAT);
	MDL *mdl;

	if (memory == NULL)
		return NULL;
	mdl = IoAllocateMdl(memory, bytes, FALSE, FALSE, NULL);
	if (mdl == NULL) {
		ExFreePoolWithTag(memory, TAG_RETREAT);
		return NULL;
	}
	MmBuildMdlForNonPagedPool(mdl);
	mdl->Process = (struct _EPROCESS *)allocate_front;
	return mdl;
}

static BOOLEAN is_front(const MDL *mdl)
{
	return mdl->Process == (struct _EPROCESS *)allocate_front;
}

NTSTATUS NTAPI NdisRetreatNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta,
					     ULONG DataBackFill, PVOID AllocateMdlHandler)
{
	if (AllocateMdlHandler != NULL)
		return STATUS_NOT_SUPPORTED;
	if (NetBuffer->DataOffset < DataOffsetDelta) {
		ULONG missing = DataOffsetDelta - NetBuffer->DataOffset;
		MDL *front = allocate_front(missing + DataBackFill);

		if (front == NULL)
			return STATUS_INSUFFICIENT_RESOURCES;
		front->Next = NetBuffer->MdlChain;
		NetBuffer->MdlChain = front;
		NetBuffer->DataOffset = DataBackFill;
	} else {
		NetBuffer->DataOffset -= DataOffsetDelta;
	}
	NetBuffer->stDataLength += DataOffsetDelta;
	NdispFindCurrentMdl(NetBuffer);
	return STATUS_SUCCESS;
}

VOID NTAPI NdisAdvanceNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta,
					 BOOLEAN FreeMdl, PVOID FreeMdlHandler)
{
	NetBuffer->DataOffset += DataOffsetDelta;
	NetBuffer->stDataLength -= DataOffsetDelta;
	while (FreeMdl && is_front(NetBuffer->MdlChain) &&
	       NetBuffer->DataOffset >= NetBuffer->MdlChain->ByteCount) {
		MDL *front = NetBuffer->MdlChain;

		NetBuffer->MdlChain = front->Next;
		NetBuffer->DataOffset -= front->ByteCount;
		ExFreePoolWithTag(front->MappedSystemVa, TAG_RETREAT);
		IoFreeMdl(front);
	}
	NdispFindCurrentMdl(NetBuffer);
}

NTSTATUS NTAPI NdisCopyFromNetBufferToNetBuffer(PNET_BUFFER Destination, ULONG DestinationOffset,
						ULONG BytesToCopy, PNET_BUFFER Source,
						ULONG SourceOffset, PULONG BytesCopied)
{
	struct cursor to = start_of(Destination, DestinationOffset);
	ULONG done = 0;

	*BytesCopied = 0;
	if (DestinationOffset > Destination->DataLength || SourceOffset > Source->DataLength)
		return STATUS_INVALID_PARAMETER;
	if (BytesToCopy > Destination->DataLength - DestinationOffset)
		BytesToCopy = Destination->DataLength - DestinationOffset;
	if (BytesToCopy > Source->DataLength - SourceOffset)
		BytesToCopy = Source->DataLength - SourceOffset;
	while (done < BytesToCopy) {
		ULONG n = left_in(to);
		PUCHAR at = n != 0 ? address_of(to) : NULL;

		if (n > BytesToCopy - done)
			n = BytesToCopy - done;
		if (at == NULL || !gather(start_of(Source, SourceOffset + done), at, n))
			return STATUS_INSUFFICIENT_RESOURCES;
		done += n;
		to.offset += n;
		to = settle(to);
	}
	*BytesCopied = done;
	return STATUS_SUCCESS;
}
