/* SPDX-License-Identifier: MIT */
/* Wireshark's toolbar: what its controls do, and what they show of what is held. */
#ifndef APPS_KD_EXTCAP_TOOLBAR_H
#define APPS_KD_EXTCAP_TOOLBAR_H

#include <stdbool.h>
#include <stdint.h>

#include "apps/kd-extcap/control.h"
#include "apps/kd-extcap/editor.h"
#include "apps/kd-extcap/link.h"

enum { TOOLBAR_FLOWS_MAX = 64, TOOLBAR_LINES_MAX = 30 };

struct toolbar {
	struct control_pipes pipes;
	struct link *link; /* NULL: not yet */
	struct editors editors;
	bool is_ready; /* Wireshark shows it */
	bool intercepts;
	char hold[512];
	uint64_t flow; /* that is chosen; 0: all */
	uint64_t flows[TOOLBAR_FLOWS_MAX];
	unsigned n_flows; /* in the selector */
	long long n_held; /* shown on the button; -1: nothing was shown */
	bool is_stale;    /* something was held or released */
	long long refreshed_ms, second_ms;
	unsigned n_lines, n_left_out; /* of the log, in this second */
};

void toolbar_open(struct toolbar *b, const char *in, const char *out, const char *editor);
void toolbar_close(struct toolbar *b);
/* From now on there is traffic; `hold` and `intercepts` are as it was started. */
void toolbar_begin(struct toolbar *b, struct link *link, bool intercepts, const char *hold);

/* What the user did. */
void toolbar_read(struct toolbar *b);
/* An event of the link. */
void toolbar_event(struct toolbar *b, const json_t *event);
/* Editors that ended. */
void toolbar_reap(struct toolbar *b);
/* Show what is held, not too often; how many milliseconds until it wants to be called again. */
int toolbar_refresh(struct toolbar *b);

/* A line of the log. */
void toolbar_log(void *toolbar, const char *text);
/* A box that the user has to see. */
void toolbar_fail(struct toolbar *b, const char *text);

#endif
