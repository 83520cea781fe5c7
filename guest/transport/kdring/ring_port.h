/* SPDX-License-Identifier: MIT */
/*
 * NT's blocking send, receive and poll over the ring, with the serial line beside it: as doorbell,
 * and as the road that is taken when nobody holds the ring's other end. One of it in a DLL; the
 * kernel guarantees one caller at a time.
 */
#ifndef KD_GUEST_RING_PORT_H
#define KD_GUEST_RING_PORT_H

#include <stdbool.h>

#include "guest/transport/load_options.h"
#include "guest/transport/transport.h"

/**
 * Open the serial line, say where the ring is, and give a host a moment to take it.
 * @return STATUS_SUCCESS, also without a ring; STATUS_NO_SUCH_DEVICE: no UART at that port.
 */
NTSTATUS ring_port_open(const struct load_options *options);
bool ring_port_is_open(void);

/** The machine slept, or its kernel wants to be debugged from now on: set up the line, say again.
 */
NTSTATUS ring_port_reopen(void);

/** Boot drivers may have moved: look where the ring is now, and say so if it is elsewhere. */
void ring_port_check_place(void);

/** As the kernel's functions of these names. */
void ring_port_send(uint16_t type, const STRING *header, const STRING *data, PKD_CONTEXT context);
KDSTATUS ring_port_receive(uint16_t type, PSTRING header, PSTRING data, PULONG data_length,
			   PKD_CONTEXT context);
bool ring_port_poll(void);

#endif
