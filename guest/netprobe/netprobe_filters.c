/* SPDX-License-Identifier: MIT */
/* What is registered with the Filtering Platform: callouts, and filters that lead to them. */
#include "guest/common/pe_load.h"
#include "guest/netprobe/netprobe.h"

static WCHAR product_name[] = L"OpenKD netprobe";

static const GUID sublayer_key = {
	0x5d1c0f42, 0x3b0e, 0x4e77, { 0x9a, 0x51, 0x6f, 0x70, 0x65, 0x6e, 0x6b, 0x64 }
};

/* Two families times three layers. */
static const struct callout {
	GUID Key;
	const GUID *Layer;
	ULONG Family, Kind;
	ULONG Flags;
	FWPS_CALLOUT_CLASSIFY_FN2 Classify;
	FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN0 FlowDelete;
	ULONG Action; /* of the filter */
} callouts[] = {
#define KEY(n)                                                         \
	{                                                              \
		0x5d1c0f43u + (n), 0x3b0e, 0x4e77,                     \
		{                                                      \
			0x9a, 0x51, 0x6f, 0x70, 0x65, 0x6e, 0x6b, 0x64 \
		}                                                      \
	}
	{ KEY(0), &FWPM_LAYER_ALE_FLOW_ESTABLISHED_V4, FAMILY_4, LAYER_FLOW, 0, ProbeClassifyFlow,
	  NULL, FWP_ACTION_CALLOUT_INSPECTION },
	{ KEY(1), &FWPM_LAYER_ALE_FLOW_ESTABLISHED_V6, FAMILY_6, LAYER_FLOW, 0, ProbeClassifyFlow,
	  NULL, FWP_ACTION_CALLOUT_INSPECTION },
	{ KEY(2), &FWPM_LAYER_STREAM_V4, FAMILY_4, LAYER_STREAM,
	  FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW, ProbeClassifyStream, ProbeFlowDeleted,
	  FWP_ACTION_CALLOUT_UNKNOWN },
	{ KEY(3), &FWPM_LAYER_STREAM_V6, FAMILY_6, LAYER_STREAM,
	  FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW, ProbeClassifyStream, ProbeFlowDeleted,
	  FWP_ACTION_CALLOUT_UNKNOWN },
	{ KEY(4), &FWPM_LAYER_DATAGRAM_DATA_V4, FAMILY_4, LAYER_DATAGRAM,
	  FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW, ProbeClassifyDatagram, ProbeFlowDeleted,
	  FWP_ACTION_CALLOUT_UNKNOWN },
	{ KEY(5), &FWPM_LAYER_DATAGRAM_DATA_V6, FAMILY_6, LAYER_DATAGRAM,
	  FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW, ProbeClassifyDatagram, ProbeFlowDeleted,
	  FWP_ACTION_CALLOUT_UNKNOWN },
#undef KEY
};

static NTSTATUS NTAPI notify(ULONG NotifyType, const GUID *FilterKey, FWPS_FILTER2 *Filter)
{
	return STATUS_SUCCESS;
}

/* --- run-time half: callouts, injection, buffers --- */

static NTSTATUS register_callouts(VOID)
{
	NTSTATUS status = STATUS_SUCCESS;

	for (unsigned i = 0; i < RTL_NUMBER_OF(callouts) && NT_SUCCESS(status); i++) {
		const struct callout *c = &callouts[i];
		FWPS_CALLOUT1 callout = { .calloutKey = c->Key,
					  .flags = c->Flags,
					  .classifyFn = c->Classify,
					  .notifyFn = notify,
					  .flowDeleteFn = c->FlowDelete };

		/* version 1, of Windows 7; the later ones call the same functions */
		status = FwpsCalloutRegister1(Netprobe->DeviceObject, &callout,
					      &Netprobe->CalloutId[c->Family][c->Kind]);
	}
	return status;
}

static NTSTATUS create_injection(VOID)
{
	static const USHORT families[FAMILIES] = { AF_INET, WFP_AF_INET6 };
	NTSTATUS status = STATUS_SUCCESS;

	for (unsigned f = 0; f < FAMILIES && NT_SUCCESS(status); f++) {
		status = FwpsInjectionHandleCreate0(families[f], FWPS_INJECTION_TYPE_STREAM,
						    &Netprobe->StreamInjection[f]);
		if (NT_SUCCESS(status))
			status = FwpsInjectionHandleCreate0(families[f],
							    FWPS_INJECTION_TYPE_TRANSPORT,
							    &Netprobe->DatagramInjection[f]);
	}
	return status;
}

