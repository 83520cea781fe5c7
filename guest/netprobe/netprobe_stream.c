/* SPDX-License-Identifier: MIT */
/* TCP payloads as the platform indicates them: in order, without headers, both directions. */
#include "guest/netprobe/netprobe.h"

#define ANY_DISCONNECT (FWPS_STREAM_FLAG_RECEIVE_DISCONNECT | FWPS_STREAM_FLAG_SEND_DISCONNECT)
#define ANY_ABORT      (FWPS_STREAM_FLAG_RECEIVE_ABORT | FWPS_STREAM_FLAG_SEND_ABORT)

/* One indication. */
typedef struct _INDICATION {
	NETPROBE_FLOW *Flow;
	FWPS_STREAM_CALLOUT_IO_PACKET0 *Packet;
	FWPS_CLASSIFY_OUT0 *Out;
	enum kd_probe_direction Direction;
	ULONG Size; /* of what is looked at now */
	USHORT Flags;
	BOOLEAN HasEnd;   /* behind these bytes: absorbed with them, or not at all */
	BOOLEAN IsMissed; /* no memory to absorb them */
} INDICATION;

static const struct {
	ULONG Stream;
	USHORT Probe;
} flag_table[] = {
	{ FWPS_STREAM_FLAG_RECEIVE, KD_PROBE_INBOUND },
	{ FWPS_STREAM_FLAG_RECEIVE_EXPEDITED | FWPS_STREAM_FLAG_SEND_EXPEDITED, KD_PROBE_URGENT },
	{ FWPS_STREAM_FLAG_RECEIVE_PUSH, KD_PROBE_PUSH },
	{ FWPS_STREAM_FLAG_SEND_NODELAY, KD_PROBE_NODELAY },
};

static USHORT probe_flags(ULONG stream_flags)
{
	USHORT flags = 0;

	for (unsigned i = 0; i < RTL_NUMBER_OF(flag_table); i++)
		if ((stream_flags & flag_table[i].Stream) != 0)
			flags |= flag_table[i].Probe;
	return flags;
}

static NETPROBE_ITEM *make_item(const INDICATION *in)
{
	NETPROBE_ITEM *item = ProbeCreateItem(in->Size);
	SIZE_T copied = 0;

	if (item == NULL)
		return NULL;
	item->Item.flags = in->Flags;
	item->Item.pid = in->Flow->Flow.facts.pid;
	if (in->Size != 0)
		FwpsCopyStreamDataToBuffer0(in->Packet->streamData, item->Item.data, in->Size,
					    &copied);
	item->Item.size = (ULONG)copied;
	return item;
}

static VOID show(const INDICATION *in, ULONG64 now)
{
	struct kd_probe_item like = { .size = in->Size,
				      .flags = in->Flags,
				      .pid = in->Flow->Flow.facts.pid };
	UCHAR *to = kd_probe_show_begin(&Netprobe->Probe, &in->Flow->Flow, in->Size, now);
	SIZE_T copied;

	if (to == NULL)
		return;
	if (in->Size != 0)
		FwpsCopyStreamDataToBuffer0(in->Packet->streamData, to, in->Size, &copied);
	kd_probe_show_end(&Netprobe->Probe, &in->Flow->Flow, &like, now);
}

/* A lane that left the platform's hands can't go on without memory: the connection ends. */
static VOID drop_connection(const INDICATION *in)
{
	in->Packet->streamAction = FWPS_STREAM_ACTION_DROP_CONNECTION;
	in->Out->actionType = FWP_ACTION_NONE;
}

static VOID absorb(const INDICATION *in)
{
	in->Out->actionType = FWP_ACTION_BLOCK;
	in->Out->flags |= FWPS_CLASSIFY_OUT_FLAG_ABSORB;
}

/* Somebody who sends faster than it goes on waits for his own buffers. */
static VOID keep_buffers(const INDICATION *in, NETPROBE_ITEM *item)
{
	if (in->Direction != KD_PROBE_OUT || in->Size == 0 ||
	    in->Packet->streamData->netBufferListChain == NULL)
		return;
	if (!NT_SUCCESS(FwpsCloneStreamData0(in->Packet->streamData, NULL, NULL, 0, &item->Kept)))
		item->Kept = NULL;
}

