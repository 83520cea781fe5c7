/* SPDX-License-Identifier: MIT */
/*
 * When a packet proves that the one before it arrived: shared by the links of both kinds. Inline,
 * so that a guest that lists the files it takes from core/ need not know.
 */
#ifndef KD_CORE_LINK_IMPLIED_H
#define KD_CORE_LINK_IMPLIED_H

#include "core/wire/api.h"
#include "core/wire/packet.h"

/* A state change, of whatever width. */
static inline bool kd__packet_is_stop(uint16_t type)
{
	return type == KD_PACKET_STATE_CHANGE64 || type == KD_PACKET_STATE_CHANGE32;
}

/* FNV-1a: to know a state change again when replies came in between. */
static inline uint32_t kd__stop_hash(const uint8_t *payload, size_t size)
{
	uint32_t hash = 0x811C9DC5u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ payload[i]) * 0x01000193u;
	return hash;
}

/* API number of a request, or 0. */
static inline uint32_t kd__request_api(const uint8_t *packet)
{
	if (kd_get16(packet + 4) != KD_PACKET_STATE_MANIPULATE || kd_get16(packet + 6) < 4)
		return 0;
	return kd_get32(packet + KD_HDR_SIZE);
}

/* Continue and its like: what comes next comes from a target that took the request. */
static inline bool kd__api_is_ack_only(uint32_t api)
{
	const struct kd_api_info *info = kd_api_find(api);

	return info && info->answered != KD_ANSWERED_REPLY;
}

/*
 * Does this new packet prove that ours (header and payload, as sent by a debugger) arrived, though
 * its ACK has not? A reply proves its request. Whatever a target says after a continue or an answer
 * to its prompt proves that, unless it only repeats its state change or prompt. A state change
 * proves nothing about other requests: the target may have been reset.
 *
 * is_repeat: it is the packet that was delivered last, once more; is_same_stop: it is the last
 * state change once more.
 */
static inline bool kd__packet_implies_ack(const uint8_t *ours, const struct kd_packet_hdr *theirs,
					  const uint8_t *payload, bool is_repeat, bool is_same_stop)
{
	uint32_t api = kd__request_api(ours);

	if (kd_get16(ours + 4) != KD_PACKET_STATE_MANIPULATE)
		return !is_repeat;
	if (api && theirs->type == KD_PACKET_STATE_MANIPULATE)
		return theirs->length >= 4 && kd_get32(payload) == api;
	if (!kd__api_is_ack_only(api))
		return false;
	return !kd__packet_is_stop(theirs->type) || !is_same_stop;
}

#endif
