/* SPDX-License-Identifier: MIT */
/* The values and metadata of an indication (traffic facts 2.3): what each layer delivers, no more.
 */
#include "guest/demo/net/wfp/wfp_engine.h"

static VOID set8(struct wfp_subject *s, ULONG field, UCHAR value)
{
	s->values[field].type = FWP_UINT8;
	s->values[field].uint8 = value;
}

static VOID set16(struct wfp_subject *s, ULONG field, USHORT value)
{
	s->values[field].type = FWP_UINT16;
	s->values[field].uint16 = value;
}

static VOID set32(struct wfp_subject *s, ULONG field, ULONG value)
{
	s->values[field].type = FWP_UINT32;
	s->values[field].uint32 = value;
}

static VOID set_luid(struct wfp_subject *s, ULONG field)
{
	s->values[field].type = FWP_UINT64;
	s->values[field].uint64 = &s->interface_luid;
}

/* IPv4 in host order, IPv6 as it is in packets */
static VOID set_address(struct wfp_subject *s, ULONG field, USHORT family, const UCHAR *address,
			FWP_BYTE_ARRAY16 *place)
{
	if (family == AF_INET) {
		set32(s, field,
		      (ULONG)address[0] << 24 | (ULONG)address[1] << 16 | (ULONG)address[2] << 8 |
			      address[3]);
		return;
	}
	__builtin_memcpy(place->byteArray16, address, sizeof(place->byteArray16));
	s->values[field].type = FWP_BYTE_ARRAY16_TYPE;
	s->values[field].byteArray16 = place;
}

static VOID describe_stream(struct wfp_subject *s, const struct wfp_flow *flow, ULONG direction,
			    ULONG flags)
{
	const WFP_FLOW *f = &flow->info;

	s->fixed.valueCount = FWPS_FIELD_STREAM_COMPARTMENT_ID + 1;
	set_address(s, FWPS_FIELD_STREAM_IP_LOCAL_ADDRESS, f->AddressFamily, f->LocalAddress,
		    &s->local);
	set_address(s, FWPS_FIELD_STREAM_IP_REMOTE_ADDRESS, f->AddressFamily, f->RemoteAddress,
		    &s->remote);
	set16(s, FWPS_FIELD_STREAM_IP_LOCAL_PORT, f->LocalPort);
	set16(s, FWPS_FIELD_STREAM_IP_REMOTE_PORT, f->RemotePort);
	/* Who began the connection: which way the bytes go is in the stream flags. */
	set32(s, FWPS_FIELD_STREAM_DIRECTION, f->Direction);
	set32(s, FWPS_FIELD_STREAM_FLAGS, flags);
	set32(s, FWPS_FIELD_STREAM_COMPARTMENT_ID, f->CompartmentId);
}

static VOID describe_datagram(struct wfp_subject *s, const struct wfp_flow *flow, ULONG direction,
			      ULONG flags)
{
	const WFP_FLOW *f = &flow->info;

	s->fixed.valueCount = FWPS_FIELD_DATAGRAM_DATA_COMPARTMENT_ID + 1;
	set8(s, FWPS_FIELD_DATAGRAM_DATA_IP_PROTOCOL, f->Protocol);
	set_address(s, FWPS_FIELD_DATAGRAM_DATA_IP_LOCAL_ADDRESS, f->AddressFamily, f->LocalAddress,
		    &s->local);
	set_address(s, FWPS_FIELD_DATAGRAM_DATA_IP_REMOTE_ADDRESS, f->AddressFamily,
		    f->RemoteAddress, &s->remote);
	set16(s, FWPS_FIELD_DATAGRAM_DATA_IP_LOCAL_PORT, f->LocalPort);
	set16(s, FWPS_FIELD_DATAGRAM_DATA_IP_REMOTE_PORT, f->RemotePort);
	set_luid(s, FWPS_FIELD_DATAGRAM_DATA_IP_LOCAL_INTERFACE);
	set32(s, FWPS_FIELD_DATAGRAM_DATA_INTERFACE_INDEX, f->InterfaceIndex);
	set32(s, FWPS_FIELD_DATAGRAM_DATA_SUB_INTERFACE_INDEX, f->SubInterfaceIndex);
	set32(s, FWPS_FIELD_DATAGRAM_DATA_DIRECTION, direction);
	set32(s, FWPS_FIELD_DATAGRAM_DATA_FLAGS, flags);
	set32(s, FWPS_FIELD_DATAGRAM_DATA_COMPARTMENT_ID, f->CompartmentId);
}

