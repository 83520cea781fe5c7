/* SPDX-License-Identifier: MIT */
#include "lib/io/packet_scan.h"

#include <string.h>

enum { LEADER = 4 };

void kd__packet_scan_reset(struct kd__packet_scan *s)
{
	s->n = 0;
}

/* Before the header is complete: does `byte` carry on what could be a packet? */
static bool fits_leader(const struct kd__packet_scan *s, uint8_t byte)
{
	if (s->n == 0)
		return byte == KD_BYTE_DATA || byte == KD_BYTE_CONTROL;
	return s->n >= LEADER || byte == s->bytes[0];
}

/* The whole packet's size, or 0 when the bytes so far don't tell, or SIZE_MAX when they are none.
 */
static size_t packet_size(const struct kd__packet_scan *s, struct kd_packet_hdr *hdr_ret)
{
	if (s->n < KD_HDR_SIZE)
		return 0;
	if (kd_packet_hdr_decode(hdr_ret, s->bytes) != KD_OK)
		return SIZE_MAX;
	if (hdr_ret->leader == KD_LEADER_CONTROL)
		return KD_HDR_SIZE;
	return (size_t)KD_HDR_SIZE + hdr_ret->length + 1;
}

size_t kd__packet_scan(struct kd__packet_scan *s, const uint8_t *bytes, size_t size,
		       struct kd__scan_item *item_ret)
{
	*item_ret = (struct kd__scan_item){ .kind = KD__SCAN_NOTHING };
	for (size_t i = 0; i < size; i++) {
		size_t whole;

		if (s->n == 0 && bytes[i] == KD_BYTE_BREAKIN) {
			item_ret->kind = KD__SCAN_BREAKIN;
			return i + 1;
		}
		if (!fits_leader(s, bytes[i])) {
			s->n = 0;
			if (!fits_leader(s, bytes[i]))
				continue;
		}
		s->bytes[s->n++] = bytes[i];
		whole = packet_size(s, &item_ret->hdr);
		if (whole == SIZE_MAX) {
			s->n = 0;
		} else if (whole != 0 && s->n == whole) {
			item_ret->kind = item_ret->hdr.leader == KD_LEADER_DATA ? KD__SCAN_DATA
										: KD__SCAN_CONTROL;
			item_ret->payload = s->bytes + KD_HDR_SIZE;
			s->n = 0;
			return i + 1;
		}
	}
	return size;
}