static NTSTATUS create_pool(VOID)
{
	NET_BUFFER_LIST_POOL_PARAMETERS parameters = {
		.Header = { .Type = NDIS_OBJECT_TYPE_DEFAULT,
			    .Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
			    .Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS },
		.fAllocateNetBuffer = TRUE,
		.PoolTag = NETPROBE_TAG,
	};

	Netprobe->NdisObject = NdisAllocateGenericObject(Netprobe->DriverObject, NETPROBE_TAG, 0);
	if (Netprobe->NdisObject == NULL)
		return STATUS_INSUFFICIENT_RESOURCES;
	Netprobe->NblPool = NdisAllocateNetBufferListPool(Netprobe->NdisObject, &parameters);
	return Netprobe->NblPool != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

/*
 * A function that not every Windows has, of the image that another function of it lies in. Import
 * tables would keep the driver from loading where it is missing.
 */
static PVOID find_in_image(PVOID inside, const char *name)
{
	enum { PAGES_MAX = 4096 };
	PUCHAR image = (PUCHAR)((ULONG_PTR)inside & ~(ULONG_PTR)(PAGE_SIZE - 1));
	struct pe_headers pe;

	for (unsigned i = 0; i < PAGES_MAX; i++, image -= PAGE_SIZE) {
		uint32_t rva;

		if (image[0] != 'M' || image[1] != 'Z' ||
		    !NT_SUCCESS(pe_headers_read(image, PAGE_SIZE, &pe)))
			continue;
		rva = pe_export_find(image, &pe, name);
		return rva != 0 ? image + rva : NULL;
	}
	return NULL;
}

/* --- management half: what leads traffic to the callouts --- */

static NTSTATUS add_filter(const struct callout *c)
{
	FWPM_CALLOUT0 callout = { .calloutKey = c->Key,
				  .displayData = { product_name, NULL },
				  .applicableLayer = *c->Layer };
	FWPM_FILTER0 filter = { .displayData = { product_name, NULL },
				.flags = FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED,
				.layerKey = *c->Layer,
				.subLayerKey = sublayer_key,
				.action = { c->Action, c->Key } };
	NTSTATUS status = FwpmCalloutAdd0(Netprobe->Engine, &callout, NULL, NULL);

	return NT_SUCCESS(status) ? FwpmFilterAdd0(Netprobe->Engine, &filter, NULL, NULL) : status;
}

static NTSTATUS add_objects(VOID)
{
	FWPM_SUBLAYER0 sublayer = { .subLayerKey = sublayer_key,
				    .displayData = { product_name, NULL },
				    .weight = 0xFFFF };
	NTSTATUS status = FwpmTransactionBegin0(Netprobe->Engine, 0);

	if (!NT_SUCCESS(status))
		return status;
	status = FwpmSubLayerAdd0(Netprobe->Engine, &sublayer, NULL);
	for (unsigned i = 0; i < RTL_NUMBER_OF(callouts) && NT_SUCCESS(status); i++)
		status = add_filter(&callouts[i]);
	if (NT_SUCCESS(status))
		status = FwpmTransactionCommit0(Netprobe->Engine);
	else
		FwpmTransactionAbort0(Netprobe->Engine);
	return status;
}

/* A dynamic session: whatever happens to us, its objects go with it. */
static NTSTATUS install_filters(VOID)
{
	FWPM_SESSION0 session = { .displayData = { product_name, NULL },
				  .flags = FWPM_SESSION_FLAG_DYNAMIC };
	NTSTATUS status = FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, &session,
					  &Netprobe->Engine);

	if (NT_SUCCESS(status))
		status = add_objects();
	Netprobe->IsFilterInstalled = NT_SUCCESS(status);
	return status;
}

/* The engine's service starts later than a driver may. */
static VOID NTAPI bfe_changed(PVOID Context, ULONG State)
{
	NTSTATUS status;

	if (State != FWPM_SERVICE_RUNNING || Netprobe->IsFilterInstalled)
		return;
	status = install_filters();
	if (!NT_SUCCESS(status))
		DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL,
			   "netprobe: no filters, status %08x\n", (ULONG)status);
}

NTSTATUS ProbeCreateFilters(VOID)
{
	static NTSTATUS (*const steps[])(VOID) = { create_pool, create_injection,
						   register_callouts };
	NTSTATUS status = STATUS_SUCCESS;

	for (unsigned i = 0; i < RTL_NUMBER_OF(steps) && NT_SUCCESS(status); i++)
		status = steps[i]();
	if (!NT_SUCCESS(status))
		return status;
	Netprobe->FlowAbort = (NTSTATUS(NTAPI *)(ULONG64))find_in_image(
		(PVOID)(ULONG_PTR)FwpsCalloutRegister1, "FwpsFlowAbort0");
	status = FwpmBfeStateSubscribeChanges0(Netprobe->DeviceObject, bfe_changed, NULL,
					       &Netprobe->BfeChange);
	if (NT_SUCCESS(status) && FwpmBfeStateGet0() == FWPM_SERVICE_RUNNING &&
	    !Netprobe->IsFilterInstalled)
		status = install_filters();
	return status;
}

VOID ProbeDeleteFilters(VOID)
{
	if (Netprobe->BfeChange != NULL)
		FwpmBfeStateUnsubscribeChanges0(Netprobe->BfeChange);
	if (Netprobe->Engine != NULL)
		FwpmEngineClose0(Netprobe->Engine);
	Netprobe->BfeChange = NULL;
	Netprobe->Engine = NULL;
}

static VOID unregister(ULONG id)
{
	LARGE_INTEGER moment = { .QuadPart = -100000 };

	while (id != 0 && FwpsCalloutUnregisterById0(id) == STATUS_DEVICE_BUSY)
		KeDelayExecutionThread(KernelMode, FALSE, &moment);
}

VOID ProbeDeleteCallouts(VOID)
{
	for (unsigned f = 0; f < FAMILIES; f++) {
		for (unsigned k = 0; k < LAYERS; k++)
			unregister(Netprobe->CalloutId[f][k]);
		if (Netprobe->StreamInjection[f] != NULL)
			FwpsInjectionHandleDestroy0(Netprobe->StreamInjection[f]);
		if (Netprobe->DatagramInjection[f] != NULL)
			FwpsInjectionHandleDestroy0(Netprobe->DatagramInjection[f]);
	}
	if (Netprobe->NblPool != NULL)
		NdisFreeNetBufferListPool(Netprobe->NblPool);
	if (Netprobe->NdisObject != NULL)
		NdisFreeGenericObject(Netprobe->NdisObject);
}
