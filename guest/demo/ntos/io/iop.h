/* SPDX-License-Identifier: MIT */
/* Between the files of ntos/io. */
#ifndef KD_DEMO_IOP_H
#define KD_DEMO_IOP_H

#include "guest/demo/ntos/inc/ntio.h"

/** The device of this name, referenced until IopReleaseDevice; NULL if there is none. */
PDEVICE_OBJECT IopFindDevice(const UNICODE_STRING *Name);
VOID IopReleaseDevice(PDEVICE_OBJECT Device);
/** Send a request in the caller's context. Stack says what; it is copied. Done on return. */
NTSTATUS IopCallDevice(PDEVICE_OBJECT Device, const IO_STACK_LOCATION *Stack, PVOID SystemBuffer,
		       PVOID UserBuffer, PIO_STATUS_BLOCK IoStatus);

#endif
