/* SPDX-License-Identifier: MIT */
/*
 * A stop: the state change, then requests until the debugger lets the machine go.
 *
 * The processor that stopped owns the stop. When the debugger switches to another one, that
 * processor wakes in KdSwitchProcessor, reports a stop of its own and serves requests; continuing
 * or switching there ends its turn, and the owner either passes the word on or reports its own
 * stop once more.
 */
#include "guest/demo/ntos/kd/kdp.h"

#include "guest/demo/ntos/inc/nthal.h"

#define NO_PROCESSOR (~0u)

KD_CONTEXT KdpContext = { .KdpDefaultRetries = 20 };
BOOLEAN KdEnteredDebugger;
static ULONG KdpNextProcessor; /* where a processor that was switched to wants the word to go */

static struct {
	UCHAR Request[KD_PAYLOAD_MAX];
	UCHAR Reply[KD_PAYLOAD_MAX];
	UCHAR Report[KD_PAYLOAD_MAX]; /* what was said last: the debugger may ask for it again */
	SIZE_T ReportSize;
} KdpBuffers;

BOOLEAN KdEnterDebugger(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, PBOOLEAN Enable)
{
	*Enable = KeFreezeExecution(TrapFrame, ExceptionFrame);
	if (KdEnteredDebugger) { /* a fault in here */
		KeThawExecution(*Enable);
		return FALSE;
	}
	KdEnteredDebugger = TRUE;
	return TRUE;
}

VOID KdExitDebugger(BOOLEAN Enable)
{
	KdEnteredDebugger = FALSE;
	KeThawExecution(Enable);
}

static STRING string_of(PVOID buffer, SIZE_T size)
{
	return (STRING){ (USHORT)size, (USHORT)size, buffer };
}

/* A payload whose first `fixed` bytes are its header. */
static VOID send(ULONG type, PUCHAR payload, SIZE_T size, SIZE_T fixed)
{
	STRING header = string_of(payload, fixed);
	STRING data = string_of(payload + fixed, size - fixed);

	KdSendPacket(type, &header, size > fixed ? &data : NULL, &KdpContext);
}

static KDSTATUS receive_request(PSIZE_T size)
{
	STRING header = string_of(KdpBuffers.Request, KD_MANIPULATE_SIZE);
	STRING data = string_of(KdpBuffers.Request + KD_MANIPULATE_SIZE,
				sizeof(KdpBuffers.Request) - KD_MANIPULATE_SIZE);
	ULONG length = 0;
	KDSTATUS status;

	do
		status = KdReceivePacket(KD_PACKET_STATE_MANIPULATE, &header, &data, &length,
					 &KdpContext);
	while (status == KdPacketTimedOut);
	*size = KD_MANIPULATE_SIZE + length;
	return status;
}

static VOID build_report(const struct kdp_report *r)
{
	const USHORT processor = (USHORT)KeGetCurrentProcessorNumber();
	PUCHAR out = KdpBuffers.Report;
	const SIZE_T cap = sizeof(KdpBuffers.Report);

	switch (r->kind) {
	case KDP_EXCEPTION:
		kd_target_exception(&KdpTarget, processor, &r->exception, out, cap,
				    &KdpBuffers.ReportSize);
		break;
	case KDP_SYMBOLS:
		kd_target_load_symbols(&KdpTarget, processor, &r->symbols, r->text[0].Buffer,
				       r->text[0].Length, out, cap, &KdpBuffers.ReportSize);
		break;
	case KDP_COMMAND:
		kd_target_command_string(&KdpTarget, processor, r->text[0].Buffer,
					 r->text[0].Length, r->text[1].Buffer, r->text[1].Length,
					 out, cap, &KdpBuffers.ReportSize);
		break;
	}
}

static VOID send_report(VOID)
{
	send(KD_PACKET_STATE_CHANGE64, KdpBuffers.Report, KdpBuffers.ReportSize,
	     KD_STATE_CHANGE_SIZE);
}

/* One report and the requests that follow it, until one of them ends this processor's turn. */
static enum kd_target_action_kind serve(struct kd_target_action *action)
{
	SIZE_T size;

	send_report();
	while (!KdDebuggerNotPresent) {
		if (receive_request(&size) == KdPacketNeedsResend) {
			send_report();
			continue;
		}
		kd_target_request(&KdpTarget, KdpBuffers.Request, size, KdpBuffers.Reply,
				  sizeof(KdpBuffers.Reply), action);
		if (action->reply_size)
			send(KD_PACKET_STATE_MANIPULATE, KdpBuffers.Reply, action->reply_size,
			     KD_MANIPULATE_SIZE);
		if (action->kind == KD_TARGET_RESEND_STATE)
			send_report();
		else if (action->kind != KD_TARGET_REPLY && action->kind != KD_TARGET_STAY &&
			 action->kind != KD_TARGET_MALFORMED)
			return action->kind;
	}
	/* Given up: as if the debugger had said so. */
	action->kind = KD_TARGET_CONTINUE;
	action->continue_status = DBG_CONTINUE;
	return action->kind;
}

/* The debugger's own crash, or the end. Neither comes back. */
static VOID end_machine(enum kd_target_action_kind kind)
{
	if (kind == KD_TARGET_REBOOT)
		HalReturnToFirmware(HalRebootRoutine);
	if (kind == KD_TARGET_BUGCHECK) {
		KdEnteredDebugger = FALSE; /* it reports its own stop; the others stay frozen */
		KeBugCheckEx(MANUALLY_INITIATED_CRASH, 0, 0, 0, 0);
	}
}

/* Let others talk to the debugger until the word comes back. */
static VOID pass_the_word(ULONG processor)
{
	while (processor != NO_PROCESSOR && processor != KeGetCurrentProcessorNumber()) {
		KdpNextProcessor = NO_PROCESSOR;
		if (!KeSwitchFrozenProcessor(processor))
			return;
		processor = KdpNextProcessor;
	}
}

NTSTATUS KdpStop(const struct kdp_report *Report, PCONTEXT Context)
{
	const ULONG self = KeGetCurrentProcessorNumber();
	struct kd_target_action action = { 0 };

	KdpSetContext(self, Context);
	for (;;) {
		build_report(Report);
		if (serve(&action) == KD_TARGET_CONTINUE)
			break;
		end_machine(action.kind);
		pass_the_word(action.processor);
	}
	KdpSetContext(self, NULL);
	return (NTSTATUS)action.continue_status;
}

VOID KdSwitchProcessor(PCONTEXT Context)
{
	const struct kdp_report wake = {
		.kind = KDP_EXCEPTION,
		.exception = { .code = (uint32_t)STATUS_WAKE_SYSTEM_DEBUGGER,
			       .address = CONTEXT_PC(Context),
			       .first_chance = 1 },
	};
	struct kd_target_action action = { 0 };

	build_report(&wake);
	if (serve(&action) == KD_TARGET_SWITCH)
		KdpNextProcessor = action.processor;
	else
		end_machine(action.kind);
}
