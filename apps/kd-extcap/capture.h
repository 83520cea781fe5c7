/* SPDX-License-Identifier: MIT */
/* A capture: from a source into Wireshark's FIFO, until somebody ends it. */
#ifndef APPS_KD_EXTCAP_CAPTURE_H
#define APPS_KD_EXTCAP_CAPTURE_H

#include "apps/kd-extcap/option.h"

/* The exit status. */
int capture_run(const struct extcap_options *o);

#endif
