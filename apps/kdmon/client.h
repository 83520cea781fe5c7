/* SPDX-License-Identifier: MIT */
/* The monitor's socket, from a client's side. */
#ifndef APPS_KDMON_CLIENT_H
#define APPS_KDMON_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

struct monitor_client;

/* NULL: no monitor runs (for this user). */
struct monitor_client *monitor_connect(void);
void monitor_close(struct monitor_client *c);

/*
 * Send {"op": op, ...} (takes the reference of `request`) and wait for its answer, at most
 * `timeout_ms`. Events that come between are kept for monitor_next(). Never NULL: a failure that
 * says so when the monitor does not answer.
 */
json_t *monitor_ask(struct monitor_client *c, const char *op, json_t *request, int timeout_ms);

/* The next event; NULL: none until then (-1: never ends), or *is_over_ret: the monitor is gone. */
json_t *monitor_next(struct monitor_client *c, int timeout_ms, bool *is_over_ret);
int monitor_fd(const struct monitor_client *c);

#endif
