/* SPDX-License-Identifier: MIT */
/*
 * From the socket of a session to the VM behind it: who QEMU is, where its monitor listens, its
 * RAM. All is looked up when it is needed first, and again after the connection was made anew.
 */
#ifndef KD_LIB_ENGINE_VM_ROAD_H
#define KD_LIB_ENGINE_VM_ROAD_H

#include "lib/io/carrier_ring.h"

/*
 * The mapper of a ring carrier on this transport, which it borrows: the carrier owns both.
 * KD_E_NO_MEMORY.
 */
enum kd_status kd__vm_road_create(struct kd_transport *transport, struct kd_ring_mapper *ret,
				  struct kd_error *err);

#endif
