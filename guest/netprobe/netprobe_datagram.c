/* SPDX-License-Identifier: MIT */
/* UDP payloads as the platform indicates them, and how they are sent again. */
#include "core/probe/probe_headers.h"
#include "guest/netprobe/netprobe.h"

enum { UDP_HEADER = 8, IP_HEADER_ROOM = 64, PROTOCOL_UDP = 17 };

typedef struct _DATAGRAM {
	NETPROBE_FLOW *Flow;
	const FWPS_INCOMING_VALUES0 *Values;
	const FWPS_INCOMING_METADATA_VALUES0 *Metadata;
	enum kd_probe_direction Direction;
	BOOLEAN MayBlock;
	BOOLEAN IsOneOfMany;
} DATAGRAM;

/* Where the payload of one datagram is, in one piece: in place, or in `*storage`, which the caller
 * frees. NULL: no memory, or too short to be one. */
static const UCHAR *payload_of(const DATAGRAM *d, NET_BUFFER *buffer, ULONG *size, PVOID *storage)
{
	ULONG before = d->Direction == KD_PROBE_OUT ? UDP_HEADER : 0;
	const UCHAR *bytes;

	*storage = NULL;
	if (buffer->DataLength < before || buffer->DataLength - before > KD_PROBE_BYTES_MAX)
		return NULL;
	*size = buffer->DataLength - before;
	if (buffer->DataLength == 0)
		return (const UCHAR *)"";
	bytes = NdisGetDataBuffer(buffer, buffer->DataLength, NULL, 1, 0);
	if (bytes == NULL) {
		*storage = ProbeAllocate(buffer->DataLength);
		if (*storage == NULL)
			return NULL;
		bytes = NdisGetDataBuffer(buffer, buffer->DataLength, *storage, 1, 0);
	}
	return bytes != NULL ? bytes + before : NULL;
}

static USHORT flags_of(const DATAGRAM *d)
{
	return (USHORT)(KD_PROBE_DATAGRAM | (d->Direction == KD_PROBE_IN ? KD_PROBE_INBOUND : 0));
}

static VOID remember_place(const DATAGRAM *d)
{
	const FWPS_INCOMING_VALUE0 *v = d->Values->incomingValue;

	d->Flow->InterfaceIndex = v[FWPS_FIELD_DATAGRAM_DATA_INTERFACE_INDEX].uint32;
	d->Flow->SubInterfaceIndex = v[FWPS_FIELD_DATAGRAM_DATA_SUB_INTERFACE_INDEX].uint32;
	if (FWPS_IS_METADATA_FIELD_PRESENT(d->Metadata, FWPS_METADATA_FIELD_COMPARTMENT_ID))
		d->Flow->CompartmentId = d->Metadata->compartmentId;
}

/* What the reinjection will want, beside what the flow knows. FALSE: no memory. */
static BOOLEAN keep_metadata(const DATAGRAM *d, NETPROBE_ITEM *item)
{
	const FWPS_INCOMING_METADATA_VALUES0 *m = d->Metadata;

	item->CompartmentId = d->Flow->CompartmentId;
	item->InterfaceIndex = d->Flow->InterfaceIndex;
	item->SubInterfaceIndex = d->Flow->SubInterfaceIndex;
	if (FWPS_IS_METADATA_FIELD_PRESENT(m, FWPS_METADATA_FIELD_REMOTE_SCOPE_ID))
		item->RemoteScopeId = m->remoteScopeId.Value;
	if (d->Direction == KD_PROBE_IN || m->controlDataLength == 0 || m->controlData == NULL ||
	    !FWPS_IS_METADATA_FIELD_PRESENT(m, FWPS_METADATA_FIELD_TRANSPORT_CONTROL_DATA))
		return TRUE;
	item->ControlData = ProbeAllocate(m->controlDataLength);
	if (item->ControlData == NULL)
		return FALSE;
	__builtin_memcpy(item->ControlData, m->controlData, m->controlDataLength);
	item->ControlDataLength = m->controlDataLength;
	return TRUE;
}

