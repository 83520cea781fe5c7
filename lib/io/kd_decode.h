/* SPDX-License-Identifier: MIT */
/* Inside the decoder of recordings: what its three files share. */
#ifndef KD_LIB_IO_KD_DECODE_H
#define KD_LIB_IO_KD_DECODE_H

#include <openkd/sys/decode.h>

#include "core/wire/describe.h"
#include "core/wire/packet.h"

enum { KD_DECODE_SUMMARY_SIZE = 512 };

/*
 * The line for people. `hdr` and payload are those of a good packet; returns `out`. Fills
 * record->code, code_name and problem.
 */
void kd__decode_summarise(struct kd_decode_record *record, const struct kd_packet_hdr *hdr,
			  char out[KD_DECODE_SUMMARY_SIZE]);

#endif
