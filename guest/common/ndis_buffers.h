/* SPDX-License-Identifier: MIT */
/*
 * Network buffers and the functions of ndis.sys about them, in our own words (traffic
 * facts 2.4, 2.5). What NDIS 6.0 to 6.8x have in common; nothing a miniport needs.
 */
#ifndef KD_GUEST_NDIS_BUFFERS_H
#define KD_GUEST_NDIS_BUFFERS_H

#include "guest/common/nt_driver_base.h"

#ifdef KD_GUEST_NDIS /* ndis.sys itself */
#define NDISAPI
#else
#define NDISAPI DLLIMPORT
#endif

#define NDIS_ALIGNED __attribute__((aligned(NT_CPU(8, 16))))

/* A run of bytes in a chain of MDLs: DataLength of them, from CurrentMdlOffset in CurrentMdl on,
 * which is DataOffset in the chain that begins with MdlChain. */
typedef struct NDIS_ALIGNED _NET_BUFFER {
	struct _NET_BUFFER *Next;
	MDL *CurrentMdl;
	ULONG CurrentMdlOffset;
	union {
		ULONG DataLength;
		SIZE_T stDataLength;
	};
	MDL *MdlChain;
	ULONG DataOffset;
	__attribute__((aligned(sizeof(PVOID))))
	USHORT ChecksumBias; /* above: a structure of its own */
	USHORT Reserved;
	HANDLE NdisPoolHandle;
	NDIS_ALIGNED PVOID NdisReserved[2];
	NDIS_ALIGNED PVOID ProtocolReserved[6];
	NDIS_ALIGNED PVOID MiniportReserved[4];
	ULONG64 DataPhysicalAddress;
	PVOID SharedMemoryInfo;
} NET_BUFFER, *PNET_BUFFER;
C_ASSERT(sizeof(NET_BUFFER) == NT_CPU(0x60, 0xB0));
ASSERT_OFFSET(NET_BUFFER, CurrentMdl, NT_CPU(4, 8));
ASSERT_OFFSET(NET_BUFFER, CurrentMdlOffset, NT_CPU(8, 0x10));
ASSERT_OFFSET(NET_BUFFER, DataLength, NT_CPU(0xC, 0x18));
ASSERT_OFFSET(NET_BUFFER, MdlChain, NT_CPU(0x10, 0x20));
ASSERT_OFFSET(NET_BUFFER, DataOffset, NT_CPU(0x14, 0x28));
ASSERT_OFFSET(NET_BUFFER, ChecksumBias, NT_CPU(0x18, 0x30));
ASSERT_OFFSET(NET_BUFFER, NdisPoolHandle, NT_CPU(0x1C, 0x38));
ASSERT_OFFSET(NET_BUFFER, NdisReserved, NT_CPU(0x20, 0x40));
ASSERT_OFFSET(NET_BUFFER, ProtocolReserved, NT_CPU(0x28, 0x50));
ASSERT_OFFSET(NET_BUFFER, MiniportReserved, NT_CPU(0x40, 0x80));
ASSERT_OFFSET(NET_BUFFER, DataPhysicalAddress, NT_CPU(0x50, 0xA0));
ASSERT_OFFSET(NET_BUFFER, SharedMemoryInfo, NT_CPU(0x58, 0xA8));

typedef struct NDIS_ALIGNED _NET_BUFFER_LIST {
	struct _NET_BUFFER_LIST *Next;
	NET_BUFFER *FirstNetBuffer;
	PVOID Context;
	struct _NET_BUFFER_LIST *ParentNetBufferList;
	HANDLE NdisPoolHandle;
	NDIS_ALIGNED PVOID NdisReserved[2];
	NDIS_ALIGNED PVOID ProtocolReserved[4];
	NDIS_ALIGNED PVOID MiniportReserved[2];
	PVOID Scratch;
	HANDLE SourceHandle;
	ULONG NblFlags;
	LONG ChildRefCount;
	ULONG Flags;
	NTSTATUS Status;
	PVOID NetBufferListInfo[1]; /* slot 0: checksums; how many there are differs with the
				       version */
} NET_BUFFER_LIST, *PNET_BUFFER_LIST;
C_ASSERT(sizeof(NET_BUFFER_LIST) == NT_CPU(0x58, 0xA0));
ASSERT_OFFSET(NET_BUFFER_LIST, FirstNetBuffer, NT_CPU(4, 8));
ASSERT_OFFSET(NET_BUFFER_LIST, Context, NT_CPU(8, 0x10));
ASSERT_OFFSET(NET_BUFFER_LIST, ParentNetBufferList, NT_CPU(0xC, 0x18));
ASSERT_OFFSET(NET_BUFFER_LIST, NdisPoolHandle, NT_CPU(0x10, 0x20));
ASSERT_OFFSET(NET_BUFFER_LIST, NdisReserved, NT_CPU(0x18, 0x30));
ASSERT_OFFSET(NET_BUFFER_LIST, ProtocolReserved, NT_CPU(0x20, 0x40));
ASSERT_OFFSET(NET_BUFFER_LIST, MiniportReserved, NT_CPU(0x30, 0x60));
ASSERT_OFFSET(NET_BUFFER_LIST, Scratch, NT_CPU(0x38, 0x70));
ASSERT_OFFSET(NET_BUFFER_LIST, SourceHandle, NT_CPU(0x3C, 0x78));
ASSERT_OFFSET(NET_BUFFER_LIST, NblFlags, NT_CPU(0x40, 0x80));
ASSERT_OFFSET(NET_BUFFER_LIST, ChildRefCount, NT_CPU(0x44, 0x84));
ASSERT_OFFSET(NET_BUFFER_LIST, Flags, NT_CPU(0x48, 0x88));
ASSERT_OFFSET(NET_BUFFER_LIST, Status, NT_CPU(0x4C, 0x8C));
ASSERT_OFFSET(NET_BUFFER_LIST, NetBufferListInfo, NT_CPU(0x50, 0x90));