/* TRUE: it is ours now. */
static BOOLEAN submit(const DATAGRAM *d, const UCHAR *bytes, ULONG size, ULONG64 now)
{
	NETPROBE_ITEM *item = ProbeCreateItem(size);

	if (item == NULL)
		return FALSE;
	if (!keep_metadata(d, item)) {
		ProbeDeleteItem(item);
		return FALSE;
	}
	__builtin_memcpy(item->Item.data, bytes, size);
	item->Item.flags = flags_of(d);
	item->Item.pid = d->Flow->Flow.facts.pid;
	item->Item.must_queue = d->IsOneOfMany;
	if (kd_probe_submit(&Netprobe->Probe, &d->Flow->Flow, &item->Item, now))
		return TRUE;
	ProbeDeleteItem(item);
	return FALSE;
}

static VOID show(const DATAGRAM *d, const UCHAR *bytes, ULONG size, ULONG64 now)
{
	struct kd_probe_item like = { .size = size,
				      .flags = flags_of(d),
				      .pid = d->Flow->Flow.facts.pid };
	UCHAR *to = kd_probe_show_begin(&Netprobe->Probe, &d->Flow->Flow, size, now);

	if (to == NULL)
		return;
	__builtin_memcpy(to, bytes, size);
	kd_probe_show_end(&Netprobe->Probe, &d->Flow->Flow, &like, now);
}

/* One datagram, under the lock. TRUE: it is ours. */
static BOOLEAN look(const DATAGRAM *d, NET_BUFFER *buffer)
{
	ULONG64 now = ProbeNow();
	BOOLEAN is_ours = FALSE;
	const UCHAR *bytes;
	PVOID storage;
	ULONG size;

	bytes = payload_of(d, buffer, &size, &storage);
	if (bytes == NULL)
		return FALSE;
	switch (kd_probe_look(&Netprobe->Probe, &d->Flow->Flow, d->Direction, size)) {
	case KD_PROBE_COPY: show(d, bytes, size, now); break;
	case KD_PROBE_ITEM:
		if (d->MayBlock)
			is_ours = submit(d, bytes, size, now);
		else
			show(d, bytes, size, now);
		break;
	default: break;
	}
	ProbeFree(storage);
	return is_ours;
}

/* Packets that we sent on ourselves. */
static BOOLEAN is_own(const DATAGRAM *d, NET_BUFFER_LIST *list)
{
	ULONG state = FwpsQueryPacketInjectionState0(Netprobe->DatagramInjection[d->Flow->Family],
						     list, NULL);

	return state == FWPS_PACKET_INJECTED_BY_SELF ||
	       state == FWPS_PACKET_PREVIOUSLY_INJECTED_BY_SELF;
}

VOID NTAPI ProbeClassifyDatagram(const FWPS_INCOMING_VALUES0 *Values,
				 const FWPS_INCOMING_METADATA_VALUES0 *Metadata, PVOID LayerData,
				 const VOID *ClassifyContext, const FWPS_FILTER2 *Filter,
				 ULONG64 FlowContext, FWPS_CLASSIFY_OUT0 *Out)
{
	NET_BUFFER_LIST *list = LayerData;
	DATAGRAM d = { .Flow = (NETPROBE_FLOW *)(ULONG_PTR)FlowContext,
		       .Values = Values,
		       .Metadata = Metadata,
		       .MayBlock = (Out->rights & FWPS_RIGHT_ACTION_WRITE) != 0 };
	BOOLEAN is_ours = FALSE, has_work;
	KIRQL irql;

	if (d.MayBlock)
		Out->actionType = FWP_ACTION_CONTINUE;
	if (d.Flow == NULL || list == NULL || list->FirstNetBuffer == NULL)
		return;
	if (is_own(&d, list))
		return;
	d.Direction = Values->incomingValue[FWPS_FIELD_DATAGRAM_DATA_DIRECTION].uint32 ==
				      FWP_DIRECTION_INBOUND
			      ? KD_PROBE_IN
			      : KD_PROBE_OUT;
	d.IsOneOfMany = list->FirstNetBuffer->Next != NULL;
	irql = ProbeLock();
	has_work = ProbeObey();
	remember_place(&d);
	for (NET_BUFFER *buffer = list->FirstNetBuffer; buffer != NULL; buffer = buffer->Next)
		is_ours |= look(&d, buffer);
	ProbeUnlock(irql);
	if (is_ours) {
		Out->actionType = FWP_ACTION_BLOCK;
		Out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
		Out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
	}
	if (is_ours || has_work)
		ProbeWake();
}

