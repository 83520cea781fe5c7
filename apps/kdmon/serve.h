/* SPDX-License-Identifier: MIT */
/* kdmon serve: the monitor that stays: docs/kdmon.md, "The monitor's socket". */
#ifndef APPS_KDMON_SERVE_H
#define APPS_KDMON_SERVE_H

#include "apps/kdmon/settings.h"

enum {
	MONITOR_CLIENTS_MAX = 32,
	MONITOR_LINE_MAX = 64 << 10,  /* a request */
	MONITOR_OUTPUT_MAX = 8 << 20, /* what a client may leave unread */
	MONITOR_PENDING_MAX = 64,     /* requests that wait for a look around */
};

/* Until SIGTERM, SIGINT or SIGHUP. What main() returns. */
int serve_main(const struct settings *settings);

#endif
