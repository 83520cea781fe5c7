/* SPDX-License-Identifier: MIT */
#include "guest/demo/net/netvirt/virtio_pci.h"

enum {
	PCI_COMMAND = 0x04,
	PCI_HEADER_TYPE = 0x0E,
	PCI_BAR = 0x10,
	PCI_CAPABILITIES = 0x34,
	COMMAND_MEMORY_AND_MASTER = 0x6,
	MSIX_ENABLE = 0x8000,
	BAR_WINDOW = 0x10000, /* more than any of its BARs has */
	MAX_BUSES = 4,
	MAX_CAPABILITIES = 32,
	RESET_TRIES = 1000,
};

static ULONG read_pci(PVIRTIO_DEVICE device, ULONG offset, ULONG size)
{
	ULONG value = 0;

	HalGetBusDataByOffset(PCI_CONFIGURATION, device->Bus, device->Slot, &value, offset, size);
	return value;
}

static VOID write_pci(PVIRTIO_DEVICE device, ULONG offset, ULONG value, ULONG size)
{
	HalSetBusDataByOffset(PCI_CONFIGURATION, device->Bus, device->Slot, &value, offset, size);
}

PVOID VirtioAllocatePages(ULONG Count)
{
	LARGE_INTEGER anywhere = { .QuadPart = INT64_MAX };

	return MmAllocateContiguousMemory((SIZE_T)Count * PAGE_SIZE, anywhere); /* zeroed */
}

/* Memory a capability names, inside one of the BARs; NULL if there is none. */
static PUCHAR bar_memory(PVIRTIO_DEVICE device, ULONG bar, ULONG offset)
{
	ULONG low;
	ULONG64 base;

	if (bar >= 6 || offset >= BAR_WINDOW)
		return NULL;
	if (device->Bars[bar] == NULL) {
		low = read_pci(device, PCI_BAR + 4 * bar, 4);
		base = low & ~15u;
		if ((low & 1) != 0)
			return NULL; /* ports */
		if ((low & 6) == 4 && bar < 5)
			base |= (ULONG64)read_pci(device, PCI_BAR + 4 * bar + 4, 4) << 32;
		if (base == 0)
			return NULL;
		device->Bars[bar] = MmMapIoSpace(base, BAR_WINDOW, 0);
	}
	return device->Bars[bar] == NULL ? NULL : device->Bars[bar] + offset;
}

static VOID read_vendor_capability(PVIRTIO_DEVICE device, ULONG at)
{
	PUCHAR memory = bar_memory(device, read_pci(device, at + 4, 1),
				   read_pci(device, at + 8, 4));

	switch (read_pci(device, at + 3, 1)) {
	case VIRTIO_CAP_COMMON: device->Common = (VIRTIO_COMMON *)memory; break;
	case VIRTIO_CAP_NOTIFY:
		device->NotifyBase = memory;
		device->NotifyMultiplier = read_pci(device, at + 16, 4);
		break;
	case VIRTIO_CAP_DEVICE: device->DeviceConfig = memory; break;
	default: break;
	}
}

static VOID read_msix_capability(PVIRTIO_DEVICE device, ULONG at)
{
	ULONG table = read_pci(device, at + 4, 4);

	device->MsixTable = (volatile ULONG *)bar_memory(device, table & 7, table & ~7u);
	write_pci(device, at + 2, read_pci(device, at + 2, 2) | MSIX_ENABLE, 2);
}

static NTSTATUS read_capabilities(PVIRTIO_DEVICE device)
{
	ULONG at = read_pci(device, PCI_CAPABILITIES, 1) & 0xFC;

	write_pci(device, PCI_COMMAND, read_pci(device, PCI_COMMAND, 2) | COMMAND_MEMORY_AND_MASTER,
		  2);
	for (ULONG i = 0; i < MAX_CAPABILITIES && at >= 0x40; i++) {
		ULONG id = read_pci(device, at, 1);

		if (id == PCI_CAP_VENDOR)
			read_vendor_capability(device, at);
		else if (id == PCI_CAP_MSIX)
			read_msix_capability(device, at);
		at = read_pci(device, at + 1, 1) & 0xFC;
	}
	return device->Common != NULL && device->NotifyBase != NULL &&
			       device->DeviceConfig != NULL && device->MsixTable != NULL
		       ? STATUS_SUCCESS
		       : STATUS_NOT_SUPPORTED;
}