/* TRUE: absorbed. */
static BOOLEAN submit(INDICATION *in, ULONG64 now)
{
	struct kd_probe_lane *lane = &in->Flow->Flow.lanes[in->Direction];
	NETPROBE_ITEM *item = make_item(in);

	if (item == NULL) {
		in->IsMissed = TRUE;
		if (lane->is_out_of_band)
			drop_connection(in);
		return FALSE;
	}
	if (kd_probe_is_crowded(&Netprobe->Probe, &in->Flow->Flow, in->Direction))
		keep_buffers(in, item);
	item->Item.must_queue = in->HasEnd;
	if (kd_probe_submit(&Netprobe->Probe, &in->Flow->Flow, &item->Item, now)) {
		absorb(in);
		return TRUE;
	}
	ProbeDeleteItem(item);
	return FALSE;
}

/* Under the lock. TRUE: the worker has something to do. */
static BOOLEAN look(INDICATION *in)
{
	ULONG64 now = ProbeNow();

	switch (kd_probe_look(&Netprobe->Probe, &in->Flow->Flow, in->Direction, in->Size)) {
	case KD_PROBE_COPY: show(in, now); break;
	case KD_PROBE_ITEM: return submit(in, now);
	case KD_PROBE_DEFER:
		in->Packet->streamAction = FWPS_STREAM_ACTION_DEFER;
		in->Out->actionType = FWP_ACTION_NONE;
		break;
	default: break;
	}
	return FALSE;
}

/* Data and its end may come in one: two payloads for us. */
static BOOLEAN look_at_end(INDICATION *in)
{
	in->Size = 0;
	in->HasEnd = FALSE;
	in->Flags = (USHORT)((in->Flags & KD_PROBE_INBOUND) | KD_PROBE_FIN);
	return look(in);
}

static struct kd_probe_item *look_at_abort(const INDICATION *in)
{
	return kd_probe_aborted(&Netprobe->Probe, &in->Flow->Flow, in->Direction, ProbeNow());
}

VOID NTAPI ProbeClassifyStream(const FWPS_INCOMING_VALUES0 *Values,
			       const FWPS_INCOMING_METADATA_VALUES0 *Metadata, PVOID LayerData,
			       const VOID *ClassifyContext, const FWPS_FILTER2 *Filter,
			       ULONG64 FlowContext, FWPS_CLASSIFY_OUT0 *Out)
{
	FWPS_STREAM_CALLOUT_IO_PACKET0 *packet = LayerData;
	FWPS_STREAM_DATA0 *data = packet->streamData;
	INDICATION in = { .Flow = (NETPROBE_FLOW *)(ULONG_PTR)FlowContext,
			  .Packet = packet,
			  .Out = Out,
			  .Flags = probe_flags(data->flags) };
	struct kd_probe_item *ended = NULL;
	BOOLEAN is_cut, has_work = FALSE;
	KIRQL irql;

	packet->streamAction = FWPS_STREAM_ACTION_NONE;
	packet->countBytesRequired = 0;
	packet->countBytesEnforced = 0;
	Out->actionType = FWP_ACTION_CONTINUE;
	if (in.Flow == NULL)
		return;
	in.Direction = (in.Flags & KD_PROBE_INBOUND) != 0 ? KD_PROBE_IN : KD_PROBE_OUT;
	is_cut = data->dataLength > KD_PROBE_BYTES_MAX;
	in.Size = is_cut ? KD_PROBE_BYTES_MAX : (ULONG)data->dataLength;
	in.HasEnd = (data->flags & ANY_DISCONNECT) != 0 && !is_cut;
	irql = ProbeLock();
	has_work = ProbeObey();
	if (in.Flow->MustDrop) {
		drop_connection(&in);
	} else if ((data->flags & ANY_ABORT) != 0) {
		ended = look_at_abort(&in);
	} else {
		if (in.Size != 0)
			has_work |= look(&in);
		/* the rest, and with it the end, is indicated again */
		if ((data->flags & ANY_DISCONNECT) != 0 && !is_cut && !in.IsMissed &&
		    packet->streamAction == FWPS_STREAM_ACTION_NONE)
			has_work |= look_at_end(&in);
	}
	ProbeUnlock(irql);
	if (is_cut && packet->streamAction == FWPS_STREAM_ACTION_NONE)
		packet->countBytesEnforced = KD_PROBE_BYTES_MAX;
	ProbeDeleteItems(ended);
	if (has_work)
		ProbeWake();
}
