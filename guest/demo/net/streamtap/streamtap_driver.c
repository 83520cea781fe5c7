/* SPDX-License-Identifier: MIT */
/*
 * streamtap.sys: a callout that does to streams and datagrams whatever Windows lets a callout do,
 * for the tests of the stack. streamtap!StreamtapMode says what; loaded only when it is asked for.
 */
#include "guest/common/wfp.h"
#include "guest/demo/inc/nt_driver.h"

enum {
	TapLook = 0,   /* let everything pass, count */
	TapRelay = 1,  /* absorb everything, inject it from a thread */
	TapPieces = 2, /* let it pass in pieces of PIECE bytes */
	TapDefer = 3,  /* inbound: defer each indication once, continue from the thread */
	TapDrop = 4,   /* drop connections after DROP_AFTER bytes */
	TapBlock = 5,  /* block datagrams */
	TapKeep = 6,   /* as TapRelay, with clones of what programs send until it is injected */
	PIECE = 1000,
	DROP_AFTER = 100000,
	TAG = 0x70615453, /* STap */
};

volatile ULONG StreamtapMode;
volatile ULONG StreamtapPaused;     /* nothing is injected meanwhile */
volatile ULONG64 StreamtapBytes[2]; /* in, out */
volatile ULONG StreamtapEnds[2], StreamtapAborts[2], StreamtapDatagrams[2];
volatile ULONG StreamtapInjected, StreamtapFailed, StreamtapContinued;

/* What was taken away, or a flow that is to be continued. */
struct item {
	LIST_ENTRY Link;
	ULONG64 FlowId;
	USHORT Layer;
	ULONG Flags;
	BOOLEAN Continues;
	/* of a datagram */
	BOOLEAN IsDatagram, IsInbound;
	ULONG64 Endpoint;
	ULONG Compartment, Interface, SubInterface;
	UCHAR Remote[16];
	FWPS_TRANSPORT_SEND_PARAMS1 Parameters;
	PMDL Mdl;
	NET_BUFFER_LIST *Kept;
	ULONG Size;
	UCHAR Bytes[];
};

struct layer {
	const GUID *Key;
	USHORT Id, Family;
	GUID Callout;
	ULONG CalloutId;
	FWPS_CALLOUT_CLASSIFY_FN2 Classify;
	HANDLE Injection;
};

static LIST_ENTRY items = { &items, &items };
static KSPIN_LOCK lock;
static KEVENT work;
static HANDLE engine, pool;
static PDEVICE_OBJECT device;
static ULONG64 deferred_flow; /* the one indication that was continued passes */
static WCHAR name[] = L"streamtap";
static const GUID sublayer = { 0x57EA37A9, 1, 1, { 1 } };

static VOID NTAPI classify_stream(const FWPS_INCOMING_VALUES0 *,
				  const FWPS_INCOMING_METADATA_VALUES0 *, PVOID, const VOID *,
				  const FWPS_FILTER2 *, ULONG64, FWPS_CLASSIFY_OUT0 *);
static VOID NTAPI classify_datagram(const FWPS_INCOMING_VALUES0 *,
				    const FWPS_INCOMING_METADATA_VALUES0 *, PVOID, const VOID *,
				    const FWPS_FILTER2 *, ULONG64, FWPS_CLASSIFY_OUT0 *);

static struct layer layers[] = {
	{ &FWPM_LAYER_STREAM_V4,
	  FWPS_LAYER_STREAM_V4,
	  AF_INET,
	  { 0x57EA37A9, 2, 1, { 1 } },
	  0,
	  classify_stream,
	  NULL },
	{ &FWPM_LAYER_STREAM_V6,
	  FWPS_LAYER_STREAM_V6,
	  WFP_AF_INET6,
	  { 0x57EA37A9, 2, 1, { 2 } },
	  0,
	  classify_stream,
	  NULL },
	{ &FWPM_LAYER_DATAGRAM_DATA_V4,
	  FWPS_LAYER_DATAGRAM_DATA_V4,
	  AF_INET,
	  { 0x57EA37A9, 2, 1, { 3 } },
	  0,
	  classify_datagram,
	  NULL },
	{ &FWPM_LAYER_DATAGRAM_DATA_V6,
	  FWPS_LAYER_DATAGRAM_DATA_V6,
	  WFP_AF_INET6,
	  { 0x57EA37A9, 2, 1, { 4 } },
	  0,
	  classify_datagram,
	  NULL },
};

