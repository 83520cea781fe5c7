/* SPDX-License-Identifier: MIT */
/* What the files of the KDNET session share; nobody else includes this. */
#ifndef KD_CORE_NET_NET_INTERNAL_H
#define KD_CORE_NET_NET_INTERNAL_H

#include "core/net/net.h"

static inline uint64_t kd__net_time_add(uint64_t t, uint64_t d)
{
	return t + d < t ? KD_TIME_NEVER : t + d;
}

static inline struct kd_net_session *kd__net_session(struct kd_net *n)
{
	return &n->sessions[0];
}

/* net.c */
struct kd_net_event *kd__net_event(struct kd_net *n, enum kd_net_event_kind kind);
/* A control datagram to `to`; one that still waits is replaced: it would be obsolete. */
enum kd_status kd__net_control(struct kd_net *n, const struct kd_net_address *to, uint8_t version,
			       uint64_t sequence, const uint8_t *body, size_t size);
void kd__net_wipe(void *bytes, size_t size);

/*
 * net_host.c, net_target.c: an authentic control datagram; KD_E_STALE: refused and counted. Their
 * clocks.
 */
enum kd_status kd__net_host_control(struct kd_net *n, const struct kd_net_address *from,
				    const struct kd_net_datagram *d);
enum kd_status kd__net_target_control(struct kd_net *n, const struct kd_net_address *from,
				      const struct kd_net_datagram *d);
uint64_t kd__net_host_deadline(const struct kd_net *n);
uint64_t kd__net_target_deadline(const struct kd_net *n);
void kd__net_host_timeout(struct kd_net *n);
void kd__net_target_timeout(struct kd_net *n);

/* net_host.c: authentic, new data under sessions[i]: that is the session now. */
void kd__net_host_confirmed(struct kd_net *n, size_t i);
/* Something that no key opens came. */
void kd__net_host_unreadable(struct kd_net *n, const struct kd_net_address *from, uint8_t version,
			     uint8_t channel);
/* What output is sealed for; NULL: nothing can be sent yet. */
struct kd_net_session *kd__net_host_sender(struct kd_net *n);

#endif
