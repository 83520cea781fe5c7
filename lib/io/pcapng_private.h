/* SPDX-License-Identifier: MIT */
/* Numbers of pcapng that its writer and its reader share (draft-ietf-opsawg-pcapng). */
#ifndef KD_LIB_IO_PCAPNG_PRIVATE_H
#define KD_LIB_IO_PCAPNG_PRIVATE_H

enum {
	KD__PCAPNG_IDB = 1, /* interface description */
	KD__PCAPNG_SPB = 3, /* simple packet */
	KD__PCAPNG_EPB = 6, /* enhanced packet */

	/* type, length; body; length again */
	KD__PCAPNG_HEAD = 8,
	KD__PCAPNG_FRAME = 12,
	KD__PCAPNG_SHB_FIXED = 16, /* magic, version, section length */
	KD__PCAPNG_IDB_FIXED = 8,  /* link type, reserved, snap length */
	KD__PCAPNG_EPB_FIXED = 20, /* interface, time high and low, captured, original length */
	KD__PCAPNG_SPB_FIXED = 4,  /* original length */

	/* Options: code, length, value padded to four bytes. */
	KD__PCAPNG_OPT_END = 0,
	KD__PCAPNG_OPT_COMMENT = 1,
	KD__PCAPNG_SHB_HARDWARE = 2,
	KD__PCAPNG_SHB_OS = 3,
	KD__PCAPNG_SHB_APPLICATION = 4,
	KD__PCAPNG_IF_NAME = 2,
	KD__PCAPNG_IF_DESCRIPTION = 3,
	KD__PCAPNG_IF_TSRESOL = 9,
	KD__PCAPNG_IF_TSOFFSET = 14,
	KD__PCAPNG_EPB_FLAGS = 2, /* bits 0 and 1: direction, as enum kd_pcapng_direction */
	KD__PCAPNG_EPB_DROPS = 4,
	KD__PCAPNG_EPB_PACKET_ID = 5,
};

#define KD__PCAPNG_SHB   0x0A0D0D0Au /* section header; the same in both byte orders */
#define KD__PCAPNG_MAGIC 0x1A2B3C4Du

#endif
