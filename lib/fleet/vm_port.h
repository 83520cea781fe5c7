/* SPDX-License-Identifier: MIT */
/* From what a VM has for a debug port to an endpoint, and what is in the way of using it. */
#ifndef KD_LIB_FLEET_VM_PORT_H
#define KD_LIB_FLEET_VM_PORT_H

#include "lib/io/endpoint.h"
#include "lib/vm/socket_users.h"
#include "lib/vm/vm_found.h"

enum { KD_OBSTACLES_MAX = 6, KD_OBSTACLE_SIZE = 320 };

struct kd__obstacles {
	size_t n;
	char text[KD_OBSTACLES_MAX][KD_OBSTACLE_SIZE];
};
void kd__obstacle_add(struct kd__obstacles *o, const char *fmt, ...) KD_PRINTF(2, 3);

/*
 * The first serial port that a debugger can connect to. False: there is none, the obstacles say
 * why and what to do.
 */
bool kd__vm_port_choose(const struct kd_vm_found *vm, struct kd_endpoint *ret,
			struct kd__obstacles *obstacles);

/* What else would make a connection fail now: rights, a file that is not there. */
void kd__vm_port_check(const struct kd_vm_found *vm, const struct kd_endpoint *ep,
		       struct kd__obstacles *obstacles);

#endif
