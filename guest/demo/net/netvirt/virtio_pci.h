/* SPDX-License-Identifier: MIT */
/* Registers of virtio 1.0 over PCI, and the ring ("split virtqueue") both sides share. */
#ifndef KD_DEMO_VIRTIO_PCI_H
#define KD_DEMO_VIRTIO_PCI_H

#include "guest/demo/inc/nt_driver.h"

enum {
	VIRTIO_VENDOR = 0x1AF4,
	VIRTIO_NET_MODERN = 0x1041,
	VIRTIO_NET_TRANSITIONAL = 0x1000,
	PCI_CAP_VENDOR = 0x09,
	PCI_CAP_MSIX = 0x11,
	VIRTIO_CAP_COMMON = 1,
	VIRTIO_CAP_NOTIFY = 2,
	VIRTIO_CAP_DEVICE = 4,
	VIRTIO_STATUS_ACKNOWLEDGE = 1,
	VIRTIO_STATUS_DRIVER = 2,
	VIRTIO_STATUS_DRIVER_OK = 4,
	VIRTIO_STATUS_FEATURES_OK = 8,
	VIRTIO_NO_VECTOR = 0xFFFF,
	VIRTQ_NEXT = 1,
	VIRTQ_WRITE = 2,
	VIRTQ_NO_INTERRUPT = 1, /* avail flags */
	VIRTQ_NO_NOTIFY = 1,    /* used flags */
};

#define VIRTIO_NET_F_MAC   (1ull << 5)
#define VIRTIO_F_VERSION_1 (1ull << 32)

typedef struct _VIRTIO_COMMON {
	volatile ULONG DeviceFeatureSelect;
	volatile ULONG DeviceFeature;
	volatile ULONG DriverFeatureSelect;
	volatile ULONG DriverFeature;
	volatile USHORT ConfigVector;
	volatile USHORT NumQueues;
	volatile UCHAR Status;
	volatile UCHAR ConfigGeneration;
	volatile USHORT QueueSelect;
	volatile USHORT QueueSize;
	volatile USHORT QueueVector;
	volatile USHORT QueueEnable;
	volatile USHORT QueueNotifyOffset;
	volatile ULONG QueueDesc[2];
	volatile ULONG QueueDriver[2];
	volatile ULONG QueueDevice[2];
} VIRTIO_COMMON;
C_ASSERT(sizeof(VIRTIO_COMMON) == 56);

typedef struct _VIRTQ_DESC {
	ULONG64 Address;
	ULONG Length;
	USHORT Flags;
	USHORT Next;
} VIRTQ_DESC;

enum { VIRTQ_MAX = 256 }; /* each part of the ring is one page */

typedef struct _VIRTQ_AVAIL {
	USHORT Flags;
	volatile USHORT Index;
	USHORT Ring[VIRTQ_MAX];
} VIRTQ_AVAIL;

typedef struct _VIRTQ_USED {
	volatile USHORT Flags;
	volatile USHORT Index;
	struct {
		ULONG Id;
		ULONG Length;
	} Ring[VIRTQ_MAX];
} VIRTQ_USED;

typedef struct _VIRTQ {
	VIRTQ_DESC *Desc;
	VIRTQ_AVAIL *Avail;
	volatile VIRTQ_USED *Used;
	volatile USHORT *Notify;
	USHORT Size;
	USHORT Number;
	USHORT Next;     /* Avail->Index, before it is published */
	USHORT SeenUsed; /* Used->Index up to where it was looked at */
} VIRTQ, *PVIRTQ;

typedef struct _VIRTIO_DEVICE {
	ULONG Bus, Slot;
	VIRTIO_COMMON *Common;
	PUCHAR NotifyBase;
	ULONG NotifyMultiplier;
	PUCHAR DeviceConfig;
	volatile ULONG *MsixTable;
	PUCHAR Bars[6];
} VIRTIO_DEVICE, *PVIRTIO_DEVICE;

/** Find a network card on any bus; map what its capabilities name. */
NTSTATUS VirtioFind(PVIRTIO_DEVICE Device);
/** Reset it and agree on the features of Wanted it has; *Agreed gets them. */
NTSTATUS VirtioNegotiate(PVIRTIO_DEVICE Device, ULONG64 Wanted, PULONG64 Agreed);
/** One message for all queues that ask for it, on processor 0. */
VOID VirtioSetMessage(PVIRTIO_DEVICE Device, ULONG Vector);
NTSTATUS VirtioCreateQueue(PVIRTIO_DEVICE Device, PVIRTQ Queue, USHORT Number, BOOLEAN Interrupts);
VOID VirtioStart(PVIRTIO_DEVICE Device);
/** Zeroed pages, next to each other in address space only; NULL if there are none. */
PVOID VirtioAllocatePages(ULONG Count);
static inline ULONG64 VirtioPhysical(PVOID Va)
{
	return (ULONG64)MmGetPhysicalAddress(Va).QuadPart;
}

/** Put the descriptor Head on the queue; VirtqPublish makes it seen. */
static inline VOID VirtqAdd(PVIRTQ Queue, USHORT Head)
{
	Queue->Avail->Ring[Queue->Next & (Queue->Size - 1)] = Head;
	Queue->Next++;
}

static inline VOID VirtqPublish(PVIRTQ Queue)
{
	if (Queue->Avail->Index == Queue->Next)
		return;
	__atomic_store_n(&Queue->Avail->Index, Queue->Next, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((Queue->Used->Flags & VIRTQ_NO_NOTIFY) == 0)
		*Queue->Notify = Queue->Number;
}

#endif
