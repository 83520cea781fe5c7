/* SPDX-License-Identifier: MIT */
/* Open devices of a process: a small handle table, control requests, and the end of it all. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntio.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/io/iop.h"

#define TAG_FILE     POOL_TAG('F', 'i', 'l', 'e')
#define IO_TYPE_FILE 5

enum { MAX_FILES = 512 };

/* Only the process's own thread touches it: programs have one. */
struct file_table {
	PFILE_OBJECT Files[MAX_FILES];
};

static PFILE_OBJECT *slot_of(HANDLE handle)
{
	struct file_table *table = PsGetCurrentProcess()->ObjectTable;
	ULONG_PTR value = (ULONG_PTR)handle;

	if (table == NULL || (value & 3) != 0 || value == 0 || value / 4 > MAX_FILES)
		return NULL;
	return &table->Files[value / 4 - 1];
}

static PFILE_OBJECT *free_slot(PHANDLE handle)
{
	PEPROCESS process = PsGetCurrentProcess();
	struct file_table *table = process->ObjectTable;

	if (table == NULL) {
		table = ExAllocatePoolWithTag(NonPagedPool, sizeof(*table), TAG_FILE);
		process->ObjectTable = table;
	}
	for (ULONG i = 0; table != NULL && i < MAX_FILES; i++) {
		if (table->Files[i] == NULL) {
			*handle = (HANDLE)(ULONG_PTR)((i + 1) * 4);
			return &table->Files[i];
		}
	}
	return NULL;
}

static NTSTATUS simple_request(PFILE_OBJECT file, UCHAR major)
{
	IO_STACK_LOCATION stack = { .MajorFunction = major, .FileObject = file };
	IO_STATUS_BLOCK io;

	return IopCallDevice(file->DeviceObject, &stack, NULL, NULL, &io);
}

NTSTATUS IoOpenFile(const UNICODE_STRING *Name, PHANDLE Handle)
{
	PDEVICE_OBJECT device = IopFindDevice(Name);
	PFILE_OBJECT *slot;
	PFILE_OBJECT file;
	NTSTATUS status;

	if (device == NULL)
		return STATUS_OBJECT_NAME_NOT_FOUND;
	slot = free_slot(Handle);
	file = slot == NULL ? NULL : ExAllocatePoolWithTag(NonPagedPool, sizeof(*file), TAG_FILE);
	if (file == NULL) {
		IopReleaseDevice(device);
		return STATUS_INSUFFICIENT_RESOURCES;
	}
	file->Type = IO_TYPE_FILE;
	file->Size = sizeof(*file);
	file->DeviceObject = device;
	status = simple_request(file, IRP_MJ_CREATE);
	if (!NT_SUCCESS(status)) {
		IopReleaseDevice(device);
		ExFreePoolWithTag(file, TAG_FILE);
		return status;
	}
	*slot = file;
	return STATUS_SUCCESS;
}

static VOID close(PFILE_OBJECT *slot)
{
	PFILE_OBJECT file = *slot;

	*slot = NULL;
	simple_request(file, IRP_MJ_CLOSE);
	IopReleaseDevice(file->DeviceObject);
	ExFreePoolWithTag(file, TAG_FILE);
}

NTSTATUS IoCloseFile(HANDLE Handle)
{
	PFILE_OBJECT *slot = slot_of(Handle);

	if (slot == NULL || *slot == NULL)
		return STATUS_INVALID_HANDLE;
	close(slot);
	return STATUS_SUCCESS;
}

NTSTATUS IoControlFile(HANDLE Handle, ULONG Code, PVOID Input, ULONG InputLength, PVOID Output,
		       ULONG OutputLength, PIO_STATUS_BLOCK IoStatus)
{
	PFILE_OBJECT *slot = slot_of(Handle);
	IO_STACK_LOCATION stack = { .MajorFunction = IRP_MJ_DEVICE_CONTROL };

	if (slot == NULL || *slot == NULL)
		return STATUS_INVALID_HANDLE;
	stack.FileObject = *slot;
	stack.Parameters.DeviceIoControl.IoControlCode = Code;
	stack.Parameters.DeviceIoControl.InputBufferLength = InputLength;
	stack.Parameters.DeviceIoControl.OutputBufferLength = OutputLength;
	stack.Parameters.DeviceIoControl.Type3InputBuffer = Input;
	return IopCallDevice((*slot)->DeviceObject, &stack, NULL, Output, IoStatus);
}

VOID IoCloseAllFiles(VOID)
{
	PEPROCESS process = PsGetCurrentProcess();
	struct file_table *table = process->ObjectTable;

	if (table == NULL)
		return;
	for (ULONG i = 0; i < MAX_FILES; i++) {
		if (table->Files[i] != NULL)
			close(&table->Files[i]);
	}
	process->ObjectTable = NULL;
	ExFreePoolWithTag(table, TAG_FILE);
}