NTSTATUS VirtioFind(PVIRTIO_DEVICE Device)
{
	for (Device->Bus = 0; Device->Bus < MAX_BUSES; Device->Bus++) {
		for (Device->Slot = 0; Device->Slot < 32; Device->Slot++) {
			ULONG id = read_pci(Device, 0, 4);

			if (id == (VIRTIO_VENDOR | (ULONG)VIRTIO_NET_MODERN << 16) ||
			    id == (VIRTIO_VENDOR | (ULONG)VIRTIO_NET_TRANSITIONAL << 16))
				return read_capabilities(Device);
		}
	}
	return STATUS_NO_SUCH_DEVICE;
}

NTSTATUS VirtioNegotiate(PVIRTIO_DEVICE Device, ULONG64 Wanted, PULONG64 Agreed)
{
	VIRTIO_COMMON *common = Device->Common;
	ULONG64 offered = 0;

	common->Status = 0;
	for (ULONG i = 0; i < RESET_TRIES && common->Status != 0; i++)
		KeStallExecutionProcessor(10);
	common->Status = VIRTIO_STATUS_ACKNOWLEDGE;
	common->Status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
	for (ULONG i = 0; i < 2; i++) {
		common->DeviceFeatureSelect = i;
		offered |= (ULONG64)common->DeviceFeature << (32 * i);
	}
	*Agreed = offered & Wanted;
	for (ULONG i = 0; i < 2; i++) {
		common->DriverFeatureSelect = i;
		common->DriverFeature = (ULONG)(*Agreed >> (32 * i));
	}
	common->Status |= VIRTIO_STATUS_FEATURES_OK;
	return (common->Status & VIRTIO_STATUS_FEATURES_OK) != 0 ? STATUS_SUCCESS
								 : STATUS_NOT_SUPPORTED;
}

VOID VirtioSetMessage(PVIRTIO_DEVICE Device, ULONG Vector)
{
	ULONG64 address;
	ULONG data;

	HalDescribeMessage(Vector, 0, &address, &data);
	Device->MsixTable[0] = (ULONG)address;
	Device->MsixTable[1] = (ULONG)(address >> 32);
	Device->MsixTable[2] = data;
	Device->MsixTable[3] = 0; /* not masked */
	Device->Common->ConfigVector = VIRTIO_NO_VECTOR;
}

static VOID write_address(volatile ULONG *to, ULONG64 address)
{
	to[0] = (ULONG)address;
	to[1] = (ULONG)(address >> 32);
}

NTSTATUS VirtioCreateQueue(PVIRTIO_DEVICE Device, PVIRTQ Queue, USHORT Number, BOOLEAN Interrupts)
{
	VIRTIO_COMMON *common = Device->Common;
	PUCHAR pages = VirtioAllocatePages(3);

	common->QueueSelect = Number;
	Queue->Size = common->QueueSize;
	if (Queue->Size == 0)
		return STATUS_NOT_SUPPORTED;
	if (Queue->Size > VIRTQ_MAX)
		Queue->Size = VIRTQ_MAX;
	Queue->Number = Number;
	if (pages == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	Queue->Desc = (VIRTQ_DESC *)pages;
	Queue->Avail = (VIRTQ_AVAIL *)(pages + PAGE_SIZE);
	Queue->Used = (VIRTQ_USED *)(pages + 2 * PAGE_SIZE);
	common->QueueSize = Queue->Size;
	write_address(common->QueueDesc, VirtioPhysical(pages));
	write_address(common->QueueDriver, VirtioPhysical(pages + PAGE_SIZE));
	write_address(common->QueueDevice, VirtioPhysical(pages + 2 * PAGE_SIZE));
	common->QueueVector = Interrupts ? 0 : VIRTIO_NO_VECTOR;
	Queue->Avail->Flags = Interrupts ? 0 : VIRTQ_NO_INTERRUPT;
	Queue->Notify = (volatile USHORT *)(Device->NotifyBase +
					    common->QueueNotifyOffset * Device->NotifyMultiplier);
	common->QueueEnable = 1;
	return STATUS_SUCCESS;
}

VOID VirtioStart(PVIRTIO_DEVICE Device)
{
	Device->Common->Status |= VIRTIO_STATUS_DRIVER_OK;
}
