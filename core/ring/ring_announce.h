/* SPDX-License-Identifier: MIT */
/*
 * The line in which a guest says on its serial port where its ring lies, and the question that
 * makes it say so again:
 *
 *     CR LF OKDRING1 v=1 a=2 p=11 n=1_2ab_34c r=2b4+11 c=1a_2b3_c4d CR LF
 *
 * All numbers are hexadecimal in groups of three digits, so that neither "0000" nor "iiii", with
 * which KD packets begin, is ever a part of it. v: version; a: enum kd_ring_arch; p: pages; n: boot
 * nonce; r: runs of page frames as first+count, separated by commas, in the order of the ring's
 * pages; or b=bus.device.function of an ivshmem device in place of r; c: CRC-32 of everything from
 * the O of the magic to the blank before c.
 */
#ifndef KD_CORE_RING_RING_ANNOUNCE_H
#define KD_CORE_RING_RING_ANNOUNCE_H

#include "core/ring/ring.h"

enum {
	KD_RING_RUNS_MAX = KD_RING_PAGES,
	KD_RING_LINE_MAX = 512, /* of a whole announcement, terminator included */
};

/* Neither is a break-in byte, nor anything that a stock transport reacts to. */
#define KD_RING_QUERY      "\x05R\x05R"
#define KD_RING_QUERY_SIZE 4

struct kd_ring_run {
	uint64_t frame; /* guest-physical address / 4096 */
	uint32_t count; /* pages */
};

struct kd_ring_announcement {
	uint16_t version;
	uint16_t pages;
	uint8_t arch;
	uint64_t nonce;
	bool is_pci; /* the ring is at the start of an ivshmem device's memory */
	uint8_t bus, device, function;
	uint32_t n_runs;
	struct kd_ring_run runs[KD_RING_RUNS_MAX];
};

/* The same place, boot and version. */
bool kd_ring_announcement_is_same(const struct kd_ring_announcement *a,
				  const struct kd_ring_announcement *b);

/* Returns the length without the terminator; 0: more runs than there may be. */
size_t kd_ring_announcement_write(const struct kd_ring_announcement *a, char *text, size_t size);

/*
 * Find an announcement in what came over the line, which may have other text before and after it.
 * KD_OK: *end_ret is the offset behind it; KD_E_NOT_FOUND: none is complete yet, *end_ret bytes can
 * be forgotten; KD_E_MALFORMED: there is one, but garbled or senseless, *end_ret as for KD_OK;
 * KD_E_UNSUPPORTED: a version that we don't speak, ret->version tells which.
 */
enum kd_status kd_ring_announcement_find(const char *text, size_t size,
					 struct kd_ring_announcement *ret, size_t *end_ret);

#endif
