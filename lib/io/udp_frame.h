/* SPDX-License-Identifier: MIT */
/* UDP datagrams out of captured frames: Ethernet (with VLAN tags), raw IP, Linux cooked, loopback.
 */
#ifndef KD_LIB_IO_UDP_FRAME_H
#define KD_LIB_IO_UDP_FRAME_H

#include "core/net/net_message.h"
#include "lib/base.h"

struct kd__udp {
	struct kd_net_address from, to;
	const uint8_t *payload; /* in the frame */
	size_t size;
};

/*
 * KD_OK; KD_E_NOT_FOUND: no UDP in it, or not over IP; KD_E_UNSUPPORTED: a link type that is not
 * known, or a fragment of an IP packet; KD_E_TRUNCATED: the capture has not all of it;
 * KD_E_MALFORMED. *why_ret: in a few words, when it is not KD_OK. Static.
 */
enum kd_status kd__udp_frame(uint16_t link_type, const uint8_t *frame, size_t size,
			     struct kd__udp *ret, const char **why_ret);

/* "192.168.2.1:51111", "[fe80::1]:50000". `text`: KD__ADDRESS_TEXT bytes; returns it. */
enum { KD__ADDRESS_TEXT = 56 };
const char *kd__net_address_text(const struct kd_net_address *a, char *text);

#endif
