/* SPDX-License-Identifier: MIT */
/*
 * netvirt.sys: the driver of QEMU's virtio-net-pci. It moves frames between the card's two queues
 * and tcpip.sys. QEMU's user network offers neither checksums nor segmentation to the card.
 */
#include "guest/demo/net/inc/net_adapter.h"
#include "guest/demo/net/netvirt/virtio_pci.h"

enum {
	QUEUE_RECEIVE = 0,
	QUEUE_TRANSMIT = 1,
	HEADER_SIZE = 12, /* before every frame */
	SLOT_SIZE = 2048,
	RECEIVE_SLOTS = 1024, /* as many as the queue has are the card's, the rest is on the way */
};

/* One receive buffer; two of them are a page. */
struct receive_slot {
	NET_FRAME Frame;
	struct receive_slot *Next;
	ULONG64 Physical;
	UCHAR Header[HEADER_SIZE];
	UCHAR Data[NET_FRAME_SIZE + 4];
};
C_ASSERT(sizeof(struct receive_slot) <= SLOT_SIZE);

static struct {
	VIRTIO_DEVICE Device;
	NET_ADAPTER Adapter;
	VIRTQ Receive, Transmit;
	struct receive_slot *ByDescriptor[VIRTQ_MAX];
	struct receive_slot *Spare;
	ULONG SpareCount;
	USHORT EmptyDescriptors[VIRTQ_MAX]; /* of the receive queue, without a buffer */
	ULONG EmptyCount;
	PUCHAR TransmitSlots[VIRTQ_MAX];
	USHORT TransmitNext;
} Net;

volatile ULONG64 NetvirtFramesSent, NetvirtFramesReceived, NetvirtFramesLost;

/* --- receive --- */

static VOID give_to_card(USHORT descriptor, struct receive_slot *slot)
{
	VIRTQ_DESC *desc = &Net.Receive.Desc[descriptor];

	Net.ByDescriptor[descriptor] = slot;
	desc->Address = slot->Physical + FIELD_OFFSET(struct receive_slot, Header);
	desc->Length = HEADER_SIZE + sizeof(slot->Data);
	desc->Flags = VIRTQ_WRITE;
	VirtqAdd(&Net.Receive, descriptor);
}

static VOID fill_receive_queue(VOID)
{
	while (Net.EmptyCount != 0 && Net.Spare != NULL) {
		struct receive_slot *slot = Net.Spare;

		Net.Spare = slot->Next;
		Net.SpareCount--;
		give_to_card(Net.EmptyDescriptors[--Net.EmptyCount], slot);
	}
}

static BOOLEAN has_frame(VOID)
{
	return __atomic_load_n(&Net.Receive.Used->Index, __ATOMIC_ACQUIRE) != Net.Receive.SeenUsed;
}

/* Interrupts go off with the first frame of a round and on again after the last. */
static PNET_FRAME NetvirtReceive(PVOID Context)
{
	struct receive_slot *slot;
	ULONG id, length;

	if (!has_frame()) {
		Net.Receive.Avail->Flags = 0;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!has_frame())
			return NULL;
	}
	Net.Receive.Avail->Flags = VIRTQ_NO_INTERRUPT;
	id = Net.Receive.Used->Ring[Net.Receive.SeenUsed & (Net.Receive.Size - 1)].Id;
	length = Net.Receive.Used->Ring[Net.Receive.SeenUsed & (Net.Receive.Size - 1)].Length;
	Net.Receive.SeenUsed++;
	slot = Net.ByDescriptor[id % VIRTQ_MAX];
	Net.ByDescriptor[id % VIRTQ_MAX] = NULL;
	Net.EmptyDescriptors[Net.EmptyCount++] = (USHORT)id;
	slot->Frame.Data = slot->Data;
	slot->Frame.Length = length > HEADER_SIZE ? length - HEADER_SIZE : 0;
	NetvirtFramesReceived++;
	return &slot->Frame;
}

static VOID NetvirtReturn(PVOID Context, PNET_FRAME Frame)
{
	struct receive_slot *slot = CONTAINING_RECORD(Frame, struct receive_slot, Frame);

	slot->Next = Net.Spare;
	Net.Spare = slot;
	Net.SpareCount++;
}

static ULONG NetvirtBuffersLeft(PVOID Context)
{
	return Net.SpareCount;
}

/* --- transmit --- */

