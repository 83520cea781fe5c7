/* SPDX-License-Identifier: MIT */
/* Reference counts, and the one table of handles, which is the kernel's. */
#include "guest/demo/ntos/inc/ob.h"
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntmm.h"

#define TAG_OBJECT POOL_TAG('O', 'b', 'j', ' ')

/* Kernel handles have the sign bit of 32 set, and count by four. */
#define KERNEL_HANDLE_FLAG ((ULONG_PTR)(LONG_PTR)(LONG)0x80000000)

enum { MAX_HANDLES = 256 };

static PVOID ObpHandles[MAX_HANDLES];
static KSPIN_LOCK ObpHandleLock;

static POBJECT_HEADER header_of(PVOID object)
{
	return (POBJECT_HEADER)object - 1;
}

PVOID ObAllocateObject(SIZE_T Size, VOID (*Delete)(PVOID Object))
{
	POBJECT_HEADER header = ExAllocatePoolWithTag(NonPagedPool, sizeof(*header) + Size,
						      TAG_OBJECT);

	if (header == NULL)
		return NULL;
	header->PointerCount = 1;
	header->DeleteProcedure = Delete;
	return header + 1;
}

VOID ObFreeObject(PVOID Object)
{
	ExFreePoolWithTag(header_of(Object), TAG_OBJECT);
}

LONG_PTR FASTCALL ObfReferenceObject(PVOID Object)
{
	return __atomic_add_fetch(&header_of(Object)->PointerCount, 1, __ATOMIC_RELAXED);
}

LONG_PTR FASTCALL ObfDereferenceObject(PVOID Object)
{
	LONG_PTR left = __atomic_sub_fetch(&header_of(Object)->PointerCount, 1, __ATOMIC_ACQ_REL);

	if (left < 0)
		KeBugCheckEx(0x18, 0, (ULONG_PTR)Object, 0, 0); /* REFERENCE_BY_POINTER */
	if (left == 0)
		header_of(Object)->DeleteProcedure(Object);
	return left;
}

/* The slot of a handle; lock held. NULL: no such handle. */
static PVOID *slot_of(HANDLE handle)
{
	ULONG_PTR index = ((ULONG_PTR)handle & ~KERNEL_HANDLE_FLAG) / 4;

	if (((ULONG_PTR)handle & KERNEL_HANDLE_FLAG) != KERNEL_HANDLE_FLAG || index == 0 ||
	    index > MAX_HANDLES || ObpHandles[index - 1] == NULL)
		return NULL;
	return &ObpHandles[index - 1];
}

static KIRQL lock(VOID)
{
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);

	KxAcquireSpinLock(&ObpHandleLock);
	return irql;
}

static VOID unlock(KIRQL irql)
{
	KxReleaseSpinLock(&ObpHandleLock);
	KeLowerIrql(irql);
}

NTSTATUS ObInsertObject(PVOID Object, PHANDLE Handle)
{
	KIRQL irql = lock();
	ULONG i = 0;

	while (i < MAX_HANDLES && ObpHandles[i] != NULL)
		i++;
	if (i < MAX_HANDLES) {
		ObpHandles[i] = Object;
		ObfReferenceObject(Object);
		header_of(Object)->HandleCount++;
		*Handle = (HANDLE)(KERNEL_HANDLE_FLAG | (4 * ((ULONG_PTR)i + 1)));
	}
	unlock(irql);
	return i < MAX_HANDLES ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

NTSTATUS ObReferenceObjectByHandle(HANDLE Handle, ULONG DesiredAccess, PVOID ObjectType,
				   KPROCESSOR_MODE AccessMode, PVOID *Object,
				   PVOID HandleInformation)
{
	KIRQL irql = lock();
	PVOID *slot = slot_of(Handle);

	if (slot != NULL) {
		*Object = *slot;
		ObfReferenceObject(*slot);
	}
	unlock(irql);
	return slot != NULL ? STATUS_SUCCESS : STATUS_INVALID_HANDLE;
}

NTSTATUS ZwClose(HANDLE Handle)
{
	PVOID object = NULL;
	KIRQL irql = lock();
	PVOID *slot = slot_of(Handle);

	if (slot != NULL) {
		object = *slot;
		*slot = NULL;
		header_of(object)->HandleCount--;
	}
	unlock(irql);
	if (object == NULL)
		return STATUS_INVALID_HANDLE;
	ObfDereferenceObject(object);
	return STATUS_SUCCESS;
}
