/* SPDX-License-Identifier: MIT */
/*
 * Cuts one direction of a KD byte stream into packets without judging them: for streams that a link
 * wrote (a recording, our own output), where nothing is damaged.
 */
#ifndef KD_LIB_IO_PACKET_SCAN_H
#define KD_LIB_IO_PACKET_SCAN_H

#include "core/wire/packet.h"

enum kd__scan_kind {
	KD__SCAN_NOTHING, /* more bytes are needed */
	KD__SCAN_BREAKIN, /* a break-in byte between packets */
	KD__SCAN_CONTROL, /* hdr */
	KD__SCAN_DATA,    /* hdr, payload */
};

struct kd__scan_item {
	enum kd__scan_kind kind;
	struct kd_packet_hdr hdr;
	const uint8_t *payload; /* hdr.length bytes, valid until the next kd__packet_scan() */
};

struct kd__packet_scan {
	size_t n; /* bytes of the packet that begins at bytes[0] */
	uint8_t bytes[KD_PACKET_MAX];
};

/* Forget half a packet: the stream begins anew. */
void kd__packet_scan_reset(struct kd__packet_scan *s);

/* Consumes bytes up to the end of one item; returns how many. */
size_t kd__packet_scan(struct kd__packet_scan *s, const uint8_t *bytes, size_t size,
		       struct kd__scan_item *item_ret);

#endif
