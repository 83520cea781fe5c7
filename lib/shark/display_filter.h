/* SPDX-License-Identifier: MIT */
/*
 * A Wireshark display filter as a condition: one tshark is fed all payloads as they come and says
 * which of them match, with everything it knows about their protocols. Between payload and answer
 * go a mark and its echo, so that "no" is an answer too.
 */
#ifndef KD_LIB_SHARK_DISPLAY_FILTER_H
#define KD_LIB_SHARK_DISPLAY_FILTER_H

#include "lib/shark/traffic_private.h"

struct kd__display_filter;

/*
 * Start one that looks at the traffic of `t` from now on. KD_E_UNSUPPORTED: no tshark; KD_E_SYNTAX:
 * tshark does not take the filter, err has its words; KD_E_FULL: too many; KD_E_TIMEOUT.
 * Blocks until tshark is up, at most ten seconds. Without the traffic's mutex.
 */
enum kd_status kd__display_filter_create(struct kd_traffic *t, const char *text,
					 struct kd__display_filter **ret, struct kd_error *err);
void kd__display_filter_destroy(struct kd__display_filter *f);

/*
 * Does an item match that has come? Without the mutex; one thread at a time. KD_OK, *matches_ret;
 * KD_E_TIMEOUT: tshark is behind (taken as "no"); KD_E_CLOSED: it ended.
 */
enum kd_status kd__display_filter_ask(struct kd__display_filter *f, uint64_t item,
				      uint64_t deadline, bool *matches_ret);

#endif
