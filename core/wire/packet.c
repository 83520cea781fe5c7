/* SPDX-License-Identifier: MIT */
#include "core/wire/packet.h"

static const struct kd_packet_info infos[] = {
#define KD_PACKET(number, name, title, is_control, fixed_size) \
	{ number, is_control, fixed_size, title },
#include "core/wire/packets.def"
#undef KD_PACKET
};

const struct kd_packet_info *kd_packet_find(uint16_t type)
{
	/* Only an argument of NT's receive routine. */
	if (type == KD_PACKET_POLL_BREAKIN)
		return NULL;
	for (size_t i = 0; i < sizeof(infos) / sizeof(infos[0]); i++)
		if (infos[i].type == type)
			return &infos[i];
	return NULL;
}

void kd_packet_hdr_encode(uint8_t out[KD_AT_LEAST(16)], const struct kd_packet_hdr *hdr)
{
	kd_put32(out, hdr->leader);
	kd_put16(out + 4, hdr->type);
	kd_put16(out + 6, hdr->length);
	kd_put32(out + 8, hdr->id);
	kd_put32(out + 12, hdr->checksum);
}

enum kd_status kd_packet_hdr_decode(struct kd_packet_hdr *hdr_ret,
				    const uint8_t in[KD_AT_LEAST(16)])
{
	struct kd_packet_hdr hdr = {
		.leader = kd_get32(in),
		.type = kd_get16(in + 4),
		.length = kd_get16(in + 6),
		.id = kd_get32(in + 8),
		.checksum = kd_get32(in + 12),
	};
	const struct kd_packet_info *info = kd_packet_find(hdr.type);

	if (hdr.leader != KD_LEADER_DATA && hdr.leader != KD_LEADER_CONTROL)
		return KD_E_MALFORMED;
	if (!info || info->is_control != (hdr.leader == KD_LEADER_CONTROL))
		return KD_E_MALFORMED;
	if (info->is_control && hdr.length != 0)
		return KD_E_MALFORMED;
	if (hdr.length > KD_PAYLOAD_ACCEPT)
		return KD_E_TOO_BIG;
	*hdr_ret = hdr;
	return KD_OK;
}

/*
 * Eight bytes at a time: the even and the odd ones are added in four lanes of 16 bits. A lane
 * grows by at most 510 in a step, so 128 steps fit. General registers only, for guests.
 */
static uint32_t sum_block(const uint8_t *p, size_t n_words)
{
	const uint64_t mask = 0x00FF00FF00FF00FFu;
	uint64_t lanes = 0;

	for (size_t i = 0; i < n_words; i++) {
		uint64_t word = kd_get64(p + 8 * i);

		lanes += (word & mask) + (word >> 8 & mask);
	}
	lanes = (lanes & 0x0000FFFF0000FFFFu) + (lanes >> 16 & 0x0000FFFF0000FFFFu);
	return (uint32_t)lanes + (uint32_t)(lanes >> 32);
}

uint32_t kd_checksum(const uint8_t *payload, size_t size)
{
	enum { BLOCK_WORDS = 128, WORD = 8 };
	uint32_t sum = 0;

	while (size >= WORD) {
		size_t n_words = size / WORD < BLOCK_WORDS ? size / WORD : BLOCK_WORDS;

		sum += sum_block(payload, n_words);
		payload += n_words * WORD;
		size -= n_words * WORD;
	}
	while (size--)
		sum += *payload++;
	return sum;
}
