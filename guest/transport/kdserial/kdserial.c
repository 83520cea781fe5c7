/* SPDX-License-Identifier: MIT */
/*
 * kdserial.dll: the kernel debugger over a serial port. A stand-in for kdcom.dll, any NT from XP
 * on: the union of what their kernels import is exported.
 */
#include "core/wire/packet.h"
#include "guest/transport/debugger_present.h"
#include "guest/transport/serial_link.h"
#include "guest/transport/transport.h"

/* The HAL's word to the serial driver: this port is taken. */
extern DLLIMPORT PUCHAR *KdComPortInUse;

static struct serial_link serial;

static NTSTATUS open_port(const struct load_options *options)
{
	NTSTATUS status = serial_link_open(&serial, options);

	if (NT_SUCCESS(status))
		*KdComPortInUse = (PUCHAR)(ULONG_PTR)serial.uart.base;
	return status;
}

NTSTATUS NTAPI KdDebuggerInitialize0(PVOID LoaderBlock)
{
	struct load_options options;

	debugger_present_init(LoaderBlock);
	/* NULL: at a bugcheck, to be debugged from there on; an open line stays as it is. */
	if (!LoaderBlock && serial.is_open)
		return serial_link_reopen(&serial);
	load_options_parse(load_options_find(LoaderBlock), &options);
	return open_port(&options);
}

NTSTATUS NTAPI KdDebuggerInitialize1(PVOID LoaderBlock)
{
	(void)LoaderBlock;
	return STATUS_SUCCESS;
}

/* Windows 10 and later: what Initialize0 is for the others. */
NTSTATUS NTAPI KdInitialize(ULONG Phase, PVOID LoaderBlock, PVOID Context)
{
	(void)Context;
	return Phase == 0 ? KdDebuggerInitialize0(LoaderBlock) : STATUS_SUCCESS;
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

NTSTATUS NTAPI KdD0Transition(VOID)
{
	return STATUS_SUCCESS;
}

NTSTATUS NTAPI KdD3Transition(VOID)
{
	return STATUS_SUCCESS;
}

NTSTATUS NTAPI KdSave(BOOLEAN KdSleepTransition)
{
	(void)KdSleepTransition;
	return STATUS_SUCCESS;
}

NTSTATUS NTAPI KdRestore(BOOLEAN KdSleepTransition)
{
	(void)KdSleepTransition;
	return serial.is_open ? serial_link_reopen(&serial) : STATUS_SUCCESS;
}

NTSTATUS NTAPI KdSetHiberRange(PVOID Context)
{
	(void)Context;
	return STATUS_NOT_SUPPORTED;
}

NTSTATUS NTAPI KdPower(PVOID Argument1, PVOID Argument2)
{
	(void)Argument1;
	(void)Argument2;
	return STATUS_NOT_SUPPORTED;
}
