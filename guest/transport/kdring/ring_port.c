/* SPDX-License-Identifier: MIT */
/*
 *   the host...     takes the ring       leaves it           dies
 *   serial line ----------------> ring --------> serial line
 *                                   |                            breakpoints out, target goes on,
 *                                   +------> orphan -----------> serial line
 *
 * An orphan is a target whose host died: until its breakpoints are out we play the debugger
 * ourselves (core/ring/ring_orphan.h). If it runs, the next poll stops it for that.
 */
#include "guest/transport/kdring/ring_port.h"

#include "core/ring/ring_announce.h"
#include "core/ring/ring_guest.h"
#include "core/ring/ring_orphan.h"
#include "guest/transport/debugger_present.h"
#include "guest/transport/kdring/ring_place.h"
#include "guest/transport/ports.h"
#include "guest/transport/serial_link.h"
#include "guest/transport/transport_packet.h"

#define MS UINT64_C(1000000)

enum {
	FIRST_WAIT_MS = 150, /* at boot, for a host that listens */
	RECEIVE_MS = 1000,
	DROP_MS = 50,    /* a host that does not read loses prints after this */
	LOOK_EVERY = 64, /* turns of a spin between two looks at the host's pulse */
	PLACE_EVERY = 256,
#ifdef __x86_64__
	ARCH = KD_RING_ARCH_X64,
	MACHINE = KD_MACHINE_AMD64,
#else
	ARCH = KD_RING_ARCH_X86,
	MACHINE = KD_MACHINE_X86,
#endif
};

static struct {
	struct serial_link serial;
	struct kd_ring_guest guest;
	struct kd_ring_announcement where;
	bool has_ring;      /* its pages are known */
	bool was_live;      /* when last looked at */
	bool must_announce; /* as soon as the line is free */
	unsigned asked;     /* bytes of the query that were read */
	unsigned polls;

	bool is_orphan; /* the host died and the target is not free of it yet */
	struct kd_orphan orphan;
	uint8_t report[KD_STATE_CHANGE_SIZE]; /* the last state change */
	size_t report_size;
	uint8_t question[KD_FILE_IO_SIZE]; /* the last prompt or file request */
	size_t question_size;
	uint8_t payload[KD_RING_PAYLOAD_MAX];
} port;

static struct kd_ring_memory memory(void)
{
	return kd_ring_memory_direct(ring_place_pages());
}

static uint64_t now(void)
{
	return transport_clock_now(&port.serial.clock);
}

/* --- announcing --- */

static void announce(void)
{
	char text[KD_RING_LINE_MAX];
	size_t size = kd_ring_announcement_write(&port.where, text, sizeof(text));

	port.must_announce = false;
	serial_link_say(&port.serial, text, size);
}

static void open_ring(void)
{
	struct kd_ring_memory m;

	port.has_ring = ring_place_find(&port.where);
	if (!port.has_ring)
		return;
	m = memory();
	kd_ring_guest_open(&port.guest, &m, ARCH, sizeof(void *), port.where.nonce);
	port.was_live = false;
	port.must_announce = true;
}

/* --- is the ring the road? --- */

/* The host is gone: fresh ids on the line, a fresh ring for the next one. */
static void leave_ring(void)
{
	port.is_orphan |= port.guest.is_host_dead;
	serial_link_restart(&port.serial);
	open_ring();
	if (port.has_ring)
		announce();
}

static bool is_live(void)
{
	const struct kd_ring_memory m = memory();
	bool is_now = port.has_ring && kd_ring_guest_is_live(&port.guest, &m, now());

	if (port.was_live && !is_now)
		leave_ring();
	if (is_now && !port.was_live) {
		debugger_present_set(true);
		port.is_orphan = false; /* somebody cares again */
		port.orphan.step = KD_ORPHAN_DONE;
	}
	port.was_live = is_now;
	return is_now;
}

/* --- what the serial line is watched for --- */

static void note_byte(uint8_t byte)
{
	static const char query[] = KD_RING_QUERY;

	if (byte == (uint8_t)query[port.asked])
		port.asked++;
	else
		port.asked = byte == (uint8_t)query[0];
	if (port.asked == KD_RING_QUERY_SIZE) {
		port.asked = 0;
		port.must_announce = port.has_ring;
	}
}

