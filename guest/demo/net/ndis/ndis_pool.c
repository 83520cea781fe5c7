/* SPDX-License-Identifier: MIT */
/*
 * Pools, and the lists allocated from them. A list, its buffer and its context are one piece of
 * memory. The objects that pools hang on are there to be counted: what is left over when they are
 * freed is a driver's mistake, and said.
 */
#include "guest/demo/net/ndis/ndis.h"

#define TAG_NDIS 0x7369644Eu /* Ndis */

enum {
	LIST_INFO_SLOTS =
		24, /* as many as NDIS 6.x has, about; who gets a list may write to them */
};

struct ndis_object {
	ULONG Tag;
	volatile LONG Children;
};

struct ndis_pool {
	struct ndis_object *Owner; /* or NULL */
	ULONG Tag;
	USHORT ContextSize;
	BOOLEAN WithBuffer;
	volatile LONG Lists;
};

/* What NET_BUFFER_LIST.Context points to: the innermost driver's data first. */
typedef struct _NET_BUFFER_LIST_CONTEXT {
	struct _NET_BUFFER_LIST_CONTEXT *Next;
	USHORT Size;
	USHORT Offset;
	NDIS_ALIGNED UCHAR ContextData[];
} NET_BUFFER_LIST_CONTEXT;

struct ndis_list {
	NET_BUFFER_LIST List;
	PVOID MoreInfo[LIST_INFO_SLOTS - 1]; /* behind List.NetBufferListInfo[0] */
	NET_BUFFER Buffer;
	NET_BUFFER_LIST_CONTEXT Context;
};

static VOID report_leak(PCSTR what, ULONG tag, LONG left)
{
	if (left != 0)
		DbgPrint("ndis: %s of %c%c%c%c freed, %d left in it\n", what, tag & 0xFF,
			 tag >> 8 & 0xFF, tag >> 16 & 0xFF, tag >> 24, left);
}

HANDLE NTAPI NdisAllocateGenericObject(struct _DRIVER_OBJECT *DriverObject, ULONG Tag, USHORT Size)
{
	struct ndis_object *object = ExAllocatePoolWithTag(NonPagedPool, sizeof(*object), TAG_NDIS);

	if (object == NULL)
		return NULL;
	object->Tag = Tag;
	object->Children = 0;
	return object;
}

VOID NTAPI NdisFreeGenericObject(HANDLE NdisObject)
{
	struct ndis_object *object = NdisObject;

	report_leak("object", object->Tag, object->Children);
	ExFreePoolWithTag(object, TAG_NDIS);
}

HANDLE NTAPI NdisAllocateNetBufferListPool(HANDLE NdisHandle,
					   PNET_BUFFER_LIST_POOL_PARAMETERS Parameters)
{
	struct ndis_pool *pool;

	if (Parameters->Header.Type != NDIS_OBJECT_TYPE_DEFAULT ||
	    Parameters->Header.Size < NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS)
		return NULL;
	pool = ExAllocatePoolWithTag(NonPagedPool, sizeof(*pool), TAG_NDIS);
	if (pool == NULL)
		return NULL;
	pool->Owner = NdisHandle;
	pool->Tag = Parameters->PoolTag;
	pool->ContextSize = Parameters->ContextSize;
	pool->WithBuffer = Parameters->fAllocateNetBuffer && Parameters->DataSize == 0;
	pool->Lists = 0;
	if (pool->Owner != NULL)
		__atomic_add_fetch(&pool->Owner->Children, 1, __ATOMIC_RELAXED);
	return pool;
}

VOID NTAPI NdisFreeNetBufferListPool(HANDLE PoolHandle)
{
	struct ndis_pool *pool = PoolHandle;

	report_leak("list pool", pool->Tag, pool->Lists);
	if (pool->Owner != NULL)
		__atomic_sub_fetch(&pool->Owner->Children, 1, __ATOMIC_RELAXED);
	ExFreePoolWithTag(pool, TAG_NDIS);
}

PNET_BUFFER_LIST NTAPI NdisAllocateNetBufferAndNetBufferList(HANDLE PoolHandle, USHORT ContextSize,
							     USHORT ContextBackFill, MDL *MdlChain,
							     ULONG DataOffset, SIZE_T DataLength)
{
	struct ndis_pool *pool = PoolHandle;
	ULONG context = (ULONG)ContextSize + ContextBackFill;
	struct ndis_list *list;

	if (!pool->WithBuffer) /* such a pool has lists without buffers */
		return NULL;
	list = ExAllocatePoolWithTag(NonPagedPool, sizeof(*list) + context, pool->Tag);
	if (list == NULL)
		return NULL;
	__builtin_memset(list, 0, sizeof(*list) + context);
	list->List.FirstNetBuffer = &list->Buffer;
	list->List.NdisPoolHandle = pool;
	list->Buffer.NdisPoolHandle = pool;
	if (context != 0) {
		list->Context.Size = (USHORT)context;
		list->Context.Offset = ContextBackFill;
		list->List.Context = &list->Context;
	}
	list->Buffer.MdlChain = MdlChain;
	list->Buffer.DataOffset = DataOffset;
	list->Buffer.stDataLength = DataLength;
	NdispFindCurrentMdl(&list->Buffer);
	__atomic_add_fetch(&pool->Lists, 1, __ATOMIC_RELAXED);
	return &list->List;
}

VOID NTAPI NdisFreeNetBufferList(PNET_BUFFER_LIST NetBufferList)
{
	struct ndis_pool *pool = NetBufferList->NdisPoolHandle;

	__atomic_sub_fetch(&pool->Lists, 1, __ATOMIC_RELAXED);
	ExFreePoolWithTag(NetBufferList, pool->Tag);
}

/** Loaded by its importers; there is nothing to start. */
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
	return STATUS_SUCCESS;
}
