/* SPDX-License-Identifier: MIT */
#include "guest/transport/serial_link.h"

#include "guest/transport/debugger_present.h"
#include "guest/transport/ports.h"
#include "guest/transport/transport_packet.h"

/* The HAL's word to the serial driver: this port is taken. */
extern DLLIMPORT PUCHAR *KdComPortInUse;

enum {
	RECEIVE_NS = 1000000000,
	/*
	 * Shorter than the stock transport's second, because every loss costs one of them. Real
	 * lines at 115200 stay below with their USB adapters (16 ms), and virtual ones too.
	 */
	BYTE_GAP_MS = 50,
	ACK_WAIT_MS = 250,
	RETRIES_UNHEARD = 10, /* 2.5 s at boot until nobody is there */
	POLL_MAX = 64,        /* bytes one poll throws away at most */
	SAY_NS = 100000000,
};

void serial_link_restart(struct serial_link *s)
{
	struct kd_link_config config;

	kd_link_config_init(&config, KD_LINK_TARGET, true);
	config.byte_gap = BYTE_GAP_MS * (uint64_t)KD_NS_PER_MS;
	config.break_quiet = config.byte_gap;
	config.ack_wait = ACK_WAIT_MS * (uint64_t)KD_NS_PER_MS;
	config.retries_unheard = RETRIES_UNHEARD;
	kd_link_init(&s->link, &config);
}

NTSTATUS serial_link_open(struct serial_link *s, const struct load_options *options)
{
	s->options = *options;
	if (!NT_SUCCESS(serial_link_reopen(s)))
		return STATUS_NO_SUCH_DEVICE;
	*KdComPortInUse = (PUCHAR)(ULONG_PTR)s->uart.base;
	serial_link_restart(s);
	s->is_open = true;
	return STATUS_SUCCESS;
}

NTSTATUS serial_link_reopen(struct serial_link *s)
{
	if (!uart_open(&s->uart, uart_base_of(s->options.com_port), s->options.baud_rate,
		       s->options.has_stock_fifo))
		return STATUS_NO_SUCH_DEVICE;
	transport_clock_start(&s->clock);
	return STATUS_SUCCESS;
}

void serial_link_say(struct serial_link *s, const char *text, size_t size)
{
	const uint64_t until = transport_clock_now(&s->clock) + SAY_NS;

	while (size && transport_clock_now(&s->clock) < until) {
		size_t n;

		if (!(uart_status(&s->uart) & UART_CAN_WRITE))
			continue;
		n = uart_write(&s->uart, (const uint8_t *)text, size);
		text += n;
		size -= n;
	}
}

/* --- the watch --- */

static bool is_over(const struct serial_link *s)
{
	return s->watch && s->watch->is_over && s->watch->is_over();
}

static void note_byte(const struct serial_link *s, uint8_t byte)
{
	if (s->watch && s->watch->on_byte)
		s->watch->on_byte(byte);
}

static void note_between(struct serial_link *s)
{
	size_t size;

	if (s->watch && s->watch->between && !kd_link_next_output(&s->link, &size))
		s->watch->between();
}

/* --- one step of the line --- */

/* False: there is nothing to write. */
static bool write_some(struct serial_link *s)
{
	size_t size;
	const uint8_t *bytes = kd_link_next_output(&s->link, &size);

	if (!bytes)
		return false;
	kd_link_output_done(&s->link, uart_write(&s->uart, bytes, size),
			    transport_clock_now(&s->clock));
	return true;
}

static void time_out(struct serial_link *s)
{
	const uint64_t now = transport_clock_now(&s->clock);

	if (now >= kd_link_deadline(&s->link))
		kd_link_timeout(&s->link, now);
}

/* One look at the line. The link's events are all fetched: it takes every byte. */
static void move(struct serial_link *s)
{
	const unsigned status = uart_status(&s->uart);
	bool is_idle = true;
	uint8_t byte;

	if (status & UART_CAN_READ) {
		byte = uart_read(&s->uart);
		note_byte(s, byte);
		kd_link_feed(&s->link, &byte, 1, transport_clock_now(&s->clock));
		is_idle = false;
	}
	if ((status & UART_CAN_WRITE) && write_some(s))
		is_idle = false;
	if (is_idle) {
		time_out(s);
		note_between(s);
		cpu_pause();
	}
}

static void note_break_in(PKD_CONTEXT context)
{
	if (context)
		context->KdpControlCPending = TRUE;
}

/* --- send --- */

bool serial_link_send(struct serial_link *s, uint16_t type, const STRING *header,
		      const STRING *data, PKD_CONTEXT context)
{
	const size_t data_size = data ? data->Length : 0;
	struct kd_link_event event;

	if (kd_link_send(&s->link, type, (const uint8_t *)header->Buffer, header->Length,
			 data_size ? (const uint8_t *)data->Buffer : NULL, data_size,
			 transport_is_abandonable(type, header),
			 transport_clock_now(&s->clock)) != KD_OK)
		return true; /* too long for any debugger */
	while (kd_link_is_busy(&s->link)) {
		if (is_over(s))
			return false;
		while (kd_link_next_event(&s->link, &event)) {
			if (event.kind == KD_LINK_BREAKIN)
				note_break_in(context);
		}
		move(s);
	}
	debugger_present_set(kd_link_is_peer_heard(&s->link));
	return true;
}

/* --- receive --- */

/* True: the receive is over, with *status. */
static bool take_event(const struct kd_link_event *event, PSTRING header, PSTRING data,
		       PULONG data_length, PKD_CONTEXT context, KDSTATUS *status)
{
	switch (event->kind) {
	case KD_LINK_PACKET:
		*status = KdPacketReceived;
		return transport_deliver(event->payload, event->length, header, data, data_length);
	case KD_LINK_RESEND_ASKED:
	case KD_LINK_RESET_SEEN: *status = KdPacketNeedsResend; return true;
	case KD_LINK_BREAKIN: note_break_in(context); return false;
	default: return false;
	}
}

/* ACK or RESET of what was received go out before the caller does something about it. */
static void flush(struct serial_link *s)
{
	size_t size;

	while (kd_link_next_output(&s->link, &size)) {
		if (uart_status(&s->uart) & UART_CAN_WRITE)
			write_some(s);
	}
}

KDSTATUS serial_link_receive(struct serial_link *s, uint16_t type, PSTRING header, PSTRING data,
			     PULONG data_length, PKD_CONTEXT context)
{
	const uint64_t until = transport_clock_now(&s->clock) + RECEIVE_NS;
	KDSTATUS status = KdPacketTimedOut;
	struct kd_link_event event;
	bool done = false;

	kd_link_want(&s->link, type);
	for (;;) {
		/* Before the watch is asked: what is acknowledged must be delivered. */
		while (!done && kd_link_next_event(&s->link, &event))
			done = take_event(&event, header, data, data_length, context, &status);
		if (done || transport_clock_now(&s->clock) >= until || is_over(s))
			break;
		move(s);
	}
	flush(s);
	if (done)
		debugger_present_set(true);
	return status;
}

bool serial_link_poll(struct serial_link *s)
{
	for (unsigned i = 0; i < POLL_MAX && (uart_status(&s->uart) & UART_CAN_READ); i++) {
		const uint8_t byte = uart_read(&s->uart);

		note_byte(s, byte);
		if (kd_link_poll_byte(&s->link, byte, transport_clock_now(&s->clock))) {
			debugger_present_set(true);
			return true;
		}
	}
	note_between(s);
	return false;
}