static PUCHAR NetvirtTransmitBuffer(PVOID Context)
{
	USHORT in_flight;

	Net.Transmit.SeenUsed = __atomic_load_n(&Net.Transmit.Used->Index, __ATOMIC_ACQUIRE);
	in_flight = (USHORT)(Net.Transmit.Next - Net.Transmit.SeenUsed);
	if (in_flight == Net.Transmit.Size) {
		NetvirtFramesLost++;
		return NULL;
	}
	/* QEMU completes frames in order, so the oldest slot is free. */
	return Net.TransmitSlots[Net.TransmitNext] + HEADER_SIZE;
}

static VOID NetvirtTransmit(PVOID Context, ULONG Length)
{
	USHORT slot = Net.TransmitNext;

	Net.Transmit.Desc[slot].Length = HEADER_SIZE + Length;
	VirtqAdd(&Net.Transmit, slot);
	Net.TransmitNext = (USHORT)((slot + 1) & (Net.Transmit.Size - 1));
	NetvirtFramesSent++;
}

static VOID NetvirtFlush(PVOID Context)
{
	fill_receive_queue();
	VirtqPublish(&Net.Receive);
	VirtqPublish(&Net.Transmit);
}

/* --- start --- */

static VOID NetvirtInterrupt(PVOID Context)
{
	NetAdapterInterrupt();
}

/* Slots are aligned to their size: none crosses a page. */
INIT_CODE static NTSTATUS allocate_receive(VOID)
{
	PUCHAR memory = VirtioAllocatePages(RECEIVE_SLOTS * SLOT_SIZE / PAGE_SIZE);

	if (memory == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	for (ULONG i = 0; i < RECEIVE_SLOTS; i++) {
		struct receive_slot *slot = (struct receive_slot *)(memory + i * SLOT_SIZE);

		slot->Physical = VirtioPhysical(slot);
		NetvirtReturn(NULL, &slot->Frame);
	}
	for (ULONG i = 0; i < Net.Receive.Size; i++)
		Net.EmptyDescriptors[Net.EmptyCount++] = (USHORT)i;
	return STATUS_SUCCESS;
}

INIT_CODE static NTSTATUS allocate_transmit(VOID)
{
	PUCHAR memory = VirtioAllocatePages(VIRTQ_MAX * SLOT_SIZE / PAGE_SIZE);

	if (memory == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	for (ULONG i = 0; i < Net.Transmit.Size; i++) {
		Net.TransmitSlots[i] = memory + i * SLOT_SIZE;
		Net.Transmit.Desc[i].Address = VirtioPhysical(Net.TransmitSlots[i]);
	}
	return STATUS_SUCCESS;
}

INIT_CODE static NTSTATUS start_card(VOID)
{
	ULONG64 features;
	ULONG vector;
	NTSTATUS status = VirtioNegotiate(&Net.Device, VIRTIO_F_VERSION_1 | VIRTIO_NET_F_MAC,
					  &features);

	if (!NT_SUCCESS(status) || (features & VIRTIO_F_VERSION_1) == 0)
		return STATUS_NOT_SUPPORTED;
	status = KeConnectDeviceInterrupt(NetvirtInterrupt, NULL, &vector);
	if (!NT_SUCCESS(status))
		return status;
	VirtioSetMessage(&Net.Device, vector);
	status = VirtioCreateQueue(&Net.Device, &Net.Receive, QUEUE_RECEIVE, TRUE);
	if (NT_SUCCESS(status))
		status = VirtioCreateQueue(&Net.Device, &Net.Transmit, QUEUE_TRANSMIT, FALSE);
	if (NT_SUCCESS(status))
		status = allocate_receive();
	if (NT_SUCCESS(status))
		status = allocate_transmit();
	return status;
}

INIT_CODE NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
	NTSTATUS status = VirtioFind(&Net.Device);

	if (NT_SUCCESS(status))
		status = start_card();
	if (!NT_SUCCESS(status))
		return status;
	for (ULONG i = 0; i < sizeof(Net.Adapter.Address); i++)
		Net.Adapter.Address[i] = Net.Device.DeviceConfig[i];
	Net.Adapter.TransmitBuffer = NetvirtTransmitBuffer;
	Net.Adapter.Transmit = NetvirtTransmit;
	Net.Adapter.Flush = NetvirtFlush;
	Net.Adapter.Receive = NetvirtReceive;
	Net.Adapter.Return = NetvirtReturn;
	Net.Adapter.BuffersLeft = NetvirtBuffersLeft;
	VirtioStart(&Net.Device);
	return NetRegisterAdapter(&Net.Adapter);
}
