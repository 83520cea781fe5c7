/* SPDX-License-Identifier: MIT */
/* The inside of struct kd_link. Only core/link may touch the fields. */
#ifndef KD_CORE_LINK_LINK_PRIVATE_H
#define KD_CORE_LINK_LINK_PRIVATE_H

struct kd_link {
	struct kd_link_config cfg;
	struct kd_link_counters counters;
};

#endif
