/* SPDX-License-Identifier: MIT */
/*
 * The filter engine of the demo guest, internal.
 *
 * One spin lock (WfpLock) keeps lists and counts; no callout and no function of the stack is called
 * with it held. What a classify uses has a reference meanwhile. Management functions change things
 * one after the other (WfpWriter), a transaction is such a change that takes longer.
 */
#ifndef KD_DEMO_WFP_ENGINE_H
#define KD_DEMO_WFP_ENGINE_H

#define KD_GUEST_WFP_ENGINE
#include "guest/demo/inc/nt_driver.h"
#include "guest/demo/net/inc/wfp_stack.h"

#define STATUS_ACCESS_DENIED      ((NTSTATUS)0xC0000022)
#define STATUS_OBJECT_NAME_EXISTS ((NTSTATUS)0x40000000)

#define TAG_WFP 0x4B707746u /* FwpK */

enum {
	WFP_MAX_VALUES = 16,
	WFP_MAX_CONDITIONS = 16,
	WFP_MAX_MATCHES = 16,
	WFP_ALL_WEIGHTS = 0x10000, /* above every sublayer's */
};

enum wfp_layer_kind { WfpLayerStream, WfpLayerDatagram, WfpLayerFlow, WfpLayerOther };

struct wfp_layer {
	const GUID *key;
	USHORT id;
	USHORT family;
	enum wfp_layer_kind kind;
};

/* An object is there for its own session only until its transaction commits, and stays until the
 * one that deletes it does. */
enum wfp_state { WfpLive, WfpAdding, WfpDeleting };

struct wfp_session {
	LIST_ENTRY link;
	BOOLEAN is_dynamic;
	BOOLEAN in_transaction;
	ULONG wait_ms;
};

/* What the objects of all sessions begin with */
struct wfp_object {
	LIST_ENTRY link;
	struct wfp_session *session; /* NULL: of a session that is over and was not dynamic */
	enum wfp_state state;
	GUID key;
};

struct wfp_sublayer {
	struct wfp_object object;
	USHORT weight;
};

struct wfp_provider {
	struct wfp_object object;
};

/* Both halves of a callout, the registered functions and the management object; they share an id.
 */
struct wfp_callout {
	struct wfp_object object; /* key: also of one that is registered only */
	BOOLEAN is_added;
	BOOLEAN is_registered;
	BOOLEAN is_closing; /* no new calls */
	ULONG id;
	const struct wfp_layer *layer; /* if added */
	FWPS_CALLOUT2 functions;
	LONG active;   /* calls on their way */
	LONG contexts; /* of flows */
};

struct wfp_condition {
	FWPS_FILTER_CONDITION0 run;
	/* what the pointers in it point to */
	ULONG64 wide[2];
	FWP_BYTE_ARRAY16 array[2];
	FWP_V4_ADDR_AND_MASK v4;
	FWP_V6_ADDR_AND_MASK v6;
	FWP_RANGE0 range;
	FWP_BYTE_BLOB blob;
};

struct wfp_filter {
	struct wfp_object object; /* in WfpFilters, heaviest first */
	LONG references;
	BOOLEAN is_unlinked;
	const struct wfp_layer *layer;
	GUID sublayer;
	USHORT sublayer_weight;
	ULONG64 weight;
	GUID callout;
	FWPS_FILTER2 run; /* what callouts get to see */
	ULONG n_conditions;
	struct wfp_condition conditions[];
};

/* What a callout has to do with a flow */
struct wfp_context {
	LIST_ENTRY link; /* in its flow */
	ULONG callout_id;
	USHORT layer_id;
	ULONG64 context;
	LONG active; /* classify calls that have it in hand */
	BOOLEAN is_removed;
	BOOLEAN is_allowed;     /* ALLOW_CONNECTION: not asked any more */
	BOOLEAN out_of_band[2]; /* by direction: it has begun to block */
	ULONG deferred;         /* the stream flags of what it has deferred; 0: nothing */
};

struct wfp_flow {
	LIST_ENTRY link;
	ULONG64 id;
	LONG references;
	BOOLEAN is_deleted;
	BOOLEAN is_aborted;
	BOOLEAN has_ended[2]; /* by direction: its end was injected */
	WFP_FLOW info;        /* ProcessPath and lists aside */
	LIST_ENTRY contexts;
	LONG kept;         /* clones of what the program sends, not discarded yet */
	LONG injecting[2]; /* calls of FwpsStreamInjectAsync0 on their way, by direction */
	LONG continuing;
	FWP_BYTE_BLOB path;
	WCHAR path_text[];
};

struct wfp_injection_handle {
	LIST_ENTRY link;
	USHORT family;
	ULONG types;
	BOOLEAN is_closing;
	LONG pending;
};

struct wfp_injection {
	struct wfp_injection_handle *handle;
	HANDLE context;
	NET_BUFFER_LIST *list;
	FWPS_INJECT_COMPLETE0 complete;
	HANDLE complete_context;
};

/* What is classified: the values and metadata of one indication */
struct wfp_subject {
	const struct wfp_layer *layer;
	FWPS_INCOMING_VALUES0 fixed;
	FWPS_INCOMING_VALUE0 values[WFP_MAX_VALUES];
	FWPS_INCOMING_METADATA_VALUES0 meta;
	ULONG64 interface_luid;
	FWP_BYTE_ARRAY16 local, remote;
};

/* A filter that matches, with what calling its callout takes */
struct wfp_match {
	struct wfp_filter *filter;
	struct wfp_callout *callout; /* NULL: none, or not registered */
	struct wfp_context *context; /* NULL: none */
};

