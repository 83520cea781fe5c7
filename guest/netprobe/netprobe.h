/* SPDX-License-Identifier: MIT */
/*
 * netprobe.sys: application traffic for the debugger, through the Windows Filtering Platform. What
 * is decided about traffic is core/probe's business; here is what the operating system wants done.
 *
 *   netprobe_driver.c    start and end
 *   netprobe_memory.c    the memory shared with the debugger, and the directory that tells of it
 *   netprobe_filters.c   what is registered with the platform
 *   netprobe_flows.c     flows: from "established" to "deleted"
 *   netprobe_stream.c    TCP: payloads as they come
 *   netprobe_datagram.c  UDP likewise, and its reinjection
 *   netprobe_inject.c    what goes on after a verdict
 *   netprobe_worker.c    the thread between debugger and platform, and the stubs it calls
 *
 * Locks: one spin lock around all calls of core/probe. Never held while the platform is called,
 * but for copying indicated bytes.
 */
#ifndef KD_NETPROBE_H
#define KD_NETPROBE_H

#define KD_GUEST_DRIVER

#include "core/probe/probe_guest.h"
#include "guest/common/ndis_buffers.h"
#include "guest/common/nt_driver_base.h"
#include "guest/common/wfp.h"

#define NETPROBE_TAG 0x504E644Bu /* "KdNP" */

enum { FAMILY_4, FAMILY_6, FAMILIES };
enum { LAYER_FLOW, LAYER_STREAM, LAYER_DATAGRAM, LAYERS };

/* A payload of ours; its bytes follow it. */
typedef struct _NETPROBE_ITEM {
	struct kd_probe_item Item;
	struct _NETPROBE_FLOW *Flow; /* referenced while the platform has the item */
	PMDL Mdl;
	NET_BUFFER_LIST *Kept; /* the sender's own buffers, so that he waits; else NULL */
	/* datagrams */
	ULONG CompartmentId, InterfaceIndex, SubInterfaceIndex, RemoteScopeId;
	ULONG ControlDataLength;
	PVOID ControlData;
	FWPS_TRANSPORT_SEND_PARAMS1 SendParams;
	UCHAR *Packet; /* headers and bytes, as the reinjection wants them */
} NETPROBE_ITEM;

typedef struct _NETPROBE_FLOW {
	struct kd_probe_flow Flow; /* first: core/probe gives pointers to it back */
	LONG References;
	ULONG64 FlowId; /* the platform's name */
	ULONG Family;
	BOOLEAN IsDatagram;
	BOOLEAN IsAssociated;
	BOOLEAN MustDrop; /* the next indication resets the connection */
	/* of the last datagram, for those the debugger injects */
	ULONG CompartmentId, InterfaceIndex, SubInterfaceIndex;
	UCHAR Path[KD_PROBE_PATH_MAX];
} NETPROBE_FLOW;

typedef struct _NETPROBE {
	PDRIVER_OBJECT DriverObject;
	PDEVICE_OBJECT DeviceObject;
	KSPIN_LOCK Lock;
	struct kd_probe Probe; /* under Lock */
	LONG Flows;            /* that are not freed */
	/* memory */
	PVOID Memory;
	SIZE_T MemorySize;
	BOOLEAN IsContiguous;
	/* time */
	ULONG64 StartTime, StartTicks, TicksPerSecond;
	/* platform */
	HANDLE Engine;
	HANDLE NdisObject, NblPool;
	HANDLE StreamInjection[FAMILIES], DatagramInjection[FAMILIES];
	ULONG CalloutId[FAMILIES][LAYERS];
	BOOLEAN IsFilterInstalled;
	HANDLE BfeChange;
	NTSTATUS(NTAPI *FlowAbort)(ULONG64 FlowId); /* NULL on Windows 7 */
	/* worker; the order under Lock */
	PVOID Thread;
	KEVENT Wake;
	BOOLEAN IsStopping;
	BOOLEAN IsClockFast;
	struct kd_probe_w_record Order;
	UCHAR OrderPayload[KD_PROBE_PAYLOAD_MAX];
} NETPROBE;

extern NETPROBE *Netprobe;

/* --- netprobe_driver.c --- */
PVOID ProbeAllocate(SIZE_T Size);
VOID ProbeFree(PVOID Block);
/** 100 ns since 1601. */
ULONG64 ProbeNow(VOID);
KIRQL ProbeLock(VOID);
VOID ProbeUnlock(KIRQL Irql);

/* --- netprobe_memory.c --- */
NTSTATUS ProbeCreateMemory(VOID);
VOID ProbeDeleteMemory(VOID);

