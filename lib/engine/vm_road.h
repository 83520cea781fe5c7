/* SPDX-License-Identifier: MIT */
/*
 * From the socket of a session to the VM behind it: who QEMU is, where its monitor listens, its
 * RAM. All is looked up when it is needed first, and again after the connection was made anew.
 */
#ifndef KD_LIB_ENGINE_VM_ROAD_H
#define KD_LIB_ENGINE_VM_ROAD_H

#include "lib/io/carrier_ring.h"

struct kd__vm_road;
struct kd_guest_ram;

/* KD_E_NO_MEMORY. `transport` is borrowed. */
enum kd_status kd__vm_road_create(struct kd_transport *transport, struct kd__vm_road **ret,
				  struct kd_error *err);
/* After the carrier that its mapper was given to, and not before. NULL is fine. */
void kd__vm_road_destroy(struct kd__vm_road *r);

/* For a ring carrier; borrows the road. */
struct kd_ring_mapper kd__vm_road_mapper(struct kd__vm_road *r);

/* A QEMU of this machine is at the other end. */
bool kd__vm_road_is_vm(struct kd__vm_road *r);

/* Its RAM, owned by the road and good until the connection is made anew; NULL: *err says why. */
struct kd_guest_ram *kd__vm_road_ram(struct kd__vm_road *r, struct kd_error *err);

/* A RAM of the caller's own, which outlives the road: kd_guest_ram_close(). */
enum kd_status kd__vm_road_open_ram(struct kd__vm_road *r, struct kd_guest_ram **ret,
				    struct kd_error *err);

#endif
