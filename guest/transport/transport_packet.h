/* SPDX-License-Identifier: MIT */
/* The kernel's packets, as KdSendPacket and KdReceivePacket have them. */
#ifndef KD_GUEST_TRANSPORT_PACKET_H
#define KD_GUEST_TRANSPORT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/transport/transport.h"

/** A print, a load-symbols state change, a file creation: given up when nobody answers. */
bool transport_is_abandonable(uint16_t type, const STRING *header);

/**
 * Hand a payload to KdReceivePacket's caller: what fits its fixed header, the rest as data.
 * @return false: too short for the header, or too long for the data; nothing was written.
 */
bool transport_deliver(const uint8_t *payload, size_t size, PSTRING header, PSTRING data,
		       PULONG data_length);

#endif
