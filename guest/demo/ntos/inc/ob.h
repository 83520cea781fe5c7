/* SPDX-License-Identifier: MIT */
/* Objects that are counted and have handles: threads, so far. */
#ifndef KD_DEMO_OB_H
#define KD_DEMO_OB_H

#include "guest/common/nt_driver_base.h"

/* What stands before every such object, at the size NT's has. */
typedef struct _OBJECT_HEADER {
	LONG_PTR PointerCount;
	LONG_PTR HandleCount;
	VOID (*DeleteProcedure)(PVOID Object); /* ours: NT has it in the object's type */
	UCHAR Reserved[NT_CPU(0x0C, 0x18)];
} OBJECT_HEADER, *POBJECT_HEADER;
C_ASSERT(sizeof(OBJECT_HEADER) == NT_CPU(0x18, 0x30));

/** Zeroed, with one reference; NULL without memory. Delete (at <= DISPATCH_LEVEL) when the last
 * reference goes; it ends with ObFreeObject. */
PVOID ObAllocateObject(SIZE_T Size, VOID (*Delete)(PVOID Object));
VOID ObFreeObject(PVOID Object);
LONG_PTR FASTCALL ObfReferenceObject(PVOID Object);
/** A handle, which is a reference too. */
NTSTATUS ObInsertObject(PVOID Object, PHANDLE Handle);

#endif
