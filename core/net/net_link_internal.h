/* SPDX-License-Identifier: MIT */
/* What the files of the datagram link share; nobody else includes this. */
#ifndef KD_CORE_NET_NET_LINK_INTERNAL_H
#define KD_CORE_NET_NET_LINK_INTERNAL_H

#include "core/net/net_link.h"

/* net_link.c: events, output. */
void kd__net_link_event(struct kd_net_link *l, enum kd_link_event_kind kind);
bool kd__net_link_is_repeat(const struct kd_net_link *l, const struct kd_packet_hdr *hdr,
			    const uint8_t *payload);
void kd__net_link_accept(struct kd_net_link *l, const struct kd_packet_hdr *hdr,
			 const uint8_t *payload);
void kd__net_link_control(struct kd_net_link *l, enum kd_packet_type type, uint32_t id);
void kd__net_link_ack(struct kd_net_link *l, uint32_t id);
void kd__net_link_complain(struct kd_net_link *l);
void kd__net_link_acked(struct kd_net_link *l);
void kd__net_link_retransmit(struct kd_net_link *l);
void kd__net_link_reset_now(struct kd_net_link *l);
void kd__net_link_drop(struct kd_net_link *l, bool in_doubt);
uint64_t kd__net_link_reset_due(const struct kd_net_link *l);

/* net_link_rules.c: what a role does with what it receives, and when its tries are used up. */
void kd__net_link_packet(struct kd_net_link *l, const struct kd_packet_hdr *hdr,
			 const uint8_t *payload);
void kd__net_link_give_up(struct kd_net_link *l);

#endif