static VOID describe_flow(struct wfp_subject *s, const struct wfp_flow *flow, ULONG direction,
			  ULONG flags)
{
	const WFP_FLOW *f = &flow->info;

	s->fixed.valueCount = FWPS_FIELD_ALE_FLOW_ESTABLISHED_FLAGS + 1;
	s->values[FWPS_FIELD_ALE_FLOW_ESTABLISHED_ALE_APP_ID].type = FWP_BYTE_BLOB_TYPE;
	s->values[FWPS_FIELD_ALE_FLOW_ESTABLISHED_ALE_APP_ID].byteBlob =
		(FWP_BYTE_BLOB *)&flow->path;
	set_address(s, FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_LOCAL_ADDRESS, f->AddressFamily,
		    f->LocalAddress, &s->local);
	set16(s, FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_LOCAL_PORT, f->LocalPort);
	set8(s, FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_PROTOCOL, f->Protocol);
	set_address(s, FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_REMOTE_ADDRESS, f->AddressFamily,
		    f->RemoteAddress, &s->remote);
	set16(s, FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_REMOTE_PORT, f->RemotePort);
	set_luid(s, FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_LOCAL_INTERFACE);
	set32(s, FWPS_FIELD_ALE_FLOW_ESTABLISHED_DIRECTION, direction);
	set32(s, FWPS_FIELD_ALE_FLOW_ESTABLISHED_FLAGS, flags);
	s->meta.processPath = (FWP_BYTE_BLOB *)&flow->path;
	s->meta.processId = f->ProcessId;
	s->meta.transportEndpointHandle = f->EndpointHandle;
	s->meta.currentMetadataValues |= FWPS_METADATA_FIELD_PROCESS_PATH |
					 FWPS_METADATA_FIELD_PROCESS_ID |
					 FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE;
}

static VOID add_datagram_meta(struct wfp_subject *s, const struct wfp_flow *flow,
			      const WFP_DATAGRAM *datagram)
{
	set32(s, FWPS_FIELD_DATAGRAM_DATA_INTERFACE_INDEX, datagram->InterfaceIndex);
	set32(s, FWPS_FIELD_DATAGRAM_DATA_SUB_INTERFACE_INDEX, datagram->SubInterfaceIndex);
	s->meta.ipHeaderSize = datagram->IpHeaderSize;
	s->meta.transportHeaderSize = datagram->TransportHeaderSize;
	s->meta.compartmentId = datagram->CompartmentId;
	s->meta.transportEndpointHandle = flow->info.EndpointHandle;
	s->meta.currentMetadataValues |= FWPS_METADATA_FIELD_TRANSPORT_HEADER_SIZE |
					 FWPS_METADATA_FIELD_COMPARTMENT_ID |
					 FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE;
	if (datagram->Direction == FWP_DIRECTION_INBOUND)
		s->meta.currentMetadataValues |= FWPS_METADATA_FIELD_IP_HEADER_SIZE;
}

VOID WfpDescribe(struct wfp_subject *Subject, enum wfp_layer_kind Kind, const struct wfp_flow *Flow,
		 ULONG Direction, const WFP_DATAGRAM *Datagram)
{
	static VOID (*const describe[])(struct wfp_subject *, const struct wfp_flow *, ULONG,
					ULONG) = {
		[WfpLayerStream] = describe_stream,
		[WfpLayerDatagram] = describe_datagram,
		[WfpLayerFlow] = describe_flow,
	};
	const ULONG flags = Flow->info.IsLoopback ? FWP_CONDITION_FLAG_IS_LOOPBACK : 0;

	__builtin_memset(Subject, 0, sizeof(*Subject));
	Subject->layer = WfpLayerOf(Kind, Flow->info.AddressFamily);
	Subject->fixed.layerId = Subject->layer->id;
	Subject->fixed.incomingValue = Subject->values;
	Subject->interface_luid = Flow->info.InterfaceIndex;
	Subject->meta.flowHandle = Flow->id;
	Subject->meta.currentMetadataValues = FWPS_METADATA_FIELD_FLOW_HANDLE;
	describe[Kind](Subject, Flow, Direction, flags);
	if (Datagram != NULL)
		add_datagram_meta(Subject, Flow, Datagram);
}