static struct layer *layer_of(USHORT id)
{
	for (ULONG i = 0; i < RTL_NUMBER_OF(layers); i++) {
		if (layers[i].Id == id)
			return &layers[i];
	}
	return NULL;
}

/* --- in classify --- */

static VOID queue(struct item *item)
{
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&lock);

	InsertTailList(&items, &item->Link);
	KeReleaseSpinLock(&lock, irql);
	KeSetEvent(&work, 0, FALSE);
}

static struct item *make_item(ULONG64 flow, USHORT layer, ULONG flags, ULONG size)
{
	struct item *item = ExAllocatePoolWithTag(NonPagedPool, sizeof(*item) + size, TAG);

	if (item == NULL)
		return NULL;
	__builtin_memset(item, 0, sizeof(*item));
	item->FlowId = flow;
	item->Layer = layer;
	item->Flags = flags;
	item->Size = size;
	return item;
}

static BOOLEAN relay(ULONG64 flow, USHORT layer, FWPS_STREAM_DATA0 *data)
{
	struct item *item = make_item(flow, layer, data->flags, (ULONG)data->dataLength);
	SIZE_T copied = 0;

	if (item == NULL)
		return FALSE;
	if (item->Size != 0)
		FwpsCopyStreamDataToBuffer0(data, item->Bytes, item->Size, &copied);
	if (StreamtapMode == TapKeep && (data->flags & FWPS_STREAM_FLAG_SEND) != 0)
		FwpsCloneStreamData0(data, NULL, NULL, 0, &item->Kept);
	queue(item);
	return TRUE;
}

static BOOLEAN defer(ULONG64 flow, USHORT layer, FWPS_STREAM_DATA0 *data)
{
	struct item *item;

	if ((data->flags & FWPS_STREAM_FLAG_RECEIVE) == 0)
		return FALSE;
	if (deferred_flow == flow) {
		deferred_flow = 0;
		return FALSE;
	}
	item = make_item(flow, layer, data->flags, 0);
	if (item == NULL)
		return FALSE;
	item->Continues = TRUE;
	queue(item);
	return TRUE;
}

static VOID count(const FWPS_STREAM_DATA0 *data)
{
	ULONG out = (data->flags & FWPS_STREAM_FLAG_SEND) != 0;

	StreamtapBytes[out] += data->dataLength;
	if ((data->flags &
	     (FWPS_STREAM_FLAG_RECEIVE_DISCONNECT | FWPS_STREAM_FLAG_SEND_DISCONNECT)) != 0)
		StreamtapEnds[out]++;
	if ((data->flags & (FWPS_STREAM_FLAG_RECEIVE_ABORT | FWPS_STREAM_FLAG_SEND_ABORT)) != 0)
		StreamtapAborts[out]++;
}

