/* SPDX-License-Identifier: MIT */
/*
 * A target spoken to by packets (ring, serial link, KDNET), made to look like a serial port: a
 * transport whose bytes are those of a target's link. A thread of its own runs the carrier.
 */
#ifndef KD_LIB_FLEET_RELAY_BRIDGE_H
#define KD_LIB_FLEET_RELAY_BRIDGE_H

#include "lib/io/transport.h"

/* Takes `line` over, also when it fails. KD_E_NO_MEMORY, KD_E_IO. */
enum kd_status kd__relay_bridge_create(struct kd_transport *line, struct kd_transport **t_ret,
				       struct kd_error *err);

/*
 * Is a debugger there? Without one, module loads are let go on, and nothing is said twice; when one
 * comes, it gets the stop that waits.
 */
void kd__relay_bridge_set_client(struct kd_transport *t, bool is_there);

/* Which road the packets take, for people. */
void kd__relay_bridge_road(struct kd_transport *t, char *text, size_t size);

#endif
