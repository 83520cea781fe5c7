/* SPDX-License-Identifier: MIT */
/* Drivers, devices and requests, at NT shapes. */
#ifndef KD_DEMO_NTIO_H
#define KD_DEMO_NTIO_H

#include "guest/demo/ntos/inc/ntps.h"

typedef struct _OBJECT_ATTRIBUTES {
	ULONG Length;
	HANDLE RootDirectory;
	PUNICODE_STRING ObjectName;
	ULONG Attributes;
	PVOID SecurityDescriptor;
	PVOID SecurityQualityOfService;
} OBJECT_ATTRIBUTES, *POBJECT_ATTRIBUTES;
C_ASSERT(sizeof(OBJECT_ATTRIBUTES) == NT_CPU(0x18, 0x30));

/** Load `\...\Services\NAME` = NAME.sys of the boot files and call its DriverEntry. */
NTOSAPI NTSTATUS ZwLoadDriver(PUNICODE_STRING DriverServiceName);
/** Call its DriverUnload and remove it. */
NTOSAPI NTSTATUS ZwUnloadDriver(PUNICODE_STRING DriverServiceName);

/** DriverEntry of what the loader brought. */
VOID IoInitSystem(VOID);
/** One synchronous write to the device called Name (\Device\...), e.g. for the system call. */
NTSTATUS IoWriteDevice(const UNICODE_STRING *Name, const VOID *Buffer, ULONG Length,
		       PIO_STATUS_BLOCK IoStatus);
/** Files of the calling process: a handle is 4 times its place in the process's table. */
NTSTATUS IoOpenFile(const UNICODE_STRING *Name, PHANDLE Handle);
NTSTATUS IoCloseFile(HANDLE Handle);
/** One synchronous control request; both buffers are the caller's own memory (METHOD_NEITHER). */
NTSTATUS IoControlFile(HANDLE Handle, ULONG Code, PVOID Input, ULONG InputLength, PVOID Output,
		       ULONG OutputLength, PIO_STATUS_BLOCK IoStatus);
/** Everything the calling thread's process still has open; its last thread is about to end. */
VOID IoCloseAllFiles(VOID);

#endif