static VOID NTAPI classify_stream(const FWPS_INCOMING_VALUES0 *values,
				  const FWPS_INCOMING_METADATA_VALUES0 *meta, PVOID layer_data,
				  const VOID *context, const FWPS_FILTER2 *filter,
				  ULONG64 flow_context, FWPS_CLASSIFY_OUT0 *out)
{
	FWPS_STREAM_CALLOUT_IO_PACKET0 *packet = layer_data;
	FWPS_STREAM_DATA0 *data = packet->streamData;
	BOOLEAN aborts = (data->flags &
			  (FWPS_STREAM_FLAG_RECEIVE_ABORT | FWPS_STREAM_FLAG_SEND_ABORT)) != 0;

	packet->streamAction = FWPS_STREAM_ACTION_NONE;
	packet->countBytesRequired = 0;
	packet->countBytesEnforced = 0;
	out->actionType = FWP_ACTION_CONTINUE;
	if (!aborts && StreamtapMode == TapDefer &&
	    defer(meta->flowHandle, values->layerId, data)) {
		packet->streamAction = FWPS_STREAM_ACTION_DEFER;
		out->actionType = FWP_ACTION_NONE;
		return;
	}
	if (StreamtapMode == TapPieces && data->dataLength > PIECE) {
		packet->countBytesEnforced = PIECE;
		out->actionType = FWP_ACTION_PERMIT;
		StreamtapBytes[(data->flags & FWPS_STREAM_FLAG_SEND) != 0] += PIECE;
		return;
	}
	count(data);
	if (!aborts && (StreamtapMode == TapRelay || StreamtapMode == TapKeep) &&
	    relay(meta->flowHandle, values->layerId, data)) {
		out->actionType = FWP_ACTION_BLOCK;
		out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
	} else if (StreamtapMode == TapDrop && StreamtapBytes[0] + StreamtapBytes[1] > DROP_AFTER) {
		packet->streamAction = FWPS_STREAM_ACTION_DROP_CONNECTION;
		out->actionType = FWP_ACTION_NONE;
	}
}

static VOID put_remote(PUCHAR to, const FWPS_INCOMING_VALUE0 *value)
{
	if (value->type == FWP_BYTE_ARRAY16_TYPE) {
		__builtin_memcpy(to, value->byteArray16, 16);
		return;
	}
	for (ULONG i = 0; i < 4; i++)
		to[i] = (UCHAR)(value->uint32 >> (24 - 8 * i));
}

/* The whole of it: outbound from the UDP header on, inbound from the IP header on. */
static struct item *copy_datagram(NET_BUFFER *buffer, ULONG headers, USHORT layer)
{
	struct item *item = NULL;
	PVOID bytes;

	if (!NT_SUCCESS(NdisRetreatNetBufferDataStart(buffer, headers, 0, NULL)))
		return NULL;
	item = make_item(0, layer, 0, buffer->DataLength);
	if (item != NULL) {
		bytes = NdisGetDataBuffer(buffer, item->Size, item->Bytes, 1, 0);
		if (bytes != item->Bytes && bytes != NULL)
			__builtin_memcpy(item->Bytes, bytes, item->Size);
	}
	NdisAdvanceNetBufferDataStart(buffer, headers, FALSE, NULL);
	return item;
}

static BOOLEAN relay_datagram(const FWPS_INCOMING_VALUES0 *values,
			      const FWPS_INCOMING_METADATA_VALUES0 *meta, NET_BUFFER_LIST *list)
{
	const FWPS_INCOMING_VALUE0 *value = values->incomingValue;
	BOOLEAN inbound = value[FWPS_FIELD_DATAGRAM_DATA_DIRECTION].uint32 == FWP_DIRECTION_INBOUND;
	ULONG headers = inbound ? meta->ipHeaderSize + meta->transportHeaderSize : 0;
	struct item *item = copy_datagram(list->FirstNetBuffer, headers, values->layerId);

	if (item == NULL)
		return FALSE;
	item->IsDatagram = TRUE;
	item->IsInbound = inbound;
	item->Endpoint = meta->transportEndpointHandle;
	item->Compartment = meta->compartmentId;
	item->Interface = value[FWPS_FIELD_DATAGRAM_DATA_INTERFACE_INDEX].uint32;
	item->SubInterface = value[FWPS_FIELD_DATAGRAM_DATA_SUB_INTERFACE_INDEX].uint32;
	put_remote(item->Remote, &value[FWPS_FIELD_DATAGRAM_DATA_IP_REMOTE_ADDRESS]);
	queue(item);
	return TRUE;
}

