/* SPDX-License-Identifier: MIT */
/* Drivers, devices and requests, at NT shapes. */
#ifndef KD_DEMO_NTIO_H
#define KD_DEMO_NTIO_H

#include "guest/demo/ntos/inc/ntps.h"

#define IRP_MJ_CREATE           0x00
#define IRP_MJ_CLOSE            0x02
#define IRP_MJ_READ             0x03
#define IRP_MJ_WRITE            0x04
#define IRP_MJ_DEVICE_CONTROL   0x0E
#define IRP_MJ_MAXIMUM_FUNCTION 0x1B

#define FILE_DEVICE_NULL    0x15
#define FILE_DEVICE_UNKNOWN 0x22

struct _DRIVER_OBJECT;
struct _DEVICE_OBJECT;
struct _IRP;

typedef NTSTATUS DRIVER_INITIALIZE(struct _DRIVER_OBJECT *DriverObject,
				   PUNICODE_STRING RegistryPath);
typedef NTSTATUS DRIVER_DISPATCH(struct _DEVICE_OBJECT *DeviceObject, struct _IRP *Irp);
typedef VOID DRIVER_UNLOAD(struct _DRIVER_OBJECT *DriverObject);

typedef struct _DRIVER_EXTENSION {
	struct _DRIVER_OBJECT *DriverObject;
	PVOID AddDevice;
	ULONG Count;
	UNICODE_STRING ServiceKeyName;
} DRIVER_EXTENSION, *PDRIVER_EXTENSION;

typedef struct _DRIVER_OBJECT {
	SHORT Type;
	SHORT Size;
	struct _DEVICE_OBJECT *DeviceObject;
	ULONG Flags;
	PVOID DriverStart;
	ULONG DriverSize;
	PVOID DriverSection;
	PDRIVER_EXTENSION DriverExtension;
	UNICODE_STRING DriverName;
	PUNICODE_STRING HardwareDatabase;
	PVOID FastIoDispatch;
	DRIVER_INITIALIZE *DriverInit;
	PVOID DriverStartIo;
	DRIVER_UNLOAD *DriverUnload;
	DRIVER_DISPATCH *MajorFunction[IRP_MJ_MAXIMUM_FUNCTION + 1];
} DRIVER_OBJECT, *PDRIVER_OBJECT;
C_ASSERT(sizeof(DRIVER_OBJECT) == NT_CPU(0xA8, 0x150));
ASSERT_OFFSET(DRIVER_OBJECT, DriverStart, NT_CPU(0x0C, 0x18));
ASSERT_OFFSET(DRIVER_OBJECT, DriverName, NT_CPU(0x1C, 0x38));
ASSERT_OFFSET(DRIVER_OBJECT, DriverInit, NT_CPU(0x2C, 0x58));
ASSERT_OFFSET(DRIVER_OBJECT, DriverUnload, NT_CPU(0x34, 0x68));
ASSERT_OFFSET(DRIVER_OBJECT, MajorFunction, NT_CPU(0x38, 0x70));

typedef struct __attribute__((aligned(NT_CPU(8, 16)))) _DEVICE_OBJECT {
	SHORT Type;
	USHORT Size;
	LONG ReferenceCount;
	PDRIVER_OBJECT DriverObject;
	struct _DEVICE_OBJECT *NextDevice;
	struct _DEVICE_OBJECT *AttachedDevice;
	struct _IRP *CurrentIrp;
	PVOID Timer;
	ULONG Flags;
	ULONG Characteristics;
	PVOID Vpb;
	PVOID DeviceExtension;
	ULONG DeviceType;
	CHAR StackSize;
	UNICODE_STRING DeviceName;  /* ours: NT keeps names in the object manager */
	LIST_ENTRY DeviceListEntry; /* ours */
	UCHAR Reserved070[NT_CPU(0xB0 - 0x44, 0x138 - 0x70)];
	PVOID DeviceObjectExtension;
	PVOID Reserved140;
} DEVICE_OBJECT, *PDEVICE_OBJECT;
C_ASSERT(sizeof(DEVICE_OBJECT) == NT_CPU(0xB8, 0x150));
ASSERT_OFFSET(DEVICE_OBJECT, DriverObject, 0x08);
ASSERT_OFFSET(DEVICE_OBJECT, AttachedDevice, NT_CPU(0x10, 0x18));
ASSERT_OFFSET(DEVICE_OBJECT, Flags, NT_CPU(0x1C, 0x30));
ASSERT_OFFSET(DEVICE_OBJECT, DeviceExtension, NT_CPU(0x28, 0x40));
ASSERT_OFFSET(DEVICE_OBJECT, DeviceType, NT_CPU(0x2C, 0x48));
ASSERT_OFFSET(DEVICE_OBJECT, DeviceObjectExtension, NT_CPU(0xB0, 0x138));

