/* SPDX-License-Identifier: MIT */
/* Network buffers: made as drivers make them, and what ndis.sys does with their bytes. */
#include "guest/demo/net/wfptest/wfptest.h"

static HANDLE object, pool;

VOID TestOpenPool(VOID)
{
	NET_BUFFER_LIST_POOL_PARAMETERS parameters = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS },
		.fAllocateNetBuffer = TRUE,
		.PoolTag = TAG_TEST,
	};

	object = NdisAllocateGenericObject(TestDevice->DriverObject, TAG_TEST, 0);
	pool = NdisAllocateNetBufferListPool(object, &parameters);
	TestCheck(object != NULL && pool != NULL, "a pool for lists");
}

VOID TestClosePool(VOID)
{
	NdisFreeNetBufferListPool(pool);
	NdisFreeGenericObject(object);
}

static MDL *make_mdl(const VOID *bytes, ULONG length)
{
	PUCHAR copy = TestAllocate(length + 1);
	MDL *mdl;

	__builtin_memcpy(copy, bytes, length);
	mdl = IoAllocateMdl(copy, length, FALSE, FALSE, NULL);
	MmBuildMdlForNonPagedPool(mdl);
	return mdl;
}

static VOID free_mdl(MDL *mdl)
{
	ExFreePoolWithTag(mdl->MappedSystemVa, TAG_TEST);
	IoFreeMdl(mdl);
}

NET_BUFFER_LIST *TestMakeList(const VOID *Bytes, ULONG Length)
{
	NET_BUFFER_LIST *list = NULL;

	FwpsAllocateNetBufferAndNetBufferList0(pool, 0, 0, make_mdl(Bytes, Length), 0, Length,
					       &list);
	return list;
}

VOID TestFreeList(NET_BUFFER_LIST *List)
{
	MDL *next;

	for (MDL *mdl = List->FirstNetBuffer->MdlChain; mdl != NULL; mdl = next) {
		next = mdl->Next;
		free_mdl(mdl);
	}
	FwpsFreeNetBufferList0(List);
}

/* "abcd" "efgh" "ij", beginning with c */
static NET_BUFFER_LIST *make_scattered(VOID)
{
	MDL *a = make_mdl("abcd", 4), *b = make_mdl("efgh", 4), *c = make_mdl("ij", 2);
	NET_BUFFER_LIST *list = NULL;

	a->Next = b;
	b->Next = c;
	FwpsAllocateNetBufferAndNetBufferList0(pool, 0, 0, a, 2, 8, &list);
	return list;
}

static VOID test_data(NET_BUFFER *nb)
{
	CHAR storage[8];
	PCHAR at = NdisGetDataBuffer(nb, 2, NULL, 1, 0);

	TestCheck(at != NULL && at[0] == 'c' && at != storage, "bytes in one piece stay in place");
	TestCheck(NdisGetDataBuffer(nb, 3, NULL, 1, 0) == NULL &&
			  NdisGetDataBuffer(nb, 9, storage, 1, 0) == NULL,
		  "scattered ones without storage, or too many, are not to be had");
	TestCheck(NdisGetDataBuffer(nb, 8, storage, 1, 0) == storage &&
			  __builtin_memcmp(storage, "cdefghij", 8) == 0,
		  "scattered ones are gathered");
}

static VOID test_start(NET_BUFFER *nb)
{
	CHAR storage[16];

	NdisAdvanceNetBufferDataStart(nb, 3, FALSE, NULL);
	TestCheck(nb->DataLength == 5 && nb->DataOffset == 5 && nb->CurrentMdlOffset == 1 &&
			  nb->CurrentMdl == nb->MdlChain->Next,
		  "the start advances into another MDL");
	NdisRetreatNetBufferDataStart(nb, 5, 0, NULL);
	TestCheck(nb->DataLength == 10 && nb->DataOffset == 0 && nb->CurrentMdl == nb->MdlChain,
		  "and retreats where there is room");
	TestCheck(NT_SUCCESS(NdisRetreatNetBufferDataStart(nb, 3, 4, NULL)) &&
			  nb->DataLength == 13 && nb->DataOffset == 4 &&
			  nb->MdlChain->ByteCount == 7,
		  "or makes room");
	__builtin_memcpy(NdisGetDataBuffer(nb, 3, NULL, 1, 0), "xyz", 3);
	TestCheck(NdisGetDataBuffer(nb, 13, storage, 1, 0) == storage &&
			  __builtin_memcmp(storage, "xyzabcdefghij", 13) == 0,
		  "which comes before the rest");
	NdisAdvanceNetBufferDataStart(nb, 3, TRUE, NULL);
	TestCheck(nb->DataLength == 10 && nb->DataOffset == 0 && nb->MdlChain->ByteCount == 4,
		  "and goes again");
}

static VOID test_copy(NET_BUFFER *from)
{
	NET_BUFFER_LIST *to = TestMakeList("..........", 10);
	ULONG n = 0;

	TestCheck(NT_SUCCESS(NdisCopyFromNetBufferToNetBuffer(to->FirstNetBuffer, 2, 100, from, 1,
							      &n)) &&
			  n == 8,
		  "a copy ends with the shorter buffer");
	TestCheck(__builtin_memcmp(NdisGetDataBuffer(to->FirstNetBuffer, 10, NULL, 1, 0),
				   "..bcdefghi", 10) == 0,
		  "and goes across MDLs");
	TestFreeList(to);
}

static VOID test_clone(NET_BUFFER_LIST *list)
{
	NET_BUFFER_LIST *clone = NULL;
	NTSTATUS status = FwpsAllocateCloneNetBufferList0(list, pool, NULL, 0, &clone);

	TestCheck(NT_SUCCESS(status) && clone->ParentNetBufferList == list &&
			  __builtin_memcmp(NdisGetDataBuffer(clone->FirstNetBuffer, 10, NULL, 1, 0),
					   "abcdefghij", 10) == 0,
		  "a clone has the bytes");
	FwpsFreeCloneNetBufferList0(clone, 0);
	FwpsFreeCloneNetBufferList0(list, 0);
	TestViolates("what is no clone is not freed as one");
}

VOID TestLists(VOID)
{
	NET_BUFFER_LIST *list = make_scattered();

	test_data(list->FirstNetBuffer);
	test_start(list->FirstNetBuffer);
	test_copy(list->FirstNetBuffer);
	test_clone(list);
	TestFreeList(list);
}
