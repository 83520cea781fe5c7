/* SPDX-License-Identifier: MIT */
/*
 * The IP and TCP or UDP headers that a payload would have on a wire: what filters run over in the
 * guest, and what Wireshark is shown on the host.
 */
#ifndef KD_CORE_PROBE_PROBE_HEADERS_H
#define KD_CORE_PROBE_PROBE_HEADERS_H

#include "core/probe/probe.h"

enum {
	KD_PROBE_HEADERS_MAX = 60, /* IPv6 and TCP */
	KD_PROBE_TCP_FIN = 0x01,
	KD_PROBE_TCP_SYN = 0x02,
	KD_PROBE_TCP_RST = 0x04,
	KD_PROBE_TCP_PSH = 0x08,
	KD_PROBE_TCP_ACK = 0x10,
};

struct kd_probe_headers {
	uint8_t bytes[KD_PROBE_HEADERS_MAX];
	uint8_t size;
	uint8_t ip_size; /* of them; the transport's header follows */
};

/* What differs from packet to packet of a flow. For UDP only payload_size counts. */
struct kd_probe_segment {
	uint32_t
		payload_size; /* IPv4: at most 65495 with TCP, 65507 with UDP; IPv6: 65515, 65527 */
	uint32_t seq, ack;
	uint8_t tcp_flags; /* KD_PROBE_TCP_* */
};

/* Headers of a segment that goes `direction`; checksums are 0. */
void kd_probe_headers_make(struct kd_probe_headers *ret, const struct kd_probe_facts *facts,
			   enum kd_probe_direction direction,
			   const struct kd_probe_segment *segment);

/* Fill in the IPv4 header's checksum and the transport's, over the payload. */
void kd_probe_headers_sum(struct kd_probe_headers *h, const uint8_t *payload, uint32_t size);

/*
 * Are these bytes of the headers the same in all packets of the flow and direction? Sizes, sums,
 * sequence numbers and TCP flags are not, nor is what lies behind the headers.
 */
bool kd_probe_headers_is_fixed(const struct kd_probe_headers *h, uint32_t offset, uint32_t size);

#endif
