/* SPDX-License-Identifier: MIT */
/* The texts of kd_traffic_set_filter() to what the driver runs. */
#ifndef KD_LIB_SHARK_TRAFFIC_FILTER_H
#define KD_LIB_SHARK_TRAFFIC_FILTER_H

#include "core/probe/probe_filter.h"
#include "lib/base.h"

/*
 * Compile both texts (NULL: ""). `kdnet_port` is that of the debugger itself, 0: none.
 * KD_E_SYNTAX: err->where is the column, from 0, in the text that err names; KD_E_TOO_BIG: more
 * than the driver takes; KD_E_NO_MEMORY.
 */
enum kd_status kd__traffic_filter_compile(const char *filter, const char *intercept,
					  uint16_t kdnet_port, struct kd_probe_filter *ret,
					  struct kd_error *err);

#endif
