/* SPDX-License-Identifier: MIT */
/* The traffic of the target's programs in the console: one kd_traffic, its events as lines. */
#ifndef APPS_KD_TRAFFIC_H
#define APPS_KD_TRAFFIC_H

#include <openkd/traffic.h>

#include "apps/kd/console.h"

/* KD_E_NOT_FOUND with advice when none runs. */
enum kd_status traffic_get(struct call *call, struct kd_traffic **ret);
/* Says what is looked at, and how. */
enum kd_status traffic_start(struct call *call, struct kd_traffic_options *options);
/* It intercepts from now on, whether it ran or not. */
enum kd_status traffic_start_holding(struct call *call);
/* All that can be set; their texts are kept from now on. */
enum kd_status traffic_start_with(struct console *c, const struct kd_traffic_options *options,
				  struct kd_error *err);
/* Let everything go. Nothing runs: nothing happens. */
void traffic_stop(struct console *c);
/* !wireshark */
enum kd_status traffic_run_wireshark(struct call *call);
/* With !strace the target stops again for what was held meanwhile. */
void traffic_target_runs(struct console *c);
/* "shared memory" */
const char *traffic_channel_text(enum kd_traffic_channel channel);
/*
 * The next word as a decimal number up to `max`: such are numbers of items, flows, streams and
 * mutators. Nothing stands there: `fallback`.
 */
enum kd_status traffic_take_number(struct call *call, uint64_t fallback, uint64_t max,
				   uint64_t *ret);

/* "webget.exe[44] 10.0.2.15:49152 -> 10.0.2.2:8080" */
struct flow_text {
	char s[200];
};
struct flow_text traffic_flow_text(const struct kd_traffic_flow *f);
/* One of its ends: "10.0.2.15:49152", "[::1]:80" */
void traffic_end_text(char *to, size_t size, const char *address, uint16_t port, uint8_t family);

#endif