static VOID NTAPI classify_datagram(const FWPS_INCOMING_VALUES0 *values,
				    const FWPS_INCOMING_METADATA_VALUES0 *meta, PVOID layer_data,
				    const VOID *context, const FWPS_FILTER2 *filter,
				    ULONG64 flow_context, FWPS_CLASSIFY_OUT0 *out)
{
	const FWPS_INCOMING_VALUE0 *direction =
		&values->incomingValue[FWPS_FIELD_DATAGRAM_DATA_DIRECTION];

	out->actionType = FWP_ACTION_PERMIT;
	if (FwpsQueryPacketInjectionState0(layer_of(values->layerId)->Injection, layer_data,
					   NULL) != FWPS_PACKET_NOT_INJECTED)
		return;
	StreamtapDatagrams[direction->uint32 == FWP_DIRECTION_OUTBOUND]++;
	if (StreamtapMode == TapRelay && relay_datagram(values, meta, layer_data)) {
		out->actionType = FWP_ACTION_BLOCK;
		out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
		out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
	} else if (StreamtapMode == TapBlock) {
		out->actionType = FWP_ACTION_BLOCK;
		out->rights &= ~FWPS_RIGHT_ACTION_WRITE;
	}
}

static NTSTATUS NTAPI notify(ULONG type, const GUID *key, FWPS_FILTER2 *filter)
{
	return STATUS_SUCCESS;
}

/* --- the thread --- */

static VOID free_item(struct item *item)
{
	if (item->Kept != NULL)
		FwpsDiscardClonedStreamData0(item->Kept, 0, FALSE);
	ExFreePoolWithTag(item, TAG);
}

static VOID NTAPI injected(PVOID context, NET_BUFFER_LIST *list, BOOLEAN dispatch_level)
{
	struct item *item = context;

	StreamtapInjected++;
	FwpsFreeNetBufferList0(list);
	IoFreeMdl(item->Mdl);
	free_item(item);
}

