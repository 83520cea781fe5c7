/* SPDX-License-Identifier: MIT */
/*
 * null.sys: \Device\Null takes every write and forgets it. The smallest whole driver: INIT code
 * that is discarded, PAGE code, a device with an extension, a dispatch table.
 */
#include "guest/demo/inc/nt_driver.h"

typedef struct _NULL_EXTENSION {
	ULONG64 Writes;
	ULONG64 Bytes;
	ULONG LastLength;
} NULL_EXTENSION, *PNULL_EXTENSION;

static PDEVICE_OBJECT NullDevice;

static DRIVER_DISPATCH NullWrite, NullOpenClose;
static DRIVER_UNLOAD NullUnload;

static NTSTATUS NullWrite(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
	PNULL_EXTENSION extension = DeviceObject->DeviceExtension;
	PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

	extension->Writes++;
	extension->Bytes += stack->Parameters.Write.Length;
	extension->LastLength = stack->Parameters.Write.Length;
	Irp->IoStatus.Status = STATUS_SUCCESS;
	Irp->IoStatus.Information = stack->Parameters.Write.Length;
	IofCompleteRequest(Irp, 0);
	return STATUS_SUCCESS;
}

PAGE_CODE static NTSTATUS NullOpenClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
	Irp->IoStatus.Status = STATUS_SUCCESS;
	Irp->IoStatus.Information = 0;
	IofCompleteRequest(Irp, 0);
	return STATUS_SUCCESS;
}

PAGE_CODE static VOID NullUnload(PDRIVER_OBJECT DriverObject)
{
	IoDeleteDevice(NullDevice);
}

INIT_CODE NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
	UNICODE_STRING name;
	NTSTATUS status;

	RtlInitUnicodeString(&name, L"\\Device\\Null");
	status = IoCreateDevice(DriverObject, sizeof(NULL_EXTENSION), &name, FILE_DEVICE_NULL, 0,
				FALSE, &NullDevice);
	if (!NT_SUCCESS(status))
		return status;
	DriverObject->MajorFunction[IRP_MJ_CREATE] = NullOpenClose;
	DriverObject->MajorFunction[IRP_MJ_CLOSE] = NullOpenClose;
	DriverObject->MajorFunction[IRP_MJ_WRITE] = NullWrite;
	DriverObject->DriverUnload = NullUnload;
	return STATUS_SUCCESS;
}
