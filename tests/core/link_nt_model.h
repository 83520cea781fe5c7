/* SPDX-License-Identifier: MIT */
/*
 * A target that shares no code with our link: NT's and ReactOS' receive and send routines, written
 * from the tables of the protocol (facts 1.9 to 1.11) one byte at a time, with the weaknesses they
 * have: it acts on a RESEND after six bytes, believes headers without their checksum, loses
 * requests that cross its packets, and reads at most one byte per clock tick while it runs.
 */
#ifndef KD_TESTS_CORE_LINK_NT_MODEL_H
#define KD_TESTS_CORE_LINK_NT_MODEL_H

#include "tests/core/link_world.h"

enum nt_flavour { NT, REACTOS };

/* Which byte of what is awaited. */
enum nt_place { LEADER, TYPE, REST, DATA, TRAILER };

enum nt_doing { RUNS, SENDS, RECEIVES };

struct nt {
	enum nt_flavour flavour;
	struct world_kernel *kernel;
	enum nt_doing doing;
	uint32_t next_send, expected, retries;
	bool present, ctrl_c, booted;
	/* The packet that is being sent, again and again. */
	struct world_packet sending;
	/* Receive routine. */
	enum nt_place place;
	unsigned idx, prev;
	bool brk;
	uint8_t hdr[16];
	size_t n;
	uint8_t data[4096];
	/* The wire. */
	uint8_t fifo[1 << 16], out[1 << 16];
	size_t fifo_head, fifo_size, out_size;
	uint64_t last_byte, next_tick, now;
	uint64_t n_given_up, n_transmits, n_dropped;
};

/* Power on: also a reboot. *ret is filled so that it can stand in a world. */
void nt_boot(struct nt *m, struct world_target *ret, enum nt_flavour flavour,
	     struct world_kernel *k, uint64_t now);

#endif
