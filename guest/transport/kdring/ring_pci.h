/* SPDX-License-Identifier: MIT */
/*
 * The ring's other place: the shared memory of an ivshmem device (QEMU's ivshmem-plain), for
 * virtual machines whose RAM nobody outside may touch. Taken only when a boot option asks for it:
 * the device may be somebody else's.
 */
#ifndef KD_GUEST_RING_PCI_H
#define KD_GUEST_RING_PCI_H

#include <stdbool.h>

#include "core/ring/ring_announce.h"

enum ring_pci_result {
	RING_PCI_MAPPED,
	RING_PCI_NOT_YET, /* the HAL does not map device memory yet: ask again later */
	RING_PCI_NONE,    /* there is no such device, or its memory is too small */
};

/** Find the device and map the ring's pages. Once mapped it stays so. */
enum ring_pci_result ring_pci_map(void **pages_ret);

/** Fill in where the device is. @return false: not mapped. */
bool ring_pci_describe(struct kd_ring_announcement *where);

/** Does the device's memory lie elsewhere than when it was mapped? */
bool ring_pci_has_moved(void);

#endif