static NTSTATUS make_list(struct item *item, NET_BUFFER_LIST **list)
{
	NTSTATUS status;

	item->Mdl = IoAllocateMdl(item->Bytes, item->Size, FALSE, FALSE, NULL);
	if (item->Mdl == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	MmBuildMdlForNonPagedPool(item->Mdl);
	status = FwpsAllocateNetBufferAndNetBufferList0(pool, 0, 0, item->Mdl, 0, item->Size, list);
	if (!NT_SUCCESS(status))
		IoFreeMdl(item->Mdl);
	return status;
}

static NTSTATUS inject_datagram(struct item *item, struct layer *layer, NET_BUFFER_LIST *list)
{
	if (item->IsInbound)
		return FwpsInjectTransportReceiveAsync0(
			layer->Injection, NULL, NULL, 0, layer->Family, item->Compartment,
			item->Interface, item->SubInterface, list, injected, item);
	item->Parameters.remoteAddress = item->Remote;
	return FwpsInjectTransportSendAsync1(layer->Injection, NULL, item->Endpoint, 0,
					     &item->Parameters, layer->Family, item->Compartment,
					     list, injected, item);
}

static NTSTATUS inject_stream(struct item *item, struct layer *layer, NET_BUFFER_LIST *list)
{
	return FwpsStreamInjectAsync0(layer->Injection, NULL, 0, item->FlowId, layer->CalloutId,
				      layer->Id, item->Flags, list, item->Size, injected, item);
}

static VOID inject(struct item *item)
{
	struct layer *layer = layer_of(item->Layer);
	NET_BUFFER_LIST *list = NULL;
	NTSTATUS status = STATUS_SUCCESS;

	if (item->Size != 0)
		status = make_list(item, &list);
	if (NT_SUCCESS(status)) {
		status = item->IsDatagram ? inject_datagram(item, layer, list)
					  : inject_stream(item, layer, list);
		if (!NT_SUCCESS(status) && list != NULL) {
			FwpsFreeNetBufferList0(list);
			IoFreeMdl(item->Mdl);
		}
	}
	if (!NT_SUCCESS(status))
		StreamtapFailed++;
	if (!NT_SUCCESS(status) || list == NULL)
		free_item(item);
}

static VOID go_on(struct item *item)
{
	LARGE_INTEGER moment = { .QuadPart = -100000 };

	KeDelayExecutionThread(KernelMode, FALSE, &moment);
	deferred_flow = item->FlowId;
	StreamtapContinued++;
	FwpsStreamContinue0(item->FlowId, layer_of(item->Layer)->CalloutId, item->Layer,
			    item->Flags);
	ExFreePoolWithTag(item, TAG);
}

static struct item *take(VOID)
{
	KIRQL irql = KeAcquireSpinLockRaiseToDpc(&lock);
	struct item *item = NULL;

	if (!IsListEmpty(&items))
		item = CONTAINING_RECORD(RemoveHeadList(&items), struct item, Link);
	KeReleaseSpinLock(&lock, irql);
	return item;
}

static VOID NTAPI worker(PVOID context)
{
	LARGE_INTEGER moment = { .QuadPart = -200000 };
	struct item *item;

	KeSetPriorityThread(KeGetCurrentThread(), 12);
	for (;;) {
		KeWaitForSingleObject(&work, Executive, KernelMode, FALSE, &moment);
		while (!StreamtapPaused && (item = take()) != NULL) {
			if (item->Continues)
				go_on(item);
			else
				inject(item);
		}
	}
}

/* --- start --- */

INIT_CODE static NTSTATUS add(struct layer *layer)
{
	FWPS_CALLOUT1 run = { .calloutKey = layer->Callout,
			      .classifyFn = layer->Classify,
			      .notifyFn = notify };
	FWPM_CALLOUT0 callout = { .calloutKey = layer->Callout,
				  .displayData = { name, NULL },
				  .applicableLayer = *layer->Key };
	FWPM_FILTER0 filter = { .displayData = { name, NULL },
				.layerKey = *layer->Key,
				.subLayerKey = sublayer,
				.action = { FWP_ACTION_CALLOUT_TERMINATING, layer->Callout } };
	NTSTATUS status;

	if (layer->Classify == classify_stream) /* who may drop connections */
		filter.action.type = FWP_ACTION_CALLOUT_UNKNOWN;
	status = FwpsInjectionHandleCreate0(layer->Family,
					    layer->Classify == classify_stream
						    ? FWPS_INJECTION_TYPE_STREAM
						    : FWPS_INJECTION_TYPE_TRANSPORT,
					    &layer->Injection);

	if (NT_SUCCESS(status))
		status = FwpsCalloutRegister1(device, &run, &layer->CalloutId);
	if (NT_SUCCESS(status))
		status = FwpmCalloutAdd0(engine, &callout, NULL, NULL);
	if (NT_SUCCESS(status))
		status = FwpmFilterAdd0(engine, &filter, NULL, NULL);
	return status;
}

INIT_CODE static NTSTATUS open(PDRIVER_OBJECT driver)
{
	FWPM_SESSION0 session = { .displayData = { name, NULL },
				  .flags = FWPM_SESSION_FLAG_DYNAMIC };
	FWPM_SUBLAYER0 ours = { .subLayerKey = sublayer,
				.displayData = { name, NULL },
				.weight = 100 };
	NET_BUFFER_LIST_POOL_PARAMETERS parameters = {
		.Header = { NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
			    NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS },
		.fAllocateNetBuffer = TRUE,
		.PoolTag = TAG,
	};
	NTSTATUS status;

	pool = NdisAllocateNetBufferListPool(NdisAllocateGenericObject(driver, TAG, 0),
					     &parameters);
	if (pool == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	status = FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &session, &engine);
	return NT_SUCCESS(status) ? FwpmSubLayerAdd0(engine, &ours, NULL) : status;
}

INIT_CODE NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
	HANDLE thread;
	NTSTATUS status = IoCreateDevice(DriverObject, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE,
					 &device);

	KeInitializeEvent(&work, SynchronizationEvent, FALSE);
	if (NT_SUCCESS(status))
		status = open(DriverObject);
	for (ULONG i = 0; i < RTL_NUMBER_OF(layers) && NT_SUCCESS(status); i++)
		status = add(&layers[i]);
	if (NT_SUCCESS(status))
		status = PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, worker,
					      NULL);
	return status;
}
