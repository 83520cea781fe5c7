/* SPDX-License-Identifier: MIT */
#include "lib/io/ring_record.h"

#include <string.h>

#include "core/wire/packet.h"

static void note_control(struct kd_transport *t, bool is_out, uint16_t type, uint32_t id)
{
	uint8_t bytes[KD_HDR_SIZE];
	const struct kd_packet_hdr hdr = { .leader = KD_LEADER_CONTROL, .type = type, .id = id };

	kd_packet_hdr_encode(bytes, &hdr);
	kd_transport_tap_note(t, is_out, bytes, sizeof bytes);
}

void kd__ring_record_begin(struct kd_ring_record_state *s, struct kd_transport *t, bool is_boot)
{
	s->next_in = s->next_out = KD_PACKET_ID_INITIAL;
	if (is_boot)
		s->next_in |= KD_PACKET_ID_SYNC;
	if (kd_transport_tap_status(t, NULL) == KD_E_NOT_FOUND)
		return;
	note_control(t, true, KD_PACKET_RESET, 0);
	note_control(t, false, KD_PACKET_RESET, 0);
}

void kd__ring_record_packet(struct kd_ring_record_state *s, struct kd_transport *t, bool is_out,
			    uint16_t type, const void *header, size_t header_size, const void *data,
			    size_t data_size)
{
	uint32_t *id = is_out ? &s->next_out : &s->next_in;
	uint8_t bytes[KD_PACKET_MAX];
	struct kd_packet_hdr hdr = { .leader = KD_LEADER_DATA,
				     .type = type,
				     .length = (uint16_t)(header_size + data_size),
				     .id = *id };

	if (kd_transport_tap_status(t, NULL) == KD_E_NOT_FOUND ||
	    header_size + data_size > KD_PAYLOAD_ACCEPT)
		return;
	kd_copy(bytes + KD_HDR_SIZE, header, header_size);
	kd_copy(bytes + KD_HDR_SIZE + header_size, data, data_size);
	hdr.checksum = kd_checksum(bytes + KD_HDR_SIZE, header_size + data_size);
	kd_packet_hdr_encode(bytes, &hdr);
	bytes[KD_HDR_SIZE + header_size + data_size] = KD_BYTE_TRAILER;
	kd_transport_tap_note(t, is_out, bytes, KD_HDR_SIZE + header_size + data_size + 1);
	*id &= ~KD_PACKET_ID_SYNC;
	note_control(t, !is_out, KD_PACKET_ACKNOWLEDGE, *id);
	*id ^= 1;
}
