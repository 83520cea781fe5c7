/* SPDX-License-Identifier: MIT */
/*
 * The 16-byte KD packet header and what surrounds it on a stream.
 * Source: docs/protocol/serial.md; facts verified in a decrypted WinDbg session.
 */
#ifndef KD_CORE_WIRE_PACKET_H
#define KD_CORE_WIRE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openkd/status.h>

#include "core/bytes.h"

#define KD_LEADER_DATA    0x30303030u
#define KD_LEADER_CONTROL 0x69696969u
#define KD_BYTE_DATA      0x30u
#define KD_BYTE_CONTROL   0x69u
#define KD_BYTE_BREAKIN   0x62u
#define KD_BYTE_TRAILER   0xAAu

#define KD_PACKET_ID_INITIAL 0x80800000u
#define KD_PACKET_ID_SYNC    0x00000800u /* "forget your history": first packet after boot */

enum {
	KD_HDR_SIZE = 16,
	/* What we and NT ever send. Other stubs send more: see KD_PAYLOAD_ACCEPT. */
	KD_PAYLOAD_MAX = 4000,
	/* What a tolerant receiver takes: QEMU's and VirtualBox' stubs emit 4096 + a header. */
	KD_PAYLOAD_ACCEPT = 4096 + 256,
	KD_PACKET_MAX = KD_HDR_SIZE + KD_PAYLOAD_ACCEPT + 1,
};

/* Packet types; the table with names and fixed header sizes is in packets.def. */
enum kd_packet_type {
#define KD_PACKET(number, name, title, is_control, fixed_size) KD_PACKET_##name = number,
#include "core/wire/packets.def"
#undef KD_PACKET
};

struct kd_packet_info {
	uint16_t type;
	bool is_control;
	uint16_t fixed_size; /* bytes of the type's fixed payload header, 0 for control packets */
	const char *name;    /* "KD_STATE_MANIPULATE" */
};

/* NULL: not a packet type that appears on the wire. */
const struct kd_packet_info *kd_packet_find(uint16_t type);

struct kd_packet_hdr {
	uint32_t leader; /* KD_LEADER_DATA or KD_LEADER_CONTROL */
	uint16_t type;
	uint16_t length; /* payload bytes that follow the header */
	uint32_t id;
	uint32_t checksum;
};

void kd_packet_hdr_encode(uint8_t out[KD_AT_LEAST(16)], const struct kd_packet_hdr *hdr);

/*
 * KD_OK; KD_E_MALFORMED: unknown leader or type, type of the other class, or a control packet
 * that claims a payload: drop one byte and hunt; KD_E_TOO_BIG: length above KD_PAYLOAD_ACCEPT: as
 * above. *hdr_ret is written on KD_OK only.
 */
enum kd_status kd_packet_hdr_decode(struct kd_packet_hdr *hdr_ret,
				    const uint8_t in[KD_AT_LEAST(16)]);

/* Unsigned sum of the payload bytes. Header and trailer are not covered. */
uint32_t kd_checksum(const uint8_t *payload, size_t size);

#endif
