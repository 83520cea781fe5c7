/* SPDX-License-Identifier: MIT */
/* "api=0x3130 context.rip=0x1000" against what a packet's description says. */
#ifndef KD_TESTS_CORE_WIRE_CHECK_H
#define KD_TESTS_CORE_WIRE_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "core/wire/packet.h"

/* NULL, or a text that names the first expectation that does not hold; valid until the next call.
 */
const char *wire_check_fields(const struct kd_packet_hdr *hdr, uint16_t machine,
			      const uint8_t *payload, size_t size, const char *expect);

/*
 * Truncated to `n` payload bytes, does some check notice? 0: it is taken for whole. Only to be
 * asked of payloads that are whole at their full size.
 */
int wire_is_truncation_seen(uint16_t type, uint16_t machine, int is_reply, const uint8_t *payload,
			    size_t n);

#endif