/* --- reinjection --- */

/* [room for an IP header][UDP][payload], the list beginning at UDP. */
static NTSTATUS build(NETPROBE_ITEM *item, NET_BUFFER_LIST **list)
{
	const struct kd_probe_item *bytes = ProbeBytesOf(item);
	struct kd_probe_segment segment = { .payload_size = bytes->size };
	struct kd_probe_headers headers;
	NTSTATUS status;

	kd_probe_headers_make(
		&headers, &item->Flow->Flow.facts,
		(item->Item.flags & KD_PROBE_INBOUND) != 0 ? KD_PROBE_IN : KD_PROBE_OUT, &segment);
	kd_probe_headers_sum(&headers, bytes->data, bytes->size);
	item->Packet = ProbeAllocate(IP_HEADER_ROOM + UDP_HEADER + bytes->size);
	if (item->Packet == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	__builtin_memcpy(item->Packet + IP_HEADER_ROOM, headers.bytes + headers.ip_size,
			 UDP_HEADER);
	__builtin_memcpy(item->Packet + IP_HEADER_ROOM + UDP_HEADER, bytes->data, bytes->size);
	status = ProbeMakeList(item, item->Packet, IP_HEADER_ROOM + UDP_HEADER + bytes->size, list);
	if (NT_SUCCESS(status))
		NdisAdvanceNetBufferDataStart((*list)->FirstNetBuffer, IP_HEADER_ROOM, FALSE, NULL);
	return status;
}

static NTSTATUS send(NETPROBE_ITEM *item, NET_BUFFER_LIST *list)
{
	NETPROBE_FLOW *flow = item->Flow;

	item->SendParams = (FWPS_TRANSPORT_SEND_PARAMS1){
		.remoteAddress = flow->Flow.facts.remote, /* the flow stays: it is referenced */
		.remoteScopeId = { item->RemoteScopeId },
		.controlData = item->ControlData,
		.controlDataLength = item->ControlDataLength,
	};
	return FwpsInjectTransportSendAsync1(Netprobe->DatagramInjection[flow->Family], NULL,
					     flow->Flow.facts.endpoint, 0, &item->SendParams,
					     flow->Family == FAMILY_4 ? AF_INET : WFP_AF_INET6,
					     item->CompartmentId, list, ProbeInjected, item);
}

static NTSTATUS receive(NETPROBE_ITEM *item, NET_BUFFER_LIST *list)
{
	NETPROBE_FLOW *flow = item->Flow;
	const struct kd_probe_facts *facts = &flow->Flow.facts;
	USHORT family = flow->Family == FAMILY_4 ? AF_INET : WFP_AF_INET6;
	NTSTATUS status;

	status = FwpsConstructIpHeaderForTransportPacket0(
		list, 0, family, facts->remote, facts->local, PROTOCOL_UDP, 0, NULL, 0, 0, NULL,
		item->InterfaceIndex, item->SubInterfaceIndex);
	if (!NT_SUCCESS(status))
		return status;
	return FwpsInjectTransportReceiveAsync0(Netprobe->DatagramInjection[flow->Family], NULL,
						NULL, 0, family, item->CompartmentId,
						item->InterfaceIndex, item->SubInterfaceIndex, list,
						ProbeInjected, item);
}

NTSTATUS ProbeInjectDatagram(NETPROBE_ITEM *Item)
{
	NET_BUFFER_LIST *list = NULL;
	NTSTATUS status = build(Item, &list);

	if (!NT_SUCCESS(status))
		return status;
	status = (Item->Item.flags & KD_PROBE_INBOUND) != 0 ? receive(Item, list)
							    : send(Item, list);
	if (!NT_SUCCESS(status)) {
		FwpsFreeNetBufferList0(list);
		IoFreeMdl(Item->Mdl);
		Item->Mdl = NULL;
	}
	return status;
}
