/* SPDX-License-Identifier: MIT */
/*
 * kdring.dll: the kernel debugger through shared memory, for virtual machines; over the serial port
 * wherever nobody takes the ring. A stand-in for kdcom.dll, any NT from XP on.
 */
#include "core/wire/packet.h"
#include "guest/transport/debugger_present.h"
#include "guest/transport/kdring/ring_port.h"

/* What kdring-setup.cmd knows this file by: a line of its own, for tools that read lines. */
#ifdef _WIN64
const char KdringMark[] = "\r\nOpenKD kdring.dll for x64\r\n";
#else
const char KdringMark[] = "\r\nOpenKD kdring.dll for x86\r\n";
#endif

NTSTATUS NTAPI KdDebuggerInitialize0(PVOID LoaderBlock)
{
	struct load_options options;

	debugger_present_init(LoaderBlock);
	/* NULL: at a bugcheck, to be debugged from there on; an open line stays as it is. */
	if (!LoaderBlock && ring_port_is_open())
		return ring_port_reopen();
	load_options_parse(load_options_find(LoaderBlock), &options);
	return ring_port_open(&options);
}

NTSTATUS NTAPI KdDebuggerInitialize1(PVOID LoaderBlock)
{
	(void)LoaderBlock;
	ring_port_check_place();
	return STATUS_SUCCESS;
}

VOID NTAPI KdSendPacket(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData,
			PKD_CONTEXT Context)
{
	if (ring_port_is_open())
		ring_port_send((uint16_t)PacketType, MessageHeader, MessageData, Context);
}

KDSTATUS NTAPI KdReceivePacket(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData,
			       PULONG DataLength, PKD_CONTEXT Context)
{
	if (!ring_port_is_open())
		return KdPacketTimedOut;
	/* From the clock interrupt, all pointers NULL. */
	if (PacketType == KD_PACKET_POLL_BREAKIN)
		return ring_port_poll() ? KdPacketReceived : KdPacketTimedOut;
	if (!MessageHeader)
		return KdPacketTimedOut;
	return ring_port_receive((uint16_t)PacketType, MessageHeader, MessageData, DataLength,
				 Context);
}

NTSTATUS NTAPI KdRestore(BOOLEAN KdSleepTransition)
{
	(void)KdSleepTransition;
	return ring_port_is_open() ? ring_port_reopen() : STATUS_SUCCESS;
}
