/* SPDX-License-Identifier: MIT */
/* Device objects and requests. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntio.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/inc/rtl.h"
#include "guest/demo/ntos/io/iop.h"

#define TAG_DEVICE     POOL_TAG('D', 'e', 'v', 'i')
#define TAG_IRP        POOL_TAG('I', 'r', 'p', ' ')
#define IO_TYPE_DEVICE 3
#define IO_TYPE_IRP    6

static LIST_ENTRY IopDeviceList = { &IopDeviceList, &IopDeviceList };
static KSPIN_LOCK IopDeviceLock;

NTSTATUS IopInvalidDeviceRequest(PDEVICE_OBJECT DeviceObject, PIRP Irp);

/** What every MajorFunction slot holds until a driver sets it. */
NTSTATUS IopInvalidDeviceRequest(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
	Irp->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
	Irp->IoStatus.Information = 0;
	IofCompleteRequest(Irp, 0);
	return STATUS_INVALID_DEVICE_REQUEST;
}

static VOID copy_name(PDEVICE_OBJECT device, PUNICODE_STRING name)
{
	PWCHAR text = ExAllocatePoolWithTag(NonPagedPool, name->Length, TAG_DEVICE);

	if (text == NULL)
		return;
	__builtin_memcpy(text, name->Buffer, name->Length);
	device->DeviceName.Buffer = text;
	device->DeviceName.Length = device->DeviceName.MaximumLength = name->Length;
}

NTSTATUS IoCreateDevice(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize,
			PUNICODE_STRING DeviceName, ULONG DeviceType, ULONG DeviceCharacteristics,
			BOOLEAN Exclusive, PDEVICE_OBJECT *DeviceObject)
{
	PDEVICE_OBJECT device = ExAllocatePoolWithTag(
		NonPagedPool, sizeof(*device) + DeviceExtensionSize, TAG_DEVICE);
	KIRQL irql;

	if (device == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	device->Type = IO_TYPE_DEVICE;
	device->Size = (USHORT)(sizeof(*device) + DeviceExtensionSize);
	device->DriverObject = DriverObject;
	device->NextDevice = DriverObject->DeviceObject;
	device->DeviceType = DeviceType;
	device->Characteristics = DeviceCharacteristics;
	device->StackSize = 1;
	device->DeviceExtension = DeviceExtensionSize != 0 ? device + 1 : NULL;
	if (DeviceName != NULL)
		copy_name(device, DeviceName);
	DriverObject->DeviceObject = device;
	irql = KfRaiseIrql(DISPATCH_LEVEL);
	KxAcquireSpinLock(&IopDeviceLock);
	InsertTailList(&IopDeviceList, &device->DeviceListEntry);
	KxReleaseSpinLock(&IopDeviceLock);
	KeLowerIrql(irql);
	*DeviceObject = device;
	return STATUS_SUCCESS;
}

VOID IoDeleteDevice(PDEVICE_OBJECT DeviceObject)
{
	PDEVICE_OBJECT *at = &DeviceObject->DriverObject->DeviceObject;
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);

	KxAcquireSpinLock(&IopDeviceLock);
	RemoveEntryList(&DeviceObject->DeviceListEntry);
	KxReleaseSpinLock(&IopDeviceLock);
	KeLowerIrql(irql);
	while (*at != NULL && *at != DeviceObject)
		at = &(*at)->NextDevice;
	if (*at != NULL)
		*at = DeviceObject->NextDevice;
	if (DeviceObject->DeviceName.Buffer != NULL)
		ExFreePoolWithTag(DeviceObject->DeviceName.Buffer, TAG_DEVICE);
	ExFreePoolWithTag(DeviceObject, TAG_DEVICE);
}

PDEVICE_OBJECT IopFindDevice(const UNICODE_STRING *Name)
{
	PDEVICE_OBJECT found = NULL;
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);

	KxAcquireSpinLock(&IopDeviceLock);
	for (PLIST_ENTRY at = IopDeviceList.Flink; at != &IopDeviceList && found == NULL;
	     at = at->Flink) {
		PDEVICE_OBJECT device = CONTAINING_RECORD(at, DEVICE_OBJECT, DeviceListEntry);

		if (device->DeviceName.Length == Name->Length &&
		    __builtin_memcmp(device->DeviceName.Buffer, Name->Buffer, Name->Length) == 0) {
			found = device;
			device->ReferenceCount++;
		}
	}
	KxReleaseSpinLock(&IopDeviceLock);
	KeLowerIrql(irql);
	return found;
}

VOID IopReleaseDevice(PDEVICE_OBJECT Device)
{
	__atomic_fetch_sub(&Device->ReferenceCount, 1, __ATOMIC_SEQ_CST);
}

NTSTATUS FASTCALL IofCallDriver(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
	PIO_STACK_LOCATION stack;

	Irp->CurrentLocation--;
	Irp->CurrentStackLocation--;
	stack = Irp->CurrentStackLocation;
	stack->DeviceObject = DeviceObject;
	return DeviceObject->DriverObject->MajorFunction[stack->MajorFunction](DeviceObject, Irp);
}

/** All requests here are synchronous: the issuer reads IoStatus after IofCallDriver. */
VOID FASTCALL IofCompleteRequest(PIRP Irp, CHAR PriorityBoost)
{
	Irp->CurrentLocation++;
	Irp->CurrentStackLocation++;
}

NTSTATUS IopCallDevice(PDEVICE_OBJECT Device, const IO_STACK_LOCATION *Stack, PVOID SystemBuffer,
		       PVOID UserBuffer, PIO_STATUS_BLOCK IoStatus)
{
	PIO_STACK_LOCATION stack;
	PIRP irp = ExAllocatePoolWithTag(NonPagedPool, sizeof(*irp) + sizeof(*stack), TAG_IRP);

	if (irp == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	irp->Type = IO_TYPE_IRP;
	irp->Size = sizeof(*irp) + sizeof(*stack);
	irp->StackCount = 1;
	irp->CurrentLocation = 2;
	irp->SystemBuffer = SystemBuffer;
	irp->UserBuffer = UserBuffer;
	irp->RequestorMode = KernelMode;
	stack = (PIO_STACK_LOCATION)(irp + 1);
	*stack = *Stack;
	irp->CurrentStackLocation = stack + 1;
	InsertTailList(&PsGetCurrentThread()->IrpList, &irp->ThreadListEntry);
	IofCallDriver(Device, irp);
	RemoveEntryList(&irp->ThreadListEntry);
	*IoStatus = irp->IoStatus;
	ExFreePoolWithTag(irp, TAG_IRP);
	return IoStatus->Status;
}

NTSTATUS IoWriteDevice(const UNICODE_STRING *Name, const VOID *Buffer, ULONG Length,
		       PIO_STATUS_BLOCK IoStatus)
{
	IO_STACK_LOCATION stack = { .MajorFunction = IRP_MJ_WRITE };
	PDEVICE_OBJECT device = IopFindDevice(Name);
	NTSTATUS status;

	if (device == NULL)
		return STATUS_OBJECT_NAME_NOT_FOUND;
	stack.Parameters.Write.Length = Length;
	status = IopCallDevice(device, &stack, (PVOID)(ULONG_PTR)Buffer, NULL, IoStatus);
	IopReleaseDevice(device);
	return status;
}