/* --- netprobe_filters.c --- */
NTSTATUS ProbeCreateFilters(VOID);
/** New flows come no more after this; contexts of old ones still do. */
VOID ProbeDeleteFilters(VOID);
VOID ProbeDeleteCallouts(VOID);

/* --- netprobe_flows.c --- */
VOID NTAPI ProbeClassifyFlow(const FWPS_INCOMING_VALUES0 *Values,
			     const FWPS_INCOMING_METADATA_VALUES0 *Metadata, PVOID LayerData,
			     const VOID *ClassifyContext, const FWPS_FILTER2 *Filter,
			     ULONG64 FlowContext, FWPS_CLASSIFY_OUT0 *Out);
VOID NTAPI ProbeFlowDeleted(USHORT LayerId, ULONG CalloutId, ULONG64 FlowContext);
static inline NETPROBE_FLOW *ProbeFlowOf(struct kd_probe_flow *Flow)
{
	return CONTAINING_RECORD(Flow, NETPROBE_FLOW, Flow);
}
VOID ProbeReference(NETPROBE_FLOW *Flow);
VOID ProbeDereference(NETPROBE_FLOW *Flow);
USHORT ProbeDataLayer(const NETPROBE_FLOW *Flow);
ULONG ProbeDataCallout(const NETPROBE_FLOW *Flow);
/** The platform's flow delete functions for all that is left. */
VOID ProbeRemoveFlows(VOID);

/* --- netprobe_stream.c, netprobe_datagram.c --- */
VOID NTAPI ProbeClassifyStream(const FWPS_INCOMING_VALUES0 *Values,
			       const FWPS_INCOMING_METADATA_VALUES0 *Metadata, PVOID LayerData,
			       const VOID *ClassifyContext, const FWPS_FILTER2 *Filter,
			       ULONG64 FlowContext, FWPS_CLASSIFY_OUT0 *Out);
VOID NTAPI ProbeClassifyDatagram(const FWPS_INCOMING_VALUES0 *Values,
				 const FWPS_INCOMING_METADATA_VALUES0 *Metadata, PVOID LayerData,
				 const VOID *ClassifyContext, const FWPS_FILTER2 *Filter,
				 ULONG64 FlowContext, FWPS_CLASSIFY_OUT0 *Out);
NTSTATUS ProbeInjectDatagram(NETPROBE_ITEM *Item);

/* --- netprobe_inject.c --- */
/** Room for Size bytes; NULL: no memory. */
NETPROBE_ITEM *ProbeCreateItem(ULONG Size);
VOID ProbeDeleteItem(NETPROBE_ITEM *Item);
VOID ProbeDeleteItems(struct kd_probe_item *All);
static inline NETPROBE_ITEM *ProbeItemOf(struct kd_probe_item *Item)
{
	return CONTAINING_RECORD(Item, NETPROBE_ITEM, Item);
}
/** What goes on: the replacement's bytes, or its own. */
const struct kd_probe_item *ProbeBytesOf(const NETPROBE_ITEM *Item);
/** A list over Size bytes of non-paged pool at Bytes. */
NTSTATUS ProbeMakeList(NETPROBE_ITEM *Item, PVOID Bytes, ULONG Size, NET_BUFFER_LIST **List);
/** Give an item to the platform; it comes back with ProbeInjected. On failure nothing happened. */
NTSTATUS ProbeInject(NETPROBE_ITEM *Item);
VOID NTAPI ProbeInjected(PVOID Context, NET_BUFFER_LIST *List, BOOLEAN DispatchLevel);
/** The platform is through with an item, or never had it. */
VOID ProbeFinishItem(NETPROBE_ITEM *Item);

/* --- netprobe_worker.c --- */
NTSTATUS ProbeStartWorker(VOID);
VOID ProbeStopWorker(VOID);
/** The item is the platform's from now on, and freed when that is through with it, or at once. */
NTSTATUS ProbeSendOn(NETPROBE_FLOW *Flow, struct kd_probe_item *Item);
VOID ProbeWake(VOID);
/** What the debugger wants, before anything else is done. Under the lock. TRUE: it wanted
 * something.
 */
BOOLEAN ProbeObey(VOID);

/* The debugger's breakpoints: docs/protocol/probe.md. Exported by netprobe.def. */
VOID NTAPI NetprobeInspect(PVOID Memory);
VOID NTAPI NetprobeInject(PVOID Memory);

DRIVER_INITIALIZE DriverEntry;

#endif
