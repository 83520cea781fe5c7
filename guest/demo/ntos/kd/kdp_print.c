/* SPDX-License-Identifier: MIT */
/* Text: DbgPrint and DbgPrompt, their history, and the packets that carry them. */
#include "guest/demo/ntos/kd/kdp.h"

#include "guest/demo/ntos/inc/rtl.h"

enum {
	CIRCULAR_SIZE = 0x1000,
};

#define NO_COMPONENT (~0u) /* DbgPrint: not filtered, as before Vista */

/* The last prints, for debuggers that come later (!dbgprint). */
CHAR KdPrintDefaultCircularBuffer[CIRCULAR_SIZE];
PCHAR KdPrintCircularBuffer = KdPrintDefaultCircularBuffer;
PCHAR KdPrintWritePointer = KdPrintDefaultCircularBuffer;
ULONG KdPrintBufferSize = CIRCULAR_SIZE;
ULONG KdPrintRolloverCount;
static KSPIN_LOCK KdpPrintSpinLock;

/* Bits are levels. A debugger sets them to see more. */
ULONG Kd_WIN2000_Mask = 1;
ULONG Kd_DEFAULT_Mask;

VOID KdLogDbgPrint(const CHAR *Text, ULONG Length)
{
	const BOOLEAN enabled = KeDisableInterrupts();

	KxAcquireSpinLock(&KdpPrintSpinLock);
	for (ULONG i = 0; i < Length; i++) {
		*KdPrintWritePointer++ = Text[i];
		if (KdPrintWritePointer == KdPrintCircularBuffer + KdPrintBufferSize) {
			KdPrintWritePointer = KdPrintCircularBuffer;
			KdPrintRolloverCount++;
		}
	}
	KxReleaseSpinLock(&KdpPrintSpinLock);
	KeRestoreInterrupts(enabled);
}

/* --- packets --- */

static UCHAR KdpTextPacket[KD_PAYLOAD_MAX];

static VOID send_text(SIZE_T size)
{
	STRING header = { KD_DEBUG_IO_SIZE, KD_DEBUG_IO_SIZE, (PCHAR)KdpTextPacket };
	STRING data = { (USHORT)(size - KD_DEBUG_IO_SIZE), (USHORT)(size - KD_DEBUG_IO_SIZE),
			(PCHAR)KdpTextPacket + KD_DEBUG_IO_SIZE };

	KdSendPacket(KD_PACKET_DEBUG_IO, &header, &data, &KdpContext);
}

BOOLEAN KdpPrintString(const CHAR *Text, ULONG Length)
{
	const USHORT processor = (USHORT)KeGetCurrentProcessorNumber();
	SIZE_T size, taken;

	while (Length && !KdDebuggerNotPresent &&
	       kd_target_print(&KdpTarget, processor, Text, Length, KdpTextPacket,
			       sizeof(KdpTextPacket), &size, &taken) == KD_OK) {
		send_text(size);
		Text += taken;
		Length -= (ULONG)taken;
	}
	return KdPollBreakIn();
}

/* One answer; FALSE: the prompt has to be said again. */
static BOOLEAN receive_answer(PCHAR answer, ULONG maximum, PULONG length)
{
	UCHAR header_bytes[KD_DEBUG_IO_SIZE];
	STRING header = { 0, sizeof(header_bytes), (PCHAR)header_bytes };
	STRING data = { 0, (USHORT)maximum, answer };
	KDSTATUS status;

	do
		status = KdReceivePacket(KD_PACKET_DEBUG_IO, &header, &data, length, &KdpContext);
	while (status == KdPacketTimedOut);
	return status == KdPacketReceived;
}

ULONG KdpPromptString(const CHAR *Prompt, ULONG Length, PCHAR Answer, ULONG Maximum)
{
	const USHORT processor = (USHORT)KeGetCurrentProcessorNumber();
	ULONG length = 0;
	SIZE_T size;

	do {
		if (kd_target_prompt(&KdpTarget, processor, Prompt, Length, Maximum, KdpTextPacket,
				     sizeof(KdpTextPacket), &size) != KD_OK)
			return 0;
		send_text(size);
	} while (!receive_answer(Answer, Maximum, &length));
	return length;
}

/* --- what drivers call --- */

static BOOLEAN is_filtered(ULONG component, ULONG level)
{
	const ULONG mask = level < 32 ? 1u << level : level;

	return component != NO_COMPONENT && !((Kd_WIN2000_Mask | Kd_DEFAULT_Mask) & mask);
}

static ULONG print(ULONG component, ULONG level, PCSTR format, va_list arguments)
{
	CHAR text[KDP_PRINT_MAX];
	STRING output = { 0, sizeof(text), text };

	if (is_filtered(component, level))
		return STATUS_SUCCESS;
	output.Length = (USHORT)RtlStringPrintV(text, sizeof(text), format, arguments);
	KdLogDbgPrint(text, output.Length);
	if (!KdDebuggerEnabled || KdDebuggerNotPresent)
		return STATUS_SUCCESS;
	/* The debugger wants to break in, and prints are often all that happens. */
	if (DebugPrint(&output, component, level) == STATUS_BREAKPOINT)
		DbgBreakPointWithStatus(DBG_STATUS_CONTROL_C);
	return STATUS_SUCCESS;
}

ULONG DbgPrint(PCSTR Format, ...)
{
	va_list arguments;
	ULONG status;

	va_start(arguments, Format);
	status = print(NO_COMPONENT, DPFLTR_INFO_LEVEL, Format, arguments);
	va_end(arguments);
	return status;
}

ULONG DbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format, ...)
{
	va_list arguments;
	ULONG status;

	va_start(arguments, Format);
	status = print(ComponentId, Level, Format, arguments);
	va_end(arguments);
	return status;
}

/** Response gets a NUL; the result is the answer's length without it. */
ULONG DbgPrompt(PCSTR Prompt, PCHAR Response, ULONG Length)
{
	STRING output = { 0 }, input = { 0 };
	ULONG n;

	if (Length == 0)
		return 0;
	RtlInitString(&output, Prompt);
	input.MaximumLength = (USHORT)(Length - 1 < 0xFFFF ? Length - 1 : 0xFFFF);
	input.Buffer = Response;
	n = DebugPrompt(&output, &input);
	if (n > input.MaximumLength)
		n = input.MaximumLength;
	Response[n] = 0;
	return n;
}
