/* SPDX-License-Identifier: MIT */
/*
 * kdserial.dll: the kernel debugger over a serial port. A stand-in for kdcom.dll, any NT from XP
 * on: the union of what their kernels import is exported.
 */
#include "core/wire/packet.h"
#include "guest/transport/debugger_present.h"
#include "guest/transport/serial_link.h"
#include "guest/transport/transport.h"

static struct serial_link serial;

NTSTATUS NTAPI KdDebuggerInitialize0(PVOID LoaderBlock)
{
	struct load_options options;

	debugger_present_init(LoaderBlock);
	/* NULL: at a bugcheck, to be debugged from there on; an open line stays as it is. */
	if (!LoaderBlock && serial.is_open)
		return serial_link_reopen(&serial);
	load_options_parse(load_options_find(LoaderBlock), &options);
	return serial_link_open(&serial, &options);
}

NTSTATUS NTAPI KdDebuggerInitialize1(PVOID LoaderBlock)
{
	(void)LoaderBlock;
	return STATUS_SUCCESS;
}

VOID NTAPI KdSendPacket(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData,
			PKD_CONTEXT Context)
{
	if (serial.is_open)
		serial_link_send(&serial, (uint16_t)PacketType, MessageHeader, MessageData,
				 Context);
}

KDSTATUS NTAPI KdReceivePacket(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData,
			       PULONG DataLength, PKD_CONTEXT Context)
{
	if (!serial.is_open)
		return KdPacketTimedOut;
	/* From the clock interrupt, all pointers NULL. */
	if (PacketType == KD_PACKET_POLL_BREAKIN)
		return serial_link_poll(&serial) ? KdPacketReceived : KdPacketTimedOut;
	if (!MessageHeader)
		return KdPacketTimedOut;
	return serial_link_receive(&serial, (uint16_t)PacketType, MessageHeader, MessageData,
				   DataLength, Context);
}

NTSTATUS NTAPI KdRestore(BOOLEAN KdSleepTransition)
{
	(void)KdSleepTransition;
	return serial.is_open ? serial_link_reopen(&serial) : STATUS_SUCCESS;
}