#define NDIS_OBJECT_TYPE_DEFAULT                    0x80
#define NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1  1
#define NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS 0x10

typedef struct _NDIS_OBJECT_HEADER {
	UCHAR Type;
	UCHAR Revision;
	USHORT Size;
} NDIS_OBJECT_HEADER;

typedef struct _NET_BUFFER_LIST_POOL_PARAMETERS {
	NDIS_OBJECT_HEADER Header;
	UCHAR ProtocolId;
	BOOLEAN fAllocateNetBuffer;
	USHORT ContextSize;
	ULONG PoolTag;
	ULONG DataSize;
	ULONG Flags; /* of revision 2 */
} NET_BUFFER_LIST_POOL_PARAMETERS, *PNET_BUFFER_LIST_POOL_PARAMETERS;
C_ASSERT(sizeof(NET_BUFFER_LIST_POOL_PARAMETERS) == 0x14);
ASSERT_OFFSET(NET_BUFFER_LIST_POOL_PARAMETERS, ProtocolId, 4);
ASSERT_OFFSET(NET_BUFFER_LIST_POOL_PARAMETERS, fAllocateNetBuffer, 5);
ASSERT_OFFSET(NET_BUFFER_LIST_POOL_PARAMETERS, ContextSize, 6);
ASSERT_OFFSET(NET_BUFFER_LIST_POOL_PARAMETERS, PoolTag, 8);
ASSERT_OFFSET(NET_BUFFER_LIST_POOL_PARAMETERS, DataSize, 0xC);

/* --- functions, at <= DISPATCH_LEVEL --- */
/** Something to hang pools on for who has no adapter. */
NDISAPI HANDLE NTAPI NdisAllocateGenericObject(struct _DRIVER_OBJECT *DriverObject, ULONG Tag,
					       USHORT Size);
NDISAPI VOID NTAPI NdisFreeGenericObject(HANDLE NdisObject);
NDISAPI HANDLE NTAPI NdisAllocateNetBufferListPool(HANDLE NdisHandle,
						   PNET_BUFFER_LIST_POOL_PARAMETERS Parameters);
NDISAPI VOID NTAPI NdisFreeNetBufferListPool(HANDLE PoolHandle);
/** A list with one buffer that describes DataLength bytes of MdlChain from DataOffset on. */
NDISAPI PNET_BUFFER_LIST NTAPI
NdisAllocateNetBufferAndNetBufferList(HANDLE PoolHandle, USHORT ContextSize, USHORT ContextBackFill,
				      MDL *MdlChain, ULONG DataOffset, SIZE_T DataLength);
NDISAPI VOID NTAPI NdisFreeNetBufferList(PNET_BUFFER_LIST NetBufferList);
/** The first BytesNeeded bytes: in place where they lie in one piece, else copied to Storage; NULL
 * if there are fewer, or they are scattered and Storage is NULL. */
NDISAPI PVOID NTAPI NdisGetDataBuffer(PNET_BUFFER NetBuffer, ULONG BytesNeeded, PVOID Storage,
				      ULONG AlignMultiple, ULONG AlignOffset);
/** Begin earlier: in the room before the data, or in a new MDL if that is too small. */
NDISAPI NTSTATUS NTAPI NdisRetreatNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta,
						     ULONG DataBackFill, PVOID AllocateMdlHandler);
NDISAPI VOID NTAPI NdisAdvanceNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta,
						 BOOLEAN FreeMdl, PVOID FreeMdlHandler);
NDISAPI NTSTATUS NTAPI NdisCopyFromNetBufferToNetBuffer(PNET_BUFFER Destination,
							ULONG DestinationOffset, ULONG BytesToCopy,
							PNET_BUFFER Source, ULONG SourceOffset,
							PULONG BytesCopied);

#endif
