/* SPDX-License-Identifier: MIT */
/* Wireshark's questions, and the sentences that answer them. */
#ifndef APPS_KD_EXTCAP_QUERY_H
#define APPS_KD_EXTCAP_QUERY_H

#include <stdio.h>

#include "apps/kd-extcap/sources.h"

/* Numbers of the toolbar's controls. */
enum extcap_control {
	CONTROL_INTERCEPT = 0,
	CONTROL_PASS = 1,
	CONTROL_DROP = 2,
	CONTROL_EDIT = 3,
	CONTROL_PASS_ALL = 4,
	CONTROL_HOLD = 5,
	CONTROL_FLOW = 7, /* 6 is kept for the choice of a mutator */
	CONTROL_LOG = 8,
	CONTROL_NONE = 255,
};

void query_interfaces(FILE *to, const struct source_list *sources);
void query_dlts(FILE *to);
void query_config(FILE *to);

#endif