typedef struct _IO_STATUS_BLOCK {
	union {
		NTSTATUS Status;
		PVOID Pointer;
	};
	ULONG_PTR Information;
} IO_STATUS_BLOCK, *PIO_STATUS_BLOCK;

typedef struct _IO_STACK_LOCATION {
	UCHAR MajorFunction;
	UCHAR MinorFunction;
	UCHAR Flags;
	UCHAR Control;
	union {
		struct {
			ULONG Length;
			ULONG Key;
			ULONG ByteOffset[2]; /* a LARGE_INTEGER, not aligned on x86 */
		} Write;
		struct {
			ULONG OutputBufferLength;
			ULONG InputBufferLength;
			ULONG IoControlCode;
		} DeviceIoControl;
		PVOID Others[4];
	} Parameters;
	PDEVICE_OBJECT DeviceObject;
	PVOID FileObject;
	PVOID CompletionRoutine;
	PVOID Context;
} IO_STACK_LOCATION, *PIO_STACK_LOCATION;
C_ASSERT(sizeof(IO_STACK_LOCATION) == NT_CPU(0x24, 0x48));
ASSERT_OFFSET(IO_STACK_LOCATION, Parameters, NT_CPU(4, 8));
ASSERT_OFFSET(IO_STACK_LOCATION, DeviceObject, NT_CPU(0x14, 0x28));

typedef struct __attribute__((aligned(NT_CPU(8, 16)))) _IRP {
	SHORT Type;
	USHORT Size;
	PVOID MdlAddress;
	ULONG Flags;
	PVOID SystemBuffer; /* NT: AssociatedIrp.SystemBuffer */
	LIST_ENTRY ThreadListEntry;
	IO_STATUS_BLOCK IoStatus;
	CHAR RequestorMode;
	BOOLEAN PendingReturned;
	CHAR StackCount;
	CHAR CurrentLocation;
	UCHAR Reserved044[NT_CPU(0x3C - 0x24, 0x70 - 0x44)];
	PVOID UserBuffer;
	UCHAR Tail[NT_CPU(0x20, 0x40)];
	PIO_STACK_LOCATION CurrentStackLocation; /* NT: Tail.Overlay.CurrentStackLocation */
	PVOID OriginalFileObject;
	PVOID TailFill;
} IRP, *PIRP;
ASSERT_OFFSET(IRP, MdlAddress, NT_CPU(4, 8));
ASSERT_OFFSET(IRP, ThreadListEntry, NT_CPU(0x10, 0x20));
ASSERT_OFFSET(IRP, IoStatus, NT_CPU(0x18, 0x30));
ASSERT_OFFSET(IRP, StackCount, NT_CPU(0x22, 0x42));
ASSERT_OFFSET(IRP, CurrentLocation, NT_CPU(0x23, 0x43));
ASSERT_OFFSET(IRP, UserBuffer, NT_CPU(0x3C, 0x70));
ASSERT_OFFSET(IRP, Tail, NT_CPU(0x40, 0x78));
ASSERT_OFFSET(IRP, CurrentStackLocation, NT_CPU(0x60, 0xB8));

static inline PIO_STACK_LOCATION IoGetCurrentIrpStackLocation(PIRP Irp)
{
	return Irp->CurrentStackLocation;
}

NTOSAPI NTSTATUS IoCreateDevice(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize,
				PUNICODE_STRING DeviceName, ULONG DeviceType,
				ULONG DeviceCharacteristics, BOOLEAN Exclusive,
				PDEVICE_OBJECT *DeviceObject);
NTOSAPI VOID IoDeleteDevice(PDEVICE_OBJECT DeviceObject);
NTOSAPI NTSTATUS FASTCALL IofCallDriver(PDEVICE_OBJECT DeviceObject, PIRP Irp);
NTOSAPI VOID FASTCALL IofCompleteRequest(PIRP Irp, CHAR PriorityBoost);

/** Load `\...\Services\NAME` = NAME.sys of the boot files and call its DriverEntry. */
NTOSAPI NTSTATUS ZwLoadDriver(PUNICODE_STRING DriverServiceName);
/** Call its DriverUnload and remove it. */
NTOSAPI NTSTATUS ZwUnloadDriver(PUNICODE_STRING DriverServiceName);

/** DriverEntry of what the loader brought. */
VOID IoInitSystem(VOID);
/** One synchronous write to the device called Name (\Device\...), e.g. for the system call. */
NTSTATUS IoWriteDevice(const UNICODE_STRING *Name, const VOID *Buffer, ULONG Length,
		       PIO_STATUS_BLOCK IoStatus);

#endif
