/* SPDX-License-Identifier: MIT */
/* Flows: TCP connections, and pairs of UDP endpoints. */
#include "guest/netprobe/netprobe.h"

enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

VOID ProbeReference(NETPROBE_FLOW *Flow)
{
	__atomic_add_fetch(&Flow->References, 1, __ATOMIC_RELAXED);
}

VOID ProbeDereference(NETPROBE_FLOW *Flow)
{
	if (__atomic_sub_fetch(&Flow->References, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	ProbeFree(Flow);
	__atomic_sub_fetch(&Netprobe->Flows, 1, __ATOMIC_RELEASE);
}

USHORT ProbeDataLayer(const NETPROBE_FLOW *Flow)
{
	static const USHORT layers[FAMILIES][2] = {
		{ FWPS_LAYER_STREAM_V4, FWPS_LAYER_DATAGRAM_DATA_V4 },
		{ FWPS_LAYER_STREAM_V6, FWPS_LAYER_DATAGRAM_DATA_V6 },
	};

	return layers[Flow->Family][Flow->IsDatagram];
}

ULONG ProbeDataCallout(const NETPROBE_FLOW *Flow)
{
	return Netprobe->CalloutId[Flow->Family][Flow->IsDatagram ? LAYER_DATAGRAM : LAYER_STREAM];
}

/* --- what the platform tells --- */

static VOID put_address(UCHAR *to, const FWP_VALUE0 *value, ULONG family)
{
	if (family == FAMILY_6) {
		__builtin_memcpy(to, value->byteArray16->byteArray16, 16);
		return;
	}
	/* host order here, network order there */
	for (ULONG i = 0; i < 4; i++)
		to[i] = (UCHAR)(value->uint32 >> (24 - 8 * i));
}

/* UTF-16 to UTF-8; what is no character becomes '?'. Returns the size, at most `max`. */
static ULONG convert(UCHAR *to, ULONG max, const WCHAR *from, ULONG n)
{
	ULONG size = 0;

	for (ULONG i = 0; i < n && from[i] != 0; i++) {
		ULONG c = from[i];

		if (c >= 0xD800 && c < 0xDC00 && i + 1 < n && (from[i + 1] & 0xFC00) == 0xDC00)
			c = 0x10000 + ((c - 0xD800) << 10) + (from[++i] - 0xDC00u);
		else if (c >= 0xD800 && c < 0xE000)
			c = '?';
		if (size + 4 > max)
			break;
		if (c < 0x80) {
			to[size++] = (UCHAR)c;
			continue;
		}
		if (c < 0x800) {
			to[size++] = (UCHAR)(0xC0 | c >> 6);
		} else if (c < 0x10000) {
			to[size++] = (UCHAR)(0xE0 | c >> 12);
			to[size++] = (UCHAR)(0x80 | (c >> 6 & 0x3F));
		} else {
			to[size++] = (UCHAR)(0xF0 | c >> 18);
			to[size++] = (UCHAR)(0x80 | (c >> 12 & 0x3F));
			to[size++] = (UCHAR)(0x80 | (c >> 6 & 0x3F));
		}
		to[size++] = (UCHAR)(0x80 | (c & 0x3F));
	}
	return size;
}

static VOID read_process(NETPROBE_FLOW *flow, struct kd_probe_facts *facts,
			 const FWPS_INCOMING_METADATA_VALUES0 *m)
{
	facts->path = flow->Path;
	if (FWPS_IS_METADATA_FIELD_PRESENT(m, FWPS_METADATA_FIELD_PROCESS_ID))
		facts->pid = (ULONG)m->processId;
	if (FWPS_IS_METADATA_FIELD_PRESENT(m, FWPS_METADATA_FIELD_PROCESS_PATH) &&
	    m->processPath != NULL)
		facts->path_size = (USHORT)convert(flow->Path, sizeof(flow->Path),
						   (const WCHAR *)(PVOID)m->processPath->data,
						   m->processPath->size / sizeof(WCHAR));
	if (FWPS_IS_METADATA_FIELD_PRESENT(m, FWPS_METADATA_FIELD_TRANSPORT_ENDPOINT_HANDLE))
		facts->endpoint = m->transportEndpointHandle;
}

static VOID read_facts(NETPROBE_FLOW *flow, struct kd_probe_facts *facts,
		       const FWPS_INCOMING_VALUES0 *values,
		       const FWPS_INCOMING_METADATA_VALUES0 *metadata)
{
	const FWPS_INCOMING_VALUE0 *v = values->incomingValue;

	facts->family = flow->Family == FAMILY_4 ? 4 : 6;
	facts->protocol = v[FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_PROTOCOL].uint8;
	facts->direction = v[FWPS_FIELD_ALE_FLOW_ESTABLISHED_DIRECTION].uint32 ==
					   FWP_DIRECTION_INBOUND
				   ? KD_PROBE_IN
				   : KD_PROBE_OUT;
	facts->is_loopback = (v[FWPS_FIELD_ALE_FLOW_ESTABLISHED_FLAGS].uint32 &
			      FWP_CONDITION_FLAG_IS_LOOPBACK) != 0;
	facts->local_port = v[FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_LOCAL_PORT].uint16;
	facts->remote_port = v[FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_REMOTE_PORT].uint16;
	put_address(facts->local, &v[FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_LOCAL_ADDRESS],
		    flow->Family);
	put_address(facts->remote, &v[FWPS_FIELD_ALE_FLOW_ESTABLISHED_IP_REMOTE_ADDRESS],
		    flow->Family);
	read_process(flow, facts, metadata);
}

static NETPROBE_FLOW *create_flow(const FWPS_INCOMING_VALUES0 *values, ULONG64 flow_id)
{
	NETPROBE_FLOW *flow = ProbeAllocate(sizeof(*flow));

	if (flow == NULL)
		return NULL;
	__builtin_memset(flow, 0, sizeof(*flow));
	flow->References = 1;
	flow->FlowId = flow_id;
	flow->Family = values->layerId == FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4 ? FAMILY_4 : FAMILY_6;
	__atomic_add_fetch(&Netprobe->Flows, 1, __ATOMIC_RELAXED);
	return flow;
}

static BOOLEAN is_ending(VOID)
{
	KIRQL irql = ProbeLock();
	BOOLEAN is = Netprobe->Probe.is_ending;

	ProbeUnlock(irql);
	return is;
}

/*
 * A new flow is known to core/probe before the platform knows its context, because the first
 * payload may come right after that.
 */
static VOID begin_flow(NETPROBE_FLOW *flow, const struct kd_probe_facts *facts)
{
	NTSTATUS status = STATUS_UNSUCCESSFUL;
	KIRQL irql = ProbeLock();

	if (!Netprobe->Probe.is_ending) {
		ProbeObey();
		kd_probe_flow_open(&Netprobe->Probe, &flow->Flow, facts, ProbeNow());
		flow->IsAssociated = TRUE;
		ProbeReference(flow);
		status = STATUS_SUCCESS;
	}
	ProbeUnlock(irql);
	if (NT_SUCCESS(status)) {
		status = FwpsFlowAssociateContext0(flow->FlowId, ProbeDataLayer(flow),
						   ProbeDataCallout(flow),
						   (ULONG64)(ULONG_PTR)flow);
		if (status != STATUS_SUCCESS) /* others, too, may be no failures for NT_SUCCESS */
			ProbeFlowDeleted(0, 0, (ULONG64)(ULONG_PTR)flow);
		else if (is_ending()) /* who takes contexts away may have come by already */
			FwpsFlowRemoveContext0(flow->FlowId, ProbeDataLayer(flow),
					       ProbeDataCallout(flow));
	}
	ProbeDereference(flow);
}

VOID NTAPI ProbeClassifyFlow(const FWPS_INCOMING_VALUES0 *Values,
			     const FWPS_INCOMING_METADATA_VALUES0 *Metadata, PVOID LayerData,
			     const VOID *ClassifyContext, const FWPS_FILTER2 *Filter,
			     ULONG64 FlowContext, FWPS_CLASSIFY_OUT0 *Out)
{
	struct kd_probe_facts facts = { 0 };
	NETPROBE_FLOW *flow;

	if (!FWPS_IS_METADATA_FIELD_PRESENT(Metadata, FWPS_METADATA_FIELD_FLOW_HANDLE))
		return;
	flow = create_flow(Values, Metadata->flowHandle);
	if (flow == NULL)
		return; /* it passes unseen */
	read_facts(flow, &facts, Values, Metadata);
	flow->IsDatagram = facts.protocol == PROTOCOL_UDP;
	if (facts.protocol == PROTOCOL_TCP || facts.protocol == PROTOCOL_UDP)
		begin_flow(flow, &facts);
	else
		ProbeDereference(flow);
}

/* The driver goes, the connection stays: what came since the last look goes on, too. */
static VOID send_leftovers(NETPROBE_FLOW *flow, struct kd_probe_item *backwards)
{
	struct kd_probe_item *first = NULL, *next;

	for (; backwards != NULL; backwards = next) {
		next = backwards->next;
		backwards->next = first;
		first = backwards;
	}
	for (; first != NULL; first = next) {
		BOOLEAN is_inbound = (first->flags & KD_PROBE_INBOUND) != 0;

		next = first->next;
		if (!kd_probe_goes_on(first)) {
			ProbeDeleteItem(ProbeItemOf(first));
			continue;
		}
		flow->Flow.lanes[is_inbound ? KD_PROBE_IN : KD_PROBE_OUT].sent += first->size;
		ProbeSendOn(flow, first);
	}
}

VOID NTAPI ProbeFlowDeleted(USHORT LayerId, ULONG CalloutId, ULONG64 FlowContext)
{
	NETPROBE_FLOW *flow = (NETPROBE_FLOW *)(ULONG_PTR)FlowContext;
	struct kd_probe_item *all;
	BOOLEAN is_unload;
	KIRQL irql = ProbeLock();

	is_unload = Netprobe->Probe.is_ending;
	flow->IsAssociated = FALSE;
	all = kd_probe_flow_close(&Netprobe->Probe, &flow->Flow,
				  is_unload ? KD_PROBE_CLOSE_UNLOAD : KD_PROBE_CLOSE_ENDED,
				  ProbeNow());
	ProbeUnlock(irql);
	if (is_unload)
		send_leftovers(flow, all);
	else
		ProbeDeleteItems(all);
	ProbeDereference(flow);
}

VOID ProbeRemoveFlows(VOID)
{
	for (;;) {
		KIRQL irql = ProbeLock();
		struct kd_probe_flow *first = Netprobe->Probe.first_flow;
		NETPROBE_FLOW *flow;
		BOOLEAN is_deferred = FALSE;

		while (first != NULL && !ProbeFlowOf(first)->IsAssociated)
			first = first->next;
		flow = first != NULL ? ProbeFlowOf(first) : NULL;
		if (flow != NULL) {
			flow->IsAssociated = FALSE; /* asked once */
			is_deferred = first->lanes[KD_PROBE_IN].is_deferred;
			ProbeReference(flow);
		}
		ProbeUnlock(irql);
		if (flow == NULL)
			return;
		if (is_deferred)
			FwpsStreamContinue0(flow->FlowId, ProbeDataCallout(flow),
					    ProbeDataLayer(flow), FWPS_STREAM_FLAG_RECEIVE);
		FwpsFlowRemoveContext0(flow->FlowId, ProbeDataLayer(flow), ProbeDataCallout(flow));
		ProbeDereference(flow);
	}
}
