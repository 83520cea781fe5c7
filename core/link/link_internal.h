/* SPDX-License-Identifier: MIT */
/* What the files of core/link share; nobody else includes this. */
#ifndef KD_CORE_LINK_LINK_INTERNAL_H
#define KD_CORE_LINK_LINK_INTERNAL_H

#include "core/link/link.h"

/* Time sums that stay below "never". */
static inline uint64_t kd__time_add(uint64_t t, uint64_t d)
{
	return t + d < t ? KD_TIME_NEVER : t + d;
}

/* 0x80800000, 0x80800001 and the same with SYNC: what NT counts with on a stream. */
static inline bool kd__link_is_stream_id(uint32_t id)
{
	return (id & ~(KD_PACKET_ID_SYNC | 1u)) == KD_PACKET_ID_INITIAL;
}

/* What a role does with what it receives. `payload` lies in l->rx. */
struct kd__link_rules {
	void (*data)(struct kd_link *l, const struct kd_packet_hdr *hdr, const uint8_t *payload);
	void (*resend)(struct kd_link *l);
	void (*reset)(struct kd_link *l);
	void (*silence)(struct kd_link *l); /* a break-in byte, then nothing */
	void (*give_up)(struct kd_link *l); /* the outstanding packet ran out of tries */
	uint32_t id_at_start;               /* of next_send */
};

extern const struct kd__link_rules kd__link_debugger_rules, kd__link_target_rules;

static inline const struct kd__link_rules *kd__link_rules(const struct kd_link *l)
{
	return l->cfg.role == KD_LINK_TARGET ? &kd__link_target_rules : &kd__link_debugger_rules;
}

/* link_event.c */
void kd__link_event(struct kd_link *l, enum kd_link_event_kind kind);
void kd__link_noise_add(struct kd_link *l, uint8_t byte);
void kd__link_noise_flush(struct kd_link *l);
bool kd__link_is_repeat(const struct kd_link *l, const struct kd_packet_hdr *hdr,
			const uint8_t *payload);
void kd__link_deliver(struct kd_link *l, const struct kd_packet_hdr *hdr, const uint8_t *payload);

/* link_rx.c */
size_t kd__link_parse(struct kd_link *l);
void kd__link_gap(struct kd_link *l);
void kd__link_doubt_over(struct kd_link *l);
uint64_t kd__link_doubt_deadline(const struct kd_link *l);
void kd__link_complain(struct kd_link *l, bool is_credible);
void kd__link_accept(struct kd_link *l, const struct kd_packet_hdr *hdr, const uint8_t *payload);

/* link_tx.c */
void kd__link_control(struct kd_link *l, enum kd_packet_type type, uint32_t id);
void kd__link_ack(struct kd_link *l, uint32_t id);
void kd__link_acked(struct kd_link *l);
void kd__link_transmit(struct kd_link *l);
void kd__link_retransmit(struct kd_link *l);
void kd__link_resend(struct kd_link *l);
void kd__link_renumber(struct kd_link *l, bool send_now);
void kd__link_drop(struct kd_link *l, bool in_doubt);
uint32_t kd__link_tries(const struct kd_link *l);
uint64_t kd__link_ack_deadline(const struct kd_link *l);

/* link_reset.c */
uint64_t kd__link_reset_due(const struct kd_link *l);
void kd__link_reset_now(struct kd_link *l);
void kd__link_reset_ask(struct kd_link *l);
bool kd__link_reset_is_recent(const struct kd_link *l);
bool kd__link_reset_is_answer(const struct kd_link *l);
void kd__link_ids_restart(struct kd_link *l);

/* link_check.c: NULL, or which invariant is broken. For tests and fuzzers. */
const char *kd__link_check(const struct kd_link *l);

#endif
