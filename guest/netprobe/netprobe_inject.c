/* SPDX-License-Identifier: MIT */
/* Payloads of our own, and how they go on. */
#include "guest/netprobe/netprobe.h"

NETPROBE_ITEM *ProbeCreateItem(ULONG Size)
{
	NETPROBE_ITEM *item = ProbeAllocate(sizeof(*item) + Size);

	if (item == NULL)
		return NULL;
	__builtin_memset(item, 0, sizeof(*item));
	item->Item.data = (UCHAR *)(item + 1);
	item->Item.size = Size;
	return item;
}

VOID ProbeDeleteItem(NETPROBE_ITEM *Item)
{
	if (Item->Kept != NULL)
		FwpsDiscardClonedStreamData0(Item->Kept, 0, FALSE);
	if (Item->Item.replacement != NULL)
		ProbeDeleteItem(ProbeItemOf(Item->Item.replacement));
	ProbeFree(Item->ControlData);
	ProbeFree(Item->Packet);
	ProbeFree(Item);
}

VOID ProbeDeleteItems(struct kd_probe_item *All)
{
	while (All != NULL) {
		struct kd_probe_item *next = All->next;

		ProbeDeleteItem(ProbeItemOf(All));
		All = next;
	}
}

const struct kd_probe_item *ProbeBytesOf(const NETPROBE_ITEM *Item)
{
	return Item->Item.replacement != NULL ? Item->Item.replacement : &Item->Item;
}

NTSTATUS ProbeMakeList(NETPROBE_ITEM *Item, PVOID Bytes, ULONG Size, NET_BUFFER_LIST **List)
{
	NTSTATUS status;

	Item->Mdl = IoAllocateMdl(Bytes, Size, FALSE, FALSE, NULL);
	if (Item->Mdl == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	MmBuildMdlForNonPagedPool(Item->Mdl);
	status = FwpsAllocateNetBufferAndNetBufferList0(Netprobe->NblPool, 0, 0, Item->Mdl, 0, Size,
							List);
	if (!NT_SUCCESS(status)) {
		IoFreeMdl(Item->Mdl);
		Item->Mdl = NULL;
	}
	return status;
}

static VOID delete_list(NETPROBE_ITEM *item, NET_BUFFER_LIST *list)
{
	if (list != NULL)
		FwpsFreeNetBufferList0(list);
	if (item->Mdl != NULL)
		IoFreeMdl(item->Mdl);
	item->Mdl = NULL;
}

/* --- streams --- */

static ULONG stream_flags(USHORT flags)
{
	BOOLEAN is_inbound = (flags & KD_PROBE_INBOUND) != 0;
	ULONG v = is_inbound ? FWPS_STREAM_FLAG_RECEIVE : FWPS_STREAM_FLAG_SEND;

	if ((flags & KD_PROBE_FIN) != 0)
		v |= is_inbound ? FWPS_STREAM_FLAG_RECEIVE_DISCONNECT
				: FWPS_STREAM_FLAG_SEND_DISCONNECT;
	if ((flags & KD_PROBE_URGENT) != 0)
		v |= is_inbound ? FWPS_STREAM_FLAG_RECEIVE_EXPEDITED
				: FWPS_STREAM_FLAG_SEND_EXPEDITED;
	if ((flags & KD_PROBE_PUSH) != 0 && is_inbound)
		v |= FWPS_STREAM_FLAG_RECEIVE_PUSH;
	if ((flags & KD_PROBE_NODELAY) != 0 && !is_inbound)
		v |= FWPS_STREAM_FLAG_SEND_NODELAY;
	return v;
}

static NTSTATUS inject_stream(NETPROBE_ITEM *item)
{
	const struct kd_probe_item *bytes = ProbeBytesOf(item);
	NETPROBE_FLOW *flow = item->Flow;
	NET_BUFFER_LIST *list = NULL;
	NTSTATUS status = STATUS_SUCCESS;

	if (bytes->size != 0)
		status = ProbeMakeList(item, bytes->data, bytes->size, &list);
	if (!NT_SUCCESS(status))
		return status;
	status = FwpsStreamInjectAsync0(Netprobe->StreamInjection[flow->Family], NULL, 0,
					flow->FlowId, ProbeDataCallout(flow), ProbeDataLayer(flow),
					stream_flags(item->Item.flags), list, bytes->size,
					ProbeInjected, item);
	if (!NT_SUCCESS(status))
		delete_list(item, list);
	else if (list == NULL) /* a bare end: nobody calls back */
		ProbeFinishItem(item);
	return status;
}

/* --- both --- */

NTSTATUS ProbeInject(NETPROBE_ITEM *Item)
{
	if (Item->Flow->IsDatagram)
		return ProbeInjectDatagram(Item);
	return inject_stream(Item);
}

VOID ProbeFinishItem(NETPROBE_ITEM *Item)
{
	NETPROBE_FLOW *flow = Item->Flow;
	KIRQL irql = ProbeLock();

	kd_probe_sent(&Netprobe->Probe, &flow->Flow,
		      (Item->Item.flags & KD_PROBE_INBOUND) != 0 ? KD_PROBE_IN : KD_PROBE_OUT,
		      Item->Item.size);
	ProbeUnlock(irql);
	ProbeDeleteItem(Item);
	ProbeWake();
	ProbeDereference(flow); /* the last one: from here on the driver may be gone */
}

VOID NTAPI ProbeInjected(PVOID Context, NET_BUFFER_LIST *List, BOOLEAN DispatchLevel)
{
	NETPROBE_ITEM *item = Context;

	delete_list(item, List);
	ProbeFinishItem(item);
}