static void on_free_line(void)
{
	if (port.must_announce)
		announce();
}

static void watch(bool may_end)
{
	static struct serial_watch w;

	/* Set at every call: addresses of boot drivers change when they move. */
	w = (struct serial_watch){ may_end ? is_live : NULL, note_byte, on_free_line };
	port.serial.watch = &w;
}

/* --- open --- */

bool ring_port_is_open(void)
{
	return port.serial.is_open;
}

static void begin(void)
{
	uint64_t until = now() + FIRST_WAIT_MS * MS;

	open_ring();
	if (!port.has_ring)
		return;
	announce();
	while (now() < until && !is_live())
		cpu_pause();
}

NTSTATUS ring_port_open(const struct load_options *options)
{
	NTSTATUS status = serial_link_open(&port.serial, options);

	if (!NT_SUCCESS(status))
		return status;
	port.where.nonce = transport_clock_cycles();
	ring_place_choose(options->ring_is_pci);
	begin();
	return STATUS_SUCCESS;
}

NTSTATUS ring_port_reopen(void)
{
	NTSTATUS status = serial_link_reopen(&port.serial);

	if (NT_SUCCESS(status) && !is_live())
		begin();
	return status;
}

/* Device memory is mapped by the HAL, which is not ready when we are opened. */
static void find_place(void)
{
	open_ring();
	if (port.has_ring)
		announce();
}

void ring_port_check_place(void)
{
	if (port.serial.is_open && !port.has_ring) {
		find_place();
	} else if (port.serial.is_open && ring_place_has_moved(&port.where)) {
		serial_link_restart(&port.serial);
		open_ring();
		announce();
	}
}

/* --- send --- */

static void ring_doorbell(const struct kd_ring_memory *m)
{
	static const uint8_t bell = '!';

	if (!kd_ring_guest_needs_doorbell(m))
		return;
	for (unsigned i = 0; i < 100000 && !(uart_status(&port.serial.uart) & UART_CAN_WRITE); i++)
		cpu_pause();
	uart_write(&port.serial.uart, &bell, 1);
}

/* False: the ring was left before the packet was in it. */
static bool send_by_ring(uint16_t type, const STRING *header, const STRING *data)
{
	const struct kd_ring_memory m = memory();
	const size_t data_size = data ? data->Length : 0;
	const uint64_t give_up = now() + DROP_MS * MS;
	enum kd_status status;

	do {
		status = kd_ring_guest_send(&port.guest, &m, type, header->Buffer, header->Length,
					    data_size ? data->Buffer : NULL, data_size);
		if (status == KD_OK) {
			ring_doorbell(&m);
			return true;
		}
		if (status == KD_E_TOO_BIG)
			return true; /* for any debugger */
		/* What the kernel waits for an answer to it has to say, however long that takes. */
		if (type == KD_PACKET_DEBUG_IO && transport_is_abandonable(type, header) &&
		    now() > give_up)
			return true;
		cpu_pause();
	} while (is_live());
	return false;
}

static void keep(uint8_t *to, size_t room, size_t *size, const STRING *header)
{
	*size = header->Length < room ? header->Length : room;
	kd_copy(to, header->Buffer, *size);
}

/* An orphan is let go from what it said last. */
static void note_said(uint16_t type, const STRING *header)
{
	if (type == KD_PACKET_STATE_CHANGE64)
		keep(port.report, sizeof(port.report), &port.report_size, header);
	else if (type == KD_PACKET_DEBUG_IO || type == KD_PACKET_FILE_IO)
		keep(port.question, sizeof(port.question), &port.question_size, header);
}

void ring_port_send(uint16_t type, const STRING *header, const STRING *data, PKD_CONTEXT context)
{
	if (type == KD_PACKET_STATE_MANIPULATE && kd_orphan_is_active(&port.orphan)) {
		kd_orphan_reply(&port.orphan, (const uint8_t *)header->Buffer, header->Length,
				data ? (const uint8_t *)data->Buffer : NULL,
				data ? data->Length : 0);
		return;
	}
	note_said(type, header);
	for (;;) {
		if (is_live()) {
			if (send_by_ring(type, header, data))
				return;
		} else if (port.is_orphan) {
			return; /* nobody hears it; if an answer is expected, receive() has one */
		} else {
			watch(true);
			if (serial_link_send(&port.serial, type, header, data, context))
				return;
		}
	}
}

