/* SPDX-License-Identifier: MIT */
/*
 * Classic BPF: the programs that libpcap compiles from tcpdump expressions (link type raw IP),
 * checked and run. Source: the instruction set of McCanne and Jacobson's paper as pcap/bpf.h of
 * Debian's libpcap-dev numbers it.
 */
#ifndef KD_CORE_PROBE_PROBE_BPF_H
#define KD_CORE_PROBE_PROBE_BPF_H

#include "core/probe/probe_headers.h"

struct kd_bpf_instruction {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

enum { KD_BPF_SIZE = 8 }; /* u16 code, u8 jt, u8 jf, u32 k */

void kd_bpf_decode(struct kd_bpf_instruction *ret, const uint8_t in[KD_AT_LEAST(KD_BPF_SIZE)]);
void kd_bpf_encode(uint8_t out[KD_AT_LEAST(KD_BPF_SIZE)], const struct kd_bpf_instruction *v);

/*
 * May it run? Known instructions, jumps forward and inside, scratch cells that exist, no division
 * by a constant 0, a return at the end: such a program ends, and harms nobody. KD_E_MALFORMED: no;
 * *where_ret is the instruction.
 */
enum kd_status kd_bpf_check(const struct kd_bpf_instruction *program, uint32_t n,
			    uint32_t *where_ret);

/* A packet in two pieces: headers, then bytes. */
struct kd_bpf_packet {
	const struct kd_probe_headers *headers;
	const uint8_t *bytes;
	uint32_t size;
};

/* Run a checked program: does it match? A load from beyond the packet is none. */
bool kd_bpf_run(const struct kd_bpf_instruction *program, uint32_t n,
		const struct kd_bpf_packet *packet);

enum kd_bpf_answer { KD_BPF_NEVER, KD_BPF_ALWAYS, KD_BPF_DEPENDS };

/* What a checked program says to every packet of a flow whose headers are these. */
enum kd_bpf_answer kd_bpf_ask(const struct kd_bpf_instruction *program, uint32_t n,
			      const struct kd_probe_headers *headers);

#endif
