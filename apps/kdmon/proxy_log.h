/* SPDX-License-Identifier: MIT */
/* The monitor's `log`: a proxy's packets into a file. */
#ifndef APPS_KDMON_PROXY_LOG_H
#define APPS_KDMON_PROXY_LOG_H

#include "apps/kdmon/proxies.h"

/* `format` and `path` of the request, both may be missing. An answer: a new reference. */
json_t *proxy_log_start(struct proxy *p, json_t *request);
/* `p` NULL: the machine has no proxy, so no log. An answer: a new reference. */
json_t *proxy_log_stop(struct proxy *p, const struct kd_vm *vm);

#endif