/* --- receive --- */

static KDSTATUS receive_by_ring(uint16_t type, uint64_t until, PSTRING header, PSTRING data,
				PULONG data_length)
{
	const struct kd_ring_memory m = memory();
	struct kd_ring_record record;

	for (unsigned turn = 1;; turn++) {
		enum kd_status status = kd_ring_guest_receive(&port.guest, &m, &record,
							      port.payload);

		if (status == KD_E_RESET)
			return KdPacketNeedsResend;
		if (status == KD_OK && record.type == type &&
		    transport_deliver(port.payload, record.size, header, data, data_length))
			return KdPacketReceived;
		if (status == KD_E_AGAIN)
			cpu_pause();
		if (turn % LOOK_EVERY == 0 && (!is_live() || now() > until))
			return KdPacketTimedOut;
	}
}

static KDSTATUS receive_from_orphan(PSTRING header, PSTRING data, PULONG data_length)
{
	uint8_t request[KD_MANIPULATE_SIZE];
	const uint8_t *more = NULL;
	size_t size = 0;
	bool is_last;

	if (!kd_orphan_is_active(&port.orphan))
		kd_orphan_begin(&port.orphan, MACHINE, port.report, port.report_size);
	if (!kd_orphan_request(&port.orphan, request, &more, &size))
		return KdPacketTimedOut;
	is_last = !kd_orphan_is_active(&port.orphan);
	kd_copy(port.payload, request, sizeof(request));
	kd_copy(port.payload + sizeof(request), more, size);
	if (is_last) {
		port.is_orphan = false;
		debugger_present_set(false);
	}
	return transport_deliver(port.payload, sizeof(request) + size, header, data, data_length)
		       ? KdPacketReceived
		       : KdPacketTimedOut;
}

/* To a prompt: nothing. To a request for a file: there is none. */
static KDSTATUS answer_question(uint16_t type, PSTRING header, PSTRING data, PULONG data_length)
{
	size_t size = type == KD_PACKET_DEBUG_IO ? KD_DEBUG_IO_SIZE : KD_FILE_IO_SIZE;

	if (port.question_size < size)
		return KdPacketTimedOut;
	if (type == KD_PACKET_DEBUG_IO)
		kd_put32(port.question + 12, 0); /* LengthOfStringRead */
	else
		kd_put32(port.question + 4, (uint32_t)STATUS_NO_SUCH_FILE);
	return transport_deliver(port.question, size, header, data, data_length) ? KdPacketReceived
										 : KdPacketTimedOut;
}

static KDSTATUS receive_alone(uint16_t type, PSTRING header, PSTRING data, PULONG data_length)
{
	if (type == KD_PACKET_STATE_MANIPULATE)
		return receive_from_orphan(header, data, data_length);
	if (type == KD_PACKET_DEBUG_IO || type == KD_PACKET_FILE_IO)
		return answer_question(type, header, data, data_length);
	return KdPacketTimedOut;
}

KDSTATUS ring_port_receive(uint16_t type, PSTRING header, PSTRING data, PULONG data_length,
			   PKD_CONTEXT context)
{
	const uint64_t until = now() + RECEIVE_MS * MS;

	for (;;) {
		KDSTATUS status;

		if (is_live()) {
			status = receive_by_ring(type, until, header, data, data_length);
		} else if (port.is_orphan) {
			return receive_alone(type, header, data, data_length);
		} else {
			watch(true);
			status = serial_link_receive(&port.serial, type, header, data, data_length,
						     context);
		}
		if (status != KdPacketTimedOut || now() >= until)
			return status;
	}
}

/* --- poll --- */

bool ring_port_poll(void)
{
	const struct kd_ring_memory m = memory();

	/* Not where a device lies: others may be at its configuration just now. */
	if (++port.polls % PLACE_EVERY == 0 && !(port.has_ring && port.where.is_pci))
		ring_port_check_place();
	if (is_live())
		return kd_ring_guest_poll(&port.guest, &m);
	if (port.is_orphan)
		return true; /* stop, so that its breakpoints can be taken out */
	watch(false);
	return serial_link_poll(&port.serial);
}
