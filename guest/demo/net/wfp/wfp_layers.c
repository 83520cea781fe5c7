/* SPDX-License-Identifier: MIT */
/* Which layers there are, and where their fields stand. Only three kinds are ever classified here.
 */
#include "guest/demo/net/wfp/wfp_engine.h"

#define BOTH(name, kind)                                                            \
	{ &FWPM_LAYER_##name##_V4, FWPS_LAYER_##name##_V4, AF_INET, kind },         \
	{                                                                           \
		&FWPM_LAYER_##name##_V6, FWPS_LAYER_##name##_V6, WFP_AF_INET6, kind \
	}

static const struct wfp_layer layers[] = {
	BOTH(STREAM, WfpLayerStream),
	BOTH(DATAGRAM_DATA, WfpLayerDatagram),
	BOTH(ALE_FLOW_ESTABLISHED, WfpLayerFlow),
	BOTH(ALE_AUTH_CONNECT, WfpLayerOther),
	BOTH(ALE_AUTH_RECV_ACCEPT, WfpLayerOther),
	BOTH(ALE_ENDPOINT_CLOSURE, WfpLayerOther),
	BOTH(ALE_CONNECT_REDIRECT, WfpLayerOther),
	BOTH(STREAM_PACKET, WfpLayerOther),
	BOTH(INBOUND_TRANSPORT, WfpLayerOther),
	BOTH(OUTBOUND_TRANSPORT, WfpLayerOther),
	BOTH(INBOUND_IPPACKET, WfpLayerOther),
	BOTH(OUTBOUND_IPPACKET, WfpLayerOther),
};

/* by condition: the index at each kind of layer, -1 where it has none */
static const struct {
	const GUID *key;
	SHORT index[WfpLayerOther];
} fields[] = {
	{ &FWPM_CONDITION_IP_PROTOCOL,
	  { -1, FWPS_FIELD_DATAGRAM_DATA_IP_PROTOCOL,
	    FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_PROTOCOL } },
	{ &FWPM_CONDITION_IP_LOCAL_ADDRESS,
	  { FWPS_FIELD_STREAM_IP_LOCAL_ADDRESS, FWPS_FIELD_DATAGRAM_DATA_IP_LOCAL_ADDRESS,
	    FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_LOCAL_ADDRESS } },
	{ &FWPM_CONDITION_IP_REMOTE_ADDRESS,
	  { FWPS_FIELD_STREAM_IP_REMOTE_ADDRESS, FWPS_FIELD_DATAGRAM_DATA_IP_REMOTE_ADDRESS,
	    FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_REMOTE_ADDRESS } },
	{ &FWPM_CONDITION_IP_LOCAL_PORT,
	  { FWPS_FIELD_STREAM_IP_LOCAL_PORT, FWPS_FIELD_DATAGRAM_DATA_IP_LOCAL_PORT,
	    FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_LOCAL_PORT } },
	{ &FWPM_CONDITION_IP_REMOTE_PORT,
	  { FWPS_FIELD_STREAM_IP_REMOTE_PORT, FWPS_FIELD_DATAGRAM_DATA_IP_REMOTE_PORT,
	    FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_REMOTE_PORT } },
	{ &FWPM_CONDITION_DIRECTION,
	  { FWPS_FIELD_STREAM_DIRECTION, FWPS_FIELD_DATAGRAM_DATA_DIRECTION,
	    FWPS_FIELD_ALE_FLOW_ESTABLISHED_DIRECTION } },
	{ &FWPM_CONDITION_FLAGS,
	  { FWPS_FIELD_STREAM_FLAGS, FWPS_FIELD_DATAGRAM_DATA_FLAGS,
	    FWPS_FIELD_ALE_FLOW_ESTABLISHED_FLAGS } },
	{ &FWPM_CONDITION_ALE_APP_ID, { -1, -1, FWPS_FIELD_ALE_FLOW_ESTABLISHED_ALE_APP_ID } },
};

const struct wfp_layer *WfpFindLayer(const GUID *Key)
{
	for (ULONG i = 0; i < RTL_NUMBER_OF(layers); i++) {
		if (WfpIsSameGuid(layers[i].key, Key))
			return &layers[i];
	}
	return NULL;
}

const struct wfp_layer *WfpLayerOf(enum wfp_layer_kind Kind, USHORT Family)
{
	for (ULONG i = 0; i < RTL_NUMBER_OF(layers); i++) {
		if (layers[i].kind == Kind && layers[i].family == Family)
			return &layers[i];
	}
	return NULL;
}

BOOLEAN WfpFindField(const struct wfp_layer *Layer, const GUID *Key, PUSHORT Index)
{
	if (Layer->kind == WfpLayerOther)
		return FALSE;
	for (ULONG i = 0; i < RTL_NUMBER_OF(fields); i++) {
		if (!WfpIsSameGuid(fields[i].key, Key) || fields[i].index[Layer->kind] < 0)
			continue;
		*Index = (USHORT)fields[i].index[Layer->kind];
		return TRUE;
	}
	return FALSE;
}