extern KSPIN_LOCK WfpLock;
extern LIST_ENTRY WfpFilters;
extern const WFP_STACK_OPS *WfpStack;
extern volatile LONG WfpViolations; /* contract violations so far */

/* --- wfp_check.c --- */
/** Count and print "WFP contract violation: ...". */
VOID WfpViolation(PCSTR Format, ...) __attribute__((format(__printf__, 1, 2)));
/** FALSE, and a violation, above Max. */
BOOLEAN WfpCheckIrql(PCSTR Function, KIRQL Max);
/** Between these two this processor runs a callout, at DISPATCH_LEVEL. Sender: the flow whose
 * program's bytes are indicated; NULL: it is something else. */
KIRQL WfpEnterClassify(struct wfp_flow *Sender);
VOID WfpLeaveClassify(KIRQL OldIrql);
BOOLEAN WfpIsInClassify(VOID);
/** The Sender of the classify call that this processor is in, or NULL. */
struct wfp_flow *WfpSenderInClassify(VOID);
PVOID WfpAllocate(SIZE_T Size); /* zeroed, or NULL */
VOID WfpFree(PVOID Block);
VOID WfpSleep(VOID); /* a moment */
static inline BOOLEAN WfpIsSameGuid(const GUID *a, const GUID *b)
{
	return __builtin_memcmp(a, b, sizeof(*a)) == 0;
}

/* --- wfp_layers.c, wfp_match.c --- */
const struct wfp_layer *WfpFindLayer(const GUID *Key);
const struct wfp_layer *WfpLayerOf(enum wfp_layer_kind Kind, USHORT Family);
/** The index of a condition's field in the values of a layer; FALSE: it has none such. */
BOOLEAN WfpFindField(const struct wfp_layer *Layer, const GUID *Key, PUSHORT Index);
/** A copy of a condition that owes nothing to the caller's memory. */
NTSTATUS WfpCopyCondition(struct wfp_condition *To, const struct wfp_layer *Layer,
			  const FWPM_FILTER_CONDITION0 *From);
VOID WfpFreeCondition(struct wfp_condition *Condition);
BOOLEAN WfpMatches(const struct wfp_filter *Filter, const FWPS_INCOMING_VALUES0 *Values);

/* --- wfp_callouts.c --- */
/** The following: lock held. */
struct wfp_callout *WfpFindCallout(const GUID *Key);
struct wfp_callout *WfpFindCalloutById(ULONG Id);
/** Found or made; NULL without memory. */
struct wfp_callout *WfpMakeCallout(const GUID *Key);
/** Forget it if it is neither registered nor added. */
VOID WfpReleaseCallout(struct wfp_callout *Callout);
/** PASSIVE_LEVEL, lock not held: tell the callout of a filter about it. */
NTSTATUS WfpNotify(struct wfp_filter *Filter, ULONG Type);

/* --- wfp_filters.c --- */
/** Lock held: the filters of a layer that match, referenced, heaviest first. Flow NULL: none. */
ULONG WfpCollect(const struct wfp_subject *Subject, struct wfp_flow *Flow, LONG BelowWeight,
		 struct wfp_match Matches[WFP_MAX_MATCHES]);
VOID WfpReleaseMatches(struct wfp_match *Matches, ULONG Count);
/** Lock held: is there a filter at the layer that could see the flow? */
BOOLEAN WfpAnyFilter(const struct wfp_layer *Layer, struct wfp_flow *Flow);
/** Lock held. -1: none. */
LONG WfpSublayerWeightOf(ULONG CalloutId, USHORT LayerId);
VOID WfpReleaseFilter(struct wfp_filter *Filter);

/* --- wfp_flows.c --- */
/** NULL if there is no such flow (any more); else referenced. */
struct wfp_flow *WfpReferenceFlow(ULONG64 Id);
VOID WfpReleaseFlow(struct wfp_flow *Flow);
/** A clone of its outbound data begins and ends; it references the flow. */
VOID WfpKeepSend(struct wfp_flow *Flow);
VOID WfpReleaseSend(struct wfp_flow *Flow);
/** Lock held; not a removed one. */
struct wfp_context *WfpFindContext(struct wfp_flow *Flow, USHORT LayerId, ULONG CalloutId);
/** After a classify that had it: run what was put off. Lock not held. */
VOID WfpReleaseContext(struct wfp_context *Context);

/* --- wfp_subject.c --- */
VOID WfpDescribe(struct wfp_subject *Subject, enum wfp_layer_kind Kind, const struct wfp_flow *Flow,
		 ULONG Direction, const WFP_DATAGRAM *Datagram);

/* --- wfp_stream.c --- */
/** BelowWeight: only sublayers lighter than this; WFP_ALL_WEIGHTS: the stack indicates. */
VOID WfpClassifyStreamBelow(struct wfp_flow *Flow, ULONG StreamFlags, NET_BUFFER_LIST *Chain,
			    SIZE_T Length, LONG BelowWeight, WFP_STREAM_RESULT *Result);
static inline ULONG WfpDirectionOf(ULONG stream_flags)
{
	return (stream_flags & 0xFFFF) != 0 ? FWP_DIRECTION_INBOUND : FWP_DIRECTION_OUTBOUND;
}
/* All bytes of a chain of lists */
SIZE_T WfpChainLength(const NET_BUFFER_LIST *Chain);
#define WFP_STREAM_DISCONNECT \
	(FWPS_STREAM_FLAG_RECEIVE_DISCONNECT | FWPS_STREAM_FLAG_SEND_DISCONNECT)
#define WFP_STREAM_ABORT (FWPS_STREAM_FLAG_RECEIVE_ABORT | FWPS_STREAM_FLAG_SEND_ABORT)

#endif
