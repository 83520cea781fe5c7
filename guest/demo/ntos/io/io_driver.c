/* SPDX-License-Identifier: MIT */
/* Driver objects: made for each .sys, unmade at unload. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntio.h"
#include "guest/demo/ntos/inc/ntmm.h"
#include "guest/demo/ntos/inc/rtl.h"
#include "guest/common/pe_load.h"

#define TAG_DRIVER     POOL_TAG('D', 'r', 'i', 'v')
#define IO_TYPE_DRIVER 4

enum { MAX_DRIVERS = 32 };

static PDRIVER_OBJECT IopDrivers[MAX_DRIVERS];

NTSTATUS IopInvalidDeviceRequest(PDEVICE_OBJECT DeviceObject, PIRP Irp);

/* "demo.sys" -> "demo" */
static VOID stem(PCHAR to, SIZE_T size, PCSTR file)
{
	SIZE_T n;

	RtlStringCopy(to, size, file);
	n = RtlStringLength(to);
	if (n > 4 && pe_name_equal(to + n - 4, ".sys"))
		to[n - 4] = '\0';
}

static VOID free_driver(PDRIVER_OBJECT driver)
{
	if (driver->DriverName.Buffer != NULL)
		ExFreePoolWithTag(driver->DriverName.Buffer, 0);
	if (driver->DriverExtension->ServiceKeyName.Buffer != NULL)
		ExFreePoolWithTag(driver->DriverExtension->ServiceKeyName.Buffer, 0);
	ExFreePoolWithTag(driver->DriverExtension, TAG_DRIVER);
	ExFreePoolWithTag(driver, TAG_DRIVER);
}

static PDRIVER_OBJECT create_driver(PKLDR_DATA_TABLE_ENTRY entry, PCSTR name)
{
	PDRIVER_OBJECT driver = ExAllocatePoolWithTag(NonPagedPool, sizeof(*driver), TAG_DRIVER);
	PDRIVER_EXTENSION ext = ExAllocatePoolWithTag(NonPagedPool, sizeof(*ext), TAG_DRIVER);

	if (driver == NULL || ext == NULL)
		return NULL;
	driver->Type = IO_TYPE_DRIVER;
	driver->Size = sizeof(*driver);
	driver->DriverStart = entry->DllBase;
	driver->DriverSize = entry->SizeOfImage;
	driver->DriverSection = entry;
	driver->DriverInit = (DRIVER_INITIALIZE *)(ULONG_PTR)entry->EntryPoint;
	driver->DriverExtension = ext;
	ext->DriverObject = driver;
	for (ULONG i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
		driver->MajorFunction[i] = IopInvalidDeviceRequest;
	if (!NT_SUCCESS(RtlCreateUnicodeString(&driver->DriverName, "\\Driver\\", name)) ||
	    !NT_SUCCESS(RtlCreateUnicodeString(&ext->ServiceKeyName, "", name))) {
		free_driver(driver);
		return NULL;
	}
	return driver;
}

static NTSTATUS start_driver(PKLDR_DATA_TABLE_ENTRY entry)
{
	UNICODE_STRING registry = { 0 };
	PDRIVER_OBJECT driver;
	CHAR file[64], name[64];
	NTSTATUS status;
	ULONG slot = 0;

	RtlUnicodeToText(file, sizeof(file), &entry->BaseDllName);
	stem(name, sizeof(name), file);
	while (slot < MAX_DRIVERS && IopDrivers[slot] != NULL)
		slot++;
	if (slot == MAX_DRIVERS)
		return STATUS_INSUFFICIENT_RESOURCES;
	driver = create_driver(entry, name);
	if (driver == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	RtlCreateUnicodeString(&registry,
			       "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\", name);
	IopDrivers[slot] = driver;
	status = driver->DriverInit(driver, &registry);
	if (registry.Buffer != NULL)
		ExFreePoolWithTag(registry.Buffer, 0);
	if (!NT_SUCCESS(status)) {
		IopDrivers[slot] = NULL;
		free_driver(driver);
	}
	return status;
}

static VOID report_start(PCSTR file, NTSTATUS status)
{
	RtlLog("io: driver %s started, status 0x%08x\n", file, (ULONG)status);
}

INIT_FUNCTION VOID IoInitSystem(VOID)
{
	for (PLIST_ENTRY at = PsLoadedModuleList.Flink; at != &PsLoadedModuleList; at = at->Flink) {
		PKLDR_DATA_TABLE_ENTRY entry = CONTAINING_RECORD(at, KLDR_DATA_TABLE_ENTRY,
								 InLoadOrderLinks);
		CHAR name[64];
		SIZE_T n;

		RtlUnicodeToText(name, sizeof(name), &entry->BaseDllName);
		n = RtlStringLength(name);
		if (n > 4 && pe_name_equal(name + n - 4, ".sys"))
			report_start(name, start_driver(entry));
	}
}

/* The last component of the service key, with ".sys". */
static NTSTATUS service_file(PUNICODE_STRING service, PCHAR file, SIZE_T size)
{
	CHAR path[160];
	PCSTR name = path;

	RtlUnicodeToText(path, sizeof(path), service);
	for (PCSTR p = path; *p != '\0'; p++) {
		if (*p == '\\')
			name = p + 1;
	}
	if (*name == '\0' || RtlStringLength(name) + 5 > size)
		return STATUS_INVALID_PARAMETER;
	RtlStringPrint(file, size, "%s.sys", name);
	return STATUS_SUCCESS;
}

NTSTATUS ZwLoadDriver(PUNICODE_STRING DriverServiceName)
{
	PKLDR_DATA_TABLE_ENTRY entry;
	CHAR file[64];
	NTSTATUS status = service_file(DriverServiceName, file, sizeof(file));

	if (!NT_SUCCESS(status))
		return status;
	status = MmLoadSystemImage(file, &entry);
	if (!NT_SUCCESS(status))
		return status;
	status = start_driver(entry);
	report_start(file, status);
	if (NT_SUCCESS(status))
		MiFreeInitSections(entry);
	else
		MmUnloadSystemImage(entry);
	return status;
}

NTSTATUS ZwUnloadDriver(PUNICODE_STRING DriverServiceName)
{
	PKLDR_DATA_TABLE_ENTRY entry;
	CHAR file[64];
	NTSTATUS status = service_file(DriverServiceName, file, sizeof(file));

	if (!NT_SUCCESS(status))
		return status;
	entry = MmFindLoadedModule(file);
	for (ULONG i = 0; i < MAX_DRIVERS && entry != NULL; i++) {
		PDRIVER_OBJECT driver = IopDrivers[i];

		if (driver == NULL || driver->DriverSection != entry)
			continue;
		if (driver->DriverUnload == NULL)
			return STATUS_INVALID_DEVICE_REQUEST;
		driver->DriverUnload(driver);
		IopDrivers[i] = NULL;
		free_driver(driver);
		MmUnloadSystemImage(entry);
		RtlLog("io: driver %s unloaded\n", file);
		return STATUS_SUCCESS;
	}
	return STATUS_OBJECT_NAME_NOT_FOUND;
}
