/* SPDX-License-Identifier: MIT */
/*
 * Recordings know one form: the bytes of a serial line (docs/recording-format.md). Packets that
 * went through a ring are written as the line would have carried them, ACKs included, so that
 * decoding and replaying work alike.
 */
#ifndef KD_LIB_IO_RING_RECORD_H
#define KD_LIB_IO_RING_RECORD_H

#include "lib/io/transport.h"

struct kd_ring_record_state {
	uint32_t next_in, next_out; /* packet ids */
};

/*
 * A ring begins: the ids that follow are those of a fresh line. `is_boot`: so is the guest, whose
 * first packet says so on a line.
 */
void kd__ring_record_begin(struct kd_ring_record_state *s, struct kd_transport *t, bool is_boot);

/* One packet and its ACK. Nothing happens when `t` does not record. */
void kd__ring_record_packet(struct kd_ring_record_state *s, struct kd_transport *t, bool is_out,
			    uint16_t type, const void *header, size_t header_size, const void *data,
			    size_t data_size);

#endif
