/* SPDX-License-Identifier: MIT */
/*
 * Lists for injection. A clone here is a copy. What Windows' clones do beside holding bytes, they
 * do too: a clone of what a program sends keeps that program's request from being completed. What
 * cannot be had is a reference to a list of the stack, which is good during classify only; taking
 * one is reported.
 */
#include "guest/demo/net/wfp/wfp_engine.h"

#define TAG_CLONE 0x436C4E57u /* WNlC */

/* What an allocated list has in NDIS's first word of it */
struct copy {
	ULONG magic;
	MDL *mdl;
	struct wfp_flow *sender; /* who waits for it; or NULL */
	UCHAR data[];
};
enum { COPY_SLOT = 0, COPY_MAGIC = 0x59504F43 };

static HANDLE WfpOwnPool;

static HANDLE own_pool(VOID)
{
	NET_BUFFER_LIST_POOL_PARAMETERS parameters = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS },
		.fAllocateNetBuffer = TRUE,
		.PoolTag = TAG_CLONE,
	};
	HANDLE none = NULL, made;

	if (WfpOwnPool != NULL)
		return WfpOwnPool;
	made = NdisAllocateNetBufferListPool(NULL, &parameters);
	if (made != NULL && !__atomic_compare_exchange_n(&WfpOwnPool, &none, made, FALSE,
							 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		NdisFreeNetBufferListPool(made); /* another processor was faster */
	return WfpOwnPool;
}

NTSTATUS NTAPI FwpsAllocateNetBufferAndNetBufferList0(HANDLE poolHandle, USHORT contextSize,
						      USHORT contextBackFill, MDL *mdlChain,
						      ULONG dataOffset, SIZE_T dataLength,
						      NET_BUFFER_LIST **netBufferList)
{
	if (!WfpCheckIrql("FwpsAllocateNetBufferAndNetBufferList0", DISPATCH_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	*netBufferList = NdisAllocateNetBufferAndNetBufferList(
		poolHandle, contextSize, contextBackFill, mdlChain, dataOffset, dataLength);
	return *netBufferList != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

VOID NTAPI FwpsFreeNetBufferList0(NET_BUFFER_LIST *netBufferList)
{
	WfpCheckIrql("FwpsFreeNetBufferList0", DISPATCH_LEVEL);
	if (netBufferList->NdisReserved[COPY_SLOT] != NULL)
		WfpViolation("FwpsFreeNetBufferList0 of a clone\n");
	NdisFreeNetBufferList(netBufferList);
}

/* --- bytes --- */

static SIZE_T copy_buffer(PUCHAR to, SIZE_T room, const NET_BUFFER *nb)
{
	MDL *mdl = nb->CurrentMdl;
	ULONG offset = nb->CurrentMdlOffset;
	SIZE_T left = nb->DataLength < room ? nb->DataLength : room;
	SIZE_T done = 0;

	for (; left != 0 && mdl != NULL; mdl = mdl->Next, offset = 0) {
		PUCHAR base = MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority);
		SIZE_T n = mdl->ByteCount - offset;

		if (base == NULL)
			break;
		if (n > left)
			n = left;
		__builtin_memcpy(to + done, base + offset, n);
		done += n;
		left -= n;
	}
	return done;
}

static SIZE_T copy_chain(PUCHAR to, SIZE_T room, const NET_BUFFER_LIST *chain)
{
	SIZE_T done = 0;

	for (; chain != NULL; chain = chain->Next) {
		for (const NET_BUFFER *nb = chain->FirstNetBuffer; nb != NULL; nb = nb->Next)
			done += copy_buffer(to + done, room - done, nb);
	}
	return done;
}

VOID NTAPI FwpsCopyStreamDataToBuffer0(const FWPS_STREAM_DATA0 *calloutStreamData, PVOID buffer,
				       SIZE_T bytesToCopy, SIZE_T *bytesCopied)
{
	SIZE_T room = bytesToCopy;

	WfpCheckIrql("FwpsCopyStreamDataToBuffer0", DISPATCH_LEVEL);
	if (room > calloutStreamData->dataLength)
		room = calloutStreamData->dataLength;
	*bytesCopied = copy_chain(buffer, room, calloutStreamData->netBufferListChain);
}

/* --- clones --- */

static VOID free_copy(struct copy *copy)
{
	struct wfp_flow *sender = copy->sender;

	if (copy->mdl != NULL)
		IoFreeMdl(copy->mdl);
	ExFreePoolWithTag(copy, TAG_CLONE);
	if (sender != NULL)
		WfpReleaseSend(sender);
}

/* A list over room for so many bytes */
static NTSTATUS allocate_copy(HANDLE pool, SIZE_T length, NET_BUFFER_LIST **list)
{
	struct copy *copy;

	*list = NULL;
	if (pool == NULL)
		pool = own_pool();
	copy = pool != NULL
		       ? ExAllocatePoolWithTag(NonPagedPool, sizeof(*copy) + length + 1, TAG_CLONE)
		       : NULL;
	if (copy == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	copy->magic = COPY_MAGIC;
	copy->sender = NULL;
	copy->mdl = IoAllocateMdl(copy->data, (ULONG)length + (length == 0), FALSE, FALSE, NULL);
	if (copy->mdl != NULL) {
		MmBuildMdlForNonPagedPool(copy->mdl);
		*list = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, copy->mdl, 0, length);
	}
	if (*list == NULL) {
		free_copy(copy);
		return STATUS_INSUFFICIENT_RESOURCES;
	}
	(*list)->NdisReserved[COPY_SLOT] = copy;
	return STATUS_SUCCESS;
}

static struct copy *copy_of(NET_BUFFER_LIST *list)
{
	return list->NdisReserved[COPY_SLOT];
}

static VOID free_clone(PCSTR function, NET_BUFFER_LIST *list)
{
	struct copy *copy = copy_of(list);

	if (copy == NULL || copy->magic != COPY_MAGIC) {
		WfpViolation("%s of a list that is no clone\n", function);
		return;
	}
	copy->magic = 0;
	free_copy(copy);
	NdisFreeNetBufferList(list);
}

/** The buffers of the original become one: what is cloned here are datagrams, one by one. */
NTSTATUS NTAPI FwpsAllocateCloneNetBufferList0(NET_BUFFER_LIST *originalNetBufferList,
					       HANDLE netBufferListPoolHandle,
					       HANDLE netBufferPoolHandle, ULONG allocateCloneFlags,
					       NET_BUFFER_LIST **netBufferList)
{
	NET_BUFFER *nb = originalNetBufferList->FirstNetBuffer;
	NTSTATUS status;

	if (!WfpCheckIrql("FwpsAllocateCloneNetBufferList0", DISPATCH_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	if (nb == NULL || nb->Next != NULL) /* one buffer a list is all this stack makes */
		return STATUS_NOT_SUPPORTED;
	status = allocate_copy(netBufferListPoolHandle, nb->DataLength, netBufferList);
	if (!NT_SUCCESS(status))
		return status;
	copy_buffer(copy_of(*netBufferList)->data, nb->DataLength, nb);
	(*netBufferList)->ParentNetBufferList = originalNetBufferList;
	return STATUS_SUCCESS;
}

VOID NTAPI FwpsFreeCloneNetBufferList0(NET_BUFFER_LIST *netBufferList, ULONG freeCloneFlags)
{
	WfpCheckIrql("FwpsFreeCloneNetBufferList0", DISPATCH_LEVEL);
	free_clone("FwpsFreeCloneNetBufferList0", netBufferList);
}

/** One list for all data, whatever the chain is made of. */
NTSTATUS NTAPI FwpsCloneStreamData0(FWPS_STREAM_DATA0 *calloutStreamData,
				    HANDLE netBufferListPoolHandle, HANDLE netBufferPoolHandle,
				    ULONG allocateCloneFlags, NET_BUFFER_LIST **netBufferListChain)
{
	struct wfp_flow *sender = WfpSenderInClassify();
	struct copy *copy;
	NTSTATUS status;

	if (!WfpCheckIrql("FwpsCloneStreamData0", DISPATCH_LEVEL))
		return STATUS_INVALID_DEVICE_STATE;
	status = allocate_copy(netBufferListPoolHandle, calloutStreamData->dataLength,
			       netBufferListChain);
	if (!NT_SUCCESS(status))
		return status;
	copy = copy_of(*netBufferListChain);
	copy_chain(copy->data, calloutStreamData->dataLength,
		   calloutStreamData->netBufferListChain);
	if (sender != NULL && calloutStreamData->dataLength != 0) {
		copy->sender = sender;
		WfpKeepSend(sender);
	}
	return STATUS_SUCCESS;
}

VOID NTAPI FwpsDiscardClonedStreamData0(NET_BUFFER_LIST *netBufferListChain,
					ULONG allocateCloneFlags, BOOLEAN dispatchLevel)
{
	WfpCheckIrql("FwpsDiscardClonedStreamData0", DISPATCH_LEVEL);
	while (netBufferListChain != NULL) {
		NET_BUFFER_LIST *next = netBufferListChain->Next;

		free_clone("FwpsDiscardClonedStreamData0", netBufferListChain);
		netBufferListChain = next;
	}
}

VOID NTAPI FwpsReferenceNetBufferList0(NET_BUFFER_LIST *netBufferList, BOOLEAN intendToModify)
{
	WfpViolation("FwpsReferenceNetBufferList0: lists of this stack cannot be kept, clone "
		     "them\n");
}

VOID NTAPI FwpsDereferenceNetBufferList0(NET_BUFFER_LIST *netBufferList, BOOLEAN dispatchLevel)
{
	WfpCheckIrql("FwpsDereferenceNetBufferList0", DISPATCH_LEVEL);
}
