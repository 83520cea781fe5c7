/* SPDX-License-Identifier: MIT */
/* Symbolic links to devices. Nobody opens devices by them here; they are kept so that a driver
 * which makes them finds what it made, and notices what it forgot to delete. */
#include "guest/demo/ntos/inc/ki.h"
#include "guest/demo/ntos/inc/ntio.h"
#include "guest/demo/ntos/inc/ntmm.h"

#define TAG_LINK POOL_TAG('S', 'y', 'm', 'l')

struct symbolic_link {
	LIST_ENTRY link;
	UNICODE_STRING name;
	UNICODE_STRING target;
	WCHAR text[]; /* of both */
};

static LIST_ENTRY IopLinkList = { &IopLinkList, &IopLinkList };
static KSPIN_LOCK IopLinkLock;

static struct symbolic_link *find(PUNICODE_STRING name) /* lock held */
{
	for (PLIST_ENTRY at = IopLinkList.Flink; at != &IopLinkList; at = at->Flink) {
		struct symbolic_link *link = CONTAINING_RECORD(at, struct symbolic_link, link);

		if (link->name.Length == name->Length &&
		    __builtin_memcmp(link->name.Buffer, name->Buffer, name->Length) == 0)
			return link;
	}
	return NULL;
}

static VOID copy(UNICODE_STRING *to, PWCHAR at, PUNICODE_STRING from)
{
	__builtin_memcpy(at, from->Buffer, from->Length);
	to->Buffer = at;
	to->Length = to->MaximumLength = from->Length;
}

NTSTATUS IoCreateSymbolicLink(PUNICODE_STRING SymbolicLinkName, PUNICODE_STRING DeviceName)
{
	SIZE_T size = sizeof(struct symbolic_link) + SymbolicLinkName->Length + DeviceName->Length;
	struct symbolic_link *link = ExAllocatePoolWithTag(NonPagedPool, size, TAG_LINK);
	BOOLEAN taken;
	KIRQL irql;

	if (link == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	copy(&link->name, link->text, SymbolicLinkName);
	copy(&link->target, link->text + SymbolicLinkName->Length / 2, DeviceName);
	irql = KfRaiseIrql(DISPATCH_LEVEL);
	KxAcquireSpinLock(&IopLinkLock);
	taken = find(SymbolicLinkName) != NULL;
	if (!taken)
		InsertTailList(&IopLinkList, &link->link);
	KxReleaseSpinLock(&IopLinkLock);
	KeLowerIrql(irql);
	if (taken)
		ExFreePoolWithTag(link, TAG_LINK);
	return taken ? STATUS_OBJECT_NAME_COLLISION : STATUS_SUCCESS;
}

NTSTATUS IoDeleteSymbolicLink(PUNICODE_STRING SymbolicLinkName)
{
	KIRQL irql = KfRaiseIrql(DISPATCH_LEVEL);
	struct symbolic_link *link;

	KxAcquireSpinLock(&IopLinkLock);
	link = find(SymbolicLinkName);
	if (link != NULL)
		RemoveEntryList(&link->link);
	KxReleaseSpinLock(&IopLinkLock);
	KeLowerIrql(irql);
	if (link == NULL)
		return STATUS_OBJECT_NAME_NOT_FOUND;
	ExFreePoolWithTag(link, TAG_LINK);
	return STATUS_SUCCESS;
}
