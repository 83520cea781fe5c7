/* SPDX-License-Identifier: MIT */
/* late.sys: loaded and unloaded while the system runs, to be seen coming and going. */
#include "guest/demo/inc/nt_driver.h"

volatile ULONG LateLoads; /* fresh with every load: always 1 */

static DRIVER_UNLOAD LateUnload;

static VOID LateUnload(PDRIVER_OBJECT DriverObject)
{
	DbgPrint("late: unloading\n");
}

INIT_CODE NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
	LateLoads++;
	DriverObject->DriverUnload = LateUnload;
	DbgPrint("late: loaded from %wZ\n", RegistryPath);
	return STATUS_SUCCESS;
}
