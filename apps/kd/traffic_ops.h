/* SPDX-License-Identifier: MIT */
/*
 * Requests about traffic as JSON (docs/session-socket.md), and what is told of it: kd serves them
 * on its session's socket, kd-extcap asks them of itself when it holds the target. Neither sockets
 * nor the target are known here.
 */
#ifndef APPS_KD_TRAFFIC_OPS_H
#define APPS_KD_TRAFFIC_OPS_H

#include <jansson.h>
#include <openkd/traffic.h>

enum { TRAFFIC_HELD_MAX = 256 }; /* items in one answer */

/* What the requests work on. The texts are malloc'ed or NULL, and change with the filter. */
struct traffic_place {
	struct kd_traffic *t;
	char **filter, **intercept;
};

/* Is it a request that traffic_op() answers? */
bool traffic_op_is_known(const char *op);
/* Members of the answer are put into `answer`. */
enum kd_status traffic_op(const struct traffic_place *place, const char *op, json_t *request,
			  json_t *answer, struct kd_error *err);

/*
 * Options of `traffic-start`. The texts are borrowed from the request. KD_E_INVALID: a member is
 * not what it should be.
 */
enum kd_status traffic_op_options(json_t *request, struct kd_traffic_options *options_ret,
				  struct kd_error *err);
/*
 * Let go all that is held, of this flow if it is not 0. *n_ret: how many went, also on failure;
 * what went by itself meanwhile is not counted.
 */
enum kd_status traffic_pass_all(struct kd_traffic *t, uint64_t flow, const char *by, size_t *n_ret,
				struct kd_error *err);
/* Mode, channel, texts and counters: docs/schema/traffic.schema.json. */
void traffic_op_status(const struct traffic_place *place, json_t *o);

/* docs/schema/flows.schema.json, one of them. */
void traffic_flow_json(json_t *o, const struct kd_traffic_flow *flow);
const char *traffic_flow_state(const struct kd_traffic_flow *flow);
/* docs/schema/item.schema.json */
void traffic_item_json(json_t *o, const struct kd_traffic_item *item);
/* docs/schema/traffic-event.schema.json */
json_t *traffic_event_json(const struct kd_traffic_event *event);
const char *traffic_mode_name(enum kd_traffic_mode mode);

#endif
