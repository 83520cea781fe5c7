/* SPDX-License-Identifier: MIT */
/*
 * NT's blocking send, receive and poll over core/link and a UART. One of it in a DLL; the kernel
 * guarantees one caller at a time.
 */
#ifndef KD_GUEST_SERIAL_LINK_H
#define KD_GUEST_SERIAL_LINK_H

#include "core/link/link.h"
#include "guest/transport/load_options.h"
#include "guest/transport/transport.h"
#include "guest/transport/transport_clock.h"
#include "guest/transport/uart.h"

/* What else a transport has an eye on while it waits on the line. */
struct serial_watch {
	bool (*is_over)(void);         /* true: stop waiting, there is a better road */
	void (*on_byte)(uint8_t byte); /* everything that comes in, a poll's bytes too */
	void (*between)(void); /* the line is between two packets: now something may be said */
};

struct serial_link {
	bool is_open;
	struct load_options options;
	struct uart uart;
	struct transport_clock clock;
	struct kd_link link;
	const struct serial_watch *watch; /* during a call; NULL: nothing */
};

/** @return STATUS_SUCCESS; STATUS_NO_SUCH_DEVICE: no UART at that port. */
NTSTATUS serial_link_open(struct serial_link *s, const struct load_options *options);

/** The UART has forgotten its settings (power management): set it up again, ids go on. */
NTSTATUS serial_link_reopen(struct serial_link *s);

/** Begin with fresh packet ids, as after a start: whoever listened before is forgotten. */
void serial_link_restart(struct serial_link *s);

/**
 * Text between packets, for whoever reads the line. Takes at most a tenth of a second: on a line
 * where that is too short the rest is left out.
 */
void serial_link_say(struct serial_link *s, const char *text, size_t size);

/**
 * Send and wait for the ACK. Prints, load-symbols state changes and file creations are given up
 * when nobody answers: the debugger is then marked absent. Everything else waits for ever.
 * @return false: the watch ended it, the packet may not have arrived.
 */
bool serial_link_send(struct serial_link *s, uint16_t type, const STRING *header,
		      const STRING *data, PKD_CONTEXT context);

/** Wait about a second for a packet of this type. */
KDSTATUS serial_link_receive(struct serial_link *s, uint16_t type, PSTRING header, PSTRING data,
			     PULONG data_length, PKD_CONTEXT context);

/** Look for a break-in byte, at once. */
bool serial_link_poll(struct serial_link *s);

#endif
